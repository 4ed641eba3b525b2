//! One path for each resource: Octopus clients spell the same one in three prefixes, any case, and with or without
//! a slash at the end. This layer stands in front of the router, which then knows one spelling.

use axum::{
    extract::Request,
    http::{Uri, uri::PathAndQuery},
};

use percent_encoding::percent_decode_str;

use crate::{model::SpaceId, protocol::BASE};

/// Where a request for the space itself goes.
pub(super) const SPACE_ROOT: &str = "/api/-space";

/// The space that the path of a request named, as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Prefix(pub(super) String);

/// Rewrites the path of the request. The worker API has one spelling and is left alone.
pub(super) fn request(mut request: Request) -> Request {
    let path = request.uri().path();
    if path.starts_with(BASE) {
        return request;
    }
    let (prefix, path) = one_spelling(path);
    if let Some(prefix) = prefix {
        request.extensions_mut().insert(prefix);
    }
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

/// The space that a path names, and the rest of the path.
fn one_spelling(path: &str) -> (Option<Prefix>, String) {
    let path = path.to_ascii_lowercase();
    let mut segments: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).collect();
    if segments.first() != Some(&"api") {
        return (None, path);
    }
    segments.remove(0);
    // `/api/spaces/{id}` alone is the space as a resource; with more behind it, it is a prefix.
    let prefix = match segments.as_slice() {
        ["spaces", space, rest, ..] if *space != "all" => Some((2, *space, !rest.is_empty())),
        [space, rest @ ..] if space.parse::<SpaceId>().is_ok() => Some((1, *space, !rest.is_empty())),
        _ => None,
    };
    let Some((length, space, has_rest)) = prefix else {
        return (None, format!("/api/{}", segments.join("/")).trim_end_matches('/').to_owned());
    };
    let space = Prefix(percent_decode_str(space).decode_utf8_lossy().into_owned());
    let path =
        if has_rest { format!("/api/{}", segments[length..].join("/")) } else { SPACE_ROOT.to_owned() };
    (Some(space), path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_prefixes_any_case_and_a_slash_are_one_path() {
        for path in [
            "/api/Spaces-1/deploymentProcesses/X/",
            "/API/spaces/spaces-1/deploymentprocesses/x",
            "/api/spaces/Spaces-1/deploymentprocesses/x",
        ] {
            let space = Some(Prefix("spaces-1".to_owned()));
            assert_eq!(one_spelling(path), (space, "/api/deploymentprocesses/x".to_owned()), "{path}");
        }
        let of = |path: &str| {
            let (space, path) = one_spelling(path);
            (space.map_or_else(String::new, |Prefix(name)| name), path)
        };
        let is = |space: &str, path: &str| (space.to_owned(), path.to_owned());
        assert_eq!(of("/api/deploymentprocesses/x"), is("", "/api/deploymentprocesses/x"));
        assert_eq!(of("/api/"), is("", "/api"));
        assert_eq!(of("/api/Spaces-2/"), is("spaces-2", SPACE_ROOT));
        assert_eq!(of("/api/spaces/Spaces-1"), is("", "/api/spaces/spaces-1"));
        assert_eq!(of("/api/spaces/all"), is("", "/api/spaces/all"));
        assert_eq!(of("/api/spaces/Two%20Words/tasks"), is("two words", "/api/tasks"));
    }
}
