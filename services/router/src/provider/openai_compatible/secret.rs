//! An API key that does not show itself.

use std::fmt;

use http::HeaderValue;

/// A key. `Debug` and the header made of it are redacted; it has no `Display`.
#[derive(Clone)]
pub(super) struct ApiKey(String);

impl ApiKey {
    /// A key from configuration; blanks around it are a copying mistake.
    pub(super) fn new(key: &str) -> Option<Self> {
        let key = key.trim();
        (!key.is_empty()).then(|| Self(key.to_owned()))
    }

    /// The `Authorization` header; `None` if the key has characters that a header
    /// cannot carry.
    pub(super) fn header(&self) -> Option<HeaderValue> {
        let mut value = HeaderValue::try_from(format!("Bearer {}", self.0)).ok()?;
        value.set_sensitive(true);
        Some(value)
    }

    /// `text` without the key, in case a server repeats it.
    pub(super) fn scrub(&self, text: &str) -> String {
        text.replace(&self.0, "[redacted]")
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiKey([redacted])")
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed test may panic")]

    use super::*;

    #[test]
    fn a_key_shows_itself_nowhere() {
        let key = ApiKey::new(" sk-secret\n").unwrap();
        assert_eq!(format!("{key:?}"), "ApiKey([redacted])");
        assert!(!format!("{:?}", key.header().unwrap()).contains("secret"));
        assert_eq!(key.scrub("bad key sk-secret!"), "bad key [redacted]!");
    }

    #[test]
    fn a_blank_key_is_none() {
        assert!(ApiKey::new("  ").is_none());
    }
}
