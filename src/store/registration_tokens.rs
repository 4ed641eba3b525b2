//! Registration tokens: each registers so many workers in one environment, for a while. Stored hashed: the answer that
//! makes a token is the only place that has it.

use std::time::Duration;

use jiff::Timestamp;
use secrecy::{ExposeSecret as _, SecretString};
use sqlx::AnyConnection;

use super::{
    Store, StoreError,
    database::{Write, now},
    environments,
    keys::{hash, random_word},
    milliseconds, unsigned,
};
use crate::{
    model::{EnvironmentId, RegistrationTokenId, SpaceId},
    protocol::REGISTRATION_PREFIX,
};

/// How many characters of a token tell it from others without giving it away.
const HINT: usize = REGISTRATION_PREFIX.len() + 4;
/// The most workers that one token registers.
const MOST_USES: u32 = 10_000;
/// The shortest and the longest life of a token.
const LIFE: [Duration; 2] = [Duration::from_secs(1), Duration::from_hours(366 * 24)];
/// How long one that is over is still told from one that never was.
const REMEMBERED: Duration = Duration::from_hours(90 * 24);

/// A token as somebody wants it.
#[derive(Debug, Clone)]
pub struct NewRegistrationToken {
    /// The environment of its workers, by name or id.
    pub environment: String,
    /// How long it registers any.
    pub expires_in: Duration,
    /// How many it registers.
    pub uses: u32,
    /// Whether it may also take a name over from another machine or key.
    pub allow_replace: bool,
    /// The name of the API key that asks.
    pub created_by: String,
}

/// A token as stored: all but the token.
#[derive(Debug, Clone)]
pub struct RegistrationTokenRow {
    /// Its id.
    pub id: RegistrationTokenId,
    /// The space of its environment.
    pub space: SpaceId,
    /// Its environment.
    pub environment: EnvironmentId,
    /// How the token begins.
    pub hint: String,
    /// How many workers it registers.
    pub uses: u64,
    /// How many it has registered.
    pub used: u64,
    /// Whether it may also take a name over.
    pub allow_replace: bool,
    /// When it was made, in milliseconds since 1970.
    pub created: i64,
    /// The API key that made it.
    pub created_by: String,
    /// When it is over.
    pub expires: i64,
    /// Whether it is over by now.
    pub is_over: bool,
}

#[derive(sqlx::FromRow)]
pub(super) struct Stored {
    id: i64,
    pub(super) space_id: i64,
    pub(super) environment_id: i64,
    hint: String,
    uses: i64,
    used: i64,
    pub(super) allow_replace: i64,
    created: i64,
    created_by: String,
    expires: i64,
    rest_ms: i64,
}

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "select t.id, e.space_id, t.environment_id, t.hint, t.uses, t.used, t.allow_replace, t.created, t.created_by, \
             t.expires, t.expires - ",
            now!(),
            " as rest_ms from registration_tokens t join environments e on e.id = t.environment_id ",
            $rest
        )
    };
}

impl Stored {
    pub(super) fn id(&self) -> RegistrationTokenId {
        RegistrationTokenId(self.id)
    }

    fn read(self) -> RegistrationTokenRow {
        RegistrationTokenRow {
            id: self.id(),
            space: SpaceId(self.space_id),
            environment: EnvironmentId(self.environment_id),
            hint: self.hint,
            uses: unsigned(self.uses),
            used: unsigned(self.used),
            allow_replace: self.allow_replace == 1,
            created: self.created,
            created_by: self.created_by,
            expires: self.expires,
            is_over: self.rest_ms <= 0,
        }
    }

    /// Counts one more worker; refuses when it may not be. Decided in the statement, so that of many at once only so
    /// many get through.
    pub(super) async fn take(&self, write: &mut Write) -> Result<(), StoreError> {
        let taken = sqlx::query(concat!(
            "update registration_tokens set used = used + 1 where id = $1 and used < uses and expires > ",
            now!()
        ))
        .bind(self.id)
        .execute(&mut **write)
        .await?;
        if taken.rows_affected() == 1 {
            return Ok(());
        }
        Err(self.over())
    }

    /// Whether it registers nobody any more.
    pub(super) fn is_over(&self) -> bool {
        self.rest_ms <= 0 || self.used >= self.uses
    }

    /// Why it registers nobody any more.
    pub(super) fn over(&self) -> StoreError {
        let id = self.id();
        if self.rest_ms <= 0 {
            let since =
                Timestamp::from_millisecond(self.expires).map(|time| time.to_string()).unwrap_or_default();
            return StoreError::Forbidden(format!("the registration token {id} has expired, since {since}"));
        }
        let uses =
            if self.uses == 1 { "its one use".to_owned() } else { format!("all its {} uses", self.uses) };
        StoreError::Forbidden(format!("the registration token {id} is used up: it had {uses}"))
    }
}

/// The token, inside a transaction; one that was deleted meanwhile counts as none.
pub(super) async fn by_id(
    connection: &mut AnyConnection,
    id: RegistrationTokenId,
) -> Result<Stored, StoreError> {
    let found = sqlx::query_as(select!("where t.id = $1")).bind(id.0).fetch_optional(connection).await?;
    found.ok_or(StoreError::Unauthorised)
}

impl Store {
    /// Makes a token.
    pub async fn create_registration_token(
        &self,
        new: &NewRegistrationToken,
    ) -> Result<(SecretString, RegistrationTokenRow), StoreError> {
        if new.uses == 0 || new.uses > MOST_USES {
            return Err(StoreError::Invalid(format!(
                "a registration token has 1 to {MOST_USES} uses, {} were asked for",
                new.uses
            )));
        }
        let [shortest, longest] = LIFE;
        if new.expires_in < shortest || new.expires_in > longest {
            return Err(StoreError::Invalid(format!(
                "a registration token lives for 1 to {} seconds, {} were asked for",
                longest.as_secs(),
                new.expires_in.as_secs()
            )));
        }
        let made = SecretString::from(format!("{REGISTRATION_PREFIX}{}", random_word(40)?));
        let mut write = self.write().await?;
        let environment = environments::find(environments::all(&mut write).await?, &new.environment)?;
        // Whoever deletes it meanwhile deletes the token too, or has deleted it.
        write.lock_row("environments", environment.id).await?;
        let environment = environments::find(environments::all(&mut write).await?, &new.environment)?;
        sqlx::query(concat!(
            "delete from registration_tokens where environment_id = $1 and expires < ",
            now!(),
            " - $2"
        ))
        .bind(environment.id)
        .bind(milliseconds(REMEMBERED))
        .execute(&mut *write)
        .await?;
        let id: i64 = sqlx::query_scalar(concat!(
            "insert into registration_tokens (environment_id, hash, hint, uses, allow_replace, created_by, created, \
             expires) values ($1, $2, $3, $4, $5, $6, ",
            now!(),
            ", ",
            now!(),
            " + $7) returning id"
        ))
        .bind(environment.id)
        .bind(hash(made.expose_secret()))
        .bind(&made.expose_secret()[..HINT])
        .bind(i64::from(new.uses))
        .bind(i64::from(new.allow_replace))
        .bind(&new.created_by)
        .bind(milliseconds(new.expires_in))
        .fetch_one(&mut *write)
        .await?;
        let row = by_id(&mut write, RegistrationTokenId(id)).await?.read();
        write.commit().await?;
        Ok((made, row))
    }

    /// All tokens of the space, the oldest first.
    pub async fn registration_tokens(&self) -> Result<Vec<RegistrationTokenRow>, StoreError> {
        let rows: Vec<Stored> =
            sqlx::query_as(select!("where e.space_id = coalesce($1, e.space_id) order by t.id"))
                .bind(self.space)
                .fetch_all(&self.database.reader)
                .await?;
        Ok(rows.into_iter().map(Stored::read).collect())
    }

    /// One of them.
    pub async fn registration_token(&self, named: &str) -> Result<RegistrationTokenRow, StoreError> {
        let id = named.trim().parse::<RegistrationTokenId>().ok();
        let rows = self.registration_tokens().await?;
        rows.into_iter()
            .find(|row| Some(row.id) == id)
            .ok_or_else(|| StoreError::NotFound(format!("registration token `{named}` does not exist")))
    }

    /// Deletes one: it registers nobody any more. Who was registered by it stays.
    pub async fn delete_registration_token(&self, named: &str) -> Result<RegistrationTokenRow, StoreError> {
        let row = self.registration_token(named).await?;
        let mut write = self.write().await?;
        let deleted = sqlx::query("delete from registration_tokens where id = $1")
            .bind(row.id.0)
            .execute(&mut *write)
            .await?;
        if deleted.rows_affected() == 0 {
            return Err(StoreError::NotFound(format!("registration token `{named}` does not exist")));
        }
        write.commit().await?;
        Ok(row)
    }

    /// Which token this is, good or not any more. Looked up by hash, so timing tells nothing about stored tokens.
    pub async fn known_registration_token(
        &self,
        text: &str,
    ) -> Result<Option<RegistrationTokenRow>, StoreError> {
        let row: Option<Stored> = sqlx::query_as(select!("where t.hash = $1"))
            .bind(hash(text))
            .fetch_optional(&self.database.reader)
            .await?;
        Ok(row.map(Stored::read))
    }
}
