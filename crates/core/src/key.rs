//! What the cache calls an entry: one readable text per question, and never one text for two.
//!
//! `SOURCE/TEMPLATE:param=value,param=value` for a template, `SOURCE/:query=…,time=…` for a query
//! in the asker's own words; no template has an empty name. Parameters are sorted by name, and
//! the characters that separate are escaped inside names and values, so the text is injective.

use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;

use tidegate_wire::number::parse_timestamp_ms;

/// Builds a key from parts.
pub(crate) struct KeyBuilder {
    text: String,
    separator: char,
}

impl KeyBuilder {
    /// `template` is empty for a query in the asker's own words.
    pub(crate) fn new(source: &str, template: &str) -> Self {
        let mut text = String::with_capacity(source.len() + template.len() + 32);
        text.push_str(source);
        text.push('/');
        text.push_str(template);
        Self {
            text,
            separator: ':',
        }
    }

    /// Adds a parameter. The caller adds them in a canonical order.
    pub(crate) fn param(&mut self, name: &str, value: &str) {
        self.text.push(self.separator);
        self.separator = ',';
        push_escaped(&mut self.text, name);
        self.text.push('=');
        push_escaped(&mut self.text, value);
    }

    pub(crate) fn finish(self) -> Arc<str> {
        self.text.into()
    }
}

/// What the keys of range questions have in common that differ in their windows alone: the key of
/// one, up to where its window begins. An escaped text never reads so.
pub(crate) fn stem(key: &str) -> Option<&str> {
    key.rfind(",@start=").map(|at| &key[..at])
}

/// The key of a table of extents.
pub(crate) fn table(stem: &str, phase_ms: i64) -> Arc<str> {
    format!("{stem},@phase={phase_ms}ms").into()
}

/// The key of the table that serves a range question, by its own key; `None` where it is none.
pub(crate) fn table_of(key: &str) -> Option<Arc<str>> {
    if stem_of_table(key).is_some() {
        return Some(key.into());
    }
    let stem = stem(key)?;
    let window = key.get(stem.len()..)?.strip_prefix(",@start=")?;
    let start_ms = parse_timestamp_ms(window.split(',').next()?).ok()?;
    let step = &stem[stem.rfind("@step=")? + "@step=".len()..];
    let step_ms = parse_timestamp_ms(step).ok()?;
    Some(table(stem, start_ms.checked_rem_euclid(step_ms)?))
}

/// The stem of the keys that a table serves.
pub(crate) fn stem_of_table(table: &str) -> Option<&str> {
    table.rfind(",@phase=").map(|at| &table[..at])
}

fn push_escaped(text: &mut String, part: &str) {
    for character in part.chars() {
        if matches!(character, ',' | '=' | '\\') {
            text.push('\\');
        }
        text.push(character);
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;
    use alloc::vec::Vec;

    use proptest::prelude::*;

    use super::*;

    fn key(source: &str, template: &str, params: &[(String, String)]) -> Arc<str> {
        let mut builder = KeyBuilder::new(source, template);
        for (name, value) in params {
            builder.param(name, value);
        }
        builder.finish()
    }

    #[test]
    fn keys_read_as_the_question() {
        let params = [("modelID", "llama-8b"), ("namespace", "default")];
        let params: Vec<_> = params
            .iter()
            .map(|(n, v)| (n.to_string(), v.to_string()))
            .collect();
        assert_eq!(
            &*key("prom", "kv_cache", &params),
            "prom/kv_cache:modelID=llama-8b,namespace=default"
        );
    }

    proptest! {
        #[test]
        fn two_questions_never_share_a_key(
            a in prop::collection::vec(("[a=,\\\\:]{0,3}", "[a=,\\\\:]{0,3}"), 0..3),
            b in prop::collection::vec(("[a=,\\\\:]{0,3}", "[a=,\\\\:]{0,3}"), 0..3),
            s in "[ab]", t in "[ab]?", u in "[ab]?",
        ) {
            prop_assert_eq!(key(&s, &t, &a) == key(&s, &u, &b), (&t, &a) == (&u, &b));
        }
    }
}
