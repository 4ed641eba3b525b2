-- Lifecycles get phases, channels get rules and a lifecycle of their own, projects can be switched off. `automatic` is
-- 1 for a deployment that the lifecycle made: of those a release has one for each environment, whoever asks and how
-- often.
alter table lifecycles add column name_key text not null default '';
alter table lifecycles add column phases text not null default '[]';
update lifecycles set name_key = lower(name);
create unique index lifecycles_by_name on lifecycles (name_key);

alter table projects add column is_disabled bigint not null default 0;

alter table channels add column name_key text not null default '';
alter table channels add column description text not null default '';
alter table channels add column lifecycle_id bigint references lifecycles (id);
alter table channels add column rules text not null default '[]';
update channels set name_key = lower(name);
create unique index channels_by_name on channels (project_id, name_key);
create unique index one_default_channel on channels (project_id) where is_default = 1;

alter table releases add column ignore_channel_rules bigint not null default 0;

alter table deployments add column automatic bigint not null default 0;
create unique index one_automatic_deployment on deployments (release_id, environment_id) where automatic = 1;
