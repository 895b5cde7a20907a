//! CycloneDX 1.6 (ECMA-424), as JSON: <https://cyclonedx.org/docs/1.6/json/>.

use serde::Serialize;

use super::{TOOL, TOOL_VERSION, uuid};
use crate::inventory::{Component, FileRecord, Inventory, Kind};

/// A CycloneDX document.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Bom {
    bom_format: &'static str,
    spec_version: &'static str,
    serial_number: String,
    version: u32,
    metadata: Metadata,
    components: Vec<Part>,
    dependencies: Vec<Dependency>,
}

#[derive(Debug, Serialize)]
struct Metadata {
    tools: Tools,
    component: Part,
}

#[derive(Debug, Serialize)]
struct Tools {
    components: Vec<Part>,
}

#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Part {
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(rename = "bom-ref", skip_serializing_if = "Option::is_none")]
    bom_ref: Option<String>,
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    hashes: Vec<Hash>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    licenses: Vec<LicenceChoice>,
    #[serde(skip_serializing_if = "Option::is_none")]
    purl: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    external_references: Vec<Reference>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    components: Vec<Part>,
}

#[derive(Debug, Serialize)]
struct Hash {
    alg: &'static str,
    content: String,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
enum LicenceChoice {
    Expression { expression: String },
    Named { license: Named },
}

#[derive(Debug, Serialize)]
struct Named {
    name: String,
    text: Text,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Text {
    content_type: &'static str,
    content: String,
}

#[derive(Debug, Serialize)]
struct Reference {
    #[serde(rename = "type")]
    kind: &'static str,
    url: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Dependency {
    #[serde(rename = "ref")]
    of: String,
    depends_on: Vec<String>,
}

/// The inventory as CycloneDX.
#[must_use]
pub fn cyclonedx(inventory: &Inventory) -> Bom {
    let inventory = inventory.clone().normalised();
    let serial = uuid(&inventory.digest());
    let subject = "image".to_owned();
    let mut dependencies = vec![Dependency {
        of: subject.clone(),
        depends_on: inventory.depends_on.clone(),
    }];
    dependencies.extend(inventory.components.iter().map(|component| Dependency {
        of: component.purl.clone(),
        depends_on: component.depends_on.clone(),
    }));
    Bom {
        bom_format: "CycloneDX",
        spec_version: "1.6",
        serial_number: format!("urn:uuid:{serial}"),
        version: 1,
        metadata: Metadata {
            tools: Tools {
                components: vec![Part {
                    kind: "application",
                    name: TOOL.to_owned(),
                    version: Some(TOOL_VERSION.to_owned()),
                    ..Part::default()
                }],
            },
            component: Part {
                kind: "container",
                bom_ref: Some(subject),
                licenses: inventory
                    .license
                    .into_iter()
                    .map(|expression| LicenceChoice::Expression { expression })
                    .collect(),
                name: inventory.name,
                version: Some(inventory.version),
                ..Part::default()
            },
        },
        components: inventory.components.into_iter().map(part).collect(),
        dependencies,
    }
}

fn part(component: Component) -> Part {
    let licenses = match (component.license, component.license_text) {
        (Some(expression), _) => vec![LicenceChoice::Expression { expression }],
        (None, Some(content)) => vec![LicenceChoice::Named {
            license: Named {
                name: format!("Licence of {} {}", component.name, component.version),
                text: Text {
                    content_type: "text/plain",
                    content,
                },
            },
        }],
        (None, None) => Vec::new(),
    };
    Part {
        kind: match component.kind {
            Kind::Library => "library",
            Kind::Application => "application",
            Kind::Data => "data",
        },
        bom_ref: Some(component.purl.clone()),
        name: component.name,
        version: Some(component.version),
        hashes: component.sha256.map(sha256).into_iter().collect(),
        licenses,
        purl: Some(component.purl),
        external_references: component
            .source
            .map(|url| Reference {
                kind: "distribution",
                url,
            })
            .into_iter()
            .collect(),
        components: component.files.into_iter().map(file).collect(),
    }
}

fn file(file: FileRecord) -> Part {
    Part {
        kind: "file",
        bom_ref: Some(format!("file:{}", file.path)),
        name: file.path,
        hashes: vec![sha256(file.sha256)],
        ..Part::default()
    }
}

fn sha256(content: String) -> Hash {
    Hash {
        alg: "SHA-256",
        content,
    }
}
