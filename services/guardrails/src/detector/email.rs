//! E-mail addresses: RFC 5321 mailboxes, with the letters of European scripts that
//! RFC 6531 adds, as they stand in running text.

use super::{Candidate, Detector, Pattern, Pending, Reach, Verdict, boundary};

/// The detector.
pub(super) static DETECTOR: Detector = Detector {
    name: "email",
    kind: "EMAIL",
    description: "E-mail addresses after RFC 5321, quoted local parts and internationalised \
                  domains included; lengths, dots and the top-level domain are checked.",
    default_on: true,
    context: &[],
    patterns: &[
        Pattern {
            name: "mailbox",
            regex: concat!(
                r"@(?:[0-9\p{Latin}\p{Greek}\p{Cyrillic}]+",
                r"(?:-+[0-9\p{Latin}\p{Greek}\p{Cyrillic}]+)*\.)+",
                r"(?:[\p{Latin}\p{Greek}\p{Cyrillic}]{2,}",
                r"|[Xx][Nn]--[A-Za-z0-9]+(?:-+[A-Za-z0-9]+)*)"
            ),
            reach: Reach::Around {
                sign: b'@',
                left: r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.\-\p{Latin}\p{Greek}\p{Cyrillic}]+",
                pending: Pending::Match,
                most_left: MAX_RUN,
                most_right: MAX_RUN,
            },
        },
        Pattern {
            name: "quoted_mailbox",
            regex: r"@(?:[0-9A-Za-z]+(?:-+[0-9A-Za-z]+)*\.)+[A-Za-z]{2,}",
            reach: Reach::Around {
                sign: b'@',
                left: r#""(?:[^"\\\r\n]|\\[^\r\n])+""#,
                pending: Pending::Quote(b'"'),
                most_left: MAX_LOCAL,
                most_right: MAX_RUN,
            },
        },
    ],
    validate,
};

/// RFC 5321 section 4.5.3.1.1, in octets.
const MAX_LOCAL: usize = 64;
/// RFC 5321 section 4.5.3.1.2 says 255 with framing; 253 characters remain.
const MAX_DOMAIN: usize = 253;
/// Bytes that are read to either side of the `@`: a domain, or a local part with the
/// `?key=` and the slashes that ran into it.
const MAX_RUN: usize = 256;
/// RFC 1035 section 2.3.4.
const MAX_LABEL: usize = 63;

/// File and unit endings that look like top-level domains and are none
/// (<https://data.iana.org/TLD/tlds-alpha-by-domain.txt>): `icon@2x.png`,
/// `getty@tty1.service`.
const FILE_ENDINGS: [&str; 15] = [
    "bmp", "css", "gif", "htm", "html", "ico", "jpeg", "jpg", "json", "png", "svg", "webp",
    "service", "socket", "timer",
];

fn validate(candidate: &Candidate<'_>) -> Option<Verdict> {
    let value = candidate.value();
    let at = value.rfind('@')?;
    let local_start = if candidate.pattern == "mailbox" {
        trim_local(&value[..at], boundary::after(candidate)[0])?
    } else {
        0
    };
    let local = &value[local_start..at];
    if local.is_empty() || local.len() > MAX_LOCAL {
        return None;
    }
    let whole_domain = &value[at + 1..];
    let domain = fitting_domain(whole_domain)?;
    let cut = domain.len() < whole_domain.len();
    let [next, _] = boundary::after(candidate);
    // `example.com2` ends in a label that is no top-level domain.
    if !cut && next.is_some_and(|c| c.is_ascii_alphanumeric() || c == '@') {
        return None;
    }
    // `git@host.org:path` is a remote, not a mailbox.
    if local == "git" && next == Some(':') {
        return None;
    }
    // `a@b.transpose()` multiplies matrices.
    if next == Some('(') && !cut {
        return None;
    }
    let start = candidate.start + local_start;
    let end = candidate.start + at + 1 + domain.len();
    Some(Verdict::new(start..end, 0.95).because("rfc5321"))
}

/// Where the local part begins within `local`, which may have run into what stands
/// before it: `=`, `/` and quotes are legal in a local part but in real text they
/// mostly separate.
fn trim_local(local: &str, after: Option<char>) -> Option<usize> {
    if local.ends_with('.') {
        return None;
    }
    let mut start = local.rfind("..").map_or(0, |dots| dots + 2);
    start += key_length(&local[start..]);
    // Markdown writes `_bob@example.com_`.
    let emphasis = after.filter(|c| matches!(c, '_' | '*' | '~'));
    let is_wrapping = |c: char| {
        matches!(
            c,
            '\'' | '`' | '{' | '}' | '|' | '/' | '=' | '?' | '&' | '*' | '-' | '.' | '#'
        ) || Some(c) == emphasis
    };
    let rest = &local[start..];
    Some(start + rest.len() - rest.trim_start_matches(is_wrapping).len())
}

/// The length of `email=`, or of `?a=1&email=`, at the start of a local part. A `/`
/// before the `=` says that it belongs to the address (RFC 3696 section 3 has
/// `customer/department=shipping@example.com`).
fn key_length(local: &str) -> usize {
    let Some(equals) = local.rfind('=') else {
        return 0;
    };
    let key = local[..equals]
        .rsplit(['?', '&'])
        .next()
        .unwrap_or_default();
    let is_name = key.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && key
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.'));
    if is_name { equals + 1 } else { 0 }
}

/// The longest leading part of `domain` that is a legal domain name.
fn fitting_domain(domain: &str) -> Option<&str> {
    let mut fitting = domain;
    if fitting.len() > MAX_DOMAIN {
        let end = (0..=MAX_DOMAIN)
            .rev()
            .find(|&at| fitting.is_char_boundary(at))?;
        // The cut may have split a label: the last dot before it ends a whole one.
        fitting = &fitting[..fitting[..end].rfind('.')?];
    }
    let (_, top) = fitting.rsplit_once('.')?;
    let is_top = top.chars().all(char::is_alphabetic) && top.chars().nth(1).is_some()
        || top
            .get(..4)
            .is_some_and(|head| head.eq_ignore_ascii_case("xn--"));
    let is_file = FILE_ENDINGS
        .iter()
        .any(|ending| top.eq_ignore_ascii_case(ending));
    let labels_fit = fitting.split('.').all(|label| label.len() <= MAX_LABEL);
    (is_top && !is_file && labels_fit).then_some(fitting)
}
