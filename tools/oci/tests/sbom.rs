//! Inventories and bills of materials, from the crates that were linked and a base.

#![allow(clippy::unwrap_used)]

mod common;

use std::path::Path;

use common::{debian_root, run, write};
use proptest::prelude::*;
use serde_json::{Value, json};
use signalbox_oci::{inventory::Inventory, sbom};

const LOCK: &str = r#"
version = 4
[[package]]
name = "app"
version = "0.1.0"
[[package]]
name = "plus"
version = "1.2.1+spec-1.1.0"
source = "registry+https://github.com/rust-lang/crates.io-index"
checksum = "aa"
[[package]]
name = "own-terms"
version = "2.0.0"
source = "registry+https://github.com/rust-lang/crates.io-index"
checksum = "bb"
"#;

fn crates(folder: &Path) -> Value {
    let manifest = |name: &str, text: &str| {
        let path = folder.join(name).join("Cargo.toml");
        write(&path, text).display().to_string()
    };
    let workspace = "[workspace]\n[workspace.package]\nversion = '0.1.0'\nlicense = 'Apache-2.0'";
    write(&folder.join("Cargo.toml"), workspace);
    write(&folder.join("Cargo.lock"), LOCK);
    write(&folder.join("own-terms/COPYING"), "Do as you like.");
    let app = "[package]\nname = 'app'\nversion.workspace = true\nlicense.workspace = true";
    let plus = "[package]\nname = 'plus'\nversion = '1.2.1+spec-1.1.0'\nlicense = 'MIT/Apache-2.0'";
    let own = "[package]\nname = 'own-terms'\nversion = '2.0.0'\nlicense-file = 'COPYING'";
    json!({
        "root": "app",
        "crates": [
            {"name": "plus", "version": "1.2.1+spec-1.1.0", "manifest": manifest("plus", plus)},
            {
                "name": "app",
                "version": "0.1.0",
                "manifest": manifest("app", app),
                "depends_on": ["plus@1.2.1+spec-1.1.0", "own-terms@2.0.0"],
            },
            {"name": "own-terms", "version": "2.0.0", "manifest": manifest("own-terms", own)},
        ],
        "components": [{
            "name": "std",
            "version": "1.95.0",
            "license": "MIT OR Apache-2.0",
            "purl": "pkg:generic/rust-std@1.95.0",
        }],
    })
}

fn inventory(folder: &Path, graph: &Value, more: &[&str]) -> Result<Inventory, String> {
    let crates = write(&folder.join("crates.json"), graph.to_string());
    let (lock, workspace) = (folder.join("Cargo.lock"), folder.join("Cargo.toml"));
    let out = folder.join("inventory.json");
    let mut arguments = vec!["inventory", "--name", "app-image", "--crates"];
    arguments.extend([crates.to_str().unwrap(), "--lock", lock.to_str().unwrap()]);
    arguments.extend(["--workspace-manifest", workspace.to_str().unwrap()]);
    arguments.extend(["--out", out.to_str().unwrap()]);
    arguments.extend(more);
    run(&arguments)?;
    Ok(serde_json::from_slice(&std::fs::read(out).unwrap()).unwrap())
}

fn spdx(inventory: &Inventory) -> Value {
    serde_json::to_value(sbom::spdx(inventory, 0).unwrap()).unwrap()
}

fn cyclonedx(inventory: &Inventory) -> Value {
    serde_json::to_value(sbom::cyclonedx(inventory)).unwrap()
}

#[test]
fn each_crate_has_its_licence_digest_and_package_url() {
    let folder = tempfile::tempdir().unwrap();
    let graph = crates(folder.path());
    let inventory = inventory(folder.path(), &graph, &[]).unwrap();
    assert_eq!(
        (inventory.name.as_str(), inventory.version.as_str()),
        ("app-image", "0.1.0")
    );
    assert_eq!(inventory.license.as_deref(), Some("Apache-2.0"));
    assert_eq!(inventory.depends_on, ["pkg:cargo/app@0.1.0"]);

    let [app, own, plus, std] = inventory.components.as_slice() else {
        panic!("{:?}", inventory.components);
    };
    assert_eq!(plus.purl, "pkg:cargo/plus@1.2.1%2Bspec-1.1.0");
    assert_eq!(plus.license.as_deref(), Some("MIT OR Apache-2.0"));
    assert_eq!(plus.sha256.as_deref(), Some("aa"));
    assert_eq!(own.license, None);
    assert_eq!(own.license_text.as_deref(), Some("Do as you like."));
    assert_eq!(app.sha256, None);
    assert_eq!(
        app.depends_on,
        [own.purl.clone(), plus.purl.clone(), std.purl.clone()]
    );
}

#[test]
fn the_base_and_the_program_are_in_it_file_by_file() {
    let folder = tempfile::tempdir().unwrap();
    let graph = crates(folder.path());
    let root = folder.path().join("root");
    debian_root(&root);
    let (tar, base) = (
        folder.path().join("base.tar"),
        folder.path().join("base.json"),
    );
    let mut arguments = vec!["base", "--root", root.to_str().unwrap()];
    arguments.extend(["--out", tar.to_str().unwrap()]);
    arguments.extend(["--description-out", base.to_str().unwrap()]);
    run(&arguments).unwrap();
    let program = write(&folder.path().join("app.bin"), "");
    let program = format!("/usr/bin/app={}", program.display());
    let more = ["--base", base.to_str().unwrap(), "--program", &program];
    let inventory = inventory(folder.path(), &graph, &more).unwrap();

    let files = |purl: &str| {
        let component = inventory.components.iter().find(|it| it.purl == purl);
        component
            .unwrap_or_else(|| panic!("no {purl}"))
            .files
            .clone()
    };
    let app = files("pkg:cargo/app@0.1.0");
    assert_eq!(app[0].path, "/usr/bin/app");
    assert!(app[0].sha256.starts_with("e3b0c442"), "of no bytes");
    let libc = files("pkg:deb/debian/libc6@1:1.0%2Bdeb12u1?arch=amd64&distro=debian-12");
    assert!(libc.iter().any(|file| file.path.ends_with("/libc.so.6")));
    assert!(
        files("pkg:generic/signalbox-base@0.1.0")
            .iter()
            .any(|it| it.path == "/etc/passwd")
    );
    // Of two packages with two files of one name, CycloneDX would have two of one reference.
    let bom = cyclonedx(&inventory);
    let parts = bom["components"].as_array().unwrap();
    let mut references: Vec<String> = parts
        .iter()
        .chain(
            parts
                .iter()
                .filter_map(|part| part["components"].as_array())
                .flatten(),
        )
        .map(|part| part["bom-ref"].as_str().unwrap().to_owned())
        .collect();
    let all = references.len();
    references.sort();
    references.dedup();
    assert_eq!(references.len(), all);
}

#[test]
fn a_crate_that_cannot_be_vouched_for_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let good = crates(folder.path());
    let with = |change: &dyn Fn(&mut Value)| {
        let mut graph = good.clone();
        change(&mut graph);
        inventory(folder.path(), &graph, &[]).unwrap_err()
    };
    let error = with(&|graph| graph["crates"][0]["version"] = "1.2.2".into());
    assert!(
        error.contains("crate plus 1.2.2: its manifest is that of plus 1.2.1"),
        "{error}"
    );
    let error = with(&|graph| graph["crates"][1]["depends_on"][0] = "gone@1.0.0".into());
    assert!(
        error.contains("crate app 0.1.0: it uses gone@1.0.0"),
        "{error}"
    );
    let error = with(&|graph| graph["root"] = "gone".into());
    assert!(
        error.contains("root \"gone\" is none of the crates"),
        "{error}"
    );

    write(
        &folder.path().join("plus/Cargo.toml"),
        "[package]\nname = 'plus'\nversion = '1.2.1+spec-1.1.0'",
    );
    let error = with(&|_| {});
    assert!(
        error.contains("states neither license nor license-file"),
        "{error}"
    );
    write(&folder.path().join("Cargo.lock"), "version = 4");
    let error = with(&|_| {});
    assert!(error.contains("Cargo.lock does not hold it"), "{error}");
}

#[test]
fn both_documents_say_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let graph = crates(folder.path());
    let inventory = inventory(folder.path(), &graph, &[]).unwrap();
    let (cyclonedx, spdx) = (cyclonedx(&inventory), spdx(&inventory));
    assert_eq!(cyclonedx["specVersion"], "1.6");
    assert_eq!(spdx["spdxVersion"], "SPDX-2.3");
    assert_eq!(spdx["creationInfo"]["created"], "1970-01-01T00:00:00Z");

    let parts = cyclonedx["components"].as_array().unwrap();
    let packages = &spdx["packages"].as_array().unwrap()[1..];
    for (part, package) in parts.iter().zip(packages) {
        assert_eq!(part["name"], package["name"]);
        assert_eq!(part["purl"], package["externalRefs"][0]["referenceLocator"]);
    }
    assert_eq!(parts.len(), packages.len());
    let extracted = spdx["hasExtractedLicensingInfos"].as_array().unwrap();
    assert_eq!(extracted.len(), 1);
    assert_eq!(packages[1]["licenseDeclared"], extracted[0]["licenseId"]);
    let uses = spdx["relationships"].as_array().unwrap();
    let depends = uses
        .iter()
        .filter(|it| it["relationshipType"] == "DEPENDS_ON")
        .count();
    let edges: usize = cyclonedx["dependencies"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["dependsOn"].as_array().unwrap().len())
        .sum();
    assert_eq!((depends, edges), (4, 4));
}

proptest! {
    #[test]
    fn the_order_of_an_inventory_does_not_matter(
        edges in prop::collection::vec((0..6_usize, 0..6_usize), 0..12),
        turn in 0..6_usize,
    ) {
        let purl = |index: usize| format!("pkg:cargo/c{index}@1.0.0");
        let component = |index: usize, reverse: bool| {
            let mut uses: Vec<String> =
                edges.iter().filter(|(of, _)| *of == index).map(|(_, to)| purl(*to)).collect();
            if reverse {
                uses.reverse();
            }
            let mut files = vec![json!({"path": "/a", "sha256": "aa"})];
            files.insert(usize::from(reverse), json!({"path": format!("/{index}"), "sha256": "bb"}));
            json!({"name": format!("c{index}"), "version": "1.0.0", "purl": purl(index),
                   "depends_on": uses, "files": files})
        };
        let build = |order: Vec<usize>, reverse: bool| -> Inventory {
            let components: Vec<Value> =
                order.into_iter().map(|index| component(index, reverse)).collect();
            serde_json::from_value(json!({
                "name": "x", "version": "1", "depends_on": [purl(0)], "components": components,
            })).unwrap()
        };
        let sorted = build((0..6).collect(), false);
        let mut order: Vec<usize> = (0..6).rev().collect();
        order.rotate_left(turn);
        let other = build(order, true);
        prop_assert_eq!(cyclonedx(&sorted), cyclonedx(&other));
        prop_assert_eq!(spdx(&sorted), spdx(&other));
    }

    #[test]
    fn another_inventory_has_another_serial_number(one in "[a-z]{1,5}", other in "[a-z]{1,5}") {
        let build = |name: &str| -> Inventory {
            serde_json::from_value(json!({"name": name, "version": "1", "components": []})).unwrap()
        };
        let same = cyclonedx(&build(&one))["serialNumber"] == cyclonedx(&build(&other))["serialNumber"];
        prop_assert_eq!(same, one == other);
    }
}
