//! What an ELF file asks of the files beside it: its interpreter, the libraries that it
//! needs, and the symbol versions that it needs of them and gives to others.

use std::collections::{BTreeMap, BTreeSet};

use object::{
    Endianness, FileKind,
    elf::{self, FileHeader32, FileHeader64},
    read::elf::{Dyn as _, FileHeader, ProgramHeader, SectionHeader},
};

/// The facts that a dynamic linker acts upon.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Elf {
    /// `EM_*` and the class: what a library must share with the program that loads it.
    pub(crate) machine: (u16, bool),
    /// `PT_INTERP`.
    pub(crate) interpreter: Option<String>,
    /// `DT_SONAME`.
    pub(crate) soname: Option<String>,
    /// `DT_NEEDED`, in order.
    pub(crate) needed: Vec<String>,
    /// `DT_RUNPATH` or `DT_RPATH`, taken apart; `$ORIGIN` is left as it is.
    pub(crate) search: Vec<String>,
    /// Symbol versions needed, by library. Weak ones are left out: their absence is no error.
    pub(crate) needs: BTreeMap<String, BTreeSet<String>>,
    /// Symbol versions defined.
    pub(crate) provides: BTreeSet<String>,
}

/// Whether these bytes begin an ELF file.
pub(crate) fn is_elf(bytes: &[u8]) -> bool {
    bytes.starts_with(b"\x7fELF")
}

impl Elf {
    /// Reads a whole file.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, String> {
        match FileKind::parse(bytes).map_err(|error| error.to_string())? {
            FileKind::Elf64 => parse::<FileHeader64<Endianness>>(bytes),
            FileKind::Elf32 => parse::<FileHeader32<Endianness>>(bytes),
            other => Err(format!("{other:?} is no ELF")),
        }
        .map_err(|error| error.to_string())
    }

    /// Whether other programs load it.
    pub(crate) fn is_library(&self) -> bool {
        self.soname.is_some()
    }

    /// The directories of its `RUNPATH`, for the place where the file lies.
    pub(crate) fn search_from(&self, origin: &str) -> Vec<String> {
        self.search
            .iter()
            .map(|entry| {
                entry
                    .replace("$ORIGIN", origin)
                    .replace("${ORIGIN}", origin)
            })
            .collect()
    }
}

fn parse<H: FileHeader<Endian = Endianness>>(data: &[u8]) -> Result<Elf, String> {
    parse_parts::<H>(data).map_err(|error| error.to_string())?
}

fn parse_parts<H: FileHeader<Endian = Endianness>>(
    data: &[u8],
) -> object::read::Result<Result<Elf, String>> {
    let header = H::parse(data)?;
    let endian = header.endian()?;
    let mut found = Elf {
        machine: (header.e_machine(endian).0, header.is_class_64()),
        ..Elf::default()
    };

    let mut dynamic_segment = false;
    for segment in header.program_headers(endian, data)? {
        dynamic_segment |= segment.p_type(endian) == elf::PT_DYNAMIC;
        if let Some(interpreter) = segment.interpreter(endian, data)? {
            found.interpreter = Some(text(interpreter));
        }
    }

    let sections = header.sections(endian, data)?;
    let Some((dynamic, strings)) = sections.dynamic(endian, data)? else {
        return Ok(if dynamic_segment {
            Err("its section headers are stripped, so that its needs cannot be read".to_owned())
        } else {
            Ok(found)
        });
    };
    let strings = sections.strings(endian, data, strings)?;
    let mut rpath = Vec::new();
    for entry in dynamic {
        let tag = entry.d_tag(endian);
        match tag {
            elf::DT_NULL => break,
            elf::DT_NEEDED => found.needed.push(text(entry.string(endian, strings)?)),
            elf::DT_SONAME => found.soname = Some(text(entry.string(endian, strings)?)),
            elf::DT_RUNPATH => found.search = directories(entry.string(endian, strings)?),
            elf::DT_RPATH => rpath = directories(entry.string(endian, strings)?),
            _ => {}
        }
    }
    if found.search.is_empty() {
        found.search = rpath;
    }

    for section in sections.iter() {
        if let Some((mut needs, link)) = section.gnu_verneed(endian, data)? {
            let strings = sections.strings(endian, data, link)?;
            while let Some((need, mut versions)) = needs.next()? {
                let library = text(need.file(endian, strings)?);
                let wanted = found.needs.entry(library).or_default();
                while let Some(version) = versions.next()? {
                    if version.vna_flags.get(endian).0 & elf::VER_FLG_WEAK.0 == 0 {
                        wanted.insert(text(version.name(endian, strings)?));
                    }
                }
            }
        }
        if let Some((mut definitions, link)) = section.gnu_verdef(endian, data)? {
            let strings = sections.strings(endian, data, link)?;
            while let Some((_, mut names)) = definitions.next()? {
                // The first is the version, the others are those that it inherits from.
                if let Some(name) = names.next()? {
                    found.provides.insert(text(name.name(endian, strings)?));
                }
            }
        }
    }
    Ok(Ok(found))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn directories(bytes: &[u8]) -> Vec<String> {
    text(bytes)
        .split(':')
        .filter(|entry| !entry.is_empty())
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    fn own() -> Elf {
        let bytes = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        Elf::parse(&bytes).unwrap()
    }

    #[test]
    fn reads_the_needs_of_a_real_program() {
        let elf = own();
        assert!(elf.interpreter.as_deref().unwrap().contains("/ld-linux"));
        assert!(elf.needed.iter().any(|name| name == "libc.so.6"));
        let of_libc = &elf.needs["libc.so.6"];
        assert!(
            of_libc
                .iter()
                .any(|version| version.starts_with("GLIBC_2."))
        );
        assert!(!elf.is_library());
    }

    #[test]
    fn origin_is_where_the_file_lies() {
        let elf = Elf {
            search: vec!["$ORIGIN/../lib".to_owned(), "/opt/lib".to_owned()],
            ..Elf::default()
        };
        assert_eq!(elf.search_from("/usr/bin"), ["/usr/bin/../lib", "/opt/lib"]);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(mut bytes in prop::collection::vec(any::<u8>(), 0..600)) {
            let magic = b"\x7fELF\x02\x01\x01";
            for (slot, byte) in bytes.iter_mut().zip(magic) {
                *slot = *byte;
            }
            let _ = Elf::parse(&bytes);
        }

        #[test]
        fn a_damaged_program_does_not_make_it_panic(at in 0..4096_usize, with in any::<u8>()) {
            use std::sync::LazyLock;
            static START: LazyLock<Vec<u8>> = LazyLock::new(|| {
                let mut bytes = std::fs::read(std::env::current_exe().unwrap()).unwrap();
                bytes.truncate(1 << 20);
                bytes
            });
            let mut bytes = START.clone();
            let at = at % bytes.len();
            bytes[at] = with;
            let _ = Elf::parse(&bytes);
        }
    }
}
