//! When a failed request is sent again.
//!
//! A provider that names a time (`Retry-After`, RFC 9110, section 10.2.3) is taken at
//! its word, with a little on top so that callers who failed together do not return
//! together. Else the wait is drawn from zero to a bound that doubles: "full jitter",
//! which spreads returns best (M. Brooker, "Exponential Backoff And Jitter", AWS
//! Architecture Blog, 2015).

use std::time::Duration;

use http::{HeaderMap, header::RETRY_AFTER};
use jiff::Timestamp;

/// The bound stops doubling here.
const MAX_DELAY: Duration = Duration::from_secs(20);
/// Added to a time that the provider names, at most.
const SPREAD: Duration = Duration::from_millis(250);
/// The longest wait that a provider may ask for; more is a mistake of its clock.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(24 * 60 * 60);

/// How long to wait before retry number `retry`, from 0. `share`, from 0 to 1, is the
/// luck of the draw.
pub(super) fn delay(
    first: Duration,
    retry: u32,
    retry_after: Option<Duration>,
    share: f64,
) -> Duration {
    let share = share.clamp(0.0, 1.0);
    match retry_after {
        Some(wait) => wait + SPREAD.min(first).mul_f64(share),
        None => {
            let bound = first.saturating_mul(2_u32.saturating_pow(retry));
            bound.min(MAX_DELAY).mul_f64(share)
        }
    }
}

/// `Retry-After` as seconds or as a date; `retry-after-ms`, which `OpenAI` sends as well,
/// is finer.
pub(super) fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let text = |name: &str| headers.get(name)?.to_str().ok().map(str::trim);
    if let Some(ms) = text("retry-after-ms").and_then(|value| value.parse().ok()) {
        return Some(Duration::from_millis(ms).min(MAX_RETRY_AFTER));
    }
    let value = text(RETRY_AFTER.as_str())?;
    let wait = match value.parse() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => {
            let date = jiff::fmt::rfc2822::parse(value).ok()?.timestamp();
            // A date that has passed means now.
            Duration::try_from(date.duration_since(now)).unwrap_or_default()
        }
    };
    Some(wait.min(MAX_RETRY_AFTER))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    const FIRST: Duration = Duration::from_millis(500);

    fn read(name: &'static str, value: &str) -> Option<Duration> {
        let now: Timestamp = "1994-11-06T08:49:00Z".parse().unwrap();
        let headers = [(name.parse().unwrap(), value.parse().unwrap())];
        retry_after(&HeaderMap::from_iter(headers), now)
    }

    #[test]
    fn the_bound_doubles_and_stops() {
        for (retry, bound_ms) in [(0, 500), (1, 1_000), (3, 4_000), (40, 20_000)] {
            let bound = Duration::from_millis(bound_ms);
            assert_eq!(delay(FIRST, retry, None, 1.0), bound);
            assert_eq!(delay(FIRST, retry, None, 0.0), Duration::ZERO);
        }
    }

    #[test]
    fn a_time_that_the_provider_names_is_kept_and_hardly_passed() {
        let wait = Duration::from_secs(7);
        assert_eq!(delay(FIRST, 0, Some(wait), 0.0), wait);
        assert_eq!(delay(FIRST, 5, Some(wait), 1.0), wait + SPREAD);
    }

    #[test]
    fn retry_after_is_read_as_seconds_as_a_date_and_as_milliseconds() {
        assert_eq!(read("retry-after", "2"), Some(Duration::from_secs(2)));
        let date = "Sun, 06 Nov 1994 08:49:37 GMT";
        assert_eq!(read("retry-after", date), Some(Duration::from_secs(37)));
        let past = "Sun, 06 Nov 1994 08:48:00 GMT";
        assert_eq!(read("retry-after", past), Some(Duration::ZERO));
        assert_eq!(
            read("retry-after-ms", "15"),
            Some(Duration::from_millis(15))
        );
        assert_eq!(read("retry-after", "soon"), None);
        assert_eq!(read("retry-after", "99999999999"), Some(MAX_RETRY_AFTER));
    }
}
