//! Money in whole pico-dollars, so that no sum is ever rounded.
//!
//! One pico-dollar (10^-12 USD) a token is one micro-dollar a million tokens, so
//! every published price is a whole number: a cached token at $0.0025 a million
//! costs 2,500 pico-dollars, which is 2.5 nano-dollars. No value here ever passes
//! through floating point arithmetic.

use std::{borrow::Cow, fmt, iter::Sum, ops::Add, str::FromStr};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::chat::TokenUsage;

const PICOS_PER_USD: u128 = 1_000_000_000_000;

/// Digits after the point in dollars a million tokens: micro-dollars.
const PRICE_FRACTION_DIGITS: usize = 6;

/// An amount in pico-dollars (10^-12 USD).
///
/// Inside it holds 128 bits, which no sum of requests can overflow; on the wire
/// it is the `int64` of [`UsdPicos::to_wire`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UsdPicos(i128);

impl UsdPicos {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// This many pico-dollars.
    pub const fn from_picos(picos: i128) -> Self {
        Self(picos)
    }

    /// The amount in pico-dollars.
    pub const fn picos(self) -> i128 {
        self.0
    }

    /// The amount as the contract's `int64`; `None` beyond 9.2 million dollars.
    pub fn to_wire(self) -> Option<i64> {
        i64::try_from(self.0).ok()
    }
}

impl Add for UsdPicos {
    type Output = Self;

    /// 2^64 of the dearest possible requests stay under 2^127, so a sum that
    /// saturates cannot happen; it is still never a wrapped one.
    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl Sum for UsdPicos {
    fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
        amounts.fold(Self::ZERO, Add::add)
    }
}

impl fmt::Display for UsdPicos {
    /// Exact dollars with at least two digits after the point: `$0.0000000025`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let magnitude = self.0.unsigned_abs();
        let sign = if self.0 < 0 { "-" } else { "" };
        let fraction = format!("{:012}", magnitude % PICOS_PER_USD);
        let significant = fraction.trim_end_matches('0').len().max(2);
        write!(
            f,
            "{sign}${}.{}",
            magnitude / PICOS_PER_USD,
            &fraction[..significant]
        )
    }
}

/// What one token costs, in pico-dollars; written in the configuration as dollars
/// a million tokens.
///
/// At most [`TokenPrice::MAX`], so that the cost of any request fits an `int64`:
/// `2 * 2^32 * 10^9 < 2^63`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct TokenPrice(u32);

impl TokenPrice {
    /// Nothing.
    pub const FREE: Self = Self(0);

    /// $1,000 a million tokens.
    pub const MAX: Self = Self(1_000_000_000);

    /// The price in pico-dollars a token.
    pub const fn picos(self) -> u32 {
        self.0
    }

    /// What this many tokens cost.
    pub fn of(self, tokens: u32) -> UsdPicos {
        UsdPicos(i128::from(self.0) * i128::from(tokens))
    }
}

/// Why a price is not one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PriceError {
    /// Not a plain decimal number.
    #[error(
        "`{0}` is not a price; write dollars a million tokens as a plain decimal, such as \"0.15\""
    )]
    NotDecimal(String),
    /// Finer than the unit.
    #[error("`{0}` has more than 6 digits after the point; a price is whole micro-dollars")]
    TooFine(String),
    /// Over [`TokenPrice::MAX`].
    #[error("`{0}` is over the highest price, 1000 dollars a million tokens")]
    TooHigh(String),
}

impl FromStr for TokenPrice {
    type Err = PriceError;

    fn from_str(text: &str) -> Result<Self, PriceError> {
        let not_decimal = || PriceError::NotDecimal(text.to_owned());
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        let point_without_fraction = text.ends_with('.');
        if whole.is_empty() || point_without_fraction || !digits(whole) || !digits(fraction) {
            return Err(not_decimal());
        }
        let fraction = fraction.trim_end_matches('0');
        if fraction.len() > PRICE_FRACTION_DIGITS {
            return Err(PriceError::TooFine(text.to_owned()));
        }
        let too_high = || PriceError::TooHigh(text.to_owned());
        // Zeros on the left are no amount, and without them a long number is a large one.
        let whole = whole.trim_start_matches('0');
        if whole.len() > 4 {
            return Err(too_high());
        }
        let picos: u64 = format!("{whole}{fraction:0<PRICE_FRACTION_DIGITS$}")
            .parse()
            .map_err(|_| not_decimal())?;
        u32::try_from(picos)
            .ok()
            .map(Self)
            .filter(|price| *price <= Self::MAX)
            .ok_or_else(too_high)
    }
}

impl fmt::Display for TokenPrice {
    /// Dollars a million tokens, exact: `0.15`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fraction = format!("{:06}", self.0 % 1_000_000);
        let fraction = fraction.trim_end_matches('0');
        write!(f, "{}", self.0 / 1_000_000)?;
        if fraction.is_empty() {
            Ok(())
        } else {
            write!(f, ".{fraction}")
        }
    }
}

impl Serialize for TokenPrice {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for TokenPrice {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(PriceVisitor)
    }
}

struct PriceVisitor;

impl de::Visitor<'_> for PriceVisitor {
    type Value = TokenPrice;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("dollars a million tokens as a decimal, such as \"0.15\"")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<TokenPrice, E> {
        text.parse().map_err(E::custom)
    }

    fn visit_u64<E: de::Error>(self, dollars: u64) -> Result<TokenPrice, E> {
        self.visit_str(&dollars.to_string())
    }

    fn visit_i64<E: de::Error>(self, dollars: i64) -> Result<TokenPrice, E> {
        self.visit_str(&dollars.to_string())
    }

    /// A parser that gives binary floating point has already read the digits. The
    /// shortest decimal that reads back as the same double is the one that was
    /// written wherever it has at most 15 significant digits (IEEE 754), and a price
    /// has at most 10: the digits are recovered exactly and then parsed as text.
    fn visit_f64<E: de::Error>(self, dollars: f64) -> Result<TokenPrice, E> {
        self.visit_str(&dollars.to_string())
    }
}

impl JsonSchema for TokenPrice {
    fn schema_name() -> Cow<'static, str> {
        "TokenPrice".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "US dollars a million tokens, exact, at most 6 digits after the point and at most 1000.",
            "anyOf": [
                {"type": "string", "pattern": r"^[0-9]+(\.[0-9]{1,6}0*)?$"},
                {"type": "number", "minimum": 0, "maximum": 1000, "multipleOf": 0.000_001},
            ],
        })
    }
}

/// What a model's tokens cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Price {
    /// A prompt token.
    pub input: TokenPrice,
    /// A prompt token that the provider read from its cache.
    pub cached_input: TokenPrice,
    /// A generated token.
    pub output: TokenPrice,
}

impl Price {
    /// The exact cost of a request. A provider that reports more cached tokens than
    /// prompt tokens is held to the prompt.
    pub fn cost(&self, usage: &TokenUsage) -> UsdPicos {
        let cached = usage.cached_prompt.min(usage.prompt);
        self.input.of(usage.prompt - cached)
            + self.cached_input.of(cached)
            + self.output.of(usage.completion)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;

    fn price() -> impl Strategy<Value = TokenPrice> {
        (0..=TokenPrice::MAX.0).prop_map(TokenPrice)
    }

    fn prices() -> impl Strategy<Value = Price> {
        (price(), price(), price()).prop_map(|(input, cached_input, output)| Price {
            input,
            cached_input,
            output,
        })
    }

    #[test]
    fn a_cached_token_of_a_cheap_model_costs_exactly_two_and_a_half_nano_dollars() {
        let price = Price {
            cached_input: "0.0025".parse().unwrap(),
            ..Price::default()
        };
        let cost = price.cost(&TokenUsage {
            prompt: 1,
            cached_prompt: 1,
            completion: 0,
        });
        assert_eq!(cost, UsdPicos::from_picos(2_500));
        assert_eq!(cost.to_string(), "$0.0000000025");
    }

    #[test]
    fn a_request_costs_its_uncached_cached_and_generated_tokens() {
        let price = Price {
            input: "0.15".parse().unwrap(),
            cached_input: "0.075".parse().unwrap(),
            output: "0.60".parse().unwrap(),
        };
        let usage = TokenUsage {
            prompt: 1_000,
            cached_prompt: 400,
            completion: 50,
        };
        let picos = 600 * 150_000 + 400 * 75_000 + 50 * 600_000;
        assert_eq!(price.cost(&usage), UsdPicos::from_picos(picos));
        assert_eq!(price.cost(&usage).to_string(), "$0.00015");
    }

    #[test]
    fn dollars_are_shown_exactly() {
        let shown = |picos| UsdPicos::from_picos(picos).to_string();
        assert_eq!(shown(0), "$0.00");
        assert_eq!(shown(1), "$0.000000000001");
        assert_eq!(shown(1_500_000_000_000), "$1.50");
        assert_eq!(shown(-12_345_000_000_000), "-$12.345");
    }

    #[test]
    fn a_price_that_is_no_decimal_is_refused_with_the_fix() {
        for text in [
            "", ".", "1.", ".5", "-1", "+1", "1e3", "0,15", "$1", " 1", "NaN", "١",
        ] {
            assert!(
                matches!(text.parse::<TokenPrice>(), Err(PriceError::NotDecimal(_))),
                "{text}"
            );
        }
        assert!(matches!(
            "0.0000001".parse::<TokenPrice>(),
            Err(PriceError::TooFine(_))
        ));
        for text in ["1000.000001", "1001", "99999999999999999999999999"] {
            assert!(
                matches!(text.parse::<TokenPrice>(), Err(PriceError::TooHigh(_))),
                "{text}"
            );
        }
        assert_eq!(
            "0001000.0000000000".parse::<TokenPrice>().unwrap(),
            TokenPrice::MAX
        );
    }

    #[test]
    fn a_price_is_read_from_a_string_or_a_number() {
        for json in ["\"0.15\"", "0.15", "0.150"] {
            let price: TokenPrice = serde_json::from_str(json).unwrap();
            assert_eq!(price.picos(), 150_000, "{json}");
        }
        assert_eq!(
            serde_json::from_str::<TokenPrice>("3").unwrap().picos(),
            3_000_000
        );
        for json in ["-0.15", "1e300", "null", "true", "0.00000015"] {
            assert!(serde_json::from_str::<TokenPrice>(json).is_err(), "{json}");
        }
    }

    proptest! {
        #[test]
        fn every_price_survives_text_and_a_double(price in price()) {
            let text = price.to_string();
            prop_assert_eq!(text.parse::<TokenPrice>().unwrap(), price);
            prop_assert_eq!(serde_json::from_str::<TokenPrice>(&text).unwrap(), price);
            prop_assert_eq!(serde_json::from_value::<TokenPrice>(serde_json::to_value(price).unwrap()).unwrap(), price);
        }

        #[test]
        fn cost_is_additive_over_tokens(
            price in prices(),
            a in (0..1u32 << 31, 0..1u32 << 31),
            b in (0..1u32 << 31, 0..1u32 << 31),
            cached in (0.0..=1.0, 0.0..=1.0),
        ) {
            let usage = |(prompt, completion): (u32, u32), share: f64| TokenUsage {
                prompt,
                cached_prompt: (f64::from(prompt) * share) as u32,
                completion,
            };
            let (first, second) = (usage(a, cached.0), usage(b, cached.1));
            let both = TokenUsage {
                prompt: first.prompt + second.prompt,
                cached_prompt: first.cached_prompt + second.cached_prompt,
                completion: first.completion + second.completion,
            };
            prop_assert_eq!(price.cost(&both), price.cost(&first) + price.cost(&second));
        }

        #[test]
        fn any_request_fits_the_wire_even_if_the_provider_lies(
            price in prices(), prompt: u32, cached_prompt: u32, completion: u32,
        ) {
            let cost = price.cost(&TokenUsage { prompt, cached_prompt, completion });
            prop_assert!(cost >= UsdPicos::ZERO);
            prop_assert!(cost.to_wire().is_some());
        }

        #[test]
        fn shown_dollars_read_back_as_the_same_picos(picos: i64) {
            let shown = UsdPicos::from_picos(i128::from(picos)).to_string();
            let (whole, fraction) = shown.split_once('.').unwrap();
            let digits = format!("{}{fraction:0<12}", whole.replace('$', ""));
            prop_assert_eq!(digits.parse::<i128>().unwrap(), i128::from(picos));
        }
    }

    #[test]
    fn the_dearest_request_fits_the_wire() {
        let dearest = Price {
            input: TokenPrice::MAX,
            cached_input: TokenPrice::MAX,
            output: TokenPrice::MAX,
        };
        let cost = dearest.cost(&TokenUsage {
            prompt: u32::MAX,
            cached_prompt: 0,
            completion: u32::MAX,
        });
        assert_eq!(
            cost.to_wire(),
            Some(2 * i64::from(u32::MAX) * 1_000_000_000)
        );
    }
}
