//! Ministack as the tests use it: it really runs functions, verifies signatures, and leaves nothing behind.

use serde_json::json;
use tokio::runtime::Runtime;

use super::{refusal, zip_of};
use crate::support::aws::code_sha256;
use crate::support::ministack::{Ministack, REGION, ROOT};
use crate::support::process::living_members;
use crate::support::sdk;

const HANDLER: &str = "
import os
def handler(event, context):
    if 'fail' in event:
        raise ValueError(event['fail'])
    return {'pid': os.getpid(), 'doubled': event['number'] * 2}
";

#[test]
fn a_function_really_runs_and_nothing_is_left_behind() {
    let ministack = Ministack::start();
    let zip = zip_of("handler.py", HANDLER);
    ministack.create_function("double", "python3.12", "handler.handler", &zip);
    assert_eq!(ministack.code_sha256("double"), code_sha256(&zip));

    let invoked = ministack.invoke("double", &json!({ "number": 21 }));
    assert_eq!((invoked.status, invoked.function_error), (200, None));
    assert_eq!(invoked.answer["doubled"], 42);
    let group = ministack.pid();
    let function = invoked.answer["pid"].as_u64().unwrap();
    assert_ne!(function, u64::from(group), "the function runs in a process of its own");
    assert!(living_members(group).iter().any(|pid| u64::from(*pid) == function));

    let failed = ministack.invoke("double", &json!({ "fail": "on purpose" }));
    assert_eq!(failed.function_error.as_deref(), Some("Unhandled"));
    assert_eq!(failed.answer["errorMessage"], "on purpose");

    drop(ministack);
    assert_eq!(living_members(group), Vec::<u32>::new());
}

#[test]
fn with_auth_a_wrong_secret_is_refused() {
    let ministack = Ministack::start_with_auth();
    let list = async |key_id: &str, secret: &str, token: Option<&str>| {
        let client = sdk::lambda_of_session(ministack.endpoint(), REGION, key_id, secret, token);
        client.list_functions().send().await
    };
    Runtime::new().unwrap().block_on(async {
        list(ROOT.0, ROOT.1, None).await.unwrap();
        let sts = sdk::sts(ministack.endpoint(), REGION, ROOT.0, ROOT.1);
        let session = sts.get_session_token().send().await.unwrap().credentials.unwrap();
        let token = Some(session.session_token());
        list(session.access_key_id(), session.secret_access_key(), token).await.unwrap();

        let wrong = refusal(list(session.access_key_id(), "another", token).await);
        assert!(wrong.starts_with("403 InvalidSignatureException"), "{wrong}");
        let unknown = refusal(list("AKIAIOSFODNN7UNKNOWN", "another", None).await);
        assert!(unknown.starts_with("403 UnrecognizedClientException"), "{unknown}");
    });
}
