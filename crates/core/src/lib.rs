//! The metrics collector as a machine without IO: every decision, no clock, no socket.
