//! Compiling in a process of its own.
//!
//! Owns: what is said between the two processes, and that the child ends when it has used up what it may. Does not
//! know: where machine code is kept, or what a module is for.
//!
//! Cranelift cannot be interrupted, and some modules of a few kilobytes keep it busy for minutes or ask for
//! gigabytes. A process can be ended at any time, and takes with it what it held. The same program serves as the
//! child: it is started again with arguments that only [`serve`] understands.

use std::ffi::OsString;
use std::io::{Read as _, Write as _};
use std::path::PathBuf;
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

use wasmill_model::port::{Cancel, ModuleError, RunnerError};

use crate::engine::{self, EngineKind, host};
use crate::platform;
use crate::{prepare, validate};

/// The first argument of a child.
const ARGUMENT: &str = "--wasmill-compile";

/// How the child ended; its standard output has machine code, or what is wrong with the module.
const CODE: u8 = 0;
const BAD_MODULE: u8 = 81;
const TOO_MUCH_MEMORY: u8 = 82;
const TOO_MUCH_TIME: u8 = 83;
const FAILED: u8 = 84;

/// How often the child looks at what it has used, and the parent whether it is still to go on.
const LOOK: Duration = Duration::from_millis(10);

/// A child that gets no CPU time does not use any up; after this many times its CPU time by the wall clock it is
/// ended all the same.
const WALL_FACTOR: u32 = 4;

/// Who turns modules into machine code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Compiler {
    /// This process. A hostile module can keep a thread busy for minutes and take all memory.
    Here,
    /// A child process for each module: this program, which must call [`serve`] before anything else.
    Child {
        /// The program.
        program: PathBuf,
        /// What one module may cost.
        limits: CompileLimits,
    },
}

/// What compiling one module may cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CompileLimits {
    /// Most resident memory, in bytes.
    pub memory_bytes: u64,
    /// Most CPU time of all threads together.
    pub cpu_time: Duration,
}

impl CompileLimits {
    /// How long compiling a module may take by the wall clock, where the machine has other things to do.
    pub fn wall_time(&self) -> Duration {
        self.cpu_time.saturating_mul(WALL_FACTOR)
    }
}

impl Default for CompileLimits {
    /// 2 GiB and two minutes: several times what the largest real programs (`CPython`: 26 MB) need, in a build
    /// without optimisations too.
    fn default() -> Self {
        Self { memory_bytes: 2 << 30, cpu_time: Duration::from_secs(120) }
    }
}

/// What a child is to do.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Order {
    pub(super) kind: EngineKind,
    /// Whether a module with an initialiser is initialised first.
    pub(super) with_snapshot: bool,
    pub(super) limits: CompileLimits,
}

/// Why there is no machine code.
pub(crate) enum CompileError {
    Module(ModuleError),
    Runner(RunnerError),
    Cancelled,
}

impl From<RunnerError> for CompileError {
    fn from(error: RunnerError) -> Self {
        CompileError::Runner(error)
    }
}

/// Compiles in a child and returns the serialised machine code.
pub(crate) fn compile(program: &PathBuf, order: Order, wasm: &[u8], cancel: &Cancel) -> Result<Vec<u8>, CompileError> {
    let limits = order.limits;
    let in_child = |error: std::io::Error| host("compile a module in a process of its own", error);
    let mut command = Command::new(program);
    command.arg(ARGUMENT).args(encode(order));
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    platform::keep_from_interrupts(&mut command);
    let mut child = command.spawn().map_err(in_child)?;
    let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
    let (Some(mut stdin), Some(mut stdout)) = (stdin, stdout) else {
        end(&mut child);
        return Err(in_child(std::io::Error::other("it has no pipes")).into());
    };
    std::thread::scope(|scope| {
        // Each pipe has a thread: either could be full while the other is waited for. A child that ended early
        // closes its end, which is no error here: its exit code says why.
        scope.spawn(move || drop(stdin.write_all(wasm)));
        let (closes, closed) = mpsc::channel::<()>();
        let reader = scope.spawn(move || {
            let _closes = closes;
            let mut answer = Vec::new();
            stdout.read_to_end(&mut answer).map(|_| answer)
        });
        let deadline = Instant::now() + limits.wall_time();
        let status = loop {
            if let Some(status) = child.try_wait().map_err(in_child)? {
                break status;
            }
            if cancel.is_cancelled() {
                end(&mut child);
                return Err(CompileError::Cancelled);
            }
            if Instant::now() >= deadline {
                end(&mut child);
                return Err(CompileError::Module(too_much_time(limits)));
            }
            if closed.recv_timeout(LOOK) == Err(RecvTimeoutError::Disconnected) {
                // Its output is closed: it is about to end.
                std::thread::yield_now();
            }
        };
        let answer = match reader.join() {
            Ok(answer) => answer.map_err(in_child)?,
            Err(_) => return Err(in_child(std::io::Error::other("reading its answer panicked")).into()),
        };
        let text = || String::from_utf8_lossy(&answer).into_owned();
        match status.code().and_then(|code| u8::try_from(code).ok()) {
            Some(CODE) => Ok(answer),
            Some(BAD_MODULE) => Err(CompileError::Module(ModuleError::Invalid(text()))),
            Some(TOO_MUCH_MEMORY) => Err(CompileError::Module(ModuleError::CompileMemory(limits.memory_bytes))),
            Some(TOO_MUCH_TIME) => Err(CompileError::Module(too_much_time(limits))),
            Some(FAILED) => Err(in_child(std::io::Error::other(text())).into()),
            // The system ended it for the memory it took, or a module got the compiler to crash.
            _ => Err(CompileError::Module(ModuleError::CompilerDied(status.to_string()))),
        }
    })
}

fn too_much_time(limits: CompileLimits) -> ModuleError {
    ModuleError::CompileTime(u64::try_from(limits.cpu_time.as_millis()).unwrap_or(u64::MAX))
}

fn end(child: &mut Child) {
    // It may have ended by itself in the meantime.
    let _ = child.kill();
    let _ = child.wait();
}

fn encode(order: Order) -> [OsString; 4] {
    let Order { kind, with_snapshot, limits } = order;
    let millis = limits.cpu_time.as_millis().to_string();
    [kind.name(), with_snapshot.to_string(), limits.memory_bytes.to_string(), millis].map(OsString::from)
}

fn decode(mut args: impl Iterator<Item = OsString>) -> Option<Order> {
    let mut next = || args.next().and_then(|arg| arg.into_string().ok());
    let kind = EngineKind::named(&next()?)?;
    let with_snapshot = next()?.parse().ok()?;
    let memory_bytes = next()?.parse().ok()?;
    let cpu_time = Duration::from_millis(next()?.parse().ok()?);
    Some(Order { kind, with_snapshot, limits: CompileLimits { memory_bytes, cpu_time } })
}

/// Does the work of a child process, if this process is one; to be called first of all by a program that is named in
/// [`Compiler::Child`]. Returns the code to exit with.
pub fn serve() -> Option<ExitCode> {
    let mut args = std::env::args_os().skip(1);
    if args.next()? != ARGUMENT {
        return None;
    }
    let Some(Order { kind, with_snapshot, limits }) = decode(args) else {
        return Some(answer(FAILED, b"its arguments are not understood: another version of the program?"));
    };
    let watched = std::thread::Builder::new().name("watch".to_owned()).spawn(move || watch(limits));
    if let Err(error) = watched {
        return Some(answer(FAILED, error.to_string().as_bytes()));
    }
    let mut wasm = Vec::new();
    if let Err(error) = std::io::stdin().lock().read_to_end(&mut wasm) {
        return Some(answer(FAILED, error.to_string().as_bytes()));
    }
    let layer = match validate::check_header(&wasm) {
        Ok(layer) => layer,
        Err(wrong) => return Some(answer(BAD_MODULE, wrong.to_string().as_bytes())),
    };
    Some(match engine::compiling(kind) {
        Err(error) => answer(FAILED, format!("{error:#}").as_bytes()),
        Ok(engine) => match prepare::machine_code(&engine, layer, &wasm, with_snapshot) {
            Ok(code) => answer(CODE, &code),
            Err(wrong) => answer(BAD_MODULE, wrong.as_bytes()),
        },
    })
}

fn answer(code: u8, bytes: &[u8]) -> ExitCode {
    let mut stdout = std::io::stdout().lock();
    match stdout.write_all(bytes).and_then(|()| stdout.flush()) {
        Ok(()) => ExitCode::from(code),
        Err(_) => ExitCode::from(FAILED),
    }
}

/// Ends this process when it has used up what it may. Looking is portable, where limits of the system's are not; in
/// the time between two looks the compiler can take some ten megabytes at most.
fn watch(limits: CompileLimits) {
    let cpu_limit_ns = u64::try_from(limits.cpu_time.as_nanos()).unwrap_or(u64::MAX);
    loop {
        std::thread::sleep(LOOK);
        let used = memory_stats::memory_stats().map_or(0, |stats| stats.physical_mem as u64);
        if used > limits.memory_bytes {
            std::process::exit(i32::from(TOO_MUCH_MEMORY));
        }
        if platform::process_cpu_ns() > cpu_limit_ns {
            std::process::exit(i32::from(TOO_MUCH_TIME));
        }
    }
}
