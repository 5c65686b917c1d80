//! The engine, and how a script is run in it.
//!
//! Owns: the engine's limits, what it has loaded, the functions that scripts call outside of JavaScript, errors as text.
//! Does not know: jobs, files. What is done in JavaScript itself is in `host.js`.

#[cfg(test)]
mod tests;

use std::cell::RefCell;
use std::io::Write;

use boa_engine::{
    Context, JsError, JsNativeError, JsObject, JsResult, JsString, JsValue, NativeFunction, Source, js_string,
};
use serde_json::Value;

/// What scripts find loaded, by the name that they know it by.
const LIBRARIES: [(&str, &str); 5] = [
    ("_", include_str!("../lib/lodash.min.js")),
    ("Papa", include_str!("../lib/papaparse.min.js")),
    ("ss", include_str!("../lib/simple-statistics.min.js")),
    ("dayjs", include_str!("../lib/dayjs.min.js")),
    ("Mustache", include_str!("../lib/mustache.min.js")),
];

/// What finds the statements of a script.
const PARSER: (&str, &str) = ("acorn", include_str!("../lib/acorn.js"));

/// How deep functions may call each other. Calls through the engine's own functions (such as `map`) use the program's
/// stack, which has to suffice for so many of them.
const CALL_DEPTH: usize = 400;

/// An engine in which one script can be run.
///
/// Boa does not say in which line something was thrown. So there is a second engine in the same state: where a script
/// fails, it is run there again, in silence, and says before each statement which line it has come to.
pub struct Engine {
    runner: Realm,
    finder: Realm,
}

impl Engine {
    /// Starts the engine and loads the libraries, or says what is wrong with one of them.
    pub fn new() -> Result<Self, String> {
        Ok(Self { runner: Realm::new(None)?, finder: Realm::new(Some(PARSER))? })
    }

    /// Runs a script: what it comes to is its variable `result`, or else the value of its last statement.
    pub fn run(&self, name: &str, script: &str, data: Option<&str>, seed: &str) -> Result<Value, String> {
        self.runner.run(script, data, seed).map_err(|error| {
            let line = self.finder.line_of_failure(script, data, seed);
            let place = line.map_or_else(String::new, |line| format!(":{line}"));
            format!("{name}{place}: {error}")
        })
    }
}

/// One engine with its global objects.
struct Realm {
    context: RefCell<Context>,
    /// The functions of `host.js`.
    host: JsObject,
}

impl Realm {
    fn new(parser: Option<(&str, &str)>) -> Result<Self, String> {
        let mut context = Context::default();
        context.runtime_limits_mut().set_recursion_limit(CALL_DEPTH);
        let write = NativeFunction::from_fn_ptr(write);
        context.register_global_callable(js_string!("__write"), 2, write).map_err(|error| error.to_string())?;
        for (name, source) in parser.into_iter().chain(LIBRARIES) {
            context.eval(Source::from_bytes(source)).map_err(|error| format!("failed to load `{name}`: {error}"))?;
        }
        let host = context.eval(Source::from_bytes(include_str!("host.js")));
        let host = host.map_err(|error| format!("failed to load `host.js`: {error}"))?;
        let host = host.as_object().cloned().ok_or("`host.js` gives no object")?;
        Ok(Self { context: RefCell::new(context), host })
    }

    fn run(&self, script: &str, data: Option<&str>, seed: &str) -> Result<Value, String> {
        let context = &mut *self.context.borrow_mut();
        self.evaluate(context, script, data, seed).map_err(|error| self.describe(&error, context))
    }

    /// The line in which a script fails, if it does.
    fn line_of_failure(&self, script: &str, data: Option<&str>, seed: &str) -> Option<f64> {
        let context = &mut *self.context.borrow_mut();
        let marked = self.call("mark", &[JsString::from(script).into()], context);
        let marked = marked.and_then(|marked| marked.to_string(context));
        if let Ok(marked) = marked {
            // Only where it had come to is of interest.
            let _ = self.evaluate(context, &marked.to_std_string_escaped(), data, seed);
        }
        self.host.get(js_string!("line"), context).ok()?.as_number().filter(|line| *line > 0.0)
    }

    fn evaluate(&self, context: &mut Context, script: &str, data: Option<&str>, seed: &str) -> JsResult<Value> {
        let data = data.map_or(JsValue::undefined(), |data| JsString::from(data).into());
        self.call("prepare", &[data, JsString::from(seed).into()], context)?;
        let last = context.eval(Source::from_bytes(script))?;
        let json = self.call("finish", &[last], context)?.to_string(context)?.to_std_string_escaped();
        serde_json::from_str(&json).map_err(JsError::from_rust)
    }

    /// Calls a function of `host.js`.
    fn call(&self, name: &str, arguments: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
        let function = self.host.get(JsString::from(name), context)?;
        let function = function.as_callable().ok_or_else(|| JsNativeError::typ().with_message("no such function"))?;
        function.call(&JsValue::undefined(), arguments, context)
    }

    /// An error in one line. Scripts can throw anything, so this may run their code, which may throw in turn.
    fn describe(&self, error: &JsError, context: &mut Context) -> String {
        // What reached a limit must not be shown to scripts.
        if error.as_native().is_some_and(JsNativeError::is_runtime_limit) {
            return error.to_string();
        }
        let thrown = error.to_opaque(context);
        let text = self.call("describe", &[thrown], context).and_then(|text| text.to_string(context));
        text.map_or_else(
            |_| "something was thrown that cannot be shown".to_owned(),
            |text| text.to_std_string_escaped(),
        )
    }
}

/// `__write(text, isError)`: writes to standard output, or to standard error.
fn write(_this: &JsValue, arguments: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let text = arguments.first().map_or(Ok(JsString::default()), |text| text.to_string(context))?.to_std_string_lossy();
    let is_error = arguments.get(1).is_some_and(JsValue::to_boolean);
    let written = if is_error {
        std::io::stderr().lock().write_all(text.as_bytes())
    } else {
        std::io::stdout().lock().write_all(text.as_bytes())
    };
    written.map_err(JsError::from_rust)?;
    Ok(JsValue::undefined())
}
