//! Laws that hold for every text.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::sync::LazyLock;

use proptest::prelude::*;
use signalbox_guardrails::{Engine, Finding, GuardrailsConfig, Redacted, Selection};

static ENGINE: LazyLock<Engine> =
    LazyLock::new(|| Engine::new(&GuardrailsConfig::default()).unwrap());

fn check(text: &str) -> Vec<Finding> {
    ENGINE
        .check(text, &Selection::default_on())
        .unwrap()
        .findings
}

fn redact(text: &str) -> Redacted {
    ENGINE.redact(text, &Selection::default_on()).unwrap()
}

/// Personal data, what resembles it, words of context and any other text, glued
/// together in any way.
fn texts() -> impl Strategy<Value = String> {
    let known = prop::sample::select(vec![
        "bob@example.com",
        "\"a b\"@example.org",
        "+44 20 7946 0958",
        "(415) 555-2671",
        "4155552671",
        "536-22-1234",
        "536221234",
        "4111 1111 1111 1111",
        "5555-5555-5555-4444",
        "378282246310005",
        "192.0.2.1",
        "2001:db8::1",
        "::",
        "phone",
        "call",
        "SSN",
        "version",
        "<PHONE>",
        "<EMAIL>",
        "\n\n",
        "é",
        "语",
    ]);
    let piece = prop_oneof![
        4 => known.prop_map(str::to_owned),
        2 => "[ .,:;()@+\\-x\"<>=/_]{1,3}",
        2 => "[0-9a-f:. \\-]{1,20}",
        1 => any::<String>(),
    ];
    prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

fn card() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(0u8..10, 15).prop_map(|mut digits| {
        digits[0] = 4;
        digits.push(0);
        let sum: u32 = digits
            .iter()
            .rev()
            .enumerate()
            .map(|(place, &digit)| {
                let weighted = u32::from(digit) * (1 + place as u32 % 2);
                weighted / 10 + weighted % 10
            })
            .sum();
        digits[15] = ((10 - sum % 10) % 10) as u8;
        digits
    })
}

fn as_text(digits: &[u8]) -> String {
    digits.iter().map(u8::to_string).collect()
}

fn cards_in(text: &str) -> usize {
    let found = check(text);
    found.iter().filter(|it| it.kind == "CREDIT_CARD").count()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn findings_are_sorted_apart_and_on_character_boundaries(text in texts()) {
        let found = check(&text);
        for finding in &found {
            prop_assert!(finding.start_byte < finding.end_byte);
            prop_assert!(text.get(finding.start_byte..finding.end_byte).is_some());
            prop_assert!((0.0..=1.0).contains(&finding.score));
            prop_assert!(finding.reasons[0].starts_with("pattern:"));
        }
        for pair in found.windows(2) {
            prop_assert!(pair[0].end_byte <= pair[1].start_byte);
        }
    }

    #[test]
    fn character_offsets_agree_with_char_indices(text in texts()) {
        let char_at = |byte| text.char_indices().take_while(|(at, _)| *at < byte).count();
        for finding in check(&text) {
            prop_assert_eq!(finding.start_char, char_at(finding.start_byte));
            prop_assert_eq!(finding.end_char, char_at(finding.end_byte));
        }
    }

    #[test]
    fn redaction_is_the_text_with_its_spans_replaced(text in texts()) {
        let redacted = redact(&text);
        prop_assert_eq!(&redacted.findings, &check(&text));
        let mut expected = text.clone();
        for finding in redacted.findings.iter().rev() {
            let label = format!("<{}>", finding.kind);
            expected.replace_range(finding.start_byte..finding.end_byte, &label);
        }
        prop_assert_eq!(redacted.text, expected);
    }

    #[test]
    fn nothing_is_found_inside_the_labels_that_redaction_wrote(text in texts()) {
        let redacted = redact(&text);
        // Where each label went: spans shift by what earlier replacements changed.
        let mut shift = 0_isize;
        let mut labels = Vec::new();
        for finding in &redacted.findings {
            let start = finding.start_byte.strict_add_signed(shift);
            let length = finding.kind.len() + 2;
            labels.push(start..start + length);
            shift += length as isize - (finding.end_byte - finding.start_byte) as isize;
        }
        for finding in check(&redacted.text) {
            for label in &labels {
                prop_assert!(
                    finding.end_byte <= label.start || label.end <= finding.start_byte,
                    "{:?} reaches into a label of {:?}", finding, redacted.text
                );
            }
        }
    }

    #[test]
    fn any_text_at_all_is_checked_without_a_fault(text in any::<String>()) {
        check(&text);
    }

    #[test]
    fn a_card_is_found_until_any_one_digit_changes(
        digits in card(),
        place in 0usize..16,
        change in 1u8..10,
    ) {
        prop_assert_eq!(cards_in(&format!("pay {} now", as_text(&digits))), 1);
        let mut wrong = digits;
        wrong[place] = (wrong[place] + change) % 10;
        prop_assert_eq!(cards_in(&format!("pay {} now", as_text(&wrong))), 0);
    }

    #[test]
    fn texts_apart_are_checked_as_if_alone(a in texts(), b in texts()) {
        let gap = "\n\nlorem\n\n";
        let shift = (a.len() + gap.len(), (a.clone() + gap).chars().count());
        let mut expected = check(&a);
        expected.extend(check(&b).into_iter().map(|finding| Finding {
            start_byte: finding.start_byte + shift.0,
            end_byte: finding.end_byte + shift.0,
            start_char: finding.start_char + shift.1,
            end_char: finding.end_char + shift.1,
            ..finding
        }));
        prop_assert_eq!(check(&(a + gap + &b)), expected);
    }
}
