//! The deployment server over HTTP, on each engine that may hold its tables.

mod bucket;
mod check;
mod folder;
mod killed;
mod life;
mod nodes;
mod pruning;
mod races;
mod tables;
mod tls;
mod trouble;

#[path = "."]
mod sqlite {
    pub(super) type TestServer = crate::support::server::TestServer<crate::support::server::Sqlite>;

    mod api_keys;
    mod backup;
    mod build_information;
    mod channels;
    mod current;
    mod deployments;
    mod environments;
    mod fields;
    mod go_shapes;
    mod idempotency;
    mod leases;
    mod libraries;
    mod lifecycles;
    mod logs_kept;
    mod lost;
    mod names;
    mod openapi;
    mod packages;
    mod pools;
    mod projects;
    mod prompted;
    mod properties;
    mod refusing;
    mod registration_tokens;
    mod releases;
    mod rest;
    mod retention;
    mod rotation;
    mod sessions;
    mod snapshots;
    mod spaces;
    mod variables;
    mod waiting;
    mod who;
    mod workers;
}

#[path = "."]
#[expect(clippy::duplicate_mod, reason = "the same tests, on the other engine")]
mod postgres {
    pub(super) type TestServer = crate::support::server::TestServer<crate::support::server::Postgres>;

    mod api_keys;
    mod backup;
    mod build_information;
    mod channels;
    mod current;
    mod deployments;
    mod environments;
    mod fields;
    mod go_shapes;
    mod idempotency;
    mod leases;
    mod libraries;
    mod lifecycles;
    mod logs_kept;
    mod lost;
    mod names;
    mod openapi;
    mod packages;
    mod pools;
    mod projects;
    mod prompted;
    mod properties;
    mod refusing;
    mod registration_tokens;
    mod releases;
    mod rest;
    mod retention;
    mod rotation;
    mod sessions;
    mod snapshots;
    mod spaces;
    mod variables;
    mod waiting;
    mod who;
    mod workers;
}
