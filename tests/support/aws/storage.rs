//! S3 as far as code and blobs go through it: buckets with and without versions, objects that are put, looked at, read,
//! listed and deleted, and read by Lambda.

use std::collections::BTreeMap;
use std::fmt::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use percent_encoding::percent_decode_str;
use uuid::Uuid;

use super::action::Action;
use super::calls::{Done, Route};
use super::code::code_sha256;
use super::credentials::Credentials;
use super::refusal::Refusal;
use super::wire::Received;
use super::world::World;

pub(super) struct Bucket {
    region: String,
    is_versioned: bool,
    /// By key; the newest last.
    objects: BTreeMap<String, Vec<Object>>,
}

/// One version of an object.
#[derive(Clone, Debug)]
pub(crate) struct Object {
    pub(crate) bytes: Bytes,
    /// None in a bucket without versions.
    pub(crate) version: Option<String>,
}

impl Bucket {
    pub(super) fn new(region: &str, is_versioned: bool) -> Self {
        Self { region: region.to_owned(), is_versioned, objects: BTreeMap::new() }
    }

    /// Every object with all its versions.
    pub(super) fn objects(&self) -> BTreeMap<String, Vec<Object>> {
        self.objects.clone()
    }

    /// Whether there was such an object.
    pub(super) fn delete(&mut self, key: &str) -> bool {
        self.objects.remove(key).is_some()
    }

    fn put(&mut self, key: &str, request: &Received) -> Object {
        let object = Object {
            bytes: request.body.clone(),
            version: self.is_versioned.then(|| Uuid::now_v7().simple().to_string()),
        };
        let versions = self.objects.entry(key.to_owned()).or_default();
        if !self.is_versioned {
            versions.clear();
        }
        versions.push(object.clone());
        object
    }

    fn find(&self, key: &str, version: Option<&str>) -> Option<&Object> {
        let mut versions = self.objects.get(key)?.iter().rev();
        versions.find(|object| version.is_none() || object.version.as_deref() == version)
    }
}

impl Object {
    fn headers(&self) -> Vec<(String, String)> {
        let mut headers = vec![
            ("etag".to_owned(), format!("\"{}\"", code_sha256(&self.bytes))),
            ("x-amz-checksum-sha256".to_owned(), code_sha256(&self.bytes)),
        ];
        headers.extend(self.version.iter().map(|id| ("x-amz-version-id".to_owned(), id.clone())));
        headers
    }
}

/// The bucket and the key of a call.
fn parts(target: &str) -> (&str, &str) {
    target.split_once('/').unwrap_or((target, ""))
}

/// All calls to S3.
pub(super) fn act(
    world: &World,
    buckets: &mut BTreeMap<String, Bucket>,
    route: &Route,
    request: &Received,
) -> Result<Done, Refusal> {
    let (name, key) = parts(route.target());
    let bucket = buckets
        .get_mut(name)
        .ok_or_else(|| Refusal::new(404, "NoSuchBucket", "The specified bucket does not exist"))?;
    if bucket.region != world.region {
        let message = "The bucket you are attempting to access must be addressed using the specified endpoint. \
                       Please send all future requests to this endpoint.";
        let bucket_region = Some(bucket.region.clone());
        return Err(Refusal { bucket_region, ..Refusal::new(301, "PermanentRedirect", message) });
    }
    if route.action == Action::HeadObject {
        let object = bucket.find(key, None);
        let object =
            object.ok_or_else(|| Refusal::new(404, "NoSuchKey", "The specified key does not exist."))?;
        let mut headers = object.headers();
        if request.headers.get("x-amz-checksum-mode").is_none_or(|mode| mode != "ENABLED") {
            headers.retain(|(name, _)| name != "x-amz-checksum-sha256");
        }
        headers.push(("content-length".to_owned(), object.bytes.len().to_string()));
        return Ok(Done { headers, ..Done::empty() });
    }
    match route.action {
        Action::GetObject => return get(bucket, key, request),
        Action::ListObjects => return list(bucket, request),
        Action::DeleteObject => {
            // Without versions alone: a version that is hidden by a marker is nothing that anybody here makes.
            let applied = !bucket.is_versioned && bucket.delete(key);
            return Ok(Done { applied, status: 204, ..Done::empty() });
        }
        _ => {}
    }
    check(request)?;
    let headers = bucket.put(key, request).headers();
    Ok(Done { headers, applied: true, ..Done::empty() })
}

/// The object from the byte on that `Range` names.
fn get(bucket: &Bucket, key: &str, request: &Received) -> Result<Done, Refusal> {
    let object = bucket.find(key, None);
    let object = object.ok_or_else(|| Refusal::new(404, "NoSuchKey", "The specified key does not exist."))?;
    let headers = vec![("etag".to_owned(), format!("\"{}\"", code_sha256(&object.bytes)))];
    let Some(range) = request.headers.get("range") else {
        return Ok(Done { headers, body: object.bytes.clone(), ..Done::empty() });
    };
    let from =
        range.to_str().ok().and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok());
    let from: usize = from.ok_or_else(|| Refusal::not_imitated(format!("the range {range:?}")))?;
    if from >= object.bytes.len() {
        return Err(Refusal::new(416, "InvalidRange", "The requested range is not satisfiable"));
    }
    Ok(Done { headers, body: object.bytes.slice(from..), status: 206, ..Done::empty() })
}

/// `ListObjectsV2`, whose pages are continued by `start-after`.
fn list(bucket: &Bucket, request: &Received) -> Result<Done, Refusal> {
    let mut wanted = BTreeMap::new();
    for pair in request.query.split('&') {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        if !["list-type", "prefix", "start-after", "max-keys"].contains(&name) {
            return Err(Refusal::not_imitated(format!("ListObjectsV2 with {name}")));
        }
        wanted.insert(name, percent_decode_str(value).decode_utf8_lossy().into_owned());
    }
    let get = |name: &str| wanted.get(name).cloned().unwrap_or_default();
    let (prefix, after) = (get("prefix"), get("start-after"));
    let most = get("max-keys").parse().unwrap_or(1000).min(1000);
    let objects = bucket.objects.iter().filter(|(key, _)| key.starts_with(&prefix) && **key > after);
    let mut listed = String::new();
    for (key, versions) in objects.take(most) {
        let size = versions.last().unwrap().bytes.len();
        write!(listed, "<Contents><Key>{key}</Key><Size>{size}</Size></Contents>").unwrap();
    }
    let body = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<ListBucketResult \
         xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">{listed}</ListBucketResult>"
    );
    Ok(Done { body: body.into(), ..Done::empty() })
}

/// Stricter than S3, which takes what carries no checksum.
fn check(request: &Received) -> Result<(), Refusal> {
    if request.headers.contains_key("content-encoding") || request.headers.contains_key("x-amz-trailer") {
        return Err(Refusal::not_imitated("a body in chunks with a trailer"));
    }
    let Some(said) = request.headers.get("x-amz-checksum-sha256") else {
        return Err(Refusal::not_imitated("PutObject without x-amz-checksum-sha256"));
    };
    if STANDARD.decode(said).is_ok() && *said == code_sha256(&request.body) {
        return Ok(());
    }
    let message = "The SHA256 you specified did not match the calculated checksum.";
    Err(Refusal::new(400, "BadDigest", message))
}

/// What Lambda reads on behalf of its caller.
pub(super) fn read(
    world: &World,
    buckets: &BTreeMap<String, Bucket>,
    caller: &Credentials,
    (bucket, key, version): (&str, &str, Option<&str>),
) -> Result<Bytes, Refusal> {
    let refuse = |code: &str, message: &str| {
        Refusal::invalid_parameter(format!(
            "Error occurred while GetObject. S3 Error Code: {code}. S3 Error Message: {message}"
        ))
    };
    if !caller.allowed.contains(&Action::HeadObject) {
        let message = format!(
            "Your access has been denied by S3, please make sure your request credentials have permission to \
             GetObject for {bucket}/{key}. S3 Error Code: AccessDenied. S3 Error Message: Access Denied"
        );
        return Err(Refusal::new(403, "AccessDeniedException", message));
    }
    let found =
        buckets.get(bucket).ok_or_else(|| refuse("NoSuchBucket", "The specified bucket does not exist"))?;
    if found.region != world.region {
        let message = format!(
            "The bucket is in this region: {}. Please use this region to retry the request",
            found.region
        );
        return Err(refuse("PermanentRedirect", &message));
    }
    let object = found.find(key, version);
    object
        .map(|object| object.bytes.clone())
        .ok_or_else(|| refuse("NoSuchKey", "The specified key does not exist."))
}
