//! Tidegate, the edge runtime: a sandboxed metrics collector between Prometheus and its readers.

fn main() {}
