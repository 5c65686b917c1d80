//! The machine that is measured on.
//!
//! Owns: its description, as far as the system tells it. Does not know: what is measured.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::process;

/// One line for each thing worth knowing about the machine and the tools.
pub(super) fn describe(folder: &Path, wasmill: &Path) -> Vec<String> {
    let mut lines = Vec::new();
    let mut add = |what: &str, value: Option<String>| {
        lines.extend(value.filter(|value| !value.is_empty()).map(|value| format!("{what}: {value}")));
    };
    let cores = std::thread::available_parallelism().map_or_else(|_| "?".to_owned(), |cores| cores.to_string());
    let model = field("/proc/cpuinfo", "model name").unwrap_or_else(|| std::env::consts::ARCH.to_owned());
    add("CPU", Some(format!("{model}, {cores} cores")));
    add("Memory", field("/proc/meminfo", "MemTotal").and_then(|total| gibibytes(&total)));
    add("System", first_line("uname", &["-s", "-r", "-m"]));
    let filesystem = process::output(Command::new("df").args(["--output=fstype"]).arg(folder)).ok();
    add("Filesystem", filesystem.and_then(|table| table.lines().last().map(str::to_owned)));
    add("wasmill", first_line(&wasmill.to_string_lossy(), &["--version"]));
    add("make", first_line("make", &["--version"]));
    add("ninja", first_line("ninja", &["--version"]));
    add("rustc", first_line("rustc", &["--version"]));
    lines
}

/// Writes out what the system has only promised to write, where there is a program for it.
pub(super) fn flush_disks() {
    // Without it the measurement is noisier, no more.
    let _ = process::output(&mut Command::new("sync"));
}

fn field(file: &str, name: &str) -> Option<String> {
    let text = fs::read_to_string(file).ok()?;
    let line = text.lines().find(|line| line.starts_with(name))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

fn gibibytes(kib: &str) -> Option<String> {
    let kib: f64 = kib.strip_suffix(" kB")?.trim().parse().ok()?;
    Some(format!("{:.1} GiB", kib / 1024.0 / 1024.0))
}

fn first_line(program: &str, args: &[&str]) -> Option<String> {
    let text = process::output(Command::new(program).args(args)).ok()?;
    text.lines().next().map(str::to_owned)
}
