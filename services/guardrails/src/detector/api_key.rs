//! Keys of providers that mark theirs with a prefix, so that scanners find them: the
//! prefixes are those that each provider publishes (GitHub, Supported secret scanning
//! patterns: <https://docs.github.com/code-security/secret-scanning>).

use super::{Candidate, Detector, Pattern, Pending, Reach, Verdict, boundary};

/// The detector.
pub(super) static DETECTOR: Detector = Detector {
    name: "api_key",
    kind: "API_KEY",
    description: "Secret keys with a provider's own prefix: AWS, Google Cloud, Azure, GitHub, \
                  GitLab, Slack, Stripe, OpenAI, Anthropic, Twilio, SendGrid, Hugging Face, npm, \
                  PyPI and others; placeholders are left out.",
    default_on: true,
    context: &["twilio", "azure"],
    patterns: &[
        key(
            "aws",
            r"(?-u:\b)(?:AKIA|ASIA|ABIA|ACCA)[A-Z2-7]{12}[A-Z0-9]{4}(?-u:\b)",
        ),
        key(
            "gcp",
            r"(?-u:\b)(?:AIza[0-9A-Za-z_\-]{35}|GOCSPX-[0-9A-Za-z_\-]{28}|ya29\.[0-9A-Za-z_\-]{20,})",
        ),
        key("azure_storage", r"(?-u:\b)AccountKey=[A-Za-z0-9+/]{86}=="),
        Pattern {
            name: "azure",
            regex: r"~[A-Za-z0-9_~.\-]{31,34}",
            reach: Reach::Around {
                sign: b'~',
                left: r"[A-Za-z0-9_.\-]+",
                pending: Pending::Match,
                most_left: AZURE_HEAD,
                most_right: 40,
            },
        },
        key(
            "github",
            r"(?-u:\b)(?:gh[pousr]_[0-9A-Za-z]{36,}|github_pat_[0-9A-Za-z_]{22,})",
        ),
        key(
            "gitlab",
            r"(?-u:\b)gl(?:pat|dt|rt|ptt|ft|soat|cbt|imt|agent|oas)-[0-9A-Za-z_.\-]{20,}",
        ),
        key(
            "slack",
            r"(?-u:\b)(?:xox[abeoprs]-[0-9A-Za-z\-]{10,}|xapp-[0-9A-Za-z\-]{20,})",
        ),
        key(
            "slack_webhook",
            r"(?-u:\b)hooks\.slack\.com/services/T[0-9A-Z]+/B[0-9A-Z]+/[0-9A-Za-z]{20,}",
        ),
        key(
            "stripe",
            r"(?-u:\b)(?:[sr]k_(?:live|test)_[0-9A-Za-z]{16,}|whsec_[0-9A-Za-z]{32,})",
        ),
        key("anthropic", r"(?-u:\b)sk-ant-[0-9A-Za-z_\-]{24,}"),
        key(
            "openai",
            r"(?-u:\b)sk-(?:proj-|svcacct-|admin-)?[0-9A-Za-z_\-]{32,}",
        ),
        key("twilio", r"(?-u:\b)(?:SK|AC)[0-9a-f]{32}(?-u:\b)"),
        key(
            "sendgrid",
            r"(?-u:\b)SG\.[0-9A-Za-z_\-]{22}\.[0-9A-Za-z_\-]{43}",
        ),
        key("hugging_face", r"(?-u:\b)hf_[0-9A-Za-z]{34,}"),
        key("npm", r"(?-u:\b)npm_[0-9A-Za-z]{36}(?-u:\b)"),
        key("pypi", r"(?-u:\b)pypi-AgE[0-9A-Za-z_\-]{50,}"),
        key("digital_ocean", r"(?-u:\b)do[opr]_v1_[0-9a-f]{64}(?-u:\b)"),
        key(
            "shopify",
            r"(?-u:\b)shp(?:at|ca|pa|ss)_[0-9A-Fa-f]{32}(?-u:\b)",
        ),
        key("databricks", r"(?-u:\b)dapi[0-9a-f]{32}(?-u:\b)"),
        key("telegram", r"(?-u:\b)[0-9]{8,10}:AA[0-9A-Za-z_\-]{33}"),
    ],
    validate,
};

/// Keys of one provider; the longest reading is the key.
const fn key(name: &'static str, regex: &'static str) -> Pattern {
    Pattern {
        name,
        regex,
        reach: Reach::Longest(2048),
    }
}

/// Longer ones are no keys: the longest that a provider states has 255 bytes, and a
/// margin for what it may yet add.
const MAX_KEY: usize = 1024;

/// Fewer different characters than this are a placeholder: `sk-xxxxxxxxxxxx`.
const LEAST_VARIETY: u32 = 8;

/// Characters before the `~` of an Azure client secret: three, a digit and `Q`.
const AZURE_HEAD: usize = 5;

fn validate(candidate: &Candidate<'_>) -> Option<Verdict> {
    if candidate.pattern == "azure" {
        let head = candidate.value().as_bytes().get(..AZURE_HEAD)?;
        if !(head[0].is_ascii_alphanumeric() && head[3].is_ascii_digit() && head[4] == b'Q') {
            return None;
        }
    }
    let value = candidate.value().trim_end_matches(['.', '-', '~']);
    let [next, _] = boundary::after(candidate);
    let [near, _] = boundary::before(candidate);
    let goes_on = next.is_some_and(|c| c.is_ascii_alphanumeric() || c == '_')
        || matches!(near, Some('-' | '.')) && candidate.pattern != "slack_webhook";
    if goes_on || value.len() > MAX_KEY || variety(value.as_bytes()) < LEAST_VARIETY {
        return None;
    }
    let digit = value.bytes().any(|byte| byte.is_ascii_digit());
    let context = match candidate.pattern {
        // `sk-` begins names in style sheets too.
        "openai" if !digit || !value.bytes().any(|byte| byte.is_ascii_uppercase()) => return None,
        // Thirty-two hexadecimal digits behind two letters may be anything.
        "twilio" if !candidate.has_context() => return None,
        "twilio" => true,
        _ => false,
    };
    let span = candidate.start..candidate.start + value.len();
    let verdict = Verdict::new(span, 0.98).because("key_prefix");
    Some(if context {
        verdict.because("context:provider")
    } else {
        verdict
    })
}

/// How many different ASCII characters there are.
pub(super) fn variety(value: &[u8]) -> u32 {
    let seen = value
        .iter()
        .fold(0_u128, |seen, byte| seen | 1 << (byte & 127));
    seen.count_ones()
}
