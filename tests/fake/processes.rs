//! Running programs: what they write, how they end, what they leave behind.

use crate::support::process::{Output, Program, living_members};

fn shell(script: &str) -> Program {
    Program::at("/bin/sh").args(["-c", script])
}

#[test]
fn the_octarm_executable_runs() {
    assert_eq!(Program::octarm().args(["--version"]).run().code, Some(0));
}

#[test]
fn a_program_sees_a_clean_environment_and_its_output_is_kept() {
    let program =
        shell("echo out; echo $HOME; env | cut -d= -f1 | sort | tr '\\n' ' '; echo err >&2; exit 3");
    let home = program.home().display().to_string();
    let output = program.env("GIVEN", "1").run();
    let expected = Output {
        code: Some(3),
        stdout: format!("out\n{home}\nGIVEN HOME PATH PWD TMPDIR "),
        stderr: "err\n".to_owned(),
    };
    assert_eq!(output, expected);
}

#[test]
fn a_program_starts_in_its_folder() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().canonicalize().unwrap();
    assert_eq!(shell("pwd").current_dir(&folder).run().stdout, format!("{}\n", folder.display()));
}

#[test]
fn a_running_program_is_waited_for_and_asked_to_stop() {
    let running =
        shell("trap 'echo stopping; exit 4' TERM; echo ready to go >&2; while :; do sleep 0.1; done").spawn();
    assert_eq!(running.wait_for_line("ready"), "ready to go");
    running.terminate();
    let output = running.wait();
    assert_eq!((output.code, output.stdout.as_str()), (Some(4), "stopping\n"));
}

#[test]
fn a_killed_program_does_nothing_more() {
    let running =
        shell("trap 'echo stopping' TERM EXIT; echo ready; while :; do read line < /dev/null; done").spawn();
    running.wait_for_line("ready");
    running.kill();
    let output = running.wait();
    assert_eq!((output.code, output.stdout.as_str()), (None, "ready\n"));
}

#[test]
#[should_panic(expected = "it ended without a line with \"ready\"")]
fn a_line_that_cannot_come_any_more_is_not_waited_for() {
    shell("echo other").spawn().wait_for_line("ready");
}

#[test]
fn a_dropped_program_takes_its_children_along() {
    let running = shell("sleep 1000 & echo child $!; wait").spawn();
    let child = running.wait_for_line("child ").split_off("child ".len()).parse().unwrap();
    let group = running.pid();
    assert!(!running.seen().has_ended());
    let members = living_members(group);
    assert!(members.contains(&child) && members.contains(&group), "{members:?}");
    drop(running);
    assert_eq!(living_members(group), Vec::<u32>::new());
}
