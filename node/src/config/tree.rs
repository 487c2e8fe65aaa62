//! A configuration file as a tree of values that know where they stand.
//!
//! JSON and YAML are both read into this tree, so that the rules in [`check`](super::check) are written once and
//! every complaint can name a line.

/// A place in a file. Both numbers start at 1; the column counts characters, not bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Position {
    pub(crate) line: usize,
    pub(crate) column: usize,
}

impl Position {
    /// The place of the byte at `offset` in `text`.
    pub(crate) fn of_offset(text: &str, offset: usize) -> Self {
        let before = text.get(..offset).unwrap_or(text);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        Self {
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
        }
    }
}

/// One value and where it begins.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Node {
    pub(crate) value: Value,
    pub(crate) at: Position,
}

/// What a configuration file can hold: JSON's data model.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    Null,
    Bool(bool),
    Number(serde_json::Number),
    Text(String),
    List(Vec<Node>),
    /// In the order of the file; the readers have refused duplicate keys.
    Map(Vec<Entry>),
}

/// One key of a map with its value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) key_at: Position,
    pub(crate) value: Node,
}

/// Why a file could not be read into a tree at all.
#[derive(Debug, PartialEq)]
pub(crate) struct SyntaxError {
    pub(crate) at: Position,
    pub(crate) message: String,
}

impl Node {
    /// How a message names this value: its kind, and the value itself where that is short.
    pub(crate) fn describe(&self) -> String {
        const LONGEST_QUOTE: usize = 60;
        match &self.value {
            Value::Null => "null".to_owned(),
            Value::Bool(value) => format!("the boolean {value}"),
            Value::Number(value) => format!("the number {value}"),
            Value::Text(text) if text.chars().count() <= LONGEST_QUOTE => format!("the text {text:?}"),
            Value::Text(text) => {
                format!(
                    "the text {:?}",
                    text.chars().take(LONGEST_QUOTE).chain(['…']).collect::<String>()
                )
            }
            Value::List(items) => format!("a list of {}", items.len()),
            Value::Map(entries) => format!("an object with {} keys", entries.len()),
        }
    }

    /// Whether the value asks for nothing: `false` or `[]`. An empty object may well ask for defaults.
    pub(crate) fn asks_for_nothing(&self) -> bool {
        match &self.value {
            Value::Bool(value) => !value,
            Value::List(items) => items.is_empty(),
            Value::Null | Value::Number(_) | Value::Text(_) | Value::Map(_) => false,
        }
    }

    /// The same value without places.
    pub(crate) fn to_json(&self) -> serde_json::Value {
        match &self.value {
            Value::Null => serde_json::Value::Null,
            Value::Bool(value) => (*value).into(),
            Value::Number(value) => value.clone().into(),
            Value::Text(text) => text.as_str().into(),
            Value::List(items) => items.iter().map(Self::to_json).collect(),
            Value::Map(entries) => entries
                .iter()
                .map(|entry| (entry.key.clone(), entry.value.to_json()))
                .collect(),
        }
    }
}

/// Appends `entry` unless its key is there already.
pub(crate) fn push_unique(entries: &mut Vec<Entry>, entry: Entry) -> Result<(), SyntaxError> {
    match entries.iter().find(|other| other.key == entry.key) {
        None => {
            entries.push(entry);
            Ok(())
        }
        Some(first) => Err(SyntaxError {
            at: entry.key_at,
            message: format!(
                "the key {:?} stands here twice (first on line {}); keep one of them",
                entry.key, first.key_at.line
            ),
        }),
    }
}
