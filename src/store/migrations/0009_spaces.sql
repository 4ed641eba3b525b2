-- Spaces: parts of an installation that know nothing of each other. What existed before is in the first one, which is
-- always there. Names and slugs are unique in their space, numbers everywhere. A new space gets a lifecycle, a project
-- group and a worker pool of its own, which the space's row names. SQLite cannot change what is unique in a table: such
-- tables are made anew, with the numbers they have got to, for a number that was given once is never given again.

create table spaces (
    id                 integer primary key autoincrement,
    name               text   not null,
    name_key           text   not null unique,
    slug               text   not null unique,
    description        text   not null,
    task_queue_stopped bigint not null default 0,
    lifecycle_id       bigint not null,
    project_group_id   bigint not null,
    worker_pool_id     bigint not null
);
insert into spaces (name, name_key, slug, description, lifecycle_id, project_group_id, worker_pool_id)
    values ('Default', 'default', 'default', '', 1, 1, 1);

create table environments_in_spaces (
    id          integer primary key autoincrement,
    space_id    bigint  not null references spaces (id),
    name        text    not null,
    name_key    text    not null,
    slug        text    not null,
    description text    not null,
    sort_order  bigint  not null,
    unique (space_id, name_key),
    unique (space_id, slug)
);
insert into environments_in_spaces (id, space_id, name, name_key, slug, description, sort_order)
    select id, 1, name, name_key, slug, description, sort_order from environments;
delete from sqlite_sequence where name = 'environments_in_spaces';
insert into sqlite_sequence (name, seq)
    select 'environments_in_spaces', seq from sqlite_sequence where name = 'environments';
drop table environments;
alter table environments_in_spaces rename to environments;

create table projects_in_spaces (
    id                integer primary key autoincrement,
    space_id          bigint  not null references spaces (id),
    name              text    not null,
    name_key          text    not null,
    slug              text    not null,
    description       text    not null,
    lifecycle_id      bigint  not null references lifecycles (id),
    project_group_id  bigint  not null references project_groups (id),
    process           text    not null,
    process_version   bigint  not null,
    variables         text    not null,
    variables_version bigint  not null,
    is_disabled       bigint  not null default 0,
    libraries         text    not null default '',
    unique (space_id, name_key),
    unique (space_id, slug)
);
insert into projects_in_spaces (id, space_id, name, name_key, slug, description, lifecycle_id, project_group_id, process,
        process_version, variables, variables_version, is_disabled, libraries)
    select id, 1, name, name_key, slug, description, lifecycle_id, project_group_id, process, process_version, variables,
        variables_version, is_disabled, libraries from projects;
delete from sqlite_sequence where name = 'projects_in_spaces';
insert into sqlite_sequence (name, seq)
    select 'projects_in_spaces', seq from sqlite_sequence where name = 'projects';
drop table projects;
alter table projects_in_spaces rename to projects;

create table library_variable_sets_in_spaces (
    id          integer primary key autoincrement,
    space_id    bigint  not null references spaces (id),
    name        text    not null,
    name_key    text    not null,
    description text    not null,
    variables   text    not null,
    version     bigint  not null,
    unique (space_id, name_key)
);
insert into library_variable_sets_in_spaces (id, space_id, name, name_key, description, variables, version)
    select id, 1, name, name_key, description, variables, version from library_variable_sets;
delete from sqlite_sequence where name = 'library_variable_sets_in_spaces';
insert into sqlite_sequence (name, seq)
    select 'library_variable_sets_in_spaces', seq from sqlite_sequence where name = 'library_variable_sets';
drop table library_variable_sets;
alter table library_variable_sets_in_spaces rename to library_variable_sets;

create table worker_pools_in_spaces (
    id          integer primary key autoincrement,
    space_id    bigint  not null references spaces (id),
    name        text    not null,
    name_key    text    not null,
    slug        text    not null,
    description text    not null,
    unique (space_id, name_key),
    unique (space_id, slug)
);
insert into worker_pools_in_spaces (id, space_id, name, name_key, slug, description)
    select id, 1, name, name_key, slug, description from worker_pools;
delete from sqlite_sequence where name = 'worker_pools_in_spaces';
insert into sqlite_sequence (name, seq)
    select 'worker_pools_in_spaces', seq from sqlite_sequence where name = 'worker_pools';
drop table worker_pools;
alter table worker_pools_in_spaces rename to worker_pools;

create table packages_in_spaces (
    id          integer primary key autoincrement,
    space_id    bigint  not null references spaces (id),
    package_id  text    not null,
    package_key text    not null,
    version     text    not null,
    version_key text    not null,
    extension   text    not null,
    file_name   text    not null,
    sha256      text    not null,
    size        bigint  not null,
    published   bigint  not null,
    unique (space_id, package_key, version_key)
);
insert into packages_in_spaces (id, space_id, package_id, package_key, version, version_key, extension, file_name, sha256,
        size, published)
    select id, 1, package_id, package_key, version, version_key, extension, file_name, sha256, size, published
    from packages;
delete from sqlite_sequence where name = 'packages_in_spaces';
insert into sqlite_sequence (name, seq)
    select 'packages_in_spaces', seq from sqlite_sequence where name = 'packages';
drop table packages;
alter table packages_in_spaces rename to packages;
create index packages_by_blob on packages (sha256);

create table build_information_in_spaces (
    id          integer primary key autoincrement,
    space_id    bigint  not null references spaces (id),
    package_id  text    not null,
    package_key text    not null,
    version     text    not null,
    version_key text    not null,
    document    text    not null,
    created     bigint  not null,
    unique (space_id, package_key, version_key)
);
insert into build_information_in_spaces (id, space_id, package_id, package_key, version, version_key, document, created)
    select id, 1, package_id, package_key, version, version_key, document, created from build_information;
delete from sqlite_sequence where name = 'build_information_in_spaces';
insert into sqlite_sequence (name, seq)
    select 'build_information_in_spaces', seq from sqlite_sequence where name = 'build_information';
drop table build_information;
alter table build_information_in_spaces rename to build_information;

alter table lifecycles add column space_id bigint not null default 1 references spaces (id);
drop index lifecycles_by_name;
create unique index lifecycles_by_name on lifecycles (space_id, name_key);

alter table project_groups add column space_id bigint not null default 1 references spaces (id);

-- Null reaches every space.
alter table api_keys add column space_id bigint references spaces (id);
