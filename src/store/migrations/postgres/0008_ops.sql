-- Requests that must not be done twice, by the key that their sender gave. `owner` is the one request that does it;
-- `committed` says that something of it is stored, which is noted in the same transaction; `answer` is sealed under a key
-- that only the sender's own credentials make. Times are of the database's clock.

create table idempotency_keys (
    hash      text collate "C" not null primary key,
    digest    text collate "C" not null,
    owner     text collate "C" not null,
    created   bigint           not null,
    committed bigint           not null default 0,
    answer    text
);
create index idempotency_keys_by_age on idempotency_keys (created);
