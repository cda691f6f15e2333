//! The async loop that drives a collector, generic over machine, transport and timer.
