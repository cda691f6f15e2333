//! The HTTP API of Tidegate as a function without IO over the collector.
