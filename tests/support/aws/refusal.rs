//! An answer that refuses, in the forms AWS writes it: JSON for Lambda, XML for STS, other XML for S3.

use axum::http::{Response, StatusCode};
use serde_json::json;
use uuid::Uuid;

/// Which protocol the refused request spoke.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Dialect {
    Json,
    Xml,
    /// The XML of S3.
    Storage,
    /// The status alone: the answer to a HEAD has no body.
    Nothing,
}

/// A refusal as AWS words it.
#[derive(Clone, Debug)]
pub(crate) struct Refusal {
    pub(crate) status: u16,
    pub(crate) error_type: String,
    pub(crate) message: String,
    pub(crate) retry_after: Option<u64>,
    /// Where the bucket is, when it is not here.
    pub(crate) bucket_region: Option<String>,
}

impl Refusal {
    pub(crate) fn new(status: u16, error_type: &str, message: impl Into<String>) -> Self {
        let (error_type, message) = (error_type.to_owned(), message.into());
        Self { status, error_type, message, retry_after: None, bucket_region: None }
    }

    pub(crate) fn invalid_parameter(message: impl Into<String>) -> Self {
        Self::new(400, "InvalidParameterValueException", message)
    }

    /// The fake is asked for something it does not imitate: loud, so that no test rests on a guess.
    pub(crate) fn not_imitated(what: impl Into<String>) -> Self {
        Self::new(501, "FakeAwsDoesNotImitate", what)
    }

    /// The HTTP response for this refusal.
    pub(crate) fn response(&self, dialect: Dialect) -> Response<axum::body::Body> {
        let status = StatusCode::from_u16(self.status).unwrap();
        let request_id = Uuid::now_v7().to_string();
        let mut response = Response::builder().status(status).header("x-amzn-requestid", &request_id);
        if let Some(seconds) = self.retry_after {
            response = response.header("retry-after", seconds.to_string());
        }
        if let Some(region) = &self.bucket_region {
            response = response.header("x-amz-bucket-region", region);
        }
        match dialect {
            Dialect::Nothing => response.body(axum::body::Body::empty()).unwrap(),
            Dialect::Storage => response
                .header("content-type", "application/xml")
                .body(self.storage_xml(&request_id).into())
                .unwrap(),
            Dialect::Json => response
                .header("content-type", "application/json")
                .header("x-amzn-errortype", &self.error_type)
                .body(self.json().to_string().into())
                .unwrap(),
            Dialect::Xml => {
                response.header("content-type", "text/xml").body(self.xml(&request_id).into()).unwrap()
            }
        }
    }

    /// Lambda's own errors carry `Type`; those of the gate before it carry a message alone. The key of the
    /// message differs from error to error.
    fn json(&self) -> serde_json::Value {
        match self.error_type.as_str() {
            "MissingAuthenticationTokenException"
            | "UnrecognizedClientException"
            | "InvalidSignatureException"
            | "IncompleteSignatureException" => json!({ "message": self.message }),
            "AccessDeniedException" => json!({ "Message": self.message }),
            "ResourceNotFoundException" => json!({ "Type": "User", "Message": self.message }),
            "TooManyRequestsException" => {
                json!({ "Type": "User", "Reason": "CallerRateLimitExceeded", "message": self.message })
            }
            _ if self.status >= 500 => json!({ "Type": "Service", "Message": self.message }),
            _ => json!({ "Type": "User", "message": self.message }),
        }
    }

    fn storage_xml(&self, request_id: &str) -> String {
        let code = match self.error_type.as_str() {
            "InvalidSignatureException" => "SignatureDoesNotMatch",
            "UnrecognizedClientException" => "InvalidAccessKeyId",
            other => other,
        };
        format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code><Message>{}</Message>\
             <RequestId>{request_id}</RequestId></Error>",
            self.escaped()
        )
    }

    fn escaped(&self) -> String {
        self.message.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
    }

    fn xml(&self, request_id: &str) -> String {
        let code = match self.error_type.as_str() {
            "MissingAuthenticationTokenException" => "MissingAuthenticationToken",
            "UnrecognizedClientException" => "InvalidClientTokenId",
            "InvalidSignatureException" => "SignatureDoesNotMatch",
            "IncompleteSignatureException" => "IncompleteSignature",
            "AccessDeniedException" => "AccessDenied",
            other => other,
        };
        let origin = if self.status >= 500 { "Receiver" } else { "Sender" };
        let message = self.escaped();
        format!(
            "<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><Error><Type>{origin}</Type>\
             <Code>{code}</Code><Message>{message}</Message></Error><RequestId>{request_id}</RequestId>\
             </ErrorResponse>"
        )
    }
}
