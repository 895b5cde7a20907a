//! The files of a base that are no libraries: certificates, time zones, `/etc`.

use super::{Distribution, collector::Collector};
use crate::{ImagePath, OciError};

const CERTIFICATES: &str = "usr/share/ca-certificates/mozilla";
/// Where OpenSSL's default and every Rust and Go program looks on Debian.
const BUNDLE: &str = "etc/ssl/certs/ca-certificates.crt";
const ZONES: &str = "usr/share/zoneinfo";
/// The same zones again without and with leap seconds, and links into `/etc`.
const ZONES_LEFT_OUT: &[&str] = &["localtime", "posix", "posixrules", "right"];

const PASSWD: &str = "\
root:x:0:0:root:/root:/sbin/nologin
nobody:x:65534:65534:nobody:/nonexistent:/sbin/nologin
nonroot:x:65532:65532:nonroot:/nonexistent:/sbin/nologin
";
const GROUP: &str = "\
root:x:0:
nogroup:x:65534:
nonroot:x:65532:
";
const NSSWITCH: &str = "\
passwd: files
group: files
hosts: files dns
networks: files
protocols: files
services: files
";

pub(super) fn collect(collector: &mut Collector<'_>) -> Result<(), OciError> {
    certificates(collector)?;
    zones(collector)?;
    let distribution = collector.distribution()?;
    collector.own(ImagePath::literal("etc/passwd"), PASSWD.to_owned())?;
    collector.own(ImagePath::literal("etc/group"), GROUP.to_owned())?;
    collector.own(ImagePath::literal("etc/nsswitch.conf"), NSSWITCH.to_owned())?;
    collector.own(
        ImagePath::literal("usr/lib/os-release"),
        os_release(&distribution),
    )?;
    collector.symlink(
        ImagePath::literal("etc/os-release"),
        "../usr/lib/os-release",
    )
}

/// Scanners choose by `ID` and `VERSION_ID` which vulnerabilities a package's version has, so
/// these stay the distribution's.
fn os_release(distribution: &Distribution) -> String {
    let Distribution { id, version } = distribution;
    format!(
        "PRETTY_NAME=\"Signalbox base, of {id} {version}\"\nNAME=\"Signalbox base\"\n\
         ID={id}\nVERSION_ID=\"{version}\"\nVARIANT_ID=signalbox\n"
    )
}

/// One file of all of Mozilla's roots. The root's own bundle is not taken: it holds what its
/// owner added.
fn certificates(collector: &mut Collector<'_>) -> Result<(), OciError> {
    let folder = ImagePath::literal(CERTIFICATES);
    let missing = || OciError::NotInRoot {
        path: folder.clone(),
        package: "ca-certificates",
    };
    let mut bundle = Vec::new();
    let mut package = None;
    for (name, _) in collector.root.list(&folder).map_err(|_| missing())? {
        if !name.ends_with(".crt") {
            continue;
        }
        let path = folder.join(&name)?;
        package = Some(collector.package(&path)?);
        let bytes = collector.root.read(&path)?;
        if !bytes.starts_with(b"-----BEGIN CERTIFICATE-----") {
            let reason = "it is no PEM certificate; install ca-certificates again";
            return Err(OciError::malformed(collector.root.host(&path), reason));
        }
        bundle.extend_from_slice(&bytes);
        if !bytes.ends_with(b"\n") {
            bundle.push(b'\n');
        }
    }
    let package = package.ok_or_else(missing)?;
    collector.made_from(package, ImagePath::literal(BUNDLE), bundle)
}

fn zones(collector: &mut Collector<'_>) -> Result<(), OciError> {
    let top = ImagePath::literal(ZONES);
    let missing = || OciError::NotInRoot {
        path: top.clone(),
        package: "tzdata",
    };
    let mut folders = vec![top.clone()];
    while let Some(folder) = folders.pop() {
        for (name, is_folder) in collector.root.list(&folder).map_err(|_| missing())? {
            if folder == top && ZONES_LEFT_OUT.contains(&name.as_str()) {
                continue;
            }
            let path = folder.join(&name)?;
            if is_folder {
                folders.push(path);
            } else {
                collector.take(&path, false)?;
            }
        }
    }
    if !collector.holds(&ImagePath::literal("usr/share/zoneinfo/UTC")) {
        return Err(missing());
    }
    Ok(())
}
