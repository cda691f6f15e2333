//! Plain-text scripts that every runtime answers with the same output.
//!
//! A script says what happens to a collector and when: somebody asks, a fetch ends, time passes.
//! [`run`] plays it to a [`Machine`] and writes down everything the machine says. Play the same
//! script to the collector in process, to the component in wasmtime, in Node and in Chromium, and
//! the transcripts must be equal, byte for byte. The grammar is in `README.md` beside this crate.
//!
//! Nothing here does IO, so the runner itself runs wherever the collector does.
//!
//! ```
//! let script = "\
//! source prom prometheus
//! http GET /api/v1/query query=up
//! respond 1 503
//! ";
//! let transcript = tidegate_conformance::run(script, tidegate_conformance::front).unwrap();
//! assert!(transcript.contains("fetch 1 prom GET /api/v1/query query=up"));
//! ```
#![forbid(unsafe_code)]

mod acts;
mod alert;
#[cfg(feature = "browser")]
pub mod browser;
mod cursor;
mod definition;
#[cfg(not(target_arch = "wasm32"))]
mod files;
mod machine;
mod parse;
mod run;
mod script;
mod settings;
mod transcript;

#[cfg(not(target_arch = "wasm32"))]
pub use files::{ScriptFile, first_difference, script_files};
pub use machine::{Machine, Reply, Request, Verdict, front};
pub use run::{VERSION, run};
pub use script::ScriptError;
