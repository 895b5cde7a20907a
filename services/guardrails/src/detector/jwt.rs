//! JSON web tokens: three parts of base64url, the first of which decodes to a header
//! that names its algorithm (RFC 7519, RFC 7515 section 4.1.1).

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

use super::{Candidate, Detector, Pattern, Reach, Verdict, boundary};

/// The detector.
pub(super) static DETECTOR: Detector = Detector {
    name: "jwt",
    kind: "JWT",
    description: "JSON web tokens; the header is decoded and must name an algorithm.",
    default_on: true,
    context: &[],
    patterns: &[Pattern {
        name: "compact",
        regex: r"(?-u:\b)eyJ[0-9A-Za-z_\-]+\.[0-9A-Za-z_\-]+(?:\.[0-9A-Za-z_\-]*)+",
        reach: Reach::Longest(2048),
    }],
    validate,
};

/// Bytes of a header in base64url; keys and certificates in it are longer, but the
/// algorithm stands before them.
const MAX_HEADER: usize = 512;
/// Longer tokens fit no HTTP header and are cut.
const MAX_TOKEN: usize = 8192;

fn validate(candidate: &Candidate<'_>) -> Option<Verdict> {
    let value = candidate.value();
    let header = &value[..value.find('.')?];
    // Whole groups of four characters decode by themselves.
    let head = &header[..header.len().min(MAX_HEADER)];
    let whole = if head.len() < header.len() {
        head.len() / 4 * 4
    } else {
        head.len()
    };
    let mut json = [0; MAX_HEADER];
    let length = URL_SAFE_NO_PAD
        .decode_slice(&head[..whole], &mut json)
        .ok()?;
    let json = &json[..length];
    let named = json.windows(5).any(|window| window == b"\"alg\"");
    if !named || !json.starts_with(b"{") || boundary::before(candidate)[0] == Some('-') {
        return None;
    }
    let token = value.trim_end_matches(['.', '-']).len().min(MAX_TOKEN);
    let span = candidate.start..candidate.start + token;
    Some(Verdict::new(span, 0.99).because("jwt_header"))
}
