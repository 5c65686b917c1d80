//! The interfaces of `wit/` as Rust.
//!
//! Owns: nothing but what is generated of them, and which type of ours stands for each resource. Does not know: how
//! a call is answered.

wasmtime::component::bindgen!({
    path: "wit",
    world: "wasmill:sandbox/job",
    imports: { default: trappable },
    trappable_error_type: {
        "wasi:filesystem/types.error-code" => crate::component::resources::Refusal,
        "wasi:io/streams.stream-error" => crate::component::resources::Refusal,
    },
    with: {
        "wasi:cli/terminal-input.terminal-input": crate::component::resources::Terminal,
        "wasi:cli/terminal-output.terminal-output": crate::component::resources::Terminal,
        "wasi:filesystem/types.descriptor": crate::component::resources::Descriptor,
        "wasi:filesystem/types.directory-entry-stream": crate::component::resources::Entries,
        "wasi:io/error.error": crate::component::resources::Failed,
        "wasi:io/poll.pollable": crate::component::resources::Pollable,
        "wasi:io/streams.input-stream": crate::component::resources::Input,
        "wasi:io/streams.output-stream": crate::component::resources::Output,
    },
});
