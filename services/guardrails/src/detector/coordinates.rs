//! Places on the globe: pairs of decimal degrees, or degrees with the letters of the
//! compass (ISO 6709).

use super::{
    Candidate, Detector, Pattern, Reach, Verdict, boundary,
    labelled::{self, label},
    weigh::Worth,
};

/// The detector.
pub(super) static DETECTOR: Detector = Detector {
    name: "coordinates",
    kind: "COORDINATES",
    description: "Geographic coordinates: degrees with N, S, E or W, labelled latitudes and \
                  longitudes, and pairs of decimal degrees beside words such as `GPS`.",
    default_on: true,
    context: &[
        "lat",
        "latitude",
        "latlng",
        "lon",
        "lng",
        "long",
        "longitude",
        "gps",
        "coordinates",
        "coords",
        "coordinate",
        "geo",
        "geolocation",
        "location",
        "located",
        "maps",
        "position",
    ],
    patterns: &[
        Pattern {
            name: "decimal",
            regex: r"(?-u:\b)[0-9]{1,2}\.[0-9]{4,10},? ?[+\-]?[0-9]{1,3}\.[0-9]{4,10}(?-u:\b)",
            reach: Reach::Every(30),
        },
        Pattern {
            name: "labelled",
            regex: concat!(
                label!(r"(?:lat|latitude|lng|lon|longitude)"),
                r"[+\-]?[0-9]{1,3}\.[0-9]{3,12}(?-u:\b)"
            ),
            reach: Reach::Every(56),
        },
        // The degree sign is the one letter beyond ASCII; minutes and seconds follow it
        // as quotes or primes.
        Pattern {
            name: "compass",
            regex: concat!(
                r"(?-u:\b)[0-9]{1,2}(?:\.[0-9]{1,8})?° ?(?:[0-9]{1,2}(?:\.[0-9]{1,6})?['′] ?)?",
                r#"(?:[0-9]{1,2}(?:\.[0-9]{1,4})?(?:"|″|'') ?)?[NS],? ?"#,
                r"[0-9]{1,3}(?:\.[0-9]{1,8})?° ?(?:[0-9]{1,2}(?:\.[0-9]{1,6})?['′] ?)?",
                r#"(?:[0-9]{1,2}(?:\.[0-9]{1,4})?(?:"|″|'') ?)?[EWO](?-u:\b)"#
            ),
            reach: Reach::Every(64),
        },
    ],
    validate,
};

fn validate(candidate: &Candidate<'_>) -> Option<Verdict> {
    match candidate.pattern {
        "labelled" => {
            let value = labelled::value(candidate, |byte| {
                byte.is_ascii_digit() || matches!(byte, b'.' | b'+' | b'-')
            })?;
            // `lat 12.3456 ms` is a latency: the short names need a sign behind them.
            let label = &candidate.text[candidate.start..value.start];
            let named = label.len() > 7 || label.contains([':', '=']);
            (named && in_range(value.value(), 180.0))
                .then(|| Verdict::new(value.span(), 0.85).because("context:coordinates"))
        }
        "decimal" => {
            let value = candidate.value();
            let second = value.find([',', ' '])?;
            let longitude = value[second..].trim_start_matches([',', ' ']);
            let piece = boundary::is_piece_of_longer(candidate)
                && !matches!(boundary::before(candidate), [Some('-'), far] if !far.is_some_and(char::is_alphanumeric));
            if piece || !in_range(&value[..second], 90.0) || !in_range(longitude, 180.0) {
                return None;
            }
            Worth::weak(0.8, "context:coordinates").verdict(candidate, &["degrees"])
        }
        _ => Some(Verdict::new(candidate.span(), 0.9).because("degrees")),
    }
}

fn in_range(degrees: &str, most: f64) -> bool {
    degrees
        .parse::<f64>()
        .is_ok_and(|degrees| degrees.abs() <= most)
}
