//! Where values come from, and which of them win.

use super::Scene;
use crate::support::packages::write;

#[test]
fn the_command_line_beats_the_environment_beats_the_file() {
    let scene = Scene::new();
    for function in ["CI-FromFile", "CI-FromEnvironment", "CI-FromLine"] {
        scene.aws.create_function(function, super::old_zip());
    }
    let file = write(scene.folder.path(), "variables.json", br#"{"Lambda.Function": "FromFile"}"#);
    let file = ["--variables".to_owned(), file.display().to_string()];
    let package = scene.package();
    let from_file = scene.deploy(&package).args(&file);
    let from_environment = from_file.clone().env("LAMBDA_FUNCTION", "FromEnvironment");
    let from_line = from_environment.clone().args(["--variable", "Lambda.Function=FromLine"]);
    for (program, function, origin) in [
        (from_file, "CI-FromFile", "(from the variables file)"),
        (from_environment, "CI-FromEnvironment", "(from LAMBDA_FUNCTION of the environment)"),
        (from_line, "CI-FromLine", "(from --variable)"),
    ] {
        let output = program.run();
        assert_eq!(output.code, Some(0), "{output:?}");
        assert!(output.stdout.contains(origin), "{output:?}");
        assert_eq!(scene.aws.function(function).updates_applied, 1);
    }
}

#[test]
fn secrets_on_the_command_line_are_refused() {
    let scene = Scene::new();
    let output =
        scene.deploy(&scene.package()).args(["--variable", "aws.deployment.secret=MARKER-on-line"]).run();
    assert_eq!(output.code, Some(2), "{output:?}");
    assert!(output.stderr.contains("`aws.deployment.secret` is sensitive"), "{output:?}");
    assert!(!format!("{output:?}").contains("MARKER"), "{output:?}");
}

#[test]
fn file_and_environment_that_disagree_on_the_environment_are_refused() {
    let scene = Scene::new();
    let file = write(scene.folder.path(), "variables.json", br#"{"Octopus.Release.Number": "1.0.0"}"#);
    let output = scene
        .deploy(&scene.package())
        .args(["--variables", file.to_str().unwrap()])
        .env("OCTOPUS_RELEASE_NUMBER", "2.0.0")
        .run();
    assert_eq!(output.code, Some(64), "{output:?}");
    assert!(
        output.stderr.contains("`Octopus.Release.Number` is `1.0.0` in the variables file but `2.0.0`"),
        "{output:?}"
    );
    assert!(scene.aws.calls().is_empty());
}
