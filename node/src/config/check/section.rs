//! Reading values out of the tree: every reader takes what it understands and complains about the rest.
//!
//! Readers return `None` or a harmless default after a complaint, and go on; a configuration with errors is never
//! handed out, so nothing ever runs with those.

use std::cell::RefCell;
use std::ops::RangeInclusive;

use crate::config::diagnostic::{Diagnostic, Severity, nearest};
use crate::config::tree::{Entry, Node, Position, Value};

/// What has been complained about so far.
#[derive(Default)]
pub(super) struct Complaints(RefCell<Vec<Diagnostic>>);

impl Complaints {
    pub(super) fn add(&self, severity: Severity, at: Position, path: &str, message: String) {
        self.0.borrow_mut().push(Diagnostic {
            severity,
            at,
            path: path.to_owned(),
            message,
        });
    }

    pub(super) fn into_inner(self) -> Vec<Diagnostic> {
        self.0.into_inner()
    }
}

/// One value of the file, with the key path that leads to it.
#[derive(Clone)]
pub(super) struct Field<'a> {
    complaints: &'a Complaints,
    pub(super) node: &'a Node,
    path: String,
}

impl<'a> Field<'a> {
    pub(super) fn root(node: &'a Node, complaints: &'a Complaints) -> Self {
        Self {
            complaints,
            node,
            path: String::new(),
        }
    }

    /// An error about this value, in words of its own.
    pub(super) fn error(&self, message: impl Into<String>) {
        self.complaints
            .add(Severity::Error, self.node.at, &self.path, message.into());
    }

    /// A remark about this value, which is taken nevertheless.
    pub(super) fn warn(&self, message: impl Into<String>) {
        self.complaints
            .add(Severity::Warning, self.node.at, &self.path, message.into());
    }

    /// The usual error: this is something else than what belongs here.
    pub(super) fn wrong(&self, expected: &str) {
        self.error(format!("found {}; expected {expected}", self.node.describe()));
    }

    /// The error for what Crossbar.io accepts and Crosspoint does not yet.
    pub(super) fn not_yet(&self, instead: &str) {
        self.error(format!(
            "found {}: not supported yet; {instead}",
            self.node.describe()
        ));
    }

    /// The key path, such as `workers[0].realms[1].name`.
    pub(super) fn path(&self) -> &str {
        &self.path
    }

    pub(super) fn is_null(&self) -> bool {
        self.node.value == Value::Null
    }

    pub(super) fn text(&self, expected: &str) -> Option<&'a str> {
        match &self.node.value {
            Value::Text(text) => return Some(text),
            _ => self.wrong(expected),
        }
        None
    }

    pub(super) fn boolean(&self) -> Option<bool> {
        match &self.node.value {
            Value::Bool(value) => return Some(*value),
            _ => self.wrong("true or false"),
        }
        None
    }

    /// A whole number in `range`; `what` names it with its unit.
    pub(super) fn integer(&self, what: &str, range: RangeInclusive<u64>) -> Option<u64> {
        match &self.node.value {
            Value::Number(number) if number.as_u64().is_some_and(|value| range.contains(&value)) => {
                return number.as_u64();
            }
            _ => self.wrong(&format!("{what} from {} to {}", range.start(), range.end())),
        }
        None
    }

    /// One of a few words. `later` are words that Crossbar.io knows and Crosspoint does not yet.
    pub(super) fn choice<T: Copy>(&self, choices: &[(&str, T)], later: &[&str]) -> Option<T> {
        let words = || choices.iter().map(|(word, _)| *word);
        let expected = format!("one of {}", quoted(words()));
        let text = self.text(&expected)?;
        let found = choices
            .iter()
            .find(|(word, _)| *word == text)
            .map(|(_, value)| *value);
        if found.is_none() {
            if later.contains(&text) {
                self.not_yet(&format!("expected {expected}"));
            } else if let Some(near) = nearest(text, words().chain(later.iter().copied())) {
                self.wrong(&format!("{expected}; did you mean {near:?}?"));
            } else {
                self.wrong(&expected);
            }
        }
        found
    }

    /// The items of a list; `of` names what it holds. No items after a complaint.
    pub(super) fn items(&self, of: &str) -> Vec<Self> {
        let Value::List(items) = &self.node.value else {
            self.wrong(&format!("a list of {of}"));
            return Vec::new();
        };
        let item = |(index, node)| Field {
            complaints: self.complaints,
            node,
            path: format!("{}[{index}]", self.path),
        };
        items.iter().enumerate().map(item).collect()
    }

    /// As [`items`](Self::items), of a list that must not be empty.
    pub(super) fn some_items(&self, of: &str) -> Vec<Self> {
        if self.node.value == Value::List(Vec::new()) {
            self.error(format!("found an empty list; expected at least one of: {of}"));
        }
        self.items(of)
    }

    /// The value of `key` if this is an object that has it, without a complaint if not.
    pub(super) fn peek(&self, key: &str) -> Option<Self> {
        match &self.node.value {
            Value::Map(entries) => Section {
                field: self.clone(),
                entries,
                known: Vec::new(),
            }
            .peek(key),
            _ => None,
        }
    }

    /// The keys of an object; `what` names it.
    pub(super) fn section(&self, what: &str) -> Option<Section<'a>> {
        let Value::Map(entries) = &self.node.value else {
            self.wrong(&format!("an object: {what}"));
            return None;
        };
        Some(Section {
            field: self.clone(),
            entries,
            known: Vec::new(),
        })
    }
}

/// An object whose keys are taken one by one; [`finish`](Self::finish) complains about those that nobody took.
pub(super) struct Section<'a> {
    /// The object as a value.
    pub(super) field: Field<'a>,
    entries: &'a [Entry],
    known: Vec<&'static str>,
}

impl<'a> Section<'a> {
    /// The value of `key`, if it is there.
    pub(super) fn get(&mut self, key: &'static str) -> Option<Field<'a>> {
        self.known.push(key);
        let entry = self.entries.iter().find(|entry| entry.key == key)?;
        Some(self.value(entry))
    }

    /// The value of `key` without taking it, for a remark on it as a whole.
    pub(super) fn peek(&self, key: &str) -> Option<Field<'a>> {
        let entry = self.entries.iter().find(|entry| entry.key == key)?;
        Some(self.value(entry))
    }

    /// The value of `key`, which must be there; `expected` says what it would be.
    pub(super) fn need(&mut self, key: &'static str, expected: &str) -> Option<Field<'a>> {
        let found = self.get(key);
        if found.is_none() {
            self.field
                .error(format!("the key {key:?} is missing; expected {expected}"));
        }
        found
    }

    /// Reads an optional key: `read` of its value, or `default`.
    pub(super) fn or<T>(
        &mut self,
        key: &'static str,
        default: T,
        read: impl FnOnce(&Field<'a>) -> Option<T>,
    ) -> T {
        self.get(key).and_then(|field| read(&field)).unwrap_or(default)
    }

    /// Keys of Crossbar.io that are not built yet. A value that asks for nothing (`false`, `[]`) is taken.
    pub(super) fn not_yet(&mut self, keys: &[&'static str]) {
        for key in keys {
            self.not_yet_but(key, "remove this key");
        }
    }

    /// As [`not_yet`](Self::not_yet), where merely to remove the key could do harm: `instead` says what to do. Whether the
    /// key asks for something.
    pub(super) fn not_yet_but(&mut self, key: &'static str, instead: &str) -> bool {
        let field = self.get(key).filter(|field| !field.node.asks_for_nothing());
        if let Some(field) = &field {
            field.error(format!("{key:?} is not supported yet; {instead}"));
        }
        field.is_some()
    }

    /// A switch of Crossbar.io that Crosspoint has in one position only.
    pub(super) fn only(&mut self, key: &'static str, value: bool, why: &str) {
        if let Some(field) = self.get(key)
            && field.boolean().is_some_and(|found| found != value)
        {
            field.wrong(&format!("{value}, since {why}"));
        }
    }

    /// All entries of an object with free keys.
    pub(super) fn entries(&self) -> Vec<(&'a str, Field<'a>)> {
        self.entries
            .iter()
            .map(|entry| (entry.key.as_str(), self.value(entry)))
            .collect()
    }

    /// An error about a key of an object with free keys.
    pub(super) fn wrong_key(&self, key: &str, message: String) {
        if let Some(entry) = self.entries.iter().find(|entry| entry.key == key) {
            self.field
                .complaints
                .add(Severity::Error, entry.key_at, &self.value(entry).path, message);
        }
    }

    /// Complains about every key that was not taken.
    pub(super) fn finish(self) {
        for entry in self
            .entries
            .iter()
            .filter(|entry| !self.known.contains(&entry.key.as_str()))
        {
            let absent = self
                .known
                .iter()
                .copied()
                .filter(|key| self.entries.iter().all(|other| other.key != *key));
            let hint = match nearest(&entry.key, absent) {
                Some(near) => format!("did you mean {near:?}?"),
                None => format!("expected one of {}", quoted(self.known.iter().copied())),
            };
            self.wrong_key(&entry.key, format!("unknown key {:?}; {hint}", entry.key));
        }
    }

    fn value(&self, entry: &'a Entry) -> Field<'a> {
        let plain = entry
            .key
            .chars()
            .all(|c| c.is_alphanumeric() || matches!(c, '_' | '-'));
        let path = match (self.field.path.as_str(), plain) {
            ("", _) => entry.key.clone(),
            (parent, true) => format!("{parent}.{}", entry.key),
            (parent, false) => format!("{parent}[{:?}]", entry.key),
        };
        Field {
            complaints: self.field.complaints,
            node: &entry.value,
            path,
        }
    }
}

fn quoted<'a>(words: impl Iterator<Item = &'a str>) -> String {
    words
        .map(|word| format!("{word:?}"))
        .collect::<Vec<_>>()
        .join(", ")
}
