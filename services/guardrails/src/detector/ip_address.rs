//! IP addresses: dotted IPv4 and every text form of IPv6 in RFC 4291 section 2.2.
//! `std::net` decides what is an address; this file decides what merely looks like
//! one: versions, times, hardware addresses and C++ scopes.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::{Candidate, Detector, Pattern, Reach, Verdict, boundary};

/// The detector.
pub(super) static DETECTOR: Detector = Detector {
    name: "ip_address",
    kind: "IP_ADDRESS",
    description: "IPv4 addresses, and IPv6 addresses in all text forms of RFC 4291 without \
                  their zone; version numbers are left out.",
    default_on: true,
    context: &[],
    patterns: &[
        Pattern {
            name: "ipv4",
            regex: r"(?-u:\b)[0-9]{1,3}(?:\.[0-9]{1,3}){3}(?-u:\b)",
            reach: Reach::Every(15),
        },
        Pattern {
            name: "ipv6",
            regex: concat!(
                r"(?:[0-9A-Fa-f]{1,4}:|::)(?:[0-9A-Fa-f]{0,4}:){0,8}",
                r"(?:[0-9A-Fa-f]{1,4}|(?:[0-9]{1,3}\.){3}[0-9]{1,3})?"
            ),
            reach: Reach::Longest(64),
        },
    ],
    validate,
};

/// Words that make a dotted number a version or the number of a section.
#[rustfmt::skip]
const VERSION_WORDS: [&str; 14] = [
    "version", "versions", "ver", "release", "build", "firmware", "revision", "upgrade",
    "upgraded", "section", "chapter", "clause", "figure", "table",
];
/// The longest text form: six groups and an embedded IPv4 address.
const MAX_V6: usize = 45;

fn validate(candidate: &Candidate<'_>) -> Option<Verdict> {
    match candidate.pattern {
        "ipv4" => v4(candidate),
        _ => v6(candidate),
    }
}

fn v4(candidate: &Candidate<'_>) -> Option<Verdict> {
    candidate.value().parse::<Ipv4Addr>().ok()?;
    let [near, far] = boundary::before(candidate);
    let [next, beyond] = boundary::after(candidate);
    let letter = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphabetic());
    // Longer dotted numbers; `Chrome/120.0.0.0`; `1.2.3.4-beta`; `1.2.3.4.tar.gz`.
    let version = boundary::is_piece_of_longer(candidate) && !is_range_end(near, next)
        || near == Some('.') && far.is_some_and(char::is_alphanumeric)
        || near == Some('/') && letter(far)
        || matches!(next, Some('-' | '.')) && letter(beyond);
    if version || after_version_word(candidate) {
        return None;
    }
    Some(Verdict::new(candidate.span(), 0.9).because("ipv4"))
}

/// `10.0.0.1-10.0.0.9` is two addresses.
fn is_range_end(near: Option<char>, next: Option<char>) -> bool {
    let plain =
        |c: Option<char>| !c.is_some_and(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.'));
    (near == Some('-') || next == Some('-')) && plain(near) && plain(next)
}

/// Whether the word before the number calls it a version: only that word, for a
/// sentence about a release may well name a host too.
fn after_version_word(candidate: &Candidate<'_>) -> bool {
    let head = &candidate.text.as_bytes()[..candidate.start];
    let head = &head[head.len().saturating_sub(24)..];
    let not_letter = |byte: &u8| !byte.is_ascii_alphabetic();
    let joints = head
        .iter()
        .rev()
        .take_while(|byte| not_letter(byte) && **byte != b'\n')
        .count();
    let head = &head[..head.len() - joints];
    if joints > 4 {
        return false;
    }
    let letters = head
        .iter()
        .rev()
        .take_while(|byte| byte.is_ascii_alphabetic())
        .count();
    let word = &head[head.len() - letters..];
    word.eq_ignore_ascii_case(b"v")
        || VERSION_WORDS
            .iter()
            .any(|known| word.eq_ignore_ascii_case(known.as_bytes()))
}

fn v6(candidate: &Candidate<'_>) -> Option<Verdict> {
    let value = candidate.value();
    if value.len() > MAX_V6 + 3 {
        return None;
    }
    let [near, far] = boundary::before(candidate);
    let [next, beyond] = boundary::after(candidate);
    // `rows[1::2]`, but `http://[::1]`.
    let indexes = |c: char| c.is_alphanumeric() || matches!(c, '_' | ')' | ']');
    if near == Some('[') && far.is_some_and(indexes) {
        return None;
    }
    let of_word = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric() || c == '_');
    // `addr:fe80::1` begins at the address, `1:2:3:4:5:6:7:8:9:10` nowhere.
    let of_group = |c: Option<char>| c.is_some_and(|c| c.is_ascii_hexdigit() || c == ':');
    if of_word(near) || near == Some('.') || near == Some(':') && of_group(far) {
        return None;
    }
    let mut end = value.len();
    if of_word(next) || next == Some(':') || next == Some('.') && of_word(beyond) {
        return None;
    }
    if value.ends_with(':') && !value.ends_with("::") {
        end -= 1;
    }
    let address = &value[..end];
    address.parse::<Ipv6Addr>().ok()?;
    if !is_plain(address) {
        return None;
    }
    let span = candidate.start..candidate.start + end;
    Some(Verdict::new(span, 0.92).because("ipv6"))
}

/// Whether an address by syntax is one by look: not `::` alone nor `dead::beef`
/// or `f64::E` (a scope in code reads the same), and not an EUI-64, eight pairs of digits.
fn is_plain(address: &str) -> bool {
    let digits = address.bytes().any(|byte| byte.is_ascii_digit());
    let groups = address.split(':').filter(|group| !group.is_empty()).count();
    let eui64 = address.split(':').all(|group| group.len() == 2);
    let float = ["f32::", "f64::"]
        .iter()
        .any(|scope| address.starts_with(scope));
    (digits || groups > 2) && !eui64 && !float
}
