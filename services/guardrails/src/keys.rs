//! Keys: one configured secret for each key id, and from it a key of its own for each
//! tenant and each use.
//!
//! HKDF (RFC 5869) keeps them apart: what is encrypted for one tenant cannot be read as
//! another, and a hash in a text says nothing about one in the audit log. The first
//! configured key is the one in use; the others only read what was written under them, so
//! that a key is changed by putting a new one in front.

use std::{
    fmt,
    sync::{Arc, OnceLock},
};

use aes_gcm_siv::{Aes256GcmSiv, KeyInit as _, aead::Payload};
use ring::{
    hkdf, hmac,
    rand::{SecureRandom as _, SystemRandom},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use signalbox_chassis::config::Secret;
use zeroize::Zeroizing;

/// Least bytes of a secret: 256 bits where it is random bytes.
const MIN_SECRET_BYTES: usize = 32;
const MAX_ID_BYTES: usize = 16;
/// Bytes of a nonce of AES-GCM-SIV (RFC 8452).
pub(crate) const NONCE_BYTES: usize = 12;

/// A secret and its name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct KeyConfig {
    /// Its name, written beside what it encrypts: a lower-case letter, then letters and
    /// digits, at most 16.
    pub id: String,
    /// At least 32 characters, from a random generator, such as `openssl rand -hex 32`.
    pub secret: Secret,
}

/// The configured keys cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// A name is not of the accepted form.
    #[error(
        "guardrails.keys[{index}].id: must be a lower-case letter, then lower-case letters \
         and digits, at most {MAX_ID_BYTES} in all"
    )]
    BadId {
        /// Which key.
        index: usize,
    },
    /// Two keys have one name.
    #[error("guardrails.keys[{index}].id: names an earlier key too; give each its own")]
    Duplicate {
        /// The later one.
        index: usize,
    },
    /// A secret is short enough to be guessed.
    #[error(
        "guardrails.keys[{index}].secret: must have at least {MIN_SECRET_BYTES} characters; \
         make one with `openssl rand -hex 32`"
    )]
    Short {
        /// Which key.
        index: usize,
    },
    /// The operating system has no randomness.
    #[error("the operating system gave no random bytes")]
    NoRandomness,
}

/// What a key is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Use {
    /// The `hash` operator.
    Hash,
    /// The `pseudonym` operator.
    Pseudonym,
    /// Tokens of the `encrypt` operator.
    Token,
    /// Names of sessions and entries in the vault.
    VaultName,
    /// Entries of the vault.
    VaultEntry,
    /// Hashes in audit events.
    Audit,
}

impl Use {
    const COUNT: usize = 6;

    fn label(self) -> &'static [u8] {
        match self {
            Self::Hash => b"hash/",
            Self::Pseudonym => b"pseudonym/",
            Self::Token => b"token/",
            Self::VaultName => b"vault-name/",
            Self::VaultEntry => b"vault-entry/",
            Self::Audit => b"audit/",
        }
    }
}

struct Master {
    id: String,
    prk: hkdf::Prk,
}

/// All keys. `Debug` shows their names alone.
pub(crate) struct Keyring {
    /// Never empty; the first is in use.
    masters: Vec<Master>,
    configured: bool,
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ids: Vec<&str> = self.masters.iter().map(|key| key.id.as_str()).collect();
        f.debug_struct("Keyring").field("ids", &ids).finish()
    }
}

impl Keyring {
    /// The configured keys; with none, a random one that ends with this process.
    pub(crate) fn new(configs: &[KeyConfig]) -> Result<Self, KeyError> {
        let mut masters: Vec<Master> = Vec::with_capacity(configs.len().max(1));
        for (index, config) in configs.iter().enumerate() {
            if !is_key_id(&config.id) {
                return Err(KeyError::BadId { index });
            }
            if masters.iter().any(|known| known.id == config.id) {
                return Err(KeyError::Duplicate { index });
            }
            let secret = config.secret.expose().as_bytes();
            if secret.len() < MIN_SECRET_BYTES {
                return Err(KeyError::Short { index });
            }
            masters.push(Master::new(config.id.clone(), secret));
        }
        if masters.is_empty() {
            let secret = Zeroizing::new(random::<32>()?);
            masters.push(Master::new("local".to_owned(), &*secret));
        }
        Ok(Self {
            masters,
            configured: !configs.is_empty(),
        })
    }

    /// Whether the keys outlive the process.
    pub(crate) fn is_configured(&self) -> bool {
        self.configured
    }

    /// The keys of one tenant.
    pub(crate) fn tenant(self: &Arc<Self>, tenant: &str) -> TenantKeys {
        TenantKeys {
            ring: Arc::clone(self),
            tenant: tenant.into(),
            derived: Arc::default(),
        }
    }
}

impl Master {
    fn new(id: String, secret: &[u8]) -> Self {
        let salt = hkdf::Salt::new(hkdf::HKDF_SHA256, b"signalbox/guardrails/v1");
        Self {
            id,
            prk: salt.extract(secret),
        }
    }

    fn derive(&self, purpose: Use, tenant: &str) -> Zeroizing<[u8; 32]> {
        let mut key = Zeroizing::new([0; 32]);
        let info = [purpose.label(), tenant.as_bytes()];
        let done = self
            .prk
            .expand(&info, hkdf::HKDF_SHA256)
            .and_then(|okm| okm.fill(&mut *key));
        // It fails for lengths over 255 hashes alone, and this is one.
        debug_assert!(done.is_ok());
        key
    }
}

/// The keys of one tenant, derived when they are asked for.
#[derive(Clone, Debug)]
pub(crate) struct TenantKeys {
    ring: Arc<Keyring>,
    tenant: Arc<str>,
    derived: Arc<Derived>,
}

/// Keys under the one in use, by [`Use`]; a text may hold many values.
#[derive(Default)]
struct Derived([OnceLock<hmac::Key>; Use::COUNT]);

impl fmt::Debug for Derived {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Derived")
    }
}

impl TenantKeys {
    /// Whose keys these are.
    pub(crate) fn tenant(&self) -> &str {
        &self.tenant
    }

    /// The name of the key in use.
    pub(crate) fn active(&self) -> &str {
        self.ring.masters.first().map_or("", |key| &key.id)
    }

    /// A key for HMAC-SHA-256 under the key in use.
    pub(crate) fn hmac(&self, purpose: Use) -> &hmac::Key {
        self.derived.0[purpose as usize].get_or_init(|| self.hmac_of(0, purpose))
    }

    /// [`Self::hmac`] under each key, the one in use first.
    pub(crate) fn hmac_each(&self, purpose: Use) -> impl Iterator<Item = hmac::Key> {
        (0..self.ring.masters.len()).map(move |at| self.hmac_of(at, purpose))
    }

    fn hmac_of(&self, at: usize, purpose: Use) -> hmac::Key {
        let key = self.ring.masters[at].derive(purpose, &self.tenant);
        hmac::Key::new(hmac::HMAC_SHA256, &*key)
    }

    /// A cipher under the key of this name.
    pub(crate) fn cipher(&self, id: &str, purpose: Use) -> Option<Cipher> {
        let master = self.ring.masters.iter().find(|key| key.id == id)?;
        let key = master.derive(purpose, &self.tenant);
        Some(Cipher(Aes256GcmSiv::new((&*key).into())))
    }
}

/// AES-256-GCM-SIV (RFC 8452): a nonce that is used twice shows that two values are equal
/// and nothing more.
pub(crate) struct Cipher(Aes256GcmSiv);

impl Cipher {
    /// A random nonce, the ciphertext and its tag.
    pub(crate) fn seal(&self, plain: &[u8], associated: &[u8]) -> Result<Vec<u8>, KeyError> {
        use aes_gcm_siv::aead::Aead as _;
        let nonce = random::<NONCE_BYTES>()?;
        let payload = Payload {
            msg: plain,
            aad: associated,
        };
        let sealed = self
            .0
            .encrypt(&nonce.into(), payload)
            .map_err(|_| KeyError::NoRandomness)?;
        Ok([&nonce[..], &sealed].concat())
    }

    /// What was sealed, where neither it nor the associated data was changed.
    pub(crate) fn open(&self, sealed: &[u8], associated: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        use aes_gcm_siv::aead::Aead as _;
        let (nonce, sealed) = sealed.split_first_chunk::<NONCE_BYTES>()?;
        let payload = Payload {
            msg: sealed,
            aad: associated,
        };
        let plain = self.0.decrypt(nonce.into(), payload).ok()?;
        Some(Zeroizing::new(plain))
    }
}

/// Random bytes of the operating system.
pub(crate) fn random<const N: usize>() -> Result<[u8; N], KeyError> {
    let mut bytes = [0; N];
    SystemRandom::new()
        .fill(&mut bytes)
        .map_err(|_| KeyError::NoRandomness)?;
    Ok(bytes)
}

/// Whether this can name a key.
pub(crate) fn is_key_id(id: &str) -> bool {
    id.len() <= MAX_ID_BYTES
        && id.starts_with(|first: char| first.is_ascii_lowercase())
        && id
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
}

#[cfg(test)]
pub(crate) mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    pub(crate) fn config(id: &str, fill: &str) -> KeyConfig {
        KeyConfig {
            id: id.into(),
            secret: Secret::new(fill.repeat(32)),
        }
    }

    pub(crate) fn keys(tenant: &str) -> TenantKeys {
        Arc::new(Keyring::new(&[config("k1", "s")]).unwrap()).tenant(tenant)
    }

    #[test]
    fn each_tenant_and_use_has_a_key_of_its_own() {
        let sign = |tenant: &str, purpose| {
            hmac::sign(keys(tenant).hmac(purpose), b"x")
                .as_ref()
                .to_vec()
        };
        assert_eq!(sign("a", Use::Hash), sign("a", Use::Hash));
        assert_ne!(sign("a", Use::Hash), sign("b", Use::Hash));
        assert_ne!(sign("a", Use::Hash), sign("a", Use::Audit));
    }

    #[test]
    fn a_changed_byte_key_or_context_opens_nothing() {
        let cipher = keys("a").cipher("k1", Use::Token).unwrap();
        let sealed = cipher.seal(b"value", b"EMAIL").unwrap();
        assert_eq!(**cipher.open(&sealed, b"EMAIL").unwrap(), *b"value");
        assert!(cipher.open(&sealed, b"PHONE").is_none());
        let other = keys("b").cipher("k1", Use::Token).unwrap();
        assert!(other.open(&sealed, b"EMAIL").is_none());
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert!(cipher.open(&changed, b"EMAIL").is_none(), "{at}");
            assert!(cipher.open(&sealed[..at], b"EMAIL").is_none(), "{at}");
        }
    }

    #[test]
    fn a_wrong_key_is_refused_by_its_field_and_never_shown() {
        let refused = |configs: &[KeyConfig]| Keyring::new(configs).unwrap_err();
        assert_eq!(refused(&[config("K1", "s")]), KeyError::BadId { index: 0 });
        assert_eq!(
            refused(&[config("k1", "s"), config("k1", "t")]),
            KeyError::Duplicate { index: 1 }
        );
        let short = KeyConfig {
            id: "k1".into(),
            secret: Secret::new("hunter2"),
        };
        assert_eq!(
            refused(std::slice::from_ref(&short)),
            KeyError::Short { index: 0 }
        );
        assert!(!format!("{short:?}").contains("hunter2"));
        let ring = Keyring::new(&[config("k1", "s")]).unwrap();
        assert_eq!(format!("{ring:?}"), r#"Keyring { ids: ["k1"] }"#);
    }
}
