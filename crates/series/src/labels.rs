//! Label sets: the identity of a series.
//!
//! The invariant: names are valid, unique and sorted by bytes, values are not empty, and every length is bounded.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt::{self, Debug, Display, Formatter, Write};

use crate::error::LabelsError;

/// The label that holds the metric name.
pub const METRIC_NAME: &str = "__name__";

/// How many labels a series may have. Kubernetes with every target label stays below 40.
pub const LABELS_PER_SERIES_MAX: usize = 64;

/// How long a label name may be, in bytes. Names are written by programmers; this leaves room for generated ones.
pub const LABEL_NAME_BYTES_MAX: usize = 1_024;

/// How long a label value may be, in bytes. Room for a URL or an image digest, not for a stack trace.
pub const LABEL_VALUE_BYTES_MAX: usize = 2_048;

type Pair = (Arc<str>, Arc<str>);

/// What a [`Pair`] takes beside its texts on a 64-bit machine. Sizes are told as there, so that the
/// same series weigh the same on every target.
const PAIR_BYTES: usize = 32;
#[cfg(target_pointer_width = "64")]
const _: () = assert!(size_of::<Pair>() == PAIR_BYTES);

/// A set of labels, the metric name among them under [`METRIC_NAME`].
///
/// Cloning shares the set. Sets are ordered as their pairs are: by the first name that differs, then by its value.
/// As in Prometheus an empty value is the same as no label, so none is stored.
///
/// ```
/// use tidegate_series::Labels;
///
/// let labels = Labels::from_pairs([("mode", "idle"), ("__name__", "cpu"), ("gone", "")])?;
/// assert_eq!(labels.to_string(), r#"cpu{mode="idle"}"#);
/// assert_eq!(labels.value("mode"), Some("idle"));
/// assert_eq!(labels.value("gone"), None);
/// # Ok::<(), tidegate_series::LabelsError>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Labels {
    pairs: Arc<[Pair]>,
}

impl Labels {
    /// The set of these pairs, which may come in any order.
    ///
    /// Reads no further than one pair past [`LABELS_PER_SERIES_MAX`]; pairs with an empty value count towards it and
    /// are then dropped.
    ///
    /// # Errors
    ///
    /// An empty, invalid, overlong or repeated name (a repeat counts even if one of the values is empty), an invalid
    /// metric name, an overlong value, or too many pairs.
    pub fn from_pairs<I, N, V>(pairs: I) -> Result<Self, LabelsError>
    where
        I: IntoIterator<Item = (N, V)>,
        N: AsRef<str>,
        V: AsRef<str>,
    {
        let mut checked: Vec<Pair> = Vec::new();
        for (position, (name, value)) in pairs.into_iter().enumerate() {
            if position == LABELS_PER_SERIES_MAX {
                return Err(LabelsError::TooMany);
            }
            checked.push(checked_pair(position, name.as_ref(), value.as_ref())?);
        }
        checked.sort_unstable();
        if let Some(twins) = checked.windows(2).find(|two| two[0].0 == two[1].0) {
            return Err(LabelsError::DuplicateName {
                name: (*twins[0].0).into(),
            });
        }
        checked.retain(|(_, value)| !value.is_empty());
        Ok(Self {
            pairs: checked.into(),
        })
    }

    /// The value of a label, `None` where it is absent. A value is never empty.
    #[must_use]
    pub fn value(&self, name: &str) -> Option<&str> {
        // A search by halves gains nothing on sets this small, but is bounded for the largest.
        let index = self
            .pairs
            .binary_search_by(|(own, _)| (**own).cmp(name))
            .ok()?;
        Some(&self.pairs[index].1)
    }

    /// The metric name, `None` where the set has none.
    #[must_use]
    pub fn metric_name(&self) -> Option<&str> {
        self.value(METRIC_NAME)
    }

    /// Names and values, sorted by name; the metric name is among them.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &str)> + Clone {
        self.pairs.iter().map(|(name, value)| (&**name, &**value))
    }

    /// How many labels the set has, the metric name included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.pairs.len()
    }

    /// Whether the set has no label at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.pairs.is_empty()
    }

    /// What the set takes in memory, in bytes, allocator overhead left out; the same on every target.
    /// Clones share it.
    #[must_use]
    pub fn byte_size(&self) -> usize {
        let text: usize = self
            .pairs
            .iter()
            .map(|(name, value)| name.len() + value.len())
            .sum();
        text + self.pairs_byte_size()
    }

    /// What it takes without the texts, which other sets may share.
    pub(crate) fn pairs_byte_size(&self) -> usize {
        self.pairs.len() * PAIR_BYTES
    }

    /// Names and values as they are shared.
    pub(crate) fn texts(&self) -> impl Iterator<Item = (&Arc<str>, &Arc<str>)> {
        self.pairs.iter().map(|(name, value)| (name, value))
    }

    /// An equal set of the texts that `share` puts in place of equal ones.
    pub(crate) fn sharing(&self, mut share: impl FnMut(&Arc<str>) -> Arc<str>) -> Self {
        let pairs = self.pairs.iter();
        Self {
            pairs: pairs
                .map(|(name, value)| (share(name), share(value)))
                .collect(),
        }
    }

    /// Whether both are one set in memory, not only equal.
    pub(crate) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.pairs, &other.pairs)
    }
}

fn checked_pair(position: usize, name: &str, value: &str) -> Result<Pair, LabelsError> {
    if name.is_empty() {
        return Err(LabelsError::EmptyName { position });
    }
    if name.len() > LABEL_NAME_BYTES_MAX {
        return Err(LabelsError::NameTooLong {
            bytes: name.len(),
            position,
        });
    }
    if !is_label_name(name) {
        return Err(LabelsError::InvalidName {
            name: name.into(),
            position,
        });
    }
    if value.len() > LABEL_VALUE_BYTES_MAX {
        return Err(LabelsError::ValueTooLong {
            name: name.into(),
            bytes: value.len(),
        });
    }
    if name == METRIC_NAME && !value.is_empty() && !is_metric_name(value) {
        return Err(LabelsError::InvalidMetricName {
            name: value.into(),
            position,
        });
    }
    Ok((name.into(), value.into()))
}

/// Whether `text` is a label name: `[a-zA-Z_][a-zA-Z0-9_]*`. Its length is not judged.
#[must_use]
pub fn is_label_name(text: &str) -> bool {
    is_name(text, |_| false)
}

/// Whether `text` is a metric name: `[a-zA-Z_:][a-zA-Z0-9_:]*`. Its length is not judged.
#[must_use]
pub fn is_metric_name(text: &str) -> bool {
    is_name(text, |byte| byte == b':')
}

fn is_name(text: &str, also: impl Fn(u8) -> bool) -> bool {
    let letter = |byte: u8| byte.is_ascii_alphabetic() || byte == b'_' || also(byte);
    let bytes = text.as_bytes();
    bytes.first().is_some_and(|&first| letter(first))
        && bytes
            .iter()
            .all(|&byte| letter(byte) || byte.is_ascii_digit())
}

impl Display for Labels {
    /// As a PromQL selector: the metric name, then the other labels in braces; no braces after a bare name.
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let name = self.metric_name();
        f.write_str(name.unwrap_or_default())?;
        let mut rest = self
            .iter()
            .filter(|(name, _)| *name != METRIC_NAME)
            .peekable();
        if rest.peek().is_none() && name.is_some() {
            return Ok(());
        }
        f.write_char('{')?;
        for (index, (name, value)) in rest.enumerate() {
            if index > 0 {
                f.write_char(',')?;
            }
            write!(f, "{name}=")?;
            write_quoted(f, value)?;
        }
        f.write_char('}')
    }
}

impl Debug for Labels {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "Labels({self})")
    }
}

/// Writes `value` as a double-quoted PromQL string. Control characters are escaped, so it stays on one line.
pub(crate) fn write_quoted(f: &mut Formatter<'_>, value: &str) -> fmt::Result {
    f.write_char('"')?;
    for c in value.chars() {
        match c {
            '\\' => f.write_str("\\\\")?,
            '"' => f.write_str("\\\"")?,
            '\n' => f.write_str("\\n")?,
            '\r' => f.write_str("\\r")?,
            '\t' => f.write_str("\\t")?,
            c if c.is_control() => write!(f, "\\u{:04x}", u32::from(c))?,
            c => f.write_char(c)?,
        }
    }
    f.write_char('"')
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::{String, ToString};
    use alloc::{format, vec};
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn labels(pairs: &[(&str, &str)]) -> Result<Labels, LabelsError> {
        Labels::from_pairs(pairs.iter().copied())
    }

    #[test]
    fn the_order_of_pairs_does_not_matter() {
        assert_eq!(
            labels(&[("b", "2"), ("a", "1")]),
            labels(&[("a", "1"), ("b", "2")])
        );
    }

    #[test]
    fn an_empty_value_is_no_label() {
        let set = labels(&[("a", ""), ("__name__", ""), ("b", "x")]).unwrap();
        assert_eq!(set.iter().collect::<Vec<_>>(), vec![("b", "x")]);
        assert_eq!(set.metric_name(), None);
    }

    #[test]
    fn a_name_given_twice_is_refused_even_with_an_empty_value() {
        let twice = Err(LabelsError::DuplicateName { name: "a".into() });
        assert_eq!(labels(&[("a", "1"), ("b", "2"), ("a", "1")]), twice);
        assert_eq!(labels(&[("a", "1"), ("a", "")]), twice);
    }

    #[test]
    fn names_follow_the_grammar() {
        assert_eq!(
            labels(&[("a", "1"), ("", "x")]),
            Err(LabelsError::EmptyName { position: 1 })
        );
        for name in ["1a", "a-b", "a:b", "ä", "a b"] {
            let refused = Err(LabelsError::InvalidName {
                name: name.into(),
                position: 0,
            });
            assert_eq!(labels(&[(name, "x")]), refused);
        }
        assert!(labels(&[("_", "x"), ("A9", "x"), ("__meta", "x")]).is_ok());
    }

    #[test]
    fn only_a_metric_name_may_hold_colons() {
        let set = labels(&[("__name__", "job:up:sum")]).unwrap();
        assert_eq!(set.metric_name(), Some("job:up:sum"));
        for name in ["9up", "node load", "ü"] {
            let refused = Err(LabelsError::InvalidMetricName {
                name: name.into(),
                position: 0,
            });
            assert_eq!(labels(&[("__name__", name)]), refused);
        }
    }

    #[test]
    fn lengths_are_accepted_at_the_limit_and_refused_one_past_it() {
        let name = "n".repeat(LABEL_NAME_BYTES_MAX + 1);
        let value = "v".repeat(LABEL_VALUE_BYTES_MAX + 1);
        assert!(labels(&[(&name[1..], &value[1..])]).is_ok());
        let bytes = name.len();
        assert_eq!(
            labels(&[(&name, "x")]),
            Err(LabelsError::NameTooLong { bytes, position: 0 })
        );
        let bytes = value.len();
        let refused = Err(LabelsError::ValueTooLong {
            name: "n".into(),
            bytes,
        });
        assert_eq!(labels(&[("n", &value)]), refused);
    }

    #[test]
    fn the_number_of_labels_is_limited() {
        let many = |count: usize| Labels::from_pairs((0..count).map(|i| (format!("l{i}"), "x")));
        assert_eq!(
            many(LABELS_PER_SERIES_MAX).unwrap().len(),
            LABELS_PER_SERIES_MAX
        );
        assert_eq!(many(LABELS_PER_SERIES_MAX + 1), Err(LabelsError::TooMany));
    }

    #[test]
    fn an_endless_input_is_not_read_to_its_end() {
        let endless = core::iter::repeat(("a", "b"));
        assert_eq!(Labels::from_pairs(endless), Err(LabelsError::TooMany));
    }

    #[test]
    fn display_is_a_selector() {
        let shown = |pairs: &[(&str, &str)]| labels(pairs).unwrap().to_string();
        assert_eq!(shown(&[]), "{}");
        assert_eq!(shown(&[("__name__", "up")]), "up");
        assert_eq!(shown(&[("b", "2"), ("a", "1")]), r#"{a="1",b="2"}"#);
        assert_eq!(
            shown(&[("__name__", "up"), ("a", "x\"y\\z\n\u{1}")]),
            r#"up{a="x\"y\\z\n\u0001"}"#
        );
    }

    proptest! {
        #[test]
        fn a_set_answers_as_a_map_does(
            map in prop::collection::btree_map("[a-cA-C_]{1,3}", "[a-c]{0,2}", 0..8),
            probe in "[a-cA-C_]{1,3}",
        ) {
            let map: BTreeMap<String, String> = map;
            let set = Labels::from_pairs(&map).unwrap();
            let kept: Vec<(&str, &str)> =
                map.iter().filter(|(_, v)| !v.is_empty()).map(|(n, v)| (&**n, &**v)).collect();
            prop_assert_eq!(set.iter().collect::<Vec<_>>(), kept);
            let expected = map.get(&probe).map(|v| &**v).filter(|v| !v.is_empty());
            prop_assert_eq!(set.value(&probe), expected);
        }

        #[test]
        fn no_text_makes_it_panic(name in ".{0,8}", value in ".{0,8}") {
            if let Ok(set) = Labels::from_pairs([(&name, &value)]) {
                prop_assert!(!set.to_string().contains('\n'));
            }
        }
    }
}
