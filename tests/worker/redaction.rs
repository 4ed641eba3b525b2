//! A corpus of secrets that others echo in every form: none of them is anywhere where a person or a file could show it.

use std::path::Path;

use base64::{Engine, engine::general_purpose::STANDARD};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::json;

use super::{FUNCTION, Scene};
use crate::support::{
    aws::{Action, Fault, Gate},
    packages::write,
};

const SHORT: &str = "q7Z!";
const JSON: &str = r#"{"user":"deploy","password":"p\"w\\d/1-pässwort"}"#;

fn corpus() -> [(&'static str, String); 3] {
    let lines: Vec<String> =
        (0..12).map(|number| hex::encode([number * 17 + 3; 24]).to_uppercase()).collect();
    let key = format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----", lines.join("\n"));
    [("Corpus.Key", key), ("Corpus.Json", JSON.to_owned()), ("Corpus.Short", SHORT.to_owned())]
}

/// Of base64 of the secret at one of three alignments: what holds bits of nothing else.
fn aligned(secret: &str, lead: usize) -> String {
    let text = STANDARD.encode([&[b'<'; 2][..lead], secret.as_bytes()].concat());
    let (from, to) = ((lead * 8).div_ceil(6), (lead + secret.len()) * 8 / 6);
    text[from..to].to_owned()
}

/// The forms in which others write a secret.
fn forms(secret: &str) -> Vec<String> {
    let json = serde_json::to_string(secret).unwrap();
    let url = utf8_percent_encode(secret, NON_ALPHANUMERIC).to_string();
    let mut forms = vec![secret.to_owned(), json[1..json.len() - 1].to_owned(), url];
    forms.extend([hex::encode(secret), hex::encode_upper(secret)]);
    forms.extend((0..3).map(|lead| aligned(secret, lead)));
    let whole = STANDARD.encode(secret);
    for width in [64, 76] {
        let lines = whole.as_bytes().chunks(width).map(|line| String::from_utf8_lossy(line).into_owned());
        forms.extend(lines.filter(|line| line.len() >= 8));
    }
    forms.extend(secret.lines().map(str::to_owned).filter(|line| line.len() >= 4));
    forms
}

/// Fails where these bytes hold a form that is at least so long; shorter ones are there by chance.
#[track_caller]
fn assert_absent(place: &str, bytes: &[u8], shortest: usize) {
    for (name, secret) in corpus() {
        for form in forms(&secret).into_iter().filter(|form| form == SHORT || form.len() >= shortest) {
            let at = bytes.windows(form.len()).position(|window| window == form.as_bytes());
            let shown = at.map(|at| {
                String::from_utf8_lossy(&bytes[at.saturating_sub(100)..(at + 100).min(bytes.len())])
            });
            assert!(shown.is_none(), "{place} holds {form} of {name}: {shown:?}");
        }
    }
}

fn assert_absent_below(folder: &Path) {
    for entry in fs_err::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            assert_absent_below(&path);
        } else if let Ok(bytes) = fs_err::read(&path) {
            assert_absent(&path.display().to_string(), &bytes, 8);
        }
    }
}

/// What AWS says, as if it knew them all. Of its words the first line is shown.
fn echo() -> String {
    let all = corpus().map(|(_, secret)| forms(&secret)).concat();
    all.into_iter().filter(|form| !form.contains('\n')).collect::<Vec<_>>().join(" | ")
}

#[test]
fn no_form_of_a_secret_is_anywhere() {
    let mut scene = Scene::new();
    let variables: serde_json::Map<_, _> =
        corpus().into_iter().map(|(name, value)| (name.to_owned(), json!(value))).collect();
    let file =
        write(scene.setup.folder(), "corpus.json", serde_json::to_string(&variables).unwrap().as_bytes());
    scene.setup.run(&["variable", "set", "--project", "Orders", "--sensitive", file.to_str().unwrap()]);
    let set = |pair: &str| scene.setup.run(&["variable", "set", "--project", "Orders", pair]);
    let mut tasks = Vec::new();
    let mut number = 0;
    let mut deploy = |scene: &Scene| {
        // A release keeps the variables that it was made with.
        number += 1;
        let version = format!("1.0.0-{number}");
        let words = ["release", "create", "--project", "Orders", "--package", "Orders:1.0.0", "--version"];
        scene.setup.run(&[&words[..], &[version.as_str()]].concat());
        let (task, _) = scene.setup.deploy("Orders", &version, "CI");
        tasks.push(task.clone());
        task
    };

    // Settings that are no such, each with a secret in it.
    let settings = ["Lambda.UpdateTimeout", "Lambda.Function", "AWS.Deployment.Account"];
    for (setting, (name, _)) in settings.into_iter().zip(corpus()) {
        set(&format!("{setting}=x#{{{name}}}"));
        let end = scene.setup.follow(&deploy(&scene));
        assert_eq!(end.code, Some(3), "{end:?}");
        assert!(end.stdout.contains("********"), "{end:?}");
        scene.setup.run(&["variable", "delete", "--project", "Orders", setting, "--yes"]);
    }
    // What AWS says when it refuses.
    scene.aws.on(
        Action::UpdateFunctionCode,
        Fault::Refuse {
            status: 400,
            error_type: "InvalidParameterValueException".to_owned(),
            message: echo(),
            retry_after: None,
        },
    );
    let end = scene.setup.follow(&deploy(&scene));
    assert_eq!(end.code, Some(3), "{end:?}");
    assert!(end.stdout.matches("********").count() > 20, "{end:?}");
    // What AWS says when an update fails, of a worker that is killed then: its spool stays.
    scene.aws.fail_update("InvalidZipFileException", &echo());
    let gate = Gate::shut();
    scene.aws.on(Action::UpdateFunctionCode, Fault::HoldAfter(gate.clone()));
    let task = deploy(&scene);
    gate.wait_reached();
    let killed = scene.worker.kill();
    assert_absent("the worker's stderr", format!("{killed:?}").as_bytes(), 4);
    assert!(scene.worker.state().join("deployments").read_dir().unwrap().next().is_some());
    assert_absent_below(scene.worker.state());
    gate.open();
    scene.worker.start_again();
    let end = scene.setup.follow(&task);
    assert!(end.code != Some(0), "{end:?}");
    assert!(scene.aws.function(FUNCTION).updates_applied <= 1);

    for task in &tasks {
        for path in ["log", "raw", "details"] {
            assert_absent(path, scene.setup.get(&format!("/api/tasks/{task}/{path}")).as_bytes(), 4);
        }
        for words in [
            &["task", "logs", task, "--verbose"][..],
            &["task", "show", task],
            &["task", "show", task, "--json"],
        ] {
            assert_absent(&words.join(" "), format!("{:?}", scene.setup.octarm(words).run()).as_bytes(), 4);
        }
    }
    let state = scene.worker.state().to_str().unwrap().to_owned();
    for words in
        [&["worker", "logs", "--state", &state][..], &["worker", "logs", "--state", &state, "--json"]]
    {
        let output = scene.setup.octarm(words).run();
        assert!(output.stdout.contains("********"), "{output:?}");
        assert_absent("octarm worker logs", format!("{output:?}").as_bytes(), 4);
    }
    assert_absent("the worker's stderr", format!("{:?}", scene.worker.drain()).as_bytes(), 4);
    assert_absent_below(scene.worker.state());
    assert_absent("the server's stderr", format!("{:?}", scene.setup.stop_server()).as_bytes(), 4);
    assert_absent_below(&scene.setup.data());
}
