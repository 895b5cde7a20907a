//! Restoring a redacted text gives back the text, whatever stands in it.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::sync::LazyLock;

use proptest::prelude::*;

use super::*;
use crate::{
    Engine, GuardrailsConfig,
    keys::tests::{config, keys},
    operator::OperatorSpec,
    policy::Terms,
};

static ENGINE: LazyLock<Engine> = LazyLock::new(|| {
    Engine::new(&GuardrailsConfig {
        keys: vec![config("k1", "s")],
        ..GuardrailsConfig::default()
    })
    .unwrap()
});

fn plan(operators: &[(&str, &str)]) -> Plan {
    let operators = operators
        .iter()
        .map(|(kind, name)| ((*kind).to_owned(), OperatorSpec::named(*name)));
    let terms = Terms {
        operators: operators.collect(),
        ..Terms::default()
    };
    ENGINE.control().policies().plan(&terms).unwrap()
}

/// A finding for each of these words, wherever it stands alone or not.
fn findings(text: &str) -> Vec<Finding> {
    let mut found: Vec<Finding> = Vec::new();
    for (word, kind) in [
        ("Ada Lovelace", "PERSON"),
        ("ADA LOVELACE", "PERSON"),
        ("Ada", "PERSON"),
        ("1234", "PHONE"),
    ] {
        for (start, _) in text.match_indices(word) {
            let end = start + word.len();
            if found
                .iter()
                .all(|it| it.end_byte <= start || end <= it.start_byte)
            {
                found.push(Finding {
                    kind: kind.into(),
                    detector: kind.to_lowercase().into(),
                    start_byte: start,
                    end_byte: end,
                    start_char: 0,
                    end_char: 0,
                    score: 1.0,
                    reasons: Vec::new(),
                });
            }
        }
    }
    found.sort_by_key(|it| it.start_byte);
    found
}

struct Session(Vec<Entry>);

impl Session {
    /// Redacts within this session, and says what restoring gives.
    fn turn(&mut self, plan: &Plan, text: &str) -> (String, String) {
        let findings = findings(text);
        let decision = Decision::new(plan, &findings);
        let keys = keys("t");
        let job = Job {
            plan: Arc::new(plan.clone()),
            keys: keys.clone(),
            text: text.into(),
            findings: findings.into(),
            decision: Arc::new(decision),
            year: 2026,
        };
        let written = job.reversibly("s", &self.0).unwrap();
        self.0.extend(written.fresh);
        let restored = Restorer::new(&self.0, Some(&keys)).restore(&written.text).0;
        (written.text, restored)
    }
}

/// What a first turn writes in place of a value.
fn surrogate(value: &str) -> String {
    Session(Vec::new())
        .turn(&plan(&[("*", "pseudonym")]), value)
        .0
}

/// Values, surrogates that stand in the text by themselves, and what glues to them.
fn texts() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        3 => prop::sample::select(vec!["Ada Lovelace", "ADA LOVELACE", "Ada", "1234"]).prop_map(str::to_owned),
        2 => prop::sample::select(vec!["Ada Lovelace", "Ada", "1234"]).prop_map(surrogate),
        3 => "[ A-C1-4<>a-zé]{0,3}",
        1 => any::<String>(),
    ];
    prop::collection::vec(piece, 0..8).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn restoring_what_was_redacted_gives_back_the_text(
        turns in prop::collection::vec(texts(), 1..4),
        operator in prop::sample::select(vec!["pseudonym", "encrypt"]),
    ) {
        let plan = plan(&[("*", "pseudonym"), ("PHONE", operator)]);
        let mut session = Session(Vec::new());
        for text in turns {
            let (written, restored) = session.turn(&plan, &text);
            prop_assert_eq!(&restored, &text, "{}", written);
        }
    }

    #[test]
    fn what_is_irreversible_stays_and_the_rest_comes_back(text in texts()) {
        let plan = plan(&[("PERSON", "pseudonym"), ("PHONE", "label")]);
        let (_, restored) = Session(Vec::new()).turn(&plan, &text);
        let mut expected = text.clone();
        for finding in findings(&text).iter().rev().filter(|it| it.kind == "PHONE") {
            expected.replace_range(finding.start_byte..finding.end_byte, "<PHONE>");
        }
        prop_assert_eq!(restored, expected);
    }

    #[test]
    fn no_value_is_left_in_what_was_redacted(text in "(Ada Lovelace|[ .,]|xyz){0,12}") {
        let (written, _) = Session(Vec::new()).turn(&plan(&[("*", "pseudonym")]), &text);
        prop_assert!(!written.contains("Lovelace"), "{}", written);
    }
}

#[test]
fn one_person_keeps_one_surrogate_through_a_session() {
    let plan = plan(&[("*", "pseudonym")]);
    let mut session = Session(Vec::new());
    let first = session.turn(&plan, "Ada Lovelace").0;
    assert_eq!(session.turn(&plan, "Ada Lovelace").0, first);
    assert_eq!(session.turn(&plan, "ADA LOVELACE").0, first.to_uppercase());
    assert_eq!(session.0.len(), 2);
}

#[test]
fn session_ids_are_short_and_plain() {
    assert!(is_session_id("chat-7:a_b.C"));
    for id in ["", "a b", "é", &"a".repeat(129)] {
        assert!(!is_session_id(id), "{id}");
    }
}
