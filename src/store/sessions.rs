//! Sessions of workers: a challenge, a signature over it, and the token of one process.
//!
//! A challenge is stored nowhere: its own digest under a key of the database vouches for it, at every node, so whoever
//! asks for challenges uses nothing up. Only one that was signed rightly is noted, since it is good once.

use std::time::Duration;

use aws_lc_rs::hmac;
use sqlx::AssertSqlSafe;
use uuid::Uuid;

use super::{
    Store, StoreError,
    database::{Write, now},
    error::Elsewhere,
    keys, milliseconds,
    registration::check_machine,
    unsigned,
    workers::refuse_live,
};
use crate::{
    model::MachineId,
    protocol::{ChallengeResponse, PublicKey, SESSION_PREFIX, SessionRequest, Token},
};

/// How long a challenge is good.
const CHALLENGE: Duration = Duration::from_mins(1);
/// The longest version that a process may say it is.
const LONGEST_VERSION: usize = 100;
/// How many challenges that are over are forgotten at a time, for each that is used.
const FORGOTTEN: u32 = 100;

/// Who is calling: a process of a worker by the token of its session.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct Session {
    /// The number of the worker's id.
    pub id: i64,
    /// Which environment it is bound to.
    pub environment_id: i64,
    /// Its name.
    pub name: String,
    /// The process that has the worker's session now.
    pub instance: Option<String>,
    /// The process that the token was given to.
    pub own: String,
    /// Why the worker took no new work when it last asked.
    pub refusing: Option<String>,
}

impl Session {
    /// Refuses every process but the one that the token was given to, and that one once another took over.
    pub fn check(&self, instance: Uuid) -> Result<(), StoreError> {
        if self.own != instance.to_string() {
            return Err(StoreError::Unauthorised);
        }
        if self.instance.as_deref() == Some(self.own.as_str()) {
            return Ok(());
        }
        Err(StoreError::SessionSuperseded { name: self.name.clone() })
    }
}

/// A session that has begun.
#[derive(Debug)]
pub struct Begun {
    /// The worker's name.
    pub name: String,
    /// The environment's name.
    pub environment: String,
    /// What the process shows from now on.
    pub token: Token,
}

#[derive(sqlx::FromRow)]
struct Known {
    name: String,
    host: String,
    machine_key: String,
    public_key: Option<String>,
    instance: Option<String>,
    environment: String,
    silent_ms: i64,
}

/// A challenge that this server gave to the worker, at some time.
struct Given {
    nonce: String,
    expires: i64,
}

impl Store {
    /// What this worker is to sign next, if there is one.
    pub async fn challenge(&self, worker: MachineId) -> Result<ChallengeResponse, StoreError> {
        let now: i64 =
            sqlx::query_scalar(concat!("select ", now!(), " as ms")).fetch_one(&self.database.reader).await?;
        let mut bytes = (now + milliseconds(CHALLENGE)).to_be_bytes().to_vec();
        let mut nonce = [0; 16];
        keys::fill(&mut nonce)?;
        bytes.extend_from_slice(&nonce);
        let mac = hmac::sign(&self.challenges, &vouched(worker, &bytes));
        bytes.extend_from_slice(mac.as_ref());
        let ttl_ms = unsigned(milliseconds(CHALLENGE));
        Ok(ChallengeResponse { challenge: hex::encode(bytes), ttl_ms })
    }

    fn given(&self, worker: MachineId, challenge: &str) -> Result<Given, StoreError> {
        let bytes = hex::decode(challenge).map_err(|_| StoreError::ChallengeOver)?;
        let (said, mac) = bytes.split_at_checked(24).ok_or(StoreError::ChallengeOver)?;
        hmac::verify(&self.challenges, &vouched(worker, said), mac).map_err(|_| StoreError::ChallengeOver)?;
        let (expires, nonce) = said.split_at(8);
        let expires = expires.try_into().map_or(0, i64::from_be_bytes);
        Ok(Given { nonce: hex::encode(nonce), expires })
    }

    /// Begins what the worker signed: a transaction in which its row is locked, with the challenge noted as used. Nothing
    /// is locked, and nobody is told whether there is such a worker, before the signature is found to be right.
    pub(super) async fn begin_signed(
        &self,
        worker: MachineId,
        challenge: &str,
        statement: &[u8],
        signature: &str,
    ) -> Result<Write, StoreError> {
        let given = self.given(worker, challenge)?;
        let of_worker = "select public_key from machines where id = $1";
        let stored: Option<Option<String>> =
            sqlx::query_scalar(of_worker).bind(worker.0).fetch_optional(&self.database.reader).await?;
        let key = stored.flatten().ok_or(StoreError::Unauthorised)?;
        if !PublicKey::read(&key).is_some_and(|key| key.signed(statement, signature)) {
            return Err(StoreError::Unauthorised);
        }
        let mut write = self.write().await?;
        // It may have been replaced meanwhile.
        let now: Option<Option<String>> =
            sqlx::query_scalar(write.locking(of_worker)).bind(worker.0).fetch_optional(&mut *write).await?;
        if now.flatten() != Some(key) {
            return Err(StoreError::Unauthorised);
        }
        use_up(&mut write, &given).await?;
        Ok(write)
    }

    /// Gives the session to the process that asks, unless an earlier one still holds a lease.
    pub async fn start_session(&self, request: &SessionRequest, ttl: Duration) -> Result<Begun, StoreError> {
        check_machine(&request.machine)?;
        let length = request.version.chars().count();
        if length > LONGEST_VERSION {
            return Err(StoreError::Invalid(format!(
                "`version` has {length} characters, expected at most {LONGEST_VERSION}"
            )));
        }
        let statement = request.statement(self.installation.id);
        let SessionRequest { worker_id, challenge, signature, .. } = request;
        let mut write = self.begin_signed(*worker_id, challenge, &statement, signature).await?;
        let known: Option<Known> = sqlx::query_as(concat!(
            "select machines.name, host, machine_key, public_key, instance, environments.name as environment, ",
            now!(),
            " - last_seen as silent_ms from machines join environments on environments.id = environment_id \
             where machines.id = $1"
        ))
        .bind(worker_id.0)
        .fetch_optional(&mut *write)
        .await?;
        let known = known.filter(|known| known.public_key.is_some()).ok_or(StoreError::Unauthorised)?;
        let Known { name, host, machine_key, instance, environment, silent_ms, .. } = known;
        if machine_key != request.machine.id {
            let silent_ms = Some(unsigned(silent_ms));
            return Err(StoreError::WorkerElsewhere {
                name,
                environment,
                host,
                why: Elsewhere::Machine,
                silent_ms,
            });
        }
        let own = request.instance.to_string();
        if instance.as_deref() != Some(own.as_str()) {
            if request.renewal {
                return Err(StoreError::SessionSuperseded { name });
            }
            refuse_live(&mut write, worker_id.0, &name).await?;
            write.announce_leaving(worker_id.0);
        }
        sqlx::query(concat!(
            "update machines set refusing = case when instance = $2 then refusing end, instance = $2, version = $3, host = $4, \
             last_seen = ",
            now!(),
            " where id = $1"
        ))
        .bind(worker_id.0)
        .bind(&own)
        .bind(&request.version)
        .bind(&request.machine.host)
        .execute(&mut *write)
        .await?;
        // The one before is to hear that it was superseded, and not that nobody knows it.
        sqlx::query(concat!(
            "delete from worker_sessions where machine_id = $1 and (instance not in ($2, $3) or expires <= ",
            now!(),
            ")"
        ))
        .bind(worker_id.0)
        .bind(&own)
        .bind(instance.unwrap_or_default())
        .execute(&mut *write)
        .await?;
        let token = Token(format!("{SESSION_PREFIX}{}", keys::random_word(40)?));
        sqlx::query(concat!(
            "insert into worker_sessions (token_hash, machine_id, instance, expires) values ($1, $2, $3, ",
            now!(),
            " + $4)"
        ))
        .bind(keys::hash(&token.0))
        .bind(worker_id.0)
        .bind(&own)
        .bind(milliseconds(ttl))
        .execute(&mut *write)
        .await?;
        write.commit().await?;
        Ok(Begun { name, environment, token })
    }

    /// Who has this token, as long as it is good.
    pub async fn session_of(&self, token: &str) -> Result<Session, StoreError> {
        sqlx::query_as(concat!(
            "select m.id, m.environment_id, m.name, m.instance, s.instance as own, m.refusing from worker_sessions s \
             join machines m on m.id = s.machine_id where s.token_hash = $1 and s.expires > ",
            now!()
        ))
        .bind(keys::hash(token))
        .fetch_optional(&self.database.reader)
        .await?
        .ok_or(StoreError::Unauthorised)
    }

    /// The process is not there any more: nobody has to wait for it.
    pub async fn end_session(&self, session: &Session) -> Result<(), StoreError> {
        let mut write = self.write().await?;
        sqlx::query("update machines set instance = null where id = $1 and instance = $2")
            .bind(session.id)
            .bind(&session.own)
            .execute(&mut *write)
            .await?;
        sqlx::query("delete from worker_sessions where machine_id = $1 and instance = $2")
            .bind(session.id)
            .bind(&session.own)
            .execute(&mut *write)
            .await?;
        write.announce_state();
        write.commit().await
    }
}

/// What a challenge is vouched for as: the worker's, and nobody else's.
fn vouched(worker: MachineId, said: &[u8]) -> Vec<u8> {
    [b"octarm challenge v1".as_slice(), &worker.0.to_be_bytes(), said].concat()
}

/// Notes that the challenge was used; refuses one that was used before, or is over. Forgets some of those that are.
async fn use_up(write: &mut Write, given: &Given) -> Result<(), StoreError> {
    let now: i64 = sqlx::query_scalar(concat!("select ", now!(), " as ms")).fetch_one(&mut **write).await?;
    if given.expires <= now {
        return Err(StoreError::ChallengeOver);
    }
    let noted = sqlx::query(
        "insert into used_challenges (nonce, expires) values ($1, $2) on conflict (nonce) do nothing",
    )
    .bind(&given.nonce)
    .bind(given.expires)
    .execute(&mut **write)
    .await?;
    if noted.rows_affected() == 0 {
        return Err(StoreError::ChallengeOver);
    }
    let text = AssertSqlSafe(format!(
        "delete from used_challenges where nonce in (select nonce from used_challenges where expires <= $1 \
         order by expires limit {FORGOTTEN}{})",
        write.skip_locked()
    ));
    sqlx::query(text).bind(now).execute(&mut **write).await?;
    Ok(())
}
