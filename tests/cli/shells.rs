//! What shells and `man` are given: made of the same definitions as the commands.

use super::expect;
use crate::support::process::Program;

/// What bash offers behind these words.
fn completed(words: &[&str]) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("octarm.bash");
    let made = Program::octarm().args(["completions", "bash"]).run();
    assert_eq!(made.code, Some(0), "{made:?}");
    fs_err::write(&script, made.stdout).unwrap();
    // As bash itself does it: the words, the place of the cursor, then the function that the script has registered.
    let body = "set -eu; source \"$0\"\n\
        COMP_WORDS=(\"$@\"); COMP_CWORD=$(($# - 1))\n\
        read -r _ _ function _ < <(complete -p octarm | grep -o -- '-F .*' | sed 's/^/x /')\n\
        set +eu; \"$function\" octarm \"${COMP_WORDS[COMP_CWORD]}\" \"${COMP_WORDS[COMP_CWORD-1]}\"\n\
        printf '%s\\n' \"${COMPREPLY[@]}\"";
    let run = Program::at("bash").args(["-c", body]).args([&script]).args(words).run();
    assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""), "{run:?}");
    run.stdout.lines().map(str::to_owned).collect()
}

#[test]
fn bash_completes_groups_commands_and_options() {
    assert_eq!(completed(&["octarm", "rel"]), ["release"]);
    assert_eq!(completed(&["octarm", "release", "pro"]), ["promote"]);
    assert_eq!(completed(&["octarm", "environment", "list", "--prof"]), ["--profile"]);
    assert!(completed(&["octarm", ""]).contains(&"worker-pool".to_owned()));
}

#[test]
fn every_shell_has_its_script() {
    for (shell, part) in [
        ("bash", "complete -F _octarm"),
        ("zsh", "#compdef octarm"),
        ("fish", "complete -c octarm"),
        ("powershell", "Register-ArgumentCompleter"),
        ("elvish", "edit:completion:arg-completer[octarm]"),
    ] {
        let made = Program::octarm().args(["completions", shell]).run();
        expect(&made, 0, &[part, "worker-pool"]);
    }
    expect(
        &Program::octarm().args(["completions", "csh"]).run(),
        2,
        &["possible values: bash, elvish, fish"],
    );
}

#[test]
fn each_command_has_a_manual_page_that_names_its_options() {
    let folder = tempfile::tempdir().unwrap();
    let to = folder.path().join("share/man1");
    let written = Program::octarm().args(["man", "--output"]).args([&to]).run();
    let pages: Vec<_> = fs_err::read_dir(&to).unwrap().map(|entry| entry.unwrap().path()).collect();
    expect(&written, 0, &[&format!("wrote {} manual pages", pages.len())]);
    for path in pages {
        let text = fs_err::read_to_string(&path).unwrap();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        assert!(text.contains(&format!("\n.TH {name} 1 ")), "{name}: {text}");
        // The help of the command has the same options; roff escapes the hyphens.
        let words = commands(&name);
        let help = Program::octarm().args(&words).args(["--help"]).run();
        assert_eq!(help.code, Some(0), "{words:?}: {help:?}");
        let options = help.stdout.lines().filter_map(|line| line.trim().split("--").nth(1));
        let mut seen = 0;
        for option in options.filter(|rest| rest.starts_with(|c: char| c.is_ascii_lowercase())) {
            let option = option.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-')).next().unwrap();
            let escaped = format!("\\-\\-{}", option.replace('-', "\\-"));
            assert!(text.contains(&escaped), "{name} lacks {escaped}: {text}");
            seen += 1;
        }
        assert!(seen >= 2, "{words:?} has no options: {}", help.stdout);
    }
}

/// The words of a command of a page: those of two words keep their hyphen.
fn commands(page: &str) -> Vec<String> {
    let kept = page
        .replace("api-key", "api_key")
        .replace("registration-token", "registration_token")
        .replace("worker-pool", "worker_pool")
        .replace("check-config", "check_config")
        .replace("deploy-current", "deploy_current")
        .replace("rotate-master-key", "rotate_master_key")
        .replace("take-over", "take_over");
    kept.split('-').skip(1).map(|word| word.replace('_', "-")).collect()
}
