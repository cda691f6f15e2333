//! The texts of labels, each held once however many series have it.

use alloc::collections::BTreeMap;
use alloc::collections::btree_map::Entry;
use alloc::sync::Arc;

use crate::labels::Labels;

/// What an entry takes beside its text on a 64-bit machine; told so on every target.
const TEXT_BYTES: usize = 24;

/// Texts, and how many places hold each.
#[derive(Debug, Clone, Default)]
pub(super) struct Texts {
    held: BTreeMap<Arc<str>, u64>,
    byte_size: usize,
}

impl Texts {
    /// An equal set of labels whose texts are those held here.
    pub(super) fn share(&mut self, labels: &Labels) -> Labels {
        labels.sharing(|text| self.take(text))
    }

    fn take(&mut self, text: &Arc<str>) -> Arc<str> {
        match self.held.entry(text.clone()) {
            Entry::Occupied(mut held) => {
                *held.get_mut() += 1;
                held.key().clone()
            }
            Entry::Vacant(new) => {
                self.byte_size += text.len() + TEXT_BYTES;
                new.insert(1);
                text.clone()
            }
        }
    }

    /// Lets go of what [`share`](Self::share) took for these labels.
    pub(super) fn release(&mut self, labels: &Labels) {
        for (name, value) in labels.texts() {
            self.drop_one(name);
            self.drop_one(value);
        }
    }

    fn drop_one(&mut self, text: &str) {
        if let Some(count) = self.held.get_mut(text) {
            *count -= 1;
            if *count == 0 {
                self.held.remove(text);
                self.byte_size -= text.len() + TEXT_BYTES;
            }
        }
    }

    /// What they take in memory, in bytes.
    pub(super) const fn byte_size(&self) -> usize {
        self.byte_size
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_held_once_until_the_last_set_lets_go() {
        let labels = |cpu: &str| Labels::from_pairs([("cpu", cpu), ("same", "cpu")]).unwrap();
        let (mut texts, a, b) = (Texts::default(), labels("0"), labels("1"));
        let first = texts.share(&a);
        let alone = texts.byte_size();
        let second = texts.share(&b);
        assert_eq!((&first, &second), (&a, &b));
        assert_eq!(texts.byte_size(), alone + 1 + TEXT_BYTES);
        let place = |labels: &Labels| labels.texts().next().unwrap().0.clone();
        assert!(Arc::ptr_eq(&place(&first), &place(&second)));
        texts.release(&a);
        texts.release(&b);
        assert_eq!((texts.byte_size(), texts.held.len()), (0, 0));
    }
}
