//! Values as JSON and back: written straight into bytes, read from a parsed document.

use std::collections::BTreeMap;
use std::fmt;
use std::fmt::Write as _;
use std::time::Duration;

use serde_json::{Map, Value};

/// What can stand in a recording.
pub(super) trait Json: Sized {
    fn write(&self, out: &mut Vec<u8>);
    fn read(value: &Value) -> Result<Self, Unreadable>;
}

/// Why a value is not what it should be: where in the line, and what is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Unreadable {
    /// Innermost first.
    path: Vec<String>,
    message: String,
}

impl Unreadable {
    pub(super) fn new(message: impl Into<String>) -> Self {
        Self {
            path: Vec::new(),
            message: message.into(),
        }
    }

    fn expected(what: &str, value: &Value) -> Self {
        const SHOWN_CHARS_MAX: usize = 60;
        let found: String = value.to_string().chars().take(SHOWN_CHARS_MAX).collect();
        Self::new(format!("expected {what}, found {found}"))
    }

    pub(super) fn within(mut self, name: impl Into<String>) -> Self {
        self.path.push(name.into());
        self
    }
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for name in self.path.iter().rev() {
            write!(f, "{name}: ")?;
        }
        f.write_str(&self.message)
    }
}

pub(super) fn write_text(text: &str, out: &mut Vec<u8>) {
    serde_json::to_writer(out, text).expect("a text is JSON, and memory takes all");
}

/// `{"name":value,…}`, member by member.
pub(super) struct Object<'a> {
    out: &'a mut Vec<u8>,
    is_empty: bool,
}

impl<'a> Object<'a> {
    pub(super) fn new(out: &'a mut Vec<u8>) -> Self {
        out.push(b'{');
        Self {
            out,
            is_empty: true,
        }
    }

    /// Where the member's value goes.
    pub(super) fn key(&mut self, name: &str) -> &mut Vec<u8> {
        if !self.is_empty {
            self.out.push(b',');
        }
        self.is_empty = false;
        write_text(name, self.out);
        self.out.push(b':');
        self.out
    }

    pub(super) fn member(&mut self, name: &str, value: &impl Json) -> &mut Self {
        value.write(self.key(name));
        self
    }

    pub(super) fn end(self) {
        self.out.push(b'}');
    }
}

/// `{"tag":value}`.
pub(super) fn write_tagged(tag: &str, value: &impl Json, out: &mut Vec<u8>) {
    let mut object = Object::new(out);
    object.member(tag, value);
    object.end();
}

/// The one member of an object.
pub(super) fn read_tagged(value: &Value) -> Result<(&str, &Value), Unreadable> {
    let object = read_object(value)?;
    match (object.len(), object.iter().next()) {
        (1, Some((tag, value))) => Ok((tag, value)),
        _ => Err(Unreadable::expected("an object of one member", value)),
    }
}

pub(super) fn read_object(value: &Value) -> Result<&Map<String, Value>, Unreadable> {
    value
        .as_object()
        .ok_or_else(|| Unreadable::expected("an object", value))
}

pub(super) fn read_member<T: Json>(
    object: &Map<String, Value>,
    name: &str,
) -> Result<T, Unreadable> {
    let value = object
        .get(name)
        .ok_or_else(|| Unreadable::new(format!("there is no {name:?}")))?;
    T::read(value).map_err(|error| error.within(name))
}

pub(super) fn read_array(value: &Value) -> Result<&[Value], Unreadable> {
    value
        .as_array()
        .map(Vec::as_slice)
        .ok_or_else(|| Unreadable::expected("an array", value))
}

pub(super) fn read_text(value: &Value) -> Result<&str, Unreadable> {
    value
        .as_str()
        .ok_or_else(|| Unreadable::expected("a text", value))
}

pub(super) fn unknown(what: &str, word: &str) -> Unreadable {
    Unreadable::new(format!("no {what} is called {word:?}"))
}

/// `Json` of a struct, member by member.
macro_rules! json_struct {
    ($type:ty { $($field:ident),+ $(,)? }) => {
        impl Json for $type {
            fn write(&self, out: &mut Vec<u8>) {
                let Self { $($field),+ } = self;
                let mut object = Object::new(out);
                $(object.member(stringify!($field), $field);)+
                object.end();
            }

            fn read(value: &Value) -> Result<Self, Unreadable> {
                let object = read_object(value)?;
                Ok(Self { $($field: read_member(object, stringify!($field))?),+ })
            }
        }
    };
}
pub(super) use json_struct;

/// `Json` of integers.
macro_rules! json_integer {
    ($($type:ty: $as:ident),+) => {$(
        impl Json for $type {
            fn write(&self, out: &mut Vec<u8>) {
                out.extend_from_slice(self.to_string().as_bytes());
            }

            fn read(value: &Value) -> Result<Self, Unreadable> {
                value
                    .$as()
                    .and_then(|number| number.try_into().ok())
                    .ok_or_else(|| Unreadable::expected(stringify!($type), value))
            }
        }
    )+};
}
json_integer!(u64: as_u64, u32: as_u64, u16: as_u64, usize: as_u64, i64: as_i64);

impl Json for bool {
    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(if *self { b"true" } else { b"false" });
    }

    fn read(value: &Value) -> Result<Self, Unreadable> {
        value
            .as_bool()
            .ok_or_else(|| Unreadable::expected("true or false", value))
    }
}

impl Json for String {
    fn write(&self, out: &mut Vec<u8>) {
        write_text(self, out);
    }

    fn read(value: &Value) -> Result<Self, Unreadable> {
        read_text(value).map(Self::from)
    }
}

impl Json for Box<str> {
    fn write(&self, out: &mut Vec<u8>) {
        write_text(self, out);
    }

    fn read(value: &Value) -> Result<Self, Unreadable> {
        read_text(value).map(Self::from)
    }
}

impl Json for f64 {
    fn write(&self, out: &mut Vec<u8>) {
        write_text(&format!("{:016x}", self.to_bits()), out);
    }

    fn read(value: &Value) -> Result<Self, Unreadable> {
        let bits = u64::from_str_radix(read_text(value)?, 16);
        bits.map(Self::from_bits)
            .map_err(|_| Unreadable::expected("16 hex digits", value))
    }
}

impl Json for Duration {
    fn write(&self, out: &mut Vec<u8>) {
        (self.as_secs(), self.subsec_nanos()).write(out);
    }

    fn read(value: &Value) -> Result<Self, Unreadable> {
        const NANOS: u32 = 1_000_000_000;
        let (secs, nanos) = <(u64, u32)>::read(value)?;
        if nanos < NANOS {
            Ok(Self::new(secs, nanos))
        } else {
            Err(Unreadable::expected("seconds and nanoseconds", value))
        }
    }
}

/// Text that nobody must look at twice is kept as it is; the rest, in hex, grows by the same
/// factor whatever it is.
impl Json for Vec<u8> {
    fn write(&self, out: &mut Vec<u8>) {
        let plain = |c: char| !c.is_control() || matches!(c, '\n' | '\r' | '\t');
        match str::from_utf8(self) {
            Ok(text) if text.chars().all(plain) => write_text(text, out),
            _ => {
                let mut hex = String::with_capacity(2 * self.len());
                for byte in self {
                    // A string takes all.
                    let _ = write!(hex, "{byte:02x}");
                }
                write_tagged("hex", &hex, out);
            }
        }
    }

    fn read(value: &Value) -> Result<Self, Unreadable> {
        if let Some(text) = value.as_str() {
            return Ok(text.into());
        }
        let bad = || Unreadable::expected("a text or {\"hex\": …}", value);
        let ("hex", digits) = read_tagged(value)? else {
            return Err(bad());
        };
        let (pairs, rest) = read_text(digits)?.as_bytes().as_chunks::<2>();
        if !rest.is_empty() {
            return Err(bad());
        }
        let digit = |byte: u8| char::from(byte).to_digit(16);
        let byte = |[high, low]: &[u8; 2]| {
            let byte = digit(*high)? * 16 + digit(*low)?;
            u8::try_from(byte).ok()
        };
        pairs
            .iter()
            .map(byte)
            .collect::<Option<_>>()
            .ok_or_else(bad)
    }
}

impl<T: Json> Json for Option<T> {
    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Some(value) => value.write(out),
            None => out.extend_from_slice(b"null"),
        }
    }

    fn read(value: &Value) -> Result<Self, Unreadable> {
        if value.is_null() {
            Ok(None)
        } else {
            T::read(value).map(Some)
        }
    }
}

impl<T: Json> Json for Vec<T> {
    fn write(&self, out: &mut Vec<u8>) {
        write_array(self.iter(), out, T::write);
    }

    fn read(value: &Value) -> Result<Self, Unreadable> {
        let item = |(nth, value)| T::read(value).map_err(|error| error.within(format!("[{nth}]")));
        read_array(value)?.iter().enumerate().map(item).collect()
    }
}

/// `[…]` of whatever there is.
pub(super) fn write_array<T>(
    items: impl Iterator<Item = T>,
    out: &mut Vec<u8>,
    write: impl Fn(T, &mut Vec<u8>),
) {
    out.push(b'[');
    for (nth, item) in items.enumerate() {
        if nth > 0 {
            out.push(b',');
        }
        write(item, out);
    }
    out.push(b']');
}

impl<A: Json, B: Json> Json for (A, B) {
    fn write(&self, out: &mut Vec<u8>) {
        out.push(b'[');
        self.0.write(out);
        out.push(b',');
        self.1.write(out);
        out.push(b']');
    }

    fn read(value: &Value) -> Result<Self, Unreadable> {
        match read_array(value)? {
            [a, b] => Ok((A::read(a)?, B::read(b)?)),
            _ => Err(Unreadable::expected("two values", value)),
        }
    }
}

impl Json for BTreeMap<String, String> {
    fn write(&self, out: &mut Vec<u8>) {
        let mut object = Object::new(out);
        for (name, value) in self {
            object.member(name, value);
        }
        object.end();
    }

    fn read(value: &Value) -> Result<Self, Unreadable> {
        let pair = |(name, value): (&String, &Value)| {
            let value = String::read(value).map_err(|error| error.within(name))?;
            Ok((name.clone(), value))
        };
        read_object(value)?.iter().map(pair).collect()
    }
}
