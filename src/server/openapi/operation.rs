//! One call of the server as data, and that data as `OpenAPI`.

use axum::http::Method;
use serde_json::{Map, Value, json};

use super::shape::{Shape, page_name, reference};
use crate::{
    protocol::{BASE, INSTANCE_HEADER},
    server::auth,
};

/// Who may call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Access {
    /// Who has an API key that allows it.
    Key,
    /// Who has an API key that allows it, or a registration token.
    Registrar,
    /// Whoever has the worker's key, by a signature in the request.
    Signature,
    /// The process that holds a worker's session.
    Session,
    /// Everybody.
    Open,
}

/// What is sent.
#[derive(Debug, Clone, Copy)]
enum Body {
    Nothing,
    /// A JSON document of this schema.
    Document(&'static str),
    /// A file in a form.
    File,
    /// Lines of JSON.
    Lines,
}

/// What is answered.
#[derive(Debug, Clone, Copy)]
enum Answer {
    Nothing,
    Value(Shape),
    Page(&'static str),
    List(&'static str),
    /// Bytes of this media type.
    Bytes(&'static str),
}

/// A query parameter: its name, what it looks like, and what it does.
pub(super) type Parameter = (&'static str, Shape, &'static str);

/// One method of one path.
#[derive(Debug, Clone, Copy)]
pub(super) struct Operation {
    method: &'static str,
    pub(super) path: &'static str,
    summary: &'static str,
    access: Access,
    query: &'static [&'static [Parameter]],
    body: Body,
    statuses: &'static [u16],
    answer: Answer,
    headers: &'static [(&'static str, &'static str)],
    refusals: &'static [u16],
}

const fn operation(method: &'static str, path: &'static str, summary: &'static str) -> Operation {
    Operation {
        method,
        path,
        summary,
        access: Access::Key,
        query: &[],
        body: Body::Nothing,
        statuses: &[200],
        answer: Answer::Nothing,
        headers: &[],
        refusals: &[],
    }
}

pub(super) const fn get(path: &'static str, summary: &'static str) -> Operation {
    operation("get", path, summary)
}

pub(super) const fn post(path: &'static str, summary: &'static str) -> Operation {
    operation("post", path, summary)
}

pub(super) const fn put(path: &'static str, summary: &'static str) -> Operation {
    operation("put", path, summary)
}

pub(super) const fn patch(path: &'static str, summary: &'static str) -> Operation {
    operation("patch", path, summary)
}

pub(super) const fn delete(path: &'static str, summary: &'static str) -> Operation {
    operation("delete", path, summary)
}

/// Which part of a list is wanted.
const PAGE: &[Parameter] = &[
    ("skip", Shape::Whole, "How many items to leave out."),
    ("take", Shape::Whole, "How many to answer; 30."),
];
/// What lists of things without names can be narrowed by.
pub(super) const IDS: &[Parameter] = &[("ids", Shape::List(&Shape::Text), "Only these ids.")];
/// What most lists can be narrowed by.
pub(super) const NAMED: &[Parameter] = &[
    ("ids", Shape::List(&Shape::Text), "Only these ids."),
    ("name", Shape::Text, "Only this name."),
    ("partialName", Shape::Text, "Only names with this in them."),
];

impl Operation {
    pub(super) const fn query(self, query: &'static [&'static [Parameter]]) -> Self {
        Self { query, ..self }
    }

    pub(super) const fn takes(self, schema: &'static str) -> Self {
        Self { body: Body::Document(schema), ..self }
    }

    pub(super) const fn takes_file(self) -> Self {
        Self { body: Body::File, ..self }
    }

    pub(super) const fn takes_lines(self) -> Self {
        Self { body: Body::Lines, ..self }
    }

    pub(super) const fn answers(self, schema: &'static str) -> Self {
        self.answers_value(Shape::A(schema))
    }

    pub(super) const fn answers_value(self, shape: Shape) -> Self {
        Self { answer: Answer::Value(shape), ..self }
    }

    pub(super) const fn answers_list(self, schema: &'static str) -> Self {
        Self { answer: Answer::List(schema), ..self }
    }

    pub(super) const fn answers_page(self, schema: &'static str) -> Self {
        Self { answer: Answer::Page(schema), ..self }
    }

    pub(super) const fn answers_bytes(self, media: &'static str) -> Self {
        Self { answer: Answer::Bytes(media), ..self }
    }

    /// A new one, which is answered with 201.
    pub(super) const fn makes(self, schema: &'static str) -> Self {
        Self { statuses: &[201], ..self.answers(schema) }
    }

    pub(super) const fn statuses(self, statuses: &'static [u16]) -> Self {
        Self { statuses, ..self }
    }

    /// What is never done: the request is understood and refused.
    pub(super) const fn never(self) -> Self {
        Self { statuses: &[], ..self }
    }

    pub(super) const fn headers(self, headers: &'static [(&'static str, &'static str)]) -> Self {
        Self { headers, ..self }
    }

    pub(super) const fn refuses(self, refusals: &'static [u16]) -> Self {
        Self { refusals, ..self }
    }

    pub(super) const fn open(self) -> Self {
        Self { access: Access::Open, ..self }
    }

    pub(super) const fn by_registrar(self) -> Self {
        Self { access: Access::Registrar, ..self }
    }

    pub(super) const fn by_signature(self) -> Self {
        Self { access: Access::Signature, ..self }
    }

    pub(super) const fn by_session(self) -> Self {
        Self { access: Access::Session, ..self }
    }

    /// The schema that its answer is a page of.
    pub(super) fn page(&self) -> Option<&'static str> {
        match self.answer {
            Answer::Page(item) => Some(item),
            _ => None,
        }
    }

    fn is_for_worker(&self) -> bool {
        self.path.starts_with(BASE)
    }

    /// The path's own segments, parameters in braces.
    fn segments(&self) -> impl Iterator<Item = &'static str> {
        self.path.trim_start_matches('/').split('/')
    }

    /// Its method, and all that `OpenAPI` says of it.
    pub(super) fn entry(&self) -> (&'static str, Value) {
        let words = std::iter::once(self.method).chain(self.segments());
        let id: Vec<&str> =
            words.map(|word| word.trim_matches(['{', '}'])).filter(|word| *word != "api").collect();
        let resource = if self.is_for_worker() { "worker" } else { self.segments().nth(1).unwrap_or("root") };
        let mut operation = json!({
            "operationId": id.join("-").replace('.', "-"), "summary": self.summary, "tags": [resource],
            "security": self.security(), "parameters": self.parameters(), "responses": self.responses(),
        });
        if self.access == Access::Key {
            operation["description"] = format!("Needs an API key that may `{}`.", self.needed()).into();
        }
        if self.access == Access::Registrar {
            let needed = self.needed();
            operation["description"] =
                format!("Needs an API key that may `{needed}`, or a registration token.").into();
        }
        if let Some(body) = self.body() {
            operation["requestBody"] = body;
        }
        (self.method, operation)
    }

    /// What the key must allow, by the rule that the server itself decides with.
    fn needed(&self) -> String {
        let method = Method::from_bytes(self.method.to_uppercase().as_bytes()).unwrap_or_default();
        auth::needed(&method, self.path).to_string()
    }

    fn security(&self) -> Value {
        match self.access {
            Access::Open | Access::Signature => json!([]),
            Access::Session => json!([{ "WorkerToken": [] }]),
            Access::Key => {
                let needed = [self.needed()];
                json!([{ "ApiKey": needed }, { "Bearer": needed }])
            }
            Access::Registrar => {
                let needed = [self.needed()];
                json!([{ "ApiKey": needed }, { "Bearer": needed }, { "RegistrationToken": [] }])
            }
        }
    }

    fn parameters(&self) -> Vec<Value> {
        let mut found = Vec::new();
        let mut before = "";
        for segment in self.segments() {
            if let Some(name) = segment.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) {
                found.push(json!({
                    "name": name, "in": "path", "required": true, "example": example(before, name),
                    "schema": { "type": "string", "minLength": 1 },
                }));
            }
            before = segment;
        }
        if self.access == Access::Session {
            found.push(json!({
                "name": INSTANCE_HEADER, "in": "header", "required": true,
                "description": "The process that holds the worker's session.",
                "schema": { "type": "string", "format": "uuid" },
            }));
        }
        let paged: &[&[Parameter]] = if self.page().is_some() { &[PAGE] } else { &[] };
        for (name, shape, about) in paged.iter().chain(self.query).copied().flatten() {
            let mut parameter =
                json!({ "name": name, "in": "query", "description": about, "schema": shape.schema() });
            if matches!(shape, Shape::List(_)) {
                // One parameter with commas.
                parameter["style"] = "form".into();
                parameter["explode"] = false.into();
            }
            // What the worker API asks for in a query it needs.
            parameter["required"] = (self.access == Access::Session).into();
            found.push(parameter);
        }
        found
    }

    fn body(&self) -> Option<Value> {
        let (media, schema) = match self.body {
            Body::Nothing => return None,
            Body::Document(name) => ("application/json", reference(name)),
            Body::File => (
                "multipart/form-data",
                json!({
                    "type": "object", "required": ["file"],
                    "properties": { "file": {
                        "type": "string", "format": "binary",
                        "description": "The package. Its id and version are read from the file's name.",
                    } },
                }),
            ),
            Body::Lines => ("application/x-ndjson", json!({ "type": "string" })),
        };
        Some(json!({ "required": true, "content": { media: { "schema": schema } } }))
    }

    fn responses(&self) -> Value {
        let (media, schema) = match self.answer {
            Answer::Nothing => ("", Value::Null),
            Answer::Value(shape) => ("application/json", shape.schema()),
            Answer::Page(item) => ("application/json", reference(&page_name(item))),
            Answer::List(item) => ("application/json", json!({ "type": "array", "items": reference(item) })),
            Answer::Bytes(media) => (media, json!({ "type": "string", "format": "binary" })),
        };
        let mut responses = Map::new();
        for status in self.statuses {
            let about = match status {
                201 => "It was made.",
                204 => "It was done.",
                _ => "What was asked for.",
            };
            let mut response = json!({ "description": about });
            if !media.is_empty() {
                response["content"] = json!({ media: { "schema": schema } });
            }
            for (name, about) in self.headers {
                response["headers"][name] =
                    json!({ "description": about, "required": true, "schema": { "type": "string" } });
            }
            responses.insert(status.to_string(), response);
        }
        for status in self.refused_with() {
            let name = self.refusal_name(status);
            responses.insert(status.to_string(), json!({ "$ref": format!("#/components/responses/{name}") }));
        }
        responses.into()
    }

    /// What it may be refused with: the names of the answers, and the answers.
    pub(super) fn refusals(&self) -> impl Iterator<Item = (String, Value)> {
        self.refused_with().into_iter().map(|status| {
            let schema = if self.is_for_worker() { "worker.ErrorEnvelope" } else { "Problem" };
            let about = REFUSALS.iter().find(|(other, _)| *other == status).map(|(_, about)| *about);
            let mut response = json!({
                "description": about,
                "content": { "application/json": { "schema": reference(schema) } },
            });
            if status == 503 {
                response["headers"]["Retry-After"] =
                    json!({ "description": "How long to wait, in seconds.", "schema": { "type": "integer" } });
            }
            (self.refusal_name(status), response)
        })
    }

    fn refusal_name(&self, status: u16) -> String {
        let side = if self.is_for_worker() { "Worker" } else { "" };
        format!("{side}Refused{status}")
    }

    /// With which statuses the request may be refused.
    fn refused_with(&self) -> Vec<u16> {
        let mut refused = self.refusals.to_vec();
        if self.access != Access::Open {
            refused.extend([401, 403, 500, 503]);
        }
        let is_free = !self.path.contains('{') && self.query.is_empty() && self.page().is_none();
        let changes = self.method != "get";
        if changes || !is_free {
            refused.extend([400, 404]);
        }
        if changes {
            refused.extend([409, 507]);
        }
        if !matches!(self.body, Body::Nothing) {
            refused.extend([408, 413]);
        }
        refused
    }
}

/// What can be refused with, and what it means.
const REFUSALS: [(u16, &str); 11] = [
    (400, "The request cannot be understood, or what it asks for is not allowed."),
    (401, "No key or token was sent, or it is not a good one."),
    (403, "The key does not allow this."),
    (404, "Something that the request names does not exist."),
    (408, "The request's body did not arrive in time."),
    (409, "What is there does not let it be done."),
    (413, "The request's body is too large."),
    (416, "The log does not end where the chunk begins."),
    (500, "The server could not do it; the cause is in its own log."),
    (503, "Too much at once: try again after the time in `Retry-After`."),
    (507, "The server's disk is full: nothing was stored."),
];

/// An id as it may be, by the segment before it.
fn example(before: &str, name: &str) -> &'static str {
    const EXAMPLES: [(&str, &str); 23] = [
        ("apikeys", "ApiKeys-1"),
        ("build-information", "BuildInformation-1"),
        ("channels", "Channels-1"),
        ("deploymentprocesses", "deploymentprocess-Projects-1"),
        ("deployments", "Deployments-1"),
        ("environments", "Environments-1"),
        ("feeds", "feeds-builtin"),
        ("libraryvariablesets", "LibraryVariableSets-1"),
        ("lifecycles", "Lifecycles-1"),
        ("machinepolicies", "MachinePolicies-1"),
        ("machines", "Machines-1"),
        ("packages", "packages-Orders.1.0.0"),
        ("preview", "Environments-1"),
        ("projectgroups", "ProjectGroups-1"),
        ("projects", "Projects-1"),
        ("releases", "Releases-1"),
        ("spaces", "Spaces-1"),
        ("tasks", "ServerTasks-1"),
        ("users", "Users-1"),
        ("variables", "variableset-Projects-1"),
        ("workerpools", "WorkerPools-1"),
        ("workerregistrationtokens", "WorkerRegistrationTokens-1"),
        ("workers", "Workers-1"),
    ];
    let found = EXAMPLES.iter().find(|(segment, _)| *segment == before && name != "version");
    found.map_or("1.0.0", |(_, example)| example)
}
