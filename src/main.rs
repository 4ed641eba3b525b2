//! The `octarm` executable: parses, runs, shows at most one error, chooses the exit code.

use std::process::ExitCode;

use clap::Parser;
use octarm::{
    cli::{Cli, unwritten, without_secrets},
    config::Environment,
    exit::Exit,
};

fn main() -> ExitCode {
    let environment = Environment::of_process();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let error = without_secrets(error);
            // Help and version come this way too; what cannot be printed is nobody's to hear.
            let _ = error.print();
            return if error.use_stderr() { Exit::Usage.into() } else { Exit::Done.into() };
        }
    };
    let output = cli.output(&environment);
    let mut runtime = if cli.is_local() {
        tokio::runtime::Builder::new_current_thread()
    } else {
        tokio::runtime::Builder::new_multi_thread()
    };
    let runtime = match runtime.enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            output.error(&error, None, Exit::Io);
            return Exit::Io.into();
        }
    };
    match runtime.block_on(cli.run(&environment, output)) {
        // Success without its output is none: a script would read half of it.
        Ok(Exit::Done) if let Some(error) = unwritten() => {
            output.error(error, None, Exit::Io);
            Exit::Io.into()
        }
        Ok(exit) => exit.into(),
        Err(error) => {
            output.error(&error, error.hint().as_deref(), error.exit());
            error.exit().into()
        }
    }
}
