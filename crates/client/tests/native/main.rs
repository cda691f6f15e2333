//! The ready-made client against small servers: what a program that uses it lives to see.
#![cfg(feature = "native")]

mod asking;
mod building;
mod changing;
mod server;
mod sources;
mod watching;
