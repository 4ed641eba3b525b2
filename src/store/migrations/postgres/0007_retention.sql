-- Which blobs there are. `unnamed_since` is since when nothing is known to name one: who is about to name it sets it to
-- now, and long after that it is deleted if still nothing names it. `doomed` is since when somebody is deleting it: from
-- then on nobody names it until its row is gone.
create table blobs (
    sha256        text collate "C" not null primary key,
    size          bigint           not null,
    unnamed_since bigint,
    doomed        bigint
);
insert into blobs (sha256, size)
    select sha256, max(size)
    from (select sha256, size from packages union all select package_sha256, package_size from releases) named
    group by sha256;
create index packages_by_blob on packages (sha256);
create index releases_by_blob on releases (package_sha256);

-- The log of a deployment that ended becomes a blob: blocks of the log, each compressed for itself. `log_index` is where
-- each begins in the blob; `log_removed` is when the log was removed because it was old.
alter table deployments add column log_sha256 text;
alter table deployments add column log_index text;
alter table deployments add column log_removed bigint;
create index deployments_by_log on deployments (log_sha256) where log_sha256 is not null;
create index deployments_with_chunks on deployments (id)
    where state in ('success', 'failed', 'canceled') and log_sha256 is null and log_removed is null;
