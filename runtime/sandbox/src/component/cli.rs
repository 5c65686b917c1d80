//! `wasi:cli`: arguments, environment, the standard streams, and the end of the program.
//!
//! Owns: handing over what the action declares. Does not know: what streams do.

use wasmtime::component::Resource;

use super::bindings::wasi::cli::{
    environment, exit, stderr, stdin, stdout, terminal_input, terminal_output, terminal_stderr, terminal_stdin,
    terminal_stdout,
};
use super::resources::{Input, Output, Terminal};
use crate::instance::{Stop, World};

impl environment::Host for World {
    fn get_environment(&mut self) -> wasmtime::Result<Vec<(String, String)>> {
        let pairs = self.env.iter().map(|text| {
            let text = readable(text);
            let (name, value) = text.split_once('=').unwrap_or((&text, ""));
            (name.to_owned(), value.to_owned())
        });
        Ok(pairs.collect())
    }

    fn get_arguments(&mut self) -> wasmtime::Result<Vec<String>> {
        Ok(self.args.iter().map(|text| readable(text)).collect())
    }

    fn initial_cwd(&mut self) -> wasmtime::Result<Option<String>> {
        Ok(None)
    }
}

/// A text without the NUL that C wants at its end.
fn readable(text: &[u8]) -> String {
    String::from_utf8_lossy(text.strip_suffix(&[0]).unwrap_or(text)).into_owned()
}

impl exit::Host for World {
    fn exit(&mut self, status: Result<(), ()>) -> wasmtime::Result<()> {
        Err(self.stop(Stop::Exit(u32::from(status.is_err()))))
    }

    fn exit_with_code(&mut self, code: u8) -> wasmtime::Result<()> {
        Err(self.stop(Stop::Exit(u32::from(code))))
    }
}

impl stdin::Host for World {
    fn get_stdin(&mut self) -> wasmtime::Result<Resource<Input>> {
        self.hold(Input::Stdin)
    }
}

impl stdout::Host for World {
    fn get_stdout(&mut self) -> wasmtime::Result<Resource<Output>> {
        self.hold(Output::Stdout)
    }
}

impl stderr::Host for World {
    fn get_stderr(&mut self) -> wasmtime::Result<Resource<Output>> {
        self.hold(Output::Stderr)
    }
}

impl terminal_input::Host for World {}

impl terminal_input::HostTerminalInput for World {
    fn drop(&mut self, terminal: Resource<Terminal>) -> wasmtime::Result<()> {
        self.held.remove(terminal).map(drop)
    }
}

impl terminal_output::Host for World {}

impl terminal_output::HostTerminalOutput for World {
    fn drop(&mut self, terminal: Resource<Terminal>) -> wasmtime::Result<()> {
        self.held.remove(terminal).map(drop)
    }
}

impl terminal_stdin::Host for World {
    fn get_terminal_stdin(&mut self) -> wasmtime::Result<Option<Resource<Terminal>>> {
        Ok(None)
    }
}

impl terminal_stdout::Host for World {
    fn get_terminal_stdout(&mut self) -> wasmtime::Result<Option<Resource<Terminal>>> {
        Ok(None)
    }
}

impl terminal_stderr::Host for World {
    fn get_terminal_stderr(&mut self) -> wasmtime::Result<Option<Resource<Terminal>>> {
        Ok(None)
    }
}
