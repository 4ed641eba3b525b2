-- Why a worker takes no new work, as it said with its last claim; null where it takes some.

alter table machines add column refusing text;
