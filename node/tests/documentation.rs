//! Configurations in the documentation are as right as they look.
#![allow(clippy::unwrap_used)] // Helpers of tests may end a test.

use std::path::{Path, PathBuf};
use std::process::Command;

/// The fenced blocks of a page: their language, and the lines in between.
fn blocks(text: &str) -> Vec<(&str, String)> {
    let mut blocks = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if let Some(language) = line.strip_prefix("```") {
            let block: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
            blocks.push((language, block.join("\n")));
        }
    }
    blocks
}

fn pages() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let docs = std::fs::read_dir(root.join("docs")).unwrap();
    let docs = docs.map(|entry| entry.unwrap().path());
    docs.chain([root.join("README.md")])
        .filter(|path| path.extension().is_some_and(|extension| extension == "md"))
        .collect()
}

#[test]
fn whole_configurations_in_the_documentation_are_in_order() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::create_dir(directory.path().join("web")).unwrap();
    std::fs::write(directory.path().join("web/index.html"), "").unwrap();
    let mut checked = 0;
    for page in pages() {
        let text = std::fs::read_to_string(&page).unwrap();
        for (language, block) in blocks(&text) {
            let is_whole = match language {
                "json" => block.contains("\"version\": 2"),
                "yaml" => block.starts_with("version: 2"),
                _ => false,
            };
            if !is_whole {
                continue;
            }
            let file = directory.path().join(format!("config.{language}"));
            std::fs::write(&file, &block).unwrap();
            let output = Command::new(env!("CARGO_BIN_EXE_crosspoint"))
                .args(["check", "--config", file.to_str().unwrap()])
                .env("PORT", "8080")
                .env("RUNTIME_DIRECTORY", directory.path())
                .output()
                .unwrap();
            let complaints = String::from_utf8(output.stderr).unwrap();
            assert_eq!(complaints, "", "{}:\n{block}", page.display());
            assert!(output.status.success());
            checked += 1;
        }
    }
    assert!(checked >= 8, "found {checked} configurations only");
}
