//! What the images say of themselves, and what their bills of materials say of them.

#![allow(clippy::unwrap_used)]

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

struct Image {
    name: &'static str,
    program: &'static str,
    port: u16,
    cmd: &'static [&'static str],
}

const IMAGES: [Image; 4] = [
    Image {
        name: "router",
        program: "signalbox-router",
        port: 7001,
        cmd: &[],
    },
    Image {
        name: "embeddings",
        program: "signalbox-embeddings",
        port: 7002,
        cmd: &[],
    },
    Image {
        name: "guardrails",
        program: "signalbox-guardrails",
        port: 7003,
        cmd: &[],
    },
    Image {
        name: "signalbox",
        program: "signalbox",
        port: 7000,
        cmd: &["up"],
    },
];

/// Bazel starts a test above all its data.
fn output(name: &str) -> PathBuf {
    Path::new("images").join(name)
}

fn json_of(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

impl Image {
    fn blob(&self, descriptor: &Value) -> PathBuf {
        let digest = descriptor["digest"].as_str().unwrap();
        let hex = digest.strip_prefix("sha256:").unwrap();
        output(self.name).join("blobs/sha256").join(hex)
    }

    fn manifest(&self) -> Value {
        let index = json_of(&output(self.name).join("index.json"));
        assert_eq!(index["manifests"].as_array().unwrap().len(), 1);
        json_of(&self.blob(&index["manifests"][0]))
    }

    fn config(&self) -> Value {
        json_of(&self.blob(&self.manifest()["config"]))
    }

    fn cyclonedx(&self) -> Value {
        json_of(&output(&format!("{}.cdx.json", self.name)))
    }

    /// The package URLs of everything in the bill of materials.
    fn purls(&self) -> BTreeSet<String> {
        let bom = self.cyclonedx();
        let components = bom["components"].as_array().unwrap();
        components
            .iter()
            .map(|it| it["purl"].as_str().unwrap().to_owned())
            .collect()
    }

    fn has(&self, kind: &str, name: &str) -> bool {
        let beginning = format!("pkg:{kind}/{name}@");
        self.purls().iter().any(|it| it.starts_with(&beginning))
    }
}

#[test]
fn each_file_of_a_layout_is_named_by_its_digest_and_the_image_by_its_manifests() {
    for image in IMAGES {
        for blob in fs::read_dir(output(image.name).join("blobs/sha256")).unwrap() {
            let blob = blob.unwrap();
            let digest = hex::encode(Sha256::digest(fs::read(blob.path()).unwrap()));
            assert_eq!(digest, blob.file_name().to_str().unwrap());
        }
        let index = json_of(&output(image.name).join("index.json"));
        let stated = fs::read_to_string(output(&format!("{}.digest", image.name))).unwrap();
        assert_eq!(index["manifests"][0]["digest"], stated.trim_end());
    }
}

#[test]
fn an_image_runs_its_program_as_nobody_on_its_port() {
    for image in IMAGES {
        let config = image.config();
        assert_eq!(config["architecture"], "amd64");
        assert_eq!(config["os"], "linux");
        let run = &config["config"];
        assert_eq!(run["User"], "65532:65532", "{}", image.name);
        let entrypoint = format!("/usr/bin/{}", image.program);
        assert_eq!(run["Entrypoint"], json!([entrypoint]));
        assert_eq!(
            run.get("Cmd").cloned().unwrap_or(json!([])),
            json!(image.cmd)
        );
        let port = format!("{}/tcp", image.port);
        assert_eq!(run["ExposedPorts"], json!({ port: {} }));
        let listen = format!("SIGNALBOX__SERVER__LISTEN=0.0.0.0:{}", image.port);
        assert!(run["Env"].as_array().unwrap().contains(&json!(listen)));
        let labels = &run["Labels"];
        let label = |name: &str| &labels[format!("org.opencontainers.image.{name}")];
        assert_eq!(label("title"), image.program);
        assert_eq!(label("licenses"), "Apache-2.0");
        assert!(label("version").as_str().unwrap().starts_with("0."));
        assert!(label("description").as_str().unwrap().contains("Signalbox"));
    }
}

#[test]
fn images_hold_no_time_of_their_making() {
    for image in IMAGES {
        assert_eq!(image.config()["created"], "1970-01-01T00:00:00Z");
    }
}

#[test]
fn all_images_share_the_layers_of_their_base() {
    let base = |image: &Image| {
        let layers = image.manifest()["layers"].as_array().unwrap().clone();
        let (_, base) = layers.split_last().unwrap();
        assert!(!base.is_empty());
        base.to_vec()
    };
    let first = base(&IMAGES[0]);
    for image in &IMAGES[1..] {
        assert_eq!(base(image), first, "{}", image.name);
    }
}

#[test]
fn a_bill_of_materials_lists_what_is_linked() {
    for image in IMAGES {
        for linked in ["tonic", "tokio", "prost", "signalbox-proto", image.program] {
            assert!(image.has("cargo", linked), "{}: {linked}", image.name);
        }
        assert!(image.has("generic", "rust-std"), "{}", image.name);
    }
}

#[test]
fn a_bill_of_materials_lists_nothing_of_tests_build_scripts_and_macros() {
    for image in IMAGES {
        for name in [
            "proptest",
            "insta",
            "rcgen",
            "signalbox-fault-upstream",
            "prost-build",
            "tonic-build",
            "cc",
            "syn",
            "quote",
            "serde_derive",
            "tokio-macros",
            "prost-derive",
        ] {
            assert!(!image.has("cargo", name), "{}: {name}", image.name);
        }
    }
}

#[test]
fn a_service_holds_none_of_anothers_crates() {
    let [router, embeddings, guardrails, signalbox] = &IMAGES;
    assert!(embeddings.has("cargo", "tokenizers"));
    assert!(!guardrails.has("cargo", "tokenizers"));
    assert!(guardrails.has("cargo", "regex-automata"));
    assert!(!guardrails.has("cargo", "signalbox-router"));
    assert!(!router.has("cargo", "signalbox-embeddings"));
    for service in ["router", "embeddings", "guardrails"] {
        assert!(signalbox.has("cargo", &format!("signalbox-{service}")));
    }
}

#[test]
fn a_bill_of_materials_lists_the_packages_of_the_base_or_names_the_pulled_image() {
    for image in IMAGES {
        let pulled = image.purls().iter().any(|it| it.starts_with("pkg:oci/"));
        for package in ["libc6", "libgcc-s1", "ca-certificates", "tzdata"] {
            assert_ne!(image.has("deb/debian", package), pulled, "{package}");
        }
    }
}

#[test]
fn each_crate_has_its_licence_and_each_of_a_registry_its_checksum() {
    for image in IMAGES {
        for component in image.cyclonedx()["components"].as_array().unwrap() {
            let purl = component["purl"].as_str().unwrap();
            if !purl.starts_with("pkg:cargo/") {
                continue;
            }
            let licences = component["licenses"].as_array().unwrap();
            assert!(!licences.is_empty(), "{purl}");
            if !purl.starts_with("pkg:cargo/signalbox") {
                // Where the archive is, and what it must be.
                assert!(component.to_string().contains("SHA-256"), "{purl}");
            }
        }
    }
}

#[test]
fn both_kinds_of_bill_name_the_same_components() {
    for image in IMAGES {
        let document = json_of(&output(&format!("{}.spdx.json", image.name)));
        let references = document["packages"]
            .as_array()
            .unwrap()
            .iter()
            .filter_map(|it| it["externalRefs"].as_array())
            .flatten()
            .map(|it| it["referenceLocator"].as_str().unwrap().to_owned())
            .collect::<BTreeSet<_>>();
        assert_eq!(references, image.purls(), "{}", image.name);
    }
}
