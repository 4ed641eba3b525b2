//! Both engines hold the same tables: a step of one that the other lacks would be found only by whoever uses it.

use octarm::store::{Database, Place};
use sqlx::{Connection as _, PgConnection, SqliteConnection};

use crate::support::postgres;

/// Table, column, and whether it may be empty.
type Column = (String, String, bool);

#[tokio::test]
async fn the_tables_of_both_engines_are_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("octarm.db");
    fs_err::write(&file, "").unwrap();
    Database::open(&Place::File(file.clone())).await.unwrap().close().await;
    let mut sqlite = SqliteConnection::connect(file.to_str().unwrap()).await.unwrap();
    let mut one: Vec<Column> = sqlx::query_as(
        "select m.name, c.name, c.\"notnull\" = 0 and c.pk = 0 from sqlite_master m join pragma_table_info(m.name) c \
         where m.type = 'table' and m.name not like 'sqlite%' and m.name not like '%sqlx%'",
    )
    .fetch_all(&mut sqlite)
    .await
    .unwrap();
    let url = postgres::database_of(folder.path()).await;
    let mut other = PgConnection::connect(&url).await.unwrap();
    let mut other: Vec<Column> = sqlx::query_as(
        "select table_name::text, column_name::text, is_nullable = 'YES' from information_schema.columns \
         where table_schema = 'public' and table_name not in ('clock', '_sqlx_migrations')",
    )
    .fetch_all(&mut other)
    .await
    .unwrap();
    one.sort();
    other.sort();
    assert!(one.len() > 80, "{}", one.len());
    assert_eq!(one, other);
}
