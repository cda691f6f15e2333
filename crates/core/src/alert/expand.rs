//! Annotations: texts in which `{{ $value }}` and `{{ $labels.name }}` stand for what set an alert
//! off. As in Prometheus' templates, but for these two no more of them.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use tidegate_series::{Labels, is_label_name};
use tidegate_wire::number::write_float;

/// Placeholders in one text: each may become as long as a label's value.
const PLACEHOLDERS_MAX: usize = 32;

/// What may stand between the braces.
enum Placeholder<'a> {
    Value,
    Label(&'a str),
}

impl<'a> Placeholder<'a> {
    fn read(text: &'a str) -> Option<Self> {
        match text.trim().strip_prefix('$')? {
            "value" => Some(Self::Value),
            text => {
                let name = text.strip_prefix("labels.")?;
                is_label_name(name).then_some(Self::Label(name))
            }
        }
    }
}

/// Says what is wrong with a text, if anything is.
pub(super) fn check(text: &str) -> Result<(), String> {
    let mut rest = text;
    let mut placeholders = 0;
    while let Some((_, after)) = rest.split_once("{{") {
        let (inner, after) = after
            .split_once("}}")
            .ok_or_else(|| "\"{{\" has no \"}}\"".to_owned())?;
        if Placeholder::read(inner).is_none() {
            return Err(format!(
                "{{{{{inner}}}}} is not known: write {{{{ $value }}}} or {{{{ $labels.name }}}}"
            ));
        }
        placeholders += 1;
        rest = after;
    }
    if placeholders > PLACEHOLDERS_MAX {
        return Err(format!(
            "{placeholders} placeholders, at most {PLACEHOLDERS_MAX} are taken"
        ));
    }
    Ok(())
}

/// The text of an alert. A label that the series does not have is empty.
pub(super) fn expand(text: &str, series: &Labels, value: f64) -> String {
    let mut expanded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, (inner, after))) = rest
        .split_once("{{")
        .and_then(|(before, after)| Some((before, after.split_once("}}")?)))
    {
        expanded.push_str(before);
        match Placeholder::read(inner) {
            Some(Placeholder::Value) => expanded.push_str(&number(value)),
            Some(Placeholder::Label(name)) => {
                expanded.push_str(series.value(name).unwrap_or_default());
            }
            None => {}
        }
        rest = after;
    }
    expanded.push_str(rest);
    expanded
}

/// A value as Prometheus writes samples.
pub(super) fn number(value: f64) -> String {
    let mut out = Vec::new();
    write_float(value, &mut out);
    String::from_utf8(out).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_and_labels_stand_in_for_placeholders() {
        let series = Labels::from_pairs([("__name__", "x"), ("zone", "{{$value}}")]).unwrap();
        let said = |text: &str| {
            assert_eq!(check(text), Ok(()));
            expand(text, &series, 2.5)
        };
        assert_eq!(said("plain } text"), "plain } text");
        assert_eq!(
            said("{{ $labels.zone }} is at {{$value}}{{ $labels.none }}!"),
            "{{$value}} is at 2.5!"
        );
    }

    #[test]
    fn what_cannot_be_filled_in_is_refused() {
        for wrong in [
            "{{",
            "{{ $value",
            "{{ value }}",
            "{{ $labels.a-b }}",
            "{{}}",
        ] {
            assert!(check(wrong).is_err(), "{wrong}");
        }
        assert_eq!(check(&"{{$value}}".repeat(32)), Ok(()));
        let many = check(&"{{$value}}".repeat(33)).unwrap_err();
        assert_eq!(many, "33 placeholders, at most 32 are taken");
    }
}
