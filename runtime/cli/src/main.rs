//! The `wasmill` program.
//!
//! Owns: nothing but the way in. Does not know: anything; `app` does.

mod app;
mod args;
mod commands;
mod error;
mod exit_code;
mod mill;
mod plan_file;
mod plan_report;
mod report;

fn main() -> std::process::ExitCode {
    app::main()
}
