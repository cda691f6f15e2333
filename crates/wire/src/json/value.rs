//! A JSON document as a tree, for documents that are small and of no fixed form.

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;

use super::Writer;
use crate::decode::DecodeError;
use crate::reader::{DEPTH_MAX, Reader};

/// A value and all below it. Numbers keep the text they came as, members their order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number, as it is written.
    Number(String),
    /// A string, its escapes resolved.
    String(String),
    /// An array.
    Array(Vec<Self>),
    /// An object; of members that share a key, all.
    Object(Vec<(String, Self)>),
}

impl Value {
    /// Reads one document, which may nest 128 deep.
    ///
    /// # Errors
    /// It is not JSON, is no UTF-8, or nests deeper.
    pub fn read(body: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(body, DEPTH_MAX)?;
        let value = value(&mut reader, 0)?;
        reader.end()?;
        Ok(value)
    }

    /// The first member of this key; `None` also where this is no object.
    pub fn member(&self, key: &str) -> Option<&Self> {
        let Self::Object(members) = self else {
            return None;
        };
        let found = members.iter().find(|(found, _)| found == key);
        found.map(|(_, value)| value)
    }

    /// The same, to change it.
    pub fn member_mut(&mut self, key: &str) -> Option<&mut Self> {
        let Self::Object(members) = self else {
            return None;
        };
        let found = members.iter_mut().find(|(found, _)| found == key);
        found.map(|(_, value)| value)
    }

    /// The text of a string.
    pub fn as_str(&self) -> Option<&str> {
        if let Self::String(text) = self {
            Some(text)
        } else {
            None
        }
    }

    /// A number that is whole and fits.
    pub fn as_integer(&self) -> Option<i128> {
        if let Self::Number(text) = self {
            text.parse().ok()
        } else {
            None
        }
    }

    /// The elements of an array; none where this is no array.
    pub fn elements(&self) -> &[Self] {
        if let Self::Array(elements) = self {
            elements
        } else {
            &[]
        }
    }
}

impl From<i128> for Value {
    fn from(number: i128) -> Self {
        Self::Number(alloc::format!("{number}"))
    }
}

impl Writer<'_> {
    /// Writes a whole tree.
    pub fn value(&mut self, value: &Value) -> &mut Self {
        match value {
            Value::Null => self.null(),
            Value::Bool(bool) => self.bool(*bool),
            Value::Number(text) => self.raw(text),
            Value::String(text) => self.string(text),
            Value::Array(elements) => self.array(|json| {
                for element in elements {
                    json.value(element);
                }
            }),
            Value::Object(members) => self.object(|json| {
                for (key, value) in members {
                    json.key(key).value(value);
                }
            }),
        }
    }
}

fn value(reader: &mut Reader<'_>, depth: usize) -> Result<Value, DecodeError> {
    let byte = reader.peek()?;
    let too_deep = DecodeError::TooDeep {
        position: reader.position(),
        limit: DEPTH_MAX,
    };
    Ok(match byte {
        b'{' | b'[' if depth >= DEPTH_MAX => return Err(too_deep),
        b'{' => {
            reader.expect(b'{', "`{`")?;
            let (mut members, mut first) = (Vec::new(), true);
            while let Some(key) = reader.key(&mut first)?.map(Cow::into_owned) {
                members.push((key, value(reader, depth + 1)?));
            }
            Value::Object(members)
        }
        b'[' => {
            reader.expect(b'[', "`[`")?;
            let (mut elements, mut first) = (Vec::new(), true);
            while reader.element(&mut first)? {
                elements.push(value(reader, depth + 1)?);
            }
            Value::Array(elements)
        }
        b'"' => Value::String(reader.string("a string")?.into_owned()),
        b'-' | b'0'..=b'9' => Value::Number(reader.number("a number")?.into()),
        _ => match reader.skip(depth)? {
            "true" => Value::Bool(true),
            "false" => Value::Bool(false),
            _ => Value::Null,
        },
    })
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::*;

    fn again(text: &str) -> String {
        let value = Value::read(text.as_bytes()).unwrap();
        let mut out = Vec::new();
        Writer::new(&mut out).value(&value);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_document_is_written_as_it_was_read_but_for_white_space_and_escapes() {
        let text = r#"{"a":[1,-0.50e3,true,false,null,[],{}],"b":{"c":"d\n\u003c"},"a":""}"#;
        assert_eq!(again(text), text);
        assert_eq!(again(" [ 1 , \"\\u0041/\" ] "), r#"[1,"A/"]"#);
    }

    #[test]
    fn what_is_no_json_or_too_deep_is_refused_and_nothing_overflows() {
        for text in [
            "",
            "[1,]",
            "{\"a\"}",
            "nul",
            "1 2",
            "[01]",
            "{1:2}",
            "\"\u{1}\"",
        ] {
            assert!(Value::read(text.as_bytes()).is_err(), "{text}");
        }
        assert!(Value::read(b"\"\xff\"").is_err());
        let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
        assert!(Value::read(nested(DEPTH_MAX).as_bytes()).is_ok());
        let error = Value::read(nested(DEPTH_MAX + 1).as_bytes()).unwrap_err();
        assert!(matches!(error, DecodeError::TooDeep { .. }), "{error}");
        assert!(Value::read("[".repeat(1_000_000).as_bytes()).is_err());
    }

    #[test]
    fn members_are_found_by_their_keys() {
        let mut value = Value::read(br#"{"a":{"b":7},"c":[1,2],"a":0,"d":"x"}"#).unwrap();
        let seven = value.member("a").and_then(|a| a.member("b"));
        assert_eq!(seven.and_then(Value::as_integer), Some(7));
        assert_eq!(value.member("c").unwrap().elements().len(), 2);
        assert_eq!(value.member("d").and_then(Value::as_str), Some("x"));
        assert_eq!(value.member("e"), None);
        assert_eq!(Value::Null.member("a"), None);
        *value.member_mut("d").unwrap() = Value::from(-1);
        assert_eq!(value.member("d").and_then(Value::as_integer), Some(-1));
        assert!(Value::Null.member_mut("a").is_none());
        assert_eq!(Value::Number("1.5".to_string()).as_integer(), None);
        assert!(Value::Null.as_str().is_none() && Value::Null.elements().is_empty());
    }
}
