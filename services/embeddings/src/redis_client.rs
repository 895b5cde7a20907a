//! How Redis is connected to, by the cache and by jobs alike: its URL, and where that is
//! `rediss://`, whose certificates are believed and which one is shown.

use std::{fs, path::PathBuf};

use redis::{Client, ClientTlsConfig, ConnectionAddr, IntoConnectionInfo as _, TlsCertificates};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use signalbox_chassis::config::Secret;

/// Certificates for a `rediss://` URL.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RedisTls {
    /// PEM file of the authority that Redis's certificate must come from. Those that the
    /// system trusts when absent.
    pub ca: Option<PathBuf>,
    /// PEM file of the certificate that is shown to Redis; none when absent.
    pub certificate: Option<PathBuf>,
    /// PEM file of its private key.
    pub private_key: Option<PathBuf>,
}

/// The settings of a connection cannot be used. Messages begin with the setting's name,
/// below that of whoever connects, and never hold the URL, which may have a password.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RedisClientError {
    #[error(
        "redis_url: is no address; write it as in `redis://user:password@host:6379/0`, or \
         `rediss://` for TLS"
    )]
    Url,
    #[error("redis_tls: is for a `rediss://` address, and redis_url is none")]
    NotTls,
    #[error("redis_tls: set certificate and private_key, or neither")]
    Half,
    #[error("redis_tls.{setting}: cannot read {}: {detail}", path.display())]
    File {
        setting: &'static str,
        path: PathBuf,
        detail: String,
    },
    #[error("redis_tls: a file is no PEM of its kind: {0}")]
    Pem(String),
}

/// A client of this address. Nothing is sent yet.
pub(crate) fn open(url: &Secret, tls: &RedisTls) -> Result<Client, RedisClientError> {
    let address = url.expose();
    let address = address
        .into_connection_info()
        .map_err(|_| RedisClientError::Url)?;
    if !matches!(address.addr(), ConnectionAddr::TcpTls { .. }) {
        return match *tls == RedisTls::default() {
            true => Client::open(address).map_err(|_| RedisClientError::Url),
            false => Err(RedisClientError::NotTls),
        };
    }
    // The client has no cryptography of its own. Err means that the process already has
    // a provider, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client_tls = match (&tls.certificate, &tls.private_key) {
        (None, None) => None,
        (Some(certificate), Some(key)) => Some(ClientTlsConfig {
            client_cert: read("certificate", certificate)?,
            client_key: read("private_key", key)?,
        }),
        _ => return Err(RedisClientError::Half),
    };
    let root_cert = tls.ca.as_ref().map(|path| read("ca", path)).transpose()?;
    let certificates = TlsCertificates {
        client_tls,
        root_cert,
    };
    Client::build_with_tls(address, certificates)
        .map_err(|error| RedisClientError::Pem(format!("{:?}", error.kind())))
}

fn read(setting: &'static str, path: &PathBuf) -> Result<Vec<u8>, RedisClientError> {
    fs::read(path).map_err(|error| RedisClientError::File {
        setting,
        path: path.clone(),
        detail: error.to_string(),
    })
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    fn refused(url: &str, tls: &RedisTls) -> RedisClientError {
        open(&Secret::new(url), tls).err().unwrap()
    }

    #[test]
    fn what_cannot_work_is_refused_by_its_setting_and_without_the_password() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("ca.pem");
        fs::write(
            &file,
            "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        )
        .unwrap();
        let ca = |path: PathBuf| RedisTls {
            ca: Some(path),
            ..RedisTls::default()
        };
        let half = RedisTls {
            certificate: Some(file.clone()),
            ..RedisTls::default()
        };
        let tls = "rediss://me:hunter2@host:6379";
        let missing = ca(dir.path().join("none.pem"));
        for (url, settings, part) in [
            ("me:hunter2@host", &RedisTls::default(), "redis_url"),
            ("redis://me:hunter2@host", &ca(file.clone()), "redis_tls"),
            (tls, &half, "private_key"),
            (tls, &missing, "redis_tls.ca"),
            (tls, &ca(file.clone()), "PEM"),
        ] {
            let error = refused(url, settings).to_string();
            assert!(error.contains(part), "{url}: {error}");
            assert!(!error.contains("hunter2"), "{error}");
        }
        assert!(open(&Secret::new(tls), &RedisTls::default()).is_ok());
    }
}
