//! A running platform: the real binaries on free ports, plaintext and TLS, behind them
//! an upstream whose answers are known.

use std::{
    io::{BufRead as _, BufReader, Read as _},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    time::Duration,
};

use anyhow::{Context as _, bail, ensure};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use signalbox_fault_upstream::FaultUpstream;

/// The chat models that every platform here has: `(name, behaviour of the upstream)`.
/// What the contract's consumers may rely on; described in `contracts/README.md`.
const MODELS: &[(&str, &str)] = &[
    ("steady", "fault/tokens=8"),
    ("echo", "fault/echo"),
    ("slow", "fault/tokens=600,rate=20"),
    ("stalled", "fault/stall"),
    ("broken", "fault/status=503"),
    ("limited", "fault/status=429,retry-after=2"),
    ("flaky", "fault/fail-first=2,status=503"),
    ("flood", "fault/tokens=100000"),
];

/// Signalbox twice, without and with TLS. Ended on drop.
pub(crate) struct Platform {
    /// `127.0.0.1:PORT` without TLS.
    pub(crate) plaintext: String,
    /// `localhost:PORT` with TLS.
    pub(crate) tls: String,
    /// The authority that signed the TLS server's certificate, PEM.
    pub(crate) authority: PathBuf,
    /// `http://127.0.0.1:PORT/v1` of the fault-injecting upstream.
    pub(crate) upstream: String,
    /// What both servers are started with, and what makes one a TLS server.
    pub(crate) config: PathBuf,
    pub(crate) secured: Vec<String>,
    _upstream: FaultUpstream,
    _processes: [Process; 2],
    _folder: tempfile::TempDir,
}

impl Platform {
    /// Starts both, with these `--set` values added, and waits until they are ready.
    pub(crate) async fn start(binaries: &Path, settings: &[&str]) -> anyhow::Result<Self> {
        let upstream = FaultUpstream::start().await;
        let folder = tempfile::tempdir()?;
        let write = |name: &str, text: &str| -> anyhow::Result<PathBuf> {
            let path = folder.path().join(name);
            std::fs::write(&path, text)?;
            Ok(path)
        };
        let base_url = upstream.base_url();
        let config = write("signalbox.yaml", &configuration(&base_url))?;
        let (authority, certificate, key) = certificates()?;
        let authority = write("authority.pem", &authority)?;
        let certificate = write("certificate.pem", &certificate)?;
        let key = write("key.pem", &key)?;
        let secured = vec![
            format!("server.tls.certificate={}", certificate.display()),
            format!("server.tls.private_key={}", key.display()),
        ];
        let binary = binaries.join("signalbox");
        let plaintext = Process::start(&binary, &config, settings)?;
        let settings: Vec<&str> = (settings.iter().copied())
            .chain(secured.iter().map(String::as_str))
            .collect();
        let tls = Process::start(&binary, &config, &settings)?;
        let (_, port) = tls.address.rsplit_once(':').context("host:port")?;
        Ok(Self {
            plaintext: plaintext.address.clone(),
            tls: format!("localhost:{port}"),
            authority,
            upstream: base_url,
            config,
            secured,
            _upstream: upstream,
            _processes: [plaintext, tls],
            _folder: folder,
        })
    }
}

/// One `signalbox up` on a free port; ended on drop.
pub(crate) struct Process {
    pub(crate) address: String,
    child: Child,
}

impl Process {
    /// Starts it, and waits until it says where it listens.
    pub(crate) fn start(binary: &Path, config: &Path, settings: &[&str]) -> anyhow::Result<Self> {
        ensure!(
            binary.exists(),
            "{} is missing; run `cargo build --bins`, or say --binaries",
            binary.display()
        );
        let mut command = Command::new(binary);
        command.args(["up", "--listen", "127.0.0.1:0", "--config"]);
        command.arg(config);
        for setting in settings {
            command.args(["--set", setting]);
        }
        // An empty folder: no signalbox.yaml of a tree may leak in.
        command.current_dir(std::env::temp_dir());
        let mut child = (command.stdout(Stdio::piped()).spawn())
            .with_context(|| format!("{} does not start", binary.display()))?;
        let mut lines = BufReader::new(child.stdout.take().context("stdout is piped")?);
        let mut said = String::new();
        let address = loop {
            let from = said.len();
            if lines.read_line(&mut said)? == 0 {
                let _ = child.kill();
                let _ = child.wait();
                bail!("{} ended before it was ready:\n{said}", binary.display());
            }
            if let Some((_, rest)) = said[from..].split_once(" is ready at ") {
                let url = rest.split_whitespace().next().unwrap_or_default();
                let (_, address) = url.split_once("://").context("a URL")?;
                break address.to_owned();
            }
        };
        // The rest of the banner must not fill the pipe.
        std::thread::spawn(move || lines.read_to_string(&mut String::new()));
        Ok(Self { address, child })
    }

    /// Asks the process to end, as an orchestrator does.
    pub(crate) fn terminate(&self) -> anyhow::Result<()> {
        let pid = self.child.id().to_string();
        ensure!(
            Command::new("kill")
                .args(["-TERM", &pid])
                .status()?
                .success()
        );
        Ok(())
    }

    /// Its id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits until it has ended by itself.
    pub(crate) async fn ended(&mut self) -> anyhow::Result<ExitStatus> {
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn configuration(base_url: &str) -> String {
    let mut text = format!(
        "state_dir: null\n\
         models: {{pull: false}}\n\
         telemetry: {{log_filter: error}}\n\
         router:\n  providers:\n    \
         upstream: {{kind: openai_compatible, base_url: \"{base_url}\"}}\n  models:\n"
    );
    for (name, behaviour) in MODELS {
        text.push_str(&format!(
            "    - {{name: {name}, provider: upstream, upstream_name: \"{behaviour}\", price: \
             {{input_usd_per_million_tokens: \"0.15\", output_usd_per_million_tokens: \"0.60\"}}}}\n"
        ));
    }
    text.push_str("  routes:\n    auto: {strategy: cost, models: [steady]}\n");
    text
}

/// An authority, and a certificate of it for localhost with its key; PEM each.
fn certificates() -> anyhow::Result<(String, String, String)> {
    let mut params = CertificateParams::new(Vec::new())?;
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    // Not the name that rcgen gives everybody: a certificate whose issuer bears its own
    // name counts as self-signed for OpenSSL and BoringSSL, and is refused.
    (params.distinguished_name).push(DnType::CommonName, "Signalbox contract authority");
    let authority_key = KeyPair::generate()?;
    let authority = params.self_signed(&authority_key)?.pem();
    let issuer = Issuer::new(params, authority_key);
    let key = KeyPair::generate()?;
    let params = CertificateParams::new(vec!["localhost".to_owned(), "127.0.0.1".to_owned()])?;
    let certificate = params.signed_by(&key, &issuer)?.pem();
    Ok((authority, certificate, key.serialize_pem()))
}
