//! Signature Version 4, verified for real: the canonical request is rebuilt from the bytes that came.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::{digest, hmac};
use axum::http::HeaderMap;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use super::credentials::Credentials;
use super::refusal::Refusal;
use super::wire::Received;

const WINDOW: SignedDuration = SignedDuration::from_mins(15);
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
const TIME: &str = "%Y%m%dT%H%M%SZ";

/// The user who signed the request, or why it is refused.
pub(super) fn verify(
    request: &Received,
    service: &str,
    region: &str,
    known: &[Credentials],
    now: Timestamp,
) -> Result<Credentials, Refusal> {
    let Some(authorization) = header(&request.headers, "authorization") else {
        return Err(Refusal::new(403, "MissingAuthenticationTokenException", "Missing Authentication Token"));
    };
    let claimed = Authorization::parse(&authorization)
        .ok_or_else(|| incomplete("Authorization header is not in the form of AWS4-HMAC-SHA256"))?;
    let unrecognised = || {
        let message = "The security token included in the request is invalid.";
        Refusal::new(403, "UnrecognizedClientException", message)
    };
    let user = known.iter().find(|user| user.key_id == claimed.key_id).ok_or_else(unrecognised)?;
    // A session token belongs to temporary keys, and every key the fake knows is a lasting one.
    if request.headers.contains_key("x-amz-security-token") {
        return Err(unrecognised());
    }

    let date = header(&request.headers, "x-amz-date").ok_or_else(|| incomplete("X-Amz-Date is missing"))?;
    check_time(&date, now, service)?;
    for (found, expected) in [
        (claimed.day.as_str(), &date[..8]),
        (claimed.region.as_str(), region),
        (claimed.service.as_str(), service),
    ] {
        if found != expected {
            return Err(invalid(format!("Credential should be scoped to {expected}, not {found}.")));
        }
    }
    for required in ["host", "x-amz-date"] {
        if !claimed.signed_headers.iter().any(|name| name == required) {
            return Err(invalid(format!("'{required}' must be a 'SignedHeader' in the AWS Authorization.")));
        }
    }
    if service == "s3" && !claimed.signed_headers.iter().any(|name| name == "x-amz-content-sha256") {
        return Err(invalid("'x-amz-content-sha256' must be a 'SignedHeader' in the AWS Authorization."));
    }
    let body_hash = hex::encode(digest::digest(&digest::SHA256, &request.body));
    if header(&request.headers, "x-amz-content-sha256").is_some_and(|said| said != body_hash) {
        return Err(invalid("The provided 'x-amz-content-sha256' header does not match what was computed."));
    }

    let to_sign = format!(
        "AWS4-HMAC-SHA256\n{date}\n{}\n{}",
        claimed.scope(),
        hex::encode(digest::digest(
            &digest::SHA256,
            canonical_request(request, &claimed, &body_hash).as_bytes()
        ))
    );
    let signature = claimed.signing_chain(&user.secret, &to_sign);
    match verify_slices_are_equal(signature.as_bytes(), claimed.signature.as_bytes()) {
        Ok(()) => Ok(user.clone()),
        Err(_) => Err(invalid(
            "The request signature we calculated does not match the signature you provided. Check your AWS \
             Secret Access Key and signing method. Consult the service documentation for details.",
        )),
    }
}

/// What the `Authorization` header says.
struct Authorization {
    key_id: String,
    day: String,
    region: String,
    service: String,
    signed_headers: Vec<String>,
    signature: String,
}

impl Authorization {
    fn parse(header: &str) -> Option<Self> {
        let fields = header.strip_prefix("AWS4-HMAC-SHA256 ")?;
        let field = |name: &str| {
            let mut parts = fields.split(',').map(str::trim);
            parts.find_map(|part| part.strip_prefix(name)?.strip_prefix('='))
        };
        let mut credential = field("Credential")?.split('/').map(str::to_owned);
        let parsed = Self {
            key_id: credential.next()?,
            day: credential.next()?,
            region: credential.next()?,
            service: credential.next()?,
            signed_headers: field("SignedHeaders")?.split(';').map(str::to_owned).collect(),
            signature: field("Signature")?.to_owned(),
        };
        (credential.next()? == "aws4_request" && credential.next().is_none()).then_some(parsed)
    }

    fn scope(&self) -> String {
        format!("{}/{}/{}/aws4_request", self.day, self.region, self.service)
    }

    /// Secret to day key to region key to service key to signing key to signature.
    fn signing_chain(&self, secret: &str, to_sign: &str) -> String {
        let mut key = format!("AWS4{secret}").into_bytes();
        for part in [&self.day, &self.region, &self.service, "aws4_request"] {
            key = sign(&key, part);
        }
        hex::encode(sign(&key, to_sign))
    }
}

fn sign(key: &[u8], message: &str) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), message.as_bytes()).as_ref().to_vec()
}

fn canonical_request(request: &Received, claimed: &Authorization, body_hash: &str) -> String {
    let headers: Vec<_> = claimed
        .signed_headers
        .iter()
        .map(|name| format!("{name}:{}", header(&request.headers, name).unwrap_or_default()))
        .collect();
    format!(
        "{}\n{}\n{}\n{}\n\n{}\n{body_hash}",
        request.method,
        canonical_path(&request.path, &claimed.service),
        canonical_query(&request.query),
        headers.join("\n"),
        claimed.signed_headers.join(";"),
    )
}

/// Every segment of the path as it came is encoded once more: all services but S3 sign it so. For S3 it is encoded
/// once, however the client wrote it.
fn canonical_path(path: &str, service: &str) -> String {
    let encode = |segment: &str| {
        let decoded = percent_decode_str(segment).decode_utf8_lossy();
        let segment = if service == "s3" { &*decoded } else { segment };
        utf8_percent_encode(segment, UNRESERVED).to_string()
    };
    path.split('/').map(encode).collect::<Vec<_>>().join("/")
}

fn canonical_query(query: &str) -> String {
    let encode = |text: &str| {
        let decoded = percent_decode_str(text).decode_utf8_lossy();
        utf8_percent_encode(&decoded, UNRESERVED).to_string()
    };
    let mut pairs: Vec<_> = query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(name, value)| (encode(name), encode(value)))
        .collect();
    pairs.sort();
    pairs.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&")
}

/// A header's values in canonical form: trimmed, runs of blanks made one, several joined by commas.
fn header(headers: &HeaderMap, name: &str) -> Option<String> {
    let values: Vec<_> = headers
        .get_all(name)
        .iter()
        .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
        .map(|value| value.split_ascii_whitespace().collect::<Vec<_>>().join(" "))
        .collect();
    (!values.is_empty()).then(|| values.join(","))
}

fn check_time(date: &str, now: Timestamp, service: &str) -> Result<(), Refusal> {
    let signed = DateTime::strptime(TIME, date)
        .and_then(|time| TimeZone::UTC.to_timestamp(time))
        .map_err(|_| incomplete("Date must be in ISO-8601 'basic format'"))?;
    if service == "s3" && (now.duration_since(signed)).abs() > WINDOW {
        let message = "The difference between the request time and the current time is too large.";
        return Err(Refusal::new(403, "RequestTimeTooSkewed", message));
    }
    let now_text = now.strftime(TIME);
    if signed < now - WINDOW {
        return Err(invalid(format!("Signature expired: {date} is now earlier than {now_text} - 15 min.")));
    }
    if signed > now + WINDOW {
        return Err(invalid(format!(
            "Signature not yet current: {date} is still later than {now_text} + 15 min."
        )));
    }
    Ok(())
}

fn invalid(message: impl Into<String>) -> Refusal {
    Refusal::new(403, "InvalidSignatureException", message)
}

fn incomplete(message: &str) -> Refusal {
    Refusal::new(403, "IncompleteSignatureException", message)
}
