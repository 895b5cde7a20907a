//! A Debian root with just the packages that a base is made of, and some of an owner's own
//! additions, which must not get into it.

use std::{os::unix::fs::symlink, path::Path};

use super::{TestElf, write};

const LIBRARIES: &str = "usr/lib/x86_64-linux-gnu";

/// Makes the root in an empty folder.
pub fn debian_root(root: &Path) {
    let library = |name: &str, elf: &TestElf| {
        write(&root.join(LIBRARIES).join(name), elf.bytes());
    };
    let libc = TestElf {
        needed: vec!["ld-linux-x86-64.so.2"],
        ..TestElf::library("libc.so.6", &["GLIBC_2.2.5", "GLIBC_2.34", "GLIBC_2.36"])
    };
    let over_libc = |soname, version| TestElf {
        needed: vec!["libc.so.6"],
        needs: vec![("libc.so.6", "GLIBC_2.34")],
        ..TestElf::library(soname, &[version])
    };
    library("libc.so.6", &libc);
    library(
        "ld-linux-x86-64.so.2",
        &TestElf::library("ld-linux-x86-64.so.2", &["GLIBC_2.3"]),
    );
    library("libm.so.6", &over_libc("libm.so.6", "GLIBC_2.29"));
    library("libgcc_s.so.1", &over_libc("libgcc_s.so.1", "GCC_3.0"));
    library(
        "libstdc++.so.6.0.30",
        &over_libc("libstdc++.so.6", "GLIBCXX_3.4"),
    );
    library("libmine.so.1", &over_libc("libmine.so.1", "MINE_1"));
    let link = |target: &str, name: &str| {
        let name = root.join(name);
        std::fs::create_dir_all(name.parent().unwrap()).unwrap();
        symlink(target, name).unwrap();
    };
    link("usr/lib", "lib");
    link("usr/lib64", "lib64");
    link(
        "libstdc++.so.6.0.30",
        &format!("{LIBRARIES}/libstdc++.so.6"),
    );
    // Absolute, as in Debian 12: it must not lead out of the root.
    link(
        "/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2",
        "usr/lib64/ld-linux-x86-64.so.2",
    );

    let zones = root.join("usr/share/zoneinfo");
    for zone in [
        "Europe/Berlin",
        "Etc/UTC",
        "right/Etc/UTC",
        "posix/Etc/UTC",
        "zone.tab",
    ] {
        write(&zones.join(zone), format!("TZif {zone}"));
    }
    link("Etc/UTC", "usr/share/zoneinfo/UTC");
    link("/etc/localtime", "usr/share/zoneinfo/localtime");

    let certificate = |name: &str| format!("-----BEGIN CERTIFICATE-----\n{name}\n");
    for name in ["B.crt", "A.crt"] {
        write(
            &root.join("usr/share/ca-certificates/mozilla").join(name),
            certificate(name),
        );
    }
    write(
        &root.join("usr/local/share/ca-certificates/own.crt"),
        certificate("own"),
    );
    write(
        &root.join("etc/ssl/certs/ca-certificates.crt"),
        certificate("own"),
    );
    let release = "PRETTY_NAME=\"Debian\"\nID=debian\nVERSION_ID=\"12\"\n";
    write(&root.join("usr/lib/os-release"), release);
    link("../usr/lib/os-release", "etc/os-release");

    packages(root);
}

fn packages(root: &Path) {
    let libraries = format!("/{LIBRARIES}");
    let old = "/lib/x86_64-linux-gnu";
    let loader = "ld-linux-x86-64.so.2";
    let packages = [
        (
            "libc6",
            "amd64",
            format!("{old}/libc.so.6\n{old}/libm.so.6\n{old}/{loader}\n/lib64/{loader}\n"),
        ),
        ("libgcc-s1", "amd64", format!("{old}/libgcc_s.so.1\n")),
        (
            "libstdc++6",
            "amd64",
            format!("{libraries}/libstdc++.so.6\n{libraries}/libstdc++.so.6.0.30\n"),
        ),
        (
            "tzdata",
            "all",
            ["UTC", "Etc/UTC", "Europe/Berlin", "zone.tab"]
                .map(|zone| format!("/usr/share/zoneinfo/{zone}\n"))
                .concat(),
        ),
        (
            "ca-certificates",
            "all",
            ["A.crt", "B.crt"]
                .map(|name| format!("/usr/share/ca-certificates/mozilla/{name}\n"))
                .concat(),
        ),
    ];
    let mut status = String::new();
    for (name, architecture, files) in packages {
        status.push_str(&format!(
            "Package: {name}\nStatus: install ok installed\nMaintainer: Us <us@example.org>\n\
             Architecture: {architecture}\nVersion: 1:1.0+deb12u1\n\n"
        ));
        let list = match architecture {
            "all" => format!("{name}.list"),
            _ => format!("{name}:{architecture}.list"),
        };
        write(&root.join("var/lib/dpkg/info").join(list), files);
        let notice = root.join(format!("usr/share/doc/{name}/copyright"));
        write(&notice, format!("Terms of {name}"));
    }
    write(&root.join("var/lib/dpkg/status"), status);
}
