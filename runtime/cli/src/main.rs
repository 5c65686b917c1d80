//! The `wasmill` program: hands over to `app`. Owns: the list of modules. Does not know: what is in them.

mod app;
mod args;
mod commands;
mod error;
mod exit_code;
mod mill;
mod plan_file;
mod project;
mod recorded;
mod report;
mod settings;

fn main() -> std::process::ExitCode {
    app::main()
}
