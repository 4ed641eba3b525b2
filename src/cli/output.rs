//! The only place that prints: text for people, JSON for programs, colour only on a terminal.

use std::{
    borrow::Cow,
    error::Error,
    io::{self, IsTerminal, Write},
    path::Path,
    sync::OnceLock,
};

use serde_json::{Value, json};

use super::CliError;
use crate::{
    config::Environment,
    exit::Exit,
    model::{Level, LogLine, causes},
    store::is_deceptive,
};

/// For whom to print.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Audience {
    /// A person who wants what matters.
    Person,
    /// A person who wants everything.
    Curious,
    /// A program.
    Program,
}

/// Where and how to print.
#[derive(Debug, Clone, Copy)]
pub struct Output {
    audience: Audience,
    has_terminal: bool,
    colour: bool,
    stderr_colour: bool,
}

impl Output {
    /// JSON or text; colour where a terminal is and `NO_COLOR` is not set.
    pub fn new(json: bool, verbose: bool, environment: &Environment) -> Self {
        let wanted = environment.get("NO_COLOR").is_none_or(str::is_empty);
        Self {
            audience: match (json, verbose) {
                (true, _) => Audience::Program,
                (false, true) => Audience::Curious,
                (false, false) => Audience::Person,
            },
            has_terminal: io::stdout().is_terminal(),
            colour: wanted && io::stdout().is_terminal(),
            stderr_colour: wanted && io::stderr().is_terminal(),
        }
    }

    /// Whether JSON is asked for.
    pub fn is_json(self) -> bool {
        self.audience == Audience::Program
    }

    /// Whether a person wants everything.
    pub fn is_verbose(self) -> bool {
        self.audience == Audience::Curious
    }

    /// Whether a person looks at standard error.
    pub fn is_interactive(self) -> bool {
        !self.is_json() && io::stderr().is_terminal()
    }

    /// Whether a person looks at standard output.
    pub fn has_terminal(self) -> bool {
        !self.is_json() && self.has_terminal
    }

    /// Whether to colour standard error.
    pub fn has_stderr_colour(self) -> bool {
        self.stderr_colour
    }

    /// A result: the text for people, or the value for programs.
    pub fn result(self, text: impl AsRef<str>, value: &Value) {
        if self.is_json() { print(&format!("{value:#}")) } else { print(&printable(text.as_ref())) }
    }

    /// A line for people only.
    pub fn say(self, text: impl AsRef<str>) {
        if !self.is_json() {
            print(&printable(text.as_ref()));
        }
    }

    /// A line of a log that was made by [`Self::log_text`], for people only.
    pub fn say_log(self, text: &str) {
        print(text);
    }

    /// A whole document of a format of its own, whoever reads it.
    pub fn whole(self, text: &str) {
        print(text.trim_end());
    }

    /// Refuses to write what no terminal can show.
    pub fn refuse_terminal(self, what: &'static str) -> Result<(), CliError> {
        if io::stdout().is_terminal() { Err(CliError::Terminal { what }) } else { Ok(()) }
    }

    /// The bytes of a file, all of them.
    pub fn stream(self, file: &Path) -> Result<(), CliError> {
        let failed = |source| CliError::Io { act: "writing to standard output".to_owned(), source };
        let mut file = fs_err::File::open(file).map_err(failed)?;
        let mut stdout = io::stdout().lock();
        io::copy(&mut file, &mut stdout).and_then(|_| stdout.flush()).map_err(failed)
    }

    /// A question, to standard error; the answer is typed behind it.
    pub fn ask(self, question: &str) {
        let mut stderr = io::stderr().lock();
        // Nobody is left to ask when standard error is gone.
        let _ = stderr.write_all(printable(question).as_bytes()).and_then(|()| stderr.flush());
    }

    /// The same, to standard error: standard output holds what was asked for.
    pub fn result_beside(self, text: &str, value: &Value) {
        if self.is_json() { tell(&value.to_string()) } else { tell(&printable(text)) }
    }

    /// A line beside the result, to standard error; for programs an object on a line of its own.
    pub fn aside(self, text: &str) {
        self.result_beside(text, &json!({ "note": text }));
    }

    /// Whether a line is for whoever reads this: verbose ones only when asked for.
    pub fn wants(self, line: &LogLine) -> bool {
        self.audience != Audience::Person || line.level != Level::Verbose
    }

    /// A line of a deployment's log, with a label before it where there is more than one. With `--json`, the
    /// stored object.
    pub fn log_line(self, label: &str, line: &LogLine) {
        if !self.wants(line) {
            return;
        }
        if self.is_json() {
            print(&serde_json::to_string(line).unwrap_or_default());
        } else {
            print(&self.log_text(label, line));
        }
    }

    /// The same beside the result, to standard error.
    pub fn log_aside(self, line: &LogLine) {
        tell(&if self.is_json() {
            serde_json::to_string(line).unwrap_or_default()
        } else {
            self.log_text("", line)
        });
    }

    /// The same as text.
    pub fn log_text(self, label: &str, line: &LogLine) -> String {
        let time = line.time.strftime("%H:%M:%S");
        let (word, colour) = match line.level {
            Level::Verbose => ("verbose", "2"),
            Level::Info => ("info   ", ""),
            Level::Warning => ("warning", "33"),
            Level::Error => ("error  ", "31"),
        };
        let label = if label.is_empty() { String::new() } else { format!("[{label}] ") };
        let text = format!("{time} {label}{word} {}", printable(&line.text));
        if self.colour && !colour.is_empty() { format!("\x1b[{colour}m{text}\x1b[0m") } else { text }
    }

    /// An error, its causes and what to do about it, to standard error.
    pub fn error(self, error: &(dyn Error + 'static), hint: Option<&str>, exit: Exit) {
        let mut texts = causes(error).into_iter();
        let message = texts.next().unwrap_or_default();
        let causes: Vec<String> = texts.collect();
        let text = if self.is_json() {
            let body =
                json!({ "message": message, "causes": causes, "hint": hint, "exit_code": exit.code() });
            json!({ "error": body }).to_string()
        } else {
            let (red, end) = if self.stderr_colour { ("\x1b[1;31m", "\x1b[0m") } else { ("", "") };
            let mut text = format!("{red}error:{end} {}", printable(&message));
            for cause in causes {
                text.push_str("\n  because: ");
                text.push_str(&printable(&cause));
            }
            if let Some(hint) = hint {
                text.push_str("\n  hint: ");
                text.push_str(&printable(hint));
            }
            text
        };
        tell(&text);
    }
}

/// To standard error, as it is.
fn tell(text: &str) {
    // Nobody is left to tell that standard error is gone.
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// Why standard output could not be written, once it could not.
static UNWRITTEN: OnceLock<io::Error> = OnceLock::new();

/// Why something that should have been printed was not.
pub fn unwritten() -> Option<&'static io::Error> {
    UNWRITTEN.get()
}

fn print(text: &str) {
    let mut stdout = io::stdout().lock();
    match writeln!(stdout, "{text}").and_then(|()| stdout.flush()) {
        // A reader that has gone (`| head`) wants no more: that is no error.
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            let _ = UNWRITTEN.set(error);
        }
        _ => {}
    }
}

/// The text without what could command a terminal: other people's names and logs come this way.
fn printable(text: &str) -> Cow<'_, str> {
    let is_command = |c: char| is_deceptive(c) && c != '\n' && c != '\t';
    if !text.contains(is_command) {
        return Cow::Borrowed(text);
    }
    let escape = |c: char| if is_command(c) { c.escape_default().to_string() } else { c.to_string() };
    Cow::Owned(text.chars().map(escape).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_commands_a_terminal_is_shown_not_sent() {
        assert_eq!(printable("plain ünï\n\ttext"), "plain ünï\n\ttext");
        assert_eq!(printable("\u{1b}]0;pwn\u{7}\u{202e}x"), "\\u{1b}]0;pwn\\u{7}\\u{202e}x");
    }
}
