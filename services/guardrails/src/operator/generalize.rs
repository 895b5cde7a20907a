//! Less exact values, as 45 CFR 164.514(b)(2)(i) lets a de-identified text keep them: of
//! a date the year, of a ZIP code its first three digits, of an age everything up to 89.
//!
//! What cannot be read is replaced by its label, never let through.

use super::{Input, Operator, OperatorError, Reversal, label_of, only};

pub(super) static DATE: Operator = Operator {
    name: "generalize_date",
    reversal: Reversal::Never,
    check: |spec| only(spec, &[]),
    apply: date,
};

pub(super) static ZIP: Operator = Operator {
    name: "generalize_zip",
    reversal: Reversal::Never,
    check: |spec| only(spec, &[]),
    apply: zip,
};

pub(super) static AGE: Operator = Operator {
    name: "generalize_age",
    reversal: Reversal::Never,
    check: |spec| only(spec, &[]),
    apply: age,
};

/// Three-digit ZIP areas of 20,000 people or fewer: the 17 of the 2000 census that the
/// preamble of the rule lists (67 FR 53182, 53233-53234), and four more that the counts
/// of the 2010 census add (205, 369, 753, 772). An area too many here only hides more.
const SMALL_ZIP3: [&str; 21] = [
    "036", "059", "063", "102", "203", "205", "369", "556", "692", "753", "772", "790", "821",
    "823", "830", "831", "878", "879", "884", "890", "893",
];

/// Whoever is older is told apart by the age.
const OLDEST_TOLD: i32 = 89;

fn date(input: &Input<'_>) -> Result<String, OperatorError> {
    let mut years = numbers(input.value).filter_map(|digits| match digits.len() {
        4 => year_in(digits, 1800..=2199),
        // As in 20240131.
        8 => [&digits[..4], &digits[4..]]
            .iter()
            .find_map(|part| year_in(part, 1900..=2099)),
        _ => None,
    });
    let year = match (years.next(), years.next()) {
        (Some(year), None) => year,
        _ => return Ok(label_of(input.kind)),
    };
    let of_birth = input.kind.contains("BIRTH");
    if of_birth && input.year - year > OLDEST_TOLD {
        return Ok(label_of(input.kind));
    }
    Ok(year.to_string())
}

fn year_in(digits: &str, years: std::ops::RangeInclusive<i32>) -> Option<i32> {
    digits.parse().ok().filter(|year| years.contains(year))
}

fn zip(input: &Input<'_>) -> Result<String, OperatorError> {
    let Some(digits) = numbers(input.value).find(|digits| matches!(digits.len(), 5 | 9)) else {
        return Ok(label_of(input.kind));
    };
    let area = &digits[..3];
    let shown = if SMALL_ZIP3.contains(&area) {
        "000"
    } else {
        area
    };
    Ok(shown.to_owned())
}

fn age(input: &Input<'_>) -> Result<String, OperatorError> {
    let mut ages = numbers(input.value);
    let (Some(digits), None) = (ages.next(), ages.next()) else {
        return Ok(label_of(input.kind));
    };
    match digits.parse::<i32>() {
        Ok(age) if age <= OLDEST_TOLD => Ok(input.value.to_owned()),
        Ok(_) => Ok("90+".to_owned()),
        Err(_) => Ok(label_of(input.kind)),
    }
}

/// The runs of ASCII digits.
fn numbers(value: &str) -> impl Iterator<Item = &str> {
    value
        .split(|char: char| !char.is_ascii_digit())
        .filter(|digits| !digits.is_empty())
}
