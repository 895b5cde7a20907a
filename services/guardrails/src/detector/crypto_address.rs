//! Wallet addresses of crypto-currencies, each by the checksum that its own format
//! carries: Base58Check (Bitcoin and its kin, Tron, Ripple), Bech32 and Bech32m
//! (BIP-173, BIP-350), and the letter case of Ethereum's hexadecimal (EIP-55).

use sha2::{Digest, Sha256};
use sha3::Keccak256;

use super::{Candidate, Detector, Pattern, Reach, Verdict, boundary, weigh::Worth};

/// The detector.
pub(super) static DETECTOR: Detector = Detector {
    name: "crypto_address",
    kind: "CRYPTO_ADDRESS",
    description: "Wallet addresses of Bitcoin, Litecoin, Dogecoin, Dash, Tron, Ripple, Cardano \
                  and Ethereum; the checksum of each format is verified. An Ethereum address in \
                  one case, which has none, counts only beside words such as `wallet`.",
    default_on: true,
    context: &[
        "wallet", "ethereum", "eth", "bitcoin", "btc", "crypto", "usdt", "usdc", "erc", "address",
    ],
    patterns: &[
        Pattern {
            name: "base_fifty_eight",
            regex: r"[123579ADLMTXmnr][1-9A-HJ-NP-Za-km-z]{24,34}",
            reach: Reach::Run(35),
        },
        Pattern {
            name: "bech_thirty_two",
            regex: r"(?-u:\b)(?i-u:bc|tb|bcrt|ltc|addr)1[02-9AC-HJ-NP-Zac-hj-np-z]{11,98}(?-u:\b)",
            reach: Reach::Longest(128),
        },
        Pattern {
            name: "ethereum",
            regex: r"(?-u:\b)0x[0-9A-Fa-f]{40}(?-u:\b)",
            reach: Reach::Every(42),
        },
    ],
    validate,
};

const BITCOIN: &[u8; 58] = b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
const RIPPLE: &[u8; 58] = b"rpshnaf39wBUDNEGHJKLM4PQRST7VWXYZ2bcdeCg65jkm8oFqi1tuvAxyz";
/// BIP-173.
const BECH32: &[u8; 32] = b"qpzry9x8gf2tvdw0s3jn54khce6mua7l";

fn validate(candidate: &Candidate<'_>) -> Option<Verdict> {
    let value = candidate.value().as_bytes();
    let worth = Worth::strong(0.95, 0.98, "context:crypto");
    let check = match candidate.pattern {
        "base_fifty_eight" => {
            let alphabet = if value[0] == b'r' { RIPPLE } else { BITCOIN };
            base58check(value, alphabet).then_some("base58check")?
        }
        "bech_thirty_two" => bech32(value)?,
        _ => {
            let digits = &value[2..];
            let letters = |of: fn(&u8) -> bool| digits.iter().any(of);
            match (
                letters(u8::is_ascii_lowercase),
                letters(u8::is_ascii_uppercase),
            ) {
                (true, true) => eip55(digits).then_some("eip55")?,
                _ if boundary::is_piece_of_longer(candidate) => return None,
                // The zero address is nobody's.
                _ if digits.windows(2).all(|pair| pair[0] == pair[1]) => return None,
                // A hash cut to twenty bytes looks the same.
                _ => return Worth::weak(0.7, "context:crypto").verdict(candidate, &[]),
            }
        }
    };
    if boundary::is_piece_of_longer(candidate) {
        return None;
    }
    worth.verdict(candidate, &[check])
}

/// Twenty-five bytes in base 58, the last four of which begin the double SHA-256 of
/// the others (<https://en.bitcoin.it/wiki/Base58Check_encoding>).
fn base58check(value: &[u8], alphabet: &[u8; 58]) -> bool {
    let mut bytes = [0_u8; 25];
    for letter in value {
        let Some(digit) = alphabet.iter().position(|known| known == letter) else {
            return false;
        };
        let mut carry = digit;
        for byte in bytes.iter_mut().rev() {
            carry += usize::from(*byte) * 58;
            *byte = (carry % 256) as u8;
            carry /= 256;
        }
        if carry != 0 {
            return false;
        }
    }
    let (payload, check) = bytes.split_at(21);
    let twice = Sha256::digest(Sha256::digest(payload));
    twice[..4] == *check
}

/// The checksum's name, when it holds: BIP-173 for version 0, BIP-350 from 1 on.
fn bech32(value: &[u8]) -> Option<&'static str> {
    let lower = value.iter().any(u8::is_ascii_lowercase);
    if lower && value.iter().any(u8::is_ascii_uppercase) {
        return None;
    }
    let one = value.iter().position(|byte| *byte == b'1')?;
    let (prefix, data) = (&value[..one], &value[one + 1..]);
    let mut sum = 1;
    for byte in prefix {
        sum = polymod(sum, u32::from(byte.to_ascii_lowercase() >> 5));
    }
    sum = polymod(sum, 0);
    for byte in prefix {
        sum = polymod(sum, u32::from(byte.to_ascii_lowercase() & 31));
    }
    for byte in data {
        let byte = byte.to_ascii_lowercase();
        let digit = BECH32.iter().position(|known| *known == byte)?;
        sum = polymod(sum, digit as u32);
    }
    match sum {
        1 => Some("bech32"),
        0x2bc8_30a3 => Some("bech32m"),
        _ => None,
    }
}

/// One step of the BCH code of BIP-173.
fn polymod(sum: u32, digit: u32) -> u32 {
    const GENERATOR: [u32; 5] = [
        0x3b6a_57b2,
        0x2650_8e6d,
        0x1ea1_19fa,
        0x3d42_33dd,
        0x2a14_62b3,
    ];
    let top = sum >> 25;
    let next = (sum & 0x1ff_ffff) << 5 ^ digit;
    (0..5)
        .filter(|bit| top >> bit & 1 == 1)
        .fold(next, |next, bit| next ^ GENERATOR[bit])
}

/// A letter is upper case where the hash of the lower-case digits has a nibble of
/// eight or more (<https://eips.ethereum.org/EIPS/eip-55>).
fn eip55(digits: &[u8]) -> bool {
    let mut lower = [0_u8; 40];
    lower.copy_from_slice(digits);
    lower.make_ascii_lowercase();
    let hash = Keccak256::digest(lower);
    digits.iter().enumerate().all(|(at, digit)| {
        let nibble = hash[at / 2] >> (4 * (1 - at % 2)) & 15;
        !digit.is_ascii_alphabetic() || digit.is_ascii_uppercase() == (nibble >= 8)
    })
}
