//! Scalars as JSON text.

use base64::{Engine as _, engine::general_purpose::STANDARD};

use crate::{
    plan::{Enum, Kind},
    scan::next_special,
    wire::{Corrupt, Reader, unzigzag},
};

/// Appends a JSON string, escaping only what JSON requires.
#[inline]
pub(crate) fn put_string(out: &mut Vec<u8>, text: &str) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let bytes = text.as_bytes();
    out.reserve(bytes.len() + 2);
    out.push(b'"');
    let mut pos = 0;
    loop {
        let next = next_special(bytes, pos);
        out.extend_from_slice(&bytes[pos..next]);
        let Some(&special) = bytes.get(next) else {
            break;
        };
        let short = match special {
            b'"' => b'"',
            b'\\' => b'\\',
            b'\n' => b'n',
            b'\r' => b'r',
            b'\t' => b't',
            8 => b'b',
            12 => b'f',
            _ => 0,
        };
        if short == 0 {
            out.extend_from_slice(b"\\u00");
            out.push(HEX[usize::from(special >> 4)]);
            out.push(HEX[usize::from(special & 15)]);
        } else {
            out.extend_from_slice(&[b'\\', short]);
        }
        pos = next + 1;
    }
    out.push(b'"');
}

pub(super) fn put_base64(out: &mut Vec<u8>, bytes: &[u8]) {
    out.push(b'"');
    let start = out.len();
    // Base64 is four characters for each three bytes begun.
    out.resize(start + bytes.len().div_ceil(3) * 4, 0);
    let written = STANDARD.encode_slice(bytes, &mut out[start..]).unwrap_or(0);
    out.truncate(start + written);
    out.push(b'"');
}

pub(super) fn put_enum(out: &mut Vec<u8>, descriptor: &Enum, number: i32) {
    if descriptor.null {
        out.extend_from_slice(b"null");
    } else if let Some(name) = descriptor.name(number) {
        out.push(b'"');
        out.extend_from_slice(name.as_bytes());
        out.push(b'"');
    } else {
        put_integer(out, number);
    }
}

fn put_integer(out: &mut Vec<u8>, value: impl itoa::Integer) {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

/// 64-bit integers are strings in proto3 JSON: a double does not hold them all.
fn put_quoted(out: &mut Vec<u8>, value: impl itoa::Integer) {
    out.push(b'"');
    put_integer(out, value);
    out.push(b'"');
}

pub(super) fn put_double(out: &mut Vec<u8>, value: f64) {
    if value.is_finite() {
        out.extend_from_slice(zmij::Buffer::new().format_finite(value).as_bytes());
    } else {
        put_special(out, value);
    }
}

#[inline]
fn put_float(out: &mut Vec<u8>, value: f32) {
    if value.is_finite() {
        out.extend_from_slice(zmij::Buffer::new().format_finite(value).as_bytes());
    } else {
        put_special(out, value.into());
    }
}

/// Packed 32-bit floats, a comma behind each: vectors are most of what an
/// embeddings service sends, so they have a loop of their own.
pub(super) fn put_floats(out: &mut Vec<u8>, packed: &[u8]) -> Result<(), Corrupt> {
    let (values, rest) = packed.as_chunks::<4>();
    if !rest.is_empty() {
        return Err(Corrupt("the message ends within a 32-bit field"));
    }
    // About eight digits, a sign, `0.` and the comma.
    out.reserve(values.len() * 12);
    let mut buffer = zmij::Buffer::new();
    for value in values {
        let value = f32::from_le_bytes(*value);
        if value.is_finite() {
            out.extend_from_slice(buffer.format_finite(value).as_bytes());
        } else {
            put_special(out, value.into());
        }
        out.push(b',');
    }
    Ok(())
}

fn put_special(out: &mut Vec<u8>, value: f64) {
    let text = match (value.is_nan(), value > 0.0) {
        (true, _) => "\"NaN\"",
        (false, true) => "\"Infinity\"",
        (false, false) => "\"-Infinity\"",
    };
    out.extend_from_slice(text.as_bytes());
}

/// A number or boolean from behind its tag.
#[inline]
pub(super) fn put_number(
    out: &mut Vec<u8>,
    kind: Kind,
    reader: &mut Reader<'_>,
) -> Result<(), Corrupt> {
    match kind {
        Kind::Float => put_float(out, f32::from_bits(reader.fixed32()?)),
        Kind::Double => put_double(out, f64::from_bits(reader.fixed64()?)),
        Kind::Int32 => put_integer(out, reader.varint()? as i32),
        Kind::Uint32 => put_integer(out, reader.varint()? as u32),
        Kind::Sint32 => put_integer(out, unzigzag(u64::from(reader.varint()? as u32)) as i32),
        Kind::Fixed32 => put_integer(out, reader.fixed32()?),
        Kind::Sfixed32 => put_integer(out, reader.fixed32()? as i32),
        Kind::Int64 => put_quoted(out, reader.varint()? as i64),
        Kind::Uint64 => put_quoted(out, reader.varint()?),
        Kind::Sint64 => put_quoted(out, unzigzag(reader.varint()?)),
        Kind::Fixed64 => put_quoted(out, reader.fixed64()?),
        Kind::Sfixed64 => put_quoted(out, reader.fixed64()? as i64),
        Kind::Bool => {
            let text: &[u8] = if reader.varint()? != 0 {
                b"true"
            } else {
                b"false"
            };
            out.extend_from_slice(text);
        }
        Kind::String | Kind::Bytes | Kind::Enum(_) | Kind::Message(_) => {
            return Err(Corrupt("a number was expected"));
        }
    }
    Ok(())
}

/// A map key, which JSON writes as a string whatever its kind.
pub(super) fn key(kind: Kind, reader: &mut Reader<'_>) -> Result<String, Corrupt> {
    if kind == Kind::String {
        let text = str::from_utf8(reader.len()?);
        return text
            .map(str::to_owned)
            .map_err(|_| Corrupt("a map key is not UTF-8"));
    }
    let mut out = Vec::new();
    put_number(&mut out, kind, reader)?;
    let text = String::from_utf8(out).map_err(|_| Corrupt("a map key is not text"))?;
    Ok(text.trim_matches('"').to_owned())
}

/// The key of an entry that holds none.
pub(super) fn default_key(kind: Kind) -> String {
    match kind {
        Kind::String => String::new(),
        Kind::Bool => "false".to_owned(),
        _ => "0".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn strings_come_back_through_serde_json() {
        for text in [
            "",
            "plain",
            "\"\\\u{8}\u{c}\n\r\t\0\u{1f}\u{7f}",
            "\u{e9}\u{1f600}\u{2028}",
        ] {
            let mut out = Vec::new();
            put_string(&mut out, text);
            assert_eq!(serde_json::from_slice::<String>(&out).unwrap(), text);
        }
    }
}
