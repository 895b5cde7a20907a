//! Passwords and tokens that only their name gives away: `DB_PASSWORD=...`,
//! `"api_key": "..."`, `Bearer ...`, `postgres://user:...@host`. What looks like code,
//! a variable or a placeholder is left alone, and a token must look random.

use super::{Candidate, Detector, Pattern, Pending, Reach, Verdict, api_key::variety, boundary};

/// The detector.
pub(super) static DETECTOR: Detector = Detector {
    name: "credential",
    kind: "CREDENTIAL",
    description: "Passwords and tokens assigned to a name such as `password` or `api_key`, sent as \
                  `Bearer`, or written in a URL; placeholders and code are left out and the \
                  entropy of tokens is verified.",
    default_on: true,
    context: &[],
    patterns: &[
        Pattern {
            name: "password",
            regex: concat!(
                r"(?i-u:password|passwd|passphrase|passwort|contrasena|pwd)",
                r#"["']?[ \t]{0,2}(?:=|:=|=>|:|(?i-u:is))[ \t]{0,2}["']?"#,
                r#"[!#-&(-+\--:<-\[\]-z|~]{6,64}"#
            ),
            reach: Reach::Longest(256),
        },
        Pattern {
            name: "token",
            regex: concat!(
                r"(?i-u:api[_\- ]?key|api[_\- ]?token|access[_\-]?key|secret(?:[_\-](?:access[_\-])?key)?",
                r"|auth[_\-]?token|access[_\-]?token|refresh[_\-]?token|client[_\-]?secret|token|private[_\-]?key)",
                r#"["']?[ \t]{0,2}(?:=|:=|=>|:|(?i-u:is))[ \t]{0,2}["']?"#,
                r"[A-Za-z0-9_\-+/=.~]{16,200}"
            ),
            reach: Reach::Longest(256),
        },
        Pattern {
            name: "bearer",
            regex: r"(?-u:\b)(?i-u:bearer|basic) [A-Za-z0-9_\-+/=.~]{16,200}",
            reach: Reach::Longest(256),
        },
        Pattern {
            name: "url",
            regex: r"://[A-Za-z0-9_.%\-]{0,32}:[!#-&(-.0-;=?A-Z\[\]^_a-z|~]{3,64}@",
            reach: Reach::Around {
                sign: b':',
                left: r"[A-Za-z][A-Za-z0-9+.\-]*",
                pending: Pending::Match,
                most_left: 16,
                most_right: 128,
            },
        },
    ],
    validate,
};

fn validate(candidate: &Candidate<'_>) -> Option<Verdict> {
    let value = candidate.value();
    let (start, end) = match candidate.pattern {
        "bearer" => (value.find(' ')? + 1, value.len()),
        "url" => {
            let user = value.find("://")? + 3;
            (user + value[user..].find(':')? + 1, value.len() - 1)
        }
        _ => (value_start(value)?, value.len()),
    };
    let secret = value[start..end].trim_end_matches([',', ';', '.', ')', '}', ']']);
    // A call, a path or a variable: `token = get_token(`, `password: settings.DB`.
    let [next, _] = boundary::after(candidate);
    if is_placeholder(secret) || matches!(next, Some('(' | '{')) {
        return None;
    }
    let (check, score) = match candidate.pattern {
        "password" => looks_chosen(secret).then_some(("password_classes", 0.8))?,
        "url" => ("userinfo", 0.97),
        _ => looks_random(secret).then_some(("entropy", 0.85))?,
    };
    let from = candidate.start + start;
    let verdict = Verdict::new(from..from + secret.len(), score).because(check);
    Some(verdict.because("context:credential"))
}

/// Where the value begins, behind the first sign of assignment and its quote.
fn value_start(value: &str) -> Option<usize> {
    let sign = value.find([':', '=']).or_else(|| {
        let is = find_in_any_case(value, " is ")?;
        Some(is + 2)
    })?;
    let rest = &value[sign + 1..];
    let skipped = rest.len()
        - rest
            .trim_start_matches(['=', '>', ' ', '\t', '"', '\''])
            .len();
    Some(sign + 1 + skipped)
}

/// Searches without regard to case, and without a copy.
fn find_in_any_case(text: &str, needle: &str) -> Option<usize> {
    let mut windows = text.as_bytes().windows(needle.len());
    windows.position(|window| window.eq_ignore_ascii_case(needle.as_bytes()))
}

/// `/run/secrets/db`, `<password>`, `${DB_PASSWORD}`, `$(pass show x)`, `{{ secret }}`, `********`,
/// `process.env.TOKEN`, `your-api-key-here`, `config::get`.
fn is_placeholder(secret: &str) -> bool {
    const PARTS: [&str; 9] = [
        "your",
        "example",
        "placeholder",
        "changeme",
        "environ",
        "process.env",
        "getenv",
        "redacted",
        "dummy",
    ];
    const SIGNS: [&str; 7] = ["${", "$(", "{{", "<", "::", "()", "->"];
    variety(secret.as_bytes()) < 4
        || is_call(secret)
        || secret.starts_with(['$', '%', '{', '[', '@', '/', '~'])
        || SIGNS.iter().any(|sign| secret.contains(sign))
        || PARTS
            .iter()
            .any(|part| find_in_any_case(secret, part).is_some())
}

/// `getpass.getpass(`: a name and the bracket of its arguments.
fn is_call(secret: &str) -> bool {
    let of_name = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.');
    let name = secret.bytes().take_while(of_name).count();
    name > 0 && matches!(secret.as_bytes().get(name), Some(b'(' | b'['))
}

/// A password that somebody chose: letters and a digit or sign beside them, not the
/// name of something (`settings.PASSWORD`) nor a word (`required`).
fn looks_chosen(secret: &str) -> bool {
    let has = |of: fn(&u8) -> bool| secret.bytes().any(|byte| of(&byte));
    let letters = has(u8::is_ascii_alphabetic);
    let signs = has(|byte| byte.is_ascii_punctuation() && !b"._-/,:".contains(byte));
    secret.len() >= 6 && letters && (has(u8::is_ascii_digit) || signs)
}

/// A token that a machine made: letters and digits, and at least three bits of
/// entropy for each character.
fn looks_random(secret: &str) -> bool {
    let has = |of: fn(&u8) -> bool| secret.bytes().any(|byte| of(&byte));
    secret.len() >= 16
        && has(u8::is_ascii_alphabetic)
        && has(u8::is_ascii_digit)
        && entropy(secret.as_bytes()) >= 3.0
}

/// Shannon's entropy in bits for each byte.
fn entropy(value: &[u8]) -> f64 {
    let mut counts = [0_u32; 256];
    for byte in value {
        counts[usize::from(*byte)] += 1;
    }
    let whole = value.len() as f64;
    let shares = counts.iter().filter(|count| **count > 0);
    shares
        .map(|count| f64::from(*count) / whole)
        .map(|share| -share * share.log2())
        .sum()
}
