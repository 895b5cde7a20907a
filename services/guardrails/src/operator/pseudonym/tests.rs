//! Surrogates are consistent, and of the form of what they stand for.

#![allow(clippy::unwrap_used, reason = "tests")]

use proptest::prelude::*;

use super::super::{OperatorSpec, Scope};
use super::*;
use crate::keys::tests::keys;

fn made_for(kind: &str, value: &str, tenant: &str, session: &str, attempt: u32) -> String {
    let mut spec = OperatorSpec::named("pseudonym");
    if session.is_empty() {
        spec.consistent_within = Some(Scope::Tenant);
    }
    apply(&Input {
        kind,
        value,
        spec: &spec,
        keys: &keys(tenant),
        session,
        attempt,
        year: 2026,
    })
    .unwrap()
}

fn made(kind: &str, value: &str) -> String {
    made_for(kind, value, "t", "s", 0)
}

fn shape(text: &str) -> String {
    text.chars()
        .map(|char| if char.is_ascii_digit() { '9' } else { char })
        .collect()
}

fn luhn(digits: &str) -> bool {
    let sum: u32 = digits
        .bytes()
        .rev()
        .enumerate()
        .map(|(place, byte)| {
            let weighted = u32::from(byte - b'0') * (1 + place as u32 % 2);
            weighted / 10 + weighted % 10
        })
        .sum();
    sum.is_multiple_of(10)
}

proptest! {
    #[test]
    fn the_same_value_has_the_same_surrogate_in_a_session_and_another_elsewhere(
        kind in prop::sample::select(vec!["EMAIL", "PHONE", "PERSON", "IBAN", "VIN"]),
        value in "[A-Za-z]{8,12}@[a-z]{3,8}\\.com",
    ) {
        let here = made(kind, &value);
        prop_assert_eq!(&here, &made(kind, &value));
        let attempts: Vec<String> = (0..4).map(|at| made_for(kind, &value, "t", "s", at)).collect();
        prop_assert!(attempts.iter().any(|other| *other != here));
    }

    #[test]
    fn a_card_passes_luhn_in_a_test_range_and_keeps_its_shape(
        digits in "[3-6][0-9]{11,18}", group in 1usize..6,
    ) {
        let value: String = digits
            .chars()
            .enumerate()
            .flat_map(|(at, char)| (at > 0 && at % group == 0).then_some('-').into_iter().chain([char]))
            .collect();
        let made = made("CREDIT_CARD", &value);
        prop_assert_eq!(shape(&made), shape(&value));
        prop_assert!(luhn(&digits_of(&made)), "{}", made);
        prop_assert!(["411111", "555555", "378282", "601111"].contains(&&digits_of(&made)[..6]));
    }

    #[test]
    fn a_phone_keeps_its_shape_and_its_country(value in "\\+[1-9][0-9] \\(0\\)[1-9][0-9]{2}[ -][0-9]{4,6}") {
        let made = made("PHONE", &value);
        prop_assert_eq!(shape(&made), shape(&value));
        prop_assert_eq!(&made[..2], &value[..2]);
    }

    #[test]
    fn a_north_american_phone_is_one_of_fiction(value in "(\\+1 )?\\([2-9][0-9]{2}\\) [2-9][0-9]{2}-[0-9]{4}") {
        let made = made("PHONE", &value);
        prop_assert_eq!(shape(&made), shape(&value));
        prop_assert!(digits_of(&made).contains("55501"), "{}", made);
    }

    #[test]
    fn an_iban_keeps_its_country_and_its_check_digits_hold(
        value in "(DE|FR|GB)[0-9]{2}( [0-9]{4}){4}",
    ) {
        let made = made("IBAN", &value);
        prop_assert_eq!(&made[..2], &value[..2]);
        prop_assert_eq!(shape(&made), shape(&value));
        let compact = made.replace(' ', "");
        let turned = format!("{}{}", &compact[4..], &compact[..4]);
        let rest = turned.chars().fold(0_u32, |rest, char| {
            let value = char.to_digit(36).unwrap();
            (rest * if value > 9 { 100 } else { 10 } + value) % 97
        });
        prop_assert_eq!(rest, 1);
    }

    #[test]
    fn any_value_of_any_type_has_a_surrogate_of_bounded_length(
        kind in "(EMAIL|PHONE|CREDIT_CARD|US_SSN|IBAN|IP_ADDRESS|URL|DOMAIN|PERSON|LOCATION|ORGANIZATION|OTHER)",
        value in any::<String>(),
        attempt in 0u32..10,
    ) {
        let made = made_for(&kind, &value, "t", "s", attempt);
        prop_assert!(made.len() <= 160 + 16 * value.len());
    }
}

#[test]
fn spelling_is_looked_through_and_written_again() {
    let name = made("PERSON", "Ada Lovelace");
    assert_eq!(made("PERSON", "ADA LOVELACE"), name.to_uppercase());
    assert_eq!(made("PERSON", "ada lovelace"), name.to_lowercase());
    let given = name.split(' ').next().unwrap();
    assert_eq!(made("PERSON", "Ada"), given);
    assert_eq!(
        made("PERSON", "Dr. Ada Lovelace's"),
        format!("Dr. {name}'s")
    );
    let phone = digits_of(&made("PHONE", "(415) 555-2671"));
    assert_eq!(digits_of(&made("PHONE", "415.555.2671")), phone);
}

#[test]
fn sessions_and_tenants_cannot_be_linked_unless_the_policy_says_so() {
    let mail = "ada@lovelace.org";
    assert_ne!(
        made_for("EMAIL", mail, "t", "s", 0),
        made_for("EMAIL", mail, "t", "r", 0)
    );
    assert_ne!(
        made_for("EMAIL", mail, "t", "s", 0),
        made_for("EMAIL", mail, "u", "s", 0)
    );
    assert_ne!(
        made_for("EMAIL", mail, "t", "", 0),
        made_for("EMAIL", mail, "u", "", 0)
    );
}

#[test]
fn surrogates_lie_where_nobody_real_can_be() {
    assert!(made("US_SSN", "536-22-1234").starts_with("666-"));
    assert!(
        made("IP_ADDRESS", "8.8.8.8")
            .parse::<std::net::Ipv4Addr>()
            .unwrap()
            .is_documentation()
    );
    assert!(made("IP_ADDRESS", "2a00::1").starts_with("2001:db8:"));
    assert!(made("URL", "https://x.y/z").contains(".example.com/"));
    let mail = made("EMAIL", "ada@lovelace.org");
    assert!(mail.contains("@example."), "{mail}");
}
