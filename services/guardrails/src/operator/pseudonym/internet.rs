//! Addresses and hosts that are kept for documentation: RFC 5737, RFC 3849, RFC 2606.

use std::net::IpAddr;

use super::{Seed, name::FAMILY};

const NETWORKS: [&str; 3] = ["192.0.2", "198.51.100", "203.0.113"];

pub(super) fn address(value: &str, seed: &Seed<'_, '_>) -> Option<String> {
    let parsed: IpAddr = value.parse().ok()?;
    // `::1` and `0:0::1` are one address.
    let mut draw = seed.draw("ip", &parsed.to_string());
    Some(match parsed {
        IpAddr::V4(_) => format!("{}.{}", draw.one_of(&NETWORKS), 1 + draw.below(254)),
        IpAddr::V6(_) => {
            let group = |draw: &mut super::Draw| 1 + draw.below(0xFFFE);
            format!(
                "2001:db8:{:x}:{:x}::{:x}",
                group(&mut draw),
                group(&mut draw),
                group(&mut draw)
            )
        }
    })
}

pub(super) fn url(value: &str, seed: &Seed<'_, '_>) -> Option<String> {
    let (scheme, rest) = value.split_once("://")?;
    let host = rest.split(['/', '?', '#']).next().unwrap_or(rest);
    let mut made = format!("{}://{}", scheme, domain(host, seed)?);
    if rest.len() > host.len() {
        let mut draw = seed.draw("url", value);
        made.push_str(&format!("/{:012x}", draw.bits() >> 16));
    }
    Some(made)
}

pub(super) fn domain(value: &str, seed: &Seed<'_, '_>) -> Option<String> {
    let mut draw = seed.draw("domain", &value.to_lowercase());
    let family = draw.one_of(&FAMILY).to_lowercase();
    Some(format!("{family}{}.example.com", 10 + draw.below(9_990)))
}
