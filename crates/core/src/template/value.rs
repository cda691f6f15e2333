//! Writes values into places, escaped or checked as each place demands.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;

use tidegate_series::{MatchOp, Matcher, is_label_name, is_metric_name};
use tidegate_wire::number::parse_duration_ms;

use super::Place;
use crate::ParamType;

/// A value's length: what Prometheus' own limits allow for a label is far shorter.
const VALUE_BYTES_MAX: usize = 4_096;

/// Writes a value into its place, or says why it may not stand there.
pub(super) fn push_value(query: &mut String, place: Place, value: &str) -> Result<(), String> {
    if value.len() > VALUE_BYTES_MAX {
        return Err(format!(
            "it has {} bytes, at most {VALUE_BYTES_MAX} are taken",
            value.len()
        ));
    }
    match place {
        Place::Quoted { quote } => push_quoted(query, quote, value),
        Place::Regex { quote, alone } => {
            // Checked alone, so that its groups cannot close those of the template.
            Matcher::new("value", MatchOp::Regex, value).map_err(|error| format!("{error}"))?;
            if alone {
                push_quoted(query, quote, value)
            } else {
                query.push_str("(?:");
                push_quoted(query, quote, value)?;
                query.push(')');
                Ok(())
            }
        }
        Place::Literal { quote } => push_quoted(query, quote, &regex_literal(value)),
        Place::Duration => {
            parse_duration_ms(value)
                .map_err(|error| format!("it must be a duration such as 5m: {error}"))?;
            query.push_str(value);
            Ok(())
        }
        Place::Instant => push_if(query, is_number(value), value, "it must be a number"),
        Place::Declared(ParamType::Label) => push_if(
            query,
            is_label_name(value),
            value,
            "it must be a label name",
        ),
        Place::Declared(ParamType::Metric) => {
            let fits = is_metric_name(value) && !is_reserved(value);
            push_if(
                query,
                fits,
                value,
                "it must be a metric name, and no word of PromQL's own",
            )
        }
        // In parentheses a sign binds to the number, whatever stands around it.
        Place::Declared(ParamType::Number) if value.starts_with(['-', '+']) => push_if(
            query,
            is_number(value),
            &format!("({value})"),
            "it must be a number",
        ),
        Place::Declared(ParamType::Number) => {
            push_if(query, is_number(value), value, "it must be a number")
        }
    }
}

fn push_if(query: &mut String, fits: bool, value: &str, why: &str) -> Result<(), String> {
    if !fits {
        return Err(why.to_owned());
    }
    query.push_str(value);
    Ok(())
}

fn push_quoted(query: &mut String, quote: u8, value: &str) -> Result<(), String> {
    if quote == b'`' {
        let fits = !value.contains(['`', '\r']);
        return push_if(
            query,
            fits,
            value,
            "it has a backtick or carriage return, which a string in backticks cannot hold",
        );
    }
    for character in value.chars() {
        match character {
            '\\' => query.push_str("\\\\"),
            '\n' => query.push_str("\\n"),
            '\r' => query.push_str("\\r"),
            '\t' => query.push_str("\\t"),
            _ if u32::from(character) == u32::from(quote) => {
                query.push('\\');
                query.push(character);
            }
            _ if character.is_control() => {
                query.push_str(&format!("\\u{:04x}", u32::from(character)))
            }
            _ => query.push(character),
        }
    }
    Ok(())
}

/// The regular expression that matches exactly this text, in RE2's syntax.
pub(super) fn regex_literal(value: &str) -> String {
    let mut literal = String::with_capacity(value.len() + 8);
    for character in value.chars() {
        if "\\.+*?()|[]{}^$".contains(character) {
            literal.push('\\');
        }
        literal.push(character);
    }
    literal
}

/// `[+-]` digits with at most one point, and an exponent: no words, no hex.
fn is_number(value: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let unsigned = value.strip_prefix(['-', '+']).unwrap_or(value);
    let (mantissa, exponent) = unsigned
        .split_once(['e', 'E'])
        .map_or((unsigned, None), |(m, e)| (m, Some(e)));
    let mantissa_fits = match mantissa.split_once('.') {
        None => digits(mantissa),
        Some((whole, fraction)) => {
            (digits(whole) && (fraction.is_empty() || digits(fraction)))
                || (whole.is_empty() && digits(fraction))
        }
    };
    mantissa_fits
        && exponent
            .is_none_or(|exponent| digits(exponent.strip_prefix(['-', '+']).unwrap_or(exponent)))
}

/// Words that PromQL reads as something else than a metric, in any case.
fn is_reserved(word: &str) -> bool {
    const WORDS: [&str; 31] = [
        "and",
        "or",
        "unless",
        "atan2",
        "by",
        "without",
        "on",
        "ignoring",
        "group_left",
        "group_right",
        "offset",
        "bool",
        "start",
        "end",
        "inf",
        "nan",
        "step",
        "sum",
        "avg",
        "min",
        "max",
        "group",
        "stddev",
        "stdvar",
        "count",
        "count_values",
        "bottomk",
        "topk",
        "quantile",
        "limitk",
        "limit_ratio",
    ];
    WORDS
        .iter()
        .any(|reserved| word.eq_ignore_ascii_case(reserved))
}
