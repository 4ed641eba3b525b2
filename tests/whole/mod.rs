//! The whole line of real processes: server, workers and commands, against an AWS that runs the functions.

mod clients;
mod errors;
mod line;
mod packers;
mod secrets;
mod setup_script;
mod signatures;
mod through_s3;
