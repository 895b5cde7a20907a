//! Addresses of the web: a scheme and a host (RFC 3986), or a host that begins with
//! `www.`, with port, path and query.

use super::{Candidate, Detector, Pattern, Reach, Verdict, boundary};

/// The detector.
pub(super) static DETECTOR: Detector = Detector {
    name: "url",
    kind: "URL",
    description: "Web addresses with a scheme (`https://...`) or `www.`, to the end of path and \
                  query. Off by default: most addresses name no person; HIPAA counts them.",
    default_on: false,
    context: &[],
    patterns: &[
        Pattern {
            name: "scheme",
            regex: r"(?-u:\b)(?i-u:https?|ftps?|wss?|sftp)://[!#-;=?-\[\]_a-z~]+",
            reach: Reach::Longest(2048),
        },
        Pattern {
            name: "www",
            regex: r"(?-u:\b)(?i-u:www)\.[!#-;=?-\[\]_a-z~]+",
            reach: Reach::Longest(2048),
        },
    ],
    validate,
};

/// Longer ones are cut: browsers and proxies carry about two thousand bytes.
const MAX_URL: usize = 2048;

fn validate(candidate: &Candidate<'_>) -> Option<Verdict> {
    let value = candidate.value();
    // ASCII throughout, so any cut is on a character boundary.
    let value = &value[..value.len().min(MAX_URL)];
    let value = without_punctuation(value);
    let authority = value.find("://").map_or(0, |at| at + 3);
    let rest = &value[authority..];
    let host = &rest[..rest.find(['/', '?', '#']).unwrap_or(rest.len())];
    let host = host.rsplit('@').next().unwrap_or_default();
    let server_alone = candidate.pattern == "www" && host.matches('.').count() < 2;
    if server_alone || !is_host(host) || boundary::before(candidate)[0] == Some('@') {
        return None;
    }
    let score = if candidate.pattern == "scheme" {
        0.96
    } else {
        0.9
    };
    let span = candidate.start..candidate.start + value.len();
    Some(Verdict::new(span, score).because("rfc3986"))
}

/// A name with a dot, or an IPv6 address in brackets.
fn is_host(host: &str) -> bool {
    if host.starts_with('[') {
        return host.contains("]") && host.contains(':');
    }
    let name = host.split(':').next().unwrap_or_default();
    let labels = name.split('.');
    let legal = |label: &str| {
        let bytes = || label.bytes();
        !label.is_empty()
            && bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
    };
    name.trim_end_matches('.').contains('.') && labels.filter(|label| !legal(label)).count() == 0
}

/// What a sentence adds after an address: its stop, and a bracket that opened before.
fn without_punctuation(mut value: &str) -> &str {
    loop {
        let shorter = value.trim_end_matches(['.', ',', ';', ':', '!', '?', '\'', '*', '_', '=']);
        let count = |bracket| shorter.bytes().filter(|byte| *byte == bracket).count();
        let unpaired = shorter.ends_with(')') && count(b'(') < count(b')')
            || shorter.ends_with(']') && count(b'[') < count(b']');
        let shorter = if unpaired {
            &shorter[..shorter.len() - 1]
        } else {
            shorter
        };
        if shorter.len() == value.len() {
            return value;
        }
        value = shorter;
    }
}
