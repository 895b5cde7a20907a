//! A base assembled from a small Debian root.

#![allow(clippy::unwrap_used)]

mod common;

use std::{collections::BTreeMap, io::Read, path::Path};

use common::{TestElf, debian_root, run, write};
use signalbox_oci::base::BaseDescription;

/// The files of a layer with their bytes, and its symlinks with their targets.
fn layer(path: &Path) -> BTreeMap<String, String> {
    let file = std::fs::File::open(path).unwrap();
    let mut found = BTreeMap::new();
    for entry in tar::Archive::new(file).entries().unwrap() {
        let mut entry = entry.unwrap();
        let name = entry.path().unwrap().display().to_string();
        let link = entry
            .link_name()
            .unwrap()
            .map(|to| format!("-> {}", to.display()));
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).unwrap();
        found.insert(
            name,
            link.unwrap_or_else(|| String::from_utf8_lossy(&bytes).into()),
        );
    }
    found
}

fn assemble(folder: &Path, arguments: &[&str]) -> Result<BaseDescription, String> {
    let root = folder.join("root");
    let (tar, json) = (folder.join("base.tar"), folder.join("base.json"));
    let mut all = vec!["base", "--root", root.to_str().unwrap()];
    all.extend([
        "--out",
        tar.to_str().unwrap(),
        "--description-out",
        json.to_str().unwrap(),
    ]);
    all.extend(arguments);
    run(&all)?;
    Ok(serde_json::from_slice(&std::fs::read(json).unwrap()).unwrap())
}

#[test]
fn holds_the_libraries_that_a_program_needs_and_their_links() {
    let folder = tempfile::tempdir().unwrap();
    debian_root(&folder.path().join("root"));
    let mut program = TestElf::program("GLIBC_2.34");
    program.needed.push("libstdc++.so.6");
    let program = write(&folder.path().join("program"), program.bytes());
    assemble(folder.path(), &["--binary", program.to_str().unwrap()]).unwrap();

    let files = layer(&folder.path().join("base.tar"));
    let libraries: Vec<(&str, &str)> = files
        .iter()
        .filter_map(|(name, content)| {
            let name = name.strip_prefix("usr/lib")?;
            let content = if content.contains("ELF") {
                "ELF"
            } else {
                content.as_str()
            };
            name.contains(".so").then_some((name, content))
        })
        .collect();
    let expected = [
        ("/x86_64-linux-gnu/ld-linux-x86-64.so.2", "ELF"),
        ("/x86_64-linux-gnu/libc.so.6", "ELF"),
        ("/x86_64-linux-gnu/libgcc_s.so.1", "ELF"),
        ("/x86_64-linux-gnu/libm.so.6", "ELF"),
        ("/x86_64-linux-gnu/libstdc++.so.6", "-> libstdc++.so.6.0.30"),
        ("/x86_64-linux-gnu/libstdc++.so.6.0.30", "ELF"),
        (
            "64/ld-linux-x86-64.so.2",
            "-> ../lib/x86_64-linux-gnu/ld-linux-x86-64.so.2",
        ),
    ];
    assert_eq!(libraries, expected);
    assert_eq!(files["lib"], "-> usr/lib");
    assert_eq!(files["lib64"], "-> usr/lib64");
    let tar = folder.path().join("base.tar");
    run(&["check", "--layer", tar.to_str().unwrap()]).unwrap();
}

#[test]
fn a_tar_of_the_root_gives_the_same_bytes_as_the_root() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("root");
    debian_root(&root);
    assemble(folder.path(), &["--library", "libstdc++.so.6"]).unwrap();
    let outputs = ["base.tar", "base.json"].map(|name| folder.path().join(name));
    let from_folder = outputs.each_ref().map(|path| std::fs::read(path).unwrap());

    let mut archive = tar::Builder::new(Vec::new());
    archive.follow_symlinks(false);
    archive.append_dir_all(".", &root).unwrap();
    std::fs::remove_dir_all(&root).unwrap();
    std::fs::write(&root, archive.into_inner().unwrap()).unwrap();
    assemble(folder.path(), &["--library", "libstdc++.so.6"]).unwrap();
    let from_archive = outputs.each_ref().map(|path| std::fs::read(path).unwrap());
    assert!(from_folder == from_archive);
}

#[test]
fn an_older_c_library_brings_the_libraries_that_look_names_up() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("root");
    debian_root(&root);
    let libraries = "usr/lib/x86_64-linux-gnu";
    let old = TestElf::library("libc.so.6", &["GLIBC_2.2.5", "GLIBC_2.31"]);
    write(&root.join(libraries).join("libc.so.6"), old.bytes());
    let error = assemble(folder.path(), &[]).unwrap_err();
    assert!(error.contains("libc.so.6 needs libnss_dns.so.2"), "{error}");

    let list = root.join("var/lib/dpkg/info/libc6:amd64.list");
    let mut names = std::fs::read_to_string(&list).unwrap();
    for library in ["libnss_dns.so.2", "libnss_files.so.2", "libresolv.so.2"] {
        let path = format!("{libraries}/{library}");
        write(
            &root.join(&path),
            TestElf::library(library, &["GLIBC_PRIVATE"]).bytes(),
        );
        names.push_str(&format!("/{path}\n"));
    }
    write(&list, names);
    // These two are of the old C library as well, as they ask for no newer one.
    for library in ["libm.so.6", "libgcc_s.so.1"] {
        let path = root.join(libraries).join(library);
        write(&path, TestElf::library(library, &[]).bytes());
    }
    assemble(folder.path(), &[]).unwrap();
    let files = layer(&folder.path().join("base.tar"));
    assert!(files.contains_key("usr/lib/x86_64-linux-gnu/libresolv.so.2"));
}

#[test]
fn takes_mozillas_certificates_in_order_and_none_of_the_owners() {
    let folder = tempfile::tempdir().unwrap();
    debian_root(&folder.path().join("root"));
    assemble(folder.path(), &[]).unwrap();
    let files = layer(&folder.path().join("base.tar"));
    let begin = "-----BEGIN CERTIFICATE-----";
    assert_eq!(
        files["etc/ssl/certs/ca-certificates.crt"],
        format!("{begin}\nA.crt\n{begin}\nB.crt\n")
    );
}

#[test]
fn a_certificate_of_no_package_is_refused_even_among_mozillas() {
    let folder = tempfile::tempdir().unwrap();
    debian_root(&folder.path().join("root"));
    let own = "root/usr/share/ca-certificates/mozilla/own.crt";
    write(&folder.path().join(own), "-----BEGIN CERTIFICATE-----\n");
    let error = assemble(folder.path(), &[]).unwrap_err();
    assert!(
        error.contains("mozilla/own.crt belongs to no package"),
        "{error}"
    );
}

#[test]
fn time_zones_come_once() {
    let folder = tempfile::tempdir().unwrap();
    debian_root(&folder.path().join("root"));
    assemble(folder.path(), &[]).unwrap();
    let files = layer(&folder.path().join("base.tar"));
    let zones: Vec<&str> = files
        .keys()
        .filter_map(|name| name.strip_prefix("usr/share/zoneinfo/"))
        .filter(|name| !name.is_empty() && !name.ends_with('/'))
        .collect();
    assert_eq!(zones, ["Etc/UTC", "Europe/Berlin", "UTC", "zone.tab"]);
    assert_eq!(files["usr/share/zoneinfo/UTC"], "-> Etc/UTC");
}

#[test]
fn each_file_is_booked_to_its_package_or_to_us() {
    let folder = tempfile::tempdir().unwrap();
    debian_root(&folder.path().join("root"));
    let description = assemble(folder.path(), &["--library", "libstdc++.so.6"]).unwrap();
    assert_eq!(description.distribution.version, "12");
    let names: Vec<&str> = description
        .packages
        .iter()
        .map(|package| package.name.as_str())
        .collect();
    assert_eq!(
        names,
        [
            "ca-certificates",
            "libc6",
            "libgcc-s1",
            "libstdc++6",
            "tzdata"
        ]
    );
    assert!(
        description
            .packages
            .iter()
            .all(|package| package.version == "1:1.0+deb12u1")
    );

    let mut booked: Vec<String> = description
        .packages
        .iter()
        .flat_map(|package| &package.files)
        .chain(&description.own)
        .map(|file| file.path.to_string())
        .collect();
    booked.sort();
    let mut there: Vec<String> = layer(&folder.path().join("base.tar"))
        .into_iter()
        .filter(|(name, content)| !name.ends_with('/') && !content.starts_with("-> "))
        .map(|(name, _)| name)
        .collect();
    there.sort();
    assert_eq!(booked, there);
}

#[test]
fn a_library_of_no_package_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    debian_root(&folder.path().join("root"));
    let error = assemble(folder.path(), &["--library", "libmine.so.1"]).unwrap_err();
    assert!(
        error.contains("libmine.so.1 belongs to no package"),
        "{error}"
    );
}

#[test]
fn a_library_that_is_not_there_is_named_with_who_needs_it() {
    let folder = tempfile::tempdir().unwrap();
    debian_root(&folder.path().join("root"));
    let mut program = TestElf::program("GLIBC_2.34");
    program.needed.push("libssl.so.3");
    let program = write(&folder.path().join("program"), program.bytes());
    let error = assemble(folder.path(), &["--binary", program.to_str().unwrap()]).unwrap_err();
    assert!(error.contains("program needs libssl.so.3"), "{error}");
}

#[test]
fn a_package_without_its_copyright_notice_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    debian_root(&folder.path().join("root"));
    let notice = folder.path().join("root/usr/share/doc/tzdata/copyright");
    std::fs::remove_file(notice).unwrap();
    let error = assemble(folder.path(), &[]).unwrap_err();
    assert!(error.contains("tzdata/copyright"), "{error}");
}
