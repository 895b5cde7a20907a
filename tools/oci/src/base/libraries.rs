//! The shared libraries that programs need, found in a root as the dynamic linker would.

use std::collections::{BTreeMap, BTreeSet};

use super::{BaseSpec, collector::Collector};
use crate::{ImagePath, OciError, elf::Elf, files};

/// Taken for every program: the C library opens `libgcc_s` itself when a thread is cancelled,
/// and a program without `libm` today has it tomorrow.
const ALWAYS: &[&str] = &["libc.so.6", "libgcc_s.so.1", "libm.so.6"];

/// How names of hosts and users are looked up. The C library opens these by name; since 2.34
/// they are inside of it.
const NAME_SERVICE: &[&str] = &["libnss_dns.so.2", "libnss_files.so.2", "libresolv.so.2"];
const NAME_SERVICE_INSIDE: &str = "GLIBC_2.34";

pub(super) fn collect(collector: &mut Collector<'_>, spec: &BaseSpec) -> Result<(), OciError> {
    // Library, and who asked for it first.
    let mut wanted: BTreeMap<String, String> = BTreeMap::new();
    for library in ALWAYS
        .iter()
        .copied()
        .chain(spec.libraries.iter().map(String::as_str))
    {
        wanted.insert(library.to_owned(), "the base".to_owned());
    }
    for binary in &spec.binaries {
        let elf = Elf::parse(&files::read(binary)?)
            .map_err(|reason| OciError::malformed(binary, reason))?;
        let name = binary.file_name().unwrap_or_default().display().to_string();
        for library in elf.needed {
            wanted.entry(library).or_insert_with(|| name.clone());
        }
    }

    let mut done = BTreeSet::new();
    while let Some((library, needed_by)) = wanted.pop_first() {
        if !done.insert(library.clone()) {
            continue;
        }
        let Some(path) = find(collector, &library)? else {
            return Err(OciError::LibraryNotInRoot { library, needed_by });
        };
        let elf = Elf::parse(&collector.root.read(&path)?)
            .map_err(|reason| OciError::malformed(collector.root.host(&path), reason))?;
        // The dynamic linker is run, so it alone is executable.
        collector.take(&path, library.starts_with("ld-linux"))?;
        for next in elf.needed {
            wanted.entry(next).or_insert_with(|| library.clone());
        }
        if library == "libc.so.6" && !elf.provides.contains(NAME_SERVICE_INSIDE) {
            for library in NAME_SERVICE {
                wanted
                    .entry((*library).to_owned())
                    .or_insert_with(|| "libc.so.6".to_owned());
            }
        }
    }
    take_loader(collector)
}

/// Takes the dynamic linker by the path that programs name, and the usual links to `usr`.
fn take_loader(collector: &mut Collector<'_>) -> Result<(), OciError> {
    let loader = collector.architecture.loader();
    if !collector.root.has(&loader) {
        return Err(OciError::NotInRoot {
            path: loader,
            package: "libc6",
        });
    }
    collector.take(&loader, true)?;
    collector.symlink(ImagePath::literal("lib"), "usr/lib")?;
    if collector.holds(&ImagePath::literal("usr/lib64")) {
        collector.symlink(ImagePath::literal("lib64"), "usr/lib64")?;
    }
    Ok(())
}

fn find(collector: &Collector<'_>, library: &str) -> Result<Option<ImagePath>, OciError> {
    let triplet = collector.architecture.triplet();
    for directory in [
        format!("usr/lib/{triplet}"),
        format!("lib/{triplet}"),
        "usr/lib".to_owned(),
        "lib".to_owned(),
    ] {
        let path = ImagePath::parse(&format!("{directory}/{library}"))?;
        if collector.root.has(&path) {
            return Ok(Some(path));
        }
    }
    Ok(None)
}
