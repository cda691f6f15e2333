//! Label sets, matchers and rings of samples.
