//! Writes the smallest ELF file that asks for, or gives, what a test needs
//! (System V ABI, chapters 4 and 5; the GNU version sections as in glibc's `elf.h`).

/// An ELF file in the making: 64 bits, little-endian, x86-64.
#[derive(Clone, Debug, Default)]
pub struct TestElf {
    pub interpreter: Option<&'static str>,
    pub soname: Option<&'static str>,
    pub needed: Vec<&'static str>,
    /// Symbol versions needed, each of a library.
    pub needs: Vec<(&'static str, &'static str)>,
    /// Symbol versions of the C library that the program does without.
    pub weak: Vec<&'static str>,
    pub provides: Vec<&'static str>,
}

const HEADER: usize = 64;
const SEGMENT: usize = 56;
const SECTION: usize = 64;

#[derive(Default)]
struct Strings(Vec<u8>);

impl Strings {
    fn add(&mut self, text: &str) -> u32 {
        let at = self.0.len() as u32;
        self.0.extend(text.as_bytes());
        self.0.push(0);
        at
    }
}

fn put(out: &mut Vec<u8>, parts: &[(u64, usize)]) {
    for (value, size) in parts {
        out.extend(&value.to_le_bytes()[..*size]);
    }
}

impl TestElf {
    /// A library of that name.
    pub fn library(soname: &'static str, provides: &[&'static str]) -> Self {
        Self {
            soname: Some(soname),
            provides: provides.to_vec(),
            ..Self::default()
        }
    }

    /// A program that is linked with a libc of that version.
    pub fn program(libc: &'static str) -> Self {
        Self {
            interpreter: Some("/lib64/ld-linux-x86-64.so.2"),
            needed: vec!["libc.so.6"],
            needs: vec![("libc.so.6", libc)],
            ..Self::default()
        }
    }

    /// Library, version and flags: 2 is VER_FLG_WEAK.
    fn all_needs(&self) -> Vec<(&'static str, &'static str, u64)> {
        let strong = self
            .needs
            .iter()
            .map(|(library, version)| (*library, *version, 0));
        let weak = self.weak.iter().map(|version| ("libc.so.6", *version, 2));
        strong.chain(weak).collect()
    }

    pub fn bytes(&self) -> Vec<u8> {
        let mut strings = Strings(vec![0]);
        let mut dynamic = Vec::new();
        for library in &self.needed {
            put(&mut dynamic, &[(1, 8), (strings.add(library).into(), 8)]);
        }
        if let Some(soname) = self.soname {
            put(&mut dynamic, &[(14, 8), (strings.add(soname).into(), 8)]);
        }
        put(&mut dynamic, &[(0, 8), (0, 8)]);

        let mut needs = Vec::new();
        for (index, (library, version, flags)) in self.all_needs().iter().enumerate() {
            let next = if index + 1 == self.all_needs().len() {
                0
            } else {
                32
            };
            let file = strings.add(library).into();
            let parts = [(1, 2), (1, 2), (file, 4), (16, 4), (next, 4)];
            put(&mut needs, &parts);
            let name = strings.add(version).into();
            put(
                &mut needs,
                &[(0, 4), (*flags, 2), (2, 2), (name, 4), (0, 4)],
            );
        }
        let mut provides = Vec::new();
        for (index, version) in self.provides.iter().enumerate() {
            let next = if index + 1 == self.provides.len() {
                0
            } else {
                28
            };
            let parts = [
                (1, 2),
                (0, 2),
                (index as u64 + 2, 2),
                (1, 2),
                (0, 4),
                (20, 4),
            ];
            put(&mut provides, &parts);
            put(
                &mut provides,
                &[(next, 4), (strings.add(version).into(), 4), (0, 4)],
            );
        }
        self.assemble(&strings.0, &dynamic, &needs, &provides)
    }

    fn assemble(&self, strings: &[u8], dynamic: &[u8], needs: &[u8], provides: &[u8]) -> Vec<u8> {
        let interpreter = self
            .interpreter
            .map(|path| format!("{path}\0"))
            .unwrap_or_default();
        let segments = if interpreter.is_empty() { 1 } else { 2 };
        let mut body = Vec::new();
        let start = HEADER + segments * SEGMENT;
        let mut place = |bytes: &[u8]| {
            body.resize(body.len().next_multiple_of(8), 0);
            let at = start + body.len();
            body.extend(bytes);
            (at as u64, bytes.len() as u64)
        };
        let interpreter_at = place(interpreter.as_bytes());
        // Section type, place, link to the strings, number of entries.
        let sections = [
            (0, (0, 0), 0, 0),
            (3, place(strings), 0, 0),
            (6, place(dynamic), 1, 0),
            (0x6fff_fffe, place(needs), 1, self.all_needs().len()),
            (0x6fff_fffd, place(provides), 1, self.provides.len()),
        ];
        body.resize(body.len().next_multiple_of(8), 0);
        let table = (start + body.len()) as u64;

        let mut out = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
        put(
            &mut out,
            &[
                (3, 2),
                (62, 2),
                (1, 4),
                (0, 8),
                (HEADER as u64, 8),
                (table, 8),
            ],
        );
        put(
            &mut out,
            &[
                (0, 4),
                (HEADER as u64, 2),
                (SEGMENT as u64, 2),
                (segments as u64, 2),
            ],
        );
        put(
            &mut out,
            &[(SECTION as u64, 2), (sections.len() as u64, 2), (1, 2)],
        );
        let mut segment = |kind: u64, (at, size): (u64, u64)| {
            let parts = [
                (kind, 4),
                (4, 4),
                (at, 8),
                (at, 8),
                (at, 8),
                (size, 8),
                (size, 8),
                (8, 8),
            ];
            put(&mut out, &parts);
        };
        if !interpreter.is_empty() {
            segment(3, interpreter_at);
        }
        segment(2, sections[2].1);
        out.extend(&body);
        for (kind, (at, size), link, entries) in sections {
            // An empty section is none.
            let kind = if size == 0 { 0 } else { kind };
            put(
                &mut out,
                &[(0, 4), (kind, 4), (0, 8), (0, 8), (at, 8), (size, 8)],
            );
            put(&mut out, &[(link, 4), (entries as u64, 4), (8, 8), (0, 8)]);
        }
        out
    }
}
