//! What the engines take from their surroundings: locks, signals, time and tasks.

mod real;

pub(crate) use real::*;
