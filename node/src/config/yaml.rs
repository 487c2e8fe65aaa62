//! YAML 1.2 (core schema) into the tree.
//!
//! The file must have the shape of the JSON format: one document, text keys, finite numbers. Anchors and aliases
//! work; other tags than `!!str` do not.

use std::collections::HashMap;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, Span};

use super::tree::{Entry, Node, Position, SyntaxError, Value, push_unique};

/// Values that a file may hold once its aliases are written out: far above any configuration, far below what a
/// chain of aliases could otherwise grow to.
const MOST_VALUES: usize = 100_000;

/// How deep lists and objects may nest.
const DEEPEST: usize = 128;

/// Reads a YAML stream of one document.
pub(super) fn parse(text: &str) -> Result<Node, SyntaxError> {
    let mut reader = Reader {
        parser: Parser::new_from_str(text),
        anchors: HashMap::new(),
        values: 0,
    };
    let mut root = None;
    loop {
        let (event, span) = reader.next()?;
        match event {
            Event::StreamEnd => break,
            Event::Nothing | Event::StreamStart | Event::DocumentStart(_) | Event::DocumentEnd => {}
            _ if root.is_some() => {
                return Err(fault(
                    span.start,
                    "a second document; expected one document in the file",
                ));
            }
            event => root = Some(reader.node(event, span, 0)?),
        }
    }
    root.ok_or_else(|| SyntaxError {
        at: Position { line: 1, column: 1 },
        message: "the file is empty; expected an object".to_owned(),
    })
}

struct Reader<'a> {
    parser: Parser<'a, saphyr_parser::StrInput<'a>>,
    /// Values that an alias may repeat, with the number of values in each.
    anchors: HashMap<usize, (Node, usize)>,
    values: usize,
}

impl<'a> Reader<'a> {
    fn next(&mut self) -> Result<(Event<'a>, Span), SyntaxError> {
        match self.parser.next_event() {
            Some(Ok(event)) => Ok(event),
            Some(Err(error)) => Err(fault(
                *error.marker(),
                &format!("not valid YAML: {}", error.info()),
            )),
            None => Ok((Event::StreamEnd, Span::default())),
        }
    }

    fn node(&mut self, event: Event<'a>, span: Span, depth: usize) -> Result<Node, SyntaxError> {
        if depth > DEEPEST {
            return Err(fault(span.start, &format!("nested deeper than {DEEPEST} levels")));
        }
        self.count(1, span)?;
        let before = self.values;
        let at = position(span.start);
        let (value, anchor) = match event {
            Event::Alias(anchor) => {
                let (node, values) = self
                    .anchors
                    .get(&anchor)
                    .cloned()
                    .ok_or_else(|| fault(span.start, "an alias inside the value that it names"))?;
                self.count(values, span)?;
                (node.value, 0)
            }
            Event::Scalar(text, style, anchor, tag) => {
                let text_only = tag
                    .as_ref()
                    .is_some_and(|tag| tag.is_yaml_core_schema() && tag.suffix == "str");
                if tag.is_some() && !text_only {
                    return Err(fault(
                        span.start,
                        "a tag; expected a plain value (only !!str is understood)",
                    ));
                }
                let plain = style == ScalarStyle::Plain && !text_only;
                (
                    if plain {
                        scalar(&text, span.start)?
                    } else {
                        Value::Text(text.into_owned())
                    },
                    anchor,
                )
            }
            Event::SequenceStart(anchor, None) => {
                let mut items = Vec::new();
                loop {
                    match self.next()? {
                        (Event::SequenceEnd, _) => break (Value::List(items), anchor),
                        (event, span) => items.push(self.node(event, span, depth + 1)?),
                    }
                }
            }
            Event::MappingStart(anchor, None) => (self.map(depth)?, anchor),
            other => {
                return Err(fault(
                    span.start,
                    &format!("unexpected in a configuration: {other:?}"),
                ));
            }
        };
        let node = Node { value, at };
        if anchor > 0 {
            self.anchors.insert(anchor, (node.clone(), self.values - before));
        }
        Ok(node)
    }

    fn map(&mut self, depth: usize) -> Result<Value, SyntaxError> {
        let mut entries = Vec::new();
        loop {
            let (key, key_at) = match self.next()? {
                (Event::MappingEnd, _) => return Ok(Value::Map(entries)),
                (Event::Scalar(text, ..), span) => (text.into_owned(), position(span.start)),
                (_, span) => return Err(fault(span.start, "a key that is not text")),
            };
            let (event, span) = self.next()?;
            let value = self.node(event, span, depth + 1)?;
            push_unique(&mut entries, Entry { key, key_at, value })?;
        }
    }

    fn count(&mut self, more: usize, span: Span) -> Result<(), SyntaxError> {
        self.values += more;
        if self.values > MOST_VALUES {
            return Err(fault(
                span.start,
                &format!("more than {MOST_VALUES} values, aliases written out"),
            ));
        }
        Ok(())
    }
}

/// What a plain (unquoted) scalar means by YAML's core schema.
fn scalar(text: &str, at: Marker) -> Result<Value, SyntaxError> {
    let integer = |digits: &str, radix| i64::from_str_radix(digits, radix).ok().map(|value| value.into());
    let number = if let Some(digits) = text.strip_prefix("0x") {
        integer(digits, 16)
    } else if let Some(digits) = text.strip_prefix("0o") {
        integer(digits, 8)
    } else if text.starts_with(|first: char| first.is_ascii_digit() || matches!(first, '+' | '-' | '.')) {
        // i64 takes leading zeros and a plus sign as YAML does; what is left may be a float.
        integer(text, 10).or_else(|| text.parse().ok().and_then(serde_json::Number::from_f64))
    } else {
        None
    };
    Ok(match text {
        "" | "~" | "null" | "Null" | "NULL" => Value::Null,
        "true" | "True" | "TRUE" => Value::Bool(true),
        "false" | "False" | "FALSE" => Value::Bool(false),
        ".inf" | "-.inf" | "+.inf" | ".nan" => return Err(fault(at, "a number that is not finite")),
        _ => number.map_or_else(|| Value::Text(text.to_owned()), Value::Number),
    })
}

fn position(marker: Marker) -> Position {
    // The parser counts lines from 1 and columns from 0.
    Position {
        line: marker.line(),
        column: marker.col() + 1,
    }
}

fn fault(at: Marker, message: &str) -> SyntaxError {
    SyntaxError {
        at: position(at),
        message: message.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_shape_as_json() {
        let yaml =
            parse("version: 2\nworkers:\n- type: router\n  ids: [0x1F, -7, 1.5, ~, true, \"2\", yes]\n")
                .unwrap();
        let json = serde_json::json!({
            "version": 2,
            "workers": [{"type": "router", "ids": [31, -7, 1.5, null, true, "2", "yes"]}],
        });
        assert_eq!(yaml.to_json(), json);
        let Value::Map(entries) = &yaml.value else {
            panic!("{yaml:?}")
        };
        assert_eq!(entries[1].key_at, Position { line: 2, column: 1 });
        let Value::List(workers) = &entries[1].value.value else {
            panic!("{yaml:?}")
        };
        assert_eq!(workers[0].at, Position { line: 3, column: 3 });
    }

    #[test]
    fn an_alias_repeats_its_anchor() {
        let yaml = parse("a: &x {b: [1, 2]}\nc: *x\n").unwrap();
        assert_eq!(
            yaml.to_json(),
            serde_json::json!({"a": {"b": [1, 2]}, "c": {"b": [1, 2]}})
        );
    }

    #[test]
    fn what_json_cannot_say_is_refused_with_its_place() {
        for (text, line, what) in [
            ("a: 1\na: 2\n", 2, "twice"),
            ("a: .inf\n", 1, "finite"),
            ("a: 1\n---\nb: 2\n", 3, "second document"),
            ("? [1]\n: 2\n", 1, "not text"),
            ("a: !include other.yaml\n", 1, "tag"),
            ("a: [1\n", 2, "YAML"),
            ("", 1, "empty"),
        ] {
            let error = parse(text).expect_err(text);
            assert_eq!(error.at.line, line, "{text}: {}", error.message);
            assert!(error.message.contains(what), "{text}: {}", error.message);
        }
    }

    #[test]
    fn a_bomb_of_aliases_or_depth_is_an_error() {
        let mut text = "l0: &l0 [1,1,1,1,1,1,1,1,1,1]\n".to_owned();
        for level in 1..12 {
            let aliases = vec![format!("*l{}", level - 1); 10].join(",");
            text += &format!("l{level}: &l{level} [{aliases}]\n");
        }
        assert!(parse(&text).unwrap_err().message.contains("more than"));
        assert!(parse(&"[".repeat(10_000)).is_err());
    }
}
