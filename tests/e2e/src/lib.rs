//! Tidegate end to end, with a real Prometheus.
