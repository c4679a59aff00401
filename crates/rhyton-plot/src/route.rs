//! The edges of a layered drawing, at right angles: down from a box, across in the gap between two ranks, down into the next.
//!
//! The horizontal parts in a gap lie on *tracks*, so that none is drawn over another.

use super::layered::{Drawing, Graph, Place};

/// Height of a gap without tracks.
const GAP: f64 = 36.0;
/// Between two tracks.
const TRACK: f64 = 10.0;
/// Between the ends of two edges at a box, and from its corner.
const PORT: f64 = 14.0;

/// Sets `y` of all places, and draws the edges, whose places are `chains`.
pub(super) fn draw(graph: &Graph, mut places: Vec<Place>, rows: &[Vec<usize>], chains: &[Vec<usize>]) -> Drawing {
    let ports = ports(graph, &places, chains);
    // Where each edge crosses each gap: (edge, x above, x below).
    let mut gaps: Vec<Vec<(usize, f64, f64)>> = vec![Vec::new(); rows.len()];
    for (edge, chain) in chains.iter().enumerate() {
        for (i, pair) in chain.windows(2).enumerate() {
            let above = if i == 0 { ports[edge].0 } else { places[pair[0]].x };
            let below = if i + 2 == chain.len() { ports[edge].1 } else { places[pair[1]].x };
            gaps[places[pair[0]].rank].push((edge, above, below));
        }
    }
    let tracks: Vec<Vec<Option<usize>>> = gaps.iter().map(|gap| tracks(gap)).collect();
    let mut y = 0.0;
    let mut bottoms = Vec::with_capacity(rows.len());
    for (row, tracks) in rows.iter().zip(&tracks) {
        let height = row.iter().map(|&v| places[v].height).fold(0.0, f64::max);
        row.iter().for_each(|&v| places[v].y = y);
        bottoms.push(y + height);
        let count = tracks.iter().flatten().max().map_or(0, |most| most + 1);
        y += height + GAP + count.saturating_sub(1) as f64 * TRACK;
    }
    let nodes = &places[..graph.sizes.len()];
    let mut edges: Vec<Vec<(f64, f64)>> = Vec::with_capacity(chains.len());
    for (chain, (from, _)) in chains.iter().zip(&ports) {
        let start = &places[chain[0]];
        edges.push(vec![(*from, start.y + start.height)]);
    }
    for (rank, (gap, tracks)) in gaps.iter().zip(&tracks).enumerate() {
        let count = tracks.iter().flatten().max().map_or(0, |most| most + 1);
        for (&(edge, above, below), track) in gap.iter().zip(tracks) {
            if let Some(track) = track {
                let space = if count < 2 { GAP / 2.0 } else { GAP / 2.0 + *track as f64 * TRACK };
                // Arrows need room for their heads: the lowest track keeps half a gap above the next rank.
                let at = bottoms[rank] + space;
                edges[edge].extend([(above, at), (below, at)]);
            }
        }
    }
    for ((path, chain), (_, to)) in edges.iter_mut().zip(chains).zip(&ports) {
        path.push((*to, places[chain[chain.len() - 1]].y));
        straighten(path);
    }
    let right = |p: &Place| p.x + p.width / 2.0;
    let rightmost_edge = edges.iter().flatten().map(|p| p.0).fold(0.0, f64::max);
    Drawing {
        width: nodes.iter().map(right).fold(rightmost_edge, f64::max),
        height: bottoms.last().copied().unwrap_or(0.0),
        nodes: nodes.iter().map(|p| (p.x, p.y)).collect(),
        edges,
    }
}

/// Removes corners where nothing turns.
fn straighten(path: &mut Vec<(f64, f64)>) {
    let mut kept: Vec<(f64, f64)> = Vec::with_capacity(path.len());
    for &point in path.iter() {
        if let [.., a, b] = kept.as_slice()
            && ((a.0 == b.0 && b.0 == point.0) || (a.1 == b.1 && b.1 == point.1))
        {
            kept.pop();
        }
        kept.push(point);
    }
    *path = kept;
}

/// Where each edge leaves its first box and enters its last: straight above or below the other end if the box is that wide, but
/// apart from other edges.
fn ports(graph: &Graph, places: &[Place], chains: &[Vec<usize>]) -> Vec<(f64, f64)> {
    let n = graph.sizes.len();
    let (mut leaving, mut entering) = (vec![Vec::new(); n], vec![Vec::new(); n]);
    for (edge, chain) in chains.iter().enumerate() {
        leaving[chain[0]].push(edge);
        entering[chain[chain.len() - 1]].push(edge);
    }
    let mut ports = vec![(0.0, 0.0); chains.len()];
    // Both ends of an edge between neighbouring ranks want the same place: the centre of the box with fewer edges.
    let wanted = |edge: usize, end: bool| {
        let chain = &chains[edge];
        let (from, to) = (chain[0], chain[chain.len() - 1]);
        let fixed = graph.edges[edge];
        let centre = |v: usize, port: Option<f64>| places[v].x + port.unwrap_or(0.0);
        if chain.len() > 2 {
            return if end { places[chain[chain.len() - 2]].x } else { places[chain[1]].x };
        }
        let (from_x, to_x) = (centre(from, fixed.from_port), centre(to, fixed.to_port));
        match (fixed.from_port, fixed.to_port) {
            (Some(_), _) => from_x,
            (None, Some(_)) => to_x,
            _ => {
                let key = |v: usize, edges: usize| (edges, places[v].width as usize);
                if key(from, leaving[from].len()) <= key(to, entering[to].len()) { from_x } else { to_x }
            }
        }
    };
    for v in 0..n {
        for (edges, end) in [(&leaving[v], false), (&entering[v], true)] {
            let fixed = |edge: usize| if end { graph.edges[edge].to_port } else { graph.edges[edge].from_port };
            let mut free: Vec<(f64, usize)> = Vec::new();
            for &edge in edges {
                match fixed(edge) {
                    Some(port) => set(&mut ports[edge], end, places[v].x + port),
                    None => free.push((wanted(edge, end), edge)),
                }
            }
            free.sort_by(|a, b| a.0.total_cmp(&b.0));
            let wanted: Vec<f64> = free.iter().map(|f| f.0).collect();
            for ((_, edge), x) in free.iter().zip(spread(&wanted, places[v].x, places[v].width)) {
                set(&mut ports[*edge], end, x);
            }
        }
    }
    ports
}

fn set(port: &mut (f64, f64), end: bool, x: f64) {
    if end { port.1 = x } else { port.0 = x }
}

/// Places near the sorted `wanted` ones within a box, apart from each other; closer than usual if the box is narrow.
fn spread(wanted: &[f64], centre: f64, width: f64) -> Vec<f64> {
    let apart = PORT.min((width - 2.0).max(0.0) / (wanted.len() + 1) as f64);
    let (left, right) = (centre - width / 2.0 + apart, centre + width / 2.0 - apart);
    let mut x: Vec<f64> = wanted.iter().map(|w| w.clamp(left, right.max(left))).collect();
    for i in 1..x.len() {
        x[i] = x[i].max(x[i - 1] + apart);
    }
    let mut limit = right;
    for x in x.iter_mut().rev() {
        *x = x.min(limit);
        limit = *x - apart;
    }
    x
}

/// The track of each crossing that is not straight, from the top.
fn tracks(gap: &[(usize, f64, f64)]) -> Vec<Option<usize>> {
    let mut order: Vec<usize> = (0..gap.len()).filter(|&i| gap[i].1 != gap[i].2).collect();
    // Of edges to the right the rightmost is above, of edges to the left the leftmost: so those of one direction do not cross.
    order.sort_by(|&a, &b| {
        let key = |i: usize| if gap[i].1 < gap[i].2 { -gap[i].1 } else { gap[i].1 };
        key(a).total_cmp(&key(b))
    });
    let mut taken: Vec<Vec<(f64, f64)>> = Vec::new();
    let mut tracks = vec![None; gap.len()];
    for i in order {
        let (low, high) = (gap[i].1.min(gap[i].2) - TRACK / 2.0, gap[i].1.max(gap[i].2) + TRACK / 2.0);
        let touches = |track: &Vec<(f64, f64)>| track.iter().any(|&(l, h)| l < high && low < h);
        // Below every track that it meets, so that the order holds.
        let track = taken.iter().rposition(touches).map_or(0, |t| t + 1);
        if track == taken.len() {
            taken.push(Vec::new());
        }
        taken[track].push((low, high));
        tracks[i] = Some(track);
    }
    tracks
}
