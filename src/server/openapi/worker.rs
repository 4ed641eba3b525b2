//! The worker API: its calls, and the schemas of its types as the types themselves tell them.

use schemars::{JsonSchema, SchemaGenerator, generate::SchemaSettings};
use serde_json::Value;

use super::operation::{Operation, Parameter, delete, get, patch, post};
use super::shape::Shape::{Flag, Whole};
use crate::protocol::{
    ClaimRequest, ClaimResponse, ControlRequest, ControlResponse, ErrorEnvelope, FinishRequest, Finished,
    JournalRequest, Recorded, RegisterRequest, RegisterResponse, RegistrationResponse, RenewRequest,
    RenewResponse, SessionRequest, SessionResponse,
};

const FENCE: Parameter = ("fence", Whole, "The hand-out.");

pub(super) const OPERATIONS: &[Operation] = &[
    post(
        "/api/worker/v1/register",
        "Make or find the worker of a name in an environment; answers its token.",
    )
    .takes("worker.RegisterRequest")
    .answers("worker.RegisterResponse"),
    post("/api/worker/v1/session", "Start or take over the worker's session.")
        .by_worker()
        .takes("worker.SessionRequest")
        .answers("worker.SessionResponse"),
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
    get("/api/worker/v1/registration", "What the server knows the worker as. Nothing changes.")
        .by_worker()
        .answers("worker.RegistrationResponse"),
    delete("/api/worker/v1/registration", "Deregister the worker: its token stops working now.")
        .by_worker()
        .query(&[&[("force", Flag, "Also while it holds a lease.")]])
        .statuses(&[204]),
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
    add::<(ControlRequest, ControlResponse, RegistrationResponse)>(&mut generator);
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
