//! The fault script: what goes wrong goes wrong once, in order, and the record tells the truth.

use std::time::{Duration, Instant};

use super::{Updated, client, fake_with_orders, get, refusal, update, zip_of};
use crate::support::aws::{Action, Credentials, Fault, Gate};

const UPDATE: Action = Action::UpdateFunctionCode;

/// The client saw the connection break: there was no answer to look into.
fn assert_broken(result: &Updated) {
    let error = result.as_ref().expect_err("the connection is cut");
    assert!(error.raw_response().is_none(), "{error:?}");
}

#[tokio::test]
async fn refusals_come_in_order_and_then_end() {
    let fake = fake_with_orders();
    let client = client(&fake, &Credentials::default());
    fake.on(UPDATE, Fault::Times(2, Box::new(Fault::throttle(Some(7)))));
    let broken = Fault::Refuse {
        status: 500,
        error_type: "ServiceException".to_owned(),
        message: "An error occurred.".to_owned(),
        retry_after: None,
    };
    fake.on(UPDATE, broken);
    get(&client).await;
    let throttled = update(&client, &zip_of("a", "1")).await.unwrap_err();
    assert_eq!(throttled.raw_response().unwrap().headers().get("retry-after"), Some("7"));
    assert_eq!(
        refusal(update(&client, &zip_of("a", "1")).await),
        "429 TooManyRequestsException: Rate exceeded"
    );
    assert_eq!(fake.faults_left(), 1);
    assert_eq!(refusal(update(&client, &zip_of("a", "1")).await), "500 ServiceException: An error occurred.");
    assert_eq!(fake.faults_left(), 0);
    update(&client, &zip_of("a", "1")).await.unwrap();
    let statuses: Vec<_> = fake.mutating_calls().iter().map(|call| call.status).collect();
    assert_eq!(statuses, [Some(429), Some(429), Some(500), Some(200)]);
}

#[tokio::test]
async fn a_wrong_signature_uses_up_no_fault() {
    let fake = fake_with_orders();
    fake.on(UPDATE, Fault::CutAfter);
    let wrong = Credentials::new(&Credentials::default().key_id, "another");
    let refused = refusal(update(&client(&fake, &wrong), &zip_of("a", "1")).await);
    assert!(refused.starts_with("403 InvalidSignatureException"), "{refused}");
    assert_eq!(fake.faults_left(), 1);
}

#[tokio::test]
async fn a_call_cut_before_it_acts_changes_nothing() {
    let fake = fake_with_orders();
    let client = client(&fake, &Credentials::default());
    fake.on(UPDATE, Fault::CutBefore);
    assert_broken(&update(&client, &zip_of("a", "1")).await);
    assert_eq!(fake.function("orders").updates_applied, 0);
    let call = fake.mutating_calls().remove(0);
    assert_eq!((call.status, call.applied), (None, false));
}

#[tokio::test]
async fn a_call_cut_after_it_acted_is_applied_though_the_client_saw_an_error() {
    let fake = fake_with_orders();
    let client = client(&fake, &Credentials::default());
    fake.settle_after(0);
    fake.on(UPDATE, Fault::CutAfter);
    let zip = zip_of("a", "1");
    assert_broken(&update(&client, &zip).await);
    assert_eq!(fake.function("orders").zip, zip);
    let call = fake.mutating_calls().remove(0);
    assert_eq!((call.status, call.applied), (None, true));

    fake.on(UPDATE, Fault::CutAfter);
    assert_broken(&update(&client, b"garbage").await);
    let call = fake.mutating_calls().remove(1);
    assert_eq!((call.error_type.as_deref(), call.applied), (Some("InvalidParameterValueException"), false));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_is_held_before_it_acts_until_the_gate_opens() {
    let fake = fake_with_orders();
    let client = client(&fake, &Credentials::default());
    let gate = Gate::shut();
    fake.on(UPDATE, Fault::HoldBefore(gate.clone()));
    let held = tokio::spawn(async move { update(&client, &zip_of("a", "1")).await });
    tokio::task::block_in_place(|| gate.wait_reached());
    assert_eq!(fake.function("orders").updates_applied, 0);
    assert_eq!(fake.calls(), []);
    gate.open();
    held.await.unwrap().unwrap();
    assert_eq!(fake.function("orders").updates_applied, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_held_call_is_carried_out_though_the_client_has_gone() {
    let fake = fake_with_orders();
    let client = client(&fake, &Credentials::default());
    let gate = Gate::shut();
    fake.on(UPDATE, Fault::HoldBefore(gate.clone()));
    let held = tokio::spawn(async move { update(&client, &zip_of("a", "1")).await });
    tokio::task::block_in_place(|| gate.wait_reached());
    held.abort();
    assert!(held.await.unwrap_err().is_cancelled());
    gate.open();
    tokio::task::block_in_place(|| fake.wait_for(UPDATE, 1));
    assert_eq!(fake.function("orders").updates_applied, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_is_held_until_the_gate_opens() {
    let fake = fake_with_orders();
    let client = client(&fake, &Credentials::default());
    let gate = Gate::shut();
    fake.on(UPDATE, Fault::HoldAfter(gate.clone()));
    let held = tokio::spawn(async move { update(&client, &zip_of("a", "1")).await });
    tokio::task::block_in_place(|| gate.wait_reached());
    assert_eq!(fake.function("orders").updates_applied, 1);
    assert!(!held.is_finished());
    gate.open();
    held.await.unwrap().unwrap();
}

#[tokio::test]
async fn an_answer_is_slow() {
    let fake = fake_with_orders();
    let client = client(&fake, &Credentials::default());
    let delay = Duration::from_millis(300);
    fake.on(Action::GetFunction, Fault::SlowAnswer(delay));
    let asked = Instant::now();
    get(&client).await;
    assert!(asked.elapsed() >= delay);
}
