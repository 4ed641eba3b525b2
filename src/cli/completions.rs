//! `octarm completions`: from the same definitions as the commands themselves.

use clap::{Args, CommandFactory as _};
use clap_complete::Shell;

use super::{Cli, Output};
use crate::exit::Exit;

pub(super) const EXAMPLES: &str = "Where shells look for it:
  octarm completions bash > ~/.local/share/bash-completion/completions/octarm
  octarm completions zsh  > ~/.zfunc/_octarm          # with ~/.zfunc in fpath
  octarm completions fish > ~/.config/fish/completions/octarm.fish";

#[derive(Debug, Args)]
pub(super) struct CompletionsArgs {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

pub(super) fn run(args: &CompletionsArgs, output: Output) -> Exit {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "octarm", &mut script);
    output.whole(&String::from_utf8_lossy(&script));
    Exit::Done
}
