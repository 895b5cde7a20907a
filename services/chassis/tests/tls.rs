//! TLS and mutual TLS, with authorities made for the test.

#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use std::path::PathBuf;

use common::{Client, Served, text};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use signalbox_chassis::{
    server::ServerConfig,
    tls::{self, TlsConfig},
};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Identity};

struct Authority {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self {
            pem,
            issuer: Issuer::new(params, key),
        }
    }

    /// A certificate for `localhost` and its key.
    fn issue(&self) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        (certificate.pem(), key.serialize_pem())
    }
}

async fn serve(authority: &Authority, client_ca: Option<&Authority>) -> (TempDir, Served) {
    let folder = TempDir::new().unwrap();
    let write = |name: &str, text: &str| -> PathBuf {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let (certificate, key) = authority.issue();
    let tls = TlsConfig {
        certificate: write("certificate.pem", &certificate),
        private_key: write("key.pem", &key),
        client_ca: client_ca.map(|authority| write("clients.pem", &authority.pem)),
    };
    let config = ServerConfig {
        tls: Some(tls),
        ..ServerConfig::default()
    };
    let served = Served::with(config).await;
    (folder, served)
}

/// One call; a refusal of the connection may show as late as here.
async fn call(
    served: &Served,
    authority: &Authority,
    identity: Option<(String, String)>,
) -> Result<(), Box<dyn std::error::Error>> {
    tls::install_crypto();
    let mut config = ClientTlsConfig::new()
        .ca_certificate(Certificate::from_pem(&authority.pem))
        .domain_name("localhost");
    if let Some((certificate, key)) = identity {
        config = config.identity(Identity::from_pem(certificate, key));
    }
    let channel = Channel::from_shared(format!("https://{}", served.address))?
        .tls_config(config)?
        .connect()
        .await?;
    Client::new(channel).check_text(text("a")).await?;
    Ok(())
}

#[tokio::test]
async fn a_client_that_trusts_the_authority_is_served() {
    let (ours, strange) = (Authority::new(), Authority::new());
    let (_folder, served) = serve(&ours, None).await;
    call(&served, &ours, None).await.unwrap();
    assert!(call(&served, &strange, None).await.is_err());
}

#[tokio::test]
async fn mutual_tls_refuses_clients_without_a_certificate_of_the_authority() {
    let (ours, clients) = (Authority::new(), Authority::new());
    let (_folder, served) = serve(&ours, Some(&clients)).await;
    assert!(call(&served, &ours, None).await.is_err());
    assert!(call(&served, &ours, Some(ours.issue())).await.is_err());
    call(&served, &ours, Some(clients.issue())).await.unwrap();
}

#[tokio::test]
async fn plain_text_on_a_tls_port_is_closed_and_hurts_nobody() {
    let ours = Authority::new();
    let (_folder, served) = serve(&ours, None).await;
    let mut stream = tokio::net::TcpStream::connect(served.address)
        .await
        .unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    let _ = common::soon(stream.read_to_end(&mut answer)).await;
    assert!(!answer.starts_with(b"HTTP"));
    call(&served, &ours, None).await.unwrap();
}
