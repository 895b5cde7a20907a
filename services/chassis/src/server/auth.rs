//! Which caller a key belongs to.

use std::sync::Arc;

use http::HeaderMap;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use tonic::Code;

use super::{AuthConfig, ServerError};
use crate::{ApiError, context::RequestContext, error::reason};

/// The known keys as hashes.
pub(super) struct Keys {
    required: bool,
    keys: Vec<(Arc<str>, [u8; 32])>,
}

impl Keys {
    pub(super) fn new(config: &AuthConfig) -> Result<Self, ServerError> {
        let mut keys = Vec::with_capacity(config.keys.len());
        for (index, key) in config.keys.iter().enumerate() {
            if key.name.is_empty() || key.name == RequestContext::ANONYMOUS {
                return Err(ServerError::Config {
                    key: format!("server.auth.keys[{index}].name"),
                    detail: "must tell this caller from others and from `anonymous`".to_owned(),
                });
            }
            let hash = from_hex(&key.sha256).ok_or_else(|| ServerError::Config {
                key: format!("server.auth.keys[{index}].sha256"),
                detail: "is not the 64 hexadecimal digits that `printf %s KEY | sha256sum` prints"
                    .to_owned(),
            })?;
            keys.push((Arc::from(key.name.as_str()), hash));
        }
        if config.required && keys.is_empty() {
            return Err(ServerError::Config {
                key: "server.auth.keys".to_owned(),
                detail: "is empty while server.auth.required is true: nobody could call".to_owned(),
            });
        }
        Ok(Self {
            required: config.required,
            keys,
        })
    }

    /// The caller's name. A wrong key is refused even where none is required: its
    /// sender believes to be somebody.
    pub(super) fn caller(&self, headers: &HeaderMap) -> Result<Arc<str>, ApiError> {
        if self.keys.is_empty() {
            // OpenAI's clients cannot be told to send no key.
            return Ok(RequestContext::ANONYMOUS.into());
        }
        match (presented(headers), self.required) {
            (None, false) => Ok(RequestContext::ANONYMOUS.into()),
            (None, true) => Err(unauthenticated(
                "no API key; send `authorization: Bearer KEY` or `x-api-key: KEY`",
            )),
            (Some(key), _) => self
                .find(key)
                .ok_or_else(|| unauthenticated("the API key is not known here")),
        }
    }

    /// Looks at every key and at all of each, so that time tells nothing.
    fn find(&self, key: &[u8]) -> Option<Arc<str>> {
        let hash: [u8; 32] = Sha256::digest(key).into();
        self.keys.iter().fold(None, |found, (name, known)| {
            if bool::from(hash.ct_eq(known)) {
                Some(Arc::clone(name))
            } else {
                found
            }
        })
    }
}

fn unauthenticated(message: &str) -> ApiError {
    ApiError::new(Code::Unauthenticated, reason::UNAUTHENTICATED, message)
}

fn presented(headers: &HeaderMap) -> Option<&[u8]> {
    if let Some(key) = headers.get("x-api-key") {
        return Some(key.as_bytes());
    }
    let value = headers.get(http::header::AUTHORIZATION)?.as_bytes();
    let (scheme, key) = value.split_at_checked("Bearer ".len())?;
    scheme
        .eq_ignore_ascii_case(b"Bearer ")
        .then(|| key.trim_ascii())
}

fn from_hex(text: &str) -> Option<[u8; 32]> {
    let bytes = text.as_bytes();
    let mut hash = [0; 32];
    if bytes.len() != 64 {
        return None;
    }
    for (out, pair) in hash.iter_mut().zip(bytes.chunks_exact(2)) {
        let digits = std::str::from_utf8(pair)
            .ok()
            .filter(|pair| !pair.starts_with('+'))?;
        *out = u8::from_str_radix(digits, 16).ok()?;
    }
    Some(hash)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::{super::ApiKey, *};

    const ALICE: &str = "2bd806c97f0e00af1a1fc3328fa763a9269723c8db8fac4f93af71db186d6e90"; // "alice"

    fn keys(required: bool) -> Keys {
        let keys = vec![ApiKey {
            name: "alice".to_owned(),
            sha256: ALICE.to_owned(),
        }];
        Keys::new(&AuthConfig { required, keys }).unwrap()
    }

    fn headers(name: &'static str, value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(
            http::HeaderName::from_static(name),
            http::HeaderValue::from_static(value),
        )])
    }

    #[test]
    fn a_known_key_names_its_caller_in_either_header() {
        for headers in [
            headers("authorization", "Bearer alice"),
            headers("authorization", "bearer  alice"),
            headers("x-api-key", "alice"),
        ] {
            assert_eq!(&*keys(true).caller(&headers).unwrap(), "alice");
        }
    }

    #[test]
    fn a_wrong_key_is_refused_even_where_none_is_required() {
        let wrong = headers("x-api-key", "mallory");
        assert_eq!(
            keys(false).caller(&wrong).unwrap_err().code(),
            Code::Unauthenticated
        );
        assert_eq!(
            &*keys(false).caller(&HeaderMap::new()).unwrap(),
            "anonymous"
        );
        assert_eq!(
            keys(true).caller(&HeaderMap::new()).unwrap_err().code(),
            Code::Unauthenticated
        );
    }

    #[test]
    fn a_key_without_a_name_of_its_own_is_refused() {
        for name in ["", "anonymous"] {
            let key = ApiKey {
                name: name.to_owned(),
                sha256: ALICE.to_owned(),
            };
            let config = AuthConfig {
                required: true,
                keys: vec![key],
            };
            let error = Keys::new(&config).err().unwrap().to_string();
            assert!(error.starts_with("server.auth.keys[0].name: "), "{error}");
        }
    }

    #[test]
    fn a_key_that_is_no_hash_and_a_door_without_keys_are_refused() {
        let key = ApiKey {
            name: "bob".to_owned(),
            sha256: "bob".to_owned(),
        };
        let error = Keys::new(&AuthConfig {
            required: false,
            keys: vec![key],
        })
        .err()
        .unwrap();
        assert!(
            error
                .to_string()
                .starts_with("server.auth.keys[0].sha256: "),
            "{error}"
        );
        assert!(
            Keys::new(&AuthConfig {
                required: true,
                keys: vec![]
            })
            .is_err()
        );
    }
}
