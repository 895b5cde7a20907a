//! What recognizers of one's own find, and what about them is refused.

#![allow(clippy::unwrap_used, reason = "tests")]

use proptest::prelude::*;

use super::*;

fn recognizer(patterns: &[&str]) -> RecognizerSpec {
    RecognizerSpec {
        name: "employee_id".into(),
        patterns: patterns.iter().map(|it| (*it).to_owned()).collect(),
        context: vec!["employee".into(), "staff number".into()],
        score: 0.4,
        context_score: 0.9,
        validator: String::new(),
    }
}

fn deny(terms: &[&str]) -> DenySpec {
    DenySpec {
        name: "project".into(),
        terms: terms.iter().map(|it| (*it).to_owned()).collect(),
        case_sensitive: false,
        score: 1.0,
    }
}

fn build(recognizers: &[RecognizerSpec], deny: &[DenySpec]) -> Result<Recognizers, CustomError> {
    Recognizers::new(recognizers, deny, &Limits::REQUESTED)
}

fn found<'t>(built: &Recognizers, text: &'t str) -> Vec<(&'t str, f64)> {
    let hits = built.find(text).unwrap();
    hits.iter()
        .map(|hit| (&text[hit.start..hit.end], hit.score))
        .collect()
}

#[test]
fn a_word_of_context_raises_the_score() {
    let built = build(&[recognizer(&["E[0-9]{5}"])], &[]).unwrap();
    assert_eq!(found(&built, "E12345 left"), [("E12345", 0.4)]);
    assert_eq!(found(&built, "Employee E12345 left"), [("E12345", 0.9)]);
    assert_eq!(found(&built, "E12345, his STAFF number"), [("E12345", 0.9)]);
    assert_eq!(found(&built, "employees E12345"), [("E12345", 0.4)]);
}

#[test]
fn a_validator_has_the_last_word() {
    let mut spec = recognizer(&["[0-9]{8}"]);
    spec.validator = "luhn".into();
    let built = build(&[spec], &[]).unwrap();
    assert_eq!(found(&built, "12345674 and 12345675"), [("12345674", 0.4)]);
    let hits = built.find("12345674").unwrap();
    assert_eq!(hits[0].reasons, ["pattern:custom", "luhn"]);
}

#[test]
fn a_denied_term_is_found_as_a_whole_word_in_any_case() {
    let built = build(&[], &[deny(&["Bluebird", "C++", "größe"])]).unwrap();
    let text = "bluebird BLUEBIRD bluebirds C++, Größe Größen";
    let words: Vec<&str> = found(&built, text).iter().map(|(word, _)| *word).collect();
    assert_eq!(words, ["bluebird", "BLUEBIRD", "C++", "Größe"]);
}

#[test]
fn what_is_not_accepted_is_named_by_its_field() {
    let field = |recognizers: &[RecognizerSpec], lists: &[DenySpec]| {
        build(recognizers, lists).unwrap_err().field
    };
    let with = |change: fn(&mut RecognizerSpec)| {
        let mut spec = recognizer(&["a"]);
        change(&mut spec);
        spec
    };
    for (spec, wrong) in [
        (recognizer(&[]), "recognizers[0].patterns"),
        (recognizer(&["a", "(b"]), "recognizers[0].patterns[1]"),
        (recognizer(&["a{200}{200}"]), "recognizers[0].patterns[0]"),
        (
            recognizer(&[r"(\w{1,64}){1,64}"]),
            "recognizers[0].patterns[0]",
        ),
        (
            with(|it| it.patterns = vec!["a".repeat(513)]),
            "recognizers[0].patterns[0]",
        ),
        (
            with(|it| it.name = "Employee".into()),
            "recognizers[0].name",
        ),
        (with(|it| it.name = "email".into()), "recognizers[0].name"),
        (with(|it| it.score = 1.5), "recognizers[0].score"),
        (
            with(|it| it.context_score = f64::NAN),
            "recognizers[0].context_score",
        ),
        (
            with(|it| it.validator = "psychic".into()),
            "recognizers[0].validator",
        ),
        (
            with(|it| it.context = vec![String::new()]),
            "recognizers[0].context[0]",
        ),
    ] {
        assert_eq!(field(&[spec], &[]), wrong);
    }
    let many = vec![recognizer(&["a"]); 17];
    assert_eq!(field(&many, &[]), "recognizers");
    assert_eq!(
        field(&vec![recognizer(&["a"]); 2], &[]),
        "recognizers[1].name"
    );
    assert_eq!(field(&[], &[deny(&[])]), "deny[0].terms");
    assert_eq!(field(&[], &[deny(&["a", ""])]), "deny[0].terms[1]");
    assert_eq!(field(&[], &[deny(&["a"; 257])]), "deny");
    let allow = AllowList::new(&[String::new()], &Limits::REQUESTED);
    assert_eq!(allow.unwrap_err().field, "allow[0]");
}

#[test]
fn an_allowed_value_is_let_through_whatever_its_capitals() {
    let list = AllowList::new(&["Info@Example.com".into()], &Limits::REQUESTED).unwrap();
    assert!(list.allows("info@EXAMPLE.com"));
    assert!(!list.allows("bob@example.com"));
}

proptest! {
    #[test]
    fn any_pattern_and_any_text_end_in_an_answer(
        pattern in any::<String>(), text in any::<String>(),
    ) {
        if let Ok(built) = build(&[recognizer(&[pattern.as_str()])], &[]) {
            for hit in built.find(&text).unwrap() {
                prop_assert!(text.get(hit.start..hit.end).is_some_and(|it| !it.is_empty()));
            }
        }
    }
}
