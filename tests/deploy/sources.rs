//! Where values come from, and which of them win.

use serde_json::json;

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
fn a_secret_without_its_name_is_not_repeated() {
    let scene = Scene::new();
    let output = scene.deploy(&scene.package()).args(["--variable", "MARKERs3cret"]).run();
    assert_eq!(output.code, Some(2), "{output:?}");
    assert!(output.stderr.contains("expected NAME=VALUE"), "{output:?}");
    assert!(!format!("{output:?}").contains("MARKER"), "{output:?}");
}

#[test]
fn what_is_made_of_a_secret_is_as_hidden_as_the_secret() {
    let scene = Scene::new();
    for (made, function) in [
        ("Orders#{Pw | ToUpper}", "CI-OrdersHUNTER2MARKER"),
        ("Orders#{Pw | Substring 6}", "CI-OrdersHunter"),
        ("Orders#{Pw | Replace \"2\" \"3\"}", "CI-OrdersHunter3Marker"),
        ("#{Pw | Sha256 8}", "CI-4a89bd3ef44d9a2c"),
        // What depends on the package.
        ("#{if Octopus.Action.Package.PackageId}#{Pw | ToUpper}x#{/if}", "CI-HUNTER2MARKERx"),
        // Pieces too short to be masked by themselves.
        ("#{Pw | Substring 3 3}#{Pw | Substring 0 3}", "CI-terHun"),
    ] {
        scene.aws.create_function(function, super::old_zip());
        let variables = json!([
            { "k": "Pw", "v": "Hunter2Marker", "s": true },
            { "k": "Lambda.Function", "v": made },
        ]);
        let file = write(scene.folder.path(), "variables.json", variables.to_string().as_bytes());
        for more in [&["--verbose"][..], &["--json"]] {
            let output =
                scene.deploy(&scene.package()).args(["--variables"]).args([&file]).args(more.iter()).run();
            assert_eq!(output.code, Some(0), "{made}: {output:?}");
            let shown = format!("{output:?}");
            assert!(shown.contains("********") && !shown.contains(&function[3..]), "{made}: {shown}");
        }
        assert_eq!(scene.aws.function(function).updates_applied, 1, "{made}");
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
