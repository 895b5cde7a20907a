//! How a vector is written: which numbers, and as a list or as packed bytes.
//!
//! The types are those of Cohere's, Voyage's and sentence-transformers' interfaces,
//! with their meanings. A vector is computed and cached in 32-bit floats; this is the
//! last step, after every reduction.

use half::f16;

use crate::request::EmbedError;

/// The type of a vector's numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Dtype {
    /// 32-bit floats, 4 bytes a dimension.
    #[default]
    Float,
    /// IEEE 754 half precision, 2 bytes a dimension, rounded to nearest even.
    Float16,
    /// Signed bytes, 1 byte a dimension: the vector divided by its own scale, so that
    /// its largest number is 127 or -127.
    Int8,
    /// Signs, 1 bit a dimension, as signed bytes: the unsigned byte less 128.
    Binary,
    /// Signs, 1 bit a dimension, as unsigned bytes: 1 for a number above 0, the first
    /// dimension in the highest bit, zeros after the last.
    Ubinary,
}

impl Dtype {
    /// By the name of the API; empty is the default.
    ///
    /// # Errors
    ///
    /// [`EmbedError::Invalid`] for an unknown name.
    pub fn parse(name: &str) -> Result<Self, EmbedError> {
        match name {
            "" | "float" => Ok(Self::Float),
            "float16" => Ok(Self::Float16),
            "int8" => Ok(Self::Int8),
            "binary" => Ok(Self::Binary),
            "ubinary" => Ok(Self::Ubinary),
            _ => Err(EmbedError::invalid(
                "output_dtype",
                "is unknown; `float`, `float16`, `int8`, `binary` and `ubinary` are accepted",
            )),
        }
    }

    /// The name in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Float => "float",
            Self::Float16 => "float16",
            Self::Int8 => "int8",
            Self::Binary => "binary",
            Self::Ubinary => "ubinary",
        }
    }
}

/// Whether numbers are listed or packed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Encoding {
    /// A list of numbers.
    #[default]
    Float,
    /// Little-endian bytes, which REST writes as base64.
    Base64,
}

impl Encoding {
    /// By the name of the API; empty is the default.
    ///
    /// # Errors
    ///
    /// [`EmbedError::Invalid`] for an unknown name.
    pub fn parse(name: &str) -> Result<Self, EmbedError> {
        match name {
            "" | "float" => Ok(Self::Float),
            "base64" => Ok(Self::Base64),
            _ => Err(EmbedError::invalid(
                "encoding_format",
                "is unknown; `float` and `base64` are accepted",
            )),
        }
    }
}

/// How the answer's vectors are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Output {
    /// The numbers.
    pub dtype: Dtype,
    /// Their form.
    pub encoding: Encoding,
}

/// A vector as it is written.
#[derive(Clone, Debug, PartialEq)]
pub enum Written {
    /// `float` and `float16`, listed.
    Floats(Vec<f32>),
    /// `int8`, `binary` and `ubinary`, listed.
    Integers(Vec<i32>),
    /// Any of them, packed.
    Packed(Vec<u8>),
}

/// A vector as it is written, and what its numbers are multiplied by to be the
/// vector's again: `int8` alone has such a scale.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// The numbers.
    pub written: Written,
    /// For `int8`: `vector[i]` is `written[i] * scale` within `scale / 2`.
    pub scale: Option<f32>,
}

impl Output {
    /// Writes one vector.
    pub fn write(self, vector: Vec<f32>) -> Answer {
        let (written, scale) = match (self.dtype, self.encoding) {
            (Dtype::Float, Encoding::Float) => (Written::Floats(vector), None),
            (Dtype::Float, Encoding::Base64) => (packed(&vector, f32::to_le_bytes), None),
            (Dtype::Float16, Encoding::Float) => {
                let round = |value: f32| f16::from_f32(value).to_f32();
                (
                    Written::Floats(vector.into_iter().map(round).collect()),
                    None,
                )
            }
            (Dtype::Float16, Encoding::Base64) => (
                packed(&vector, |value| f16::from_f32(value).to_le_bytes()),
                None,
            ),
            (Dtype::Int8, encoding) => {
                let (values, scale) = quantize(&vector);
                (signed_bytes(&values, encoding), Some(scale))
            }
            (Dtype::Binary, encoding) => {
                // What sentence-transformers does: an unsigned byte less 128, which is
                // the same byte with its highest bit turned over.
                let offset = |byte: u8| (byte ^ 0x80).cast_signed();
                let values: Vec<i8> = signs(&vector).into_iter().map(offset).collect();
                (signed_bytes(&values, encoding), None)
            }
            (Dtype::Ubinary, Encoding::Float) => {
                let values = signs(&vector).into_iter().map(i32::from);
                (Written::Integers(values.collect()), None)
            }
            (Dtype::Ubinary, Encoding::Base64) => (Written::Packed(signs(&vector)), None),
        };
        Answer { written, scale }
    }
}

fn packed<const N: usize>(vector: &[f32], bytes: impl Fn(f32) -> [u8; N]) -> Written {
    let mut out = Vec::with_capacity(vector.len() * N);
    for &value in vector {
        out.extend_from_slice(&bytes(value));
    }
    Written::Packed(out)
}

fn signed_bytes(values: &[i8], encoding: Encoding) -> Written {
    match encoding {
        Encoding::Float => Written::Integers(values.iter().map(|&value| value.into()).collect()),
        Encoding::Base64 => {
            Written::Packed(values.iter().map(|value| value.cast_unsigned()).collect())
        }
    }
}

/// A vector as `round(v / scale)` with `scale = max|v| / 127`. One scale for all
/// vectors would have to allow for the largest possible number, 1, and leave a vector
/// of hundreds of dimensions with a handful of different values.
fn quantize(vector: &[f32]) -> (Vec<i8>, f32) {
    let largest = vector
        .iter()
        .fold(0.0f32, |most, value| most.max(value.abs()));
    let scale = largest / 127.0;
    if scale == 0.0 {
        return (vec![0; vector.len()], 0.0);
    }
    // The cast saturates, so a rounding of the scale cannot wrap.
    #[expect(clippy::cast_possible_truncation, reason = "it saturates")]
    let round = |value: &f32| ((value / scale).round() as i8).max(-127);
    (vector.iter().map(round).collect(), scale)
}

/// One bit a dimension, set above 0, the first in the highest bit.
fn signs(vector: &[f32]) -> Vec<u8> {
    let byte = |eight: &[f32]| {
        let bit = |(at, value): (usize, &f32)| u8::from(*value > 0.0) << (7 - at);
        eight.iter().enumerate().map(bit).sum()
    };
    vector.chunks(8).map(byte).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use proptest::prelude::*;

    use super::*;

    fn write(dtype: Dtype, encoding: Encoding, vector: &[f32]) -> Answer {
        Output { dtype, encoding }.write(vector.to_vec())
    }

    fn listed(dtype: Dtype, vector: &[f32]) -> Answer {
        write(dtype, Encoding::Float, vector)
    }

    fn bytes(dtype: Dtype, vector: &[f32]) -> Vec<u8> {
        match write(dtype, Encoding::Base64, vector).written {
            Written::Packed(bytes) => bytes,
            other => panic!("{other:?}"),
        }
    }

    fn integers(dtype: Dtype, vector: &[f32]) -> Vec<i32> {
        match listed(dtype, vector).written {
            Written::Integers(integers) => integers,
            other => panic!("{other:?}"),
        }
    }

    /// 1 to 1,600 numbers scaled to length 1, as models give them.
    fn unit_vector() -> impl Strategy<Value = Vec<f32>> {
        let numbers = prop::collection::vec(-1.0f32..1.0, 1..1_600);
        numbers.prop_map(|mut numbers| {
            let length = numbers.iter().map(|v| v * v).sum::<f32>().sqrt();
            if length > 0.0 {
                numbers.iter_mut().for_each(|v| *v /= length);
            }
            numbers
        })
    }

    #[test]
    fn signs_are_packed_first_dimension_highest_and_padded_with_zeros() {
        let vector = [0.5, -0.5, 0.0, 0.1, -0.1, 0.2, 0.3, -0.4, 0.9, 0.9];
        assert_eq!(bytes(Dtype::Ubinary, &vector), [0b1001_0110, 0b1100_0000]);
        assert_eq!(integers(Dtype::Ubinary, &vector), [150, 192]);
        assert_eq!(integers(Dtype::Binary, &vector), [150 - 128, 192 - 128]);
        assert_eq!(bytes(Dtype::Binary, &vector), [22, 64]);
        assert_eq!(integers(Dtype::Binary, &[-1.0; 8]), [-128]);
    }

    #[test]
    fn a_vector_of_zeros_has_an_int8_form() {
        assert_eq!(integers(Dtype::Int8, &[0.0; 3]), [0; 3]);
        assert_eq!(listed(Dtype::Int8, &[0.0; 3]).scale, Some(0.0));
    }

    #[test]
    fn names_are_read_back_and_others_refused() {
        for dtype in ["float", "float16", "int8", "binary", "ubinary"] {
            assert_eq!(Dtype::parse(dtype).unwrap().as_str(), dtype);
        }
        assert_eq!(Dtype::parse("").unwrap(), Dtype::Float);
        let error = Dtype::parse("uint8").unwrap_err().to_string();
        assert!(error.starts_with("output_dtype: ") && error.contains("`ubinary`"));
        assert!(Encoding::parse("hex").is_err());
    }

    proptest! {
        #[test]
        fn int8_is_within_half_a_step_of_its_own_scale(vector in unit_vector()) {
            let scale = listed(Dtype::Int8, &vector).scale.unwrap();
            let largest = vector.iter().fold(0.0f32, |most, v| most.max(v.abs()));
            prop_assert!(scale <= largest / 127.0 * 1.000_001);
            for (value, integer) in vector.iter().zip(integers(Dtype::Int8, &vector)) {
                prop_assert!((-127..=127).contains(&integer));
                #[allow(clippy::cast_precision_loss)]
                let error = (integer as f32 * scale - value).abs();
                prop_assert!(error <= scale * 0.500_1, "{value} {integer} {scale}");
            }
        }

        #[test]
        fn half_precision_is_within_its_rounding(vector in unit_vector()) {
            let Written::Floats(floats) = listed(Dtype::Float16, &vector).written else {
                return Err(TestCaseError::fail("floats"));
            };
            for (value, rounded) in vector.iter().zip(floats) {
                // 11 bits of significand; 2^-25 is half of the smallest subnormal.
                let bound = (value.abs() / 2_048.0).max(2.0f32.powi(-25));
                prop_assert!((value - rounded).abs() <= bound);
            }
        }

        #[test]
        fn packed_and_listed_hold_the_same_numbers(vector in unit_vector()) {
            let floats: Vec<f32> = bytes(Dtype::Float, &vector)
                .chunks_exact(4)
                .map(|b| f32::from_le_bytes(b.try_into().unwrap()))
                .collect();
            prop_assert_eq!(&floats, &vector);
            let halves: Vec<f32> = bytes(Dtype::Float16, &vector)
                .chunks_exact(2)
                .map(|b| f16::from_le_bytes(b.try_into().unwrap()).to_f32())
                .collect();
            prop_assert_eq!(Written::Floats(halves), listed(Dtype::Float16, &vector).written);
            for dtype in [Dtype::Int8, Dtype::Binary] {
                let signed: Vec<i32> = bytes(dtype, &vector)
                    .into_iter()
                    .map(|b| b.cast_signed().into())
                    .collect();
                prop_assert_eq!(signed, integers(dtype, &vector));
            }
            let sizes = [Dtype::Int8, Dtype::Ubinary].map(|dtype| bytes(dtype, &vector).len());
            prop_assert_eq!(sizes, [vector.len(), vector.len().div_ceil(8)]);
        }

        #[test]
        fn every_sign_is_kept(vector in unit_vector()) {
            let packed = bytes(Dtype::Ubinary, &vector);
            for (at, value) in vector.iter().enumerate() {
                prop_assert_eq!(packed[at / 8] >> (7 - at % 8) & 1 == 1, *value > 0.0);
            }
        }
    }
}
