//! Request bodies of the Octopus side: JSON whose property names are read without regard to case, and whose
//! unknown properties are ignored.

use axum::{
    body::Bytes,
    extract::{FromRequest, Request},
    http::StatusCode,
};
use serde_json::{Map, Value};

use super::{Shared, problem::Problem, spaces};
use crate::protocol::ErrorCode;

/// Properties whose own keys are names that somebody chose, not property names.
const FREE_MAPS: [&str; 6] =
    ["variables", "formvalues", "properties", "customfields", "customproperties", "displaysettings"];

/// A whole body as it was sent, which arrives in good time.
pub(super) struct Whole(pub(super) Bytes);

impl FromRequest<Shared> for Whole {
    type Rejection = Problem;

    async fn from_request(request: Request, shared: &Shared) -> Result<Self, Problem> {
        let limit = shared.settings.request_within;
        match tokio::time::timeout(limit, Bytes::from_request(request, shared)).await {
            Ok(Ok(bytes)) => Ok(Self(bytes)),
            Ok(Err(rejection)) => {
                let message = format!("the request's body cannot be read: {rejection}");
                // One that is too large, or was cut.
                Err(Problem::new(rejection.status(), ErrorCode::Invalid, message))
            }
            Err(_) => Err(Problem::new(
                StatusCode::REQUEST_TIMEOUT,
                ErrorCode::Invalid,
                format!("the request's body did not arrive within {limit:?}"),
            )),
        }
    }
}

/// A JSON object as it was sent.
pub(super) struct Document(pub(super) Map<String, Value>);

impl FromRequest<Shared> for Document {
    type Rejection = Problem;

    async fn from_request(request: Request, shared: &Shared) -> Result<Self, Problem> {
        let Whole(bytes) = Whole::from_request(request, shared).await?;
        match serde_json::from_slice(&bytes) {
            Ok(Value::Object(map)) => {
                spaces::refuse_another(&map)?;
                Ok(Self(map))
            }
            Ok(_) => Err(Problem::invalid("the request's body must be a JSON object")),
            Err(error) => Err(Problem::invalid(format!("the request's body is not JSON: {error}"))),
        }
    }
}

/// A JSON object by property name.
#[derive(Clone)]
pub(super) struct Fields(Map<String, Value>);

impl FromRequest<Shared> for Fields {
    type Rejection = Problem;

    async fn from_request(request: Request, shared: &Shared) -> Result<Self, Problem> {
        let Document(map) = Document::from_request(request, shared).await?;
        Ok(Self::of(map))
    }
}

impl Fields {
    pub(super) fn of(map: Map<String, Value>) -> Self {
        match lowered(Value::Object(map)) {
            Value::Object(map) => Self(map),
            _ => Self(Map::new()),
        }
    }

    /// The value of a property that is there and not null.
    fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(&name.to_lowercase()).filter(|value| !value.is_null())
    }

    fn read<T>(
        &self,
        name: &str,
        wanted: &str,
        read: impl FnOnce(&Value) -> Option<T>,
    ) -> Result<Option<T>, Problem> {
        self.get(name)
            .map(|value| read(value).ok_or_else(|| Problem::invalid(format!("`{name}` must be {wanted}"))))
            .transpose()
    }

    /// A text that has something in it.
    pub(super) fn text(&self, name: &str) -> Result<Option<String>, Problem> {
        Ok(self.raw_text(name)?.filter(|text| !text.trim().is_empty()))
    }

    /// A text, an empty one included.
    pub(super) fn raw_text(&self, name: &str) -> Result<Option<String>, Problem> {
        self.read(name, "a text", |value| value.as_str().map(str::to_owned))
    }

    pub(super) fn required(&self, name: &str) -> Result<String, Problem> {
        self.text(name)?.ok_or_else(|| Problem::invalid(format!("`{name}` is missing or empty")))
    }

    pub(super) fn flag(&self, name: &str) -> Result<bool, Problem> {
        Ok(self.sent_flag(name)?.unwrap_or(false))
    }

    pub(super) fn sent_flag(&self, name: &str) -> Result<Option<bool>, Problem> {
        self.read(name, "true or false", Value::as_bool)
    }

    pub(super) fn number(&self, name: &str) -> Result<Option<i64>, Problem> {
        self.read(name, "a whole number", Value::as_i64)
    }

    pub(super) fn value(&self, name: &str) -> Option<Value> {
        self.get(name).cloned()
    }

    pub(super) fn texts(&self, name: &str) -> Result<Vec<String>, Problem> {
        let texts = |value: &Value| {
            value.as_array()?.iter().map(|item| item.as_str().map(str::to_owned)).collect::<Option<Vec<_>>>()
        };
        Ok(self.read(name, "a list of texts", texts)?.unwrap_or_default())
    }

    pub(super) fn objects(&self, name: &str) -> Result<Vec<Self>, Problem> {
        let objects = |value: &Value| {
            value
                .as_array()?
                .iter()
                .map(|item| item.as_object().cloned().map(Self))
                .collect::<Option<Vec<_>>>()
        };
        Ok(self.read(name, "a list of objects", objects)?.unwrap_or_default())
    }

    /// An object, by its own properties.
    pub(super) fn object(&self, name: &str) -> Result<Option<Self>, Problem> {
        self.read(name, "an object", |value| value.as_object().cloned().map(Self))
    }

    /// The names of the properties that hold something: neither null nor an empty list.
    pub(super) fn filled(&self) -> Vec<&str> {
        let filled =
            |value: &Value| !value.is_null() && value.as_array().is_none_or(|items| !items.is_empty());
        self.0.iter().filter(|(_, value)| filled(value)).map(|(name, _)| name.as_str()).collect()
    }

    /// A map of names that somebody chose to texts; null counts as an empty text.
    pub(super) fn map(&self, name: &str) -> Result<Vec<(String, String)>, Problem> {
        let texts = |value: &Value| {
            let pairs = value.as_object()?.iter().map(|(key, value)| match value {
                Value::String(text) => Some((key.clone(), text.clone())),
                Value::Null => Some((key.clone(), String::new())),
                Value::Bool(_) | Value::Number(_) => Some((key.clone(), value.to_string())),
                Value::Array(_) | Value::Object(_) => None,
            });
            pairs.collect::<Option<Vec<_>>>()
        };
        Ok(self.read(name, "an object of texts", texts)?.unwrap_or_default())
    }
}

/// Lower-cases property names all the way down, but not the keys inside free maps.
fn lowered(value: Value) -> Value {
    match value {
        Value::Object(map) => map
            .into_iter()
            .map(|(name, value)| {
                let name = name.to_lowercase();
                let free = value.is_object() && FREE_MAPS.contains(&name.as_str());
                let value = if free { value } else { lowered(value) };
                (name, value)
            })
            .collect::<Map<_, _>>()
            .into(),
        Value::Array(items) => items.into_iter().map(lowered).collect::<Vec<_>>().into(),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn property_names_lose_their_case_and_free_names_keep_it() {
        let sent = json!({
            "ProjectName": "P", "variables": {"My.Name": "V"}, "Steps": [{"Name": "S", "Properties": {"A.B": "c"}}],
        });
        let wanted = json!({
            "projectname": "P", "variables": {"My.Name": "V"}, "steps": [{"name": "S", "properties": {"A.B": "c"}}],
        });
        assert_eq!(lowered(sent), wanted);
        assert_eq!(lowered(json!({"Variables": [{"Name": "N"}]})), json!({"variables": [{"name": "N"}]}));
    }
}
