//! Every detector there is, one line each, in the order that `ListDetectors` shows.

use super::{
    Detector, account_number, age, api_key, au_abn, au_medicare, au_tfn, br_cnpj, br_cpf, ca_sin,
    coordinates, credential, credit_card, crypto_address, dates, de_id_card, de_tax_id,
    device_serial, domain, email, es_dni, eu_vat, fr_nir, health_plan_number, iban, imei,
    in_aadhaar, in_pan, ip_address, it_fiscal_code, jwt, license_plate, mac_address,
    medical_record_number, nl_bsn, phone, pl_pesel, private_key, uk_nhs, uk_nino, url,
    us_bank_account, us_dea, us_driver_license, us_itin, us_mbi, us_npi, us_passport,
    us_routing_number, us_ssn, us_zip_code, vin,
};

/// All detectors.
pub(crate) static ALL: &[&Detector] = &[
    &email::DETECTOR,
    &phone::DETECTOR,
    &us_ssn::DETECTOR,
    &credit_card::DETECTOR,
    &ip_address::DETECTOR,
    &mac_address::DETECTOR,
    &url::DETECTOR,
    &domain::DETECTOR,
    &iban::DETECTOR,
    &us_bank_account::DETECTOR,
    &us_routing_number::DETECTOR,
    &account_number::DETECTOR,
    &crypto_address::DETECTOR,
    &us_itin::DETECTOR,
    &us_passport::DETECTOR,
    &us_driver_license::DETECTOR,
    &us_zip_code::DETECTOR,
    &us_npi::DETECTOR,
    &us_dea::DETECTOR,
    &us_mbi::DETECTOR,
    &uk_nhs::DETECTOR,
    &uk_nino::DETECTOR,
    &eu_vat::DETECTOR,
    &de_tax_id::DETECTOR,
    &de_id_card::DETECTOR,
    &fr_nir::DETECTOR,
    &es_dni::DETECTOR,
    &es_dni::FOREIGNERS,
    &it_fiscal_code::DETECTOR,
    &pl_pesel::DETECTOR,
    &nl_bsn::DETECTOR,
    &in_aadhaar::DETECTOR,
    &in_pan::DETECTOR,
    &br_cpf::DETECTOR,
    &br_cnpj::DETECTOR,
    &au_tfn::DETECTOR,
    &au_abn::DETECTOR,
    &au_medicare::DETECTOR,
    &ca_sin::DETECTOR,
    &dates::OF_BIRTH,
    &dates::ANY,
    &age::DETECTOR,
    &medical_record_number::DETECTOR,
    &health_plan_number::DETECTOR,
    &device_serial::DETECTOR,
    &imei::DETECTOR,
    &vin::DETECTOR,
    &license_plate::DETECTOR,
    &coordinates::DETECTOR,
    &api_key::DETECTOR,
    &jwt::DETECTOR,
    &private_key::DETECTOR,
    &credential::DETECTOR,
];

/// The place in [`ALL`] of the detector with this name.
pub(crate) fn index_of(name: &str) -> Option<usize> {
    ALL.iter().position(|detector| detector.name == name)
}

/// The detector name most like `name`, for error messages.
pub(crate) fn nearest(name: &str) -> &'static str {
    let wanted = name.to_ascii_lowercase();
    ALL.iter()
        .map(|detector| detector.name)
        .max_by(|a, b| {
            // `ip` means `ip_address` before anything that only shares letters.
            let shared = |known: &str| {
                let words = wanted.split(['_', '-', ' ']);
                words
                    .filter(|word| known.split('_').any(|known| known == *word))
                    .count()
            };
            let likeness = |known: &str| strsim::jaro_winkler(&wanted, known);
            let rest = || likeness(a).total_cmp(&likeness(b));
            shared(a).cmp(&shared(b)).then_with(rest)
        })
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn names_are_unique_snake_case_and_types_are_their_upper_case_labels() {
        for (at, detector) in ALL.iter().enumerate() {
            assert_eq!(index_of(detector.name), Some(at), "{}", detector.name);
            let plain = |text: &str, letter: fn(&u8) -> bool| {
                text.bytes().all(|byte| letter(&byte) || byte == b'_')
            };
            assert!(plain(detector.name, u8::is_ascii_lowercase));
            assert!(plain(detector.kind, u8::is_ascii_uppercase));
            assert!(detector.description.ends_with('.'));
        }
    }

    #[test]
    fn patterns_are_ascii_but_for_mailboxes_and_degrees() {
        for detector in ALL {
            for pattern in detector.patterns {
                let name = (detector.name, pattern.name);
                let exempt = [("email", "mailbox"), ("coordinates", "compass")];
                let is_ascii = pattern.regex.is_ascii() && !pattern.regex.contains(r"\p{");
                assert!(is_ascii || exempt.contains(&name), "{name:?}");
            }
        }
    }

    #[test]
    fn the_nearest_name_of_a_slip_is_the_one_that_was_meant() {
        assert_eq!(nearest("emial"), "email");
        assert_eq!(nearest("Credit-Card"), "credit_card");
        assert_eq!(nearest("ip"), "ip_address");
        assert_eq!(nearest("ssn_us"), "us_ssn");
    }
}
