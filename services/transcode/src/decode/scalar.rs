//! Scalars from their text: numbers exactly, booleans, enums and base64.
//!
//! The same text may come from a JSON number, a JSON string, a map key, a path
//! segment or a query parameter.

use base64::{
    Engine as _, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};

use crate::{
    plan::{Enum, Kind, Plan},
    wire,
};

/// A scalar as the wire holds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scalar {
    Varint(u64),
    Fixed32(u32),
    Fixed64(u64),
}

impl Scalar {
    pub(crate) fn is_zero(self) -> bool {
        matches!(self, Self::Varint(0) | Self::Fixed32(0) | Self::Fixed64(0))
    }

    #[inline]
    pub(crate) fn put(self, out: &mut Vec<u8>) {
        match self {
            Self::Varint(value) => wire::put_varint(out, value),
            Self::Fixed32(value) => out.extend_from_slice(&value.to_le_bytes()),
            Self::Fixed64(value) => out.extend_from_slice(&value.to_le_bytes()),
        }
    }
}

/// What a kind accepts, for messages.
pub(crate) fn expected(plan: &Plan, kind: Kind) -> String {
    match kind {
        Kind::Double | Kind::Float => "a number".to_owned(),
        Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => "a 32-bit integer".to_owned(),
        Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => "a 64-bit integer".to_owned(),
        Kind::Uint32 | Kind::Fixed32 => "a 32-bit integer of at least 0".to_owned(),
        Kind::Uint64 | Kind::Fixed64 => "a 64-bit integer of at least 0".to_owned(),
        Kind::Bool => "true or false".to_owned(),
        Kind::String => "a string".to_owned(),
        Kind::Bytes => "a base64 string".to_owned(),
        Kind::Enum(index) => one_of(plan.enumeration(index)),
        Kind::Message(_) => "an object".to_owned(),
    }
}

fn one_of(descriptor: &Enum) -> String {
    const SHOWN: usize = 12;
    let names: Vec<&str> = descriptor
        .values
        .iter()
        .map(|(name, _)| &**name)
        .take(SHOWN)
        .collect();
    let more = if descriptor.values.len() > SHOWN {
        ", ..."
    } else {
        ""
    };
    format!("one of {}{more}", names.join(", "))
}

/// A number, boolean or enum from its text; the message says what is wrong.
///
/// Strings, bytes and messages are not scalars of this form: `None`.
pub(crate) fn parse(plan: &Plan, kind: Kind, text: &str) -> Option<Result<Scalar, String>> {
    let number = |low, high| integer(text, low, high);
    let (i32_min, i32_max) = (i128::from(i32::MIN), i128::from(i32::MAX));
    let (i64_min, i64_max) = (i128::from(i64::MIN), i128::from(i64::MAX));
    let parsed = match kind {
        Kind::Double => double(text).map(|value| Scalar::Fixed64(value.to_bits())),
        Kind::Float => float(text).map(|value| Scalar::Fixed32(value.to_bits())),
        Kind::Int32 => number(i32_min, i32_max).map(|value| Scalar::Varint(value as u64)),
        Kind::Int64 => number(i64_min, i64_max).map(|value| Scalar::Varint(value as u64)),
        Kind::Uint32 => number(0, u32::MAX.into()).map(|value| Scalar::Varint(value as u64)),
        Kind::Uint64 => number(0, u64::MAX.into()).map(|value| Scalar::Varint(value as u64)),
        Kind::Sint32 => {
            number(i32_min, i32_max).map(|value| Scalar::Varint(wire::zigzag(value as i64)))
        }
        Kind::Sint64 => {
            number(i64_min, i64_max).map(|value| Scalar::Varint(wire::zigzag(value as i64)))
        }
        Kind::Fixed32 => number(0, u32::MAX.into()).map(|value| Scalar::Fixed32(value as u32)),
        Kind::Sfixed32 => number(i32_min, i32_max).map(|value| Scalar::Fixed32(value as u32)),
        Kind::Fixed64 => number(0, u64::MAX.into()).map(|value| Scalar::Fixed64(value as u64)),
        Kind::Sfixed64 => number(i64_min, i64_max).map(|value| Scalar::Fixed64(value as u64)),
        Kind::Bool => match text {
            "true" => Ok(Scalar::Varint(1)),
            "false" => Ok(Scalar::Varint(0)),
            _ => Err(NOT.to_owned()),
        },
        Kind::Enum(index) => enumeration(plan.enumeration(index), text),
        Kind::String | Kind::Bytes | Kind::Message(_) => return None,
    };
    Some(parsed.map_err(|problem| {
        let expected = expected(plan, kind);
        let found = crate::fault::shorten(text);
        if problem.is_empty() {
            format!("expected {expected}, found {found:?}")
        } else {
            format!("expected {expected}, found {found}, which {problem}")
        }
    }))
}

/// A float from a number that the scanner has checked: nearly all there are.
/// `None` sends the rest, such as one out of range, the way of [`parse`].
#[inline]
pub(crate) fn float_token(kind: Kind, number: &str) -> Option<Scalar> {
    match kind {
        Kind::Float => {
            let value: f32 = number.parse().ok()?;
            value.is_finite().then(|| Scalar::Fixed32(value.to_bits()))
        }
        Kind::Double => {
            let value: f64 = number.parse().ok()?;
            value.is_finite().then(|| Scalar::Fixed64(value.to_bits()))
        }
        _ => None,
    }
}

/// "It is just not one": the message needs no further reason.
const NOT: &str = "";
const RANGE: &str = "is out of range";

fn enumeration(descriptor: &Enum, text: &str) -> Result<Scalar, String> {
    // Negative numbers are sign-extended to 64 bits on the wire.
    let scalar = |number: i32| Scalar::Varint(i64::from(number) as u64);
    if let Some(number) = descriptor.number(text) {
        return Ok(scalar(number));
    }
    let number = integer(text, i32::MIN.into(), i32::MAX.into())? as i32;
    if descriptor.closed && descriptor.name(number).is_none() {
        return Err(RANGE.to_owned());
    }
    Ok(scalar(number))
}

/// An integer within bounds. `1.0` and `1e3` are integers, `1.5` is none.
fn integer(text: &str, low: i128, high: i128) -> Result<i128, String> {
    let value = match small_integer(text.as_bytes()) {
        Some(value) => value,
        None => decimal(text)?,
    };
    if (low..=high).contains(&value) {
        Ok(value)
    } else {
        Err(RANGE.to_owned())
    }
}

/// Up to 18 plain digits, nearly every integer there is.
#[inline]
fn small_integer(text: &[u8]) -> Option<i128> {
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    if digits.is_empty() || digits.len() > 18 || (digits[0] == b'0' && digits.len() > 1) {
        return None;
    }
    let mut value = 0i64;
    for digit in digits {
        let digit = digit.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        value = value * 10 + i64::from(digit);
    }
    Some(i128::from(if negative { -value } else { value }))
}

/// Any JSON number that is a whole one, exactly: digits and a power of ten.
fn decimal(text: &str) -> Result<i128, String> {
    if !is_number(text) {
        return Err(NOT.to_owned());
    }
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => {
            let exponent: i64 = exponent.parse().map_err(|_| RANGE.to_owned())?;
            (mantissa, exponent)
        }
        None => (text, 0),
    };
    let (negative, mantissa) = match mantissa.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, mantissa),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let fraction = fraction.trim_end_matches('0');
    let digits = format!("{whole}{fraction}");
    let digits = digits.trim_start_matches('0');
    if digits.is_empty() {
        return Ok(0);
    }
    let significant = digits.trim_end_matches('0');
    let power = exponent
        .saturating_sub(fraction.len() as i64)
        .saturating_add((digits.len() - significant.len()) as i64);
    if power < 0 {
        return Err("is not a whole number".to_owned());
    }
    // 2^64 has 20 digits.
    if power > 20 || significant.len() > 20 {
        return Err(RANGE.to_owned());
    }
    let value: i128 = significant.parse().map_err(|_| RANGE.to_owned())?;
    let value = value * 10i128.pow(power as u32);
    Ok(if negative { -value } else { value })
}

/// Whether the text is a number in JSON's grammar.
fn is_number(text: &str) -> bool {
    let mut scanner = crate::scan::Scanner::new(text);
    scanner.number().is_ok() && scanner.pos == text.len()
}

fn special(text: &str) -> Option<f64> {
    match text {
        "NaN" => Some(f64::NAN),
        "Infinity" => Some(f64::INFINITY),
        "-Infinity" => Some(f64::NEG_INFINITY),
        _ => None,
    }
}

fn double(text: &str) -> Result<f64, String> {
    if let Some(value) = special(text) {
        return Ok(value);
    }
    if !is_number(text) {
        return Err(NOT.to_owned());
    }
    let value: f64 = text.parse().map_err(|_| NOT.to_owned())?;
    if value.is_finite() {
        Ok(value)
    } else {
        Err(RANGE.to_owned())
    }
}

fn float(text: &str) -> Result<f32, String> {
    if let Some(value) = special(text) {
        return Ok(value as f32);
    }
    if !is_number(text) {
        return Err(NOT.to_owned());
    }
    let value: f32 = text.parse().map_err(|_| NOT.to_owned())?;
    if value.is_finite() {
        Ok(value)
    } else {
        Err(RANGE.to_owned())
    }
}

const LENIENT: GeneralPurposeConfig = GeneralPurposeConfig::new()
    .with_decode_allow_trailing_bits(true)
    .with_decode_padding_mode(DecodePaddingMode::Indifferent);
const STANDARD: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, LENIENT);
const URL_SAFE: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, LENIENT);

/// Appends the bytes of base64 in either alphabet, padded or not.
pub(crate) fn base64(text: &str, out: &mut Vec<u8>) -> Result<(), String> {
    let engine = if text.contains(['-', '_']) {
        URL_SAFE
    } else {
        STANDARD
    };
    engine
        .decode_vec(text, out)
        .map_err(|error| format!("expected a base64 string: {error}"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn int(text: &str) -> Result<i128, String> {
        integer(text, i64::MIN.into(), u64::MAX.into())
    }

    #[test]
    fn whole_numbers_are_exact_however_they_are_written() {
        assert_eq!(int("9223372036854775807.0").unwrap(), i128::from(i64::MAX));
        assert_eq!(int("18446744073709551615").unwrap(), i128::from(u64::MAX));
        assert_eq!(int("1e3").unwrap(), 1000);
        assert_eq!(int("-120.0E-1").unwrap(), -12);
        assert_eq!(int("0.00e99999999999").unwrap(), 0);
        assert_eq!(int("-0").unwrap(), 0);
        assert_eq!(
            int("1.8446744073709551615e19").unwrap(),
            i128::from(u64::MAX)
        );
    }

    #[test]
    fn what_is_no_whole_number_in_range_is_refused() {
        for text in [
            "1.5",
            "1e-1",
            "18446744073709551616",
            "1e40",
            "1e99999999999999999999",
            "",
            "-",
            "x",
            " 1",
            "1 ",
            "01",
            "0x1",
        ] {
            assert!(int(text).is_err(), "{text}");
        }
    }

    #[test]
    fn floats_do_not_overflow_silently() {
        assert!(double("1e309").is_err());
        assert!(float("3.5e38").is_err());
        assert!(double("inf").is_err(), "Rust's own spelling is not JSON's");
        assert!(double("NaN").unwrap().is_nan());
        assert_eq!(float("16777217").unwrap(), 16_777_216.0);
    }

    #[test]
    fn base64_is_read_in_both_alphabets_with_and_without_padding() {
        for text in ["-_8=", "+/8=", "-_8", "+/8"] {
            let mut out = Vec::new();
            base64(text, &mut out).unwrap();
            assert_eq!(out, [0xfb, 0xff]);
        }
        assert!(base64("!", &mut Vec::new()).is_err());
    }
}
