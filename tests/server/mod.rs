//! The deployment server over HTTP.

mod api_keys;
mod deployments;
mod folder;
mod leases;
mod names;
mod packages;
mod projects;
mod properties;
mod releases;
mod rest;
mod tls;
mod trouble;
mod variables;
mod workers;
