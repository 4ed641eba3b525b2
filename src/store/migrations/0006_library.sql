-- Variable sets that projects share, and what releases copy of them. `projects.libraries` holds the numbers of the sets
-- that a project includes, with commas between; `releases.libraries` the sets as they were copied. A release whose
-- variables are copied again keeps what it had in `release_snapshots`, by the number of the copy: a deployment keeps
-- the copy that it was made with. `created_by` is the name of the API key that asked for a deployment.

create table library_variable_sets (
    id          integer primary key autoincrement,
    name        text    not null,
    name_key    text    not null unique,
    description text    not null,
    variables   text    not null,
    version     bigint  not null
);

create table release_snapshots (
    release_id        bigint not null references releases (id),
    number            bigint not null,
    variables         text   not null,
    variables_version bigint not null,
    libraries         text   not null,
    primary key (release_id, number)
);

alter table projects add column libraries text not null default '';

alter table releases add column snapshot bigint not null default 0;
alter table releases add column libraries text not null default '[]';

alter table deployments add column snapshot bigint not null default 0;
alter table deployments add column created_by text;
