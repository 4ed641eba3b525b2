//! Create, list, show, update, delete: the same words for everything that the server holds.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::expect;
use crate::support::{
    packages::{Raw, write, zip},
    process::Program,
    setup::Setup,
};

fn names(list: &Value) -> Vec<&str> {
    list.as_array().unwrap().iter().map(|item| item["Name"].as_str().unwrap()).collect()
}

/// The files in a folder and below it.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs_err::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

#[test]
fn an_environment_from_its_making_to_its_end() {
    let setup = Setup::start();
    let made = setup.json(&["environment", "create", "Test East", "--description", "for us"]);
    setup.run(&["environment", "create", "Production"]);
    assert_eq!(
        setup.run(&["environment", "list"]),
        "Environments-1  Test East   for us\nEnvironments-2  Production\n"
    );
    assert_eq!(names(&setup.json(&["environment", "list"])), ["Test East", "Production"]);
    // By name in any case, by slug, by id.
    for named in ["test east", "test-east", "Environments-1"] {
        assert_eq!(setup.json(&["environment", "show", named]), made, "{named}");
    }
    let shown = setup.run(&["environment", "show", "Environments-1"]);
    assert!(shown.starts_with("Id:           Environments-1\nName:         Test East\n"), "{shown}");
    let changed = setup.json(&["environment", "update", "test-east", "--name", "QA", "--order", "7"]);
    assert_eq!((&changed["Name"], &changed["SortOrder"]), (&"QA".into(), &7.into()));
    assert_eq!(changed["Description"], "for us", "what was not given stays");

    let unknown = setup.octarm(["environment", "show", "prod"]).run();
    expect(
        &unknown,
        6,
        &["the environment `prod` does not exist", "hint: the nearest names are: Production, QA"],
    );
    expect(&setup.octarm(["environment", "delete", "QA"]).run(), 2, &["nothing was deleted", "`--yes`"]);
    assert_eq!(setup.json(&["environment", "list"]).as_array().unwrap().len(), 2);
    assert_eq!(
        setup.run(&["environment", "delete", "qa", "--yes"]),
        "deleted the environment QA (Environments-1)\n"
    );
    expect(&setup.octarm(["environment", "delete", "QA", "--yes"]).run(), 6, &["`QA` does not exist"]);
    let again = ["environment", "delete", "QA", "--yes", "--ignore-missing"];
    expect(&setup.octarm(again).run(), 0, &["nothing to delete"]);
    assert_eq!(setup.json(&["environment", "delete", "Production", "--yes"])["Name"], "Production");
    assert_eq!(setup.run(&["environment", "list"]), "");
    assert_eq!(setup.json(&["environment", "list"]), Value::Array(Vec::new()));
}

#[test]
fn a_project_its_lifecycle_and_its_channels() {
    let setup = Setup::start();
    for name in ["CI", "QA", "Production"] {
        setup.run(&["environment", "create", name]);
    }
    let phases = ["--phase", "Test=ci,QA:min 1:automatic", "--phase", "Live=Production:optional"];
    let made = setup.json(&[&["lifecycle", "create", "Careful"][..], &phases].concat());
    let first = &made["Phases"][0];
    assert_eq!(first["AutomaticDeploymentTargets"], serde_json::json!(["Environments-1", "Environments-2"]));
    assert_eq!(first["MinimumEnvironmentsBeforePromotion"], 1);
    assert_eq!(made["Phases"][1]["OptionalDeploymentTargets"], serde_json::json!(["Environments-3"]));
    assert_eq!(made["Phases"][1]["IsOptionalPhase"], true);
    let shown = setup.run(&["lifecycle", "show", "careful"]);
    assert!(shown.contains("Test: CI (automatic), QA (automatic); min 1\n"), "{shown}");
    assert!(shown.contains("Live: Production; optional\n"), "{shown}");
    let wrong = setup.octarm(["lifecycle", "create", "X", "--phase", "Test=CL"]).run();
    expect(&wrong, 6, &["the environment `CL` does not exist", "CI"]);
    expect(
        &setup.octarm(["lifecycle", "create", "X", "--phase", "Test"]).run(),
        2,
        &["expected NAME=ENVIRONMENT"],
    );

    let create = ["project", "create", "Orders", "--package", "Acme.Orders", "--lifecycle", "careful"];
    let project = setup.json(&create);
    assert_eq!(project["LifecycleId"], made["Id"]);
    expect(&setup.octarm(["lifecycle", "delete", "Careful", "--yes"]).run(), 6, &["Orders"]);
    let shown = setup.run(&["project", "show", "orders"]);
    assert!(shown.contains("Lifecycle:  Careful\n") && shown.contains("Acme.Orders"), "{shown}");
    let changed = ["project", "update", "Orders", "--description", "shop", "--package", "Other", "--disable"];
    let changed = setup.json(&changed);
    assert_eq!((&changed["Description"], &changed["IsDisabled"]), (&"shop".into(), &true.into()));
    assert!(setup.run(&["project", "show", "Orders"]).contains("Other, in the step"));
    // A process that somebody made is not written over.
    let process =
        r#"{ "Version": 2, "Steps": [{ "Name": "Ask", "Actions": [{ "Name": "Ask", "Packages": [] }] }] }"#;
    setup.put("/api/deploymentprocesses/deploymentprocess-Projects-1", process);
    let refused = setup.octarm(["project", "update", "Orders", "--package", "Third"]).run();
    expect(&refused, 6, &["its process has 0 packages, expected one"]);
    assert_eq!(setup.json(&["project", "update", "Orders", "--enable"])["IsDisabled"], false);
    assert_eq!(setup.run(&["project", "list"]), "Projects-1  Orders  orders  shop\n");

    let rule = ["--versions", "[1.0,2.0)", "--tag", "^$", "--lifecycle", "Careful"];
    let channel = setup.json(&[&["channel", "create", "Hotfix", "--project", "Orders"][..], &rule].concat());
    assert_eq!(channel["Rules"][0]["VersionRange"], "[1.0,2.0)");
    assert_eq!(
        setup.run(&["channel", "list"]),
        "Channels-1  Orders  Default  yes\nChannels-2  Orders  Hotfix   no\n"
    );
    assert!(setup.run(&["channel", "show", "hotfix"]).contains("versions [1.0,2.0); pre-release ^$"));
    setup.run(&["project", "create", "Bills"]);
    let several = setup.octarm(["channel", "show", "default"]).run();
    expect(&several, 6, &["names more than one channel: Channels-1, Channels-3", "--project"]);
    assert_eq!(setup.json(&["channel", "show", "default", "--project", "bills"])["Id"], "Channels-3");
    setup.run(&["channel", "delete", "Hotfix", "--yes"]);
    assert_eq!(names(&setup.json(&["channel", "list", "--project", "Orders"])), ["Default"]);
    setup.run(&["project", "delete", "Orders", "--yes"]);
    let other = setup.json(&["lifecycle", "update", "Careful", "--phase", "All=Production"]);
    assert_eq!(names(&other["Phases"]), ["All"]);
    setup.run(&["lifecycle", "delete", "Careful", "--yes"]);
    assert_eq!(names(&setup.json(&["lifecycle", "list"])), ["Default Lifecycle"]);
}

#[test]
fn packages_come_back_as_they_were_pushed() {
    let setup = Setup::start();
    let bytes = zip(&[Raw::new("index.js", "// one").mode(0o644)]);
    for name in ["Orders.1.0.0.zip", "Orders.1.10.0.zip", "Orders.1.9.0.zip", "Bills.2.0.0.zip"] {
        let file = write(setup.folder(), name, &bytes);
        setup.run(&["package", "push", file.to_str().unwrap()]);
    }
    let newest = setup.json(&["package", "list"]);
    let shown = |item: &Value| {
        format!("{} {}", item["PackageId"].as_str().unwrap(), item["Version"].as_str().unwrap())
    };
    let list = |value: &Value| value.as_array().unwrap().iter().map(shown).collect::<Vec<_>>();
    assert_eq!(list(&newest), ["Bills 2.0.0", "Orders 1.10.0"]);
    assert_eq!(
        list(&setup.json(&["package", "list", "orders"])),
        ["Orders 1.10.0", "Orders 1.9.0", "Orders 1.0.0"]
    );
    assert_eq!(setup.json(&["package", "show", "Orders"])["Version"], "1.10.0");
    assert!(setup.run(&["package", "show", "Orders", "1.9.0"]).contains("Version:    1.9.0\n"));
    let unknown = setup.octarm(["package", "show", "Orders", "1.9.1"]).run();
    expect(&unknown, 6, &["the package `Orders 1.9.1` does not exist", "1.9.0"]);
    expect(
        &setup.octarm(["package", "show", "Order"]).run(),
        6,
        &["the package `Order` does not exist", "Orders"],
    );

    expect(
        &setup.octarm(["package", "list", "Order"]).run(),
        6,
        &["the package `Order` does not exist", "Orders"],
    );
    let again = setup.folder().join("Orders.1.9.0.zip");
    let again = setup.octarm(["package", "push", again.to_str().unwrap()]).run();
    expect(&again, 6, &["exists already", "`--overwrite replace`"]);
    assert!(!again.stderr.contains("overwriteMode"), "{again:?}");

    let to = setup.folder().join("fetched.zip");
    let fetch = ["package", "download", "Orders", "1.9.0", "--output", to.to_str().unwrap()];
    let fetched = setup.json(&fetch);
    assert_eq!(fs_err::read(&to).unwrap(), bytes);
    assert_eq!(fetched["size"], bytes.len());
    fs_err::write(&to, "mine").unwrap();
    expect(&setup.octarm(fetch).run(), 2, &["exists already", "--force"]);
    assert_eq!(fs_err::read(&to).unwrap(), b"mine");
    setup.run(&[&fetch[..], &["--force"]].concat());
    assert_eq!(fs_err::read(&to).unwrap(), bytes);
    // Without a name it is the package's own, in the folder where it is asked for.
    fs_err::remove_file(setup.folder().join("Bills.2.0.0.zip")).unwrap();
    setup.run(&["package", "download", "Bills"]);
    assert_eq!(fs_err::read(setup.folder().join("Bills.2.0.0.zip")).unwrap(), bytes);

    // What arrives damaged never gets the name.
    let hash = setup.json(&["package", "show", "Bills"])["Hash"].as_str().unwrap().to_owned();
    for blob in files(&setup.data()).into_iter().filter(|file| file.to_string_lossy().contains(&hash)) {
        let mut bytes = fs_err::read(&blob).unwrap();
        bytes[40] ^= 1;
        fs_err::remove_file(&blob).unwrap();
        fs_err::write(&blob, bytes).unwrap();
    }
    let folder = setup.folder().join("empty");
    fs_err::create_dir(&folder).unwrap();
    let damaged = setup.octarm(["package", "download", "Bills"]).current_dir(&folder).run();
    expect(&damaged, 69, &["downloading Bills 2.0.0: received SHA-256", &hash]);
    assert_eq!(files(&folder), Vec::<PathBuf>::new());

    setup.run(&["package", "delete", "Orders", "1.9.0", "--yes"]);
    assert_eq!(list(&setup.json(&["package", "list", "Orders"])), ["Orders 1.10.0", "Orders 1.0.0"]);
    expect(&setup.octarm(["package", "delete", "Orders", "1.9.0", "--yes"]).run(), 6, &["does not exist"]);
}

#[test]
fn keys_pools_workers_and_spaces() {
    let setup = Setup::start();
    for name in ["CI", "Production"] {
        setup.run(&["environment", "create", name]);
    }
    let key = setup.folder().join("build.key");
    let make = ["api-key", "create", "build", "--may", "deploy", "--environment", "CI", "--key-file"];
    setup.run(&[&make[..], &[key.to_str().unwrap()]].concat());
    let shown = setup.run(&["api-key", "show", "build"]);
    assert!(shown.contains("May:           deploy\nEnvironments:  CI\n"), "{shown}");
    assert!(!shown.contains(fs_err::read_to_string(&key).unwrap().trim()));
    let with_it = || setup.octarm(["space", "list"]).env("OCTARM_API_KEY_FILE", &key).run();
    assert_eq!(with_it().stdout, "Spaces-1  Default  yes  no\n");
    let refused = setup.octarm(["environment", "create", "X"]).env("OCTARM_API_KEY_FILE", &key).run();
    expect(&refused, 6, &["needs `administer`"]);
    expect(&setup.octarm(["api-key", "delete", "buid", "--yes"]).run(), 6, &["API key `buid`", "build"]);
    setup.run(&["api-key", "delete", "build", "--yes"]);
    expect(&with_it(), 6, &["not one of this server's"]);

    let pool = setup.json(&["worker-pool", "create", "Big ones"]);
    assert_eq!(setup.json(&["worker-pool", "show", "big-ones"]), pool);
    for (name, environment) in [("w1", "CI"), ("w2", "Production")] {
        let register = ["worker", "register", "--name", name, "--environment", environment, "--state", name];
        setup.run(&register);
    }
    assert_eq!(names(&setup.json(&["machine", "list", "--environment", "production"])), ["w2"]);
    assert!(setup.run(&["machine", "show", "w1"]).contains("Environment:  CI\n"));
    assert!(setup.run(&["environment", "show", "CI"]).contains("Workers:  "), "workers are told");
    assert!(setup.run(&["worker-pool", "show", "WorkerPools-1"]).contains("w1 (Unknown)\n"));
    let bound = setup.octarm(["environment", "delete", "CI", "--yes"]).run();
    expect(&bound, 6, &["w1"]);
    setup.run(&["machine", "delete", "w1", "--yes"]);
    expect(&setup.octarm(["machine", "delete", "Machines-1", "--yes"]).run(), 6, &["does not exist", "w2"]);
    setup.run(&["worker-pool", "delete", "Big ones", "--yes"]);
    assert_eq!(names(&setup.json(&["worker-pool", "list"])), ["Default Worker Pool"]);
}

#[test]
fn of_several_values_of_a_variable_the_one_that_was_meant_is_deleted() {
    let setup = Setup::start();
    setup.create(&["CI", "QA"], "Orders");
    let of = ["--project", "Orders"];
    let run = |words: &[&str]| setup.octarm([words, &of].concat()).run();
    for words in [&["A=0", "B=1"][..], &["--environment", "CI", "A=1"], &["--environment", "QA", "A=2"]] {
        expect(&run(&[&["variable", "set"][..], words].concat()), 0, &[]);
    }
    assert_eq!(run(&["variable", "show", "a"]).stdout, "A  0\nA  1  environment CI\nA  2  environment QA\n");
    let delete = |more: &[&str]| run(&[&["variable", "delete", "a", "--yes"][..], more].concat());
    expect(&delete(&[]), 2, &["which value of `A`? everywhere; environment CI; environment QA", "--all"]);
    expect(&delete(&["--environment", "CI", "--environment", "QA"]), 2, &["which value of `A`?"]);
    expect(&delete(&["--environment", "CI"]), 0, &["deleted A of Orders, environment CI"]);
    expect(&delete(&["--unscoped"]), 0, &["deleted A of Orders, everywhere"]);
    assert_eq!(run(&["variable", "list"]).stdout, "B  1\nA  2  environment QA\n");
    expect(&run(&["variable", "set", "A=3"]), 0, &[]);
    expect(&delete(&["--all"]), 0, &["environment QA and everywhere"]);
    expect(&delete(&[]), 6, &["the variable `a` does not exist", "B"]);
    expect(&delete(&["--ignore-missing"]), 0, &["nothing to delete"]);
    assert_eq!(run(&["variable", "list"]).stdout, "B  1\n");
}

#[test]
fn a_person_at_a_terminal_is_asked() {
    let setup = Setup::start();
    setup.run(&["environment", "create", "CI"]);
    let answer = |answer: &str| {
        let script = "import os, pty, sys\n\
            pid, fd = pty.fork()\n\
            if pid == 0: os.execv(sys.argv[2], sys.argv[2:])\n\
            seen = b''\n\
            while b'[y/N]' not in seen: seen += os.read(fd, 1024)\n\
            os.write(fd, sys.argv[1].encode() + b'\\n')\n\
            try:\n\
            \x20   while part := os.read(fd, 1024): seen += part\n\
            except OSError: pass\n\
            print(seen.decode())\n\
            sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))\n";
        let program = env!("CARGO_BIN_EXE_octarm");
        Program::at("python3")
            .args(["-c", script, answer, program, "environment", "delete", "CI"])
            .env("OCTARM_SERVER", setup.url())
            .env("OCTARM_API_KEY_FILE", setup.key_file())
            .run()
    };
    expect(&answer("n"), 8, &["delete the environment CI (Environments-1)? [y/N]", "nothing was deleted"]);
    expect(&answer(""), 8, &["nothing was deleted"]);
    assert_eq!(names(&setup.json(&["environment", "list"])), ["CI"]);
    expect(&answer("y"), 0, &["deleted the environment CI (Environments-1)"]);
    assert_eq!(setup.run(&["environment", "list"]), "");
}

#[test]
fn a_library_of_variables_from_its_making_to_its_end() {
    let setup = Setup::start();
    let made = setup.json(&["library", "create", "Shared", "--description", "for all"]);
    assert_eq!(setup.json(&["library", "show", "shared"]), made);
    assert_eq!(
        setup.run(&["variable", "set", "--library", "Shared", "Log.Level=warn"]),
        "set Log.Level of Shared\n"
    );
    setup.run(&["project", "create", "Orders", "--library", "Shared"]);
    assert!(setup.run(&["project", "show", "Orders"]).contains("Libraries:  Shared\n"));
    assert!(setup.run(&["library", "show", "Shared"]).contains("Included by:  Orders\n"));
    assert!(setup.run(&["variable", "list", "--library", "Shared"]).contains("Log.Level  warn"));
    // What stands in a library is the project's too, but not its own.
    assert_eq!(setup.run(&["variable", "list", "--project", "Orders"]), "");
    expect(&setup.octarm(["library", "delete", "Shared", "--yes"]).run(), 6, &["`Shared`", "`Orders`"]);
    setup.run(&["project", "update", "Orders", "--no-library"]);
    setup.run(&["library", "update", "Shared", "--name", "Common"]);
    setup.run(&["project", "update", "Orders", "--library", "common"]);
    assert!(setup.run(&["project", "show", "Orders"]).contains("Libraries:  Common\n"));
    setup.run(&["project", "update", "Orders", "--no-library"]);
    setup.run(&["library", "delete", "Common", "--yes"]);
    assert_eq!(setup.run(&["library", "list"]), "");
    for words in [&["variable", "list"][..], &["variable", "list", "--project", "a", "--library", "b"]] {
        assert_eq!(setup.octarm(words).run().code, Some(2), "{words:?}");
    }
}

#[test]
fn names_that_no_address_can_hold_are_neither_made_nor_looked_for() {
    let setup = Setup::start();
    setup.run(&["project", "create", "Orders"]);
    for name in [".", "..", "", " ", "a\u{1b}b"] {
        for kind in ["environment", "project", "lifecycle", "library", "worker-pool"] {
            let refused = setup.octarm([kind, "create", name]).run();
            assert_eq!(refused.code, Some(6), "{kind} {name:?}: {refused:?}");
            assert!(!refused.stderr.contains('\u{1b}'), "{refused:?}");
        }
        let refused = setup.octarm(["environment", "deploy-current", name]).run();
        assert_eq!(refused.code, Some(6), "{name:?}: {refused:?}");
        let show = ["release", "show", name, "--project", "Orders"];
        assert_eq!(setup.octarm(show).run().code, Some(6), "{name:?}");
    }
    let dots = setup.octarm(["environment", "create", ".."]).run();
    expect(&dots, 6, &["`..` cannot be the name of the environment"]);
    setup.run(&["environment", "create", " a/b "]);
    assert_eq!(setup.json(&["environment", "show", "a/b"])["Name"], "a/b");
}

#[test]
fn what_is_no_package_id_is_no_package_of_a_project() {
    let setup = Setup::start();
    setup.run(&["project", "create", "Orders"]);
    for id in ["", "../x", "a b", "a/b"] {
        for words in [
            ["project", "create", "Other", "--package", id],
            ["project", "update", "Orders", "--package", id],
        ] {
            expect(&setup.octarm(words).run(), 2, &["is not a package id"]);
        }
    }
    assert_eq!(names(&setup.json(&["project", "list"])), ["Orders"]);
    // The server itself refuses it too; what another feed calls its packages is not ours to judge.
    let process = |package: &str, feed: &str| {
        let package = serde_json::json!({ "PackageId": package, "FeedId": feed });
        let steps = serde_json::json!([{ "Name": "A", "Actions": [{ "Name": "A", "Packages": [package] }] }]);
        serde_json::json!({ "Version": 0, "Steps": steps }).to_string()
    };
    let path = "/api/deploymentprocesses/deploymentprocess-Projects-1";
    let (status, said) = setup.try_put(path, &process("../x", "feeds-builtin"));
    assert_eq!(status, 400, "{said}");
    assert!(said.contains("`../x` is not a package id"), "{said}");
    assert_eq!(setup.try_put(path, &process("library/nginx", "Feeds-7")).0, 200);
}

#[test]
fn a_release_that_existed_is_not_called_created() {
    let setup = Setup::start();
    setup.run(&["project", "create", "Orders"]);
    let bytes = zip(&[Raw::new("index.js", "// one").mode(0o644)]);
    let file = write(setup.folder(), "Orders.1.0.0.zip", &bytes);
    setup.run(&["package", "push", file.to_str().unwrap()]);
    let create = ["release", "create", "--project", "Orders", "--ignore-existing"];
    assert_eq!(setup.run(&create), "created release 1.0.0 of Orders (Releases-1)\n");
    assert_eq!(setup.run(&create), "release 1.0.0 of Orders exists (Releases-1)\n");
    let json = setup.json(&create);
    assert_eq!((&json["ReleaseId"], &json["Existed"]), (&"Releases-1".into(), &true.into()));
}

#[test]
fn a_variable_that_is_set_twice_at_once_is_refused() {
    let setup = Setup::start();
    setup.run(&["project", "create", "Orders"]);
    let twice = setup.octarm(["variable", "set", "--project", "Orders", "A=1", "a=2"]).run();
    expect(&twice, 2, &["variable `a` is given twice"]);
    assert_eq!(setup.run(&["variable", "list", "--project", "Orders"]), "");
}

#[test]
fn an_empty_name_names_nothing_not_even_the_only_one() {
    let setup = Setup::start();
    setup.run(&["project", "create", "Orders"]);
    setup.run(&["environment", "create", "Ünïon"]);
    let bytes = zip(&[Raw::new("index.js", "// one").mode(0o644)]);
    let file = write(setup.folder(), "Orders.1.0.0.zip", &bytes);
    let push = ["package", "push", file.to_str().unwrap(), "--overwrite", "ignore"];
    assert_eq!(setup.run(&push), "pushed Orders 1.0.0\n");
    assert_eq!(setup.run(&push), "package Orders 1.0.0 exists\n");
    for words in [
        &["project", "delete", "", "--yes"][..],
        &["project", "delete", " ", "--yes", "--ignore-missing"],
        &["project", "update", "", "--disable"],
        &["environment", "delete", "", "--yes"],
        &["variable", "set", "--project", "", "A=1"],
        &["package", "delete", "", "1.0.0", "--yes"],
        &["package", "delete", "Orders", "", "--yes"],
        &["package", "download", "", "--output", "x"],
        &["package", "list", ""],
        &["release", "create", "--project", "Orders", "--version", ""],
        &["release", "create", "--project", "Orders", "--channel", ""],
        &["task", "list", "--project", ""],
        &["task", "list", "--state", ""],
    ] {
        let refused = setup.octarm(words).run();
        assert_eq!(refused.code, Some(2), "{words:?}: {refused:?}");
    }
    assert_eq!(setup.json(&["project", "list"])[0]["IsDisabled"], false);
    assert_eq!(setup.run(&["variable", "list", "--project", "Orders"]), "");
    assert!(
        setup.run(&["project", "show", "orders"]).contains("Deploys:    Orders, as the project is called\n")
    );
    assert_eq!(setup.json(&["environment", "show", "ünïON"])["Name"], "Ünïon");
    let order = setup.json(&["environment", "update", "ünïon", "--order", "-1"]);
    assert_eq!(order["SortOrder"], -1);
    let unknown = setup.octarm(["task", "show", "ServerTasks-9"]).run();
    expect(&unknown, 6, &["task `ServerTasks-9` does not exist"]);
}

#[test]
fn spaces_hold_their_things_apart() {
    let setup = Setup::start();
    setup.run(&["space", "create", "Team Blue", "--description", "blue"]);
    setup.run(&["environment", "create", "Live", "--space", "team blue"]);
    assert_eq!(setup.run(&["environment", "list"]), "");
    let shown = setup.octarm(["environment", "list"]).env("OCTARM_SPACE", "team-blue").run();
    assert!(shown.stdout.contains("Live"), "{}", shown.stdout);
    expect(
        &setup.octarm(["environment", "list", "--space", "Red"]).run(),
        6,
        &["space `red` does not exist", "Team Blue"],
    );
    let key = setup.folder().join("blue.key");
    let make = ["api-key", "create", "blue", "--may", "administer", "--space", "Team Blue", "--key-file"];
    setup.run(&[&make[..], &[key.to_str().unwrap()]].concat());
    let with_it = |arguments: &[&str]| setup.octarm(arguments).env("OCTARM_API_KEY_FILE", &key).run();
    assert!(with_it(&["environment", "list"]).stdout.contains("Live"));
    expect(&with_it(&["space", "create", "Mine"]), 6, &["reaches space `Spaces-2` alone"]);
    setup.run(&["space", "update", "team-blue", "--name", "Crew"]);
    expect(&setup.octarm(["space", "delete", "Crew", "--yes"]).run(), 6, &["its tasks are not stopped"]);
    setup.run(&["space", "stop", "Crew"]);
    assert!(setup.run(&["space", "show", "Crew"]).contains("yes"));
    setup.run(&["space", "start", "Crew"]);
    setup.run(&["space", "stop", "Crew"]);
    setup.run(&["space", "delete", "Crew", "--yes"]);
    assert_eq!(setup.run(&["space", "list"]), "Spaces-1  Default  yes  no\n");
}
