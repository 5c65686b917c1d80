//! Where inputs may be mounted, and which outputs can be kept side by side.
//!
//! Owns: these rules, for a plan's text and for callers without one. Does not know: what is mounted.

use super::diagnostic::{Diagnostic, Diagnostics};
use super::fields::Field;
use super::overlap::overlaps;
use super::{MountSpec, Spanned};
use crate::action::MountMode;
use crate::guest_path::{GuestPath, OutputPath};

/// Where the job itself writes: an input there has to be one that may be changed.
const WRITABLE: [&str; 2] = ["out", "tmp"];

/// What is wrong with a list of places: the position of the one at fault, what is wrong, and the position of another
/// that it does not go with.
struct Wrong {
    at: usize,
    message: String,
    other: Option<usize>,
    hint: Option<&'static str>,
}

/// Checks places for inputs that do not come from a plan's text.
///
/// # Errors
/// What is wrong with the first bad one, as a sentence.
pub fn check_mounts(places: &[(GuestPath, MountMode)]) -> Result<(), String> {
    let places: Vec<_> = places.iter().map(|(place, mode)| (place, *mode)).collect();
    match wrong_mounts(&places).into_iter().next() {
        Some(wrong) => Err(match wrong.hint {
            Some(hint) => format!("{}; {hint}", wrong.message),
            None => wrong.message,
        }),
        None => Ok(()),
    }
}

/// Checks outputs that do not come from a plan's text.
///
/// # Errors
/// What is wrong with the first bad one, as a sentence.
pub fn check_outputs(outputs: &[OutputPath]) -> Result<(), String> {
    wrong_outputs(outputs).into_iter().next().map_or(Ok(()), |wrong| Err(wrong.message))
}

fn wrong_mounts(places: &[(&GuestPath, MountMode)]) -> Vec<Wrong> {
    let mut found = Vec::new();
    for (at, (place, mode)) in places.iter().enumerate() {
        if let Some(first) = place.names().next().filter(|first| WRITABLE.contains(first))
            && *mode == MountMode::ReadOnly
        {
            let message =
                format!("nothing can be mounted read-only at or below `/{first}`, where the job itself writes");
            let hint = Some("let the job change it (`rw`), or mount it somewhere else, below `/in` for instance");
            found.push(Wrong { at, message, other: None, hint });
        }
    }
    if places.len() < 2 {
        return found;
    }
    let paths: Vec<Vec<&str>> = places.iter().map(|(place, _)| place.names().collect()).collect();
    // Everything lies inside `/`; what is mounted there is seen wherever nothing else is.
    let below: Vec<usize> = (0..paths.len()).filter(|index| !paths[*index].is_empty()).collect();
    let roots: Vec<usize> = (0..paths.len()).filter(|index| paths[*index].is_empty()).collect();
    if let [first, second, ..] = roots[..] {
        let message = "two inputs are mounted at `/`".to_owned();
        found.push(Wrong { at: second, message, other: Some(first), hint: None });
    }
    let names: Vec<Vec<&str>> = below.iter().map(|index| paths[*index].clone()).collect();
    for overlap in overlaps(&names) {
        let (outer, inner) = (below[overlap.outer], below[overlap.inner]);
        let message = if overlap.is_same {
            format!("two inputs are mounted at `{}`", places[inner].0)
        } else {
            format!("`{}` is mounted inside `{}`", places[inner].0, places[outer].0)
        };
        found.push(Wrong { at: inner, message, other: Some(outer), hint: None });
    }
    found
}

/// Outputs are kept in one tree: one below `/out` and one from elsewhere must not have the same place in it.
fn wrong_outputs(outputs: &[OutputPath]) -> Vec<Wrong> {
    let paths: Vec<Vec<&str>> = outputs.iter().map(|output| output.names().collect()).collect();
    let mut found = Vec::new();
    for overlap in overlaps(&paths) {
        let (outer, inner) = (&outputs[overlap.outer], &outputs[overlap.inner]);
        if outer.is_absolute() != inner.is_absolute() {
            let message = format!("the outputs `{outer}` and `{inner}` would be kept in the same place");
            found.push(Wrong { at: overlap.inner, message, other: Some(overlap.outer), hint: None });
        }
    }
    found
}

/// Reports what is wrong with a job's mounts.
pub(super) fn check_places(field: &Field<'_>, mounts: &[MountSpec], errors: &mut Diagnostics) {
    let places: Vec<_> = mounts.iter().map(|mount| (&mount.at.value, mount.mode)).collect();
    let spans: Vec<_> = mounts.iter().map(|mount| mount.at.span.clone()).collect();
    report(field, wrong_mounts(&places), &spans, errors);
}

/// Reports what is wrong with a job's outputs.
pub(super) fn check_kept(field: &Field<'_>, outputs: &[Spanned<OutputPath>], errors: &mut Diagnostics) {
    let paths: Vec<_> = outputs.iter().map(|output| output.value.clone()).collect();
    let spans: Vec<_> = outputs.iter().map(|output| output.span.clone()).collect();
    report(field, wrong_outputs(&paths), &spans, errors);
}

fn report(field: &Field<'_>, wrongs: Vec<Wrong>, spans: &[std::ops::Range<usize>], errors: &mut Diagnostics) {
    for wrong in wrongs {
        let mut diagnostic = Diagnostic::new(format!("{}: {}", field.subject, wrong.message), spans[wrong.at].clone());
        if let Some(other) = wrong.other {
            diagnostic = diagnostic.and_at(spans[other].clone(), "the other one is here");
        }
        if let Some(hint) = wrong.hint {
            diagnostic = diagnostic.hint(hint);
        }
        errors.push(diagnostic);
    }
}
