//! The whole line of real processes: server, workers and commands, against an AWS that runs the functions.

mod line;
mod packers;
