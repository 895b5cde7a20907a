//! Keys, tokens, private keys, passwords. The values are glued together here, so that
//! no scanner of repositories takes them for real ones; none was ever issued.

use crate::support::{findings, finds, leaves_alone, reasons};

/// Letters and digits without a pattern.
const RANDOM: &str = "q7Zt2LkV9xWb4RnYc8MhJ3pDf6GsT1aEu5QiXoKvBwNz0yHrCjUlSmPdAgFe7O2I";

fn random(length: usize) -> String {
    RANDOM.repeat(2)[..length].to_owned()
}

fn hexadecimal(length: usize) -> String {
    "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"[..length].to_owned()
}

/// Each provider's pattern with a key of its form.
fn keys() -> Vec<(&'static str, String)> {
    vec![
        // The example of AWS's own documentation.
        ("aws", ["AKIA", "IOSFODNN7EXAMPLE"].concat()),
        ("gcp", format!("AIza{}", random(35))),
        ("gcp", format!("GOCSPX-{}", random(28))),
        ("azure_storage", format!("AccountKey={}==", random(86))),
        ("azure", format!("abC8Q~{}", random(34))),
        ("github", format!("ghp_{}", random(36))),
        ("github", format!("github_pat_{}", random(40))),
        ("gitlab", format!("glpat-{}", random(20))),
        ("slack", format!("xoxb-{}", random(30))),
        (
            "slack_webhook",
            format!("hooks.slack.com/services/T0AB/B0CD/{}", random(24)),
        ),
        ("stripe", format!("sk_live_{}", random(24))),
        ("anthropic", format!("sk-ant-api03-{}", random(60))),
        ("openai", format!("sk-proj-{}", random(48))),
        ("sendgrid", format!("SG.{}.{}", random(22), random(43))),
        ("hugging_face", format!("hf_{}", random(34))),
        ("npm", format!("npm_{}", random(36))),
        ("pypi", format!("pypi-AgEIcHlwaS5vcmc{}", random(60))),
        ("digital_ocean", format!("dop_v1_{}", hexadecimal(64))),
        ("shopify", format!("shpat_{}", hexadecimal(32))),
        ("databricks", format!("dapi{}", hexadecimal(32))),
        ("telegram", format!("123456789:AA{}", random(33))),
    ]
}

#[test]
fn keys_of_every_provider_are_found_by_their_prefix() {
    for (provider, key) in keys() {
        for text in [key.clone(), format!("use {key} now"), format!("k='{key}'")] {
            let found = findings(&text);
            assert_eq!(found.len(), 1, "{text}: {found:?}");
            assert_eq!(found[0].kind, "API_KEY", "{text}");
            assert_eq!(&text[found[0].start_byte..found[0].end_byte], key);
            assert_eq!(found[0].reasons[0], format!("pattern:{provider}"));
        }
    }
    let twilio = format!("SK{}", hexadecimal(32));
    finds("API_KEY", &[&format!("Twilio key «{twilio}»")]);
    leaves_alone(&[&twilio]);
}

#[test]
fn placeholders_and_names_are_no_keys() {
    leaves_alone(&[
        "sk-xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
        "sk-your-openai-api-key-goes-right-here-please",
        ".sk-fading-circle-container-animation-element-wrapper",
        "AKIAXXXXXXXXXXXXXXXX",
        "ghp_short AIzaShort xoxb-1 SG.x.y glpat-",
        "ghp_000000000000000000000000000000000000",
        "hf_hub_download and npm_config_registry and pypi-AgE",
    ]);
}

/// RFC 7519 section 3.1.
const TOKEN: &str = concat!(
    "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9",
    ".eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ",
    ".dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
);

#[test]
fn a_token_is_one_when_its_header_decodes_to_an_algorithm() {
    finds(
        "JWT",
        &[
            &format!("token «{TOKEN}»."),
            &format!("Authorization: Bearer «{TOKEN}»"),
        ],
    );
    assert_eq!(reasons("jwt", TOKEN), ["pattern:compact", "jwt_header"]);
    // `{"typ":"JWT"}` names none, and the other is not base64.
    leaves_alone(&[
        "eyJ0eXAiOiJKV1QifQ.eyJhIjoxfQ.c2ln",
        "eyJhbGciOiJub25lIn.x",
        "eyJ.a.b",
    ]);
}

#[test]
fn private_keys_are_found_whole_and_cut_off() {
    let body = format!("{}\n{}\n", random(64), random(40));
    for kind in ["", "RSA ", "EC ", "OPENSSH ", "ENCRYPTED "] {
        let key =
            format!("-----BEGIN {kind}PRIVATE KEY-----\n{body}-----END {kind}PRIVATE KEY-----");
        finds("PRIVATE_KEY", &[&format!("key:\n«{key}»\nthen «{key}»")]);
    }
    let headers = "Proc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00FF\n\n";
    let old =
        format!("-----BEGIN RSA PRIVATE KEY-----\n{headers}{body}-----END RSA PRIVATE KEY-----");
    finds("PRIVATE_KEY", &[&format!("«{old}»")]);
    let in_json = format!(
        r"-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n",
        random(64)
    );
    assert_eq!(findings(&in_json).len(), 1);
    let cut = format!("-----BEGIN PRIVATE KEY-----\n{body}");
    finds(
        "PRIVATE_KEY",
        &[&format!("«{}»\n\nThe rest is lost.", cut.trim_end())],
    );
    leaves_alone(&[
        "-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQ\n-----END PUBLIC KEY-----",
        "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----",
    ]);
}

#[test]
fn assigned_passwords_and_tokens_are_found_without_their_names() {
    let token = random(24);
    finds(
        "CREDENTIAL",
        &[
            "password=«hunter2!»",
            "DB_PASSWORD='«s3cr3t-Pa55»'",
            r#"{"password": "«Tr0ub4dor&3»"}"#,
            "my password is «correct9horse»",
            "pwd: «P@ssw0rd»,",
            &format!("api_key = \"«{token}»\""),
            &format!("X-Api-Key: «{token}»"),
            &format!("client_secret=«{token}»&grant_type=x"),
            &format!("AWS_SECRET_ACCESS_KEY=«{}»", random(40)),
            &format!("Authorization: Bearer «{token}»"),
            "postgres://app:«s3cret»@db.internal:5432/x",
        ],
    );
}

#[test]
fn code_variables_words_and_placeholders_are_no_credentials() {
    leaves_alone(&[
        "password: string; password: required; Password: ********",
        "password = os.environ['DB_PASSWORD']",
        "password=${DB_PASSWORD} pwd=$(pass show db) secret={{ vault.secret }}",
        "const token = getToken(request.headers.authorization);",
        "password = get_password(user1)",
        "api_key = config.settings.api_key_for_production",
        "token: aaaaaaaaaaaaaaaaaaaaaaaaaaa1",
        "password=<your password>",
        "api_key=your-api-key-goes-here-1234567890",
        "the token is valid; tokens: 128; max_tokens=4096",
        "forgot your password? reset it",
        "http://localhost:8080/@scope postgres://localhost:5432/x",
        "bearer of good news, basic understanding",
    ]);
}
