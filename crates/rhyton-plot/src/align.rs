//! Where the places of a layered drawing lie from left to right.
//!
//! U. Brandes, B. Köpf, "Fast and simple horizontal coordinate assignment" (2001): places are aligned with their median neighbours
//! in blocks that are drawn as one vertical line, long edges first; blocks are packed; and of four such drawings, from above and
//! below, packed to the left and to the right, each place gets the mean of its two middle coordinates. Packing follows the
//! longest paths between blocks, with a second pass that pulls blocks towards their right neighbours.

use std::collections::HashSet;

use super::layered::{BETWEEN, Place, positions};

/// Free space beside a bend.
const BESIDE_BEND: f64 = 14.0;

/// Sets `x` of all places, none of them below half its width.
pub(super) fn set_x(places: &mut [Place], rows: &[Vec<usize>], links: &[(usize, usize)]) {
    let conflicts = conflicts(places, rows, links);
    let mut drawings: Vec<Vec<f64>> = Vec::with_capacity(4);
    for from_below in [false, true] {
        for to_right in [false, true] {
            let mut rows = rows.to_vec();
            if from_below {
                rows.reverse();
            }
            if to_right {
                rows.iter_mut().for_each(|row| row.reverse());
            }
            let roots = blocks(places.len(), &rows, links, from_below, &conflicts);
            let mut x = pack(places, &rows, &roots);
            if to_right {
                x.iter_mut().for_each(|x| *x = -*x);
            }
            drawings.push(x);
        }
    }
    level(&mut drawings);
    for (v, place) in places.iter_mut().enumerate() {
        let mut x: Vec<f64> = drawings.iter().map(|d| d[v]).collect();
        x.sort_by(f64::total_cmp);
        place.x = ((x[1] + x[2]) / 2.0).round();
    }
    let left = places.iter().map(|p| p.x - p.width / 2.0).fold(f64::INFINITY, f64::min);
    places.iter_mut().for_each(|p| p.x -= left.floor());
}

/// Links that cross a part of a long edge: that one stays straight, they do not.
fn conflicts(places: &[Place], rows: &[Vec<usize>], links: &[(usize, usize)]) -> HashSet<(usize, usize)> {
    let at = positions(rows, places.len());
    let mut by_rank: Vec<Vec<(usize, usize)>> = vec![Vec::new(); rows.len()];
    links.iter().for_each(|&link| by_rank[places[link.0].rank].push(link));
    let long = |&&(from, to): &&(usize, usize)| places[from].bend && places[to].bend;
    let mut conflicts = HashSet::new();
    for links in &by_rank {
        for &(a, b) in links.iter().filter(long) {
            let crossing = |&&(c, d): &&(usize, usize)| (at[a] < at[c]) != (at[b] < at[d]) && a != c && b != d;
            conflicts.extend(links.iter().filter(|l| !long(l)).filter(crossing));
        }
    }
    conflicts
}

/// For each place the first of its block.
fn blocks(
    places: usize,
    rows: &[Vec<usize>],
    links: &[(usize, usize)],
    from_below: bool,
    conflicts: &HashSet<(usize, usize)>,
) -> Vec<usize> {
    let at = positions(rows, places);
    let mut before: Vec<Vec<usize>> = vec![Vec::new(); places];
    for &(from, to) in links {
        let (from, to) = if from_below { (to, from) } else { (from, to) };
        before[to].push(from);
    }
    let mut root: Vec<usize> = (0..places).collect();
    let mut taken = vec![false; places];
    for row in rows {
        // The position of the rightmost neighbour that is aligned with already.
        let mut rightmost: Option<usize> = None;
        for &v in row {
            let neighbours = &mut before[v];
            neighbours.sort_by_key(|&u| at[u]);
            let n = neighbours.len();
            for m in if n == 0 { 0..0 } else { (n - 1) / 2..n / 2 + 1 } {
                let u = neighbours[m];
                let link = if from_below { (v, u) } else { (u, v) };
                if root[v] == v && !taken[u] && !conflicts.contains(&link) && rightmost.is_none_or(|r| r < at[u]) {
                    taken[u] = true;
                    root[v] = root[u];
                    rightmost = Some(at[u]);
                }
            }
        }
    }
    root
}

/// Coordinates with each block in one line and neighbours apart, as far left as that allows.
fn pack(places: &[Place], rows: &[Vec<usize>], roots: &[usize]) -> Vec<f64> {
    let mut right_of: Vec<Vec<(usize, f64)>> = vec![Vec::new(); places.len()];
    let mut waiting = vec![0usize; places.len()];
    for pair in rows.iter().flat_map(|row| row.windows(2)) {
        let (a, b) = (&places[pair[0]], &places[pair[1]]);
        let space = if a.bend || b.bend { BESIDE_BEND } else { BETWEEN };
        right_of[roots[pair[0]]].push((roots[pair[1]], (a.width + b.width) / 2.0 + space));
        waiting[roots[pair[1]]] += 1;
    }
    let mut x = vec![0.0f64; places.len()];
    let mut ready: Vec<usize> = (0..places.len()).filter(|&v| roots[v] == v && waiting[v] == 0).collect();
    let mut done = Vec::with_capacity(places.len());
    while let Some(block) = ready.pop() {
        done.push(block);
        for &(right, apart) in &right_of[block] {
            x[right] = x[right].max(x[block] + apart);
            waiting[right] -= 1;
            if waiting[right] == 0 {
                ready.push(right);
            }
        }
    }
    for &block in done.iter().rev() {
        let room = right_of[block].iter().map(|&(right, apart)| x[right] - apart).fold(f64::INFINITY, f64::min);
        if room.is_finite() {
            x[block] = x[block].max(room);
        }
    }
    roots.iter().map(|&root| x[root]).collect()
}

/// Shifts the drawings (packed left, right, left, right) onto the narrowest one.
fn level(drawings: &mut [Vec<f64>]) {
    let ends = |d: &[f64]| {
        let (low, high) = (f64::INFINITY, f64::NEG_INFINITY);
        d.iter().fold((low, high), |(low, high), &x| (low.min(x), high.max(x)))
    };
    let narrowest = drawings.iter().map(|d| ends(d)).min_by(|a, b| (a.1 - a.0).total_cmp(&(b.1 - b.0)));
    let Some((left, right)) = narrowest else { return };
    for (i, drawing) in drawings.iter_mut().enumerate() {
        let (low, high) = ends(drawing);
        let shift = if i % 2 == 0 { left - low } else { right - high };
        drawing.iter_mut().for_each(|x| *x += shift);
    }
}
