//! TLS and mutual TLS for the listener.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use rustls::{RootCertStore, ServerConfig, server::WebPkiClientVerifier};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The server's certificate, and whose clients it accepts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TlsConfig {
    /// PEM file with the server's certificate, then its chain.
    pub certificate: PathBuf,
    /// PEM file with the certificate's private key.
    pub private_key: PathBuf,
    /// PEM file with the authorities whose client certificates are accepted; with
    /// it every client must show one (mutual TLS).
    #[serde(default)]
    pub client_ca: Option<PathBuf>,
}

/// Why TLS cannot start.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file does not hold what it should.
    #[error("server.tls.{key}: {} {detail}", path.display())]
    File {
        /// The configuration key.
        key: &'static str,
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        detail: String,
    },
    /// The parts do not fit together.
    #[error("server.tls: {0}")]
    Mismatch(String),
}

/// Makes ring this process's cryptography, once. Clients and servers of several
/// crates share it.
pub fn install_crypto() {
    // An error means that another provider was chosen before: then that one serves.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// The listener's TLS settings, with HTTP/2 preferred.
pub(crate) fn server_config(config: &TlsConfig) -> Result<Arc<ServerConfig>, TlsError> {
    install_crypto();
    let chain = certificates("certificate", &config.certificate)?;
    let key = PrivateKeyDer::from_pem_file(&config.private_key)
        .map_err(|error| bad_file("private_key", &config.private_key, error))?;
    let builder = ServerConfig::builder();
    let builder = match &config.client_ca {
        None => builder.with_no_client_auth(),
        Some(path) => {
            let mut roots = RootCertStore::empty();
            for certificate in certificates("client_ca", path)? {
                roots
                    .add(certificate)
                    .map_err(|error| bad_file("client_ca", path, error))?;
            }
            let verifier = WebPkiClientVerifier::builder(Arc::new(roots))
                .build()
                .map_err(|error| bad_file("client_ca", path, error))?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    let mut server = builder
        .with_single_cert(chain, key)
        .map_err(|error| TlsError::Mismatch(error.to_string()))?;
    server.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(server))
}

fn certificates(key: &'static str, path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let found: Vec<_> = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect)
        .map_err(|error| bad_file(key, path, error))?;
    if found.is_empty() {
        return Err(bad_file(key, path, "holds no PEM certificate"));
    }
    Ok(found)
}

fn bad_file(key: &'static str, path: &Path, detail: impl ToString) -> TlsError {
    TlsError::File {
        key,
        path: path.to_path_buf(),
        detail: detail.to_string(),
    }
}
