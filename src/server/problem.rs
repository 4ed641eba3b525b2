//! An error on its way to a client. It is made in one form and encoded at the edge in the form of the API that was
//! called.

use axum::{
    http::StatusCode,
    response::{IntoResponse, Response},
};
use uuid::Uuid;

use crate::{
    blobs::BlobError,
    model::chain,
    protocol::{ErrorBody, ErrorCode},
    store::StoreError,
};

/// What a client is told.
#[derive(Debug, Clone)]
pub(super) struct Problem {
    pub(super) status: StatusCode,
    pub(super) body: ErrorBody,
}

impl Problem {
    pub(super) fn new(status: StatusCode, code: ErrorCode, message: impl Into<String>) -> Self {
        let body =
            ErrorBody { code, message: message.into(), hint: None, length: None, retry_after_ms: None };
        Self { status, body }
    }

    pub(super) fn invalid(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, ErrorCode::Invalid, message)
    }

    pub(super) fn not_found(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, ErrorCode::NotFound, message)
    }

    pub(super) fn forbidden(message: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, ErrorCode::Forbidden, message)
    }

    pub(super) fn unauthorised(message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, ErrorCode::Unauthorised, message)
    }

    /// A failure of ours: the cause goes to the log under a number, the client gets the number alone, since causes
    /// name files and statements.
    pub(super) fn internal(error: &(dyn std::error::Error + 'static)) -> Self {
        let id = Uuid::now_v7();
        tracing::error!(%id, cause = chain(error), "a request failed");
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            ErrorCode::Internal,
            format!("the server could not do it; the cause is in its log under {id}"),
        )
    }

    fn busy(error: &(dyn std::error::Error + 'static)) -> Self {
        tracing::warn!(cause = chain(error), "a request could not wait any longer");
        let mut problem = Self::new(StatusCode::SERVICE_UNAVAILABLE, ErrorCode::Busy, error.to_string());
        problem.body.retry_after_ms = Some(BUSY_PAUSE_MS);
        problem
    }

    fn disk_full(error: &(dyn std::error::Error + 'static)) -> Self {
        let logged = Self::internal(error);
        let message = "the server's disk is full: nothing was stored";
        Self {
            status: StatusCode::INSUFFICIENT_STORAGE,
            body: ErrorBody { message: message.into(), ..logged.body },
        }
    }
}

/// When to try again what another process kept us from, in milliseconds.
const BUSY_PAUSE_MS: u64 = 1000;

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        use StoreError as E;
        if error.is_retryable() {
            return Self::busy(&error);
        }
        let (status, code) = match &error {
            E::NotFound(_) => (StatusCode::NOT_FOUND, ErrorCode::NotFound),
            E::Invalid(_) => (StatusCode::BAD_REQUEST, ErrorCode::Invalid),
            E::Conflict(_) => (StatusCode::CONFLICT, ErrorCode::Conflict),
            E::Unauthorised => (StatusCode::UNAUTHORIZED, ErrorCode::Unauthorised),
            E::Forbidden(_) => (StatusCode::FORBIDDEN, ErrorCode::Forbidden),
            E::ChallengeOver => (StatusCode::CONFLICT, ErrorCode::ChallengeOver),
            E::WorkerElsewhere { .. } => (StatusCode::CONFLICT, ErrorCode::WorkerElsewhere),
            E::SessionLive { .. } => (StatusCode::CONFLICT, ErrorCode::SessionLive),
            E::SessionSuperseded { .. } => (StatusCode::CONFLICT, ErrorCode::SessionSuperseded),
            E::StaleFence { .. } => (StatusCode::CONFLICT, ErrorCode::StaleFence),
            E::LogOffset { .. } => (StatusCode::RANGE_NOT_SATISFIABLE, ErrorCode::LogOffset),
            E::LogDigest { .. } => (StatusCode::CONFLICT, ErrorCode::LogDigest),
            E::WorkerBusy { .. } => (StatusCode::CONFLICT, ErrorCode::WorkerBusy),
            E::DiskFull(_) => return Self::disk_full(&error),
            E::Busy(_)
            | E::Unreachable(_)
            | E::Raced(_)
            | E::BlobGoing { .. }
            | E::Database(_)
            | E::Migrate(_)
            | E::Corrupt { .. }
            | E::Unusable(_)
            | E::WrongKey => {
                return Self::internal(&error);
            }
        };
        let mut problem = Self::new(status, code, error.to_string());
        problem.body.hint = error.hint();
        match error {
            E::SessionLive { retry_after_ms, .. } => problem.body.retry_after_ms = Some(retry_after_ms),
            E::LogOffset { length, .. } | E::LogDigest { length } => problem.body.length = Some(length),
            _ => {}
        }
        problem
    }
}

impl From<BlobError> for Problem {
    fn from(error: BlobError) -> Self {
        if error.is_retryable() {
            return Self::busy(&error);
        }
        match &error {
            BlobError::TooLarge { .. } => {
                Self::new(StatusCode::PAYLOAD_TOO_LARGE, ErrorCode::Invalid, error.to_string())
            }
            BlobError::DiskFull(_) => Self::disk_full(&error),
            BlobError::Missing { .. } => Self::not_found(error.to_string()),
            BlobError::Io(_) | BlobError::BucketName(_) | BlobError::Prefix(_) | BlobError::Bucket(_) => {
                Self::internal(&error)
            }
        }
    }
}

impl IntoResponse for Problem {
    /// Only the status; the edge finds the rest beside it.
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        response.extensions_mut().insert(self);
        response
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[test]
    fn a_full_disk_is_507_and_tells_no_path() {
        let cause = io::Error::new(io::ErrorKind::StorageFull, "writing /data/packages/x.part");
        let problem = Problem::from(BlobError::from(cause));
        assert_eq!(problem.status, StatusCode::INSUFFICIENT_STORAGE);
        assert_eq!(problem.body.message, "the server's disk is full: nothing was stored");
    }

    #[test]
    fn our_own_failures_tell_no_cause() {
        let problem = Problem::from(StoreError::Database("near \"selct\": syntax error".into()));
        assert_eq!(problem.status, StatusCode::INTERNAL_SERVER_ERROR);
        assert!(!problem.body.message.contains("syntax"), "{}", problem.body.message);
    }
}
