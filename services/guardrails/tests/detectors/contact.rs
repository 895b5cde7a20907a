//! E-mail addresses, telephones, social security numbers, cards and IP addresses, and
//! how their findings are reported.

use signalbox_guardrails::{Engine, GuardrailsConfig, Selection};

use crate::support::{findings, finds, ignores, leaves_alone};

#[test]
fn emails_are_found_without_what_surrounds_them() {
    finds(
        "EMAIL",
        &[
            "mail «bob@example.com».",
            "<«first.last+tag@sub.example.co.uk»>, «x@y.de»; «a_b-c@d-e.org»!",
            "(«O'Brien@example.ie»)",
            "'«bob@example.com»' \"«al@example.com»\" `«cy@example.com»`",
            "_«bob@example.com»_ **«bob@example.com»**",
            "mailto:«bob@example.com»?subject=x",
            "https://h.test/p?a=1&email=«bob@example.com»&b=2",
            "email=«bob@example.com»",
            "«customer/department=shipping@example.com»",
            "«!def!xyz%abc@example.com» «_somename@example.com»",
            r#"«"john doe"@example.com»"#,
            r#"«"a\"b@c"@example.com»"#,
            "«jürgen@müller.de» und «info@xn--mller-kva.de»",
            "«иван@пример.рф»",
            "请写信到«bob@example.com»谢谢",
            "...«bob@example.com»... «bob@example.com»-foo",
            "«x@example.xn--p1ai»",
        ],
    );
}

#[test]
fn what_only_has_an_at_sign_is_no_email() {
    leaves_alone(&[
        "a@b",
        "@user @example.com",
        "user@",
        "user@example",
        "user@example.c",
        "user@1.2.3",
        "lodash@4.17.21",
        "icon@2x.png and sprite@3x.JPG",
        "git clone git@github.com:org/repo.git",
        "bob.@example.com",
        "bob@-example.com",
        "bob@example.com2",
        "c = a@b.transpose() and systemctl start getty@tty1.service",
        "@Override public void run() {}",
        &format!("{}@example.com", "a".repeat(65)),
        &format!("a@{}.com", "b".repeat(64)),
    ]);
}

#[test]
fn a_domain_that_goes_on_too_long_is_cut_and_not_let_through() {
    let text = format!("bob@example.com{}", ".aa".repeat(200));
    let found = findings(&text);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].start_byte, 0);
    assert!(found[0].end_byte <= "bob@".len() + 253);
}

#[test]
fn phones_are_found_in_international_and_north_american_forms() {
    finds(
        "PHONE",
        &[
            "«+14155552671»",
            "«+1 415 555 2671», «+1-415-555-2671», «+1 (415) 555-2671»",
            "«+44 20 7946 0958» «+44 (0)20 7946 0958»",
            "«+49 30 901820» «+33 1 23 45 67 89» «+86 138 0013 8000»",
            "«+972-3-555-1234» «+998 71 123 4567»",
            "«(415) 555-2671» «(415)555-2671» «415-555-2671» «415.555.2671»",
            "«1-415-555-2671»; «415 555 2671»",
            "«415-555-2671 ext. 22», «415-555-2671x2234»",
            "«0049 30 901820»",
            "tel:«+14155552671»",
            "call «4155552671» now, «4155552672» is my mobile",
            r#"{"phone_number": "«4155552671»"}"#,
            "They are not answering at «032 385 68 19»",
            "phone: «481 7531»",
            "电话«+8613800138000»号",
        ],
    );
}

#[test]
fn phones_are_found_by_a_label_an_owner_an_extension_or_their_numbering_plan() {
    finds(
        "PHONE",
        &[
            "Tel.: «83372497», Fax: «40354870»",
            r#"{"mobile": "«07700900123»"}"#,
            "My number is «081 667 6057», his number is «44196263».",
            "318-196-5697 x629"
                .replace("318", "«318")
                .replace("629", "629»")
                .as_str(),
            "the office «(020) 7946 0958»",
            "«(+358) 986255825»",
            "call «8 (056) 563-04-81»",
            "you can reach me at «7287815036»",
        ],
    );
    let reasons = findings("+44 20 7946 0958").remove(0).reasons;
    assert_eq!(reasons, ["pattern:international", "e164", "numbering_plan"]);
    // Written as a telephone number, but no plan has it.
    let unsure = findings("+44 1 2345 678").remove(0);
    assert!(unsure.score < 0.7, "{unsure:?}");
    leaves_alone(&[
        "+44123456789012",
        "my number is 42",
        "the number is 44196263",
        "f(020) 7946",
    ]);
}

#[test]
fn numbers_without_a_telephone_about_them_are_no_phones() {
    leaves_alone(&[
        "4155552671",
        "order 4155552671 shipped",
        "+0 123 456 789 and +999 123 456 789",
        "+1 115 555 2671 and +1 415 155 2671",
        "(115) 555-2671, 115-555-2671, 911-555-2671, 415-111-2671",
        "415-555.2671",
        "x+14155552671 and 1+14155552671",
        "99-415-555-2671 and 415-555-2671-8",
        "+1 415",
        "ticket 2024-1234-567",
        "call me on 2024-01-15 or 15.01.2024",
        "called at 1700000000",
        "the phone costs $1 299 000",
        "1 415 555 2671 330 and 200 415 555 2671",
        "they call 10.000.000 people",
        "2024-01-01T00:00:00+0200",
        "isbn 978-3-16-148410-0",
        "x = +123456",
    ]);
}

#[test]
fn social_security_numbers_are_found_by_their_rules() {
    finds(
        "US_SSN",
        &[
            "ssn «536-22-1234».",
            "«536 22 1234»",
            "SSN: «536221234»",
            r#"{"ssn":"«536-22-1234»"}"#,
            "«899-99-9999» «001-01-0001»",
        ],
    );
    leaves_alone(&[
        "000-12-3456",
        "666-12-3456",
        "900-12-3456 and 987-65-4321",
        "536-00-1234",
        "536-22-0000",
        "078-05-1120 and 219-09-9999",
        "536221234",
        "invoice 536221234",
        "1-536-22-1234, 536-22-1234-5, 536-22-12345, a536-22-1234",
        "536-22 1234",
        "100 536 22 1234 and 536 22 1234 7",
        "socially 536221234",
    ]);
}

/// Numbers that the networks and payment processors publish for testing.
#[test]
fn cards_of_every_issuer_are_found_bare_spaced_and_dashed() {
    let issuers = [
        ("4111111111111111", "issuer:visa"),
        ("4222222222222", "issuer:visa"),
        ("5555555555554444", "issuer:mastercard"),
        ("2223003122003222", "issuer:mastercard"),
        ("378282246310005", "issuer:amex"),
        ("6011111111111117", "issuer:discover"),
        ("30569309025904", "issuer:diners"),
        ("3530111333300000", "issuer:jcb"),
        ("6200000000000005", "issuer:unionpay"),
        ("6759649826438453", "issuer:maestro"),
    ];
    for (number, issuer) in issuers {
        let found = findings(&format!("pay with {number}."));
        assert_eq!(found.len(), 1, "{number}");
        assert_eq!(found[0].kind, "CREDIT_CARD");
        assert!(found[0].reasons.iter().any(|reason| reason == issuer));
        assert!(found[0].reasons.iter().any(|reason| reason == "luhn"));
    }
    finds(
        "CREDIT_CARD",
        &[
            "«4111 1111 1111 1111» «4111-1111-1111-1111»",
            "«3782 822463 10005» and «3782-822463-10005»",
            "«3056 930902 5904»",
            "«4111 1111 1111 1111» 123",
            "«4111 1111 1111 1111» 12/27",
            "20 «4111 1111 1111 1111»",
            "«4111111111111111»,«5555555555554444»",
            "«4111111111111111»-",
            "卡号«4111111111111111»。",
        ],
    );
}

#[test]
fn digits_inside_something_else_are_no_card() {
    leaves_alone(&[
        "4111111111111112",
        "94111111111111111 41111111111111119999",
        "411111111111111a a4111111111111111 _4111111111111111",
        "0.4111111111111111",
        "4111-1111 1111-1111",
        "1234-4111-1111-1111-1111",
        "1111111111111111 0000000000000000",
        "DE89 4111 1111 1111 1111 00",
        "550e8400-e29b-41d4-a716-501800000009",
        "4111 111111 111111",
    ]);
}

#[test]
fn addresses_are_found_in_all_their_forms() {
    finds(
        "IP_ADDRESS",
        &[
            "ping «192.0.2.1».",
            "http://«10.0.0.1»:8080/x «10.0.0.0»/8 «10.0.0.1»-«10.0.0.9»",
            "«0.0.0.0» «255.255.255.255»",
            "from «192.0.2.1», version 2 answered",
            "«2001:db8:0:0:8:800:200c:417a»",
            "«2001:DB8::8:800:200C:417A» «ff01::101» «::1»",
            "«fe80::1»%eth0 and «2001:db8::»/32",
            "[«::ffff:192.0.2.128»]:443, «0:0:0:0:0:0:13.1.68.3».",
            "addr:«2001:db8::1»: up",
            r#"{"ip":"«2001:db8::1»"}"#,
        ],
    );
}

#[test]
fn versions_times_and_code_are_no_addresses() {
    leaves_alone(&[
        "1.2.3.4.5 and 256.1.1.1 and 01.2.3.4 and 1.2.3",
        "v1.2.3.4, version 1.2.3.4, Version: 4.18.0.55, ver. 1.2.3.4",
        "Chrome/120.0.0.0 Safari",
        "lib-1.2.3.4.jar and 1.2.3.4-beta",
        "std::vector<int> a::b dead::beef ::std ::",
        "x[::2] rows[1::2] f(x)[::1] f64::E",
        "see section 1.2.3.4 and Table 1.1.1.1",
        "12:34:56 and 2024-01-01T12:34:56.789Z",
        "1:2:3:4:5:6:7:8:9 and :1: and 12:34",
        "1::2::3",
        "SHA256:ab:cd:ef:01:23:45:67:89:ab:cd:ef:01:23:45:67:89",
    ]);
    ignores("ip_address", &["aa:bb:cc:dd:ee:ff 00:11:22:33:44:55:66:77"]);
}

#[test]
fn identifiers_hashes_dates_and_code_are_not_personal_data() {
    leaves_alone(&[
        "",
        "42 1,204.50 3.14159265358979 1e10 0xdeadbeef",
        "JIRA-12345 #98765 PR-1",
        "550e8400-e29b-41d4-a716-446655440000",
        "d41d8cd98f00b204e9800998ecf8427e",
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "2024-01-15T09:12:44.123456Z 2024-01-15 09:12:44+02:00",
        "for (int i = 0; i < 10; ++i) { a[i] = b[i + 1]; }",
        "let x: [u8; 16] = [0x41, 0x11]; // 1234 5678",
        "rows 1000000 2000000 3000000; shape [128, 384, 4096]",
        "<EMAIL> <PHONE> <US_SSN> <CREDIT_CARD> <IP_ADDRESS>",
    ]);
}

#[test]
fn of_overlapping_candidates_the_surest_wins_and_says_why() {
    // As a phone number this would be a national one beside `call`.
    let text = "call the card 4111 1111 1111 1111";
    let found = findings(text);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].kind, "CREDIT_CARD");
    assert_eq!(
        found[0].reasons,
        ["pattern:spaced", "luhn", "issuer:visa", "context:card"]
    );
}

#[test]
fn offsets_count_bytes_and_code_points() {
    let found = findings("é😀 bob@example.com");
    assert_eq!((found[0].start_byte, found[0].end_byte), (7, 22));
    assert_eq!((found[0].start_char, found[0].end_char), (3, 18));
}

#[test]
fn only_the_detectors_that_were_named_run() {
    let engine = Engine::new(&GuardrailsConfig::default()).unwrap();
    let only = Selection::named(&["email"]).unwrap();
    let redacted = engine.redact("bob@example.com 192.0.2.1", &only).unwrap();
    assert_eq!(redacted.text, "<EMAIL> 192.0.2.1");
}

#[test]
fn what_an_encoding_hides_is_reported_as_the_encoded_run() {
    let text = "auth: bXkgY2FyZCBpcyA0MTExIDExMTEgMTExMSAxMTEx, then";
    let found = findings(text);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].kind, "CREDIT_CARD");
    assert_eq!((found[0].start_byte, found[0].end_byte), (6, 46));
    assert!(found[0].reasons.iter().any(|it| it == "encoded:base64"));
    // base64 of base64, and no deeper.
    let twice = "ZEdobElHTmhjbVFnTkRFeE1TQXhNVEV4SURFeE1URWdNVEV4TVNFPQ==";
    assert_eq!(findings(twice)[0].kind, "CREDIT_CARD");
    let thrice = "WkVkb2JFbEhUbWhqYlZGblRrUkZlRTFUUVhoTlZFVjRTVVJGZUUxVVJXZE5WRVY0VFZORlBRPT0=";
    assert_eq!(findings(thrice), []);
}
