//! The deployment server over HTTP, on each engine that may hold its tables.

mod check;
mod folder;
mod killed;
mod nodes;
mod tables;
mod tls;
mod trouble;

#[path = "."]
mod sqlite {
    pub(super) type TestServer = crate::support::server::TestServer<crate::support::server::Sqlite>;

    mod api_keys;
    mod build_information;
    mod channels;
    mod deployments;
    mod environments;
    mod fields;
    mod go_shapes;
    mod leases;
    mod libraries;
    mod lifecycles;
    mod names;
    mod openapi;
    mod packages;
    mod pools;
    mod projects;
    mod prompted;
    mod properties;
    mod releases;
    mod rest;
    mod snapshots;
    mod variables;
    mod waiting;
    mod workers;
}

#[path = "."]
#[expect(clippy::duplicate_mod, reason = "the same tests, on the other engine")]
mod postgres {
    pub(super) type TestServer = crate::support::server::TestServer<crate::support::server::Postgres>;

    mod api_keys;
    mod build_information;
    mod channels;
    mod deployments;
    mod environments;
    mod fields;
    mod go_shapes;
    mod leases;
    mod libraries;
    mod lifecycles;
    mod names;
    mod openapi;
    mod packages;
    mod pools;
    mod projects;
    mod prompted;
    mod properties;
    mod releases;
    mod rest;
    mod snapshots;
    mod variables;
    mod waiting;
    mod workers;
}
