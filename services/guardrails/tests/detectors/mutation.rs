//! What a check digit is for: of a valid number with any one digit changed, nothing
//! is found. Every digit of every sample is tried with every other value.

use crate::support::findings_of;

/// The detector, what stands before the number, the number, and how many of its last
/// digits no check protects.
type Sample = (&'static str, &'static str, &'static str, usize);

/// Schemes that see every change of one digit: Luhn, Verhoeff, prime moduli larger
/// than ten, and moduli of ten with weights that have no factor in common with it.
#[rustfmt::skip]
const GUARANTEED: [Sample; 30] = [
    ("credit_card", "", "4111111111111111", 0),
    ("iban", "", "DE89370400440532013000", 0),
    ("iban", "", "GB29NWBK60161331926819", 0),
    ("us_routing_number", "routing ", "011000015", 0),
    ("us_npi", "NPI ", "1234567893", 0),
    ("vin", "", "1M8GDM9AXKP042788", 0),
    ("uk_nhs", "NHS ", "9434765919", 0),
    ("de_tax_id", "Steuer-ID ", "86095742719", 0),
    ("de_id_card", "Ausweis ", "T220001293", 0),
    ("fr_nir", "", "255081416802538", 0),
    ("es_dni", "DNI ", "12345678Z", 0),
    ("es_nie", "NIE ", "X1234567L", 0),
    ("it_fiscal_code", "", "MRTMTT25D09F205Z", 0),
    ("pl_pesel", "PESEL ", "44051401458", 0),
    ("nl_bsn", "BSN ", "111222333", 0),
    ("in_aadhaar", "Aadhaar ", "234123412346", 0),
    ("au_tfn", "TFN ", "123456782", 0),
    ("au_abn", "ABN ", "51824753556", 0),
    // The issue number, the last digit, is not part of the sum.
    ("au_medicare", "Medicare ", "2123456701", 1),
    ("ca_sin", "SIN ", "046454286", 0),
    ("imei", "IMEI ", "490154203237518", 0),
    ("crypto_address", "", "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa", 0),
    ("crypto_address", "", "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4", 0),
    ("eu_vat", "", "BE0428759497", 0),
    ("eu_vat", "", "DE136695976", 0),
    ("eu_vat", "", "FR40303265045", 0),
    ("eu_vat", "", "HR33392005961", 0),
    ("eu_vat", "", "IT00743110157", 0),
    ("eu_vat", "", "EE100931558", 0),
    ("eu_vat", "", "PL8567346215", 0),
];

/// The text with each digit, save the last `free` ones, changed to each other digit.
fn mutations(number: &str, free: usize) -> Vec<String> {
    let places: Vec<usize> = (0..number.len())
        .filter(|&at| number.as_bytes()[at].is_ascii_digit())
        .collect();
    let mut changed = Vec::new();
    for &at in &places[..places.len() - free] {
        for digit in (b'0'..=b'9').filter(|digit| *digit != number.as_bytes()[at]) {
            let mut bytes = number.as_bytes().to_vec();
            bytes[at] = digit;
            changed.push(String::from_utf8(bytes).unwrap());
        }
    }
    changed
}

#[test]
fn a_number_with_one_digit_changed_is_not_found() {
    for (detector, before, number, free) in GUARANTEED {
        let found = findings_of(detector, &format!("{before}{number}"));
        assert_eq!(found.len(), 1, "{detector}: {number}");
        for wrong in mutations(number, free) {
            let found = findings_of(detector, &format!("{before}{wrong}"));
            assert!(
                found.is_empty(),
                "{detector}: {number} as {wrong}: {found:?}"
            );
        }
    }
}

/// Schemes that miss some changes by their own design, with how many of a hundred they
/// may miss: DEA doubles every second digit without Luhn's correction, so a change by
/// five passes; two modulo-11 checks map ten to zero, so a pair of remainders looks
/// alike; an MBI, a NINO and a PAN have no check digit at all.
#[test]
fn schemes_with_blind_spots_miss_no_more_than_those() {
    let samples = [
        ("us_dea", "DEA ", "AB1234563", 6),
        ("br_cpf", "CPF ", "52998224725", 4),
        ("br_cnpj", "CNPJ ", "11222333000181", 4),
        ("eu_vat", "", "PT501964843", 4),
        ("eu_vat", "", "EL094259216", 4),
    ];
    for (detector, before, number, percent) in samples {
        let wrong = mutations(number, 0);
        let missed = wrong
            .iter()
            .filter(|wrong| !findings_of(detector, &format!("{before}{wrong}")).is_empty())
            .count();
        assert!(
            missed * 100 <= wrong.len() * percent,
            "{detector}: {missed} of {}",
            wrong.len()
        );
    }
}

#[test]
fn the_letter_case_of_an_ethereum_address_is_its_check() {
    let address = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed";
    assert_eq!(findings_of("crypto_address", address).len(), 1);
    for at in 2..address.len() {
        let mut bytes = address.as_bytes().to_vec();
        let flipped = bytes[at] ^ 0x20;
        if bytes[at].is_ascii_alphabetic() {
            bytes[at] = flipped;
            let wrong = String::from_utf8(bytes).unwrap();
            assert!(findings_of("crypto_address", &wrong).is_empty(), "{wrong}");
        }
    }
}
