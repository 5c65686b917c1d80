//! What is wrong with a module.
//!
//! Owns: telling bad modules apart, in words that help. Does not know: how modules are compiled or run.

use wasmill_model::port::ModuleError;
use wasmparser::{Parser, Payload};
use wasmtime::{Engine, ExternType, Linker, Module, ModuleExport};

use crate::engine::{TABLE_ELEMENTS_MAX, TABLES_MAX};
use crate::instance::World;
use crate::prepare;
use crate::wasi;

/// Longest text of the compiler that is passed on.
pub(crate) const TEXT_MAX: usize = 600;

/// Longest name of the module's that is passed on.
pub(crate) const NAME_MAX: usize = 100;

/// Largest module: five times `CPython` with its standard library in it.
const MODULE_BYTES_MAX: u64 = 128 << 20;

/// Most functions; `CPython` has 12 thousand, large programs in Go 30 thousand.
const FUNCTIONS_MAX: u64 = 200_000;

/// Most bytes of one function; the largest of `CPython`, its interpreter's loop, has 100 KB.
const FUNCTION_BYTES_MAX: u64 = 2 << 20;

/// Most data or element segments.
const SEGMENTS_MAX: u64 = 100_000;

/// Most edits between a name and the one that was probably meant.
const EDITS_MAX: usize = 3;

/// What a header says that the bytes are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Layer {
    Module,
    Component,
}

/// Checks that the bytes claim to be a core module or a component.
pub(crate) fn check_header(wasm: &[u8]) -> Result<Layer, ModuleError> {
    if !wasm.starts_with(b"\0asm") {
        let start: String = wasm.iter().take(8).map(|byte| format!("{byte:02x} ")).collect();
        let start = if wasm.is_empty() { "nothing: it is empty".to_owned() } else { start.trim_end().to_owned() };
        return Err(ModuleError::NotWasm(start));
    }
    match wasm.get(4..8) {
        Some([1, 0, 0, 0]) => Ok(Layer::Module),
        Some([0x0d, 0, 1, 0]) => Ok(Layer::Component),
        Some(version) => Err(ModuleError::Invalid(format!("unknown version {version:02x?}"))),
        None => Err(ModuleError::Invalid("it ends within its header".to_owned())),
    }
}

/// What the compiler says of an invalid module.
pub(crate) fn compiler_text(error: &wasmtime::Error) -> String {
    printable(&format!("{error:#}"), TEXT_MAX)
}

/// Checks what can be told without reading functions, so that a module that is far too large is refused at once, in
/// words of its own. What a compilation costs beyond that is watched while it goes on.
pub(crate) fn check_bounds(wasm: &[u8]) -> Result<(), ModuleError> {
    let bound = |what: &'static str, found: u64, most: u64| {
        if found <= most { Ok(()) } else { Err(ModuleError::TooLarge { what, found, most }) }
    };
    bound("bytes", wasm.len() as u64, MODULE_BYTES_MAX)?;
    let mut functions = 0;
    for payload in Parser::new(0).parse_all(wasm) {
        let payload = payload.map_err(|error| {
            ModuleError::Invalid(printable(&format!("{error} (at {:#x})", error.offset()), TEXT_MAX))
        })?;
        match payload {
            Payload::CodeSectionStart { count, .. } => {
                functions += u64::from(count);
                bound("functions", functions, FUNCTIONS_MAX)?;
            }
            Payload::CodeSectionEntry(body) => {
                bound("bytes in one function", body.range().len() as u64, FUNCTION_BYTES_MAX)?;
            }
            Payload::DataSection(section) => bound("data segments", u64::from(section.count()), SEGMENTS_MAX)?,
            Payload::ElementSection(section) => bound("element segments", u64::from(section.count()), SEGMENTS_MAX)?,
            _ => {}
        }
    }
    Ok(())
}

/// Text out of a module, cut short and without what a terminal would obey.
pub(crate) fn printable(text: &str, chars_max: usize) -> String {
    text.chars().take(chars_max).map(|char| if char.is_control() { '\u{fffd}' } else { char }).collect()
}

/// Checks that the module's tables fit into a slot. A pool refuses others by itself; a host that could make no pool
/// must give the same answer.
pub(crate) fn check_tables(module: &Module) -> Result<(), ModuleError> {
    let wanted = module.resources_required();
    if wanted.num_tables > TABLES_MAX {
        return Err(ModuleError::Invalid(format!("it has {} tables; at most {TABLES_MAX} fit", wanted.num_tables)));
    }
    match wanted.max_initial_table_size {
        Some(elements) if elements > TABLE_ELEMENTS_MAX as u64 => Err(ModuleError::Invalid(format!(
            "it has a table of {elements} elements; at most {TABLE_ELEMENTS_MAX} fit"
        ))),
        _ => Ok(()),
    }
}

/// Checks that everything that the module imports is offered, with the same type.
pub(crate) fn check_imports(module: &Module, linker: &Linker<World>, engine: &Engine) -> Result<(), ModuleError> {
    let mut store = wasmtime::Store::new(engine, World::nobody());
    for import in module.imports() {
        let wrong = match linker.get(&mut store, import.module(), import.name()) {
            Ok(offered) => match (import.ty(), offered.ty(&store)) {
                (ExternType::Func(wanted), ExternType::Func(offered)) if wanted.matches(&offered) => continue,
                (ExternType::Func(wanted), ExternType::Func(offered)) => {
                    format!("as a function of type {}; it is one of {}", show(&wanted), show(&offered))
                }
                _ => "which is a function and nothing else".to_owned(),
            },
            Err(_) => missing(&mut store, linker, import.module(), import.name()),
        };
        let (module, name) = (printable(import.module(), NAME_MAX), printable(import.name(), NAME_MAX));
        return Err(ModuleError::Import { module, name, wrong });
    }
    Ok(())
}

fn show(function: &wasmtime::FuncType) -> String {
    let list = |types: &mut dyn Iterator<Item = wasmtime::ValType>| {
        types.map(|one| one.to_string()).collect::<Vec<_>>().join(", ")
    };
    format!("({}) -> ({})", list(&mut function.params()), list(&mut function.results()))
}

fn missing(store: &mut wasmtime::Store<World>, linker: &Linker<World>, module: &str, name: &str) -> String {
    if module != wasi::MODULE {
        return format!("which is not offered; a module may import from `{}` (WASI preview 1) only", wasi::MODULE);
    }
    let mut offered: Vec<String> =
        linker.iter(store).filter(|(from, _, _)| *from == wasi::MODULE).map(|(_, name, _)| name.to_owned()).collect();
    offered.sort_unstable();
    let nearest = offered.iter().map(|candidate| (strsim::damerau_levenshtein(candidate, name), candidate)).min();
    match nearest {
        Some((edits, nearest)) if edits <= EDITS_MAX => {
            format!("which is no function of WASI preview 1; did you mean `{nearest}`?")
        }
        _ => format!("which is no function of WASI preview 1; offered are {}", offered.join(", ")),
    }
}

/// The function that runs the program. Of a reactor that initialises itself it is the one to go on with.
pub(crate) fn find_start(module: &Module) -> Result<ModuleExport, ModuleError> {
    let functions: Vec<&str> =
        module.exports().filter(|export| export.ty().func().is_some()).map(|export| export.name()).collect();
    let is_start = |ty: &ExternType| ty.func().is_some_and(|ty| ty.params().len() == 0 && ty.results().len() == 0);
    match (module.get_export("_start"), module.get_export_index("_start")) {
        (Some(ty), Some(index)) if is_start(&ty) => Ok(index),
        (Some(_), _) => {
            Err(ModuleError::NoStart("its `_start` takes or returns something, or is no function".to_owned()))
        }
        (None, _) if functions.contains(&prepare::INITIALISER) && functions.contains(&prepare::RESUME) => {
            let index =
                module.get_export(prepare::RESUME).filter(is_start).and(module.get_export_index(prepare::RESUME));
            let wrong = || ModuleError::NoStart(format!("its `{}` takes or returns something", prepare::RESUME));
            index.ok_or_else(wrong)
        }
        // Once it is initialised it has no `_initialize` any more.
        (None, _) if functions.contains(&"_initialize") || functions.contains(&prepare::INITIALISER) => {
            let wrong = format!(
                "it is a library, to be initialised and called; build it as a program, or export `{}` and `{}`",
                prepare::INITIALISER,
                prepare::RESUME
            );
            Err(ModuleError::NoStart(wrong))
        }
        (None, _) if functions.is_empty() => Err(ModuleError::NoStart("it exports no function at all".to_owned())),
        (None, _) => {
            let shown: Vec<String> = functions.iter().take(10).map(|name| printable(name, NAME_MAX)).collect();
            let shown = shown.join("`, `");
            Err(ModuleError::NoStart(format!("it exports `{shown}`; build it as a program")))
        }
    }
}
