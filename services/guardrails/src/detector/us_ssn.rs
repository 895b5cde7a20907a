//! US social security numbers: three, two and four digits, with the rules of the
//! Social Security Administration since randomisation began in 2011
//! (<https://www.ssa.gov/employer/randomization.html>).

use super::{Candidate, Detector, Pattern, Reach, Verdict, boundary, checksum};

/// The detector.
pub(super) static DETECTOR: Detector = Detector {
    name: "us_ssn",
    kind: "US_SSN",
    description: "US social security numbers, dashed or spaced; unseparated only beside words \
                  such as `SSN`. Areas, groups and serials never issued are left out.",
    default_on: true,
    context: &["ssn", "ssns", "social", "socialsecurity", "ss"],
    patterns: &[
        Pattern {
            name: "dashed",
            regex: r"(?-u:\b)[0-9]{3}-[0-9]{2}-[0-9]{4}(?-u:\b)",
            reach: Reach::Every(11),
        },
        Pattern {
            name: "spaced",
            regex: r"(?-u:\b)[0-9]{3} [0-9]{2} [0-9]{4}(?-u:\b)",
            reach: Reach::Every(11),
        },
        Pattern {
            name: "bare",
            regex: r"(?-u:\b)[0-9]{9}(?-u:\b)",
            reach: Reach::Every(9),
        },
    ],
    validate,
};

/// Numbers that were printed in advertisements and so belong to nobody
/// (<https://www.ssa.gov/history/ssn/misused.html>).
const PUBLISHED: [[u8; 9]; 2] = [[0, 7, 8, 0, 5, 1, 1, 2, 0], [2, 1, 9, 0, 9, 9, 9, 9, 9]];

fn validate(candidate: &Candidate<'_>) -> Option<Verdict> {
    let digits: [u8; 9] = checksum::Digits::exactly(candidate.value())?;
    if !was_issued(&digits) || boundary::is_piece_of_longer(candidate) {
        return None;
    }
    // Money and shares: "$123 45 6789" is no number of a person.
    if matches!(boundary::before(candidate)[0], Some('$' | '€' | '£' | '#'))
        && candidate.pattern != "dashed"
    {
        return None;
    }
    let context = candidate.has_context();
    let score = match (candidate.pattern, context) {
        ("dashed", false) => 0.85,
        ("spaced", false) if !boundary::is_in_row(candidate) && !is_address(candidate) => 0.6,
        ("dashed", true) => 0.95,
        ("spaced", true) => 0.9,
        (_, true) => 0.75,
        (_, false) => return None,
    };
    let verdict = Verdict::new(candidate.span(), score).because("ssn_ranges");
    Some(if context {
        verdict.because("context:ssn")
    } else {
        verdict
    })
}

/// `Suite 680 36 4022 Oakridge Lane`: a house number, and the street after it.
fn is_address(candidate: &Candidate<'_>) -> bool {
    matches!(boundary::after(candidate), [Some(' '), Some(c)] if c.is_uppercase())
}

fn was_issued(digits: &[u8; 9]) -> bool {
    let [a, b, c, d, e, serial @ ..] = digits;
    let area = u16::from(*a) * 100 + u16::from(*b) * 10 + u16::from(*c);
    area != 0
        && area != 666
        && area < 900
        && (*d, *e) != (0, 0)
        && *serial != [0; 4]
        && !PUBLISHED.contains(digits)
}
