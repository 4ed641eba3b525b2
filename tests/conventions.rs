//! Runs the table of examples in `conventions/examples`.

use std::{collections::BTreeMap, error::Error, path::Path};

use octarm::{aws::FunctionName, conventions::Conventions, model::Variable, template::Variables};
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    example: Vec<Example>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Example {
    why: String,
    environment: String,
    package: String,
    #[serde(default)]
    variables: BTreeMap<String, String>,
    function: Option<String>,
    error: Option<String>,
}

#[test]
fn every_example_holds() {
    let conventions = Conventions::load(None).unwrap();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("conventions/examples");
    let mut count = 0;
    for entry in fs_err::read_dir(folder).unwrap() {
        let file: File = toml::from_str(&fs_err::read_to_string(entry.unwrap().path()).unwrap()).unwrap();
        for example in file.example {
            count += 1;
            match (name(&conventions, &example), &example.function, &example.error) {
                (Ok(found), Some(expected), None) => assert_eq!(&found, expected, "{}", example.why),
                (Err(found), None, Some(expected)) => {
                    assert!(found.contains(expected), "{}: {found}", example.why);
                }
                (found, ..) => panic!("{}: found {found:?}", example.why),
            }
        }
    }
    assert!(count >= 8, "the examples were not found");
}

fn name(conventions: &Conventions, example: &Example) -> Result<String, String> {
    let mut variables: Variables = conventions.defaults().collect();
    variables.set(Variable::plain("Octopus.Environment.Name", &example.environment));
    variables.extend(example.variables.iter().map(|(name, value)| Variable::plain(name, value)));
    variables.set(Variable::plain("Octopus.Action.Package.PackageId", &example.package));
    let (name, _) =
        conventions.function_name(&variables, &jiff::ZonedDateTime::now()).map_err(|error| chain(&error))?;
    name.parse::<FunctionName>().map(|name| name.to_string()).map_err(|error| chain(&error))
}

fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
