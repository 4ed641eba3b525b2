//! What each call does: who asks, what goes wrong, what changes, what is answered.

use axum::body::Body;
use axum::http::Response;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use jiff::Timestamp;
use percent_encoding::percent_decode_str;
use serde::Deserialize;
use serde_json::json;
use uuid::Uuid;

use super::action::{Action, Call};
use super::code;
use super::credentials::Credentials;
use super::fault::Fault;
use super::function::Function;
use super::refusal::{Dialect, Refusal};
use super::signature;
use super::simulation;
use super::storage;
use super::wire::Received;
use super::world::{World, WorldState};

/// The largest body AWS takes for `UpdateFunctionCode`: 50 MiB of zip in base64, and a little JSON.
pub(crate) const MAX_BODY: usize = 69_905_067;

/// What a call asks for.
pub(super) struct Route {
    pub(super) action: Action,
    /// The function, or the object as `bucket/key`.
    target: Option<String>,
}

/// What a call did.
pub(super) struct Done {
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Bytes,
    pub(super) applied: bool,
    pub(super) status: u16,
    /// After how many bytes of the body the connection closes.
    pub(super) cut_after: Option<usize>,
}

/// The answer; `None` is a cut connection.
pub(super) async fn answer(world: &World, request: Received) -> Option<Response<Body>> {
    let Some(route) = Route::of(&request) else {
        let what = format!("{} {}", request.method, request.path);
        return Some(Refusal::not_imitated(what).response(Dialect::Json));
    };
    let (caller, fault) = match enter(world, &route, &request) {
        Ok(entered) => entered,
        Err(refusal) => return Some(finish(world, &mut world.state(), &route, Err(refusal))),
    };
    match fault {
        Some(Fault::Refuse { status, error_type, message, retry_after }) => {
            let refusal = Refusal { retry_after, ..Refusal::new(status, &error_type, message) };
            Some(finish(world, &mut world.state(), &route, Err(refusal)))
        }
        Some(Fault::CutBefore) => {
            let mut state = world.state();
            world.record(&mut state, route.call(None, None, false));
            None
        }
        Some(Fault::CutAfter) => {
            let mut state = world.state();
            let done = act(world, &mut state, &route, &caller, &request);
            let (error_type, applied) = match done {
                Ok(done) => (None, done.applied),
                Err(refusal) => (Some(refusal.error_type), false),
            };
            world.record(&mut state, route.call(None, error_type, applied));
            None
        }
        Some(Fault::CutBody(bytes)) => {
            let mut state = world.state();
            let done = act(world, &mut state, &route, &caller, &request);
            let done = done.map(|done| Done { cut_after: Some(bytes), ..done });
            Some(finish(world, &mut state, &route, done))
        }
        Some(Fault::HoldBefore(gate)) => {
            gate.pass().await;
            Some(act_and_finish(world, &route, &caller, &request))
        }
        Some(Fault::HoldAfter(gate)) => {
            let response = act_and_finish(world, &route, &caller, &request);
            gate.pass().await;
            Some(response)
        }
        Some(Fault::SlowAnswer(delay)) => {
            let response = act_and_finish(world, &route, &caller, &request);
            tokio::time::sleep(delay).await;
            Some(response)
        }
        Some(Fault::Times(..)) => unreachable!("a script holds single faults"),
        None => Some(act_and_finish(world, &route, &caller, &request)),
    }
}

/// Who asks, and what is scripted to go wrong. A call that is refused at the door uses up no fault, so that a
/// wrong signature cannot hide behind one.
fn enter(world: &World, route: &Route, request: &Received) -> Result<(Credentials, Option<Fault>), Refusal> {
    let mut state = world.state();
    let caller = if route.action == Action::DownloadCode {
        presigned(request)?
    } else {
        // There is one IAM for all regions, and it is here.
        let region = match route.action {
            Action::SimulatePrincipalPolicy => "us-east-1",
            _ => &world.region,
        };
        let service = match route.action {
            Action::GetCallerIdentity => "sts",
            Action::SimulatePrincipalPolicy => "iam",
            action if action.is_storage() => "s3",
            _ => "lambda",
        };
        signature::verify(request, service, region, &state.credentials, Timestamp::now())?
    };
    let caller = allow(world, route, caller)?;
    if let Some(limits) = &mut state.limits {
        limits.take(route.action)?;
    }
    Ok((caller, state.take_fault(route.action)))
}

/// A presigned address carries its right in itself; S3 refuses a second way of proving who asks.
fn presigned(request: &Received) -> Result<Credentials, Refusal> {
    if request.headers.contains_key("authorization") {
        let message = "Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter, Signature \
                       query string parameter or the Authorization header should be specified";
        return Err(Refusal::new(400, "InvalidArgument", message));
    }
    Ok(Credentials::default())
}

/// Whether the caller may do this, to this function. Anyone may ask who they are.
fn allow(world: &World, route: &Route, caller: Credentials) -> Result<Credentials, Refusal> {
    let mut resource = "*".to_owned();
    let mut own = true;
    if route.action.is_storage() {
        resource = format!("arn:aws:s3:::{}", route.target());
    } else if let Some(function) = &route.target {
        resource = resolve(world, function, &caller);
        own = resource.starts_with(&world.arn(&caller.account, ""));
    }
    if route.action == Action::GetCallerIdentity || (own && caller.allowed.contains(&route.action)) {
        return Ok(caller);
    }
    let right = route.action.right();
    let reason = format!(
        "User: {} is not authorized to perform: {right} on resource: {resource} because no {} policy allows the \
         {right} action",
        caller.user_arn(),
        if own { "identity-based" } else { "resource-based" },
    );
    let error_type = if route.action.is_storage() { "AccessDenied" } else { "AccessDeniedException" };
    Err(Refusal::new(403, error_type, reason))
}

fn act_and_finish(world: &World, route: &Route, caller: &Credentials, request: &Received) -> Response<Body> {
    let mut state = world.state();
    let done = act(world, &mut state, route, caller, request);
    finish(world, &mut state, route, done)
}

/// Records the call and makes its answer.
fn finish(
    world: &World,
    state: &mut WorldState,
    route: &Route,
    done: Result<Done, Refusal>,
) -> Response<Body> {
    match done {
        Ok(done) => {
            world.record(state, route.call(Some(done.status), None, done.applied));
            let mut response = Response::builder()
                .status(done.status)
                .header("x-amzn-requestid", Uuid::now_v7().to_string());
            for (name, value) in done.headers {
                response = response.header(name, value);
            }
            match done.cut_after {
                Some(bytes) => {
                    response = response.header("content-length", done.body.len());
                    response.body(cut(done.body, bytes)).unwrap()
                }
                None => response.body(done.body.into()).unwrap(),
            }
        }
        Err(refusal) => {
            let error_type = Some(refusal.error_type.clone());
            world.record(state, route.call(Some(refusal.status), error_type, false));
            refusal.response(route.dialect())
        }
    }
}

/// The beginning of a body, and then no more.
fn cut(body: Bytes, after: usize) -> Body {
    let beginning = stream::once(async move { Ok(body.slice(..after.min(body.len()))) });
    let end = stream::once(async {
        // So that the beginning is sent.
        tokio::task::yield_now().await;
        Err(std::io::Error::from(std::io::ErrorKind::ConnectionReset))
    });
    Body::from_stream(beginning.chain(end))
}

fn act(
    world: &World,
    state: &mut WorldState,
    route: &Route,
    caller: &Credentials,
    request: &Received,
) -> Result<Done, Refusal> {
    if route.action == Action::GetCallerIdentity {
        return Ok(caller_identity(caller));
    }
    if route.action == Action::SimulatePrincipalPolicy {
        let body = simulation::answer(request, &state.credentials, &state.decisions)?;
        return Ok(Done { body: body.into(), ..Done::typed("text/xml") });
    }
    if route.action.is_storage() {
        return storage::act(world, &mut state.buckets, route, request);
    }
    let arn = resolve(world, route.target(), caller);
    let (settle_after, failure) = (state.settle_after, state.failures.front().cloned());
    let function = state.functions.get_mut(&arn).ok_or_else(|| {
        Refusal::new(404, "ResourceNotFoundException", format!("Function not found: {arn}"))
    })?;
    match route.action {
        Action::GetFunctionConfiguration => Ok(Done::json(&function.poll())),
        Action::GetFunction => {
            let configuration = function.poll();
            let name = route.target();
            let location =
                format!("{}/code/{name}?X-Amz-Signature={}", world.endpoint, function.revision_id());
            Ok(Done::json(&json!({
                "Configuration": configuration,
                "Code": { "RepositoryType": "S3", "Location": location },
            })))
        }
        Action::DownloadCode => {
            Ok(Done { body: function.reported_zip().clone(), ..Done::typed("application/zip") })
        }
        Action::UpdateFunctionCode => {
            let update =
                Update::parse(&request.body, |place| storage::read(world, &state.buckets, caller, place))?;
            update.check(function)?;
            if update.dry_run {
                return Ok(Done::json(&function.configuration_for(&update.zip)));
            }
            let answer = function.begin_update(update.zip, settle_after, failure);
            state.failures.pop_front();
            Ok(Done { applied: true, ..Done::json(&answer) })
        }
        _ => unreachable!("answered above"),
    }
}

/// The body of `UpdateFunctionCode`. A field the fake does not know is refused, not ignored.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct UpdateBody {
    zip_file: Option<String>,
    #[serde(rename = "S3Bucket")]
    s3_bucket: Option<String>,
    #[serde(rename = "S3Key")]
    s3_key: Option<String>,
    #[serde(rename = "S3ObjectVersion")]
    s3_object_version: Option<String>,
    revision_id: Option<String>,
    #[serde(default)]
    dry_run: bool,
    #[serde(default)]
    publish: bool,
}

struct Update {
    zip: Bytes,
    revision_id: Option<String>,
    dry_run: bool,
}

impl Update {
    /// `read` fetches an object: bucket, key and version.
    fn parse(
        body: &[u8],
        read: impl FnOnce((&str, &str, Option<&str>)) -> Result<Bytes, Refusal>,
    ) -> Result<Self, Refusal> {
        if body.len() > MAX_BODY {
            let message =
                format!("Request must be smaller than {MAX_BODY} bytes for the UpdateFunctionCode operation");
            return Err(Refusal::new(413, "RequestEntityTooLargeException", message));
        }
        let body: UpdateBody = serde_json::from_slice(body).map_err(|error| {
            if error.to_string().starts_with("unknown field") {
                return Refusal::not_imitated(error.to_string());
            }
            Refusal::new(400, "SerializationException", error.to_string())
        })?;
        if body.publish {
            return Err(Refusal::not_imitated("UpdateFunctionCode with Publish"));
        }
        let zip = match (&body.zip_file, &body.s3_bucket, &body.s3_key) {
            (Some(zip), None, None) => STANDARD
                .decode(zip)
                .map_err(|error| Refusal::new(400, "SerializationException", error.to_string()))?
                .into(),
            (None, Some(bucket), Some(key)) => read((bucket, key, body.s3_object_version.as_deref()))?,
            _ => return Err(Refusal::invalid_parameter("Please provide a source for function code.")),
        };
        Ok(Self { zip, revision_id: body.revision_id, dry_run: body.dry_run })
    }

    fn check(&self, function: &Function) -> Result<(), Refusal> {
        code::check(&self.zip)?;
        if let Some(why) = function.busy() {
            return Err(Refusal::new(409, "ResourceConflictException", why));
        }
        if self.revision_id.as_deref().is_some_and(|revision| revision != function.revision_id()) {
            let message = "The Revision Id provided does not match the latest Revision Id. Call the GetFunction/\
                           GetAlias API to retrieve the latest Revision Id";
            return Err(Refusal::new(412, "PreconditionFailedException", message));
        }
        Ok(())
    }
}

impl Route {
    fn of(request: &Received) -> Option<Self> {
        if (request.method.as_str(), request.path.as_str()) == ("POST", "/") {
            let body = String::from_utf8_lossy(&request.body);
            let asks = |action: &str| body.split('&').any(|pair| pair == format!("Action={action}"));
            let known = [
                ("GetCallerIdentity", Action::GetCallerIdentity),
                ("SimulatePrincipalPolicy", Action::SimulatePrincipalPolicy),
            ];
            let action = known.into_iter().find_map(|(name, action)| asks(name).then_some(action))?;
            return Some(Self { action, target: None });
        }
        let segments: Vec<_> = request.path.split('/').skip(1).collect();
        let (action, function) = match (request.method.as_str(), segments.as_slice()) {
            ("GET", ["2015-03-31", "functions", name]) => (Action::GetFunction, name),
            ("GET", ["2015-03-31", "functions", name, "configuration"]) => {
                (Action::GetFunctionConfiguration, name)
            }
            ("PUT", ["2015-03-31", "functions", name, "code"]) => (Action::UpdateFunctionCode, name),
            ("GET", ["code", name]) => (Action::DownloadCode, name),
            ("HEAD", [_, _, ..]) => return Self::of_object(Action::HeadObject, request),
            ("PUT", [_, _, ..]) => return Self::of_object(Action::PutObject, request),
            ("DELETE", [_, _, ..]) => return Self::of_object(Action::DeleteObject, request),
            ("GET", [bucket] | [bucket, ""]) if request.query.contains("list-type=2") => {
                return Some(Self { action: Action::ListObjects, target: Some((*bucket).to_owned()) });
            }
            // No bucket's name begins like the paths of Lambda.
            ("GET", [bucket, _, ..]) if *bucket != "2015-03-31" => {
                return Self::of_object(Action::GetObject, request);
            }
            _ => return None,
        };
        // A qualifier asks for a version or an alias, and the fake has none.
        if action != Action::DownloadCode && !request.query.is_empty() {
            return None;
        }
        let function = percent_decode_str(function).decode_utf8_lossy().into_owned();
        Some(Self { action, target: Some(function) })
    }

    /// The bucket stands in the path; `x-id` names the call once more.
    fn of_object(action: Action, request: &Received) -> Option<Self> {
        let named = ["", "x-id=PutObject", "x-id=GetObject", "x-id=DeleteObject"];
        if !named.contains(&request.query.as_str()) {
            return None;
        }
        let target = percent_decode_str(&request.path[1..]).decode_utf8().ok()?.into_owned();
        Some(Self { action, target: Some(target) })
    }

    pub(super) fn target(&self) -> &str {
        self.target.as_deref().unwrap_or_default()
    }

    fn dialect(&self) -> Dialect {
        match self.action {
            Action::GetCallerIdentity | Action::SimulatePrincipalPolicy => Dialect::Xml,
            Action::HeadObject => Dialect::Nothing,
            action if action.is_storage() => Dialect::Storage,
            _ => Dialect::Json,
        }
    }

    fn call(&self, status: Option<u16>, error_type: Option<String>, applied: bool) -> Call {
        Call { action: self.action, target: self.target.clone(), status, error_type, applied }
    }
}

impl Done {
    pub(super) fn empty() -> Self {
        Self { headers: Vec::new(), body: Bytes::new(), applied: false, status: 200, cut_after: None }
    }

    fn typed(content_type: &str) -> Self {
        Self { headers: vec![("content-type".to_owned(), content_type.to_owned())], ..Self::empty() }
    }

    fn json(body: &serde_json::Value) -> Self {
        Self { body: body.to_string().into(), ..Self::typed("application/json") }
    }
}

/// A function may be named by its name or by its whole ARN.
fn resolve(world: &World, function: &str, caller: &Credentials) -> String {
    if function.starts_with("arn:") { function.to_owned() } else { world.arn(&caller.account, function) }
}

fn caller_identity(caller: &Credentials) -> Done {
    let body = format!(
        "<GetCallerIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><GetCallerIdentityResult>\
         <Arn>{}</Arn><UserId>AIDAOCTARM</UserId><Account>{}</Account></GetCallerIdentityResult>\
         <ResponseMetadata><RequestId>{}</RequestId></ResponseMetadata></GetCallerIdentityResponse>",
        caller.user_arn(),
        caller.account,
        Uuid::now_v7(),
    );
    Done { body: body.into(), ..Done::typed("text/xml") }
}
