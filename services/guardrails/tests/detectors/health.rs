//! Records, plans, devices, plates, places.

use crate::support::{detects, finds, ignores, leaves_alone};

#[test]
fn records_and_plans_need_a_label() {
    finds(
        "MEDICAL_RECORD_NUMBER",
        &[
            "MRN: «4471920»",
            "Medical Record Number «A-0044719»",
            "«MRN-447192» and patient id: «P1234567»",
            r#"{"mrn": "«00447192»"}"#,
        ],
    );
    finds(
        "HEALTH_PLAN_NUMBER",
        &[
            "health plan id: «H1234-5678»",
            "Medicaid no. «123456789A»",
            "Beneficiary #«99887766»",
        ],
    );
    leaves_alone(&[
        "4471920",
        "patient 4471920 steps",
        "medical records from 2019",
        "MRN unknown",
        "the medicare budget was 848",
    ]);
}

#[test]
fn devices_are_found_by_their_numbers() {
    // The IMEI of 3GPP's and GSMA's example.
    finds(
        "IMEI",
        &["IMEI «490154203237518»", "imei: «49-015420-323751-8»"],
    );
    detects(
        "device_serial",
        "DEVICE_SERIAL",
        &[
            "Serial number: «C02XK1ABJG5J»",
            "S/N «AB-123456»",
            r#""device_id": "«A1B2C3D4E5»""#,
        ],
    );
    leaves_alone(&[
        "490154203237518",
        "IMEI 490154203237519",
        "serial number: C02XK1ABJG5J",
    ]);
    ignores(
        "device_serial",
        &["serial killer", "serial port COM3", "serial 12"],
    );
}

#[test]
fn plates_need_a_label_and_a_digit() {
    finds(
        "LICENSE_PLATE",
        &[
            "license plate «7ABC123»",
            "number plate: «AB12 CDE»",
            "Kennzeichen «B-MW 1234»",
            "plate number is «ABC-1234».",
        ],
    );
    leaves_alone(&[
        "plate 4",
        "7ABC123",
        "a plate of food",
        "license plate missing",
        "plate tectonics 1965",
    ]);
}

#[test]
fn places_on_the_globe_are_found_in_their_forms() {
    finds(
        "COORDINATES",
        &[
            "«40.7128° N, 74.0060° W»",
            "«40°42'46\"N 74°00'21\"W»",
            "«48°51′29″N 2°17′40″E»",
            "GPS: «40.712800, -74.006000»",
            r#"{"lat": «40.7128», "lng": «-74.0060»}"#,
            "location «51.5074,0.1278»",
        ],
    );
    leaves_alone(&[
        "40.7128, -74.0060",
        "weights 0.1234, 0.5678, 0.9012",
        "GPS 95.1234, 74.0060",
        "it was 20° N of the line",
        "at 4.5 km",
    ]);
}
