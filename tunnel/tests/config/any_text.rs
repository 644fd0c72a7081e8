//! No text makes the reader panic, and every mistake has its place.

use super::support::Folder;
use proptest::prelude::*;
use std::path::Path;
use tidegate::config::{Configuration, SECTIONS};

const EXAMPLE: &str = include_str!("../../tidegate.example.toml");

fn read(text: &str) {
    // The folder is empty: what files hold is not in question here.
    let path = Path::new("/nonexistent/tidegate.toml");
    if let Err(mistakes) = Configuration::from_text(text, path) {
        assert!(!mistakes.all.is_empty());
        let lines = text.matches('\n').count() + 1;
        for mistake in &mistakes.all {
            assert!((1..=lines).contains(&mistake.place.line) && mistake.place.column >= 1, "{mistake}");
            assert!(!mistake.fault.to_string().is_empty() && !mistake.fault.remedy().is_empty());
        }
    }
}

/// A value of any kind, right or wrong.
fn value() -> impl Strategy<Value = String> {
    let words = prop::sample::select(vec![
        "10.0.0.0/8",
        "::/0",
        "0.0.0.0-255.255.255.255",
        "1h30m",
        "never",
        "1e308s",
        ".s",
        "99999999999999999d",
        "dynamic",
        "dynamic[",
        "aes128gcm16-prfsha256-x25519",
        "-",
        ",",
        "CN=a",
        "%any",
        "*",
        "@#",
        "{9}:#",
        "",
        "\u{e9}\u{1F600}",
        "a=b=c",
    ]);
    prop_oneof![
        words.clone().prop_map(|word| format!("{word:?}")),
        prop::collection::vec(words, 0..4).prop_map(|words| format!("{words:?}")),
        any::<i64>().prop_map(|number| number.to_string()),
        any::<f64>().prop_filter("TOML has it", |it| it.is_finite()).prop_map(|number| format!("{number:?}")),
        prop::sample::select(vec![
            "true",
            "0xffffffffffffffffffff",
            "1979-05-27",
            "{}",
            "{ first = 1 }",
            "[[], {}]",
            "nan",
            "-inf"
        ])
        .prop_map(str::to_owned),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn of_any_text(text in any::<String>()) {
        read(&text);
    }

    #[test]
    fn of_the_example_with_any_mutation(
        cuts in prop::collection::vec((0usize..EXAMPLE.len(), 0usize..40, "[\\x00-\\x7fé\u{1F600}]{0,5}"), 1..4),
        bare in any::<bool>(),
    ) {
        let mut text = if bare { EXAMPLE.replace("\n#", "\n") } else { EXAMPLE.to_owned() };
        for (at, length, with) in cuts {
            let floor = |mut at: usize, text: &str| { while !text.is_char_boundary(at) { at -= 1; } at };
            let start = floor(at.min(text.len()), &text);
            let end = floor((start + length).min(text.len()), &text).max(start);
            text.replace_range(start..end, &with);
        }
        read(&text);
    }

    #[test]
    fn of_any_value_for_any_key(
        keys in prop::collection::vec((0usize..SECTIONS.len(), any::<prop::sample::Index>(), value()), 1..30),
    ) {
        let mut text = String::from("[node]\nname = \"a\"\n");
        let mut seen = std::collections::BTreeSet::new();
        for (section, key, value) in keys {
            let section = SECTIONS[section];
            let key = section.keys[key.index(section.keys.len())];
            let array = matches!(section.path, "peer" | "community" | "pool" | "connection" | "connection.child");
            match (section.path, array) {
                ("", _) | ("node", _) => continue,
                (path, true) => text += &format!("[[{path}]]\nname = \"n\"\n{}{key} = {value}\n", if key == "name" { "#" } else { "" }),
                (path, false) if path.starts_with("node") && seen.insert(path) => text += &format!("[{path}]\n{key} = {value}\n"),
                (path, false) if path.starts_with("connection") => text += &format!("[[connection]]\nname = \"c\"\n[{path}]\n{key} = {value}\n"),
                _ => {}
            }
        }
        read(&text);
    }
}

#[test]
fn a_file_that_is_a_folder_or_endless_is_refused() {
    let folder = Folder::new();
    assert!(Configuration::load(&folder.path(".")).is_err());
    assert!(Configuration::load(Path::new("/dev/zero")).is_err());
}
