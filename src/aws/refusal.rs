//! What AWS said no with, told apart for programs and put in words for people.

use std::{error::Error, time::Duration};

use aws_smithy_runtime_api::client::{orchestrator::HttpResponse, result::SdkError};
use aws_smithy_types::error::metadata::ProvideErrorMetadata;

type Source = Box<dyn Error + Send + Sync>;

/// The longest that is waited because an answer says so: one from a proxy in between must not hold a worker for hours.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// A call to AWS that did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum AwsError {
    /// No region anywhere.
    #[error("no AWS region: `AWS.Deployment.Region` is not set, and the default chain has none")]
    NoRegion,
    /// The default chain found nothing.
    #[error("no AWS credentials: `AWS.Deployment.Key` is not set, and the default chain has none")]
    NoCredentials {
        /// What the chain said.
        #[source]
        source: Option<Source>,
    },
    /// No region has such a name.
    #[error("`{found}` is not an AWS region: expected a name like `eu-west-1`")]
    Region {
        /// What was set.
        found: String,
    },
    /// Where AWS is to be found is no address.
    #[error("the endpoint of AWS {service} is `{found}`: expected a URL like `https://host:port`")]
    Endpoint {
        /// Whose.
        service: &'static str,
        /// What was set.
        found: String,
    },
    /// Credentials that no request can carry.
    #[error("the {half} of {origin} holds {found} at character {position}: no request can be made with it")]
    Malformed {
        /// Which part.
        half: &'static str,
        /// Where they come from.
        origin: &'static str,
        /// What kind of character, never the character itself.
        found: &'static str,
        /// Counted from 1.
        position: usize,
    },
    /// AWS answered, with an error.
    #[error("AWS refused {action}{}: {message} ({code})", place(target, region))]
    Refused {
        /// The API call.
        action: &'static str,
        /// What it was about; may be empty.
        target: String,
        /// Where.
        region: String,
        /// What a program needs to know.
        kind: Kind,
        /// AWS's own code.
        code: String,
        /// AWS's own words.
        message: String,
        /// `Retry-After`, if sent.
        retry_after: Option<Duration>,
    },
    /// No answer: the call may have taken effect or not.
    #[error("no answer from AWS to {action}{}", place(target, region))]
    NoAnswer {
        /// The API call.
        action: &'static str,
        /// What it was about; may be empty.
        target: String,
        /// Where.
        region: String,
        /// What broke.
        #[source]
        source: Source,
    },
}

/// What a refusal means for what to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Too many calls: wait and repeat.
    Throttled,
    /// Another update is under way: wait and repeat.
    Busy,
    /// It changed since it was read: read again, decide anew.
    Changed,
    /// There is none.
    NotFound,
    /// The credentials are no good.
    Credentials,
    /// The signature is of another time than AWS's: nothing was done, and repeating will not help.
    Clock,
    /// The same, and from now on another time is taken: repeat.
    Corrected,
    /// The credentials are good but may not do this.
    Denied,
    /// Too large for the direct way.
    TooLarge,
    /// There is no such bucket.
    NoBucket,
    /// There is no such object in the bucket.
    NoObject,
    /// The bucket is in another region than the function.
    OtherRegion,
    /// Lambda may not read the object on behalf of these credentials.
    ObjectDenied,
    /// A fault of AWS: the call may have taken effect or not.
    Fault,
    /// Anything else: repeating will not help.
    Other,
}

impl AwsError {
    /// What the refusal means; none where there was no answer or no call.
    pub fn kind(&self) -> Option<Kind> {
        match self {
            Self::Refused { kind, .. } => Some(*kind),
            _ => None,
        }
    }

    /// Whether the call may have taken effect although it did not answer so.
    pub fn may_have_acted(&self) -> bool {
        matches!(self, Self::NoAnswer { .. } | Self::Refused { kind: Kind::Fault, .. })
    }

    /// Whether the same call may succeed later.
    pub fn is_retryable(&self) -> bool {
        self.may_have_acted() || matches!(self.kind(), Some(Kind::Throttled | Kind::Busy | Kind::Corrected))
    }

    /// How long AWS asked to wait.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Refused { retry_after, .. } => *retry_after,
            _ => None,
        }
    }

    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::NoRegion => "set `AWS.Deployment.Region`".to_owned(),
            Self::Region { .. } => "correct `AWS.Deployment.Region`, or the default chain's region".to_owned(),
            Self::Endpoint { .. } => {
                "correct or unset `AWS_ENDPOINT_URL` and its variants, and `endpoint_url` of the AWS profile".to_owned()
            }
            Self::Malformed { .. } => "set it again, without line ends and blanks around it".to_owned(),
            Self::NoCredentials { .. } => "set `AWS.Deployment.Key` and `AWS.Deployment.Secret`".to_owned(),
            Self::NoAnswer { .. } => {
                "check the network, proxy and `AWS_ENDPOINT_URL` of this machine".to_owned()
            }
            Self::Refused { kind, target, region, action, .. } => match kind {
                Kind::Credentials => {
                    "check `AWS.Deployment.Key` and `AWS.Deployment.Secret`, and this machine's clock"
                        .to_owned()
                }
                Kind::Clock | Kind::Corrected => {
                    "set the clock of this machine, and keep it right by NTP; where it is right, the request was on its way for too long"
                        .to_owned()
                }
                Kind::Denied => format!("allow `{}` to these credentials", permission(action)),
                Kind::NotFound => format!(
                    "octarm updates functions that exist: create `{target}` in {region} first, or set `Lambda.Function` or `AWS.Deployment.Region`"
                ),
                Kind::TooLarge => {
                    format!("set `AWS.Deployment.Bucket` to a bucket in {region}: the code then goes through S3")
                }
                Kind::NoBucket => {
                    format!("create the bucket in {region}, the region of the function, or correct `AWS.Deployment.Bucket`")
                }
                Kind::OtherRegion => {
                    format!("set `AWS.Deployment.Bucket` to a bucket in {region}, the region of the function")
                }
                Kind::ObjectDenied => {
                    "allow `s3:GetObject` and `s3:GetObjectVersion` of the objects in `AWS.Deployment.Bucket` to these credentials, and the use of its key where it is encrypted with one".to_owned()
                }
                Kind::Busy | Kind::Throttled => {
                    "raise `Lambda.UpdateTimeout`, or deploy again later".to_owned()
                }
                _ => return None,
            },
        };
        Some(hint)
    }
}

fn permission(action: &str) -> String {
    match action {
        "GetCallerIdentity" => format!("sts:{action}"),
        "PutObject" => format!("s3:{action}"),
        "SimulatePrincipalPolicy" => format!("iam:{action}"),
        _ => format!("lambda:{action}"),
    }
}

fn place(target: &str, region: &str) -> String {
    if target.is_empty() { format!(" in {region}") } else { format!(" of `{target}` in {region}") }
}

/// Turns the SDK's error into ours.
pub(super) fn classify<E>(
    action: &'static str,
    target: &str,
    region: &str,
    error: SdkError<E, HttpResponse>,
) -> AwsError
where
    E: ProvideErrorMetadata + Error + Send + Sync + 'static,
{
    let (target, region) = (target.to_owned(), region.to_owned());
    let (status, retry_after) = error.raw_response().map_or((0, None), |response| {
        let after = response.headers().get("retry-after").and_then(|value| value.parse().ok());
        (response.status().as_u16(), after.map(|seconds| Duration::from_secs(seconds).min(LONGEST_PAUSE)))
    });
    if let SdkError::ServiceError(service) = &error {
        let code = service.err().code().unwrap_or("no error code").to_owned();
        // The first line only: AWS explains a wrong signature with all that was signed.
        let words = service.err().message().unwrap_or("no message");
        let mut message = words.lines().next().unwrap_or_default().trim_end_matches('.').to_owned();
        let kind = kind_of(status, &code, &message);
        let elsewhere = error.raw_response().and_then(|answer| answer.headers().get("x-amz-bucket-region"));
        if let Some(found) = elsewhere.filter(|_| kind == Kind::OtherRegion) {
            message = format!("{message}; the bucket is in {found}");
        }
        return AwsError::Refused { action, target, region, kind, code, message, retry_after };
    }
    // An answer that could not be read, or none at all; either way nobody knows what was done.
    AwsError::NoAnswer { action, target, region, source: Box::new(error) }
}

/// The only place that looks at AWS's codes and texts.
fn kind_of(status: u16, code: &str, message: &str) -> Kind {
    match code {
        "TooManyRequestsException" | "ThrottlingException" | "Throttling" | "SlowDown" => Kind::Throttled,
        // What Lambda says when it could not read the object.
        "InvalidParameterValueException" if message.contains("PermanentRedirect") => Kind::OtherRegion,
        "InvalidParameterValueException" if message.contains("NoSuchBucket") => Kind::NoBucket,
        "AccessDeniedException" if message.contains("denied by S3") => Kind::ObjectDenied,
        "NoSuchBucket" => Kind::NoBucket,
        // The answer to a HEAD has no body that could say more.
        "NoSuchKey" | "NotFound" => Kind::NoObject,
        "PermanentRedirect" | "TemporaryRedirect" | "AuthorizationHeaderMalformed" => Kind::OtherRegion,
        // S3 waited for the rest of the body, or met another write of the same object.
        "RequestTimeout" | "OperationAborted" => Kind::Fault,
        "ResourceConflictException" if is_under_way(message) => Kind::Busy,
        "PreconditionFailedException" => Kind::Changed,
        "ResourceNotFoundException" => Kind::NotFound,
        "RequestEntityTooLargeException" => Kind::TooLarge,
        "RequestTimeTooSkewed" | "RequestExpired" | "RequestInTheFuture" => Kind::Clock,
        "InvalidSignatureException" | "SignatureDoesNotMatch" if is_of_another_time(message) => Kind::Clock,
        "UnrecognizedClientException"
        | "InvalidSignatureException"
        | "SignatureDoesNotMatch"
        | "InvalidClientTokenId"
        | "InvalidAccessKeyId"
        | "InvalidToken"
        | "MissingAuthenticationTokenException"
        | "MissingAuthenticationToken"
        | "IncompleteSignature"
        | "ExpiredTokenException"
        | "ExpiredToken" => Kind::Credentials,
        "AccessDeniedException" | "AccessDenied" => Kind::Denied,
        _ => match status {
            301 | 307 => Kind::OtherRegion,
            413 => Kind::TooLarge,
            429 => Kind::Throttled,
            500.. => Kind::Fault,
            _ => Kind::Other,
        },
    }
}

fn is_under_way(message: &str) -> bool {
    let message = message.to_lowercase();
    ["in progress", "following state: pending", "another operation"].iter().any(|part| message.contains(part))
}

/// A wrong key is refused by the same codes.
fn is_of_another_time(message: &str) -> bool {
    ["Signature expired", "Signature not yet current"].iter().any(|part| message.starts_with(part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_conflict_is_busy_only_while_something_is_under_way() {
        let busy =
            "The operation cannot be performed at this time. An update is in progress for resource: arn";
        assert_eq!(kind_of(409, "ResourceConflictException", busy), Kind::Busy);
        assert_eq!(kind_of(409, "ResourceConflictException", "Function already exist: x"), Kind::Other);
        assert_eq!(kind_of(500, "ServiceException", ""), Kind::Fault);
        assert_eq!(kind_of(400, "SomethingNew", ""), Kind::Other);
    }

    #[test]
    fn a_signature_of_another_time_is_told_from_a_wrong_one() {
        let expired = "Signature expired: 20261125T110000Z is now earlier than 20261125T115500Z (20261125T120000Z - 5 min.)";
        let early = "Signature not yet current: 20261125T130000Z is still later than 20261125T120500Z (20261125T120000Z + 5 min.)";
        for code in ["InvalidSignatureException", "SignatureDoesNotMatch"] {
            assert_eq!(kind_of(403, code, expired), Kind::Clock);
            assert_eq!(kind_of(403, code, early), Kind::Clock);
            let wrong = "The request signature we calculated does not match the signature you provided";
            assert_eq!(kind_of(403, code, wrong), Kind::Credentials);
        }
        let s3 = "The difference between the request time and the current time is too large";
        assert_eq!(kind_of(403, "RequestTimeTooSkewed", s3), Kind::Clock);
        assert_eq!(kind_of(403, "ExpiredTokenException", "expired"), Kind::Credentials);
    }

    #[test]
    fn what_lambda_says_of_s3_is_told_apart() {
        let denied = "Your access has been denied by S3, please make sure your request credentials have permission to GetObject for b/k. S3 Error Code: AccessDenied. S3 Error Message: Access Denied";
        assert_eq!(kind_of(403, "AccessDeniedException", denied), Kind::ObjectDenied);
        let elsewhere = "Error occurred while GetObject. S3 Error Code: PermanentRedirect. S3 Error Message: The bucket is in this region: us-east-1. Please use this region to retry the request";
        assert_eq!(kind_of(400, "InvalidParameterValueException", elsewhere), Kind::OtherRegion);
        assert_eq!(kind_of(503, "SlowDown", "Please reduce your request rate."), Kind::Throttled);
    }
}
