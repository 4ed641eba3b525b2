-- What a build says of the packages it made, one document for each package version; and pools of workers. A worker is
-- in one pool, the first one unless somebody moves it, and a disabled one gets nothing to do.

create table build_information (
    id          integer primary key autoincrement,
    package_id  text    not null,
    package_key text    not null,
    version     text    not null,
    version_key text    not null,
    document    text    not null,
    created     bigint  not null,
    unique (package_key, version_key)
);

create table worker_pools (
    id          integer primary key autoincrement,
    name        text    not null,
    name_key    text    not null unique,
    slug        text    not null unique,
    description text    not null
);
insert into worker_pools (name, name_key, slug, description)
    values ('Default Worker Pool', 'default worker pool', 'default-worker-pool', '');

-- Without a foreign key, which a column that is added later cannot have here: a pool with workers in it is not deleted.
alter table machines add column worker_pool_id bigint not null default 1;
alter table machines add column disabled bigint not null default 0;
