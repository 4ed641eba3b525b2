//! What is made while that which it is of is deleted, on a database that lets two do so at once.

use serde_json::json;
use sqlx::{Connection as _, PgConnection};

use super::postgres::TestServer;
use crate::support::PATIENCE;

/// Somebody else who is in the middle of a transaction that did this.
async fn in_the_middle(server: &TestServer, text: &'static str) -> PgConnection {
    let mut connection = PgConnection::connect(server.database_url()).await.unwrap();
    sqlx::raw_sql("begin").execute(&mut connection).await.unwrap();
    sqlx::raw_sql(text).execute(&mut connection).await.unwrap();
    connection
}

/// Lets that one end well once somebody waits for it.
async fn ends_when_waited_for(server: &TestServer, mut connection: PgConnection) {
    let mut watching = PgConnection::connect(server.database_url()).await.unwrap();
    let waits = "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'";
    let wait =
        async { while sqlx::query_scalar::<_, i64>(waits).fetch_one(&mut watching).await.unwrap() == 0 {} };
    tokio::time::timeout(PATIENCE, wait).await.unwrap();
    sqlx::raw_sql("commit").execute(&mut connection).await.unwrap();
}

#[tokio::test]
async fn a_token_of_an_environment_that_is_being_deleted_is_refused() {
    let server = TestServer::ready().await;
    let other = in_the_middle(&server, "delete from environments where id = 1").await;
    let asked = server.post("workerregistrationtokens", json!({ "EnvironmentId": "Dev" }));
    let (answer, ()) = tokio::join!(asked, ends_when_waited_for(&server, other));
    assert!(answer.refused(404).contains("environment `Dev` does not exist"));
}

#[tokio::test]
async fn a_worker_of_an_environment_that_is_being_deleted_is_refused() {
    let server = TestServer::ready().await;
    let other = in_the_middle(&server, "delete from environments where id = 1").await;
    let asked = server.register("w1", "m1", json!({}));
    let (answer, ()) = tokio::join!(asked, ends_when_waited_for(&server, other));
    assert_eq!(answer.code(404), "not_found");
}

#[tokio::test]
async fn a_token_that_is_being_made_goes_with_its_environment() {
    let server = TestServer::ready().await;
    let making = "insert into registration_tokens (environment_id, hash, hint, uses, created_by, created, expires) \
                  values (1, 'h', 'ORT-', 1, 'first', 0, 0)";
    let other = in_the_middle(&server, making).await;
    let (answer, ()) = tokio::join!(server.delete("environments/Dev"), ends_when_waited_for(&server, other));
    answer.expect(200);
    assert_eq!(server.get("workerregistrationtokens").await.expect(200)["TotalResults"], 0);
}
