//! What each operator writes, and which settings it accepts.

#![allow(clippy::unwrap_used, reason = "tests")]

use proptest::prelude::*;

use super::*;
use crate::keys::tests::keys;

fn written(spec: &OperatorSpec, kind: &str, value: &str) -> String {
    let chosen = Chosen::new(spec.clone()).unwrap();
    (chosen.operator.apply)(&Input {
        kind,
        value,
        spec,
        keys: &keys("t"),
        session: "s",
        attempt: 0,
        year: 2026,
    })
    .unwrap()
}

fn by(operator: &str, kind: &str, value: &str) -> String {
    written(&OperatorSpec::named(operator), kind, value)
}

#[test]
fn a_mask_keeps_the_last_letters_and_digits_and_the_gaps() {
    assert_eq!(
        by("mask", "CREDIT_CARD", "4012 8888-8888 1881"),
        "**** ****-**** 1881"
    );
    assert_eq!(by("mask", "EMAIL", "ada@example.org"), "**********e*org");
    assert_eq!(by("mask", "PIN", "1234"), "**34");
    assert_eq!(by("mask", "X", "é"), "*");
    let mut spec = OperatorSpec::named("mask");
    (spec.keep_last, spec.mask_character) = (Some(0), Some('•'));
    assert_eq!(written(&spec, "PIN", "12-34"), "••-••");
}

#[test]
fn dates_zip_codes_and_ages_are_generalized_as_the_safe_harbor_rule_says() {
    let cases = [
        ("generalize_date", "DATE", "March 3, 2021", "2021"),
        ("generalize_date", "DATE", "2021-03-03", "2021"),
        ("generalize_date", "DATE", "20210303", "2021"),
        ("generalize_date", "DATE", "03/03/21", "<DATE>"),
        (
            "generalize_date",
            "DATE",
            "2021-03-03 to 2022-01-01",
            "<DATE>",
        ),
        ("generalize_date", "DATE_OF_BIRTH", "1937-12-31", "1937"),
        (
            "generalize_date",
            "DATE_OF_BIRTH",
            "1936-12-31",
            "<DATE_OF_BIRTH>",
        ),
        ("generalize_date", "DATE", "1936-12-31", "1936"),
        ("generalize_zip", "ZIP_CODE", "94110-1234", "941"),
        ("generalize_zip", "ZIP_CODE", "94110", "941"),
        ("generalize_zip", "ZIP_CODE", "03601", "000"),
        ("generalize_zip", "ZIP_CODE", "89301", "000"),
        ("generalize_zip", "ZIP_CODE", "941", "<ZIP_CODE>"),
        ("generalize_age", "AGE", "89 years old", "89 years old"),
        ("generalize_age", "AGE", "90 years old", "90+"),
        ("generalize_age", "AGE", "103-year-old", "90+"),
        ("generalize_age", "AGE", "ninety-two", "<AGE>"),
    ];
    for (operator, kind, value, expected) in cases {
        assert_eq!(by(operator, kind, value), expected, "{operator} {value}");
    }
}

#[test]
fn a_setting_without_effect_or_out_of_range_is_refused() {
    let refused = |change: fn(&mut OperatorSpec), operator: &str| {
        let mut spec = OperatorSpec::named(operator);
        change(&mut spec);
        Chosen::new(spec).unwrap_err().field
    };
    assert_eq!(refused(|_| {}, "shred"), "operator");
    assert_eq!(refused(|it| it.keep_last = Some(4), "label"), "keep_last");
    assert_eq!(refused(|it| it.length = Some(7), "hash"), "length");
    assert_eq!(refused(|it| it.length = Some(65), "hash"), "length");
    for mask in ['x', '7', ' ', '\n', '<', '@'] {
        let mut spec = OperatorSpec::named("mask");
        spec.mask_character = Some(mask);
        assert_eq!(Chosen::new(spec).unwrap_err().field, "mask_character");
    }
    for operator in registry::ALL {
        assert!(std::ptr::eq(
            registry::find(operator.name).unwrap(),
            *operator
        ));
        Chosen::new(OperatorSpec::named(operator.name)).unwrap();
    }
}

proptest! {
    #[test]
    fn a_mask_shows_at_most_half_of_any_value_and_keeps_its_length(
        value in any::<String>(), keep in 0u32..40,
    ) {
        let mut spec = OperatorSpec::named("mask");
        spec.keep_last = Some(keep);
        let masked = written(&spec, "X", &value);
        prop_assert_eq!(masked.chars().count(), value.chars().count());
        let letters = |text: &str| text.chars().filter(|it| it.is_alphanumeric()).count();
        prop_assert!(letters(&masked) <= letters(&value) / 2);
    }

    #[test]
    fn a_hash_is_the_same_for_the_same_value_of_a_type_alone(
        value in any::<String>(), other in any::<String>(),
    ) {
        let hash = by("hash", "EMAIL", &value);
        prop_assert_eq!(hash.len(), "<EMAIL:h>".len() + 16);
        prop_assert_eq!(&hash, &by("hash", "EMAIL", &value));
        prop_assert_eq!(hash == by("hash", "EMAIL", &other), value == other);
        prop_assert_ne!(by("hash", "PHONE", &value)[7..].to_owned(), hash[7..].to_owned());
    }

    #[test]
    fn an_operator_writes_something_of_bounded_length_for_any_value(value in any::<String>()) {
        for operator in registry::ALL {
            let made = by(operator.name, "DATE_OF_BIRTH", &value);
            prop_assert!(made.len() <= 200 + 16 * value.len(), "{}", operator.name);
        }
    }
}
