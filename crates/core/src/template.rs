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

use tidegate_series::{is_label_name, is_metric_name};

use crate::promql::SyntaxError;
use crate::{ParamType, TemplateConfig, TemplateKind};

mod error;
mod reader;
mod value;

pub use error::{BindError, TemplateError};
use reader::Reader;
use value::push_value;

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

    /// The names of the parameters it uses, sorted; none for a metric that takes any label.
    pub fn params(&self) -> impl ExactSizeIterator<Item = &str> {
        self.params.iter().map(String::as_str)
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

#[cfg(test)]
mod tests {
    use alloc::string::ToString;
    use alloc::vec;

    use proptest::prelude::*;
    use tidegate_series::{MatchOp, Matcher};

    use super::value::regex_literal;
    use super::*;
    use crate::ParamConfig;
    use crate::promql::{Token, TokenKind, lex, unquote};

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
