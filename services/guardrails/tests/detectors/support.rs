//! How the tests ask.

use std::sync::LazyLock;

use signalbox_guardrails::{Engine, Finding, GuardrailsConfig, Selection};

pub(crate) static ENGINE: LazyLock<Engine> =
    LazyLock::new(|| Engine::new(&GuardrailsConfig::default()).unwrap());

/// What the detectors that are on by default find.
pub(crate) fn findings(text: &str) -> Vec<Finding> {
    check(text, &Selection::default_on())
}

/// What the detector with this name finds by itself.
pub(crate) fn findings_of(detector: &str, text: &str) -> Vec<Finding> {
    check(text, &Selection::named(&[detector]).unwrap())
}

fn check(text: &str, selection: &Selection) -> Vec<Finding> {
    ENGINE.check(text, selection).unwrap().findings
}

/// In each text, `«` and `»` surround what must be found by default, as `kind` and as
/// nothing else.
#[track_caller]
pub(crate) fn finds(kind: &str, marked: &[&str]) {
    for marked in marked {
        expect(kind, marked, findings);
    }
}

/// The same for one detector, on by default or not.
#[track_caller]
pub(crate) fn detects(detector: &str, kind: &str, marked: &[&str]) {
    for marked in marked {
        expect(kind, marked, |text| findings_of(detector, text));
    }
}

#[track_caller]
fn expect(kind: &str, marked: &str, find: impl Fn(&str) -> Vec<Finding>) {
    let text = marked.replace(['«', '»'], "");
    let expected: Vec<&str> = marked
        .split('«')
        .skip(1)
        .map(|piece| piece.split('»').next().unwrap())
        .collect();
    let found = find(&text);
    let values: Vec<&str> = found
        .iter()
        .map(|finding| &text[finding.start_byte..finding.end_byte])
        .collect();
    assert_eq!(values, expected, "{text}: {found:?}");
    for finding in found {
        assert_eq!(finding.kind, kind, "{text}");
    }
}

/// Nothing is found by default.
#[track_caller]
pub(crate) fn leaves_alone(texts: &[&str]) {
    for text in texts {
        assert_eq!(findings(text), [], "{text}");
    }
}

/// This detector finds nothing.
#[track_caller]
pub(crate) fn ignores(detector: &str, texts: &[&str]) {
    for text in texts {
        assert_eq!(findings_of(detector, text), [], "{detector}: {text}");
    }
}

/// The reasons of the only finding.
#[track_caller]
pub(crate) fn reasons(detector: &str, text: &str) -> Vec<String> {
    let found = findings_of(detector, text);
    assert_eq!(found.len(), 1, "{text}: {found:?}");
    found[0].reasons.iter().map(ToString::to_string).collect()
}
