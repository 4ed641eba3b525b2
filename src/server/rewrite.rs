//! One path for each resource: Octopus clients spell the same one in three prefixes, any case, and with or without
//! a slash at the end. This layer stands in front of the router, which then knows one spelling.

use axum::{
    extract::Request,
    http::{Uri, uri::PathAndQuery},
};

use crate::{model::SpaceId, protocol::BASE};

/// The only space of this version.
pub(super) const SPACE: SpaceId = SpaceId(1);
/// Where a request for the space itself goes.
pub(super) const SPACE_ROOT: &str = "/api/-space";
/// Where a request for a space that does not exist goes; the space's name follows.
pub(super) const NO_SPACE: &str = "/api/-no-space";

/// Rewrites the path of the request. The worker API has one spelling and is left alone.
pub(super) fn request(mut request: Request) -> Request {
    let path = request.uri().path();
    if path.starts_with(BASE) {
        return request;
    }
    let path = one_spelling(path);
    let path = match request.uri().query() {
        Some(query) => format!("{path}?{query}"),
        None => path,
    };
    let mut parts = request.uri().clone().into_parts();
    if let Ok(path) = path.parse::<PathAndQuery>() {
        parts.path_and_query = Some(path);
        if let Ok(uri) = Uri::from_parts(parts) {
            *request.uri_mut() = uri;
        }
    }
    request
}

fn one_spelling(path: &str) -> String {
    let path = path.to_ascii_lowercase();
    let mut segments: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).collect();
    if segments.first() != Some(&"api") {
        return path;
    }
    segments.remove(0);
    // `/api/spaces/{id}` alone is the space as a resource; with more behind it, it is a prefix.
    let prefix = match segments.as_slice() {
        ["spaces", space, rest, ..] if *space != "all" => Some((2, *space, !rest.is_empty())),
        [space, rest @ ..] if space.parse::<SpaceId>().is_ok() => Some((1, *space, !rest.is_empty())),
        _ => None,
    };
    let Some((length, space, has_rest)) = prefix else {
        return format!("/api/{}", segments.join("/")).trim_end_matches('/').to_owned();
    };
    if space != SPACE.to_string().to_lowercase() && space != "default" {
        return format!("{NO_SPACE}/{space}");
    }
    if has_rest { format!("/api/{}", segments[length..].join("/")) } else { SPACE_ROOT.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_prefixes_any_case_and_a_slash_are_one_path() {
        for path in [
            "/api/deploymentprocesses/x",
            "/api/Spaces-1/deploymentProcesses/X/",
            "/API/spaces/spaces-1/deploymentprocesses/x",
            "/api/spaces/Default/deploymentprocesses/x",
        ] {
            assert_eq!(one_spelling(path), "/api/deploymentprocesses/x", "{path}");
        }
        assert_eq!(one_spelling("/api/"), "/api");
        assert_eq!(one_spelling("/api/Spaces-1/"), SPACE_ROOT);
        assert_eq!(one_spelling("/api/spaces/Spaces-1"), "/api/spaces/spaces-1");
        assert_eq!(one_spelling("/api/spaces/all"), "/api/spaces/all");
        assert_eq!(one_spelling("/api/Spaces-2/tasks"), "/api/-no-space/spaces-2");
    }
}
