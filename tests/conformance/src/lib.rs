//! Plain-text scripts that every runtime answers with the same output.
