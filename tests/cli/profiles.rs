//! Servers by a name: kept for one user alone, and each key sent to its own server only.

use std::os::unix::fs::PermissionsExt as _;

use super::expect;
use crate::support::{process::Program, setup::Setup};

/// A command that knows of no server but by its profiles.
fn octarm<'a>(setup: &Setup, words: impl IntoIterator<Item = &'a str>) -> Program {
    Program::octarm().env("XDG_CONFIG_HOME", setup.folder().join("config")).args(words)
}

#[test]
fn a_profile_names_server_and_key() {
    let setup = Setup::start();
    let (url, key) = (setup.url(), setup.key());
    let add = octarm(&setup, ["profile", "add", "here", "--server", &url, "--key-file", "-"])
        .env("KEY", &key)
        .wrapped("sh", &["-c", "printf '%s\\n' \"$KEY\" | \"$0\" \"$@\""])
        .run();
    expect(&add, 0, &["profile here is in", "the one in use"]);
    let file = setup.folder().join("config/octarm/profiles.toml");
    assert_eq!(fs_err::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    expect(&octarm(&setup, ["environment", "create", "CI"]).run(), 0, &["created environment CI"]);

    let other = ["profile", "add", "other", "--server", "http://127.0.0.1:1"];
    let added = octarm(&setup, other).env("OCTARM_API_KEY", "API-OTHER1").run();
    expect(&added, 0, &["with its API key"]);
    expect(&octarm(&setup, other).run(), 2, &["the profile `other` exists already", "--replace"]);
    let listed = octarm(&setup, ["profile", "list"]).run();
    let width = url.len();
    let expected =
        format!("here   {url}  {}…  yes\nother  {:width$}  API-OTHE…  no\n", &key[..8], "http://127.0.0.1:1");
    assert_eq!(listed.stdout, expected);
    let json = octarm(&setup, ["profile", "list", "--json"]).run().stdout;
    assert!(!json.contains(&key) && !json.contains("API-OTHER1"), "{json}");

    // A flag before the environment, the environment before the one in use.
    let list = |words: &[&'static str]| octarm(&setup, [&["environment", "list"][..], words].concat());
    expect(&list(&["--profile", "other"]).run(), 69, &["http://127.0.0.1:1 (from the profile `other`)"]);
    let variable = list(&[]).env("OCTARM_PROFILE", "other").run();
    expect(&variable, 69, &["(from the profile `other`)"]);
    expect(&list(&["--profile", "here"]).env("OCTARM_PROFILE", "other").run(), 0, &["CI"]);
    let server = list(&["--profile", "here"]).env("OCTARM_SERVER", "http://127.0.0.1:1").run();
    expect(&server, 0, &["CI"]);
    expect(&list(&[]).env("OCTARM_API_KEY", "API-WRONG1").run(), 6, &["came from OCTARM_API_KEY"]);

    expect(&octarm(&setup, ["profile", "use", "other"]).run(), 0, &["profile other is the one in use"]);
    expect(&list(&[]).run(), 69, &["(from the profile `other`)"]);
    expect(&octarm(&setup, ["profile", "remove", "other"]).run(), 0, &["now none is in use"]);
    expect(&list(&[]).run(), 2, &["no server: neither `--server`, OCTARM_SERVER nor a profile"]);
    assert!(!fs_err::read_to_string(&file).unwrap().contains("API-OTHER1"));
    let gone = list(&["--profile", "other"]).run();
    expect(&gone, 2, &["there is no profile `other`, which `--profile` names", "known are: here"]);
}

#[test]
fn the_key_of_a_profile_goes_to_no_other_server() {
    let setup = Setup::start();
    let add = ["profile", "add", "elsewhere", "--server", "http://127.0.0.1:1"];
    expect(&octarm(&setup, add).env("OCTARM_API_KEY", setup.key()).run(), 0, &[]);
    // That key would be taken there: it is refused here before it is sent.
    let url = setup.url();
    let refused = octarm(&setup, ["environment", "list", "--server", &url]).run();
    expect(&refused, 2, &["no API key for the server from `--server`", "is not sent to this one"]);
    let refused = octarm(&setup, ["environment", "list"]).env("OCTARM_SERVER", &url).run();
    expect(&refused, 2, &["no API key for the server from OCTARM_SERVER", "the profile `elsewhere`"]);
}

#[test]
fn the_key_of_the_environment_goes_to_no_other_server() {
    let setup = Setup::start();
    let url = setup.url();
    // This server would take the key: were it sent, the command would succeed.
    expect(&octarm(&setup, ["profile", "add", "here", "--server", &url]).run(), 0, &[]);
    let list = || octarm(&setup, ["environment", "list", "--profile", "here"]);
    let elsewhere = || list().env("OCTARM_SERVER", "http://127.0.0.1:1");
    let refused = elsewhere().env("OCTARM_API_KEY", setup.key()).run();
    expect(&refused, 2, &["no API key for the server from the profile `here`"]);
    let refused = elsewhere().env("OCTARM_API_KEY_FILE", setup.key_file()).run();
    expect(&refused, 2, &["no API key for the server from the profile `here`"]);
    // One that is for no server of its own, or for this one, is meant.
    expect(&list().env("OCTARM_API_KEY", setup.key()).run(), 0, &[]);
    expect(&list().env("OCTARM_API_KEY", setup.key()).env("OCTARM_SERVER", &url).run(), 0, &[]);
}

#[test]
fn a_file_of_profiles_that_others_may_read_is_not_used() {
    let setup = Setup::start();
    let folder = setup.folder().join("config/octarm");
    fs_err::create_dir_all(&folder).unwrap();
    let file = folder.join("profiles.toml");
    fs_err::write(&file, "[profiles.x]\nserver = \"http://127.0.0.1:1\"\napi_key = \"API-SECRET1\"\n")
        .unwrap();
    fs_err::set_permissions(&file, std::fs::Permissions::from_mode(0o640)).unwrap();
    let list = || octarm(&setup, ["profile", "list"]).run();
    expect(&list(), 64, &["has the mode 640", "hint: chmod 600"]);
    fs_err::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    expect(&list(), 0, &["API-SECR…"]);
    // What cannot be read is not quoted: a key may stand there.
    fs_err::write(&file, "[profiles.x]\nserver = 1\napi_key = API-SECRET1\n").unwrap();
    let broken = list();
    expect(&broken, 64, &["is not a file of profiles"]);
    assert!(!format!("{broken:?}").contains("SECRET"), "{broken:?}");
    // Who says server and key needs no profile, good or bad.
    expect(
        &setup.octarm(["environment", "list"]).env("XDG_CONFIG_HOME", setup.folder().join("config")).run(),
        0,
        &[],
    );
}

#[test]
fn names_and_addresses_that_cannot_be() {
    let setup = Setup::start();
    let add = |name: &'static str, server: &'static str| {
        octarm(&setup, ["profile", "add", name, "--server", server]).run()
    };
    expect(&add("a/b", "http://x"), 2, &["`a/b` is not a name for a profile"]);
    expect(&add("a", "x:1"), 2, &["is not the address of a server"]);
    let key =
        octarm(&setup, ["profile", "add", "a", "--server", "http://x"]).env("OCTARM_API_KEY", "MARKER").run();
    expect(&key, 2, &["the API key from OCTARM_API_KEY is not of the form `API-`"]);
    assert!(!format!("{key:?}").contains("MARKER"), "{key:?}");
    assert!(!setup.folder().join("config/octarm/profiles.toml").exists());
    let address = octarm(&setup, ["environment", "list"])
        .env("OCTARM_SERVER", "nonsense")
        .env("OCTARM_API_KEY", "API-A");
    expect(&address.run(), 2, &["the server's address comes from OCTARM_SERVER", "`nonsense` is not"]);
}

#[test]
fn profiles_that_are_kept_at_the_same_time_are_all_kept() {
    let folder = tempfile::tempdir().unwrap();
    let octarm = |words: &[&str]| Program::octarm().env("XDG_CONFIG_HOME", folder.path()).args(words);
    let names: Vec<String> = (0..8).map(|number| format!("p{number}")).collect();
    let add = |name: &String| octarm(&["profile", "add", name, "--server", "http://x"]).spawn();
    let running: Vec<_> = names.iter().map(add).collect();
    for one in running {
        expect(&one.wait(), 0, &[]);
    }
    let listed = octarm(&["profile", "list"]).run().stdout;
    assert!(names.iter().all(|name| listed.contains(name.as_str())), "{listed}");
    assert_eq!(listed.matches("yes").count(), 1, "{listed}");
}
