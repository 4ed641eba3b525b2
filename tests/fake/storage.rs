//! S3 as the fake has it: whole bodies, verified by their signature and their checksum, and read by Lambda.

use aws_sdk_s3::Client;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::ChecksumMode;

use super::{client, fake_with_orders, refusal, zip_of};
use crate::support::aws::{Action, Credentials, FakeAws, REGION, code_sha256};
use crate::support::sdk;

const KEY: &str = "a folder/ö+1.zip";

fn s3(fake: &FakeAws, secret: &str) -> Client {
    sdk::s3(fake.endpoint(), fake.region(), &Credentials::default().key_id, secret)
}

fn known(fake: &FakeAws) -> Client {
    s3(fake, &Credentials::default().secret)
}

fn put(client: &Client, zip: &[u8]) -> aws_sdk_s3::operation::put_object::builders::PutObjectFluentBuilder {
    let body = ByteStream::from(zip.to_vec());
    client.put_object().bucket("zips").key(KEY).checksum_sha256(code_sha256(zip)).body(body)
}

#[tokio::test]
async fn an_object_is_put_looked_at_and_read_by_lambda() {
    let fake = fake_with_orders();
    let (client, lambda) = (known(&fake), client(&fake, &Credentials::default()));
    for is_versioned in [true, false] {
        fake.create_bucket("zips", REGION, is_versioned);
        let zips = [zip_of("a", "1"), zip_of("a", "2")];
        let mut versions = Vec::new();
        for zip in &zips {
            let stored = put(&client, zip).send().await.unwrap();
            assert_eq!(stored.checksum_sha256(), Some(code_sha256(zip).as_str()));
            versions.push(stored.version_id().map(str::to_owned));
        }
        assert_eq!(versions.iter().all(Option::is_some), is_versioned);
        let kept = if is_versioned { 2 } else { 1 };
        assert_eq!(fake.objects("zips")[KEY].len(), kept);
        assert_eq!(fake.objects("zips")[KEY].last().unwrap().bytes, zips[1]);

        let look = || client.head_object().bucket("zips").key(KEY);
        let seen = look().checksum_mode(ChecksumMode::Enabled).send().await.unwrap();
        assert_eq!(seen.content_length(), Some(i64::try_from(zips[1].len()).unwrap()));
        assert_eq!(seen.checksum_sha256(), Some(code_sha256(&zips[1]).as_str()));
        assert_eq!(seen.version_id(), versions[1].as_deref());
        assert_eq!(look().send().await.unwrap().checksum_sha256(), None, "only who asks is told");

        // The older one by its version, else the newest.
        let wanted = usize::from(!is_versioned);
        let update = lambda.update_function_code().function_name("orders").s3_bucket("zips").s3_key(KEY);
        let answer = update.set_s3_object_version(versions[wanted].clone()).send().await.unwrap();
        assert_eq!(answer.code_sha256(), Some(code_sha256(&zips[wanted]).as_str()));
        fake.replace_code("orders", "old");
    }
}

#[tokio::test]
async fn what_is_not_there_is_refused_in_the_words_of_s3() {
    let fake = fake_with_orders();
    let (client, lambda) = (known(&fake), client(&fake, &Credentials::default()));
    assert_eq!(
        refusal(put(&client, b"x").send().await),
        "404 NoSuchBucket: The specified bucket does not exist"
    );
    fake.create_bucket("zips", "us-east-1", false);
    assert!(refusal(put(&client, b"x").send().await).starts_with("301 PermanentRedirect: "));
    let update = || lambda.update_function_code().function_name("orders").s3_bucket("zips").s3_key(KEY);
    let refused = refusal(update().send().await);
    assert!(
        refused.contains("S3 Error Code: PermanentRedirect") && refused.contains("us-east-1"),
        "{refused}"
    );
    fake.create_bucket("zips", REGION, false);
    let looked = client.head_object().bucket("zips").key(KEY).send().await;
    assert_eq!(looked.unwrap_err().raw_response().unwrap().status().as_u16(), 404);
    assert!(refusal(update().send().await).contains("S3 Error Code: NoSuchKey"));
    assert_eq!(fake.function("orders").updates_applied, 0);
}

#[tokio::test]
async fn a_wrong_signature_or_checksum_and_a_missing_right_are_refused() {
    let fake = fake_with_orders();
    fake.create_bucket("zips", REGION, false);
    let refused = refusal(put(&s3(&fake, "another"), b"x").send().await);
    assert!(refused.starts_with("403 SignatureDoesNotMatch: "), "{refused}");
    let wrong = put(&known(&fake), b"x").checksum_sha256(code_sha256(b"y")).send().await;
    assert_eq!(
        refusal(wrong),
        "400 BadDigest: The SHA256 you specified did not match the calculated checksum."
    );
    let reader = Credentials::new("AKIAREADER", "reader").allowed_only(&[Action::HeadObject]);
    fake.add_credentials(&reader);
    let denied = sdk::s3(fake.endpoint(), fake.region(), &reader.key_id, &reader.secret);
    let refused = refusal(put(&denied, b"x").send().await);
    assert!(refused.starts_with("403 AccessDenied: ") && refused.contains("s3:PutObject"), "{refused}");
    assert!(fake.objects("zips").is_empty());
}

#[tokio::test]
async fn objects_are_read_from_any_byte_on_listed_in_pages_and_deleted() {
    let fake = fake_with_orders();
    fake.create_bucket("zips", REGION, false);
    let client = known(&fake);
    for key in ["a/1", "a/2", "a/3", "b/1"] {
        put(&client, key.as_bytes()).key(key).send().await.unwrap();
    }
    let get = |key: &str| client.get_object().bucket("zips").key(key);
    let whole = get("a/2").send().await.unwrap().body.collect().await.unwrap();
    assert_eq!(whole.to_vec(), b"a/2");
    let rest = get("a/2").range("bytes=2-").send().await.unwrap().body.collect().await.unwrap();
    assert_eq!(rest.to_vec(), b"2");
    assert!(refusal(get("a/2").range("bytes=3-").send().await).starts_with("416 InvalidRange"));
    assert!(refusal(get("a/9").send().await).starts_with("404 NoSuchKey"));
    let list = |after: &str| {
        let call = client.list_objects_v2().bucket("zips").prefix("a/").max_keys(2).start_after(after);
        async move {
            let page = call.send().await.unwrap();
            page.contents().iter().map(|object| object.key().unwrap().to_owned()).collect::<Vec<_>>()
        }
    };
    assert_eq!((list("").await, list("a/2").await), (vec!["a/1".into(), "a/2".into()], vec!["a/3".into()]));
    let odd = client.list_objects_v2().bucket("zips").delimiter("/").send().await;
    assert!(refusal(odd).starts_with("501 FakeAwsDoesNotImitate"));
    // Also one that is not there.
    for _ in 0..2 {
        client.delete_object().bucket("zips").key("a/2").send().await.unwrap();
    }
    assert_eq!(list("").await, ["a/1", "a/3"]);
    let applied: Vec<bool> = fake.mutating_calls().iter().map(|call| call.applied).collect();
    assert_eq!(applied, [true, true, true, true, true, false]);
}
