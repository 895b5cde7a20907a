//! Numbers that European authorities issue, with the examples that they or the
//! descriptions of their schemes publish.

use crate::support::{detects, finds, ignores, leaves_alone, reasons};

#[test]
fn british_numbers() {
    // NHS Data Dictionary: 943 476 5919. HMRC's form in NIM39110.
    finds(
        "UK_NHS",
        &[
            "NHS number «943 476 5919»",
            "nhs: «9434765919»",
            "patient «943-476-5919»",
        ],
    );
    finds(
        "UK_NINO",
        &[
            "«AB 12 34 56 C»",
            "NINO: «AB123456C»",
            "National Insurance «ab123456d»",
        ],
    );
    leaves_alone(&[
        "9434765919",
        "NHS 9434765918",
        "AB123456C",
        "QQ 12 34 56 C",
        "NINO QQ123456C",
        "NINO GB123456A",
        "NINO AB123456E",
        "NINO DA123456A and AO123456A",
    ]);
    // By shape, these are North American telephones.
    ignores("uk_nhs", &["NHS 943 476 5918", "NHS 111 111 1111"]);
}

#[test]
fn german_numbers() {
    // BZSt's test numbers; the specimen cards of the ministry of the interior.
    finds(
        "DE_TAX_ID",
        &[
            "Steuer-ID: «86095742719»",
            "IdNr. «86 095 742 719»",
            "Steuer-ID «65929970489»",
        ],
    );
    finds(
        "DE_ID_CARD",
        &[
            "Personalausweis «T220001293»",
            "Ausweisnummer: «L01X00T47»",
            "Ausweis «L01X00T471»",
        ],
    );
    leaves_alone(&[
        "86095742719",
        "Steuer-ID 86095742718",
        "Steuer-ID 12345678901",
        "T220001293",
        "Personalausweis T220001294",
        "Ausweis FREUNDLICH",
    ]);
}

#[test]
fn french_numbers() {
    // Service-public's specimen of the carte Vitale, INSEE's example, and one of Corsica.
    finds(
        "FR_NIR",
        &[
            "«255081416802538»",
            "«2 55 08 14 168 025 38»",
            "numéro de sécu «1 84 12 76 451 089 46»",
        ],
    );
    leaves_alone(&[
        "255081416802539",
        "255131416802538",
        "355081416802538",
        "2 55 08 14 168 025 39",
    ]);
    assert_eq!(
        reasons("fr_nir", "255081416802538"),
        ["pattern:nir", "mod97"]
    );
}

#[test]
fn spanish_and_italian_numbers() {
    // The specimens of the Spanish ministry of the interior (DNI 12345678Z, NIE
    // X1234567L); the example of the Italian decree as Wikipedia gives it.
    finds(
        "ES_DNI",
        &["«12345678Z»", "DNI «12345678-Z»", "dni: «12345678z»"],
    );
    finds("ES_NIE", &["«X1234567L»", "NIE «X-1234567-L»"]);
    finds(
        "IT_FISCAL_CODE",
        &["«MRTMTT25D09F205Z»", "CF: «rssmra85t10a562s»"],
    );
    leaves_alone(&[
        "12345678A",
        "X1234567A",
        "12345678 z",
        "MRTMTT25D09F205A",
        "MRTMTT25Z09F205Z",
        "ABCDEFGHIJKLMNOP",
    ]);
}

#[test]
fn polish_and_dutch_numbers() {
    // Wikipedia's example of PESEL; the test number of Dutch software, 111222333.
    finds("PL_PESEL", &["PESEL «44051401458»"]);
    finds(
        "NL_BSN",
        &[
            "BSN «111222333»",
            "burgerservicenummer: «123456782»",
            "bsn «1112.22.333»",
        ],
    );
    leaves_alone(&[
        "44051401458",
        "PESEL 44051401459",
        "PESEL 44131401458",
        "111222333",
        "BSN 111222334",
        "BSN 000000000",
    ]);
}

/// Numbers of real companies and the Commission's examples, as collected in the
/// documentation of python-stdnum.
const VAT: [&str; 27] = [
    "ATU13585627",
    "BE0428759497",
    "BG175074752",
    "CY10259033P",
    "CZ25123891",
    "DE136695976",
    "DK13585628",
    "EE100931558",
    "EL094259216",
    "ESA13585625",
    "ESX2482300W",
    "FI20774740",
    "FR40303265045",
    "HR33392005961",
    "HU12892312",
    "IE6433435F",
    "IT00743110157",
    "LT119511515",
    "LU15027442",
    "LV40003521600",
    "MT11679112",
    "NL004495445B01",
    "PL8567346215",
    "PT501964843",
    "RO18547290",
    "SE123456789701",
    "SI50223054",
];

#[test]
fn vat_numbers_are_verified_by_the_rules_of_their_country() {
    for number in VAT {
        detects("eu_vat", "EU_VAT", &[&format!("VAT «{number}».")]);
    }
    detects(
        "eu_vat",
        "EU_VAT",
        &[
            "«SK2022749619»",
            "«IE6433435OA»",
            "«BE 0428.759.497»",
            "USt-IdNr. «DE 136 695 976»",
        ],
    );
    ignores(
        "eu_vat",
        &[
            "ATU13585626",
            "BE0428759496",
            "BG175074751",
            "CY10259033Z",
            "CZ25123890",
            "DE136695978",
            "DK13585627",
            "EE100594103",
            "EL123456781",
            "ESA13585626",
            "FI20774741",
            "FR84323140391",
            "HR33392005962",
            "HU12892313",
            "IE6433435E",
            "IT00743110158",
            "LT100001919018",
            "LU15027443",
            "LV40003521601",
            "MT11679113",
            "NL123456789B90",
            "PL8567346216",
            "PT501964842",
            "RO18547291",
            "SE123456789101",
            "SI50223055",
            "SK2022749618",
            "ZZ12345678",
            "EU123456789",
        ],
    );
}
