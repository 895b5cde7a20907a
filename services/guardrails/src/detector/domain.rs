//! Host names as they stand in text: labels and a top-level domain. A dot between two
//! words is far more often a file, a method or a missing space, so a name needs a
//! top-level domain that proves something, and nothing of code beside it.

use super::{
    Candidate, Detector, Pattern, Pending, Reach, Verdict, boundary,
    top_level::{self, Proof},
};

/// The detector.
pub(super) static DETECTOR: Detector = Detector {
    name: "domain",
    kind: "DOMAIN_NAME",
    description: "Internet host names such as `www.example.com`; files (`main.rs`), methods \
                  (`a.b()`) and abbreviations are left out. Off by default: most hosts name no \
                  person.",
    default_on: false,
    context: &[],
    patterns: &[Pattern {
        name: "host",
        regex: r"\.(?:[A-Za-z0-9\-]*\.)*[A-Za-z]{2,16}(?-u:\b)",
        reach: Reach::Around {
            sign: b'.',
            left: r"[A-Za-z0-9][A-Za-z0-9\-]*",
            pending: Pending::Match,
            most_left: MAX_LABEL + 1,
            most_right: MAX_NAME,
        },
    }],
    validate,
};

/// RFC 1035 section 2.3.4, and what framing leaves of 255.
const MAX_LABEL: usize = 63;
const MAX_NAME: usize = 253;

/// First labels that only hosts have.
const SERVERS: [&str; 9] = [
    "www", "mail", "ftp", "api", "blog", "shop", "smtp", "imap", "vpn",
];

/// Names of software that read like hosts.
const SOFTWARE: [&str; 6] = [
    "asp.net",
    "vb.net",
    "ado.net",
    "ml.net",
    "paint.net",
    "socket.io",
];

fn validate(candidate: &Candidate<'_>) -> Option<Verdict> {
    let [near, far] = boundary::before(candidate);
    let [next, beyond] = boundary::after(candidate);
    // A letter of another alphabet beside it makes it a piece of a disguised word.
    let of_word = |c: Option<char>| c.is_some_and(|c| c.is_alphabetic() && c < '\u{2e80}');
    if of_word(near) || of_word(next) {
        return None;
    }
    let path = near == Some('/') && far != Some('/') || near == Some('\\');
    let code = matches!(near, Some('@' | '.' | '-' | '$' | '_' | '~'))
        || matches!(next, Some('(' | '[' | '_' | '@' | '\\'))
        || next == Some('=') && beyond != Some(' ')
        || next == Some(':') && beyond == Some(':');
    if path || code || next.is_some_and(|c| c.is_ascii_alphanumeric()) {
        return None;
    }
    let name = without_next_sentence(candidate.value());
    let span = candidate.start..candidate.start + name.len();
    is_host(name).then(|| Verdict::new(span, 0.6).because("top_level_domain"))
}

/// `example.com.Then` has lost the space before its next sentence.
fn without_next_sentence(name: &str) -> &str {
    match name.rsplit_once('.') {
        Some((head, last))
            if head.contains('.')
                && last.starts_with(|c: char| c.is_ascii_uppercase())
                && !last.ends_with(|c: char| c.is_ascii_uppercase()) =>
        {
            head
        }
        _ => name,
    }
}

/// Whether `name` is a legal host under a domain that proves it.
fn is_host(name: &str) -> bool {
    let legal = name.len() <= MAX_NAME
        && name.split('.').all(|label| {
            !label.is_empty()
                && label.len() <= MAX_LABEL
                && !label.starts_with('-')
                && !label.ends_with('-')
        });
    let Some((head, top)) = name.rsplit_once('.') else {
        return false;
    };
    let software = || {
        SOFTWARE
            .iter()
            .any(|known| name.eq_ignore_ascii_case(known))
    };
    if !legal || software() {
        return false;
    }
    let labels = head.split('.').count();
    let first = head.split('.').next().unwrap_or_default();
    let server = labels > 1
        && SERVERS
            .iter()
            .any(|known| first.eq_ignore_ascii_case(known));
    match top_level::proof(top) {
        Some(Proof::Host) => {
            let letters = head.bytes().any(|byte| byte.is_ascii_alphabetic());
            letters && (head.len() > 1 || top.len() > 2) && is_one_case(top)
        }
        Some(Proof::Doubtful) => server,
        None => false,
    }
}

/// `com` or `COM`, not `Com`.
fn is_one_case(top: &str) -> bool {
    let upper = |byte: &u8| byte.is_ascii_uppercase();
    top.bytes().all(|byte| upper(&byte)) || !top.bytes().any(|byte| upper(&byte))
}
