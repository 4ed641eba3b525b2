-- Workers prove themselves by a key pair: the server keeps the public half, and what a worker carries is the token of a
-- session, which is over soon. The tokens of before are dropped: who has one registers again. `leaving_since` is when a
-- worker was asked to leave. SQLite cannot drop what is unique in a table: the table is made anew, with the numbers it
-- has got to.
create table machines_with_keys (
    id             integer primary key autoincrement,
    environment_id bigint  not null references environments (id),
    name           text    not null,
    name_key       text    not null,
    host           text    not null,
    machine_key    text    not null,
    -- Null until a worker of before registers again.
    public_key     text    unique,
    instance       text,
    version        text    not null,
    created        bigint  not null,
    last_seen      bigint  not null,
    worker_pool_id bigint  not null,
    disabled       bigint  not null default 0,
    leaving_since  bigint,
    unique (environment_id, name_key)
);
insert into machines_with_keys (id, environment_id, name, name_key, host, machine_key, instance, version, created,
        last_seen, worker_pool_id, disabled)
    select id, environment_id, name, name_key, host, machine_key, null, version, created, last_seen, worker_pool_id,
        disabled from machines;
delete from sqlite_sequence where name = 'machines_with_keys';
insert into sqlite_sequence (name, seq) select 'machines_with_keys', seq from sqlite_sequence where name = 'machines';
drop table machines;
alter table machines_with_keys rename to machines;

-- Each is of one process of a worker, its `instance`.
create table worker_sessions (
    token_hash text   not null primary key,
    machine_id bigint not null references machines (id) on delete cascade,
    instance   text   not null,
    expires    bigint not null
);
create index worker_sessions_by_machine on worker_sessions (machine_id);

-- The challenges that a worker signed, until they would be over anyway: none is good for a second time.
create table used_challenges (
    nonce   text   not null primary key,
    expires bigint not null
);
create index used_challenges_by_age on used_challenges (expires);

-- What registers workers in one environment, for so many of them and until then.
create table registration_tokens (
    id             integer primary key autoincrement,
    environment_id bigint  not null references environments (id),
    hash           text    not null unique,
    hint           text    not null,
    uses           bigint  not null,
    used           bigint  not null default 0,
    allow_replace  bigint  not null default 0,
    created        bigint  not null,
    created_by     text    not null,
    expires        bigint  not null
);
create index registration_tokens_by_environment on registration_tokens (environment_id);
