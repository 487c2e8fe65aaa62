//! Strict JSON (RFC 8259) into the tree.

use jsonc_parser::ast::{ObjectPropName, Value as Parsed};
use jsonc_parser::common::Ranged;
use jsonc_parser::{CollectOptions, ParseOptions, parse_to_ast};

use super::tree::{Entry, Node, Position, SyntaxError, Value, push_unique};

/// Plain JSON: none of the liberties that the parser would allow for editors' files.
const STRICT: ParseOptions = ParseOptions {
    allow_comments: false,
    allow_loose_object_property_names: false,
    allow_trailing_commas: false,
    allow_missing_commas: false,
    allow_single_quoted_strings: false,
    allow_hexadecimal_numbers: false,
    allow_unary_plus_numbers: false,
    allow_bare_decimal_point_numbers: false,
    allow_non_finite_numbers: false,
    allow_extended_string_escapes: false,
};

/// Reads a JSON document.
pub(super) fn parse(text: &str) -> Result<Node, SyntaxError> {
    let parsed = parse_to_ast(text, &CollectOptions::default(), &STRICT).map_err(|error| SyntaxError {
        at: Position::of_offset(text, error.range().start),
        message: format!("not valid JSON: {}", error.kind()),
    })?;
    match parsed.value {
        Some(value) => node(text, &value),
        None => Err(SyntaxError {
            at: Position { line: 1, column: 1 },
            message: "the file is empty; expected a JSON object".to_owned(),
        }),
    }
}

fn node(text: &str, parsed: &Parsed<'_>) -> Result<Node, SyntaxError> {
    let at = Position::of_offset(text, parsed.range().start);
    let value = match parsed {
        Parsed::NullKeyword(_) => Value::Null,
        Parsed::BooleanLit(literal) => Value::Bool(literal.value),
        Parsed::StringLit(literal) => Value::Text(literal.value.clone().into_owned()),
        Parsed::NumberLit(literal) => Value::Number(literal.value.parse().map_err(|_| SyntaxError {
            at,
            message: format!("not valid JSON: {} is not a number", literal.value),
        })?),
        Parsed::Array(array) => Value::List(
            array
                .elements
                .iter()
                .map(|item| node(text, item))
                .collect::<Result<_, _>>()?,
        ),
        Parsed::Object(object) => {
            let mut entries = Vec::with_capacity(object.properties.len());
            for property in &object.properties {
                let key = match &property.name {
                    ObjectPropName::String(name) => name.value.clone().into_owned(),
                    ObjectPropName::Word(name) => name.value.to_owned(),
                };
                let key_at = Position::of_offset(text, property.name.range().start);
                push_unique(
                    &mut entries,
                    Entry {
                        key,
                        key_at,
                        value: node(text, &property.value)?,
                    },
                )?;
            }
            Value::Map(entries)
        }
    };
    Ok(Node { value, at })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_count_lines_and_characters_from_one() {
        let tree = parse("{\n  \"ä\": {\"port\": 80}}").unwrap();
        let Value::Map(outer) = &tree.value else {
            panic!("{tree:?}")
        };
        assert_eq!(outer[0].key_at, Position { line: 2, column: 3 });
        let Value::Map(inner) = &outer[0].value.value else {
            panic!("{tree:?}")
        };
        assert_eq!(inner[0].value.at, Position { line: 2, column: 17 });
        assert_eq!(inner[0].value.value, Value::Number(80.into()));
    }

    #[test]
    fn liberties_of_other_dialects_are_refused_with_their_place() {
        for (text, line, column) in [
            ("{\"a\": 1,}", 1, 8),
            ("{\n // note\n \"a\": 1}", 2, 2),
            ("{'a': 1}", 1, 2),
            ("{\"a\": 0x10}", 1, 7),
            ("{\"a\": 1 \"b\": 2}", 1, 8),
            ("{\"a\": 1}\n{}", 2, 1),
            ("{\"a\": 1, \"b\": 2, \"a\": 3}", 1, 18),
            ("{\"a\": 01}", 1, 8),
            ("", 1, 1),
            ("{\"a\": ", 1, 7),
        ] {
            let error = parse(text).expect_err(text);
            assert_eq!(
                (error.at.line, error.at.column),
                (line, column),
                "{text}: {}",
                error.message
            );
        }
    }

    #[test]
    fn a_depth_bomb_is_an_error() {
        let error = parse(&"[".repeat(1_000_000)).unwrap_err();
        assert!(error.message.contains("nest"), "{}", error.message);
    }
}
