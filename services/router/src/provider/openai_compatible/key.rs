//! The API key: how it is read, sent, and kept out of what is passed on.

use http::HeaderValue;
use signalbox_chassis::config::Secret;

/// A key from configuration; blanks around it are a copying mistake. `None` if nothing
/// is left, or a header cannot carry it.
pub(super) fn read(key: &str) -> Option<Secret> {
    let key = Secret::new(key.trim());
    (!key.is_empty() && header(&key).is_some()).then_some(key)
}

/// The `Authorization` header.
pub(super) fn header(key: &Secret) -> Option<HeaderValue> {
    let mut value = HeaderValue::try_from(format!("Bearer {}", key.expose())).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// `text` without the key, in case a server repeats it.
pub(super) fn scrub(key: &Secret, text: &str) -> String {
    text.replace(key.expose(), "[redacted]")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed test may panic")]

    use super::*;

    #[test]
    fn a_key_shows_itself_nowhere() {
        let key = read(" sk-secret\n").unwrap();
        assert_eq!(header(&key).unwrap(), "Bearer sk-secret");
        assert!(!format!("{key:?} {:?}", header(&key).unwrap()).contains("secret"));
        assert_eq!(scrub(&key, "bad key sk-secret!"), "bad key [redacted]!");
    }

    #[test]
    fn a_key_that_is_blank_or_that_no_header_can_carry_is_none() {
        assert!(read("  ").is_none());
        assert!(read("sk-\u{7f}").is_none());
    }
}
