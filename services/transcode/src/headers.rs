//! Which headers cross between REST and gRPC, and the deadline among them.

use http::{HeaderMap, HeaderName, HeaderValue, header};
use tonic::Status;

use crate::status;

/// Seconds that the caller waits, `1.5` or with a unit, such as `500ms`.
pub(crate) const REQUEST_TIMEOUT: HeaderName = HeaderName::from_static("x-request-timeout");
const GRPC_TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");

/// Headers of one connection or of the body's form, which a new body has its own of.
const NOT_CARRIED: [HeaderName; 12] = [
    header::CONNECTION,
    header::CONTENT_ENCODING,
    header::CONTENT_LENGTH,
    header::CONTENT_TYPE,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// Turns a REST request's headers into those of the gRPC request.
///
/// # Errors
/// `INVALID_ARGUMENT` when the deadline cannot be read.
pub(crate) fn to_grpc(headers: &mut HeaderMap) -> Result<(), Status> {
    deadline(headers)?;
    // What `Connection` names belongs to the connection as well.
    let named: Vec<HeaderName> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    for name in named.iter().chain(&NOT_CARRIED) {
        headers.remove(name);
    }
    // Frames are read here, so they must not be compressed.
    headers.remove("grpc-encoding");
    headers.remove("grpc-accept-encoding");
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/grpc"),
    );
    headers.insert(header::TE, HeaderValue::from_static("trailers"));
    Ok(())
}

/// Copies what a service sent as metadata: not gRPC's own headers, not binary
/// ones, and not what belongs to the connection or to the body.
pub(crate) fn pass_metadata(from: &HeaderMap, to: &mut HeaderMap) {
    for (name, value) in from {
        let text = name.as_str();
        let own = text.starts_with("grpc-") || text.ends_with("-bin");
        if !own && !NOT_CARRIED.contains(name) {
            to.append(name.clone(), value.clone());
        }
    }
}

fn deadline(headers: &mut HeaderMap) -> Result<(), Status> {
    let Some(value) = headers.remove(REQUEST_TIMEOUT) else {
        return Ok(());
    };
    let parsed = value.to_str().ok().and_then(grpc_timeout).ok_or_else(|| {
        status::invalid_header(
            REQUEST_TIMEOUT.as_str(),
            "expected seconds such as 1.5, or a number with a unit such as 500ms",
        )
    })?;
    headers.entry(GRPC_TIMEOUT).or_insert(parsed);
    Ok(())
}

/// `grpc-timeout` holds at most eight digits and a unit; the finest unit that
/// fits is chosen. A fraction of it is rounded up.
fn grpc_timeout(text: &str) -> Option<HeaderValue> {
    let text = text.trim();
    let unit_at = text
        .find(|c: char| c != '.' && !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(unit_at);
    let nanos_per_unit: u128 = match unit.trim() {
        "" | "s" => 1_000_000_000,
        "ns" => 1,
        "us" => 1_000,
        "ms" => 1_000_000,
        "m" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        _ => return None,
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() || whole.len() > 12 || fraction.len() > 12 || fraction.contains('.') {
        return None;
    }
    if number.ends_with('.') {
        return None;
    }
    let mut nanos = whole.parse::<u128>().ok()? * nanos_per_unit;
    if !fraction.is_empty() {
        let scale = 10u128.pow(fraction.len() as u32);
        nanos += (fraction.parse::<u128>().ok()? * nanos_per_unit).div_ceil(scale);
    }
    let units: [(u128, char); 6] = [
        (1, 'n'),
        (1_000, 'u'),
        (1_000_000, 'm'),
        (1_000_000_000, 'S'),
        (60_000_000_000, 'M'),
        (3_600_000_000_000, 'H'),
    ];
    let (amount, unit) = units
        .iter()
        .map(|(size, unit)| (nanos.div_ceil(*size), unit))
        .find(|(amount, _)| *amount <= 99_999_999)?;
    HeaderValue::try_from(format!("{amount}{unit}")).ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn timeouts_are_read_in_seconds_or_with_a_unit() {
        for (text, expected) in [
            ("1.5", "1500000u"),
            ("0.001", "1000000n"),
            ("500ms", "500000u"),
            ("30", "30000000u"),
            ("2m", "120000m"),
            ("90s", "90000000u"),
            // 10^8 milliseconds would not fit into eight digits.
            ("100000", "100000S"),
        ] {
            assert_eq!(grpc_timeout(text).unwrap(), expected, "{text}");
        }
        for text in [
            "",
            "-1",
            "1.2.3",
            "1.",
            ".5",
            "abc",
            "1 day",
            "1e3",
            "99999999999999",
        ] {
            assert!(grpc_timeout(text).is_none(), "{text}");
        }
    }

    #[test]
    fn a_grpc_timeout_that_is_there_wins() {
        let mut headers = HeaderMap::new();
        headers.insert("grpc-timeout", HeaderValue::from_static("1S"));
        headers.insert("x-request-timeout", HeaderValue::from_static("9"));
        to_grpc(&mut headers).unwrap();
        assert_eq!(headers["grpc-timeout"], "1S");
        assert!(!headers.contains_key("x-request-timeout"));
    }

    #[test]
    fn headers_of_the_connection_stay_behind() {
        let mut headers = HeaderMap::new();
        headers.insert("connection", HeaderValue::from_static("close, x-private"));
        headers.insert("x-private", HeaderValue::from_static("1"));
        headers.insert("authorization", HeaderValue::from_static("Bearer x"));
        headers.insert("content-length", HeaderValue::from_static("9"));
        to_grpc(&mut headers).unwrap();
        assert!(!headers.contains_key("x-private") && !headers.contains_key("content-length"));
        assert_eq!(headers["authorization"], "Bearer x");
        assert_eq!(headers["content-type"], "application/grpc");
    }
}
