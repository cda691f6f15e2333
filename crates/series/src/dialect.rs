//! From the regular expressions of Prometheus (RE2, as Go reads it) to those of the `regex` crate.
//!
//! Both dialects are close; what one and the same pattern would mean differently in them is rewritten here:
//!
//! | pattern | RE2 | rewritten to |
//! |---|---|---|
//! | `\d` `\w` `\s` `\b` and their negations | ASCII only | ASCII classes and boundaries |
//! | `\<` `\>` | the characters | the characters |
//! | `\Q…\E` | literal text | that text, escaped |
//! | `{` that opens no repetition, `{,5}` | the character | `\{` |
//! | `[` `&&` `--` `~~` in a class | the characters | the same, escaped |
//!
//! What only the `regex` crate knows (the flag `x`, say) stays as it is: Prometheus refuses it, so no two answers can
//! differ. Unicode classes (`\pL`) are refused by the engine, whose tables for them are left out.

use alloc::string::String;

/// `pattern` in the dialect of the `regex` crate. Whether it is well-formed is for the engine to say.
pub(crate) fn from_re2(pattern: &str) -> String {
    let mut out = String::with_capacity(pattern.len());
    let mut rest = pattern;
    while let Some(c) = rest.chars().next() {
        rest = match c {
            '\\' => escape(rest, &mut out, false),
            '[' => class(rest, &mut out),
            '{' if !opens_repetition(rest) => {
                out.push_str(r"\{");
                &rest[1..]
            }
            c => {
                out.push(c);
                &rest[c.len_utf8()..]
            }
        };
    }
    out
}

/// Rewrites the escape that `text` starts with, returns what follows it.
fn escape<'a>(text: &'a str, out: &mut String, in_class: bool) -> &'a str {
    let Some(c) = text[1..].chars().next() else {
        out.push('\\');
        return "";
    };
    let rest = &text[1 + c.len_utf8()..];
    match c {
        'd' => out.push_str("[0-9]"),
        'D' => out.push_str("[^0-9]"),
        'w' => out.push_str("[0-9A-Za-z_]"),
        'W' => out.push_str("[^0-9A-Za-z_]"),
        's' => out.push_str(r"[\t\n\x0C\r ]"),
        'S' => out.push_str(r"[^\t\n\x0C\r ]"),
        'b' if !in_class => out.push_str(r"(?-u:\b)"),
        'B' if !in_class => out.push_str(r"(?-u:\B)"),
        'Q' if !in_class => {
            let (literal, rest) = rest.split_once(r"\E").unwrap_or((rest, ""));
            out.push_str(&regex::escape(literal));
            return rest;
        }
        'x' | 'p' | 'P' => {
            out.push('\\');
            out.push(c);
            // The braces belong to the escape.
            let braced = if rest.starts_with('{') {
                rest.find('}').map_or(0, |end| end + 1)
            } else {
                0
            };
            out.push_str(&rest[..braced]);
            return &rest[braced..];
        }
        '<' | '>' => out.push(c),
        c => {
            out.push('\\');
            out.push(c);
        }
    }
    rest
}

/// Rewrites the bracketed class that `text` starts with, returns what follows it.
fn class<'a>(text: &'a str, out: &mut String) -> &'a str {
    out.push('[');
    let mut rest = &text[1..];
    if let Some(negated) = rest.strip_prefix('^') {
        out.push('^');
        rest = negated;
    }
    let mut first = true;
    while let Some(c) = rest.chars().next() {
        if c == ']' && !first {
            out.push(']');
            return &rest[1..];
        }
        first = false;
        if let Some(end) = rest.strip_prefix("[:").and_then(|named| named.find(":]")) {
            out.push_str(&rest[..end + 4]);
            rest = &rest[end + 4..];
            continue;
        }
        rest = class_char(rest, out);
        // A hyphen is a range unless it is the last character; then, and first, it stands for itself.
        if let Some(upper) = rest.strip_prefix('-')
            && !upper.is_empty()
            && !upper.starts_with(']')
        {
            out.push('-');
            rest = class_char(upper, out);
        }
    }
    // Unclosed: the engine will say so.
    rest
}

fn class_char<'a>(text: &'a str, out: &mut String) -> &'a str {
    let Some(c) = text.chars().next() else {
        return text;
    };
    match c {
        '\\' => return escape(text, out, true),
        '[' | ']' | '&' | '~' | '-' | '^' => {
            out.push('\\');
            out.push(c);
        }
        c => out.push(c),
    }
    &text[c.len_utf8()..]
}

/// Whether `text`, which starts with a brace, is `{n}`, `{n,}` or `{n,m}`.
fn opens_repetition(text: &str) -> bool {
    let Some((inside, _)) = text[1..].split_once('}') else {
        return false;
    };
    let (low, high) = inside.split_once(',').unwrap_or((inside, "0"));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    !low.is_empty() && digits(low) && digits(high)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;
    use proptest::prelude::*;
    use regex::Regex;

    fn matches(pattern: &str, value: &str) -> bool {
        let regex = Regex::new(&format!(r"\A(?:{})\z", from_re2(pattern)));
        regex
            .unwrap_or_else(|error| panic!("{pattern}: {error}"))
            .is_match(value)
    }

    #[test]
    fn perl_classes_are_ascii() {
        for (pattern, ascii, beyond) in
            [(r"\d", "7", "٧"), (r"\w", "e", "é"), (r"\s", " ", "\u{a0}")]
        {
            assert!(
                matches(pattern, ascii) && !matches(pattern, beyond),
                "{pattern}"
            );
            let negated = pattern.to_uppercase();
            assert!(
                !matches(&negated, ascii) && matches(&negated, beyond),
                "{negated}"
            );
            let within = format!("[{pattern}.]+");
            assert!(
                matches(&within, &format!(".{ascii}")) && !matches(&within, beyond),
                "{within}"
            );
        }
        assert!(!matches(r"\s", "\u{b}"));
        assert!(matches(r"[^\d]", "x") && !matches(r"[^\d]", "1"));
        assert!(matches(r"[\Da]", "é"));
    }

    #[test]
    fn word_boundaries_are_ascii() {
        assert!(matches(r"a\b.", "aé") && !matches(r"a\b.", "ab"));
        assert!(matches(r"a\B.", "ab") && !matches(r"a\B.", "aé"));
    }

    #[test]
    fn braces_that_repeat_nothing_stand_for_themselves() {
        for (pattern, value) in [
            ("a{", "a{"),
            ("a{,5}", "a{,5}"),
            ("{}", "{}"),
            ("{a}", "{a}"),
            ("a{1,x}", "a{1,x}"),
        ] {
            assert!(matches(pattern, value), "{pattern}");
        }
        assert!(matches("a{2}", "aa") && matches("a{1,}", "aaa") && matches("a{1,2}", "aa"));
        assert!(!matches("a{1,2}", "aaa"));
    }

    #[test]
    fn set_operators_in_a_class_are_characters() {
        for (pattern, members, others) in [
            ("[a&&b]", "a&b", "c"),
            ("[[a]", "[a", "b]"),
            ("[a~~b]", "a~b", "c"),
            ("[]a]", "]a", "["),
            ("[^]a]", "b", "]a"),
            ("[a-]", "a-", "b"),
            ("[-a]", "-a", "b"),
            ("[+--]", "+,-", "."),
            ("[--/]", "-./", "a0"),
            ("[a^]", "a^", "b"),
            ("[[:alpha:]-]", "aZ-", "1"),
            ("[[:^alpha:]]", "1-", "a"),
            (r"[\x41-\x{43}]", "ABC", "D4x"),
            (r"[\]\\\-<>]", "]\\-<>", "a"),
        ] {
            for c in members.chars() {
                assert!(
                    matches(pattern, c.encode_utf8(&mut [0; 4])),
                    "{pattern} {c}"
                );
            }
            for c in others.chars() {
                assert!(
                    !matches(pattern, c.encode_utf8(&mut [0; 4])),
                    "{pattern} {c}"
                );
            }
        }
    }

    #[test]
    fn quoted_text_and_odd_escapes_are_literal() {
        assert!(matches(r"\Qa.b[\E.", "a.b[x") && !matches(r"\Qa.b\E", "axb"));
        assert!(matches(r"\Qa|b", "a|b"));
        assert!(matches(r"\<\>\_\-", "<>_-"));
        assert!(matches(r"\x{1F600}", "\u{1F600}") && matches(r"\x41", "A"));
    }

    #[test]
    fn a_class_or_escape_cut_short_is_left_to_the_engine() {
        for pattern in ["[", "[^", "[]", "[a-", r"[\", r"\", "[[:a", r"\x{", "[a-b"] {
            assert!(Regex::new(&from_re2(pattern)).is_err(), "{pattern}");
        }
    }

    proptest! {
        #[test]
        fn escaped_text_matches_itself(text in "\\PC{0,12}") {
            prop_assert!(matches(&regex::escape(&text), &text));
        }

        #[test]
        fn a_pattern_without_odd_parts_stays_as_it_is(pattern in "[a-c.*+?|()^$,é0-9]{0,16}") {
            prop_assert_eq!(from_re2(&pattern), pattern);
        }
    }
}
