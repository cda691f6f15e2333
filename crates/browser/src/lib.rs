//! Tidegate for JavaScript: the npm package of the collector.
