//! What becomes of the code: good updates settle, bad ones are refused as AWS refuses them.

use std::io::Cursor;

use aws_sdk_lambda::primitives::Blob;
use aws_sdk_lambda::types::{LastUpdateStatus, LastUpdateStatusReasonCode, State};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use super::{client, fake_with_orders, get, look, refusal, update, zip_of, zip_with, zip_with_mode};
use crate::support::aws::{Action, Call, Credentials, FakeAws, MAX_BODY, MAX_UNZIPPED, code_sha256};

#[tokio::test]
async fn an_update_serves_the_old_code_until_it_settles() {
    let fake = fake_with_orders();
    let client = client(&fake, &Credentials::default());
    let before = get(&client).await;
    assert_eq!(before.function_arn(), Some(fake.arn("orders").as_str()));
    assert_eq!(before.last_update_status(), Some(&LastUpdateStatus::Successful));
    assert_eq!(before.version(), Some("$LATEST"));

    let zip = zip_of("handler.py", "new");
    let answer = client.update_function_code().function_name("orders").zip_file(Blob::new(zip.clone()));
    let answer = answer.revision_id(before.revision_id().unwrap()).send().await.unwrap();
    assert_eq!(answer.code_sha256(), Some(code_sha256(&zip).as_str()));
    assert_eq!(answer.code_size(), i64::try_from(zip.len()).unwrap());
    assert_eq!(answer.last_update_status(), Some(&LastUpdateStatus::InProgress));
    assert_ne!(answer.revision_id(), before.revision_id());
    assert_eq!(fake.function("orders").zip, "old");

    let polled = get(&client).await;
    assert_eq!(polled.last_update_status(), Some(&LastUpdateStatus::InProgress));
    assert_eq!(polled.last_update_status_reason(), Some("The function is being created."));
    let settled = get(&client).await;
    assert_eq!(settled.last_update_status(), Some(&LastUpdateStatus::Successful));
    assert_ne!(settled.revision_id(), answer.revision_id());

    let view = fake.function("orders");
    assert_eq!(view.zip, zip);
    assert_eq!(view.code_sha256, code_sha256(&zip));
    assert_eq!(Some(view.revision_id.as_str()), settled.revision_id());
    assert_eq!(view.last_update_status, "Successful");
    assert_eq!(view.updates_applied, 1);
    let applied = Call {
        action: Action::UpdateFunctionCode,
        target: Some("orders".to_owned()),
        status: Some(200),
        error_type: None,
        applied: true,
    };
    assert_eq!(fake.mutating_calls(), [applied]);
    assert_eq!(fake.calls().len(), 4);
}

#[tokio::test]
async fn a_hash_is_base64_of_sha256() {
    assert_eq!(code_sha256(b"abc"), "ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=");
}

#[tokio::test]
async fn an_update_may_settle_at_once_late_or_never() {
    let fake = fake_with_orders();
    let client = client(&fake, &Credentials::default());
    fake.settle_after(0);
    let answer = update(&client, &zip_of("a", "1")).await.unwrap();
    assert_eq!(answer.last_update_status(), Some(&LastUpdateStatus::InProgress));
    assert_eq!(get(&client).await.last_update_status(), Some(&LastUpdateStatus::Successful));

    fake.settle_after(3);
    update(&client, &zip_of("a", "2")).await.unwrap();
    for _ in 0..3 {
        let polled = client.get_function_configuration().function_name("orders").send().await.unwrap();
        assert_eq!(polled.last_update_status(), Some(&LastUpdateStatus::InProgress));
    }
    assert_eq!(get(&client).await.last_update_status(), Some(&LastUpdateStatus::Successful));
    assert_eq!(fake.function("orders").updates_applied, 2);
}

#[tokio::test]
async fn a_failed_update_keeps_the_old_code_and_says_why() {
    let fake = fake_with_orders();
    let client = client(&fake, &Credentials::default());
    fake.fail_update("InvalidZipFileException", "the zip could not be read");
    update(&client, &zip_of("a", "1")).await.unwrap();
    get(&client).await;
    let failed = get(&client).await;
    assert_eq!(failed.last_update_status(), Some(&LastUpdateStatus::Failed));
    assert_eq!(failed.last_update_status_reason(), Some("the zip could not be read"));
    let code = failed.last_update_status_reason_code().map(LastUpdateStatusReasonCode::as_str);
    assert_eq!(code, Some("InvalidZipFileException"));
    assert_eq!(failed.code_sha256(), Some(code_sha256(b"old").as_str()));
    assert_eq!(fake.function("orders").zip, "old");

    update(&client, &zip_of("a", "2")).await.unwrap();
    get(&client).await;
    assert_eq!(get(&client).await.last_update_status(), Some(&LastUpdateStatus::Successful));
}

#[tokio::test]
async fn a_busy_function_takes_no_update() {
    let fake = fake_with_orders();
    let client = client(&fake, &Credentials::default());
    update(&client, &zip_of("a", "1")).await.unwrap();
    let in_progress = format!(
        "409 ResourceConflictException: The operation cannot be performed at this time. An update is in progress \
         for resource: {}",
        fake.arn("orders")
    );
    assert_eq!(refusal(update(&client, &zip_of("a", "2")).await), in_progress);
    get(&client).await;
    get(&client).await;

    fake.make_pending("orders", 1);
    let refused = refusal(update(&client, &zip_of("a", "2")).await);
    assert!(refused.ends_with("The function is currently in the following state: Pending"), "{refused}");
    assert_eq!(get(&client).await.state(), Some(&State::Pending));
    assert_eq!(get(&client).await.state(), Some(&State::Active));
    update(&client, &zip_of("a", "2")).await.unwrap();
    assert_eq!(fake.function("orders").updates_applied, 2);
}

#[tokio::test]
async fn a_stale_revision_is_refused() {
    let fake = fake_with_orders();
    let client = client(&fake, &Credentials::default());
    let touch: fn(&FakeAws) = |fake| fake.touch("orders");
    let deploy: fn(&FakeAws) = |fake| fake.replace_code("orders", "theirs");
    for somebody_elses_change in [touch, deploy] {
        let seen = get(&client).await;
        somebody_elses_change(&fake);
        let stale =
            client.update_function_code().function_name("orders").zip_file(Blob::new(zip_of("a", "1")));
        let refused = refusal(stale.revision_id(seen.revision_id().unwrap()).send().await);
        assert!(
            refused.starts_with("412 PreconditionFailedException: The Revision Id provided"),
            "{refused}"
        );
    }
    assert_eq!(fake.function("orders").zip, "theirs");
    assert_eq!(fake.function("orders").updates_applied, 0);
}

#[tokio::test]
async fn a_function_that_does_not_exist_is_not_found() {
    let fake = fake_with_orders();
    let client = client(&fake, &Credentials::default());
    let refused = refusal(client.get_function().function_name("invoices").send().await);
    assert_eq!(
        refused,
        format!("404 ResourceNotFoundException: Function not found: {}", fake.arn("invoices"))
    );
    let by_arn = client.get_function().function_name(fake.arn("orders")).send().await.unwrap();
    assert_eq!(by_arn.configuration.unwrap().function_name(), Some("orders"));
}

#[tokio::test]
async fn a_dry_run_checks_everything_and_changes_nothing() {
    let fake = fake_with_orders();
    let client = client(&fake, &Credentials::default());
    let revision = fake.function("orders").revision_id;
    let dry_run = |zip: Vec<u8>| {
        client.update_function_code().function_name("orders").dry_run(true).zip_file(Blob::new(zip)).send()
    };
    let zip = zip_of("a", "1");
    assert_eq!(dry_run(zip.clone()).await.unwrap().code_sha256(), Some(code_sha256(&zip).as_str()));
    assert!(refusal(dry_run(b"garbage".to_vec()).await).starts_with("400 "));
    assert_eq!(fake.function("orders").zip, "old");
    assert_eq!(fake.function("orders").revision_id, revision);
    assert!(fake.mutating_calls().iter().all(|call| !call.applied));
    assert_eq!(fake.mutating_calls().len(), 2);
}

#[tokio::test]
async fn what_is_no_good_zip_is_refused() {
    let fake = fake_with_orders();
    let client = client(&fake, &Credentials::default());
    let not_a_zip = "400 InvalidParameterValueException: Could not unzip uploaded file. Please check your file, then \
                     try to upload again.";
    let empty = "400 InvalidParameterValueException: Uploaded file must be a non-empty zip";
    let stored = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    let mut damaged = zip_with("a", "content", stored);
    let content = damaged.windows(7).position(|bytes| bytes == b"content").unwrap();
    damaged[content] = b'C';
    let no_entries = ZipWriter::new(Cursor::new(Vec::new())).finish().unwrap().into_inner();
    let truncated = zip_of("a", "1");
    let truncated = &truncated[..truncated.len() - 4];
    let unreadable = "400 InvalidParameterValueException: a has mode 0600, which keeps the function's user from \
                      reading it";
    for (zip, expected) in [
        (b"garbage".as_slice(), not_a_zip),
        (&damaged, not_a_zip),
        (truncated, not_a_zip),
        (&with_declared_size(2), not_a_zip),
        (&with_declared_size(0), not_a_zip),
        (&zip_of("../a", "1"), not_a_zip),
        (b"", empty),
        (&no_entries, empty),
        (&zip_with_mode("a", "1", 0o600), unreadable),
    ] {
        assert_eq!(refusal(update(&client, zip).await), expected);
    }
    assert_eq!(fake.function("orders").updates_applied, 0);
}

/// A zip of one entry whose directory declares this unpacked size.
fn with_declared_size(size: u32) -> Vec<u8> {
    let mut zip = zip_of("a", "1");
    let directory = zip.windows(4).rposition(|bytes| bytes == b"PK\x01\x02").unwrap();
    zip[directory + 24..directory + 28].copy_from_slice(&size.to_le_bytes());
    zip
}

#[tokio::test]
async fn what_is_too_large_is_refused() {
    let fake = fake_with_orders();
    let client = client(&fake, &Credentials::default());
    let limit = u32::try_from(MAX_UNZIPPED).unwrap();
    let bomb = with_declared_size(limit + 1);
    assert_eq!(
        refusal(update(&client, &bomb).await),
        "400 InvalidParameterValueException: Unzipped size must be smaller than 262144000 bytes"
    );
    assert_eq!(
        refusal(update(&client, &vec![0; MAX_BODY / 4 * 3]).await),
        "413 RequestEntityTooLargeException: Request must be smaller than 69905067 bytes for the \
         UpdateFunctionCode operation"
    );
}

#[tokio::test]
async fn what_the_fake_does_not_imitate_is_refused_loudly() {
    let fake = fake_with_orders();
    let client = client(&fake, &Credentials::default());
    let publish = client.update_function_code().function_name("orders").publish(true);
    let refused = refusal(publish.zip_file(Blob::new(zip_of("a", "1"))).send().await);
    assert!(refused.starts_with("501 FakeAwsDoesNotImitate"), "{refused}");
    let qualified = client.get_function().function_name("orders").qualifier("live").send().await;
    assert!(refusal(qualified).starts_with("501 FakeAwsDoesNotImitate"));
    assert!(refusal(client.list_functions().send().await).starts_with("501 FakeAwsDoesNotImitate"));
    let nothing = client.update_function_code().function_name("orders").send().await;
    assert_eq!(
        refusal(nothing),
        "400 InvalidParameterValueException: Please provide a source for function code."
    );
}

#[tokio::test]
async fn the_code_can_be_fetched_from_its_location() {
    let fake = fake_with_orders();
    let client = client(&fake, &Credentials::default());
    let location = look(&client).await.code.unwrap().location.unwrap();
    let fetched = reqwest::get(&location).await.unwrap();
    assert_eq!(fetched.bytes().await.unwrap(), "old");
    let signed_too =
        reqwest::Client::new().get(&location).header("authorization", "AWS4-HMAC-SHA256 …").send();
    assert_eq!(signed_too.await.unwrap().status(), 400);
    let statuses: Vec<_> = fake
        .calls()
        .into_iter()
        .filter(|call| call.action == Action::DownloadCode)
        .map(|call| call.status)
        .collect();
    assert_eq!(statuses, [Some(200), Some(400)]);
}
