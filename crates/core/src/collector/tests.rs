//! The collector's rules, one story each, under virtual time.
