//! How far past its own instants a query looks, and whether a point depends on the window at all.
//!
//! Told from the tokens alone, and so that a doubt errs on the side of looking further: what is
//! taken for an offset and is none makes fewer points settled, never more.

use tidegate_wire::number::{parse_duration_ms, parse_float};

use crate::promql::{Token, TokenKind, lex};

/// What the points of a query's answer depend on beside their own instant and the past.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reach {
    /// The sum of all negative offsets in milliseconds: no part of the query looks further ahead.
    ahead_ms: i64,
    /// The latest instant that an `@` names, in milliseconds.
    pinned_ms: Option<i64>,
}

impl Reach {
    /// The reach of a query; `None` where a point depends on the window it is asked in, as with
    /// `@ start()`, or where that cannot be told.
    pub(crate) fn of(query: &str) -> Option<Self> {
        /// Functions of the window, and of series in an order that only the source knows.
        const WINDOWED: [&str; 4] = ["start", "end", "range", "limitk"];
        Self::read(query, &WINDOWED)
    }

    /// The reach of a query as a whole, whatever its points have to do with each other; `None`
    /// where it cannot be told.
    pub(crate) fn of_whole(query: &str) -> Option<Self> {
        Self::read(query, &[])
    }

    /// `None` where one of these words stands.
    fn read(query: &str, windowed: &[&str]) -> Option<Self> {
        /// Looks ahead by the source's own look-back.
        const AHEAD: &str = "smoothed";
        let tokens = lex(query, false).ok()?;
        let mut reach = Self {
            ahead_ms: 0,
            pinned_ms: None,
        };
        let mut braces = 0usize;
        for (at, token) in tokens.iter().enumerate() {
            let rest = &tokens[at + 1..];
            let text = &query[token.at.clone()];
            match (token.kind, text) {
                (TokenKind::Sign, "{") => braces += 1,
                (TokenKind::Sign, "}") => braces = braces.saturating_sub(1),
                (TokenKind::Sign, "@") => reach.pin(query, rest)?,
                (TokenKind::Word, _) if braces > 0 => {}
                (TokenKind::Word, word) if word.eq_ignore_ascii_case("offset") => {
                    reach.look(query, rest)?;
                }
                (TokenKind::Word, word) => {
                    let is = |known: &&str| word.eq_ignore_ascii_case(known);
                    if is(&AHEAD) || windowed.iter().any(is) {
                        return None;
                    }
                }
                _ => {}
            }
        }
        Some(reach)
    }

    /// Whether what is said about an instant says nothing about any time after `edge_ms`.
    pub(crate) fn is_settled(&self, at_ms: i64, edge_ms: i64) -> bool {
        at_ms.saturating_add(self.ahead_ms) <= edge_ms && self.is_pinned_before(edge_ms)
    }

    /// The last instant that is settled by `edge_ms`; `None` where none is.
    pub(crate) fn settled_until(&self, edge_ms: i64) -> Option<i64> {
        self.is_pinned_before(edge_ms)
            .then(|| edge_ms.saturating_sub(self.ahead_ms))
    }

    fn is_pinned_before(&self, edge_ms: i64) -> bool {
        self.pinned_ms
            .is_none_or(|pinned| pinned.saturating_add(self.ahead_ms) <= edge_ms)
    }

    /// After `offset`.
    fn look(&mut self, query: &str, rest: &[Token]) -> Option<()> {
        let (negative, literal) = signed(query, rest)?;
        let seconds = || parse_float(literal).ok().map(|seconds| seconds * 1_000.0);
        let ms = match parse_duration_ms(literal) {
            Ok(ms) => ms,
            Err(_) => as_ms(seconds()?)?,
        };
        if negative {
            self.ahead_ms = self.ahead_ms.saturating_add(ms);
        }
        Some(())
    }

    /// After `@`. The edges of a window are no later than itself.
    fn pin(&mut self, query: &str, rest: &[Token]) -> Option<()> {
        let text = |at: usize| rest.get(at).map(|token: &Token| &query[token.at.clone()]);
        if matches!((text(0), text(1)), (Some("start" | "end"), Some("("))) {
            return Some(());
        }
        let (negative, literal) = signed(query, rest)?;
        let ms = as_ms(parse_float(literal).ok()? * 1_000.0)?;
        let ms = if negative { -ms } else { ms };
        self.pinned_ms = Some(self.pinned_ms.map_or(ms, |other| other.max(ms)));
        Some(())
    }
}

/// A number and whether a minus stands before it.
fn signed<'a>(query: &'a str, rest: &[Token]) -> Option<(bool, &'a str)> {
    let text = |token: &Token| &query[token.at.clone()];
    let (negative, rest) = match rest {
        [sign, rest @ ..] if text(sign) == "-" => (true, rest),
        [sign, rest @ ..] if text(sign) == "+" => (false, rest),
        rest => (false, rest),
    };
    let number = rest
        .first()
        .filter(|token| token.kind == TokenKind::Number)?;
    (!goes_on(query, rest)).then_some((negative, text(number)))
}

/// Whether a duration may go on behind its first number: in newer PromQL it may be `5m + 2 * 1m`.
fn goes_on(query: &str, rest: &[Token]) -> bool {
    let text = |at: usize| rest.get(at).map(|token: &Token| &query[token.at.clone()]);
    let is_operator = matches!(text(1), Some("+" | "-" | "*" | "/" | "%" | "^"));
    let is_operand = match rest.get(2).map(|token| token.kind) {
        Some(TokenKind::Word) => matches!(text(2), Some("step" | "min" | "max")),
        Some(_) => text(2) != Some("{"),
        None => false,
    };
    is_operator && is_operand
}

/// Whole milliseconds, up where there is a fraction.
fn as_ms(ms: f64) -> Option<i64> {
    const MS_MAX: f64 = (1i64 << 53) as f64;
    let whole = ms as i64;
    let up = i64::from((whole as f64) < ms);
    (ms.abs() <= MS_MAX).then_some(whole + up)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reach(query: &str) -> Option<(i64, Option<i64>)> {
        Reach::of(query).map(|reach| (reach.ahead_ms, reach.pinned_ms))
    }

    #[test]
    fn a_query_about_the_past_reaches_nowhere() {
        for query in [
            "up",
            "rate(http_requests_total[5m] offset 1h)",
            "sum by (job) (rate(x[1m])) / 2 # offset -5m",
            "time() - timestamp(up)",
            "day_of_week()",
            "max_over_time(rate(x[1m])[1h:15s])",
            r#"up{offset="-5m", x="a @ 7 offset -5m"}"#,
            "up{end='x', `start`=~'@'}",
        ] {
            assert_eq!(reach(query), Some((0, None)), "{query}");
        }
    }

    #[test]
    fn negative_offsets_add_up() {
        assert_eq!(reach("up offset -5m"), Some((300_000, None)));
        assert_eq!(reach("up OFFSET - 1m30s"), Some((90_000, None)));
        assert_eq!(
            reach("max_over_time(up[5m:1m] offset -1h) + (up offset -1s)"),
            Some((3_601_000, None))
        );
        assert_eq!(reach("up offset 1h - up offset -1m"), Some((60_000, None)));
    }

    #[test]
    fn the_latest_pin_counts() {
        assert_eq!(reach("up @ 1.5"), Some((0, Some(1_500))));
        assert_eq!(reach("up @ -2 + up @ 1e3"), Some((0, Some(1_000_000))));
        assert_eq!(reach("up @ 10 offset -5m"), Some((300_000, Some(10_000))));
        let pinned = Reach::of("up @ 10 offset -1s").unwrap();
        assert_eq!(pinned.settled_until(10_999), None);
        assert_eq!(pinned.settled_until(11_000), Some(10_000));
        assert!(pinned.is_settled(10_000, 11_000) && !pinned.is_settled(10_001, 11_000));
    }

    #[test]
    fn what_depends_on_the_window_or_cannot_be_told_has_no_reach() {
        for query in [
            "up @ start()",
            "up @ end()",
            "rate(x[range()])",
            "up offset (5m)",
            "up offset step()",
            "up offset -5m*2",
            "up offset 1h-2h",
            "up offset 1h-step()",
            "up @ 5m",
            "limitk(3, up)",
            "rate(x[5m] smoothed)",
            "up @ NaN",
            "up $",
            "\"open",
            "offset",
        ] {
            assert_eq!(reach(query), None, "{query}");
        }
        let whole = |query| Reach::of_whole(query).map(|reach| reach.is_settled(5, 5));
        assert_eq!(whole("up @ end()"), Some(true));
        assert_eq!(whole("up @ end() offset -1s"), Some(false));
        assert_eq!(whole("rate(x[5m] smoothed)"), None);
    }
}
