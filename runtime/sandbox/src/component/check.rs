//! What is wrong with a component.
//!
//! Owns: telling components that cannot be run apart, in words that help. Does not know: how they are compiled.

use wasmill_model::port::ModuleError;
use wasmtime::component::types::ComponentItem;
use wasmtime::component::{Component, InstancePre, Linker};

use crate::engine::{MEMORIES_MAX, TABLE_ELEMENTS_MAX, TABLES_MAX};
use crate::instance::World;
use crate::validate::{NAME_MAX, TEXT_MAX, printable};

/// The interfaces that are offered, in the order of `wit/job.wit`.
pub(super) const OFFERED: [&str; 20] = [
    "wasi:cli/environment",
    "wasi:cli/exit",
    "wasi:cli/stdin",
    "wasi:cli/stdout",
    "wasi:cli/stderr",
    "wasi:cli/terminal-input",
    "wasi:cli/terminal-output",
    "wasi:cli/terminal-stdin",
    "wasi:cli/terminal-stdout",
    "wasi:cli/terminal-stderr",
    "wasi:clocks/monotonic-clock",
    "wasi:clocks/wall-clock",
    "wasi:filesystem/preopens",
    "wasi:filesystem/types",
    "wasi:io/error",
    "wasi:io/poll",
    "wasi:io/streams",
    "wasi:random/insecure",
    "wasi:random/insecure-seed",
    "wasi:random/random",
];

/// What imports by themselves, in no interface, are said to come from; the canonical ABI's word.
const ROOT: &str = "$root";

/// What a program exports.
const RUN: &str = "wasi:cli/run";

/// Most names that a message lists.
const LISTED_MAX: usize = 10;

/// Checks that a component fits into a slot and that what it imports is offered, and links it.
pub(crate) fn check(component: &Component, linker: &Linker<World>) -> Result<InstancePre<World>, ModuleError> {
    check_imports(component)?;
    check_size(component)?;
    linker.instantiate_pre(component).map_err(|error| unfit(component, &error))
}

/// Checks what a pool would refuse by itself: a host that could make no pool must give the same answer.
fn check_size(component: &Component) -> Result<(), ModuleError> {
    // None of a component that imports modules, which were refused before.
    let Some(wanted) = component.resources_required() else { return Ok(()) };
    let too_many = |count: u32, what: &str, most: u32| {
        ModuleError::Invalid(format!("it has {count} {what} in all; at most {most} fit"))
    };
    if wanted.num_memories > MEMORIES_MAX {
        return Err(too_many(wanted.num_memories, "memories", MEMORIES_MAX));
    }
    if wanted.num_tables > TABLES_MAX {
        return Err(too_many(wanted.num_tables, "tables", TABLES_MAX));
    }
    match wanted.max_initial_table_size {
        Some(elements) if elements > TABLE_ELEMENTS_MAX as u64 => Err(ModuleError::Invalid(format!(
            "it has a table of {elements} elements; at most {TABLE_ELEMENTS_MAX} fit"
        ))),
        _ => Ok(()),
    }
}

/// Checks that every interface that is imported is offered, by its name.
fn check_imports(component: &Component) -> Result<(), ModuleError> {
    let ty = component.component_type();
    for (import, item) in ty.imports(component.engine()) {
        let refused = |name: &str, wrong: String| {
            let (module, name) = (printable(import, NAME_MAX), printable(name, NAME_MAX));
            Err(ModuleError::Import { module, name, wrong })
        };
        match item.ty {
            // An equality of types, or an abstract one that is never made.
            ComponentItem::Type(_) => {}
            ComponentItem::ComponentInstance(interface) => {
                // An interface of plain types asks for nothing.
                let used = interface.exports(component.engine()).find(|(_, item)| !is_plain_type(&item.ty));
                if let (Some((used, _)), Some(wrong)) = (used, not_offered(import)) {
                    return refused(used, wrong);
                }
            }
            _ => {
                let (module, name) = (ROOT.to_owned(), printable(import, NAME_MAX));
                let wrong = format!("which is not offered; {ONLY}");
                return Err(ModuleError::Import { module, name, wrong });
            }
        }
    }
    Ok(())
}

const ONLY: &str =
    "a component may import the interfaces of `wasi:cli/command` 0.2 without its sockets, and nothing else";

fn is_plain_type(item: &ComponentItem) -> bool {
    matches!(item, ComponentItem::Type(_))
}

/// Why an interface is not offered, if it is not.
fn not_offered(import: &str) -> Option<String> {
    let (interface, version) = import.split_once('@').unwrap_or((import, ""));
    if OFFERED.contains(&interface) {
        let patch = version.strip_prefix("0.2.");
        let is_offered = patch.is_some_and(|patch| patch.bytes().all(|byte| byte.is_ascii_digit()));
        return (!is_offered).then(|| "which is offered as of WASI 0.2 only".to_owned());
    }
    Some(match interface.split_once('/') {
        Some(("wasi:sockets" | "wasi:http", _)) => "which is not offered: a job has no network".to_owned(),
        _ => format!("which is not offered; {ONLY}"),
    })
}

/// Which import was refused although its interface is offered: a function that is not in it, or of another type.
fn unfit(component: &Component, error: &wasmtime::Error) -> ModuleError {
    let (text, cause) = (format!("{error:#}"), format!("{}", error.root_cause()));
    let is_named = |name: &str| text.contains(&format!("`{name}`"));
    let ty = component.component_type();
    let mut module = ROOT.to_owned();
    let mut name = String::new();
    for (import, item) in ty.imports(component.engine()).filter(|(import, _)| is_named(import)) {
        module = printable(import, NAME_MAX);
        if let ComponentItem::ComponentInstance(interface) = item.ty {
            let found = interface.exports(component.engine()).find(|(export, _)| is_named(export));
            name = found.map(|(export, _)| printable(export, NAME_MAX)).unwrap_or_default();
        }
    }
    ModuleError::Import {
        module,
        name,
        wrong: format!("which is not offered like that: {}", printable(&cause, TEXT_MAX)),
    }
}

/// Why there is nothing to run.
pub(super) fn no_run(component: &Component, error: &wasmtime::Error) -> ModuleError {
    let ty = component.component_type();
    let exports: Vec<&str> = ty.exports(component.engine()).map(|(name, _)| name).collect();
    let runs = |name: &&&str| name.split('@').next() == Some(RUN);
    ModuleError::NoRun(match exports.iter().find(runs) {
        Some(run) if not_02(run) => format!("it exports `{}`; that of WASI 0.2 is run", printable(run, NAME_MAX)),
        Some(_) => printable(&format!("{error:#}"), TEXT_MAX),
        None if exports.is_empty() => "it exports nothing at all".to_owned(),
        None => {
            let shown: Vec<String> = exports.iter().take(LISTED_MAX).map(|name| printable(name, NAME_MAX)).collect();
            format!("it exports `{}`; build it as a program", shown.join("`, `"))
        }
    })
}

fn not_02(export: &str) -> bool {
    !export.split_once('@').is_some_and(|(_, version)| version.starts_with("0.2."))
}
