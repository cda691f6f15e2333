//! Registered queries: where each parameter stands, and how a value may stand there.
//!
//! A template is read once, by the lexer of PromQL; every `{{.name}}` gets the kind of its place.
//! Binding writes values into places and never reads the result again, so a value that looks like
//! a parameter, a quote or an operator stays a value. The invariant: whatever the values, the
//! bound query has the tokens of the template, with each parameter as part of one string, one
//! duration, one name or one number.

use alloc::borrow::ToOwned;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use tidegate_series::{MatchOp, Matcher, is_label_name, is_metric_name};
use tidegate_wire::number::parse_duration_ms;

use crate::promql::{SyntaxError, TokenKind, end_of_placeholder, lex};
use crate::{ParamType, TemplateConfig, TemplateKind};

/// A value's length: what Prometheus' own limits allow for a label is far shorter.
const VALUE_BYTES_MAX: usize = 4_096;

/// A parsed template.
#[derive(Clone, Debug)]
pub struct Template {
    config: TemplateConfig,
    pieces: Vec<Piece>,
    /// The parameters that matter, sorted; for a metric that declares none, all that are given do.
    params: BTreeSet<String>,
}

#[derive(Clone, Debug)]
enum Piece {
    Text(String),
    Param { name: String, place: Place },
}

/// Where a parameter stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// In a string in these quotes, as itself.
    Quoted { quote: u8 },
    /// In the string of a regex matcher. `alone`: nothing else stands in the string.
    Regex { quote: u8, alone: bool },
    /// In the string of a regex matcher, its metacharacters quoted.
    Literal { quote: u8 },
    /// In brackets or after `offset`.
    Duration,
    /// After `@`.
    Instant,
    /// Elsewhere, declared.
    Declared(ParamType),
}

impl Template {
    /// Reads a template.
    ///
    /// # Errors
    /// A text that is not PromQL as far as tokens go, a parameter that is malformed or whose type
    /// is needed and not declared.
    pub fn parse(config: &TemplateConfig) -> Result<Self, TemplateError> {
        let declared = declared_params(config)?;
        let (pieces, params) = match config.kind {
            TemplateKind::Metric => {
                if !is_metric_name(&config.text) {
                    let error =
                        SyntaxError::new(format!("{:?} is not a metric name", config.text), 0);
                    return Err(TemplateError::syntax(config, error));
                }
                (Vec::new(), declared.keys().cloned().collect())
            }
            TemplateKind::PromQl => {
                let pieces = Reader {
                    config,
                    declared: &declared,
                }
                .pieces()?;
                let used = pieces.iter().filter_map(|piece| match piece {
                    Piece::Param { name, .. } => Some(name.clone()),
                    Piece::Text(_) => None,
                });
                let used = used.collect();
                (pieces, used)
            }
        };
        Ok(Self {
            config: config.clone(),
            pieces,
            params,
        })
    }

    /// What it was made from.
    pub fn config(&self) -> &TemplateConfig {
        &self.config
    }

    /// Of `given`, the parameters that matter to this template, by name; the others are ignored.
    pub fn relevant<'a>(
        &'a self,
        given: &'a BTreeMap<String, String>,
    ) -> impl Iterator<Item = (&'a str, &'a str)> {
        let all = self.config.kind == TemplateKind::Metric && self.params.is_empty();
        given
            .iter()
            .filter(move |(name, _)| all || self.params.contains(*name))
            .map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Writes values into their places. Parameters that the template does not use are ignored. A
    /// metric gets a matcher for each declared parameter that is given, or, where it declares
    /// none, for each that is given.
    ///
    /// # Errors
    /// A missing parameter, or a value that may not stand where it would; both name the parameter.
    pub fn bind(&self, given: &BTreeMap<String, String>) -> Result<String, BindError> {
        match self.config.kind {
            TemplateKind::Metric => self.bind_metric(given),
            TemplateKind::PromQl => self.bind_promql(given),
        }
    }

    fn bind_metric(&self, given: &BTreeMap<String, String>) -> Result<String, BindError> {
        let mut query = self.config.text.clone();
        let mut separator = '{';
        for (name, value) in self.relevant(given) {
            if !is_label_name(name) {
                return Err(self.bad_value(
                    name,
                    name,
                    "a metric's parameters are labels, and this is not a label name",
                ));
            }
            query.push(separator);
            separator = ',';
            query.push_str(name);
            query.push_str("=\"");
            push_value(&mut query, Place::Quoted { quote: b'"' }, value)
                .map_err(|why| self.bad_value(name, value, why))?;
            query.push('"');
        }
        if separator == ',' {
            query.push('}');
        }
        Ok(query)
    }

    fn bind_promql(&self, given: &BTreeMap<String, String>) -> Result<String, BindError> {
        let mut query = String::with_capacity(self.config.text.len() + 64);
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => query.push_str(text),
                Piece::Param { name, place } => {
                    let value = given.get(name).ok_or_else(|| BindError::Missing {
                        template: self.config.name.clone(),
                        param: name.clone(),
                    })?;
                    push_value(&mut query, *place, value)
                        .map_err(|why| self.bad_value(name, value, why))?;
                }
            }
        }
        Ok(query)
    }

    fn bad_value(&self, param: &str, value: &str, why: impl Into<String>) -> BindError {
        BindError::BadValue {
            template: self.config.name.clone(),
            param: param.to_owned(),
            value: excerpt(value),
            why: why.into(),
        }
    }
}

/// Enough of a value to recognise it.
fn excerpt(value: &str) -> String {
    const CHARACTERS_MAX: usize = 80;
    let mut short: String = value.chars().take(CHARACTERS_MAX).collect();
    if short.len() < value.len() {
        short.push('…');
    }
    short
}

fn declared_params(config: &TemplateConfig) -> Result<BTreeMap<String, ParamType>, TemplateError> {
    let mut declared = BTreeMap::new();
    for param in &config.params {
        if !is_label_name(&param.name) {
            let error = SyntaxError::new(format!("{:?} is not a parameter name", param.name), 0);
            return Err(TemplateError::syntax(config, error));
        }
        if declared.insert(param.name.clone(), param.kind).is_some() {
            let error =
                SyntaxError::new(format!("parameter {:?} is declared twice", param.name), 0);
            return Err(TemplateError::syntax(config, error));
        }
    }
    Ok(declared)
}

/// Reads the text of a PromQL template into pieces.
struct Reader<'a> {
    config: &'a TemplateConfig,
    declared: &'a BTreeMap<String, ParamType>,
}

impl Reader<'_> {
    fn pieces(&self) -> Result<Vec<Piece>, TemplateError> {
        let text = &*self.config.text;
        let tokens = lex(text, true).map_err(|error| TemplateError::syntax(self.config, error))?;
        if tokens.is_empty() {
            return Err(self.wrong("the text is empty", 0));
        }
        let mut pieces = Vec::new();
        let mut written = 0;
        let mut brackets = 0usize;
        for (index, token) in tokens.iter().enumerate() {
            let before = |back: usize| {
                index
                    .checked_sub(back)
                    .map(|at| &text[tokens[at].at.clone()])
            };
            match token.kind {
                TokenKind::Sign => match &text[token.at.clone()] {
                    "[" => brackets += 1,
                    "]" => brackets = brackets.saturating_sub(1),
                    _ => {}
                },
                TokenKind::Placeholder => {
                    self.refuse_glue(token.at.start, token.at.end)?;
                    let (name, literal) = self.placeholder(token.at.start, token.at.end)?;
                    if literal {
                        return Err(self.wrong(
                            "\"| literal\" belongs into the string of a regex matcher",
                            token.at.start,
                        ));
                    }
                    let is_offset = |word: Option<&str>| {
                        word.is_some_and(|word| word.eq_ignore_ascii_case("offset"))
                    };
                    let place = if brackets > 0
                        || is_offset(before(1))
                        || before(1) == Some("-") && is_offset(before(2))
                    {
                        Place::Duration
                    } else {
                        self.declared_place(&name, before(1) == Some("@"), token.at.start)?
                    };
                    pieces.push(Piece::Text(text[written..token.at.start].to_owned()));
                    pieces.push(Piece::Param { name, place });
                    written = token.at.end;
                }
                TokenKind::Text => {
                    let regex = matches!(before(1), Some("=~" | "!~"));
                    written =
                        self.string(token.at.start, token.at.end, regex, written, &mut pieces)?;
                }
                TokenKind::Word | TokenKind::Number => {}
            }
        }
        pieces.push(Piece::Text(text[written..].to_owned()));
        Ok(pieces)
    }

    /// The placeholders of one string literal; says up to where the text is written.
    fn string(
        &self,
        start: usize,
        end: usize,
        regex: bool,
        mut written: usize,
        pieces: &mut Vec<Piece>,
    ) -> Result<usize, TemplateError> {
        let text = &*self.config.text;
        let quote = text.as_bytes()[start];
        let mut from = start + 1;
        while let Some(found) = text[from..end - 1].find("{{.") {
            let at = from + found;
            let close = end_of_placeholder(&text[..end - 1], at)
                .map_err(|error| TemplateError::syntax(self.config, error))?;
            if is_escaped(&text.as_bytes()[start + 1..at]) && quote != b'`' {
                return Err(self.wrong(
                    "a backslash stands before the parameter and would swallow its first character",
                    at,
                ));
            }
            let (name, literal) = self.placeholder(at, close)?;
            let place = match (regex, literal) {
                (false, false) => Place::Quoted { quote },
                (true, false) => Place::Regex {
                    quote,
                    alone: at == start + 1 && close == end - 1,
                },
                (true, true) => Place::Literal { quote },
                (false, true) => {
                    return Err(self.wrong(
                        "\"| literal\" belongs into the string of a regex matcher",
                        at,
                    ));
                }
            };
            pieces.push(Piece::Text(text[written..at].to_owned()));
            pieces.push(Piece::Param { name, place });
            written = close;
            from = close;
        }
        Ok(written)
    }

    /// The name in `{{.name}}`, and whether `| literal` follows it.
    fn placeholder(&self, start: usize, end: usize) -> Result<(String, bool), TemplateError> {
        let inner = self.config.text[start + 3..end - 2].trim();
        let (name, literal) = match inner.split_once('|') {
            None => (inner, false),
            Some((name, filter)) if filter.trim() == "literal" => (name.trim_end(), true),
            Some((_, filter)) => {
                return Err(self.wrong(
                    &format!(
                        "unknown filter {:?}, there is only \"literal\"",
                        filter.trim()
                    ),
                    start,
                ));
            }
        };
        if !is_label_name(name) {
            return Err(self.wrong(&format!("{name:?} is not a parameter name"), start));
        }
        Ok((name.to_owned(), literal))
    }

    /// A value must be a token of its own, or its neighbours would change what it is.
    fn refuse_glue(&self, start: usize, end: usize) -> Result<(), TemplateError> {
        let bytes = self.config.text.as_bytes();
        let clings =
            |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'{' | b'}');
        let before = start
            .checked_sub(1)
            .and_then(|at| bytes.get(at))
            .filter(|&&byte| byte != b'{' && byte != b'}');
        let after = bytes
            .get(end)
            .filter(|&&byte| byte != b'{' && byte != b'}' || bytes[end..].starts_with(b"{{."));
        if before.is_some_and(clings) || after.is_some_and(clings) {
            return Err(self.wrong("a parameter must not cling to other text: leave a space, or make the whole a parameter", start));
        }
        Ok(())
    }

    fn declared_place(
        &self,
        name: &str,
        after_at: bool,
        position: usize,
    ) -> Result<Place, TemplateError> {
        match (self.declared.get(name), after_at) {
            (Some(ParamType::Number), true) => Ok(Place::Instant),
            (Some(other), true) => {
                let message = format!(
                    "after \"@\" parameter {name:?} must be a number, it is declared {}",
                    other.as_str()
                );
                Err(self.wrong(&message, position))
            }
            (Some(&kind), false) => Ok(Place::Declared(kind)),
            (None, _) => Err(TemplateError::Undeclared {
                template: self.config.name.clone(),
                param: name.to_owned(),
                position,
            }),
        }
    }

    fn wrong(&self, message: &str, position: usize) -> TemplateError {
        TemplateError::syntax(self.config, SyntaxError::new(message, position))
    }
}

/// Whether what follows these bytes of a string is escaped.
fn is_escaped(bytes: &[u8]) -> bool {
    bytes
        .iter()
        .rev()
        .take_while(|&&byte| byte == b'\\')
        .count()
        % 2
        == 1
}

/// Writes a value into its place, or says why it may not stand there.
fn push_value(query: &mut String, place: Place, value: &str) -> Result<(), String> {
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
fn regex_literal(value: &str) -> String {
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

/// What is wrong with a template; its author is to blame.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TemplateError {
    /// Its name has other characters than names may have, or none.
    BadName {
        /// The name given.
        name: String,
    },
    /// Two templates of one source share a name.
    Duplicate {
        /// The name.
        name: String,
    },
    /// Its text is wrong.
    Syntax {
        /// The template.
        template: String,
        /// What is wrong.
        message: String,
        /// Where in the text, as a byte offset from 0.
        position: usize,
    },
    /// A parameter stands where its type must be known.
    Undeclared {
        /// The template.
        template: String,
        /// The parameter.
        param: String,
        /// Where in the text, as a byte offset from 0.
        position: usize,
    },
}

impl TemplateError {
    fn syntax(config: &TemplateConfig, error: SyntaxError) -> Self {
        Self::Syntax {
            template: config.name.clone(),
            message: error.message,
            position: error.position,
        }
    }
}

impl fmt::Display for TemplateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BadName { name } => write!(
                f,
                "bad template name {name:?}: use letters, digits, '_', '-' and '.'"
            ),
            Self::Duplicate { name } => write!(f, "two templates are named {name:?}"),
            Self::Syntax {
                template,
                message,
                position,
            } => {
                write!(
                    f,
                    "template {template}, character {}: {message}",
                    position + 1
                )
            }
            Self::Undeclared {
                template,
                param,
                position,
            } => write!(
                f,
                "template {template}, character {}: parameter {param:?} stands outside of strings and durations, \
                 so declare it as metric, label or number",
                position + 1
            ),
        }
    }
}

impl core::error::Error for TemplateError {}

/// Why values do not fit a template; whoever gave them is to blame.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BindError {
    /// A parameter has no value.
    Missing {
        /// The template.
        template: String,
        /// The parameter.
        param: String,
    },
    /// A value may not stand where it would.
    BadValue {
        /// The template.
        template: String,
        /// The parameter.
        param: String,
        /// The value, shortened if long.
        value: String,
        /// What is wrong with it.
        why: String,
    },
}

impl fmt::Display for BindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing { template, param } => {
                write!(f, "template {template} needs parameter {param:?}")
            }
            Self::BadValue {
                template,
                param,
                value,
                why,
            } => {
                write!(
                    f,
                    "template {template}, parameter {param:?}: {value:?} does not fit: {why}"
                )
            }
        }
    }
}

impl core::error::Error for BindError {}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;
    use alloc::vec;

    use proptest::prelude::*;

    use super::*;
    use crate::ParamConfig;
    use crate::promql::{Token, unquote};

    fn template(text: &str) -> Template {
        Template::parse(&config(text)).unwrap_or_else(|error| panic!("{error}"))
    }

    fn config(text: &str) -> TemplateConfig {
        let param = |name: &str, kind| ParamConfig {
            name: name.into(),
            kind,
        };
        TemplateConfig {
            name: "t".into(),
            text: text.into(),
            params: vec![
                param("m", ParamType::Metric),
                param("l", ParamType::Label),
                param("n", ParamType::Number),
            ],
            ..TemplateConfig::default()
        }
    }

    fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs
            .iter()
            .map(|(name, value)| (name.to_string(), value.to_string()))
            .collect()
    }

    fn bound(text: &str, pairs: &[(&str, &str)]) -> String {
        template(text).bind(&map(pairs)).unwrap()
    }

    #[test]
    fn a_value_is_escaped_for_the_place_it_stands_in() {
        let hostile = [("x", r#"a"} or b{c='\"#)];
        assert_eq!(
            bound(r#"up{a="{{.x}}"}"#, &hostile),
            r#"up{a="a\"} or b{c='\\"}"#
        );
        assert_eq!(
            bound("up{a='{{.x}}'}", &hostile),
            r#"up{a='a"} or b{c=\'\\'}"#
        );
        assert_eq!(
            bound("up{a=~\"x-{{.x}}\"}", &[("x", "a|b")]),
            "up{a=~\"x-(?:a|b)\"}"
        );
        assert_eq!(
            bound("up{a=~\"{{.x}}\"}", &[("x", "a|b\\d")]),
            "up{a=~\"a|b\\\\d\"}"
        );
        assert_eq!(
            bound("up{a=~\"{{.x | literal}}\"}", &[("x", "a|b.c")]),
            "up{a=~\"a\\\\|b\\\\.c\"}"
        );
        assert_eq!(
            bound("rate(up[{{.d}}] offset {{.d}})", &[("d", "1h30m")]),
            "rate(up[1h30m] offset 1h30m)"
        );
        assert_eq!(
            bound(
                "sum by ({{.l}}) ({{.m}}) > {{.n}}",
                &[("l", "pod"), ("m", "up"), ("n", "-1.5e3")]
            ),
            "sum by (pod) (up) > (-1.5e3)"
        );
        assert_eq!(
            bound(
                "{{.m}}{a=`{{.x}}`} @ {{.n}}",
                &[("m", "up"), ("x", "\\"), ("n", "-5")]
            ),
            "up{a=`\\`} @ -5"
        );
    }

    #[test]
    fn a_value_is_never_scanned_again() {
        assert_eq!(
            bound(
                "up{a=\"{{.x}}\",b=\"{{.y}}\"}",
                &[("x", "{{.y}}"), ("y", "1")]
            ),
            "up{a=\"{{.y}}\",b=\"1\"}"
        );
    }

    #[test]
    fn a_value_that_would_change_the_shape_is_refused_by_name() {
        for (text, value) in [
            ("up{a=~\"{{.x}}\"}", "a)|(b"),
            ("up{a=~\"{{.x}}\"}", "("),
            ("up{a=`{{.x}}`}", "`"),
            ("up[{{.x}}]", "5m] or up[5m"),
            ("up[{{.x}}]", ""),
            ("up offset {{.x}}", "five"),
        ] {
            let error = template(text).bind(&map(&[("x", value)])).unwrap_err();
            assert!(
                matches!(&error, BindError::BadValue { param, .. } if param == "x"),
                "{text} {value}: {error}"
            );
        }
        for (name, value) in [
            ("m", "a b"),
            ("m", "NaN"),
            ("m", "sum"),
            ("l", "a:b"),
            ("l", ""),
            ("n", "inf"),
            ("n", "0x1"),
            ("n", "1+1"),
            ("n", "-"),
        ] {
            let text = format!("up + {{{{.{name}}}}}");
            assert!(
                template(&text).bind(&map(&[(name, value)])).is_err(),
                "{name}={value}"
            );
        }
    }

    #[test]
    fn a_missing_parameter_is_named_and_an_extra_one_ignored() {
        let error = template("up{a=\"{{.x}}\"}")
            .bind(&map(&[("y", "1")]))
            .unwrap_err();
        assert_eq!(error.to_string(), "template t needs parameter \"x\"");
        assert_eq!(
            bound("up{a=\"{{.x}}\"}", &[("x", "1"), ("y", "2")]),
            "up{a=\"1\"}"
        );
    }

    #[test]
    fn a_metric_gets_matchers_from_its_parameters() {
        let metric = |params| TemplateConfig {
            kind: TemplateKind::Metric,
            text: "up".into(),
            params,
            ..config("")
        };
        let open = Template::parse(&metric(vec![])).unwrap();
        assert_eq!(open.bind(&map(&[])).unwrap(), "up");
        assert_eq!(
            open.bind(&map(&[("pod", "a\"b"), ("job", "c")])).unwrap(),
            "up{job=\"c\",pod=\"a\\\"b\"}"
        );
        let declared = vec![ParamConfig {
            name: "job".into(),
            kind: ParamType::Label,
        }];
        let closed = Template::parse(&metric(declared)).unwrap();
        assert_eq!(
            closed.bind(&map(&[("pod", "a"), ("job", "c")])).unwrap(),
            "up{job=\"c\"}"
        );
    }

    #[test]
    fn a_wrong_template_is_refused_with_its_place() {
        for (text, position) in [
            ("", 0),
            ("up{a=\"{{.x}}", 5),
            ("up{a=\"{{.x y}}\"}", 6),
            ("up{a=\"{{.x | upper}}\"}", 6),
            ("up{a=\"{{.x | literal}}\"}", 6),
            ("up{a=\"\\{{.x}}\"}", 7),
            ("up[{{.d}}m]", 3),
            ("foo_{{.m}}", 4),
            ("{{.m}}{{.m}}", 0),
            ("up @ {{.l}}", 5),
        ] {
            match Template::parse(&config(text)) {
                Err(TemplateError::Syntax {
                    position: found, ..
                }) => assert_eq!(found, position, "{text}"),
                other => panic!("{text}: {other:?}"),
            }
        }
        assert!(matches!(
            Template::parse(&config("up > {{.x}}")),
            Err(TemplateError::Undeclared { position: 5, .. })
        ));
    }

    fn shape(text: &str) -> Vec<(TokenKind, String)> {
        let show = |token: &Token| match token.kind {
            TokenKind::Text | TokenKind::Number => (token.kind, String::new()),
            TokenKind::Word | TokenKind::Placeholder | TokenKind::Sign => {
                (token.kind, text[token.at.clone()].to_string())
            }
        };
        lex(text, false)
            .unwrap_or_else(|error| panic!("{text:?}: {error:?}"))
            .iter()
            .map(show)
            .collect()
    }

    proptest! {
        #[test]
        fn no_value_changes_the_shape_of_a_query(value in "\\PC{0,12}|[\"'`\\\\{}()|\n\r\t\\[\\]$.*+?a-c#,= 0-9mh]{0,12}") {
            for text in [
                "sum(up{a=\"{{.x}}\",b='-{{.x}}-'}) # {end}",
                "up{a=~\"{{.x}}\",b!~'y{{.x}}'} + 1",
                "up{a=~\"{{.x | literal}}\",b=`{{.x}}`}",
                "rate(up[{{.x}}:{{.x}}] offset {{.x}}) > 0",
            ] {
                if let Ok(query) = template(text).bind(&map(&[("x", &value)])) {
                    let sample = text.replace("{{.x | literal}}", "1m").replace("{{.x}}", "1m");
                    prop_assert_eq!(shape(&query), shape(&sample), "{}", query);
                }
            }
        }

        #[test]
        fn a_quoted_value_reads_back_as_itself(value in "\\PC{0,12}|[\"'\\\\\n\r\t\u{7f}\u{0}-\u{1f}a]{0,12}") {
            for (text, from) in [("up{a=\"{{.x}}\"}", 5), ("up{a='{{.x}}'}", 5)] {
                let query = bound(text, &[("x", &value)]);
                prop_assert_eq!(unquote(&query[from..query.len() - 1], 0).unwrap(), value.clone());
            }
        }

        #[test]
        fn a_literal_matches_itself_and_nothing_else(value in "[.+*?()|\\[\\]{}^$\\\\a-c]{0,8}", other in "[.+*?()|\\[\\]{}^$\\\\a-c]{0,8}") {
            let matcher = Matcher::new("a", MatchOp::Regex, &regex_literal(&value)).unwrap();
            prop_assert!(matcher.matches_value(&value));
            prop_assert_eq!(matcher.matches_value(&other), value == other);
        }
    }
}
