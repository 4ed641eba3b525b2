-- Times are milliseconds since 1970 by the database's clock. `*_key` columns hold the lower-case form that names
-- are compared by. Numbers are never reused: an id in a log or a link means one thing for ever.

create table settings (
    name  text not null primary key,
    value text not null
);
insert into settings (name, value) values ('clock_offset_ms', '0');

create table api_keys (
    hash    text   not null primary key,
    created bigint not null
);

create table environments (
    id          integer primary key autoincrement,
    name        text    not null,
    name_key    text    not null unique,
    slug        text    not null unique,
    description text    not null,
    sort_order  bigint  not null
);

create table lifecycles (
    id          integer primary key autoincrement,
    name        text    not null,
    description text    not null
);
insert into lifecycles (id, name, description) values (1, 'Default Lifecycle', '');

create table project_groups (
    id          integer primary key autoincrement,
    name        text    not null,
    description text    not null
);
insert into project_groups (id, name, description) values (1, 'Default Project Group', '');

create table projects (
    id                integer primary key autoincrement,
    name              text    not null,
    name_key          text    not null unique,
    slug              text    not null unique,
    description       text    not null,
    lifecycle_id      bigint  not null references lifecycles (id),
    project_group_id  bigint  not null references project_groups (id),
    process           text    not null,
    process_version   bigint  not null,
    variables         text    not null,
    variables_version bigint  not null
);

create table channels (
    id         integer primary key autoincrement,
    project_id bigint  not null references projects (id),
    name       text    not null,
    is_default bigint  not null
);

create table packages (
    id          integer primary key autoincrement,
    package_id  text    not null,
    package_key text    not null,
    version     text    not null,
    version_key text    not null,
    extension   text    not null,
    file_name   text    not null,
    sha256      text    not null,
    size        bigint  not null,
    published   bigint  not null,
    unique (package_key, version_key)
);

create table releases (
    id                integer primary key autoincrement,
    project_id        bigint  not null references projects (id),
    channel_id        bigint  not null references channels (id),
    version           text    not null,
    version_key       text    not null,
    notes             text,
    assembled         bigint  not null,
    process           text    not null,
    process_version   bigint  not null,
    variables         text    not null,
    variables_version bigint  not null,
    action_name       text    not null,
    package_id        text    not null,
    package_version   text    not null,
    package_file      text    not null,
    package_sha256    text    not null,
    package_size      bigint  not null,
    unique (project_id, version_key)
);

create table machines (
    id             integer primary key autoincrement,
    environment_id bigint  not null references environments (id),
    name           text    not null,
    name_key       text    not null,
    host           text    not null,
    machine_key    text    not null,
    token_hash     text    not null unique,
    instance       text,
    version        text    not null,
    created        bigint  not null,
    last_seen      bigint  not null,
    unique (environment_id, name_key)
);

-- A deployment and its task are one row, so their states can never differ.
create table deployments (
    id               integer primary key autoincrement,
    release_id       bigint  not null references releases (id),
    project_id       bigint  not null references projects (id),
    environment_id   bigint  not null references environments (id),
    created          bigint  not null,
    comments         text    not null,
    prompted         text    not null,
    state            text    not null,
    fence            bigint  not null,
    -- The first of the hand-outs to `machine_id` without another machine in between.
    held_since       bigint  not null default 0,
    lease_until      bigint,
    lost_since       bigint,
    last_contact     bigint,
    machine_id       bigint,
    machine_name     text,
    machine_host     text,
    cancel_requested bigint  not null,
    blocked          bigint  not null,
    resolved         text,
    started          bigint,
    completed        bigint,
    error_message    text,
    finish_digest    text,
    log_offset       bigint  not null,
    log_length       bigint  not null
);

-- One deployment of one project in one environment at a time, and none while an unknown end is unresolved: the
-- database forbids it, whatever the code does.
create unique index one_active_for_each_target on deployments (environment_id, project_id)
    where state in ('leased', 'cancelling', 'lost') or blocked = 1;
create index deployments_open on deployments (environment_id, state, id)
    where state in ('queued', 'leased', 'cancelling', 'lost');
create index deployments_of_a_release on deployments (release_id);

create table journal (
    deployment_id bigint not null references deployments (id),
    sequence      bigint not null,
    fence         bigint not null,
    record        text   not null,
    primary key (deployment_id, sequence)
);

create table log_chunks (
    deployment_id bigint not null references deployments (id),
    byte_offset   bigint not null,
    bytes         blob   not null,
    primary key (deployment_id, byte_offset)
);
