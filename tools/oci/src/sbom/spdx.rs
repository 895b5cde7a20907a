//! SPDX 2.3, as JSON: <https://spdx.github.io/spdx-spec/v2.3/>.
//!
//! Files are not listed: SPDX 2.3 asks for the SHA-1 of each. They are in the CycloneDX
//! document, with their SHA-256.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{TOOL, TOOL_VERSION, uuid};
use crate::{
    Digest, OciError,
    image::timestamp,
    inventory::{Component, Inventory, Kind},
};

const UNKNOWN: &str = "NOASSERTION";
const SUBJECT: &str = "SPDXRef-Image";

/// An SPDX document.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Document {
    spdx_version: &'static str,
    data_license: &'static str,
    #[serde(rename = "SPDXID")]
    id: &'static str,
    name: String,
    document_namespace: String,
    creation_info: CreationInfo,
    packages: Vec<Package>,
    relationships: Vec<Relationship>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    has_extracted_licensing_infos: Vec<ExtractedLicence>,
}

#[derive(Debug, Serialize)]
struct CreationInfo {
    created: String,
    creators: Vec<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Package {
    #[serde(rename = "SPDXID")]
    id: String,
    name: String,
    version_info: String,
    primary_package_purpose: &'static str,
    download_location: String,
    files_analyzed: bool,
    license_concluded: &'static str,
    license_declared: String,
    copyright_text: &'static str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    checksums: Vec<Checksum>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    external_refs: Vec<ExternalRef>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Checksum {
    algorithm: &'static str,
    checksum_value: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ExternalRef {
    reference_category: &'static str,
    reference_type: &'static str,
    reference_locator: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Relationship {
    spdx_element_id: String,
    relationship_type: &'static str,
    related_spdx_element: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ExtractedLicence {
    license_id: String,
    name: String,
    extracted_text: String,
}

/// The inventory as SPDX; `created` is in seconds since the epoch, and is the document's only
/// field that the inventory does not give.
///
/// # Errors
///
/// If `created` is no time.
pub fn spdx(inventory: &Inventory, created: i64) -> Result<Document, OciError> {
    let inventory = inventory.clone().normalised();
    let namespace = uuid(&inventory.digest());
    let ids: BTreeMap<&str, String> = inventory
        .components
        .iter()
        .map(|component| (component.purl.as_str(), identifier(component)))
        .collect();

    let mut packages = vec![subject(&inventory)];
    let mut relationships = vec![relation("SPDXRef-DOCUMENT", "DESCRIBES", SUBJECT)];
    let mut extracted = Vec::new();
    for purl in inventory
        .depends_on
        .iter()
        .filter_map(|purl| ids.get(purl.as_str()))
    {
        relationships.push(relation(SUBJECT, "DEPENDS_ON", purl));
    }
    for component in &inventory.components {
        let id = &ids[component.purl.as_str()];
        relationships.push(relation(SUBJECT, "CONTAINS", id));
        for used in component
            .depends_on
            .iter()
            .filter_map(|purl| ids.get(purl.as_str()))
        {
            relationships.push(relation(id, "DEPENDS_ON", used));
        }
        let declared = match (&component.license, &component.license_text) {
            (Some(expression), _) => expression.clone(),
            (None, Some(text)) => {
                let license_id = id.replacen("SPDXRef-", "LicenseRef-", 1);
                extracted.push(ExtractedLicence {
                    license_id: license_id.clone(),
                    name: format!("Licence of {} {}", component.name, component.version),
                    extracted_text: text.clone(),
                });
                license_id
            }
            (None, None) => UNKNOWN.to_owned(),
        };
        packages.push(package(component, id.clone(), declared));
    }

    Ok(Document {
        spdx_version: "SPDX-2.3",
        data_license: "CC0-1.0",
        id: "SPDXRef-DOCUMENT",
        document_namespace: format!("https://spdx.org/spdxdocs/{}-{namespace}", inventory.name),
        name: inventory.name,
        creation_info: CreationInfo {
            created: timestamp(created)?,
            creators: vec![format!("Tool: {TOOL}-{TOOL_VERSION}")],
        },
        packages,
        relationships,
        has_extracted_licensing_infos: extracted,
    })
}

fn subject(inventory: &Inventory) -> Package {
    Package {
        id: SUBJECT.to_owned(),
        name: inventory.name.clone(),
        version_info: inventory.version.clone(),
        primary_package_purpose: "CONTAINER",
        download_location: UNKNOWN.to_owned(),
        files_analyzed: false,
        license_concluded: UNKNOWN,
        license_declared: inventory
            .license
            .clone()
            .unwrap_or_else(|| UNKNOWN.to_owned()),
        copyright_text: UNKNOWN,
        checksums: Vec::new(),
        external_refs: Vec::new(),
    }
}

fn package(component: &Component, id: String, license_declared: String) -> Package {
    let checksum = component.sha256.clone().map(|checksum_value| Checksum {
        algorithm: "SHA256",
        checksum_value,
    });
    Package {
        id,
        name: component.name.clone(),
        version_info: component.version.clone(),
        primary_package_purpose: match component.kind {
            Kind::Library => "LIBRARY",
            Kind::Application => "APPLICATION",
            Kind::Data => "OTHER",
        },
        download_location: component
            .source
            .clone()
            .unwrap_or_else(|| UNKNOWN.to_owned()),
        files_analyzed: false,
        license_concluded: UNKNOWN,
        license_declared,
        copyright_text: UNKNOWN,
        checksums: checksum.into_iter().collect(),
        external_refs: vec![ExternalRef {
            reference_category: "PACKAGE-MANAGER",
            reference_type: "purl",
            reference_locator: component.purl.clone(),
        }],
    }
}

fn relation(of: &str, kind: &'static str, to: &str) -> Relationship {
    Relationship {
        spdx_element_id: of.to_owned(),
        relationship_type: kind,
        related_spdx_element: to.to_owned(),
    }
}

/// Letters, digits, `.` and `-` are all that an identifier may hold; what is lost by that, the
/// end of the digest brings back.
fn identifier(component: &Component) -> String {
    let readable: String = format!("{}-{}", component.name, component.version)
        .chars()
        .map(|letter| match letter {
            'A'..='Z' | 'a'..='z' | '0'..='9' | '.' | '-' => letter,
            _ => '-',
        })
        .collect();
    let digest = Digest::of(component.purl.as_bytes()).hex();
    format!("SPDXRef-{readable}-{}", &digest[..8])
}
