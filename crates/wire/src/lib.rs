//! Prometheus formats, in and out: query-API JSON and exposition text.
