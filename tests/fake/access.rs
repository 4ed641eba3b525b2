//! Who may do what: every signature is verified, and every right is asked for.

use reqwest::header::{HeaderMap, HeaderValue};

use super::{client, fake_with_orders, refusal, update, zip_of};
use crate::support::aws::{ACCOUNT, Action, Credentials, FakeAws};
use crate::support::sdk;

const WRONG_SIGNATURE: &str = "403 InvalidSignatureException: The request signature we calculated does not match the \
                               signature you provided. Check your AWS Secret Access Key and signing method. Consult \
                               the service documentation for details.";

async fn refused(fake: &FakeAws, credentials: &Credentials) -> String {
    refusal(update(&client(fake, credentials), &zip_of("a", "1")).await)
}

#[tokio::test]
async fn only_a_known_key_with_its_secret_comes_in() {
    let fake = fake_with_orders();
    let known = Credentials::default();
    assert_eq!(refused(&fake, &Credentials::new(&known.key_id, "another")).await, WRONG_SIGNATURE);
    assert_eq!(
        refused(&fake, &Credentials::new("AKIAUNKNOWN", &known.secret)).await,
        "403 UnrecognizedClientException: The security token included in the request is invalid."
    );
    let second = Credentials::new("AKIASECOND", "second");
    fake.add_credentials(&second);
    update(&client(&fake, &second), &zip_of("a", "1")).await.unwrap();
    let applied: Vec<_> = fake.mutating_calls().iter().map(|call| call.applied).collect();
    assert_eq!(applied, [false, false, true]);
    assert_eq!(fake.mutating_calls()[0].error_type.as_deref(), Some("InvalidSignatureException"));
}

#[tokio::test]
async fn a_right_that_was_not_given_is_refused() {
    let fake = fake_with_orders();
    let reader = Credentials::new("AKIAREADER", "reader").allowed_only(&[Action::GetFunction]);
    fake.add_credentials(&reader);
    client(&fake, &reader).get_function().function_name("orders").send().await.unwrap();
    assert_eq!(
        refused(&fake, &reader).await,
        format!(
            "403 AccessDeniedException: User: arn:aws:iam::111122223333:user/akiareader is not authorized to \
             perform: lambda:UpdateFunctionCode on resource: {} because no identity-based policy allows the \
             lambda:UpdateFunctionCode action",
            fake.arn("orders")
        )
    );
}

#[tokio::test]
async fn another_account_does_not_reach_our_functions() {
    let fake = fake_with_orders();
    let other = Credentials::new("AKIAOTHER", "other").in_account("444455556666");
    fake.add_credentials(&other);
    let client = client(&fake, &other);
    let by_name = refusal(client.get_function().function_name("orders").send().await);
    assert!(by_name.starts_with("404 ") && by_name.contains(":444455556666:"), "{by_name}");
    let by_arn = refusal(client.get_function().function_name(fake.arn("orders")).send().await);
    assert!(by_arn.starts_with("403 AccessDeniedException"), "{by_arn}");
}

#[tokio::test]
async fn the_caller_is_told_who_it_is() {
    let fake = FakeAws::start();
    let known = Credentials::default().allowed_only(&[]);
    let sts = sdk::sts(fake.endpoint(), fake.region(), &known.key_id, &known.secret);
    let identity = sts.get_caller_identity().send().await.unwrap();
    assert_eq!(identity.account(), Some(ACCOUNT));
    assert_eq!(identity.arn(), Some(known.user_arn().as_str()));

    let wrong = sdk::sts(fake.endpoint(), fake.region(), &known.key_id, "another");
    let refused = refusal(wrong.get_caller_identity().send().await);
    assert!(refused.starts_with("403 SignatureDoesNotMatch: The request signature"), "{refused}");
    let unknown = sdk::sts(fake.endpoint(), fake.region(), "AKIAUNKNOWN", &known.secret);
    assert_eq!(
        refusal(unknown.get_caller_identity().send().await),
        "403 InvalidClientTokenId: The security token included in the request is invalid."
    );
}

#[tokio::test]
async fn a_request_for_another_region_is_refused() {
    let fake = fake_with_orders();
    let known = Credentials::default();
    let elsewhere = sdk::lambda(fake.endpoint(), "us-east-1", &known.key_id, &known.secret);
    assert_eq!(
        refusal(elsewhere.get_function().function_name("orders").send().await),
        "403 InvalidSignatureException: Credential should be scoped to eu-west-1, not us-east-1."
    );
}

#[tokio::test]
async fn a_session_token_with_a_lasting_key_is_refused() {
    let fake = fake_with_orders();
    let known = Credentials::default();
    let (endpoint, region) = (fake.endpoint(), fake.region());
    let session = sdk::lambda_of_session(endpoint, region, &known.key_id, &known.secret, Some("token"));
    assert_eq!(
        refusal(update(&session, &zip_of("a", "1")).await),
        "403 UnrecognizedClientException: The security token included in the request is invalid."
    );
}

#[tokio::test]
async fn a_request_without_a_good_authorization_is_refused() {
    let fake = fake_with_orders();
    let address = format!("{}/2015-03-31/functions/orders", fake.endpoint());
    let ask = async |headers: &[(&'static str, &str)]| {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.insert(*name, HeaderValue::from_str(value).unwrap());
        }
        let answer = reqwest::Client::new().get(&address).headers(map).send().await.unwrap();
        assert_eq!(answer.status(), 403);
        let error_type = answer.headers()["x-amzn-errortype"].to_str().unwrap().to_owned();
        let body: serde_json::Value = answer.json().await.unwrap();
        format!("{error_type}: {}", body["message"].as_str().unwrap())
    };
    assert_eq!(ask(&[]).await, "MissingAuthenticationTokenException: Missing Authentication Token");
    assert!(ask(&[("authorization", "Bearer x")]).await.starts_with("IncompleteSignatureException"));

    let key_id = Credentials::default().key_id;
    let authorization = |day: &str| {
        format!(
            "AWS4-HMAC-SHA256 Credential={key_id}/{day}/eu-west-1/lambda/aws4_request, \
             SignedHeaders=host;x-amz-date, Signature=00"
        )
    };
    let at =
        async |time: &str| ask(&[("authorization", &authorization(&time[..8])), ("x-amz-date", time)]).await;
    let now = jiff::Timestamp::now();
    let text = |time: jiff::Timestamp| time.strftime("%Y%m%dT%H%M%SZ").to_string();
    let minutes = jiff::SignedDuration::from_mins;
    assert!(at(&text(now - minutes(16))).await.contains("Signature expired"));
    assert!(at(&text(now + minutes(16))).await.contains("Signature not yet current"));
    assert!(at(&text(now - minutes(14))).await.contains("does not match the signature"));
    let today = text(now);
    let wrong_hash = [
        ("authorization", authorization(&today[..8])),
        ("x-amz-date", today),
        ("x-amz-content-sha256", "00".to_owned()),
    ];
    let wrong_hash = wrong_hash.each_ref().map(|(name, value)| (*name, value.as_str()));
    assert!(ask(&wrong_hash).await.contains("'x-amz-content-sha256' header does not match"));
    assert!(at("yesterday").await.starts_with("IncompleteSignatureException: Date"));
}
