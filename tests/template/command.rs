//! `octarm template eval`.

use std::{
    io::{BufRead, BufReader, Write},
    process::{Command, Stdio},
};

use serde_json::{Value, json};

use crate::support::process::{Output, Program};

fn eval(arguments: &[&str], variables: &str) -> Output {
    let program = Program::octarm().args(["template", "eval"]).args(arguments);
    fs_err::write(program.home().join("variables.json"), variables).unwrap();
    program.run()
}

/// The same with these bytes as standard input.
fn eval_lines(input: &[u8]) -> (Option<i32>, Vec<Value>) {
    let program = Program::octarm()
        .args(["template", "eval", "--jsonl"])
        .wrapped("sh", &["-c", "exec \"$@\" < input", "sh"]);
    fs_err::write(program.home().join("input"), input).unwrap();
    let output = program.run();
    assert_eq!(output.stderr, "");
    (output.code, output.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect())
}

#[test]
fn a_value_is_printed() {
    let output = eval(&["--variables", "variables.json", "#{a | ToUpper}-#{b}"], r#"{"a": "x", "b": 2}"#);
    assert_eq!((output.code, output.stdout.as_str(), output.stderr.as_str()), (Some(0), "X-2\n", ""));
    let output = eval(&["plain"], "");
    assert_eq!((output.code, output.stdout.as_str()), (Some(0), "plain\n"));
}

#[test]
fn variables_keep_the_order_of_their_file() {
    for variables in [
        r#"{"L[z]": "1", "L[a]": "2", "L[m]": null}"#,
        r#"[{"k": "L[z]", "v": "1"}, {"k": "L[a]", "v": "2"}, {"k": "L[m]", "v": null}]"#,
    ] {
        let output = eval(&["--variables", "variables.json", "#{each l in L}#{l.x}#{l};#{/each}"], variables);
        assert_eq!(output.stdout, "11;22;#{l.x};\n");
    }
}

#[test]
fn a_calculation_without_a_number_is_no_success() {
    let output = eval(&["--json", "#{calc A*2}"], "");
    assert_eq!(output.code, Some(65));
    let said: Value = serde_json::from_str(&output.stdout).unwrap();
    assert_eq!(said, json!({ "value": "#{A*2}", "missing": [], "error": null, "uncalculated": ["#{A*2}"] }));
}

#[test]
fn what_is_not_whole_is_no_success() {
    let output = eval(&["x #{nope} #{nope | ToUpper}"], "");
    assert_eq!(output.code, Some(65));
    assert_eq!(output.stdout, "x #{nope} #{nope | ToUpper}\n");
    assert_eq!(
        output.stderr,
        "error: rendering the text\n  because: no value for `#{nope}`, `#{nope | ToUpper}`\n"
    );
    let output = eval(&["a #{x"], "");
    assert_eq!((output.code, output.stdout.as_str()), (Some(65), ""));
    assert_eq!(output.stderr, "error: rendering the text\n  because: `#{` without `}` in `#{x`\n");
    let output = eval(&["#{ | null}"], "");
    assert_eq!((output.code, output.stdout.as_str()), (Some(65), ""));
    assert!(output.stderr.contains("it came to the filter `null`"), "{}", output.stderr);
}

#[test]
fn json_says_all_three() {
    for (text, code, expected) in [
        ("a", 0, json!({ "value": "a", "missing": [], "error": null })),
        ("#{a}#{a}", 65, json!({ "value": "#{a}#{a}", "missing": ["#{a}"], "error": null })),
        ("#{ | null}", 65, json!({ "value": null, "missing": [], "error": null })),
        ("#{", 65, json!({ "value": "#{", "missing": [], "error": "`#{` without `}` in `#{`" })),
    ] {
        let output = eval(&["--json", text], "");
        let found: Value = serde_json::from_str(&output.stdout).unwrap();
        assert_eq!((output.code, &found, output.stderr.as_str()), (Some(code), &expected, ""), "{text}");
    }
}

#[test]
fn the_command_line_must_say_what_to_render() {
    for arguments in [&[][..], &["--jsonl", "text"], &["--jsonl", "--variables", "x.json"], &["a", "b"]] {
        assert_eq!(eval(arguments, "").code, Some(2), "{arguments:?}");
    }
    assert_eq!(eval(&["--variables", "variables.json", "a"], "hunter2").code, Some(65));
}

#[test]
fn every_line_is_answered() {
    let (code, answers) = eval_lines(
        br##"{"variables": {"b": "#{a}", "a": "1"}, "template": "#{b}!"}
{"variables": {"L[z]": 1, "L[a]": true, "L[m]": null}, "template": "#{each l in L}#{l}#{/each}#{L[z]}#{L[a]}[#{L[m]}]"}
{"template": "a\u00e9\nb", "variables": {}}"##,
    );
    assert_eq!(code, Some(0));
    let values: Vec<_> = answers.iter().map(|answer| answer["value"].as_str().unwrap()).collect();
    assert_eq!(values, ["1!", "1true1true[]", "a\u{e9}\nb"]);
    assert!(answers.iter().all(|answer| answer["missing"] == json!([]) && answer["error"].is_null()));
}

#[test]
fn a_bad_line_is_answered_and_the_next_one_is_read() {
    let mut input =
        b"hunter2\n\n[]\n{\"variables\": {}}\n{\"variables\": {\"a\": []}, \"template\": \"\"}\n".to_vec();
    input.extend(
        b"{\"variables\": [], \"template\": \"\"}\n{\"variables\": {}, \"template\": \"\", \"x\": 1}\n\xff\n",
    );
    input.extend(vec![b' '; 17 * 1024 * 1024]);
    input.extend(
        b"\n{\"variables\": {}, \"template\": \"#{a}\"}\n{\"variables\": {}, \"template\": \"end\"}\n",
    );
    let (code, answers) = eval_lines(&input);
    assert_eq!(code, Some(65));
    assert_eq!(answers.len(), 11);
    for answer in &answers[..9] {
        assert_eq!(answer["value"], Value::Null);
        let error = answer["error"].as_str().unwrap();
        assert!(error.starts_with("the line is not {\"variables\": {…}, \"template\": \"…\"}: "), "{error}");
        assert!(!error.contains("hunter2"));
    }
    assert_eq!(answers[9], json!({ "value": "#{a}", "missing": ["#{a}"], "error": null }));
    assert_eq!(answers[10]["value"], "end");
}

#[test]
fn an_answer_comes_before_the_next_line() {
    let mut octarm = Command::new(env!("CARGO_BIN_EXE_octarm"))
        .args(["template", "eval", "--jsonl"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = octarm.stdin.take().unwrap();
    let mut stdout = BufReader::new(octarm.stdout.take().unwrap());
    for number in 0..3 {
        writeln!(stdin, "{{\"variables\": {{\"n\": {number}}}, \"template\": \"#{{n}}\"}}").unwrap();
        stdin.flush().unwrap();
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        let answer: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(answer["value"], number.to_string());
    }
    drop(stdin);
    assert!(octarm.wait().unwrap().success());
}
