//! Every route on one page.

use axum::{
    Router,
    extract::{DefaultBodyLimit, Request},
    http::{Method, StatusCode, Uri},
    middleware::{from_fn, from_fn_with_state},
    response::IntoResponse,
    routing::{any, delete, get, patch, post},
};
use tower::{Layer as _, util::MapRequestLayer};
use tower_http::trace::TraceLayer;
use tracing::field::Empty;

use super::{
    Shared, absent, api_keys, auth, build_information, channels, deployments, edge, environments, feeds,
    libraries, lifecycles, machines, once, openapi, packages, pools,
    problem::Problem,
    progression, projects, registration, registration_tokens, releases,
    rewrite::{self, SPACE_ROOT},
    root, spaces, tasks, unread, variables, workers,
};
use crate::protocol::{BASE, ErrorCode};

/// The largest JSON document that is taken.
const DOCUMENT_LIMIT: usize = 16 * 1024 * 1024;

/// The whole server as one function from request to answer.
pub(super) fn app(
    shared: Shared,
) -> impl tower::Service<
    Request,
    Response = axum::response::Response,
    Error = std::convert::Infallible,
    Future: Send,
> + Clone
+ Send
+ Sync
+ 'static {
    let router = octopus(&shared)
        // After the rest: no key is asked for.
        .route(openapi::PATH, get(openapi::document))
        .method_not_allowed_fallback(wrong_method)
        .nest(BASE, worker(&shared))
        .layer(DefaultBodyLimit::max(DOCUMENT_LIMIT))
        .layer(from_fn_with_state(shared.clone(), unread::read_rest))
        .layer(from_fn(edge::answer))
        .layer(TraceLayer::new_for_http().make_span_with(|request: &Request| {
            // Neither headers nor the query: both may carry what must not be in a log.
            let (method, path) = (request.method(), request.uri().path());
            tracing::info_span!(target: "octarm::request", "request", %method, path, status = Empty)
        }))
        .with_state(shared);
    MapRequestLayer::new(rewrite::request).layer(router)
}

/// The subset of the Octopus REST API. Paths are as [`rewrite`] leaves them: one prefix, lower case.
fn octopus(shared: &Shared) -> Router<Shared> {
    Router::new()
        .route("/api", get(root::document))
        .route(SPACE_ROOT, get(root::space_document))
        .route("/api/users", get(root::users))
        .route("/api/users/me", get(root::me))
        .route("/api/users/{id}", get(root::user))
        .route("/api/users/{id}/spaces", get(root::spaces_of))
        .route("/api/spaces", get(spaces::list).post(spaces::create))
        .route("/api/spaces/all", get(spaces::all))
        .route("/api/spaces/{id}", get(spaces::show).put(spaces::change).delete(spaces::remove))
        .route("/api/apikeys", get(api_keys::list).post(api_keys::create))
        .route("/api/apikeys/{id}", delete(api_keys::remove))
        .route(
            "/api/workerregistrationtokens",
            get(registration_tokens::list).post(registration_tokens::create),
        )
        .route(
            "/api/workerregistrationtokens/{id}",
            get(registration_tokens::show).delete(registration_tokens::remove),
        )
        .route("/api/packages", get(packages::list))
        .route("/api/packages/raw", post(packages::push).layer(DefaultBodyLimit::disable()))
        .route("/api/packages/bulk", delete(packages::remove_all))
        .route("/api/packages/{id}", get(packages::show).delete(packages::remove))
        .route("/api/packages/{id}/raw", get(packages::bytes))
        .route("/api/packages/{id}/{version}/delta-signature", get(absent::no_delta))
        .route("/api/packages/{id}/{version}/delta", post(absent::no_delta))
        .route("/api/feeds", get(feeds::list))
        .route("/api/feeds/all", get(feeds::all))
        .route("/api/feeds/{id}", get(feeds::show))
        .route("/api/feeds/{id}/packages", get(feeds::packages))
        .route("/api/feeds/{id}/packages/versions", get(feeds::versions))
        .route("/api/build-information", get(build_information::list).post(build_information::push))
        .route("/api/build-information/bulk", delete(build_information::remove_all))
        .route("/api/build-information/{id}", get(build_information::show).delete(build_information::remove))
        .route("/api/environments", get(environments::list).post(environments::create))
        .route("/api/environments/all", get(environments::all))
        .route("/api/environments/v2", get(environments::list_typed))
        .route(
            "/api/environments/{id}",
            get(environments::show).put(environments::change).delete(environments::remove),
        )
        .route("/api/environments/{id}/deploy-current", post(environments::deploy_current))
        .route("/api/projects", get(projects::list).post(projects::create))
        .route("/api/projects/all", get(projects::all))
        .route("/api/projects/{id}", get(projects::show).put(projects::put).delete(projects::remove))
        .route("/api/projects/{id}/runbooks", get(absent::runbooks_of))
        .route("/api/projects/{id}/channels", get(channels::of_project).post(channels::create_in))
        .route("/api/projects/{id}/channels/{channel}/releases", get(channels::releases))
        .route("/api/projects/{id}/progression", get(progression::of_project))
        .route("/api/projects/{id}/releases", get(releases::of_project))
        .route("/api/projects/{id}/releases/{version}", get(releases::by_version))
        .route("/api/projects/{id}/deploymentprocesses", get(projects::process).put(projects::put_process))
        .route("/api/deploymentprocesses/{id}", get(projects::process).put(projects::put_process))
        .route("/api/deploymentprocesses/{id}/template", get(progression::release_template))
        .route("/api/channels", get(channels::list).post(channels::create))
        .route("/api/channels/all", get(channels::all))
        .route("/api/channels/rule-test", get(channels::test_rule_of_query).post(channels::test_rule))
        .route("/api/channels/{id}", get(channels::show).put(channels::put).delete(channels::remove))
        .route("/api/lifecycles", get(lifecycles::list).post(lifecycles::create))
        .route("/api/lifecycles/all", get(lifecycles::all))
        .route("/api/lifecycles/{id}", get(lifecycles::show).put(lifecycles::put).delete(lifecycles::remove))
        .route("/api/projectgroups", get(projects::groups))
        .route("/api/projectgroups/all", get(projects::all_groups))
        .route("/api/projectgroups/{id}", get(projects::group_by_id))
        .route("/api/libraryvariablesets", get(libraries::list).post(libraries::create))
        .route("/api/libraryvariablesets/all", get(libraries::all))
        .route(
            "/api/libraryvariablesets/{id}",
            get(libraries::show).put(libraries::put).delete(libraries::remove),
        )
        .route("/api/variables/names", get(variables::names))
        .route("/api/variables/preview", get(variables::preview))
        .route("/api/variables/{id}", get(variables::show).put(variables::put))
        .route("/api/releases", get(releases::list).post(releases::create_classic))
        .route("/api/releases/create/v1", post(releases::create))
        .route("/api/releases/{id}", get(releases::show).delete(releases::remove))
        .route("/api/releases/{id}/snapshot-variables", post(releases::snapshot_variables))
        .route("/api/releases/{id}/progression", get(progression::of_release))
        .route("/api/releases/{id}/missingpackages", get(progression::missing_packages))
        .route("/api/releases/{id}/deployments/template", get(progression::deployment_template))
        .route("/api/releases/{id}/deployments/preview/{environment}", get(progression::preview))
        .route("/api/releases/{id}/deployments/previews", post(progression::previews))
        .route("/api/deployments", get(deployments::list).post(deployments::create_classic))
        .route("/api/deployments/create/untenanted/v1", post(deployments::create))
        .route("/api/deployments/create/tenanted/v1", post(deployments::tenanted))
        .route("/api/deployments/{id}", get(deployments::show))
        .route("/api/deployments/{id}/resolve", post(deployments::resolve))
        .route("/api/tasks", get(tasks::list))
        .route("/api/tasks/{id}", get(tasks::show))
        .route("/api/tasks/{id}/details", get(tasks::details))
        .route("/api/tasks/{id}/raw", get(tasks::raw))
        .route("/api/tasks/{id}/log", get(tasks::log))
        .route("/api/tasks/{id}/cancel", post(tasks::cancel))
        .route("/api/tasks/{id}/queued-behind", get(tasks::queued_behind))
        .route("/api/machines", get(machines::list).post(machines::no_registration))
        .route("/api/machines/all", get(machines::all))
        .route("/api/machines/{id}", get(machines::show).put(machines::change).delete(machines::remove))
        .merge(pools_of_workers())
        .merge(what_is_absent())
        .fallback(nothing_here)
        .method_not_allowed_fallback(wrong_method)
        .layer(from_fn_with_state(shared.clone(), once::once))
        .layer(from_fn_with_state(shared.clone(), spaces::enter))
        .layer(from_fn_with_state(shared.clone(), auth::require_key))
}

/// Workers as members of pools.
fn pools_of_workers() -> Router<Shared> {
    Router::new()
        .route("/api/workers", get(pools::workers).post(machines::no_registration))
        .route("/api/workers/all", get(pools::all_workers))
        .route(
            "/api/workers/{id}",
            get(pools::show_worker).put(pools::change_worker).delete(pools::remove_worker),
        )
        .route("/api/workerpools", get(pools::list).post(pools::create))
        .route("/api/workerpools/all", get(pools::all))
        .route("/api/workerpools/{id}", get(pools::show).put(pools::change).delete(pools::remove))
        .route("/api/machinepolicies", get(absent::policies))
        .route("/api/machinepolicies/all", get(absent::all_policies))
        .route("/api/machinepolicies/{id}", get(absent::show_policy))
        .route("/api/machineroles/all", get(absent::nothing))
}

/// What clients ask for and this server does not have.
fn what_is_absent() -> Router<Shared> {
    Router::new()
        .route("/api/tenants", get(absent::tenants))
        .route("/api/tenants/all", get(absent::nothing))
        .route("/api/tenants/{id}", get(absent::no_tenant))
        .route("/api/interruptions", get(absent::interruptions))
        .route("/api/artifacts", get(absent::artifacts))
        .route("/api/events", get(absent::events))
        .route("/api/runbooks", get(absent::runbooks))
        .route("/api/runbooks/all", get(absent::nothing))
        .route("/api/runbooks/{*rest}", any(absent::no_runbook))
        .route("/api/runbook-runs/{*rest}", any(absent::no_runbook))
        .route("/api/runbookprocesses/{*rest}", any(absent::no_runbook))
        .route("/api/runbooksnapshots", any(absent::no_runbook))
        .route("/api/runbooksnapshots/{*rest}", any(absent::no_runbook))
}

/// The largest document that those send who have no session yet.
const LARGEST_FROM_ANYBODY: usize = 16 * 1024;

/// The worker API, as `protocol` says.
fn worker(shared: &Shared) -> Router<Shared> {
    let registrar = from_fn_with_state(shared.clone(), auth::require_registrar);
    let once = from_fn_with_state(shared.clone(), once::once);
    // Anybody may send something there.
    let open = Router::new()
        .route("/register", post(registration::register).layer(once).layer(registrar))
        .route("/deregister", post(registration::deregister))
        .route("/challenge", post(registration::challenge))
        .route("/check", post(registration::check))
        .route("/session", post(registration::start_session).delete(registration::end_session))
        .layer(DefaultBodyLimit::max(LARGEST_FROM_ANYBODY));
    Router::new()
        .merge(open)
        .route("/claim", post(workers::claim))
        .route("/control", post(workers::control))
        .route("/deployments/{id}/renew", post(workers::renew))
        .route("/deployments/{id}/journal", post(workers::journal))
        .route("/deployments/{id}/log", patch(workers::log))
        .route("/deployments/{id}/package", get(workers::package))
        .route("/deployments/{id}/finish", post(workers::finish))
        .fallback(async |uri: Uri| nothing_at(&below(&uri)))
        .method_not_allowed_fallback(async |method, uri: Uri| not_taken(&method, &below(&uri)))
}

/// The path as it was asked for: below the base the router knows the rest of it only.
fn below(uri: &Uri) -> String {
    format!("{BASE}{}", uri.path())
}

async fn nothing_here(uri: Uri) -> impl IntoResponse {
    nothing_at(uri.path())
}

async fn wrong_method(method: Method, uri: Uri) -> impl IntoResponse {
    not_taken(&method, uri.path())
}

fn nothing_at(path: &str) -> Problem {
    Problem::not_found(format!("there is nothing at `{path}`"))
}

fn not_taken(method: &Method, path: &str) -> Problem {
    Problem::new(
        StatusCode::METHOD_NOT_ALLOWED,
        ErrorCode::Invalid,
        format!("`{path}` does not take the method {method}"),
    )
}
