//! One answer out of what is known about the parts of its window, as the source would have said it.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use tidegate_wire::{ColumnsBuilder, Data, QueryResponse};

use super::block::Block;
use super::grid::{Grid, Run};
use super::names::{Labels, order};

/// Puts the parts of a window together; they are in order and cover it. Series come in Prometheus'
/// order, and only those with samples in the window; infos in order of their first appearance, of
/// parts that have samples in it.
pub(crate) fn assemble<'a>(
    grid: Grid,
    parts: impl Iterator<Item = (Run, &'a Block)>,
) -> QueryResponse {
    let mut parts: Vec<_> = parts.map(|(clip, block)| (clip, block, 0)).collect();
    let mut builder = ColumnsBuilder::new();
    if parts.iter().any(|(_, block, _)| block.plain_html()) {
        builder.plain_html();
    }
    let mut speaks = alloc::vec![false; parts.len()];
    let mut scratch = Vec::new();
    while let Some(labels) = next(&parts) {
        let mut begun = false;
        for ((clip, block, at), speaks) in parts.iter_mut().zip(&mut speaks) {
            if !block
                .series()
                .get(*at)
                .is_some_and(|own| order(own, &labels).is_eq())
            {
                continue;
            }
            block.floats(*at, *clip, &mut scratch, |point, value| {
                *speaks = true;
                begin(&mut builder, &labels, &mut begun);
                builder.sample(grid.at_ms(point), value);
            });
            for (point, json) in block.histograms(*at, *clip) {
                *speaks = true;
                begin(&mut builder, &labels, &mut begun);
                builder.histogram(grid.at_ms(point), json);
            }
            *at += 1;
        }
    }
    let speaking = parts.iter().zip(speaks).filter(|(_, speaks)| *speaks);
    let mut infos: Vec<String> = Vec::new();
    for info in speaking.flat_map(|((_, block, _), _)| block.infos()) {
        if !infos.contains(info) {
            infos.push(info.clone());
        }
    }
    QueryResponse {
        infos,
        ..QueryResponse::new(Data::Matrix(builder.finish()))
    }
}

/// The first label set that is still to come.
fn next(parts: &[(Run, &Block, usize)]) -> Option<Arc<Labels>> {
    let heads = parts
        .iter()
        .filter_map(|(_, block, at)| block.series().get(*at));
    heads.min_by(|a, b| order(a, b)).cloned()
}

/// Begins a series with its first sample.
fn begin(builder: &mut ColumnsBuilder, labels: &Labels, begun: &mut bool) {
    if !core::mem::replace(begun, true) {
        builder.begin_series();
        labels
            .iter()
            .for_each(|(name, value)| builder.label(name, value));
    }
}
