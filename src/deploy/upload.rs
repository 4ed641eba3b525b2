//! The act "upload": brings a zip that is too large for a request into S3, from where Lambda fetches it.
//!
//! The object's key names its content, so that an upload can be repeated and changes no function: whatever becomes of
//! it, the function is as it was.

use std::time::{Duration, Instant};

use super::{DeployError, Progress, update_code::Step};
use crate::{
    aws::{Code, Place, Stored},
    deploy::bytes,
    model::JournalRecord,
};

impl Step<'_> {
    /// Brings the zip to its place, unless it lies there already.
    pub(super) async fn upload(
        &self,
        place: &Place,
        code: &Code,
        sha256: &str,
    ) -> Result<Stored, DeployError> {
        let deadline = Instant::now() + self.timeout;
        let mut pause = Duration::from_secs(1);
        let mut is_recorded = false;
        loop {
            match self.aws.find_code(place, code).await {
                Ok(Some(stored)) => {
                    self.log.info(format!("{place} holds this zip already: it is not sent again"));
                    return Ok(stored);
                }
                Ok(None) => {}
                // Who may write there may not read there: then the zip is sent, and what is wrong is told by that.
                Err(error) => self.log.verbose(format!("whether {place} is there cannot be told: {error}")),
            }
            if !is_recorded {
                self.guard.record(intent(place, sha256)).await?;
                is_recorded = true;
            }
            self.guard.allow_change()?;
            self.log.progress(Progress::Sending { bytes: code.size() });
            self.log.info(format!("sending {} to {place}", bytes(code.size())));
            let error = match self.aws.store_code(place, code).await {
                Ok(stored) => {
                    self.guard.record(effect(place, &stored)).await?;
                    return Ok(stored);
                }
                Err(error) => error,
            };
            self.log.progress(Progress::Idle);
            let wait = error.retry_after().unwrap_or(pause);
            if !error.is_retryable() || Instant::now() + wait > deadline {
                return Err(error.into());
            }
            self.log.warning(format!("{error}; trying again"));
            self.guard.pause(wait).await?;
            pause = (pause * 2).min(Duration::from_secs(20));
        }
    }
}

fn intent(place: &Place, sha256: &str) -> JournalRecord {
    JournalRecord::UploadIntent {
        bucket: place.bucket.to_string(),
        key: place.key.to_string(),
        sha256: sha256.to_owned(),
    }
}

fn effect(place: &Place, stored: &Stored) -> JournalRecord {
    JournalRecord::UploadEffect {
        bucket: place.bucket.to_string(),
        key: place.key.to_string(),
        version_id: stored.version.clone(),
    }
}
