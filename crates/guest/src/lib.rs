//! The collector as a WebAssembly component without imports.
