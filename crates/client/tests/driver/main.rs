//! The driver on a stage: a network and a clock that do what the test says, polled by hand.

mod puppet;
mod recording;
mod stage;
mod stories;
