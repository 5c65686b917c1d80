//! Does in its initialiser what must not be done there: looks at its environment, where there is none yet.

#[unsafe(export_name = "wizer-initialize")]
extern "C" fn initialise() {
    let _ = std::env::var("NAME");
}

fn main() {}
