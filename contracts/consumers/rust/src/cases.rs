//! Runs the cases of `contracts/README.md` and counts them.

mod habits;
mod rows;
mod upstream;

use std::{collections::BTreeMap, env, fs};

use anyhow::Context as _;
use serde::Serialize;

use self::upstream::Upstream;
use crate::client::Signalbox;

/// What was shown.
#[derive(Default, Serialize)]
struct Report {
    passed: BTreeMap<&'static str, u32>,
    failed: u32,
    /// Rows of RPCs that an older contract does not have.
    skipped: u32,
}

/// One of the two servers.
struct Server {
    /// `plaintext` or `tls`.
    name: &'static str,
    client: Signalbox,
    upstream: Upstream,
}

impl Report {
    fn case(&mut self, server: &str, group: &'static str, name: &str, result: anyhow::Result<()>) {
        match result {
            Ok(()) => {
                *self.passed.entry(group).or_default() += 1;
                println!("ok   {server}/{group}/{name}");
            }
            Err(error) => {
                self.failed += 1;
                println!("FAIL {server}/{group}/{name}: {error:#}");
            }
        }
    }
}

/// Runs all of them on both servers; whether none failed. `older` contracts need not
/// know every row of the table.
pub(crate) async fn run(older: bool) -> anyhow::Result<bool> {
    let variable = |name: &str| env::var(name).with_context(|| format!("{name} is not set"));
    // reqwest, here for the upstream's record only, is built without one.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let authority = fs::read(variable("SIGNALBOX_CA")?)?;
    let table = rows::Table::read(&variable("SIGNALBOX_RPCS")?)?;
    let upstream = Upstream::new(&variable("SIGNALBOX_UPSTREAM")?)?;
    let servers = [
        Server {
            name: "plaintext",
            client: Signalbox::plaintext(&variable("SIGNALBOX_PLAINTEXT")?)?,
            upstream: upstream.clone(),
        },
        Server {
            name: "tls",
            client: Signalbox::tls(&variable("SIGNALBOX_TLS")?, &authority)?,
            upstream,
        },
    ];
    let mut report = Report::default();
    for server in &servers {
        rows::run(server, &table, older, &mut report).await;
        habits::run(server, &mut report).await;
    }
    println!("SUMMARY {}", serde_json::to_string(&report)?);
    Ok(report.failed == 0)
}
