//! Bank accounts, routing numbers, wallets.

use crate::support::{detects, finds, ignores, leaves_alone, reasons};

/// The examples of SWIFT's IBAN registry, one for each length and shape.
const IBANS: [&str; 24] = [
    "AD1200012030200359100100",
    "AE070331234567890123456",
    "AL47212110090000000235698741",
    "AT611904300234573201",
    "BE68539007547034",
    "BR1800360305000010009795493C1",
    "CH9300762011623852957",
    "CY17002001280000001200527600",
    "CZ6508000000192000145399",
    "DE89370400440532013000",
    "ES9121000418450200051332",
    "FI2112345600000785",
    "FR1420041010050500013M02606",
    "GB29NWBK60161331926819",
    "GR1601101250000000012300695",
    "IE29AIBK93115212345678",
    "IT60X0542811101000000123456",
    "MT84MALT011000012345MTLCAST001S",
    "NL91ABNA0417164300",
    "NO9386011117947",
    "PL61109010140000071219812874",
    "SA0380000000608010167519",
    "SE4550000000058398257466",
    "TR330006100519786457841326",
];

#[test]
fn ibans_of_the_registry_are_found_bare_and_in_groups() {
    for iban in IBANS {
        let grouped: Vec<&str> = (0..iban.len())
            .step_by(4)
            .map(|at| &iban[at..iban.len().min(at + 4)])
            .collect();
        for form in [
            iban.to_owned(),
            iban.to_lowercase(),
            grouped.join(" "),
            grouped.join("-"),
        ] {
            finds("IBAN", &[&format!("pay to «{form}», please")]);
        }
    }
    assert_eq!(
        reasons("iban", "DE89370400440532013000"),
        ["pattern:bare", "iban_length", "mod97"]
    );
}

#[test]
fn a_wrong_country_length_or_check_digit_is_no_iban() {
    leaves_alone(&[
        "DE88370400440532013000",
        "ZZ89370400440532013000",
        "DE8937040044053201300",
        "GB29NWBK6016133192681",
        "DE89 3704 0044 0532 0130 01",
        "XDE89370400440532013000",
    ]);
}

#[test]
fn routing_numbers_need_their_word_and_their_check_digit() {
    // The Federal Reserve Banks' own: Boston, New York, San Francisco; ABA's example.
    finds(
        "US_ROUTING_NUMBER",
        &[
            "routing number «011000015»",
            "ABA: «021001208», wire to «121000374»",
            r#"{"routing": "«111000025»"}"#,
        ],
    );
    leaves_alone(&[
        "011000015",
        "routing 011000016",
        "ABA 991000015",
        "routing 000000000",
        "routing table 1.2.3",
    ]);
}

#[test]
fn account_numbers_need_a_label() {
    detects(
        "us_bank_account",
        "US_BANK_ACCOUNT",
        &[
            "checking account «000123456789»",
            "Bank account number is «1234567890».",
            r#""bank_account": "«12345678»""#,
            "Savings Acct #: «0012-345678-9»",
        ],
    );
    detects(
        "account_number",
        "ACCOUNT_NUMBER",
        &[
            "account number: «12345678»",
            "Acct. No. «A-4471920»",
            "your account is «00123456»",
            r#"{"account_number":"«9900123»"}"#,
            "customer id «C1234567», policy number «POL-558812»",
            "Kundennummer: «44719201»",
        ],
    );
    leaves_alone(&[
        "12345678",
        "account 42",
        "on account of 2024",
        "account created 20240115T1200",
        "account_id: 550e8400-e29b-41d4-a716-446655440000",
        "the account since 2024-01-15",
        "accounts 12345678",
        "customer 12345678",
    ]);
}

#[test]
fn wallets_are_found_by_the_checksum_of_their_format() {
    finds(
        "CRYPTO_ADDRESS",
        &[
            // The first block's address, and BIP-16's form.
            "«1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa»",
            "send to «3P14159f73E4gFr7JterCCQh9QjiTjiZrG».",
            // BIP-173 and BIP-350.
            "«bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4»",
            "«BC1QW508D6QEJXTDG4Y5R3ZARVARY0C5XW7KV8F3T4»",
            "«bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqzk5jj0»",
            // EIP-55.
            "«0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed»",
            "«0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359»",
            // XRP Ledger, the account zero and the genesis account.
            "«rHb9CJAWyB4rj91VRWn96DkukG4bwdtyTh»",
            "wallet «0xde709f2102306220921060314715629080e2fb77»",
        ],
    );
    leaves_alone(&[
        "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNb",
        "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t5",
        "bc1Qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4",
        "0x5aaeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
        "0xde709f2102306220921060314715629080e2fb77",
        "commit 0x1234567890123456789012345678901234567890",
    ]);
    ignores(
        "crypto_address",
        &[
            "1111111111111111111111111111",
            "rrrrrrrrrrrrrrrrrrrrrrrrrrrr",
        ],
    );
}
