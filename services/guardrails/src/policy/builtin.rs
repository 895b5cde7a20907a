//! The profiles that come with the service, one file each.

use super::spec::ProfileSpec;

const FILES: [&str; 7] = [
    include_str!("profiles/default.toml"),
    include_str!("profiles/strict.toml"),
    include_str!("profiles/hipaa_safe_harbor.toml"),
    include_str!("profiles/gdpr.toml"),
    include_str!("profiles/pci_dss.toml"),
    include_str!("profiles/soc2.toml"),
    include_str!("profiles/coppa.toml"),
];

/// All of them as they are written; one that cannot be read is left out, and a test says
/// that none is.
pub(super) fn specs() -> Vec<ProfileSpec> {
    FILES
        .iter()
        .filter_map(|file| {
            toml::from_str(file)
                .map_err(|error| tracing::error!(%error, "a built-in policy cannot be read"))
                .ok()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;
    use crate::policy::{
        names::{Name, look_up},
        profile::{Origin, Profile},
    };

    #[test]
    fn every_file_is_a_profile_whose_names_exist_or_are_said_not_to() {
        let mut names = Vec::new();
        for file in FILES {
            let spec: ProfileSpec = toml::from_str(file).unwrap();
            assert!(spec.description.ends_with('.'), "{}", spec.name);
            let profile = Profile::new(spec, &Origin::BuiltIn).unwrap();
            names.push(profile.name().to_owned());
        }
        assert_eq!(
            names,
            [
                "default",
                "strict",
                "hipaa_safe_harbor",
                "gdpr",
                "pci_dss",
                "soc2",
                "coppa"
            ]
        );
    }

    #[test]
    fn the_safe_harbor_profile_covers_the_18_identifiers_in_order_or_says_why_not() {
        let specs = specs();
        let hipaa = specs
            .iter()
            .find(|it| it.name == "hipaa_safe_harbor")
            .unwrap();
        let ids: String = hipaa.coverage.iter().map(|it| it.id.as_str()).collect();
        let expected: String = ('A'..='R').map(|letter| format!("({letter})")).collect();
        assert_eq!(ids, expected);
        for item in &hipaa.coverage {
            assert!(
                !item.detectors.is_empty() || !item.note.is_empty(),
                "{}",
                item.id
            );
            for name in &item.detectors {
                assert_ne!(look_up(name), Name::Unknown, "{name}");
                assert!(
                    hipaa.detectors.contains(name),
                    "{name} is covered but not run"
                );
            }
        }
    }

    #[test]
    fn the_gdpr_profile_covers_every_special_category_of_article_9() {
        let specs = specs();
        let gdpr = specs.iter().find(|it| it.name == "gdpr").unwrap();
        let special = gdpr
            .coverage
            .iter()
            .filter(|it| it.id.starts_with("Art. 9(1)"));
        assert_eq!(special.count(), 8);
    }
}
