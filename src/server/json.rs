//! Small pieces that all answers of the Octopus side share.

use jiff::Timestamp;
use serde_json::Value;

use super::{paging::Params, spaces::here};

/// A link to something in the space.
pub(super) fn link(path: impl std::fmt::Display) -> String {
    format!("/api/{}/{path}", here())
}

/// A time as Octopus writes it; null when there is none.
pub(super) fn time(milliseconds: impl Into<Option<i64>>) -> Value {
    let time = milliseconds.into().and_then(|ms| Timestamp::from_millisecond(ms).ok());
    time.map_or(Value::Null, |time| time.to_string().into())
}

/// Whether an item is asked for by the parameters that most lists have: `ids`, `name`, `partialName`.
pub(super) fn wanted(params: &Params, id: &str, name: &str) -> bool {
    let name = name.to_lowercase();
    params.lets("ids", id)
        && params.get("name").is_none_or(|asked| asked.to_lowercase() == name)
        && params.get("partialName").is_none_or(|part| name.contains(&part.to_lowercase()))
}
