//! Hardware addresses: EUI-48 in the forms of IEEE 802 (dashes), of Unix (colons)
//! and of Cisco (dots), and EUI-64 in the first two.

use super::{Candidate, Detector, Pattern, Reach, Verdict, boundary};

/// The detector.
pub(super) static DETECTOR: Detector = Detector {
    name: "mac_address",
    kind: "MAC_ADDRESS",
    description: "Hardware addresses of network devices, of 48 or 64 bits, written with colons, \
                  dashes or dots; the ones that name no device, such as the broadcast address, \
                  are left out.",
    default_on: true,
    context: &[],
    patterns: &[
        Pattern {
            name: "colons",
            regex: r"(?-u:\b)[0-9A-Fa-f]{2}(?::[0-9A-Fa-f]{2}){5}(?:(?::[0-9A-Fa-f]{2}){2})?(?-u:\b)",
            reach: Reach::Every(23),
        },
        Pattern {
            name: "dashes",
            regex: r"(?-u:\b)[0-9A-Fa-f]{2}(?:-[0-9A-Fa-f]{2}){5}(?:(?:-[0-9A-Fa-f]{2}){2})?(?-u:\b)",
            reach: Reach::Every(23),
        },
        Pattern {
            name: "dots",
            regex: r"(?-u:\b)[0-9A-Fa-f]{4}\.[0-9A-Fa-f]{4}\.[0-9A-Fa-f]{4}(?-u:\b)",
            reach: Reach::Every(14),
        },
    ],
    validate,
};

fn validate(candidate: &Candidate<'_>) -> Option<Verdict> {
    let value = candidate.value();
    let joint = match candidate.pattern {
        "colons" => ':',
        "dashes" => '-',
        _ => '.',
    };
    // Fingerprints of keys go on for longer in the same form.
    let goes_on = |beside: [Option<char>; 2]| {
        beside[0] == Some(joint) && beside[1].is_some_and(|c| c.is_ascii_hexdigit())
    };
    if goes_on(boundary::before(candidate))
        || goes_on(boundary::after(candidate))
        || boundary::is_piece_of_longer(candidate)
    {
        return None;
    }
    let mut letters = false;
    let (mut low, mut high) = (u8::MAX, u8::MIN);
    for byte in value.bytes().filter(u8::is_ascii_alphanumeric) {
        letters |= byte.is_ascii_alphabetic();
        low = low.min(byte.to_ascii_lowercase());
        high = high.max(byte.to_ascii_lowercase());
    }
    // `00:00:...` and `ff:ff:...` name no device; digits alone are dates and times
    // (`20-11-26-09-30-00`) or amounts (`1234.5678.9012`) unless colons part them.
    if low == high || !letters && joint != ':' {
        return None;
    }
    Some(Verdict::new(candidate.span(), 0.9).because("eui"))
}
