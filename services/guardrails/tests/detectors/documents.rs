//! The documents about detectors say what the detectors are.

use std::collections::BTreeSet;

use crate::support::{ENGINE, findings_of};

const DETECTORS: &str = include_str!("../../../../docs/guardrails/detectors.md");
const HIPAA: &str = include_str!("../../../../docs/guardrails/hipaa.md");

/// The cells of a table's rows, without its head.
fn rows(text: &str) -> Vec<Vec<String>> {
    let cells = |line: &str| -> Vec<String> {
        let line = line.trim_matches('|').replace(r"\|", "\u{1}");
        line.split('|')
            .map(|cell| cell.trim().replace('\u{1}', "|"))
            .collect()
    };
    text.lines()
        .filter(|line| line.starts_with("| `") || line.starts_with("| ("))
        .map(cells)
        .collect()
}

fn in_code(cell: &str) -> Vec<String> {
    cell.split('`')
        .skip(1)
        .step_by(2)
        .map(str::to_owned)
        .collect()
}

#[test]
fn the_table_lists_every_detector_as_it_is_and_its_example_is_found() {
    let (_, table) = DETECTORS.split_once("## All detectors").unwrap();
    let rows = rows(table);
    let known: Vec<_> = ENGINE.detectors().collect();
    let names: Vec<String> = rows.iter().map(|row| in_code(&row[0])[0].clone()).collect();
    let registered: Vec<&str> = known.iter().map(|detector| detector.name).collect();
    assert_eq!(names, registered, "rows follow the registry");
    for (row, detector) in rows.iter().zip(known) {
        let [_, kind, default_on, example, description] = row.as_slice() else {
            panic!("five cells: {row:?}");
        };
        assert_eq!(in_code(kind), [detector.kind]);
        assert_eq!(
            default_on,
            if detector.default_on { "yes" } else { "no" },
            "{}",
            detector.name
        );
        assert_eq!(description, detector.description, "{}", detector.name);
        let example = in_code(example)[0].replace("\\n", "\n");
        let found = findings_of(detector.name, &example);
        assert_eq!(found.len(), 1, "{}: {example}", detector.name);
    }
}

#[test]
fn hipaa_names_eighteen_identifiers_and_only_detectors_that_exist() {
    let rows = rows(HIPAA);
    assert_eq!(rows.len(), 18);
    let known: BTreeSet<&str> = ENGINE.detectors().map(|detector| detector.name).collect();
    for (row, letter) in rows.iter().zip('A'..) {
        let [identifier, detectors, example, note] = row.as_slice() else {
            panic!("four cells: {row:?}");
        };
        assert!(
            identifier.starts_with(&format!("({letter})")),
            "{identifier}"
        );
        let detectors = in_code(detectors);
        for name in &detectors {
            assert!(known.contains(name.as_str()), "{name} does not exist");
        }
        let in_text = !note.contains("Not in text") && !detectors.is_empty();
        for example in in_code(example).iter().filter(|_| in_text) {
            let found = detectors
                .iter()
                .any(|name| !findings_of(name, example).is_empty());
            assert!(found, "{identifier}: {example}");
        }
        assert!(
            !detectors.is_empty() || note.contains("Not in text"),
            "{identifier}"
        );
    }
}
