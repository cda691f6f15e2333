//! Commands that several asks make up: many templates, or a pack's record.

use alloc::string::String;
use alloc::vec::Vec;

use tidegate_core::{Answer, CollectPlan, OwnerMap, Params, QueryError, RecordConfig};

use crate::{HttpResponse, render};

/// A command whose asks are not all answered yet.
#[derive(Debug)]
pub(crate) struct Batch {
    parts: Vec<(String, Option<Result<Answer, QueryError>>)>,
    missing: usize,
    view: BatchView,
    pub(crate) head: bool,
}

/// How the whole is to look.
#[derive(Debug)]
pub(crate) enum BatchView {
    Templates,
    Record {
        pack: String,
        record: RecordConfig,
        params: Params,
        /// Only rows whose pod belongs to this owner.
        owner: Option<String>,
    },
    Window(CollectPlan),
}

impl Batch {
    pub(crate) const fn new(view: BatchView, head: bool) -> Self {
        Self {
            parts: Vec::new(),
            missing: 0,
            view,
            head,
        }
    }

    /// Adds a part, answered or not; says its place.
    pub(crate) fn add(&mut self, name: String, part: Option<Result<Answer, QueryError>>) -> usize {
        self.missing += usize::from(part.is_none());
        self.parts.push((name, part));
        self.parts.len() - 1
    }

    /// Notes the answer to a part that was awaited.
    pub(crate) fn fill(&mut self, nth: usize, result: Result<Answer, QueryError>) {
        self.parts[nth].1 = Some(result);
        self.missing -= 1;
    }

    pub(crate) const fn is_complete(&self) -> bool {
        self.missing == 0
    }

    pub(crate) fn response(self, owners: &OwnerMap) -> HttpResponse {
        let parts = self.parts.into_iter();
        let results: Vec<_> = parts
            .filter_map(|(name, part)| part.map(|result| (name, result)))
            .collect();
        match self.view {
            BatchView::Templates => render::collect_many(&results),
            BatchView::Record {
                pack,
                record,
                params,
                owner,
            } => {
                let rows = record.rows(&params, &results);
                let wanted = owner.as_deref().map(|owner| (owner, owners));
                render::record(&pack, &record, rows, wanted, &results)
            }
            BatchView::Window(plan) => render::window(&plan, &results),
        }
    }
}
