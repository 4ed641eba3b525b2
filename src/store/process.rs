//! What a deployment process says about packages. The document is Octopus's and is kept as it was sent, so its
//! property names are read without regard to case.

use serde_json::Value;

use super::{StoreError, key};
use crate::package::{FileNameError, is_valid_id};

/// The built-in feed's id.
pub const FEED: &str = "feeds-builtin";
/// The step of a process without steps, and its action.
const IMPLICIT: &str = "Deploy";
const PACKAGE_PROPERTY: &str = "Octopus.Action.Package.PackageId";

/// The action that deploys a package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PackagedAction {
    pub(super) step: String,
    pub(super) action: String,
    pub(super) package: String,
}

impl PackagedAction {
    /// Whether an override that names a step, an action or a package means this one.
    pub(super) fn is_named(&self, name: &str) -> bool {
        [&self.step, &self.action, &self.package]
            .into_iter()
            .any(|own| own.to_lowercase() == name.trim().to_lowercase())
    }
}

/// What a process deploys: exactly one package in this version, and which other actions there are.
#[derive(Debug)]
pub(super) struct Process {
    pub(super) packaged: PackagedAction,
    pub(super) others: Vec<String>,
}

/// An action, as a scope may name it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct NamedAction {
    /// Its id, where the document gives one.
    pub(super) id: Option<String>,
    pub(super) name: String,
    pub(super) step: String,
    /// The place of its step, from 1 on.
    pub(super) step_number: usize,
    /// Its own place: its step's, and behind a point the one in it where that has several.
    pub(super) number: String,
}

impl NamedAction {
    /// Whether a channel's rule that names an action, or its step, means this one.
    pub(super) fn is_named(&self, name: &str) -> bool {
        key(&self.name) == key(name) || key(&self.step) == key(name)
    }
}

/// All actions of the process of `project`, disabled ones too. One without steps has the one that deploys.
pub(super) fn actions(project: &str, document: &str) -> Result<Vec<NamedAction>, StoreError> {
    let document = parse(project, document)?;
    let steps = list(&document, "Steps");
    let mut actions = Vec::new();
    for (place, step) in (1..).zip(&steps) {
        let step_name = text(step, "Name").unwrap_or_default();
        let list = list(step, "Actions");
        let is_alone = list.len() == 1;
        actions.extend((1..).zip(list).map(|(part, action)| NamedAction {
            id: text(action, "Id").filter(|id| !id.trim().is_empty()),
            name: text(action, "Name").unwrap_or_else(|| step_name.clone()),
            step: step_name.clone(),
            step_number: place,
            number: if is_alone { place.to_string() } else { format!("{place}.{part}") },
        }));
    }
    if steps.is_empty() {
        let (name, step) = (IMPLICIT.into(), IMPLICIT.into());
        actions.push(NamedAction { id: None, name, step, step_number: 1, number: "1".into() });
    }
    Ok(actions)
}

fn parse(project: &str, document: &str) -> Result<Value, StoreError> {
    serde_json::from_str(document)
        .map_err(|error| StoreError::corrupt(format!("the process of project `{project}`"), error))
}

/// Reads the process of `project`. One without steps deploys the package that is named as the project.
pub(super) fn read(project: &str, document: &str) -> Result<Process, StoreError> {
    let document = parse(project, document)?;
    let mut packaged = Vec::new();
    let mut others = Vec::new();
    let steps = list(&document, "Steps");
    for step in &steps {
        let step_name = text(step, "Name").unwrap_or_default();
        for action in list(step, "Actions") {
            let name = text(action, "Name").unwrap_or_else(|| step_name.clone());
            if get(action, "IsDisabled").and_then(Value::as_bool) == Some(true) {
                others.push(name);
                continue;
            }
            match package_ids(action)?.as_slice() {
                [] => others.push(name),
                ids => packaged.extend(ids.iter().map(|package| PackagedAction {
                    step: step_name.clone(),
                    action: name.clone(),
                    package: package.clone(),
                })),
            }
        }
    }
    if steps.is_empty() {
        packaged.push(PackagedAction {
            step: IMPLICIT.into(),
            action: IMPLICIT.into(),
            package: project.to_owned(),
        });
    }
    match packaged.len() {
        1 => Ok(Process { packaged: packaged.remove(0), others }),
        0 => Err(StoreError::Invalid(format!(
            "no step of project `{project}` has a package: exactly one must"
        ))),
        count => Err(StoreError::Invalid(format!(
            "project `{project}` has {count} packages in its steps ({}): this version of the server deploys exactly one",
            packaged
                .iter()
                .map(|one| format!("`{}` in `{}`", one.package, one.action))
                .collect::<Vec<_>>()
                .join(", ")
        ))),
    }
}

/// Refuses what cannot be the id of a package of this server's own feed; one that is not said, and one that holds a
/// variable, is for whoever makes a release of it.
pub(super) fn refuse_package_ids(project: &str, document: &str) -> Result<(), StoreError> {
    let document = parse(project, document)?;
    let actions = list(&document, "Steps").into_iter().flat_map(|step| list(step, "Actions"));
    for action in actions {
        let own = |package: &&Value| {
            text(package, "FeedId").is_none_or(|feed| feed.is_empty() || feed.eq_ignore_ascii_case(FEED))
        };
        let ids = list(action, "Packages").into_iter().filter(own).filter_map(|one| text(one, "PackageId"));
        for id in ids {
            if !(id.is_empty() || id.contains("#{") || is_valid_id(&id)) {
                return Err(StoreError::Invalid(format!(
                    "{}; it stands in the process of project `{project}`",
                    FileNameError::Id { id }
                )));
            }
        }
    }
    Ok(())
}

fn package_ids(action: &Value) -> Result<Vec<String>, StoreError> {
    let mut ids: Vec<String> = Vec::new();
    let property = get(action, "Properties").and_then(|properties| text(properties, PACKAGE_PROPERTY));
    for id in
        list(action, "Packages").into_iter().filter_map(|package| text(package, "PackageId")).chain(property)
    {
        if !id.is_empty() && !ids.iter().any(|other| other.eq_ignore_ascii_case(&id)) {
            ids.push(id);
        }
    }
    match ids.iter().find(|id| id.contains("#{")) {
        Some(id) => Err(StoreError::Invalid(format!(
            "the package id `{id}` holds a variable: this version of the server takes plain package ids only"
        ))),
        None => Ok(ids),
    }
}

fn get<'a>(value: &'a Value, name: &str) -> Option<&'a Value> {
    value.as_object()?.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
}

fn text(value: &Value, name: &str) -> Option<String> {
    get(value, name)?.as_str().map(str::to_owned)
}

fn list<'a>(value: &'a Value, name: &str) -> Vec<&'a Value> {
    get(value, name).and_then(Value::as_array).map(|items| items.iter().collect()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_both_spellings_of_one_package() {
        let both = r#"{"steps":[{"name":"S","actions":[{"Name":"A","Packages":[{"PackageId":"Web"}],
            "Properties":{"Octopus.Action.Package.PackageId":"web"}},{"Name":"B","Properties":{}}]}]}"#;
        let process = read("P", both).unwrap();
        assert_eq!(
            process.packaged,
            PackagedAction { step: "S".into(), action: "A".into(), package: "Web".into() }
        );
        assert_eq!(process.others, ["B"]);
        let actions = actions("P", both).unwrap();
        let named = |name: &str, number: &str| NamedAction {
            id: None,
            name: name.into(),
            step: "S".into(),
            step_number: 1,
            number: number.into(),
        };
        assert_eq!(actions, [named("A", "1.1"), named("B", "1.2")]);
    }

    #[test]
    fn without_steps_the_package_is_named_as_the_project() {
        assert_eq!(read("Orders", r#"{"Steps":[]}"#).unwrap().packaged.package, "Orders");
    }

    #[test]
    fn two_packages_are_refused_by_name() {
        let two = r#"{"Steps":[{"Name":"S","Actions":[{"Name":"A","Packages":[{"PackageId":"X"},{"PackageId":"Y"}]}]}]}"#;
        let error = read("P", two).unwrap_err().to_string();
        assert!(error.contains("`X` in `A`, `Y` in `A`"), "{error}");
    }
}
