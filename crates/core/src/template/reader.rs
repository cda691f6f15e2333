//! Reads the text of a PromQL template: which parameter stands where, and in what kind of place.

use alloc::borrow::ToOwned;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use tidegate_series::is_label_name;

use super::{Piece, Place, TemplateError};
use crate::promql::{SyntaxError, TokenKind, end_of_placeholder, lex};
use crate::{ParamType, TemplateConfig};

/// Reads the text of a PromQL template into pieces.
pub(super) struct Reader<'a> {
    pub(super) config: &'a TemplateConfig,
    pub(super) declared: &'a BTreeMap<String, ParamType>,
}

impl Reader<'_> {
    pub(super) fn pieces(&self) -> Result<Vec<Piece>, TemplateError> {
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
