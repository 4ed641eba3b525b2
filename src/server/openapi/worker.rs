//! The worker API: its calls, and the schemas of its types as the types themselves tell them.

use schemars::{JsonSchema, SchemaGenerator, generate::SchemaSettings};
use serde_json::Value;

use super::operation::{Operation, Parameter, delete, get, patch, post};
use super::shape::Shape::Whole;
use crate::protocol::{
    ChallengeRequest, ChallengeResponse, CheckRequest, CheckResponse, ClaimRequest, ClaimResponse,
    ControlRequest, ControlResponse, DeregisterRequest, DeregisterResponse, ErrorEnvelope, FinishRequest,
    Finished, JournalRequest, Recorded, RegisterRequest, RegisterResponse, RenewRequest, RenewResponse,
    SessionRequest, SessionResponse,
};

const FENCE: Parameter = ("fence", Whole, "The hand-out.");

pub(super) const OPERATIONS: &[Operation] = &[
    post(
        "/api/worker/v1/register",
        "Make or find the worker of a name and a key in an environment.",
    )
    .by_registrar()
    .takes("worker.RegisterRequest")
    .answers("worker.RegisterResponse"),
    post("/api/worker/v1/challenge", "Ask for what the next call is to be signed with.")
        .open()
        .refuses(&[500, 503])
        .takes("worker.ChallengeRequest")
        .answers("worker.ChallengeResponse"),
    post(
        "/api/worker/v1/session",
        "Start, take over or renew the worker's session, signed by its key; answers its token.",
    )
        .by_signature()
        .takes("worker.SessionRequest")
        .answers("worker.SessionResponse"),
    delete("/api/worker/v1/session", "End the session: the process is not there any more.")
        .by_session()
        .statuses(&[204]),
    post("/api/worker/v1/claim", "Wait for a deployment of the environment and take it under a lease.")
        .by_session()
        .takes("worker.ClaimRequest")
        .answers("worker.ClaimResponse"),
    post("/api/worker/v1/control", "Wait until cancelling is asked for of what the worker holds.")
        .by_session()
        .takes("worker.ControlRequest")
        .answers("worker.ControlResponse"),
    post("/api/worker/v1/deployments/{id}/renew", "Renew the lease.")
        .by_session()
        .takes("worker.RenewRequest")
        .answers("worker.RenewResponse"),
    post(
        "/api/worker/v1/deployments/{id}/journal",
        "Record an intent or an effect. The same again is success.",
    )
    .by_session()
    .takes("worker.JournalRequest")
    .answers("worker.Recorded"),
    patch("/api/worker/v1/deployments/{id}/log", "Append whole lines to the log.")
        .by_session()
        .query(&[&[FENCE, ("offset", Whole, "How many bytes the log has before these.")]])
        .takes_lines()
        .answers("worker.Recorded")
        .refuses(&[416]),
    get("/api/worker/v1/deployments/{id}/package", "The bytes of the package to deploy.")
        .by_session()
        .query(&[&[FENCE]])
        .answers_bytes("application/octet-stream")
        .refuses(&[409]),
    post("/api/worker/v1/deployments/{id}/finish", "Record the end, once. The same again is success.")
        .by_session()
        .takes("worker.FinishRequest")
        .answers("worker.Finished"),
    post(
        "/api/worker/v1/deregister",
        "Ask the worker to leave, signed by its key, and wait until it is gone; with force it is gone at once.",
    )
    .by_signature()
    .takes("worker.DeregisterRequest")
    .answers("worker.DeregisterResponse"),
    post(
        "/api/worker/v1/check",
        "What the server knows the worker as, signed by its key. Nothing changes.",
    )
    .by_signature()
    .takes("worker.CheckRequest")
    .answers("worker.CheckResponse"),
];

/// Where the types' schemas refer to each other, before they have their place in the document.
const BEFORE: &str = "#/worker/";
/// What the names of these schemas begin with: some are those of other resources too.
const PREFIX: &str = "worker.";

/// The schemas of all types of the worker API.
pub(super) fn schemas() -> Vec<(String, Value)> {
    let settings =
        SchemaSettings::draft2020_12().with(|settings| settings.definitions_path = "/worker".into());
    let mut generator = settings.into_generator();
    add::<(RegisterRequest, RegisterResponse, SessionRequest, SessionResponse)>(&mut generator);
    add::<(ClaimRequest, ClaimResponse, RenewRequest, RenewResponse, JournalRequest, Recorded)>(
        &mut generator,
    );
    add::<(ControlRequest, ControlResponse)>(&mut generator);
    add::<(ChallengeRequest, ChallengeResponse, DeregisterRequest, DeregisterResponse)>(&mut generator);
    add::<(CheckRequest, CheckResponse)>(&mut generator);
    add::<(FinishRequest, Finished, ErrorEnvelope)>(&mut generator);
    let entries = generator.take_definitions(true).into_iter();
    entries
        .map(|(name, mut schema)| {
            settle(&mut schema);
            (format!("{PREFIX}{name}"), schema)
        })
        .collect()
}

/// What the generator has seen it keeps, with all that it refers to.
fn add<T: JsonSchema>(generator: &mut SchemaGenerator) {
    drop(generator.subschema_for::<T>());
}

/// Points references to where the schemas are in the document.
fn settle(schema: &mut Value) {
    match schema {
        Value::Object(map) => {
            if let Some(Value::String(reference)) = map.get_mut("$ref")
                && let Some(name) = reference.strip_prefix(BEFORE)
            {
                *reference = format!("#/components/schemas/{PREFIX}{name}");
            }
            map.values_mut().for_each(settle);
        }
        Value::Array(items) => items.iter_mut().for_each(settle),
        _ => {}
    }
}
