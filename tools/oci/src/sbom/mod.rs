//! Bills of materials, in the two formats that scanners and auditors read. Both are written
//! from one inventory, so that they cannot disagree, and both name themselves by its digest,
//! so that the same inventory gives the same bytes.

mod cyclonedx;
mod spdx;

pub use self::{cyclonedx::cyclonedx, spdx::spdx};
use crate::Digest;

const TOOL: &str = "signalbox-oci";
const TOOL_VERSION: &str = env!("CARGO_PKG_VERSION");

/// A UUID of version 8 (RFC 9562, section 5.8): the maker's own choice of bits, here the first
/// of a digest.
fn uuid(digest: &Digest) -> String {
    let mut bytes: [u8; 16] = std::array::from_fn(|index| digest.bytes()[index]);
    bytes[6] = (bytes[6] & 0x0f) | 0x80;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    let hex = hex::encode(bytes);
    format!(
        "{}-{}-{}-{}-{}",
        &hex[..8],
        &hex[8..12],
        &hex[12..16],
        &hex[16..20],
        &hex[20..]
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uuid_says_its_version_and_variant() {
        let uuid = uuid(&Digest::of(b""));
        assert_eq!(uuid, "e3b0c442-98fc-8c14-9afb-f4c8996fb924");
    }
}
