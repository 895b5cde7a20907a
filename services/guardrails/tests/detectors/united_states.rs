//! Numbers that US authorities issue.

use crate::support::{detects, finds, ignores, leaves_alone, reasons};

#[test]
fn taxpayer_numbers_are_found_in_the_ranges_in_use() {
    finds(
        "US_ITIN",
        &[
            "«912-70-1234» «999-88-0001»",
            "ITIN «912701234», tin «912 94 1234»",
        ],
    );
    leaves_alone(&[
        "912-49-1234",
        "912-66-1234",
        "912-89-1234",
        "912-93-1234",
        "987-65-4321",
        "912701234",
        "912 70 1234",
        "1-912-70-1234",
    ]);
}

#[test]
fn passports_and_licences_need_their_word() {
    finds(
        "US_PASSPORT",
        &["passport «123456789»", "Passport No: «A12345678»."],
    );
    finds(
        "US_DRIVER_LICENSE",
        &[
            "My driver's license number is «D1234567»",
            "DL# «A1234567», DL: «12345678»",
            "driver license «WDLABCD456DG»",
            r#"{"drivers_license": "«S514-7891-2345-6»"}"#,
            "driving licence no. «LH329609T»",
            "License number: «123456789»",
        ],
    );
    leaves_alone(&[
        "A12345678",
        "passport control at gate 12",
        "driver version 535",
        "the MIT license 2024",
        "a driver's license is required",
        "driver license renewal 2024-01",
        "License: Apache-2.0",
        "dl 12",
    ]);
}

#[test]
fn prescribers_are_found_by_their_check_digits() {
    // CMS's example of the NPI check digit; a DEA number from the agency's example of
    // its computation (AB1234563).
    finds("US_NPI", &["NPI: «1234567893»", "provider «1245319599»"]);
    finds("US_DEA", &["DEA «AB1234563»", "DEA# «F91234563»."]);
    leaves_alone(&[
        "1234567893",
        "NPI 1234567890",
        "NPI 3234567893",
        "AB1234563",
        "DEA AB1234564",
        "DEA OB1234563",
    ]);
    assert_eq!(
        reasons("us_npi", "NPI 1234567893"),
        ["pattern:bare", "luhn", "context:npi"]
    );
}

#[test]
fn medicare_beneficiaries_are_found_by_their_places() {
    // CMS's example on the new Medicare card.
    finds(
        "US_MBI",
        &[
            "«1EG4-TE5-MK73»",
            "Medicare «1EG4TE5MK73»",
            "mbi: «1eg4te5mk73»",
        ],
    );
    leaves_alone(&[
        "1EG4TE5MK73",
        "0EG4-TE5-MK73",
        "1SG4-TE5-MK73",
        "1EG4-TE5-MK7B",
        "1EG4-TE5-MK734",
    ]);
}

#[test]
fn vehicles_are_found_by_their_check_digit_or_their_word() {
    // The example of 49 CFR 565 as Wikipedia computes it, and the all-ones test number.
    finds(
        "VIN",
        &[
            "«1M8GDM9AXKP042788»",
            "VIN: «5GZCZ43D13S812715»",
            "Fahrgestellnummer «WVWZZZ1JZXW000001»",
        ],
    );
    leaves_alone(&[
        "1M8GDM9AXKP042789",
        "WVWZZZ1JZXW000001",
        "11111111111111111",
        "1M8GDM9AXKP04278",
        "1M8GDM9AXKPO42788",
    ]);
    ignores("vin", &["a1b2c3d4e5f601234", "ABCDEFGHJKLMN1234x"]);
}

#[test]
fn zip_codes_need_a_label_or_a_town_and_state() {
    detects(
        "us_zip_code",
        "US_ZIP_CODE",
        &[
            "zip code «94105»",
            "ZIP: «94105-1234»",
            "Springfield, IL «62701»",
            "New York, NY «10001-0001», USA",
            r#""postal_code": "«60601»""#,
        ],
    );
    ignores(
        "us_zip_code",
        &[
            "94105",
            "ZZ 94105",
            "IN 12345",
            "zip 1234",
            "zipped 94105 files",
            "MD5 12345",
        ],
    );
}
