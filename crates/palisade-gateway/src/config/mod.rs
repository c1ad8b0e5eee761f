//! The configuration: what was said (`file`) → what is meant ([`Settings`]).
//!
//! Defaults < file < environment < flags; servers inherit the sections above them. Every mistake
//! is reported at once, each with its place, its cause and its remedy ([`Problems`]).
//!
//! [`resolve`] is pure: text, variables and flags in, [`Settings`] and [`Problems`] out. [`load`]
//! reads the file and the files that it names.

mod defaults;
mod document;
mod environment;
mod file;
mod files;
mod names;
mod problem;
mod resolve;
mod schema;
mod settings;
mod shape;
mod show;
mod units;

use std::path::Path;

pub use environment::Flags;
pub use names::{Fault, HostEntry, HttpUrl, OriginKind, OriginPattern, OriginRegex, loopback};
pub use problem::{Place, Problem, ProblemCode, Problems, Severity};
pub use schema::schema;
pub use settings::*;
pub use show::Row;
pub use units::{RateLimit, Window, show_duration, show_size};

use document::Document;
use shape::Shape;

/// Reads the file, if there is one, and checks the files that it names (certificate, key, the
/// directory of an audit file).
///
/// # Errors
/// Every problem, when one of them is an error. Without errors the problems that come with the
/// settings are warnings.
pub fn load(
    file: Option<&Path>,
    environment: impl IntoIterator<Item = (String, String)>,
    flags: &Flags,
) -> Result<(Settings, Problems), Problems> {
    let text = match file.map(|file| (file, files::read_configuration(file))) {
        None => None,
        Some((file, Ok(text))) => Some((file, text)),
        Some((file, Err(problem))) => {
            let mut problems = Problems::of(Some(file), "");
            problems.push(problem);
            return Err(problems);
        }
    };
    let said = text.as_ref().map(|(file, text)| (*file, text.as_str()));
    let (settings, mut problems) = resolve(said, environment, flags);
    files::check(&settings, &mut problems);
    if problems.has_errors() {
        Err(problems)
    } else {
        Ok((settings, problems))
    }
}

/// The settings that a file's text, an environment and flags make, and everything that is wrong
/// with them. With errors among the problems the settings are only good to be looked at.
///
/// A value that cannot be read leaves in place what lies below it: the inherited value or the
/// default.
#[must_use]
pub fn resolve(
    file: Option<(&Path, &str)>,
    environment: impl IntoIterator<Item = (String, String)>,
    flags: &Flags,
) -> (Settings, Problems) {
    let (path, text) = file.map_or((None, ""), |(path, text)| (Some(path), text));
    let mut problems = Problems::of(path, text);
    let shape = Shape::of(&schema());
    let (mut document, syntax) = Document::read(text);
    let is_toml = syntax.is_empty();
    syntax
        .into_iter()
        .for_each(|problem| problems.push(problem));
    let version = environment::lay_environment(&mut document, &shape, environment, &mut problems);
    environment::lay_flags(&mut document, flags, &mut problems);
    shape.check(&mut document.root, &document.places, &mut problems);
    let said = document.typed().unwrap_or_else(|problem| {
        problems.push(problem);
        file::File::default()
    });
    // What a broken file seems to lack is most likely in the part that could not be read.
    let mut of_values = Problems::of(path, text);
    let settings = resolve::resolve(
        &said,
        path,
        flags.dev,
        version,
        &document.places,
        &mut of_values,
    );
    for problem in of_values.iter() {
        if is_toml || problem.place != Place::Nowhere {
            problems.push(problem.clone());
        }
    }
    (settings, problems)
}
