-- Keys get a name, what they allow, and an end. `hint` is the beginning of the key, by which a person tells which
-- one a pipeline holds. The key that was made first may do everything, as it always could.
create table api_keys_with_names (
    id           integer primary key autoincrement,
    name         text    not null,
    name_key     text    not null unique,
    hash         text    not null unique,
    hint         text    not null,
    permissions  text    not null,
    environments text    not null,
    created      bigint  not null,
    expires      bigint
);
insert into api_keys_with_names (name, name_key, hash, hint, permissions, environments, created, expires)
    select 'first', 'first', hash, 'API-', '["administer"]', '[]', created, null from api_keys limit 1;
drop table api_keys;
alter table api_keys_with_names rename to api_keys;
