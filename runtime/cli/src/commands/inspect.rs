//! `wasmill inspect`: what a module says of itself.
//!
//! Owns: how that is shown. Does not know: where in the module it is.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::io::Cursor;
use std::path::Path;

use serde_json::json;
use wasmill_model::Digest;
use wasmill_model::interface::{Interface, JobInterface, Type};

use crate::args::{Global, OutputFormat};
use crate::error::CliError;
use crate::exit_code;
use crate::report::print;
use crate::report::text::{harmless, size};

/// How far a struct or an enum is spelled out.
const DEPTH_SHOWN: usize = 3;

/// `wasmill inspect`.
pub(crate) fn inspect(global: &Global, path: &Path) -> Result<u8, CliError> {
    let shown = path.display();
    let failed = |error: &dyn std::error::Error| {
        CliError::new(exit_code::INPUT, format!("cannot look into the module {shown}")).because(error)
    };
    let bytes = std::fs::read(path).map_err(|error| failed(&error))?;
    let kind = match bytes.get(..8) {
        Some(b"\0asm\x01\0\0\0") => "module",
        Some(b"\0asm\x0d\0\x01\0") => "component",
        _ => {
            return Err(CliError::new(exit_code::INPUT, format!("{shown} is neither a module nor a component")));
        }
    };
    let interface = Interface::find(Cursor::new(&bytes)).map_err(|error| failed(&error))?;
    let digest = Digest::of(&bytes);
    if global.format == OutputFormat::Json {
        let interface = interface.map(|found| json!({ "sdk": found.sdk, "abi": found.abi, "jobs": found.jobs }));
        let said = json!({ "kind": kind, "bytes": bytes.len(), "digest": digest, "interface": interface });
        print(format!("{}\n", escaped(&said.to_string())).as_bytes());
        return Ok(exit_code::SUCCESS);
    }
    let mut text = format!("{kind} of {}, {digest}\n", size(bytes.len() as u64));
    match interface {
        None => text.push_str("it says nothing of itself: a plain WASI program, or none\n"),
        Some(interface) => describe(&interface, &mut text),
    }
    print(text.as_bytes());
    Ok(exit_code::SUCCESS)
}

/// JSON without the control characters that JSON may have as they are: terminals know some of them.
fn escaped(json: &str) -> String {
    let escape = |char: char| match char {
        '\u{7f}'..='\u{9f}' => format!("\\u{:04x}", u32::from(char)),
        char => char.to_string(),
    };
    json.chars().map(escape).collect()
}

/// Writing to a `String` cannot fail. The module chose every name: each line is made harmless by itself.
fn describe(interface: &Interface, text: &mut String) {
    let (sdk, abi) = (&interface.sdk, interface.abi);
    let _ = writeln!(text, "made with version {} of the guest SDK, for version {abi} of the ABI", harmless(sdk));
    let mut known = HashSet::new();
    for job in &interface.jobs {
        let _ = writeln!(text, "\n{}", harmless(&signature(job)));
        if !job.about.is_empty() {
            let _ = writeln!(text, "    {}", harmless(&job.about));
        }
        let types = job.parameters.iter().map(|parameter| &parameter.ty).chain([&job.returns]);
        types.for_each(|ty| parts(ty, 0, &mut known, text));
    }
}

fn signature(job: &JobInterface) -> String {
    let parameters: Vec<_> =
        job.parameters.iter().map(|parameter| format!("{}: {}", parameter.name, parameter.ty)).collect();
    format!("{}({}) -> {}", job.name, parameters.join(", "), job.returns)
}

/// Spells out structs and enums, each once.
fn parts(ty: &Type, depth: usize, known: &mut HashSet<String>, text: &mut String) {
    if depth > DEPTH_SHOWN {
        return;
    }
    let mut below = |inner: &Type| parts(inner, depth, known, text);
    match ty {
        Type::Option { option: inner }
        | Type::Seq { seq: inner }
        | Type::Map { map: inner }
        | Type::Each { each: inner }
        | Type::Plan { plan: inner } => below(inner),
        Type::Tuple { tuple } => tuple.iter().for_each(below),
        Type::Struct { name, fields } | Type::Outputs { name, fields } | Type::Enum { name, variants: fields } => {
            let is_enum = matches!(ty, Type::Enum { .. });
            let shown: Vec<_> = (fields.iter())
                .map(|field| match &field.ty {
                    Type::Leaf(unit) if is_enum && unit == "unit" => field.name.clone(),
                    ty if is_enum => format!("{}({ty})", field.name),
                    ty => format!("{}{}: {ty}", field.name, if field.is_optional { "?" } else { "" }),
                })
                .collect();
            let between = if is_enum { " | " } else { ", " };
            let line = harmless(&format!("    {name} = {{ {} }}", shown.join(between)));
            if known.insert(line.clone()) {
                let _ = writeln!(text, "{line}");
                fields.iter().for_each(|field| parts(&field.ty, depth + 1, known, text));
            }
        }
        _ => {}
    }
}
