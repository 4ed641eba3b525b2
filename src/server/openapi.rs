//! What this server can be asked, in the words of `OpenAPI`: every route of `router`, as data beside each other.

mod deployments;
mod machines;
mod operation;
mod packages;
mod projects;
mod releases;
mod shape;
mod space;
mod variables;
mod worker;

use std::sync::LazyLock;

use axum::{
    http::header,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use serde_json::{Map, Value, json};

use operation::Operation;
use shape::Schema;

/// Where the document is.
pub(super) const PATH: &str = "/api/openapi.json";

/// It is the same for everybody and as long as the program runs.
static DOCUMENT: LazyLock<Bytes> = LazyLock::new(|| whole().to_string().into());

/// The document. It tells nothing that is not in the program itself, so that no key is asked for.
pub(super) async fn document() -> Response {
    ([(header::CONTENT_TYPE, "application/json")], DOCUMENT.clone()).into_response()
}

const ABOUT: &str = "The subset of Octopus's REST API that octarm serves, and the API of its workers.\n\n\
    Each path below `/api`, those of the workers excepted, is also there below `/api/{id of a space}` and \
    `/api/spaces/{id, name or slug of a space}`, in any case and with a slash at its end. Without a space it is the only \
    one that the key reaches, else the first one. Property names of requests are read in any case, \
    unknown ones are ignored, and null is as good as nothing.";

/// The calls of each resource, and what is sent and answered there.
const RESOURCES: [(&[Operation], &[Schema]); 7] = [
    (space::OPERATIONS, space::SCHEMAS),
    (projects::OPERATIONS, projects::SCHEMAS),
    (variables::OPERATIONS, variables::SCHEMAS),
    (packages::OPERATIONS, packages::SCHEMAS),
    (releases::OPERATIONS, releases::SCHEMAS),
    (deployments::OPERATIONS, deployments::SCHEMAS),
    (machines::OPERATIONS, machines::SCHEMAS),
];

fn operations() -> impl Iterator<Item = &'static Operation> {
    RESOURCES.iter().flat_map(|(operations, _)| *operations).chain(worker::OPERATIONS)
}

fn whole() -> Value {
    let refusals: Map<String, Value> = operations().flat_map(Operation::refusals).collect();
    let mut paths = Map::new();
    for operation in operations() {
        let (method, entry) = operation.entry();
        paths.entry(operation.path).or_insert_with(|| json!({}))[method] = entry;
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "octarm", "version": env!("CARGO_PKG_VERSION"), "description": ABOUT,
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "servers": [{ "url": "/" }],
        "paths": paths,
        "components": { "securitySchemes": security(), "responses": refusals, "schemas": schemas() },
    })
}

fn security() -> Value {
    json!({
        "ApiKey": { "type": "apiKey", "in": "header", "name": "X-Octopus-ApiKey", "description": "An API key." },
        "Bearer": { "type": "http", "scheme": "bearer", "description": "An API key." },
        "WorkerToken": {
            "type": "http", "scheme": "bearer", "description": "The token that starting a worker's session answered.",
        },
        "RegistrationToken": { "type": "http", "scheme": "bearer", "description": "A registration token." },
    })
}

fn schemas() -> Map<String, Value> {
    let ours = RESOURCES.iter().flat_map(|(_, schemas)| *schemas);
    let pages = operations().filter_map(Operation::page).map(shape::page);
    ours.map(Schema::entry).chain(pages).chain(worker::schemas()).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_reference_leads_somewhere_and_nothing_lies_unused() {
        let document = whole();
        let mut used = BTreeSet::new();
        find_references(&document, &mut used);
        for reference in &used {
            let place = reference.strip_prefix('#').unwrap();
            assert!(document.pointer(place).is_some(), "{reference} leads nowhere");
        }
        for kind in ["responses", "schemas"] {
            for name in document["components"][kind].as_object().unwrap().keys() {
                assert!(used.contains(&format!("#/components/{kind}/{name}")), "{kind}/{name} is not used");
            }
        }
    }

    fn find_references(value: &Value, used: &mut BTreeSet<String>) {
        match value {
            Value::Object(map) => {
                used.extend(map.get("$ref").and_then(Value::as_str).map(str::to_owned));
                map.values().for_each(|value| find_references(value, used));
            }
            Value::Array(items) => items.iter().for_each(|value| find_references(value, used)),
            _ => {}
        }
    }

    #[test]
    fn every_operation_has_an_id_of_its_own_and_says_what_a_key_must_allow() {
        let mut ids = BTreeSet::new();
        for operation in operations() {
            let (method, entry) = operation.entry();
            assert!(ids.insert(entry["operationId"].to_string()), "{} is there twice", entry["operationId"]);
            assert!(entry["summary"].as_str().unwrap().ends_with('.'), "{method} {}", operation.path);
        }
        let document = whole();
        let needed = |path: &str, method: &str| document["paths"][path][method]["security"].clone();
        assert_eq!(needed("/api/projects", "get"), json!([{ "ApiKey": ["read"] }, { "Bearer": ["read"] }]));
        assert_eq!(
            needed("/api/releases", "post"),
            json!([{ "ApiKey": ["publish"] }, { "Bearer": ["publish"] }])
        );
        assert_eq!(needed("/api/worker/v1/claim", "post"), json!([{ "WorkerToken": [] }]));
        assert_eq!(needed(PATH, "get"), json!([]));
    }
}
