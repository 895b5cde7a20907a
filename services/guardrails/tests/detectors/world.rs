//! Numbers that authorities outside Europe and the United States issue.

use crate::support::{detects, finds, ignores, leaves_alone, reasons};

#[test]
fn indian_numbers() {
    // UIDAI's sample 2341 2341 2346; the Income Tax Department's form of a person's PAN.
    finds(
        "IN_AADHAAR",
        &[
            "Aadhaar «2341 2341 2346»",
            "aadhar: «234123412346»",
            "UID «2341-2341-2346»",
        ],
    );
    finds(
        "IN_PAN",
        &["PAN: «ABCPE1234F»", "income tax pan «ACUPA7085R»"],
    );
    leaves_alone(&[
        "2341 2341 2346",
        "Aadhaar 2341 2341 2347",
        "Aadhaar 1341 2341 2346",
        "ABCPE1234F",
        "PAN ABCDE1234F",
        "the pan ABCPE123F",
    ]);
    assert_eq!(
        reasons("in_aadhaar", "Aadhaar 2341 2341 2346"),
        ["pattern:aadhaar", "verhoeff", "context:aadhaar"]
    );
}

#[test]
fn brazilian_numbers() {
    // The usual examples of Receita Federal; its alphanumeric CNPJ of 2026.
    finds(
        "BR_CPF",
        &[
            "«111.444.777-35»",
            "CPF «52998224725»",
            "cpf: «529.982.247-25»",
        ],
    );
    detects(
        "br_cnpj",
        "BR_CNPJ",
        &[
            "«11.222.333/0001-81»",
            "«12.ABC.345/01DE-35»",
            "CNPJ «11222333000181»",
        ],
    );
    leaves_alone(&[
        "111.444.777-34",
        "111.111.111-11",
        "52998224725",
        "CPF 52998224724",
    ]);
    ignores(
        "br_cnpj",
        &[
            "11.222.333/0001-82",
            "12.ABC.345/01DE-36",
            "11222333000181",
            "CNPJ 00000000000000",
        ],
    );
}

#[test]
fn australian_numbers() {
    // ATO's test number; the ABN of the Australian Taxation Office; a Medicare number
    // whose check digit follows Services Australia's weights.
    finds(
        "AU_TFN",
        &["TFN «123 456 782»", "tax file number: «123456782»"],
    );
    finds(
        "AU_MEDICARE",
        &["Medicare card «2123 45670 1»", "medicare «21234567011»"],
    );
    detects(
        "au_abn",
        "AU_ABN",
        &["«51 824 753 556»", "ABN «51824753556»"],
    );
    leaves_alone(&[
        "123 456 782",
        "TFN 123 456 783",
        "2123 45670 1",
        "Medicare card 2123 45671 1",
    ]);
    ignores(
        "au_abn",
        &["51 824 753 557", "51824753556", "ABN 01 824 753 556"],
    );
}

#[test]
fn canadian_numbers() {
    // The example that Wikipedia computes, which belongs to nobody.
    finds(
        "CA_SIN",
        &[
            "SIN «046 454 286»",
            "social insurance number «130-692-544»",
            "NAS: «130692544»",
        ],
    );
    leaves_alone(&[
        "046 454 286",
        "SIN 046 454 287",
        "SIN 830 692 547",
        "130692544",
    ]);
}
