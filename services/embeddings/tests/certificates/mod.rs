//! A Redis that speaks mutual TLS, with an authority made for the test.

use std::{fs, path::PathBuf};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use signalbox_chassis::config::Secret;
use signalbox_embeddings::RedisTls;
use signalbox_test_servers::Redis;
use tempfile::TempDir;

/// An authority, and a certificate for `localhost` and its key, as files.
pub(crate) struct Certificates {
    _folder: TempDir,
    pub(crate) authority: PathBuf,
    certificate: PathBuf,
    key: PathBuf,
}

impl Certificates {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        // OpenSSL takes a certificate whose issuer has its own name for a self-signed one.
        let name = &mut params.distinguished_name;
        name.push(DnType::CommonName, "authority of a test");
        let key = KeyPair::generate().unwrap();
        let authority = params.self_signed(&key).unwrap().pem();
        let issuer = Issuer::new(params, key);
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &issuer).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            fs::write(&path, text).unwrap();
            path
        };
        Self {
            authority: write("authority.pem", &authority),
            certificate: write("certificate.pem", &certificate.pem()),
            key: write("key.pem", &key.serialize_pem()),
            _folder: folder,
        }
    }

    pub(crate) fn redis(&self) -> Redis {
        Redis::start_with_tls(&self.certificate, &self.key, &self.authority)
    }

    /// What a client needs to be let in.
    pub(crate) fn client(&self) -> RedisTls {
        RedisTls {
            ca: Some(self.authority.clone()),
            certificate: Some(self.certificate.clone()),
            private_key: Some(self.key.clone()),
        }
    }
}

/// The address of this Redis.
pub(crate) fn url(redis: &Redis) -> Secret {
    Secret::new(format!("rediss://localhost:{}", redis.port()))
}
