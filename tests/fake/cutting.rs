//! The proxy that cuts the line between a client and a server.

use super::{fake_with_orders, get, refusal, update};
use crate::support::aws::{Credentials, FakeAws};
use crate::support::cut::Cut;
use crate::support::sdk;

/// A client whose line to the fake can be cut. The signature covers the address, so the fake must see the same.
fn behind_a_cut(fake: &FakeAws) -> (Cut, aws_sdk_lambda::Client) {
    let cut = Cut::before(fake.endpoint().trim_start_matches("http://").parse().unwrap());
    let known = Credentials::default();
    let endpoint = format!("http://{}", cut.address());
    let client = sdk::lambda(&endpoint, fake.region(), &known.key_id, &known.secret);
    (cut, client)
}

#[tokio::test]
async fn a_cut_line_carries_nothing_until_it_is_mended() {
    let fake = fake_with_orders();
    let (cut, client) = behind_a_cut(&fake);
    get(&client).await;
    cut.cut();
    assert!(client.get_function().function_name("orders").send().await.is_err());
    assert!(client.get_function().function_name("orders").send().await.is_err());
    assert_eq!(fake.calls().len(), 1);
    cut.mend();
    get(&client).await;
    assert_eq!(fake.calls().len(), 2);
}

#[tokio::test]
async fn a_line_can_be_cut_in_the_middle_of_a_request() {
    let fake = fake_with_orders();
    let (cut, client) = behind_a_cut(&fake);
    cut.cut_after_bytes(1500);
    let large = vec![7; 1_000_000];
    let broken = update(&client, &large).await.unwrap_err();
    assert!(broken.raw_response().is_none(), "{broken:?}");
    assert_eq!(fake.calls(), []);
    cut.mend();
    assert!(refusal(update(&client, &large).await).starts_with("400 "));
}
