//! Entries as a store sees them: names and ciphertext.
//!
//! A sealed entry is the length and the id of its key, then nonce, ciphertext and tag of
//! AES-256-GCM-SIV. Session and entry name are authenticated with it, so an entry that is
//! moved elsewhere in the store does not open.

use std::{collections::HashMap, fmt};

use ring::hmac;
use zeroize::Zeroizing;

use crate::keys::{Cipher, KeyError, TenantKeys, Use};

/// Name of a session in a store.
pub(crate) type SessionName = [u8; 32];
/// Name of an entry in its session.
pub(super) type EntryName = [u8; 16];

/// A surrogate and what it stands for.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    /// The type, such as `EMAIL`.
    pub(crate) kind: String,
    /// What was written.
    pub(crate) surrogate: String,
    /// What was there.
    pub(crate) original: Zeroizing<String>,
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entry")
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}

/// An entry that only its tenant can read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sealed {
    pub(super) name: EntryName,
    pub(super) body: Vec<u8>,
}

/// The session's name under the key in use.
pub(super) fn name(keys: &TenantKeys, session: &str) -> SessionName {
    named(keys.hmac(Use::VaultName), session)
}

/// The session's names under all keys, that of the one in use first.
pub(super) fn names(keys: &TenantKeys, session: &str) -> Vec<SessionName> {
    keys.hmac_each(Use::VaultName)
        .map(|key| named(&key, session))
        .collect()
}

fn named(key: &hmac::Key, session: &str) -> SessionName {
    let mut name = SessionName::default();
    name.copy_from_slice(hmac::sign(key, session.as_bytes()).as_ref());
    name
}

/// The name follows from the surrogate, so that a store sees a surrogate that is used
/// twice.
fn entry_name(keys: &TenantKeys, session: &SessionName, surrogate: &str) -> EntryName {
    let mut context = hmac::Context::with_key(keys.hmac(Use::VaultName));
    context.update(session);
    context.update(surrogate.as_bytes());
    let mut name = EntryName::default();
    name.copy_from_slice(&context.sign().as_ref()[..16]);
    name
}

/// Seals and opens the entries of one session. A session may hold thousands, so ciphers
/// are made once.
pub(super) struct Sealer<'k> {
    keys: &'k TenantKeys,
    session: SessionName,
    ciphers: HashMap<String, Cipher>,
}

impl<'k> Sealer<'k> {
    pub(super) fn new(keys: &'k TenantKeys, session: SessionName) -> Self {
        Self {
            keys,
            session,
            ciphers: HashMap::new(),
        }
    }

    /// The cipher under the key of this name, where there is one.
    fn cipher(&mut self, id: &str) -> Option<&Cipher> {
        if !self.ciphers.contains_key(id) {
            let cipher = self.keys.cipher(id, Use::VaultEntry)?;
            self.ciphers.insert(id.to_owned(), cipher);
        }
        self.ciphers.get(id)
    }

    pub(super) fn seal(&mut self, entry: &Entry) -> Result<Sealed, KeyError> {
        let name = entry_name(self.keys, &self.session, &entry.surrogate);
        let mut plain = Zeroizing::new(Vec::with_capacity(
            8 + entry.kind.len() + entry.surrogate.len() + entry.original.len(),
        ));
        for part in [&entry.kind, &entry.surrogate] {
            plain.extend_from_slice(&(part.len() as u32).to_le_bytes());
            plain.extend_from_slice(part.as_bytes());
        }
        plain.extend_from_slice(entry.original.as_bytes());
        let id = self.keys.active();
        let associated = associated(&self.session, &name);
        let cipher = self.cipher(id).ok_or(KeyError::NoRandomness)?;
        // Ids have at most 16 bytes.
        let mut body = vec![id.len() as u8];
        body.extend_from_slice(id.as_bytes());
        body.extend_from_slice(&cipher.seal(&plain, &associated)?);
        Ok(Sealed { name, body })
    }

    /// `None` for an entry that was changed, moved, or sealed with a key that is gone.
    pub(super) fn open(&mut self, sealed: &Sealed) -> Option<Entry> {
        let (length, rest) = sealed.body.split_first()?;
        let (id, body) = rest.split_at_checked(usize::from(*length))?;
        let associated = associated(&self.session, &sealed.name);
        let cipher = self.cipher(std::str::from_utf8(id).ok()?)?;
        let plain = cipher.open(body, &associated)?;
        let (kind, rest) = part(&plain)?;
        let (surrogate, original) = part(rest)?;
        let text = |bytes: &[u8]| Some(std::str::from_utf8(bytes).ok()?.to_owned());
        Some(Entry {
            kind: text(kind)?,
            surrogate: text(surrogate)?,
            original: Zeroizing::new(text(original)?),
        })
    }
}

fn part(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    rest.split_at_checked(u32::from_le_bytes(*length) as usize)
}

fn associated(session: &SessionName, entry: &EntryName) -> Vec<u8> {
    [&session[..], entry].concat()
}
