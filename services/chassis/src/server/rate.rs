//! Rate limits, one token bucket a caller (GCRA, by the governor crate).

use std::{net::IpAddr, num::NonZeroU32, sync::Arc, time::Duration};

use governor::{
    Quota, RateLimiter,
    clock::{Clock as _, DefaultClock},
    state::keyed::DefaultKeyedStateStore,
};

use super::{RateLimit, ServerError};

/// Whose bucket a request draws from.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Subject {
    /// A caller with a key.
    Caller(Arc<str>),
    /// An anonymous caller's network: the address, or an IPv6 address' /64, which
    /// is what one subscriber holds.
    Network(IpAddr),
}

impl Subject {
    pub(super) fn network(address: IpAddr) -> Self {
        Self::Network(match address.to_canonical() {
            IpAddr::V4(address) => address.into(),
            IpAddr::V6(address) => IpAddr::V6((u128::from(address) >> 64 << 64).into()),
        })
    }
}

impl std::fmt::Display for Subject {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Caller(name) => write!(f, "caller:{name}"),
            Self::Network(address) => write!(f, "network:{address}"),
        }
    }
}

/// The buckets of all callers.
pub(super) struct Buckets(RateLimiter<Subject, DefaultKeyedStateStore<Subject>, DefaultClock>);

impl Buckets {
    pub(super) fn new(limit: RateLimit) -> Result<Self, ServerError> {
        let bad = |field: &str, detail: &str| ServerError::Config {
            key: format!("server.limits.per_caller.{field}"),
            detail: detail.to_owned(),
        };
        let burst =
            NonZeroU32::new(limit.burst).ok_or_else(|| bad("burst", "must be at least 1"))?;
        let quota = Some(limit.requests_per_second)
            .filter(|rate| rate.is_finite() && *rate > 0.0)
            .and_then(|rate| Duration::try_from_secs_f64(1.0 / rate).ok())
            .and_then(Quota::with_period)
            .ok_or_else(|| bad("requests_per_second", "must be a number above 0"))?;
        Ok(Self(RateLimiter::keyed(quota.allow_burst(burst))))
    }

    /// Takes one token, or says when there will be one.
    pub(super) fn take(&self, subject: &Subject) -> Result<(), Duration> {
        self.0
            .check_key(subject)
            .map_err(|refusal| refusal.wait_time_from(self.0.clock().now()))
    }

    /// Drops full buckets: a caller that is not there needs no memory.
    pub(super) fn forget_idle(&self) {
        self.0.retain_recent();
        self.0.shrink_to_fit();
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn each_subject_has_a_bucket_and_learns_when_it_refills() {
        let hourly = RateLimit {
            requests_per_second: 1.0 / 3600.0,
            burst: 2,
        };
        let buckets = Buckets::new(hourly).unwrap();
        let (alice, home) = (
            Subject::Caller("alice".into()),
            Subject::network("2001:db8::1".parse().unwrap()),
        );
        assert_eq!(
            (buckets.take(&alice), buckets.take(&alice)),
            (Ok(()), Ok(()))
        );
        let wait = buckets.take(&alice).unwrap_err();
        assert!(
            wait > Duration::from_secs(3590) && wait <= Duration::from_secs(3600),
            "{wait:?}"
        );
        assert_eq!(buckets.take(&home), Ok(()));
        assert_eq!(home, Subject::network("2001:db8::ffff".parse().unwrap()));
        assert_ne!(home, Subject::network("2001:db8:0:1::1".parse().unwrap()));
    }

    #[test]
    fn limits_that_let_nobody_in_are_refused() {
        for limit in [
            RateLimit {
                requests_per_second: 0.0,
                burst: 1,
            },
            RateLimit {
                requests_per_second: f64::NAN,
                burst: 1,
            },
            RateLimit {
                requests_per_second: 1.0,
                burst: 0,
            },
        ] {
            assert!(Buckets::new(limit).is_err(), "{limit:?}");
        }
    }
}
