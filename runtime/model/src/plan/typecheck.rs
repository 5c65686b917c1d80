//! Whether the jobs of a plan are given what they take, as far as their modules say what that is.
//!
//! Owns: the parameters of jobs of the guest SDK beside what a plan mounts and passes. Does not know: which types fit which
//! (`interface`), or where modules come from.

use std::collections::{BTreeMap, HashMap};

use super::diagnostic::{Diagnostic, Diagnostics, Quoted, listed};
use super::graph::Target;
use super::spelling::nearest;
use super::{InputSource, JobSpec, JsonTemplate, MountSpec, Span, Stdin};
use crate::guest_path::{GuestPath, OutputPath};
use crate::interface::{Field, Interface, JobInterface, Misfit, Type, number_bits};

/// The descriptions of modules that have one, by the modules' names in a plan.
pub type Interfaces = BTreeMap<String, Interface>;

/// Checks jobs against what their modules say of themselves. Jobs of modules that say nothing take anything.
pub fn check_types<'a>(jobs: impl Iterator<Item = &'a JobSpec> + Clone, interfaces: &Interfaces) -> Vec<Diagnostic> {
    let mut errors = Diagnostics::default();
    if interfaces.is_empty() {
        return Vec::new();
    }
    let by_name = jobs.clone().map(|job| (job.name.value.as_str(), job)).collect();
    let check = Check { by_name, interfaces };
    for job in jobs {
        check.job(job, &mut errors);
    }
    errors.into_sorted()
}

struct Check<'a> {
    by_name: HashMap<&'a str, &'a JobSpec>,
    interfaces: &'a Interfaces,
}

/// What a job's module says of it.
enum Known<'a> {
    /// Nothing.
    Nothing,
    /// It has no such job.
    NoSuchJob(&'a Interface),
    Job(&'a JobInterface),
}

impl<'a> Check<'a> {
    fn known(&self, job: &JobSpec) -> Known<'a> {
        let Some(interface) = self.interfaces.get(&job.module.value) else { return Known::Nothing };
        // As the module looks for it (docs/guest-abi.md).
        let named = interface.job(job.entry.as_deref().unwrap_or(wasmill_abi::DEFAULT_ENTRY));
        let first = || job.args.first()?.as_literal().and_then(|name| interface.job(name));
        match named.or_else(first) {
            Some(job) => Known::Job(job),
            None if job.args.first().is_some_and(|arg| arg.as_literal().is_none()) => Known::Nothing,
            None => Known::NoSuchJob(interface),
        }
    }

    fn job(&self, job: &'a JobSpec, errors: &mut Diagnostics) {
        let name = Quoted(&job.name.value);
        if let Some(interface) = self.interfaces.get(&job.module.value)
            && interface.abi != wasmill_abi::VERSION
        {
            let module = Quoted(&job.module.value);
            let message = format!(
                "the module {module} was made for version {} of the guest ABI, and this wasmill has version {}",
                interface.abi,
                wasmill_abi::VERSION
            );
            let wrong = Diagnostic::new(message, job.module.span.clone());
            return errors.push(wrong.hint("build it again, with the SDK of this wasmill"));
        }
        let known = match self.known(job) {
            Known::Nothing => return,
            Known::Job(known) => known,
            Known::NoSuchJob(interface) => return errors.push(no_such_job(job, interface)),
        };
        if job.batch.is_some() {
            let message = format!("job {name} is one of the guest SDK, which cannot be done in batches");
            errors.push(Diagnostic::new(message, job.name.span.clone()).hint("leave `batch` out"));
        }
        let yields = job.yields.as_ref().map(OutputPath::as_str);
        if matches!(known.returns, Type::Plan { .. }) && yields != Some(wasmill_abi::RESULT_FILE) {
            let message = format!("job {name} returns a plan, and does not say that it yields one");
            let wrong = Diagnostic::new(message, job.name.span.clone());
            errors.push(wrong.hint(format!("write `yields = \"{}\"`", wasmill_abi::RESULT_FILE)));
        }
        let given = Given::of(job);
        if given.is_no_object {
            let message = format!("`input` of job {name} is no table with a value for each parameter");
            errors.push(Diagnostic::new(message, given.span.clone()));
        }
        for parameter in &known.parameters {
            self.parameter(job, parameter, &given, errors);
        }
        for field in given.fields.iter().flat_map(|fields| fields.keys()) {
            if !known.parameters.iter().any(|parameter| parameter.name == *field) {
                let message = format!("`input` of job {name} has {}, which the job does not take", Quoted(field));
                let names = known.parameters.iter().map(|parameter| parameter.name.as_str());
                let hint = match nearest(field, names.clone()) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None if names.len() == 0 => "it takes nothing".to_owned(),
                    None => format!("it takes {}", listed(names)),
                };
                errors.push(Diagnostic::new(message, given.span.clone()).hint(hint));
            }
        }
    }

    fn parameter(&self, job: &'a JobSpec, parameter: &Field, given: &Given<'a>, errors: &mut Diagnostics) {
        let name = parameter.name.as_str();
        let value = given.fields.and_then(|fields| fields.get(name));
        let at = format!("{}/{name}", wasmill_abi::IN_DIR);
        let Ok(place) = GuestPath::new(&at) else { return };
        let mount = job.mounts.iter().find(|mount| mount.at.value.names().eq(place.names()));
        // What lies above it may have it, and what lies below it may be it, piece by piece.
        let is_near = |mount: &MountSpec| mount.at.value.contains(&place) || place.contains(&mount.at.value);
        let of = format!("`{name}` of job {}", Quoted(&job.name.value));
        match (mount, value) {
            (Some(mount), Some(_)) => {
                let message = format!("{of} is given twice");
                let twice = Diagnostic::new(message, mount.at.span.clone()).and_at(given.span.clone(), "and here");
                errors.push(twice);
            }
            (Some(mount), None) => self.mounted(&of, &parameter.ty, mount, errors),
            (None, Some(value)) => {
                if let Err(misfit) = json_fits(&parameter.ty, value, "") {
                    let message = format!("{of} is {}, and is given something else", a(&parameter.ty));
                    errors.push(Diagnostic::new(message, given.span.clone()).saying(said(&misfit)));
                }
            }
            (None, None) if job.mounts.iter().any(is_near) => {}
            (None, None) if parameter.may_be_left_out() || parameter.ty.is_unknown() || !given.is_all => {}
            (None, None) => {
                let message = format!("{of} is given nowhere: it is {}", a(&parameter.ty));
                let hint = match parameter.ty.leaf() {
                    Some("file" | "dir" | "text") => format!("write `in = {{ \"{at}\" = … }}`"),
                    _ if matches!(parameter.ty.present(), Type::Each { .. }) => {
                        format!("write `in = {{ \"{at}\" = {{ jobs = \"…\" }} }}`")
                    }
                    _ => format!("write `input = {{ {name} = … }}`, or `in = {{ \"{at}\" = … }}`"),
                };
                errors.push(Diagnostic::new(message, job.name.span.clone()).hint(hint));
            }
        }
    }

    /// Checks what is mounted for a parameter.
    fn mounted(&self, of: &str, wanted: &Type, mount: &MountSpec, errors: &mut Diagnostics) {
        if wanted.is_unknown() {
            return;
        }
        let span = mount.source.span.clone();
        let mut refuse = |message: String, hint: &str| {
            let wrong = Diagnostic::new(message, span.clone());
            errors.push(if hint.is_empty() { wrong } else { wrong.hint(hint) });
        };
        let is = a(wanted);
        let wants_file = matches!(wanted.leaf(), Some("file" | "text"));
        let wants_dir = wanted.leaf() == Some("dir");
        let each = match wanted.present() {
            Type::Each { each } => Some(each.as_ref()),
            _ => None,
        };
        match &mount.source.value {
            InputSource::Glob(_) if !wants_dir => {
                refuse(format!("{of} is {is}, and is given a directory: what a glob matches"), "");
            }
            InputSource::Text(_) if wants_dir || each.is_some() => {
                refuse(format!("{of} is {is}, and is given a text"), "");
            }
            InputSource::Jobs { path: Some(path), .. } if each.is_some() && is_result(path) => {
                let hint = "leave out `result.json`: each is read from the directory that has it";
                refuse(format!("{of} is {is}, and is given a file of each item"), hint);
            }
            InputSource::Jobs { jobs, path } if path.is_none() || self.outputs(jobs).is_some() => match each {
                Some(each) => {
                    self.given_by(of, (wanted, each), (jobs, path.as_ref().map(OutputPath::as_str)), span, errors);
                }
                None if wants_dir => {}
                None => refuse(
                    format!("{of} is {is}, and is given the results of all items of {}", Quoted(jobs)),
                    "make it an `Each<…>`, or take one item with `{ job = \"…[…]\" }`",
                ),
            },
            // What is at the path may be such a result.
            InputSource::Jobs { path: Some(_), .. } if !wants_dir && each.is_none() => {
                refuse(format!("{of} is {is}, and is given a directory: what is at a path of each item"), "");
            }
            InputSource::Job { job, path } => {
                let whole = path.is_none();
                let result = path.as_ref().is_some_and(|path| path.as_literal() == Some(wasmill_abi::RESULT_FILE));
                let Some(target) = Target::of(job) else { return };
                let literal = path.as_ref().and_then(|path| path.as_literal());
                match target {
                    // The whole, its file, or one of several results.
                    Target::One(name) | Target::Item(name)
                        if wanted.is_value()
                            && (whole || result || (literal.is_some() && self.outputs(&name).is_some())) =>
                    {
                        self.given_by(of, (wanted, wanted), (&name, literal), span, errors);
                    }
                    _ if whole && wants_file => refuse(
                        format!("{of} is {is}, and is given a directory: the whole output of a job"),
                        "say which file of it with `path`",
                    ),
                    _ if result && wants_dir => refuse(format!("{of} is {is}, and is given a file"), ""),
                    // A plan may come to the results of many.
                    Target::One(name) | Target::Item(name) if whole && each.is_some() && !self.yields(&name) => {
                        refuse(format!("{of} is {is}, and is given the output of one job"), "write `{ jobs = \"…\" }`");
                    }
                    _ => {}
                }
            }
            _ => {}
        }
    }

    /// Whether a job's result may be that of a plan.
    fn yields(&self, job: &str) -> bool {
        self.by_name.get(job).is_none_or(|job| job.yields.is_some())
    }

    /// What another job gives, where its module says so.
    fn returned_by(&self, by: &str) -> Option<(&'a JobSpec, &'a Type)> {
        let giver = self.by_name.get(by)?;
        let Known::Job(known) = self.known(giver) else { return None };
        match &known.returns {
            // The result of the plan stands for its own.
            Type::Plan { plan } => Some((giver, plan)),
            // A plan that it leaves in another way has whatever result it has.
            _ if giver.yields.is_some() => None,
            // It may have written its result itself.
            Type::Leaf(name) if name == "unit" => None,
            returns => Some((giver, returns)),
        }
    }

    /// The results of a job that has several.
    fn outputs(&self, by: &str) -> Option<&'a [Field]> {
        match self.returned_by(by)?.1 {
            Type::Outputs { fields, .. } => Some(fields),
            _ => None,
        }
    }

    /// Checks the result of another job, or the one of several at a path, where its module says what that is. Of what is wanted, the
    /// second type is that of each result.
    fn given_by(
        &self,
        of: &str,
        (whole, wanted): (&Type, &Type),
        (by, path): (&str, Option<&str>),
        span: Span,
        errors: &mut Diagnostics,
    ) {
        let Some((giver, mut returns)) = self.returned_by(by) else { return };
        if let Type::Outputs { fields, .. } = returns {
            let named = path.map(|path| path.strip_suffix("/result.json").unwrap_or(path));
            match fields.iter().find(|field| Some(field.name.as_str()) == named) {
                Some(field) => returns = &field.ty,
                None => {
                    none_of(of, whole, (by, named), fields, span).into_iter().for_each(|wrong| errors.push(wrong));
                    return;
                }
            }
        }
        let Err(misfit) = wanted.accept(returns) else { return };
        let message = format!("{of} is {}, and {} gives {}", a(whole), Quoted(by), a(returns));
        let wrong = Diagnostic::new(message, span).saying(said(&misfit));
        errors.push(wrong.and_at(giver.name.span.clone(), format!("gives {}", a(returns))));
    }
}

/// Whether a path is that of a file in which a job's value is.
fn is_result(path: &OutputPath) -> bool {
    path.names().last() == Some(wasmill_abi::RESULT_FILE)
}

/// What is wrong where a job that gives several results (`fields`) is named, and at a path that is none of them.
fn none_of(
    of: &str,
    whole: &Type,
    (by, path): (&str, Option<&str>),
    fields: &[Field],
    span: Span,
) -> Option<Diagnostic> {
    let names = fields.iter().map(|field| field.name.as_str());
    let (message, hint) = match path {
        None => (
            format!("{of} is {}, and {} gives several results", a(whole), Quoted(by)),
            format!("`path` says which: {}", listed(names)),
        ),
        // Of any other path, it may have written itself what is there.
        Some(path) => (
            format!("{of} is given {} of {}, which is none of its results", Quoted(path), Quoted(by)),
            format!("did you mean `{}`?", nearest(path, names)?),
        ),
    };
    Some(Diagnostic::new(message, span).hint(hint))
}

fn no_such_job(job: &JobSpec, interface: &Interface) -> Diagnostic {
    let module = Quoted(&job.module.value);
    let names = interface.jobs.iter().map(|job| job.name.as_str());
    let (message, asked) = match &job.entry {
        Some(entry) => (format!("the module {module} has no job {}", Quoted(entry)), entry.as_str()),
        None => (format!("job {} does not say which job of the module {module} it is", Quoted(&job.name.value)), ""),
    };
    let near = nearest(asked, names.clone());
    let hint = match (near, interface.jobs.as_slice()) {
        (Some(near), _) => format!("did you mean `{near}`?"),
        (None, []) => "it has no jobs at all: put `#[job]` on a function".to_owned(),
        (None, [only]) => format!("write `entry = \"{}\"`", only.name),
        (None, _) => format!("`entry` is one of {}", listed(names)),
    };
    Diagnostic::new(message, job.name.span.clone()).hint(hint)
}

/// What a job is given beside its mounts.
struct Given<'a> {
    fields: Option<&'a BTreeMap<String, JsonTemplate>>,
    /// Whether nothing else is given, from a file say.
    is_all: bool,
    is_no_object: bool,
    span: Span,
}

impl<'a> Given<'a> {
    fn of(job: &'a JobSpec) -> Self {
        let span = job.stdin.as_ref().map_or_else(|| job.name.span.clone(), |stdin| stdin.span.clone());
        match job.stdin.as_ref().map(|stdin| &stdin.value) {
            Some(Stdin::Json(JsonTemplate::Object(fields))) => {
                Self { fields: Some(fields), is_all: true, is_no_object: false, span }
            }
            Some(Stdin::Source(_) | Stdin::Blob(_)) => Self { fields: None, is_all: false, is_no_object: false, span },
            None | Some(Stdin::Json(JsonTemplate::Null)) => {
                Self { fields: None, is_all: true, is_no_object: false, span }
            }
            Some(Stdin::Json(_)) => Self { fields: None, is_all: false, is_no_object: true, span },
        }
    }
}

/// Longer descriptions of a type are cut.
const SAID_CHARS_MAX: usize = 120;

/// A type in a sentence.
fn a(ty: &Type) -> String {
    let name = ty.to_string();
    match name.chars().next() {
        _ if name == "()" => "nothing".to_owned(),
        Some('A' | 'E' | 'I' | 'O' | 'U' | 'i') => format!("an {}", Quoted(&name)),
        _ => format!("a {}", Quoted(&name)),
    }
}

fn said(misfit: &Misfit) -> String {
    let at = if misfit.at.is_empty() { String::new() } else { format!("{}: ", Quoted(&misfit.at)) };
    // The module chose these.
    let short = |text: &str| -> String {
        text.chars().map(|char| if char.is_control() { ' ' } else { char }).take(SAID_CHARS_MAX).collect()
    };
    format!("{at}{} is wanted, and {} is given", short(&misfit.wanted), short(&misfit.given))
}

/// Whether a value as a plan has it can be read as a type.
fn json_fits(wanted: &Type, value: &JsonTemplate, at: &str) -> Result<(), Misfit> {
    let misfit =
        |given: &str| Err(Misfit { at: at.to_owned(), wanted: format!("`{wanted}`"), given: given.to_owned() });
    let below = |name: &str| if at.is_empty() { name.to_owned() } else { format!("{at}.{name}") };
    match (wanted, value) {
        (Type::Any { .. } | Type::Within { .. } | Type::Plan { .. }, _)
        // What it is shows with the item.
        | (_, JsonTemplate::Parsed(_))
        | (Type::Option { .. }, JsonTemplate::Null)
        // serde reads the fields of a struct out of a list, too.
        | (Type::Struct { .. } | Type::Outputs { .. }, JsonTemplate::Array(_)) => Ok(()),
        (Type::Option { option }, value) => json_fits(option, value, at),
        (Type::Leaf(name), value) => match (name.as_str(), value) {
            ("unit", JsonTemplate::Null) | ("bool", JsonTemplate::Bool(_)) => Ok(()),
            ("string" | "text" | "file" | "dir", JsonTemplate::String(_)) => Ok(()),
            ("f32" | "f64", JsonTemplate::Int(_) | JsonTemplate::Float(_)) => Ok(()),
            (number, JsonTemplate::Int(value)) if int_fits(number, *value) => Ok(()),
            (_, value) => misfit(&written(value)),
        },
        (Type::Each { .. }, JsonTemplate::String(_)) => Ok(()),
        (Type::Seq { seq }, JsonTemplate::Array(values)) => {
            let mut values = values.iter().enumerate();
            values.try_for_each(|(index, value)| json_fits(seq, value, &format!("{at}[{index}]")))
        }
        (Type::Tuple { tuple }, JsonTemplate::Array(values)) if tuple.len() == values.len() => {
            let mut pairs = tuple.iter().zip(values).enumerate();
            pairs.try_for_each(|(index, (ty, value))| json_fits(ty, value, &format!("{at}[{index}]")))
        }
        (Type::Map { map } | Type::Each { each: map }, JsonTemplate::Object(values)) => {
            values.iter().try_for_each(|(name, value)| json_fits(map, value, &below(name)))
        }
        (Type::Struct { fields, .. } | Type::Outputs { fields, .. }, JsonTemplate::Object(values)) => {
            fields.iter().try_for_each(|field| match values.get(&field.name) {
                Some(value) => json_fits(&field.ty, value, &below(&field.name)),
                None if field.may_be_left_out() => Ok(()),
                None => misfit(&format!("a table without `{}`", field.name)),
            })
        }
        (Type::Enum { variants, .. }, JsonTemplate::String(name)) => match name.as_literal() {
            Some(name) if !variants.iter().any(|variant| variant.name == name) => misfit(&Quoted(name).to_string()),
            _ => Ok(()),
        },
        (Type::Enum { variants, .. }, JsonTemplate::Object(values)) => {
            let one = values.iter().next().filter(|_| values.len() == 1);
            let variant = one.and_then(|(name, value)| Some((variants.iter().find(|it| it.name == *name)?, value)));
            match variant {
                Some((variant, value)) => json_fits(&variant.ty, value, &below(&variant.name)),
                None => misfit(&match one {
                    Some((name, _)) => format!("a table with {}", Quoted(name)),
                    None => written(value),
                }),
            }
        }
        (_, value) => misfit(&written(value)),
    }
}

fn int_fits(ty: &str, value: i64) -> bool {
    match number_bits(ty) {
        Some(('u', bits)) => value >= 0 && (bits >= 64 || value < 1 << bits),
        Some(('i', bits)) => bits >= 64 || (-(1 << (bits - 1))..1 << (bits - 1)).contains(&value),
        _ => false,
    }
}

fn written(value: &JsonTemplate) -> String {
    match value {
        JsonTemplate::Null => "`null`".to_owned(),
        JsonTemplate::Bool(value) => format!("`{value}`"),
        JsonTemplate::Int(value) => format!("`{value}`"),
        JsonTemplate::Float(value) => format!("`{value}`"),
        JsonTemplate::String(text) => match text.as_literal() {
            Some(text) => format!("the text {}", Quoted(text)),
            None => "a text".to_owned(),
        },
        JsonTemplate::Parsed(_) => "a value of an item".to_owned(),
        JsonTemplate::Array(values) => format!("a list of {}", values.len()),
        JsonTemplate::Object(_) => "a table".to_owned(),
    }
}
