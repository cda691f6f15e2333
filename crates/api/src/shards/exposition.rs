//! `/metrics` of several shards as one exposition: every sample says which shard's it is.
//!
//! A label `shard` in front of a sample's others keeps series apart, whatever their families mean;
//! `sum without (shard)` adds up what can be added up. Each family stands once, its samples
//! together, as the format asks for.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::vec::Vec;

use tidegate_wire::text::is_metric_name;

/// A family: its lines of comment, and its samples with the shards that they are of.
#[derive(Debug)]
struct Family<'a> {
    /// Whose words the comments are; others say the same.
    described_by: usize,
    head: Vec<&'a str>,
    samples: Vec<(usize, Sample<'a>)>,
}

/// A sample's line in parts: its name, its labels after the bracket, if any, and the rest.
#[derive(Clone, Copy, Debug)]
struct Sample<'a> {
    name: &'a str,
    has_labels: bool,
    rest: &'a str,
}

/// One exposition of those of these shards. Lines that are no samples and no `HELP` or `TYPE` are
/// left out, and so are samples before the first family.
pub(super) fn merged<'a>(expositions: impl IntoIterator<Item = (usize, &'a str)>) -> Vec<u8> {
    let mut families: Vec<Family<'_>> = Vec::new();
    let mut by_name = BTreeMap::new();
    for (shard, text) in expositions {
        let mut at = None;
        for line in text.lines() {
            if let Some(name) = described(line) {
                let place = *by_name.entry(name).or_insert(families.len());
                if place == families.len() {
                    families.push(Family {
                        described_by: shard,
                        head: Vec::new(),
                        samples: Vec::new(),
                    });
                }
                let family = &mut families[place];
                if family.described_by == shard && !family.head.contains(&line) {
                    family.head.push(line);
                }
                at = Some(place);
            } else if let (Some(place), Some(sample)) = (at, Sample::read(line)) {
                families[place].samples.push((shard, sample));
            }
        }
    }
    let mut out = Vec::new();
    for family in &families {
        for line in &family.head {
            out.extend_from_slice(line.as_bytes());
            out.push(b'\n');
        }
        for (shard, sample) in &family.samples {
            sample.write(*shard, &mut out);
        }
    }
    out
}

/// The name of the family that a line of comment is about.
fn described(line: &str) -> Option<&str> {
    let about = line
        .strip_prefix("# HELP ")
        .or_else(|| line.strip_prefix("# TYPE "))?;
    about.split(' ').next()
}

impl<'a> Sample<'a> {
    fn read(line: &'a str) -> Option<Self> {
        let end = line.find(['{', ' '])?;
        let (name, rest) = line.split_at(end);
        let has_labels = rest.starts_with('{');
        is_metric_name(name).then_some(Self {
            name,
            has_labels,
            rest: rest.strip_prefix('{').unwrap_or(rest),
        })
    }

    fn write(&self, shard: usize, out: &mut Vec<u8>) {
        let bracket = if self.has_labels { ',' } else { '}' };
        let Self { name, rest, .. } = self;
        out.extend_from_slice(format!("{name}{{shard=\"{shard}\"{bracket}{rest}\n").as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::String;

    use tidegate_wire::{ExpositionFormat, ScrapeLimits, decode_exposition};

    use super::*;

    fn text(expositions: &[(usize, &str)]) -> String {
        String::from_utf8(merged(expositions.iter().copied())).unwrap()
    }

    #[test]
    fn each_family_stands_once_with_the_samples_of_all_shards() {
        let a = "# HELP a Help {a} text.\n# TYPE a counter\na 1\n# TYPE b gauge\nb{x=\"{ }\",y=\"\"} 2\n";
        let b =
            "# HELP a Help {a} text.\n# TYPE a counter\na 3\n# TYPE c gauge\nc 4\n# TYPE b gauge\n";
        let merged = text(&[(0, a), (2, b)]);
        assert_eq!(
            merged,
            "# HELP a Help {a} text.\n# TYPE a counter\na{shard=\"0\"} 1\na{shard=\"2\"} 3\n\
             # TYPE b gauge\nb{shard=\"0\",x=\"{ }\",y=\"\"} 2\n\
             # TYPE c gauge\nc{shard=\"2\"} 4\n"
        );
    }

    #[test]
    fn a_family_that_only_another_shard_has_samples_of_is_described_once() {
        let merged = text(&[
            (0, "# HELP a x\n# TYPE a gauge\n"),
            (1, "# HELP a x\n# TYPE a gauge\na 1\n"),
        ]);
        assert_eq!(merged, "# HELP a x\n# TYPE a gauge\na{shard=\"1\"} 1\n");
    }

    #[test]
    fn what_is_no_sample_is_left_out() {
        let merged = text(&[(0, "a 1\n# TYPE a gauge\n\n# x\n1a 2\nnonsense\na{} 3\n")]);
        assert_eq!(merged, "# TYPE a gauge\na{shard=\"0\",} 3\n");
    }

    #[test]
    fn what_comes_out_is_an_exposition() {
        let a = "# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_bucket{le=\"+Inf\"} 2\nh_sum 3\nh_count 2\n";
        let merged = merged([(0, a), (1, a), (2, "")]);
        let limits = ScrapeLimits::default();
        let read = decode_exposition(&merged, ExpositionFormat::Text, 0, &limits).unwrap();
        assert_eq!((read.columns.len(), read.repeated), (8, None));
    }
}
