//! That the documentation says what the checks take.

use serde_json::Value;

use super::good;

#[test]
fn the_documentation_names_every_supported_key() {
    fn keys(value: &Value, found: &mut Vec<String>) {
        match value {
            Value::Object(map) => map.iter().for_each(|(key, value)| {
                found.push(key.clone());
                keys(value, found);
            }),
            Value::Array(list) => list.iter().for_each(|value| keys(value, found)),
            _ => {}
        }
    }
    let text =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/configuration.md")).unwrap();
    let mut found = Vec::new();
    keys(&good(), &mut found);
    // What stands in objects with free keys: paths, an extension, a served value.
    let free = ["/", "ws", "info", "old", "poll", "deep", "er", ".RS", "a"];
    for key in found.iter().filter(|key| !free.contains(&key.as_str())) {
        let named = [format!("`{key}`"), format!(".{key}`"), format!("`{key}.")];
        assert!(
            named.iter().any(|name| text.contains(name)),
            "docs/configuration.md does not name {key:?}"
        );
    }
}
