//! Handles: the way to a series that is appended to again and again.

use crate::labels::Labels;

/// A series, and where a [`Store`](crate::Store) had it last: what appends by it pays no look-up of labels.
///
/// It stays right whatever happens: when its series has expired, or with another store, it is looked up by its labels
/// once more, and comes into being again if need be.
///
/// ```
/// use tidegate_series::{Labels, SeriesHandle, Store};
///
/// let mut store = Store::default();
/// let mut up = SeriesHandle::new(Labels::from_pairs([("__name__", "up")])?);
/// for t_ms in [15_000, 30_000] {
///     store.append_by(&mut up, t_ms, 1.0)?;
/// }
/// assert_eq!(store.ring(up.labels()).map(|ring| ring.len()), Some(2));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct SeriesHandle {
    /// After the first append, the very set that the store holds, by which the place is known to be right.
    pub(super) labels: Labels,
    pub(super) place: u32,
}

impl SeriesHandle {
    /// A handle for the series with these labels, wherever it will be.
    #[must_use]
    pub const fn new(labels: Labels) -> Self {
        Self { labels, place: 0 }
    }

    /// The labels of the series.
    #[must_use]
    pub const fn labels(&self) -> &Labels {
        &self.labels
    }
}
