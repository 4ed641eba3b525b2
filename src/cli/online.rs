//! Groups of commands that speak with a server: how to reach it may be said anywhere behind the group's name.

use clap::{ArgMatches, Args, Command, Error, FromArgMatches, Subcommand};

use super::connection::ServerArgs;

/// A group of commands with the options that say which server.
#[derive(Debug)]
pub(super) struct Online<T> {
    pub(super) server: ServerArgs,
    pub(super) command: T,
}

impl<T: Subcommand> Args for Online<T> {
    fn augment_args(command: Command) -> Command {
        // Laid out only when it is asked for: nobody runs more than one group at a time.
        command.defer(|command| {
            let command = ServerArgs::augment_args(command);
            T::augment_subcommands(command).subcommand_required(true).arg_required_else_help(true)
        })
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl<T: FromArgMatches> FromArgMatches for Online<T> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        Ok(Self { server: ServerArgs::from_arg_matches(matches)?, command: T::from_arg_matches(matches)? })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        self.server.update_from_arg_matches(matches)?;
        self.command.update_from_arg_matches(matches)
    }
}
