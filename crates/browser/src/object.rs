//! Plain JavaScript objects.

use js_sys::{Array, Object, Reflect};
use wasm_bindgen::JsValue;

/// An object under construction.
pub(crate) struct Record(Object);

impl Record {
    pub(crate) fn new() -> Self {
        Self(Object::new())
    }

    pub(crate) fn with(self, key: &str, value: impl Into<JsValue>) -> Self {
        self.with_key(&key.into(), &value.into())
    }

    /// The same with a key that came from outside: it becomes a property whatever it is called,
    /// also `__proto__`.
    pub(crate) fn with_any(self, key: &JsValue, value: impl Into<JsValue>) -> Self {
        if key.as_string().as_deref() != Some("__proto__") {
            return self.with_key(key, &value.into());
        }
        let own = Self::new().with("value", value).with("enumerable", true);
        Object::define_property(
            &self.0,
            key,
            &own.with("writable", true).with("configurable", true).0,
        );
        self
    }

    pub(crate) fn with_some<V: Into<JsValue>>(self, key: &str, value: Option<V>) -> Self {
        match value {
            Some(value) => self.with(key, value),
            None => self,
        }
    }

    pub(crate) fn finish(self) -> JsValue {
        self.0.into()
    }

    fn with_key(self, key: &JsValue, value: &JsValue) -> Self {
        // A fresh ordinary object takes every property.
        let _ = Reflect::set(&self.0, key, value);
        self
    }
}

/// An array of strings.
pub(crate) fn strings<'a>(texts: impl IntoIterator<Item = &'a String>) -> Array {
    texts
        .into_iter()
        .map(|text| JsValue::from_str(text))
        .collect()
}
