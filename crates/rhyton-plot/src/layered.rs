//! Layered drawings of directed acyclic graphs.
//!
//! In the four steps of K. Sugiyama, S. Tagawa, M. Toda, "Methods for visual understanding of hierarchical system structures"
//! (1981): nodes get ranks, edges that skip ranks get a bend in each, the order within ranks is chosen for few crossings
//! (medians, as E. Gansner et al., "A technique for drawing directed graphs", 1993), and then the coordinates
//! ([`super::align`]). Edges are drawn at right angles ([`super::route`]).

use super::{align, route};

/// A node or a bend of an edge.
#[derive(Clone, Debug, Default)]
pub(super) struct Place {
    pub width: f64,
    pub height: f64,
    pub rank: usize,
    /// Where the centre is.
    pub x: f64,
    /// Where the top is.
    pub y: f64,
    /// Whether it is a bend.
    pub bend: bool,
}

/// Where a node has to be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Pin {
    #[default]
    Free,
    /// In the first rank: what comes in from outside.
    First,
    /// In the last rank: what goes out.
    Last,
}

/// What is to be drawn.
#[derive(Clone, Debug, Default)]
pub(super) struct Graph {
    /// Width and height of each node.
    pub sizes: Vec<(f64, f64)>,
    pub pins: Vec<Pin>,
    /// From and to, without cycles.
    pub edges: Vec<Edge>,
}

/// An edge; its ends may be fixed, relative to the node's centre.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Edge {
    pub from: usize,
    pub to: usize,
    pub from_port: Option<f64>,
    pub to_port: Option<f64>,
}

/// Where everything is.
#[derive(Clone, Debug, Default)]
pub(super) struct Drawing {
    pub width: f64,
    pub height: f64,
    /// The centre at the top of each node.
    pub nodes: Vec<(f64, f64)>,
    /// The corners of each edge, from start to end.
    pub edges: Vec<Vec<(f64, f64)>>,
}

/// Free space between neighbours of a rank.
pub(super) const BETWEEN: f64 = 24.0;

/// Draws `graph`.
pub(super) fn draw(graph: &Graph) -> Drawing {
    let ranks = ranks(graph);
    let mut places: Vec<Place> = graph
        .sizes
        .iter()
        .zip(&ranks)
        .map(|(&(width, height), &rank)| Place { width, height, rank, ..Place::default() })
        .collect();
    // Each edge as places in consecutive ranks.
    let mut chains: Vec<Vec<usize>> = Vec::with_capacity(graph.edges.len());
    for edge in &graph.edges {
        let mut chain = vec![edge.from];
        for rank in ranks[edge.from] + 1..ranks[edge.to] {
            chain.push(places.len());
            places.push(Place { rank, bend: true, ..Place::default() });
        }
        chain.push(edge.to);
        chains.push(chain);
    }
    let links: Vec<(usize, usize)> = chains.iter().flat_map(|c| c.windows(2).map(|w| (w[0], w[1]))).collect();
    let rows = order(&places, &links);
    align::set_x(&mut places, &rows, &links);
    route::draw(graph, places, &rows, &chains)
}

/// The rank of each node: as early as what leads to it allows; sources as late as what follows allows.
fn ranks(graph: &Graph) -> Vec<usize> {
    let n = graph.sizes.len();
    let mut waiting = vec![0usize; n];
    graph.edges.iter().for_each(|e| waiting[e.to] += 1);
    let sources: Vec<usize> = (0..n).filter(|&v| waiting[v] == 0).collect();
    let mut ready = sources.clone();
    let mut ranks = vec![0usize; n];
    while let Some(v) = ready.pop() {
        for e in graph.edges.iter().filter(|e| e.from == v) {
            ranks[e.to] = ranks[e.to].max(ranks[v] + 1);
            waiting[e.to] -= 1;
            if waiting[e.to] == 0 {
                ready.push(e.to);
            }
        }
    }
    for v in sources.into_iter().filter(|&v| graph.pins[v] != Pin::First) {
        let following = graph.edges.iter().filter(|e| e.from == v).map(|e| ranks[e.to]).min();
        ranks[v] = following.map_or(ranks[v], |r| r - 1);
    }
    let last = ranks.iter().copied().max().unwrap_or(0);
    for (rank, _) in ranks.iter_mut().zip(&graph.pins).filter(|(_, p)| **p == Pin::Last) {
        *rank = last;
    }
    ranks
}

/// How often the order of all ranks is improved.
const SWEEPS: usize = 24;

/// The places of each rank from left to right.
fn order(places: &[Place], links: &[(usize, usize)]) -> Vec<Vec<usize>> {
    let count = places.iter().map(|p| p.rank + 1).max().unwrap_or(0);
    let (mut above, mut below) = (vec![Vec::new(); places.len()], vec![Vec::new(); places.len()]);
    for &(from, to) in links {
        below[from].push(to);
        above[to].push(from);
    }
    // At first in the order in which a walk from the sources meets them, so that chains stay together.
    let mut rows = vec![Vec::new(); count];
    let mut met = vec![false; places.len()];
    let mut stack: Vec<usize> = (0..places.len()).rev().filter(|&v| above[v].is_empty()).collect();
    while let Some(v) = stack.pop() {
        if !std::mem::replace(&mut met[v], true) {
            rows[places[v].rank].push(v);
            stack.extend(below[v].iter().rev());
        }
    }
    let mut best = rows.clone();
    let mut least = crossings(&rows, &below, places.len());
    for sweep in 0..SWEEPS {
        if least == 0 {
            break;
        }
        if sweep % 2 == 0 {
            (1..count).for_each(|r| sort_by_medians(&mut rows, r, r - 1, &above, places.len()));
        } else {
            (0..count.saturating_sub(1)).rev().for_each(|r| sort_by_medians(&mut rows, r, r + 1, &below, places.len()));
        }
        let found = crossings(&rows, &below, places.len());
        if found < least {
            (best, least) = (rows.clone(), found);
        }
    }
    best
}

/// Where each place stands in its row.
pub(super) fn positions(rows: &[Vec<usize>], places: usize) -> Vec<usize> {
    let mut at = vec![0; places];
    rows.iter().for_each(|row| row.iter().enumerate().for_each(|(i, &v)| at[v] = i));
    at
}

/// Sorts a row by the medians of the positions of the neighbours in the row beside it; places without stay where they are.
fn sort_by_medians(rows: &mut [Vec<usize>], row: usize, beside: usize, neighbours: &[Vec<usize>], places: usize) {
    let at = positions(&rows[beside..=beside], places);
    let median = |v: usize| {
        let mut all: Vec<usize> = neighbours[v].iter().map(|&u| at[u]).collect();
        all.sort_unstable();
        let n = all.len();
        (n > 0).then(|| (all[(n - 1) / 2] + all[n / 2]) as f64 / 2.0)
    };
    let mut movable: Vec<(f64, usize)> = rows[row].iter().filter_map(|&v| Some((median(v)?, v))).collect();
    movable.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut sorted = movable.into_iter();
    for v in rows[row].iter_mut().filter(|v| !neighbours[**v].is_empty()) {
        *v = sorted.next().expect("one for each place with neighbours").1;
    }
}

fn crossings(rows: &[Vec<usize>], below: &[Vec<usize>], places: usize) -> usize {
    let at = positions(rows, places);
    let between = |row: &Vec<usize>| {
        let mut ends: Vec<usize> = Vec::new();
        let mut crossings = 0;
        for &v in row {
            let mut own: Vec<usize> = below[v].iter().map(|&u| at[u]).collect();
            own.sort_unstable();
            crossings += own.iter().map(|&e| ends.iter().filter(|&&other| other > e).count()).sum::<usize>();
            ends.extend(own);
        }
        crossings
    };
    rows.iter().map(between).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn graph(n: usize, edges: &[(usize, usize)]) -> Graph {
        Graph {
            sizes: vec![(100.0, 40.0); n],
            pins: vec![Pin::Free; n],
            edges: edges.iter().map(|&(from, to)| Edge { from, to, ..Edge::default() }).collect(),
        }
    }

    /// What every drawing must be: boxes apart from each other, edges from box to box, downwards and at right angles.
    fn check(graph: &Graph) -> Drawing {
        let drawing = draw(graph);
        let corners = |v: usize| {
            let ((x, y), (w, h)) = (drawing.nodes[v], graph.sizes[v]);
            (x - w / 2.0, y, x + w / 2.0, y + h)
        };
        for a in 0..graph.sizes.len() {
            let (left, top, right, bottom) = corners(a);
            assert!(left >= 0.0 && top >= 0.0 && right <= drawing.width && bottom <= drawing.height, "node {a}");
            for b in 0..a {
                let other = corners(b);
                assert!(
                    right < other.0 || other.2 < left || bottom < other.1 || other.3 < top,
                    "nodes {a} and {b} overlap: {:?} {other:?}",
                    corners(a)
                );
            }
        }
        for (edge, path) in graph.edges.iter().zip(&drawing.edges) {
            let (from, to) = (corners(edge.from), corners(edge.to));
            let (start, end) = (path[0], path[path.len() - 1]);
            assert!((from.0..=from.2).contains(&start.0) && start.1 == from.3, "{edge:?} starts at {start:?}");
            assert!((to.0..=to.2).contains(&end.0) && end.1 == to.1, "{edge:?} ends at {end:?}");
            for pair in path.windows(2) {
                let ((x0, y0), (x1, y1)) = (pair[0], pair[1]);
                assert!((x0 == x1) != (y0 == y1) && y0 <= y1, "{edge:?}: {path:?}");
                for v in 0..graph.sizes.len() {
                    let c = corners(v);
                    let inside = x0.max(x1) > c.0 && x0.min(x1) < c.2 && y1 > c.1 && y0 < c.3;
                    assert!(!inside, "{edge:?} runs through node {v}: {path:?} {c:?}");
                }
            }
        }
        drawing
    }

    #[test]
    fn a_chain_is_a_straight_line() {
        let drawing = check(&graph(4, &[(0, 1), (1, 2), (2, 3)]));
        assert!(drawing.nodes.windows(2).all(|w| w[0].0 == w[1].0 && w[0].1 < w[1].1));
        assert!(drawing.edges.iter().all(|path| path.len() == 2));
    }

    #[test]
    fn a_shortcut_goes_around_what_it_skips() {
        let drawing = check(&graph(4, &[(0, 1), (1, 2), (2, 3), (0, 3)]));
        assert!(drawing.edges[3].len() >= 2);
        assert!(drawing.edges[..3].iter().filter(|p| p.len() == 2).count() >= 2, "{:?}", drawing.edges);
    }

    #[test]
    fn crossings_that_can_be_avoided_are() {
        let graph = graph(6, &[(0, 5), (1, 4), (2, 3), (0, 4), (1, 3)]);
        check(&graph);
        let places: Vec<Place> = ranks(&graph).into_iter().map(|rank| Place { rank, ..Place::default() }).collect();
        let links: Vec<(usize, usize)> = graph.edges.iter().map(|e| (e.from, e.to)).collect();
        let mut below = vec![Vec::new(); 6];
        links.iter().for_each(|&(a, b)| below[a].push(b));
        assert_eq!(crossings(&order(&places, &links), &below, 6), 0);
    }

    #[test]
    fn pinned_nodes_are_at_the_ends() {
        let mut graph = graph(5, &[(0, 1), (1, 2), (3, 2), (1, 4)]);
        graph.pins = vec![Pin::First, Pin::Free, Pin::Free, Pin::First, Pin::Last];
        let drawing = check(&graph);
        assert_eq!(drawing.nodes[0].1, drawing.nodes[3].1);
        assert_eq!(drawing.nodes[4].1, drawing.nodes[2].1);
    }

    #[test]
    fn random_graphs_are_drawn_without_overlaps() {
        let mut state = 1u64;
        let mut random = |below: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as usize % below
        };
        for n in 1..40 {
            let edges: Vec<(usize, usize)> = (1..n)
                .flat_map(|to| {
                    let mut from: Vec<usize> = (0..1 + random(3)).map(|_| random(to)).collect();
                    from.sort_unstable();
                    from.dedup();
                    from.into_iter().map(move |f| (f, to)).collect::<Vec<_>>()
                })
                .collect();
            let mut graph = graph(n, &edges);
            graph.sizes.iter_mut().for_each(|s| *s = (60.0 + random(200) as f64, 30.0 + random(60) as f64));
            check(&graph);
        }
    }
}
