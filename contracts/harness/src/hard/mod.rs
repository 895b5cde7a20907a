//! The hard cases of the protocol, against the real binary: what interop tests of
//! gRPC ask, and what only shows under load or at a server's end.

mod compression;
mod drain;
mod flood;
mod limits;
mod memory;
mod messages;
mod streams;
mod wire;

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use clap::Args;
use rustls_pki_types::{CertificateDer, pem::PemObject as _};

use crate::platform::{Platform, Process};

/// Far more than any case takes, even on a busy machine.
const LONGEST_CASE: Duration = Duration::from_secs(180);

#[derive(Debug, Args)]
pub(crate) struct Hard {
    /// Only cases whose name holds this
    #[arg(long)]
    only: Option<String>,
}

/// What is reached under which address.
#[derive(Clone)]
struct Target {
    /// `plaintext` or `tls`.
    name: &'static str,
    address: String,
    tls: Option<Arc<rustls::ClientConfig>>,
}

/// The cases' surroundings.
struct Stage<'a> {
    binaries: &'a Path,
    platform: &'a Platform,
    client: Arc<rustls::ClientConfig>,
    only: Option<String>,
    passed: u32,
    failed: u32,
}

impl Hard {
    pub(crate) async fn run(self, binaries: &Path) -> anyhow::Result<()> {
        let begun = Instant::now();
        let text_limit = format!("guardrails.max_text_bytes={}", limits::MAX_REQUEST);
        let platform = Platform::start(binaries, &[&text_limit]).await?;
        let mut stage = Stage {
            binaries,
            platform: &platform,
            client: trusting(&platform.authority)?,
            only: self.only,
            passed: 0,
            failed: 0,
        };
        for target in stage.targets() {
            messages::run(&mut stage, &target).await;
            compression::run(&mut stage, &target).await;
            limits::run(&mut stage, &target).await;
            streams::run(&mut stage, &target).await;
            flood::run(&mut stage, &target).await;
            drain::run(&mut stage, &target).await;
        }
        println!(
            "hard cases: {} passed, {} failed, {:.1} s",
            stage.passed,
            stage.failed,
            begun.elapsed().as_secs_f64()
        );
        ensure!(stage.failed == 0, "{} hard cases failed", stage.failed);
        ensure!(stage.passed > 0, "no case has that name");
        Ok(())
    }
}

impl Stage<'_> {
    fn targets(&self) -> [Target; 2] {
        [
            Target {
                name: "plaintext",
                address: self.platform.plaintext.clone(),
                tls: None,
            },
            Target {
                name: "tls",
                address: self.platform.tls.clone(),
                tls: Some(Arc::clone(&self.client)),
            },
        ]
    }

    /// A server of a case's own, like the one at `like` but for these settings.
    fn server(&self, like: &Target, settings: &[&str]) -> anyhow::Result<(Process, Target)> {
        let secured = like
            .tls
            .as_ref()
            .map_or(&[][..], |_| &self.platform.secured);
        let settings: Vec<&str> = (settings.iter().copied())
            .chain(secured.iter().map(String::as_str))
            .collect();
        let process = Process::start(
            &self.binaries.join("signalbox"),
            &self.platform.config,
            &settings,
        )?;
        let (_, port) = process.address.rsplit_once(':').context("host:port")?;
        let host = if like.tls.is_some() {
            "localhost"
        } else {
            "127.0.0.1"
        };
        let target = Target {
            address: format!("{host}:{port}"),
            ..like.clone()
        };
        Ok((process, target))
    }

    /// Runs one case and prints its line: what it measured, or why it failed.
    async fn case(
        &mut self,
        target: &Target,
        name: &str,
        case: impl AsyncFnOnce() -> anyhow::Result<String>,
    ) {
        let name = format!("hard/{}/{name}", target.name);
        if self
            .only
            .as_ref()
            .is_some_and(|only| !name.contains(only.as_str()))
        {
            return;
        }
        let begun = Instant::now();
        let result = match tokio::time::timeout(LONGEST_CASE, case()).await {
            Ok(result) => result,
            Err(_) => Err(anyhow::anyhow!("not done after {LONGEST_CASE:?}")),
        };
        match result {
            Ok(measured) => {
                self.passed += 1;
                println!("ok   {name}: {measured} ({})", seconds(begun.elapsed()));
            }
            Err(error) => {
                self.failed += 1;
                println!("FAIL {name}: {error:#}");
            }
        }
    }
}

fn seconds(time: Duration) -> String {
    format!("{:.2} s", time.as_secs_f64())
}

/// A client's TLS that trusts this authority and speaks HTTP/2.
fn trusting(authority: &Path) -> anyhow::Result<Arc<rustls::ClientConfig>> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(authority)?)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(Arc::new(config))
}
