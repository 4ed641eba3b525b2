//! What a value looks like, in few words, and those words as JSON Schema.

use serde_json::{Map, Value, json};

/// What a value looks like.
#[derive(Debug, Clone, Copy)]
pub(super) enum Shape {
    /// Any text.
    Text,
    /// A text that says something, such as this.
    Like(&'static str),
    /// A time with its offset.
    Time,
    /// True or false.
    Flag,
    /// A whole number from 0 on.
    Whole,
    /// A whole number.
    Number,
    /// The id of such a thing.
    Id(&'static str),
    /// One of these texts.
    OneOf(&'static [&'static str]),
    /// What a schema of this name says.
    A(&'static str),
    /// A list.
    List(&'static Self),
    /// A list with something in it.
    Some(&'static Self),
    /// An object whose property names somebody chose.
    Map(&'static Self),
    /// An object with these properties.
    Object(&'static [Field]),
    /// This or null.
    Maybe(&'static Self),
    /// Null: Octopus has something here.
    Null,
    /// A list in which nothing is: Octopus has something here.
    Empty,
    /// Whatever was sent.
    Any,
}

/// A property and what it looks like.
pub(super) type Field = (&'static str, Shape);

impl Shape {
    /// The same as JSON Schema.
    pub(super) fn schema(self) -> Value {
        match self {
            Self::Text => json!({ "type": "string" }),
            Self::Like(example) => {
                json!({ "type": "string", "minLength": 1, "pattern": r"\S", "examples": [example] })
            }
            Self::Time => json!({ "type": "string", "format": "date-time" }),
            Self::Flag => json!({ "type": "boolean" }),
            Self::Whole => json!({ "type": "integer", "format": "int64", "minimum": 0 }),
            Self::Number => json!({ "type": "integer", "format": "int64" }),
            Self::Id(kind) => json!({ "type": "string", "pattern": format!("^{kind}-[0-9]+$") }),
            Self::OneOf(words) => json!({ "type": "string", "enum": words }),
            Self::A(name) => reference(name),
            Self::List(item) => json!({ "type": "array", "items": item.schema() }),
            Self::Some(item) => json!({ "type": "array", "items": item.schema(), "minItems": 1 }),
            Self::Map(value) => json!({ "type": "object", "additionalProperties": value.schema() }),
            Self::Object(fields) => object(fields, &[]),
            Self::Maybe(shape) => or_null(shape.schema()),
            Self::Null => json!({ "type": "null" }),
            Self::Empty => json!({ "type": "array", "maxItems": 0 }),
            Self::Any => json!({}),
        }
    }
}

/// A named schema.
#[derive(Debug, Clone, Copy)]
pub(super) struct Schema {
    name: &'static str,
    about: &'static str,
    fields: &'static [Field],
    optional: &'static [Field],
    and: &'static str,
}

/// What the server answers: each property is there.
pub(super) const fn answered(name: &'static str, about: &'static str, fields: &'static [Field]) -> Schema {
    Schema { name, about, fields, optional: &[], and: "" }
}

/// What the server takes: what must be sent, and what may be left out or null. Names are read without regard to case
/// and unknown ones are ignored, so that what was read may be changed and sent back.
pub(super) const fn taken(
    name: &'static str,
    about: &'static str,
    fields: &'static [Field],
    optional: &'static [Field],
) -> Schema {
    Schema { name, about, fields, optional, and: "" }
}

impl Schema {
    /// What is not in every answer.
    pub(super) const fn sometimes(self, optional: &'static [Field]) -> Self {
        Self { optional, ..self }
    }

    /// All that another schema says, too.
    pub(super) const fn and(self, and: &'static str) -> Self {
        Self { and, ..self }
    }

    /// Its name and its JSON Schema.
    pub(super) fn entry(&self) -> (String, Value) {
        let mut schema = object(self.fields, self.optional);
        if !self.and.is_empty() {
            schema["allOf"] = json!([reference(self.and)]);
        }
        schema["description"] = self.about.into();
        (self.name.to_owned(), schema)
    }
}

/// A page of a list of such things.
pub(super) fn page(item: &str) -> (String, Value) {
    const FIELDS: &[Field] = &[
        ("ItemType", Shape::Text),
        ("TotalResults", Shape::Whole),
        ("ItemsPerPage", Shape::Whole),
        ("NumberOfPages", Shape::Whole),
        ("LastPageNumber", Shape::Whole),
        ("Links", Shape::Map(&Shape::Text)),
    ];
    let mut schema = object(FIELDS, &[]);
    schema["description"] =
        "A part of a list. `Links` has `Page.Next` only where another part follows.".into();
    schema["properties"]["Items"] = json!({ "type": "array", "items": reference(item) });
    if let Some(required) = schema["required"].as_array_mut() {
        required.push("Items".into());
    }
    (page_name(item), schema)
}

pub(super) fn page_name(item: &str) -> String {
    format!("PageOf{item}")
}

pub(super) fn reference(name: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{name}") })
}

fn object(fields: &[Field], optional: &[Field]) -> Value {
    let mut properties = Map::new();
    for (name, shape) in fields {
        properties.insert((*name).to_owned(), shape.schema());
    }
    for (name, shape) in optional {
        properties.insert((*name).to_owned(), or_null(shape.schema()));
    }
    let required: Vec<&str> = fields.iter().map(|(name, _)| *name).collect();
    json!({ "type": "object", "properties": properties, "required": required })
}

fn or_null(schema: Value) -> Value {
    match schema["type"].as_str().map(str::to_owned) {
        // An enumeration would have to name null itself.
        Some(kind) if schema.get("enum").is_none() => {
            let mut schema = schema;
            schema["type"] = json!([kind, "null"]);
            schema
        }
        _ if schema.as_object().is_some_and(Map::is_empty) => schema,
        _ => json!({ "anyOf": [schema, { "type": "null" }] }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_left_out_may_be_null_and_what_must_be_sent_may_not() {
        let schema = taken(
            "New",
            "About it.",
            &[("Name", Shape::Text)],
            &[
                ("Order", Shape::Whole),
                ("Of", Shape::A("B")),
                ("As", Shape::OneOf(&["x"])),
                ("Free", Shape::Any),
            ],
        );
        let (name, schema) = schema.entry();
        assert_eq!(name, "New");
        assert_eq!(
            schema,
            json!({
                "type": "object", "description": "About it.", "required": ["Name"],
                "properties": {
                    "Name": { "type": "string" },
                    "Order": { "type": ["integer", "null"], "format": "int64", "minimum": 0 },
                    "Of": { "anyOf": [{ "$ref": "#/components/schemas/B" }, { "type": "null" }] },
                    "As": { "anyOf": [{ "type": "string", "enum": ["x"] }, { "type": "null" }] },
                    "Free": {},
                },
            })
        );
    }
}
