//! What is fuzzed: one function a decoder, and one for the collector.

mod chunks;
mod exposition;
mod lines;
mod machine;
mod query;
mod recording;
mod request;
mod script;
mod sketch;
mod template;
mod texts;
mod write;

/// A decoder, or what decides on inputs from outside, under fuzzing.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its name, that of its folder of inputs, too.
    pub name: &'static str,
    /// What it reads, in a few words.
    pub about: &'static str,
    /// Takes any bytes; panics where something is wrong.
    pub run: fn(&[u8]),
    /// Words of its language, that chance would take long to put together.
    pub words: &'static [&'static str],
    /// How long an input is made at most.
    pub bytes_max: usize,
}

/// All targets, in the order of their names.
pub const TARGETS: [Target; 16] = [
    exposition::TARGET,
    lines::TARGET,
    query::LISTS,
    machine::TARGET,
    texts::MATCHER,
    query::TARGET,
    recording::TARGET,
    request::TARGET,
    chunks::RING,
    sketch::TARGET,
    write::SNAPPY,
    template::TARGET,
    texts::TARGET,
    chunks::TIMES,
    chunks::VALUES,
    write::TARGET,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_in_order_and_come_once() {
        assert!(TARGETS.is_sorted_by(|a, b| a.name < b.name));
    }
}
