//! The runner as one function for JavaScript.

use wasm_bindgen::prelude::wasm_bindgen;

/// Plays a script to the collector compiled into this module and gives back the transcript.
///
/// # Errors
/// `NAME: line N: …`, thrown as a string, where the script is wrong.
#[wasm_bindgen]
pub fn run_script(name: &str, text: &str) -> Result<String, String> {
    crate::run(text, crate::front).map_err(|error| format!("{name}: {error}"))
}
