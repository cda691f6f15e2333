//! A small JSON writer: it keeps the commas, the caller keeps the brackets in pairs; and documents
//! as trees.

use alloc::vec::Vec;

mod value;

pub use value::Value;

use crate::escape::{Html, write_string};
use crate::number::print;

/// Appends one JSON document to a byte vector, without white space.
///
/// ```
/// use tidegate_wire::json::Writer;
///
/// let mut out = Vec::new();
/// let mut json = Writer::new(&mut out);
/// json.begin_object();
/// json.key("status").string("ok");
/// json.key("sources").begin_array();
/// json.string("prom").integer(3).number(0.5).bool(true).null();
/// json.end_array();
/// json.end_object();
/// assert_eq!(out, br#"{"status":"ok","sources":["prom",3,0.5,true,null]}"#);
/// ```
#[derive(Debug)]
pub struct Writer<'a> {
    out: &'a mut Vec<u8>,
    /// Whether a comma comes before the next key or value.
    comma: bool,
    depth: usize,
}

impl<'a> Writer<'a> {
    /// A writer that appends to `out`.
    pub fn new(out: &'a mut Vec<u8>) -> Self {
        Self {
            out,
            comma: false,
            depth: 0,
        }
    }

    /// Opens an object; write keys with values, then [`end_object`](Self::end_object).
    pub fn begin_object(&mut self) -> &mut Self {
        self.open(b'{')
    }

    /// Closes the object.
    ///
    /// # Panics
    ///
    /// If nothing is open.
    pub fn end_object(&mut self) -> &mut Self {
        self.close(b'}')
    }

    /// Opens an array; write values, then [`end_array`](Self::end_array).
    pub fn begin_array(&mut self) -> &mut Self {
        self.open(b'[')
    }

    /// Closes the array.
    ///
    /// # Panics
    ///
    /// If nothing is open.
    pub fn end_array(&mut self) -> &mut Self {
        self.close(b']')
    }

    /// Writes an object of what `members` writes.
    pub fn object(&mut self, members: impl FnOnce(&mut Self)) -> &mut Self {
        self.begin_object();
        members(self);
        self.end_object()
    }

    /// Writes an array of what `items` writes.
    pub fn array(&mut self, items: impl FnOnce(&mut Self)) -> &mut Self {
        self.begin_array();
        items(self);
        self.end_array()
    }

    /// Writes a key; its value comes next.
    pub fn key(&mut self, key: &str) -> &mut Self {
        self.separate();
        write_string(key, Html::Escaped, self.out);
        self.out.push(b':');
        self.comma = false;
        self
    }

    /// Writes a string; `<`, `>` and `&` are escaped, so that it is harmless inside HTML.
    pub fn string(&mut self, text: &str) -> &mut Self {
        self.separate();
        write_string(text, Html::Escaped, self.out);
        self
    }

    /// Writes a float in its shortest form; NaN and infinities, which JSON lacks, as `null`.
    pub fn number(&mut self, value: f64) -> &mut Self {
        if !value.is_finite() {
            return self.null();
        }
        self.separate();
        crate::number::write_float(value, self.out);
        self
    }

    /// Writes a whole number of any fixed size, signed or not.
    pub fn integer(&mut self, value: impl Into<i128>) -> &mut Self {
        self.separate();
        print(format_args!("{}", value.into()), self.out);
        self
    }

    /// Writes a count, such as the length of something.
    pub fn count(&mut self, value: usize) -> &mut Self {
        self.separate();
        print(format_args!("{value}"), self.out);
        self
    }

    /// Writes `true` or `false`.
    pub fn bool(&mut self, value: bool) -> &mut Self {
        self.raw(if value { "true" } else { "false" })
    }

    /// Writes `null`.
    pub fn null(&mut self) -> &mut Self {
        self.raw("null")
    }

    /// Writes `json`, which must be one JSON value, as it is.
    pub fn raw(&mut self, json: &str) -> &mut Self {
        self.separate();
        self.out.extend_from_slice(json.as_bytes());
        self
    }

    fn open(&mut self, bracket: u8) -> &mut Self {
        self.separate();
        self.out.push(bracket);
        self.comma = false;
        self.depth += 1;
        self
    }

    fn close(&mut self, bracket: u8) -> &mut Self {
        assert!(self.depth > 0, "every closing bracket has an opening one");
        self.depth -= 1;
        self.out.push(bracket);
        self.comma = true;
        self
    }

    fn separate(&mut self) {
        if core::mem::replace(&mut self.comma, true) {
            self.out.push(b',');
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(write: impl Fn(&mut Writer<'_>)) -> alloc::string::String {
        let mut out = Vec::new();
        write(&mut Writer::new(&mut out));
        alloc::string::String::from_utf8(out).unwrap()
    }

    #[test]
    fn commas_stand_between_items_only() {
        let text = written(|json| {
            json.object(|json| {
                json.key("a").array(|json| {
                    json.array(|_| {}).object(|_| {}).integer(-1);
                });
                json.key("b").object(|json| {
                    json.key("c").raw("[1]");
                });
                json.key("d").bool(false);
            });
        });
        assert_eq!(text, r#"{"a":[[],{},-1],"b":{"c":[1]},"d":false}"#);
    }

    #[test]
    fn numbers_that_json_lacks_are_null() {
        let text = written(|json| {
            json.array(|json| {
                json.number(f64::NAN)
                    .number(f64::INFINITY)
                    .number(-0.0)
                    .number(1e21)
                    .number(1e-7)
                    .integer(u64::MAX);
            });
        });
        assert_eq!(text, "[null,null,-0,1e+21,1e-07,18446744073709551615]");
        assert!(serde_json::from_str::<serde_json::Value>(&text).is_ok());
    }

    #[test]
    fn text_is_harmless_in_html() {
        assert_eq!(
            written(|json| {
                json.string("</script>\n");
            }),
            r#""\u003c/script\u003e\n""#
        );
    }
}
