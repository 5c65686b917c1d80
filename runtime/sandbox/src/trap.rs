//! From wasmtime's errors to outcomes.
//!
//! Owns: which trap is which, and readable backtraces. Does not know: limits, or why a guest was interrupted.

use wasmill_model::{Frame, SourceLine, TrapKind};
use wasmtime::{FrameSymbol, Trap, WasmBacktrace};

use crate::component::Misuse;
use crate::validate::printable;

/// Longest function name in a backtrace; generic Rust code has names of kilobytes.
const NAME_MAX: usize = 200;

/// How a call into a guest went wrong.
pub(crate) enum Failure {
    OutOfFuel,
    StackOverflow,
    Interrupted,
    Trapped(TrapKind),
    /// Not the guest's doing.
    Host,
}

pub(crate) fn classify(error: &wasmtime::Error) -> Failure {
    let Some(trap) = error.downcast_ref::<Trap>() else {
        return if error.is::<Misuse>() { Failure::Trapped(TrapKind::WasiMisuse) } else { Failure::Host };
    };
    Failure::Trapped(match trap {
        Trap::OutOfFuel => return Failure::OutOfFuel,
        Trap::StackOverflow => return Failure::StackOverflow,
        Trap::Interrupt => return Failure::Interrupted,
        Trap::UnreachableCodeReached => TrapKind::Unreachable,
        Trap::MemoryOutOfBounds => TrapKind::MemoryOutOfBounds,
        Trap::TableOutOfBounds => TrapKind::TableOutOfBounds,
        Trap::IndirectCallToNull => TrapKind::IndirectCallToNull,
        Trap::BadSignature => TrapKind::BadSignature,
        Trap::IntegerOverflow => TrapKind::IntegerOverflow,
        Trap::IntegerDivisionByZero => TrapKind::DivisionByZero,
        Trap::BadConversionToInteger => TrapKind::BadConversionToInteger,
        Trap::HeapMisaligned => TrapKind::HeapMisaligned,
        _ => TrapKind::Other,
    })
}

/// The guest's call stack, innermost frame first.
pub(crate) fn backtrace(error: &wasmtime::Error) -> Vec<Frame> {
    let Some(backtrace) = error.downcast_ref::<WasmBacktrace>() else { return Vec::new() };
    let frames = backtrace.frames().iter();
    frames
        .map(|frame| Frame {
            function: match frame.func_name() {
                Some(name) => readable(name),
                None => format!("func[{}]", frame.func_index()),
            },
            // Not that in the module: a snapshot has its functions elsewhere than the module that it was made of.
            offset: frame.func_offset().and_then(|offset| u32::try_from(offset).ok()),
            line: frame.symbols().first().and_then(line),
        })
        .collect()
}

/// The innermost line: of calls that the compiler merged into their caller, the one that was being executed.
fn line(symbol: &FrameSymbol) -> Option<SourceLine> {
    let (file, line) = (symbol.file()?, symbol.line()?);
    Some(SourceLine { file: printable(file, NAME_MAX), line })
}

fn readable(name: &str) -> String {
    // The alternate form leaves the hash at the end out.
    let name = format!("{:#}", rustc_demangle::demangle(name));
    printable(&name, NAME_MAX)
}
