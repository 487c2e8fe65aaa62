//! Configuration files: reading, checking, and what comes out of it.
//!
//! The format is Crossbar.io's, version 2, in JSON or YAML. [`load`] hands out a [`Config`] without anything left to
//! check, or a [`Report`] with every error of the file.

mod check;
mod diagnostic;
mod json;
mod model;
mod tree;
mod yaml;

#[cfg(test)]
mod tests;

use std::io;
use std::path::Path;

use self::check::Surroundings;
use self::diagnostic::Diagnostic;
pub use self::diagnostic::{Report, Severity};
pub use self::model::*;
use crate::cpus;

/// The configuration that runs where none is given.
pub const DEFAULT: &str = include_str!("../../assets/default-config.json");

/// The name that messages give to [`DEFAULT`].
const DEFAULT_NAME: &str = "(built-in configuration)";

/// Configuration files that are larger than this are not read.
const LARGEST_FILE: u64 = 16 << 20;

/// Why there is no configuration.
#[derive(Debug)]
pub enum LoadError {
    /// The file cannot be read.
    File(String),
    /// The file has errors.
    Invalid(Report),
}

/// Reads and checks a configuration file. The report, if any, holds warnings only.
///
/// Relative paths in the file are relative to its directory.
///
/// # Errors
/// If the file cannot be read, or is not a valid configuration.
pub fn load(path: &Path) -> Result<(Config, Report), LoadError> {
    let text = read(path).map_err(|error| LoadError::File(explain_read(path, &error)))?;
    let yaml = path
        .extension()
        .is_some_and(|extension| extension == "yaml" || extension == "yml");
    let directory = path.parent().unwrap_or_else(|| Path::new(""));
    let variable = |name: &str| std::env::var(name).ok();
    let surroundings = Surroundings {
        directory,
        variable: &variable,
        usable_cpus: &cpus::usable,
    };
    parse(&path.display().to_string(), &text, yaml, &surroundings).map_err(LoadError::Invalid)
}

/// The built-in configuration.
///
/// # Errors
/// Never, unless the text that was built in is wrong, which a test excludes.
pub fn load_default() -> Result<Config, LoadError> {
    let surroundings = Surroundings {
        directory: Path::new(""),
        variable: &|_| None,
        usable_cpus: &cpus::usable,
    };
    parse(DEFAULT_NAME, DEFAULT, false, &surroundings)
        .map(|(config, _)| config)
        .map_err(LoadError::Invalid)
}

fn parse(
    name: &str,
    text: &str,
    yaml: bool,
    surroundings: &Surroundings<'_>,
) -> Result<(Config, Report), Report> {
    let tree = if yaml {
        yaml::parse(text)
    } else {
        json::parse(text)
    };
    let tree = tree.map_err(|error| {
        let diagnostic = Diagnostic {
            severity: Severity::Error,
            at: error.at,
            path: String::new(),
            message: error.message,
        };
        Report::new(name, text, vec![diagnostic])
    })?;
    let (config, diagnostics) = check::check(&tree, surroundings);
    let report = Report::new(name, text, diagnostics);
    match config {
        Some(config) => Ok((config, report)),
        None => Err(report),
    }
}

fn read(path: &Path) -> io::Result<String> {
    if std::fs::metadata(path)?.len() > LARGEST_FILE {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "larger than 16 MiB"));
    }
    std::fs::read_to_string(path)
}

fn explain_read(path: &Path, error: &io::Error) -> String {
    let file = path.display();
    match error.kind() {
        io::ErrorKind::NotFound => {
            format!("there is no file {file}; give the path of a configuration with --config")
        }
        io::ErrorKind::PermissionDenied => {
            format!("not allowed to read {file}; make it readable for the user that runs crosspoint")
        }
        io::ErrorKind::IsADirectory => format!("{file} is a directory; give the path of the file in it"),
        io::ErrorKind::InvalidData => format!("{file} is not UTF-8 text; save it as UTF-8"),
        _ => format!("cannot read {file}: {error}"),
    }
}
