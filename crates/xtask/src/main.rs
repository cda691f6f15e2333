//! Set-up, builds, demo and tests of Tidegate.

fn main() {}
