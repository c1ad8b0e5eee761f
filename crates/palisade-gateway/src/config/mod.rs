//! The configuration: what was said (`file`) → what is meant ([`Settings`]).
//!
//! Defaults < file < environment < flags; servers inherit the sections above them. Every mistake
//! is reported at once, each with its place, its cause and its remedy ([`Problems`]).
//!
//! [`resolve()`] is pure: text, variables and flags in, [`Settings`] and [`Problems`] out. [`load`]
//! reads the file and the files that it names.

mod defaults;
mod document;
mod environment;
mod file;
mod files;
mod forms;
mod listener;
mod names;
mod origins;
mod overview;
mod problem;
mod resolve;
mod schema;
mod settings;
mod shape;
mod show;
mod units;

use std::path::Path;
use std::sync::LazyLock;

pub use environment::Flags;
pub use names::{Fault, HostEntry, HttpUrl, loopback};
pub use origins::{OriginKind, OriginPattern, OriginRegex};
pub use overview::Overview;
pub use problem::{Place, Problem, ProblemCode, Problems, Severity};
pub use schema::schema;
pub use settings::*;
pub use show::Row;
pub use units::{RateLimit, Window, show_duration, show_size};

use document::Document;
use shape::Shape;

/// The keys of this version; they do not change while the program runs.
static SHAPE: LazyLock<Shape> = LazyLock::new(|| Shape::of(&schema::of_types()));

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
            problems.push(*problem);
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
    let (mut document, syntax) = Document::read(text);
    let broken: Vec<Place> = syntax.iter().map(|problem| problem.place.clone()).collect();
    syntax
        .into_iter()
        .for_each(|problem| problems.push(problem));
    let mut found = Problems::of(path, "");
    environment::lay_url(&mut document, flags, &mut found);
    let version = environment::lay_environment(&mut document, &SHAPE, environment, &mut found);
    environment::lay_flags(&mut document, flags);
    let seen = resolve::Seen {
        server: flags.without_servers || document.root.get("server").is_some(),
        tls: document.root.get("tls").is_some(),
    };
    SHAPE.check(&mut document.root, &document.places, &mut found);
    let said = document.typed().unwrap_or_else(|problem| {
        found.push(*problem);
        file::File::default()
    });
    let settings = resolve::resolve(
        &said,
        path,
        flags.dev,
        seen,
        version,
        &document.places,
        &mut found,
    );
    problems.absorb(found, |problem| is_news(problem, &broken, text));
    (settings, problems)
}

/// Whether a problem is worth telling beside those of the syntax: what a broken line seems to say,
/// or a broken file seems to lack, is not.
fn is_news(problem: &Problem, broken: &[Place], text: &str) -> bool {
    match problem.place {
        _ if broken.is_empty() => true,
        Place::File(position) => {
            let inside = text.get(position.start..position.end).unwrap_or_default();
            let lines = u32::try_from(inside.matches('\n').count()).unwrap_or(u32::MAX);
            let lines = position.line..=position.line.saturating_add(lines);
            let is_broken = |place: &Place| matches!(place, Place::File(position) if lines.contains(&position.line));
            !inside.is_empty() && !broken.iter().any(is_broken)
        }
        Place::Nowhere => false,
        Place::Environment { .. } | Place::Flag { .. } => true,
    }
}
