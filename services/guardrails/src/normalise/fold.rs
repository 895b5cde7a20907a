//! What a single character stands for.

use std::sync::LazyLock;

use unicode_normalization::UnicodeNormalization;

/// What a character becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fold {
    /// It stays.
    Same,
    /// It is invisible and left out.
    Nothing,
    /// It stands for these characters of ASCII.
    Ascii(Short),
}

/// Up to four characters of ASCII.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Short {
    bytes: [u8; 4],
    length: u8,
}

impl Short {
    fn new(text: &str) -> Option<Self> {
        let mut bytes = [0; 4];
        let fits = text.is_ascii() && (1..=4).contains(&text.len());
        fits.then(|| {
            bytes[..text.len()].copy_from_slice(text.as_bytes());
            Self {
                bytes,
                length: text.len() as u8,
            }
        })
    }

    pub(super) fn as_str(&self) -> &str {
        // Only ASCII was copied in.
        std::str::from_utf8(&self.bytes[..usize::from(self.length)]).unwrap_or_default()
    }
}

/// The zeros of the decimal digits of other scripts, general category Nd
/// (Unicode 16, DerivedNumericType.txt); those of compatibility forms are found by NFKC.
#[rustfmt::skip]
const ZEROS: [u32; 37] = [
    0x0660, 0x06f0, 0x07c0, 0x0966, 0x09e6, 0x0a66, 0x0ae6, 0x0b66, 0x0be6, 0x0c66, 0x0ce6, 0x0d66,
    0x0de6, 0x0e50, 0x0ed0, 0x0f20, 0x1040, 0x1090, 0x17e0, 0x1810, 0x1946, 0x19d0, 0x1a80, 0x1a90,
    0x1b50, 0x1bb0, 0x1c40, 0x1c50, 0xa620, 0xa8d0, 0xa900, 0xa9d0, 0xa9f0, 0xaa50, 0xabf0,
    0x1_04a0, 0x1_1066,
];

/// Hyphens and dashes that join numbers as `-` does. The em dash separates clauses.
const HYPHENS: [char; 6] = [
    '\u{2010}', '\u{2011}', '\u{2012}', '\u{2013}', '\u{2212}', '\u{fe58}',
];

/// Code points below this are looked up in a table; above it only a few ranges fold.
const TABLE: usize = 0x1_0000;

/// By code point: 0 for [`Fold::Same`], 1 for [`Fold::Nothing`], else a place in `shorts`
/// and 2.
struct Table {
    folds: Vec<u16>,
    shorts: Vec<Short>,
}

static FOLDS: LazyLock<Table> = LazyLock::new(|| {
    let mut table = Table {
        folds: vec![0; TABLE],
        shorts: Vec::new(),
    };
    for code in 0x80..TABLE as u32 {
        let Some(c) = char::from_u32(code) else {
            continue;
        };
        let place = match compute(c) {
            Fold::Same => 0,
            Fold::Nothing => 1,
            Fold::Ascii(short) => {
                let known = table.shorts.iter().position(|it| *it == short);
                let at = known.unwrap_or_else(|| {
                    table.shorts.push(short);
                    table.shorts.len() - 1
                });
                u16::try_from(at + 2).unwrap_or(0)
            }
        };
        table.folds[code as usize] = place;
    }
    table
});

/// What `c` stands for.
pub(super) fn fold(c: char) -> Fold {
    if c.is_ascii() {
        return Fold::Same;
    }
    let code = c as usize;
    if code >= TABLE {
        return compute(c);
    }
    match FOLDS.folds[code] {
        0 => Fold::Same,
        1 => Fold::Nothing,
        place => Fold::Ascii(FOLDS.shorts[usize::from(place) - 2]),
    }
}

fn compute(c: char) -> Fold {
    let code = c as u32;
    match c {
        // Soft hyphen, joiners, bidi controls, selectors, fillers, byte order mark.
        '\u{ad}'
        | '\u{34f}'
        | '\u{61c}'
        | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200f}'
        | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}'
        | '\u{fe00}'..='\u{fe0f}'
        | '\u{feff}'
        | '\u{e0100}'..='\u{e01ef}' => return Fold::Nothing,
        // Tags: ASCII that no one sees.
        '\u{e0020}'..='\u{e007e}' => return ascii(code - 0xe_0000),
        '\u{e0000}'..='\u{e007f}' => return Fold::Nothing,
        _ if HYPHENS.contains(&c) => return ascii(u32::from(b'-')),
        _ => {}
    }
    let digit = ZEROS
        .iter()
        .find(|zero| (**zero..**zero + 10).contains(&code));
    if let Some(zero) = digit {
        return ascii(u32::from(b'0') + code - zero);
    }
    // Letters of other scripts have no ASCII form; the rest is worth the look.
    let may_fold = matches!(code, 0x80..0x250 | 0x2000..0x2e00 | 0x3000..0x3400 | 0xf900.. );
    if !may_fold {
        return Fold::Same;
    }
    let mut text = String::new();
    for part in [c].into_iter().nfkc() {
        if !part.is_ascii() || text.len() == 4 {
            return Fold::Same;
        }
        text.push(part);
    }
    // `…` is no three full stops of a host name, and `⑴` no bracket of an area code.
    let is_plain = text.len() == 1 || text.bytes().all(|byte| byte.is_ascii_alphanumeric());
    match Short::new(&text) {
        Some(short) if is_plain => Fold::Ascii(short),
        _ => Fold::Same,
    }
}

fn ascii(code: u32) -> Fold {
    let c = char::from_u32(code).unwrap_or(' ');
    Short::new(c.encode_utf8(&mut [0; 4])).map_or(Fold::Same, Fold::Ascii)
}
