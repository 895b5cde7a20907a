//! Verifies pact files against a running provider, and says what came of each interaction.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context as _, ensure};
use pact_models::pact::read_pact;
use pact_verifier::{
    FilterInfo, MismatchResult, NullRequestFilterExecutor, ProviderInfo, ProviderTransport,
    VerificationOptions, verify_pact_internal,
};

use crate::{harness::Harness, states::States};

/// What came of one interaction.
pub(crate) struct Outcome {
    pub(crate) consumer: String,
    pub(crate) provider: String,
    pub(crate) interaction: String,
    /// What does not match; none where it is verified.
    pub(crate) failure: Option<String>,
}

/// The pact files of this folder, of all providers or of these only.
pub(crate) fn files(folder: &Path, providers: &[String]) -> anyhow::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        let name = path
            .file_stem()
            .and_then(|s| s.to_str())
            .unwrap_or_default();
        let of_provider = |p: &String| {
            name.strip_suffix(p.as_str())
                .is_some_and(|rest| rest.ends_with('-'))
        };
        if path.extension().is_some_and(|e| e == "json")
            && (providers.is_empty() || providers.iter().any(of_provider))
        {
            files.push(path);
        }
    }
    ensure!(!files.is_empty(), "no pacts in {}", folder.display());
    files.sort();
    Ok(files)
}

/// How the verifier reaches the provider at `address`: REST straight, gRPC through the
/// harness.
pub(crate) fn provider_info(
    name: &str,
    address: &str,
    harness: &Harness,
) -> anyhow::Result<ProviderInfo> {
    let (host, port) = address.rsplit_once(':').context("HOST:PORT")?;
    let transport = |transport: &str, port: u16| ProviderTransport {
        transport: transport.to_owned(),
        port: Some(port),
        path: None,
        scheme: Some("http".to_owned()),
    };
    Ok(ProviderInfo {
        name: name.to_owned(),
        host: host.to_owned(),
        transports: vec![
            transport("http", port.parse()?),
            transport("sync-message", harness.port),
        ],
        ..ProviderInfo::default()
    })
}

/// No colours, and time for a debug build on a busy machine.
pub(crate) fn options() -> VerificationOptions<NullRequestFilterExecutor> {
    VerificationOptions {
        request_timeout: u64::try_from(Duration::from_secs(30).as_millis()).unwrap_or(u64::MAX),
        coloured_output: false,
        ..VerificationOptions::default()
    }
}

/// Verifies these pacts at `address`, which may be a proxy; `states` knows the provider
/// itself.
pub(crate) async fn verify(
    files: &[PathBuf],
    address: &str,
    states: &Arc<States>,
) -> anyhow::Result<Vec<Outcome>> {
    let harness = Harness::start(address).await?;
    let mut outcomes = Vec::new();
    for file in files {
        let pact = read_pact(file).with_context(|| file.display().to_string())?;
        let provider = provider_info(&pact.provider().name, address, &harness)?;
        let expected = pact.interactions().len();
        // The public function prints as it goes, and this one is it without that.
        let result = verify_pact_internal(
            &provider,
            &FilterInfo::None,
            pact,
            &options(),
            states,
            false,
            Duration::ZERO,
        )
        .await?;
        ensure!(
            expected > 0 && result.results.len() == expected,
            "{}: {} of {expected} interactions were verified",
            file.display(),
            result.results.len()
        );
        outcomes.extend(result.results.into_iter().map(|result| Outcome {
            consumer: result.consumer,
            provider: result.provider,
            interaction: result.interaction_description,
            failure: result.result.err().map(|error| describe(&error)),
        }));
    }
    Ok(outcomes)
}

fn describe(error: &MismatchResult) -> String {
    match error {
        MismatchResult::Mismatches { mismatches, .. } => {
            let lines: Vec<String> = mismatches.iter().map(|m| m.description()).collect();
            lines.join("\n")
        }
        MismatchResult::Error(error, _) => error.clone(),
    }
}

/// Pacts down; interactions, verified and failed across. A consumer has one pact with
/// each provider.
pub(crate) fn table(outcomes: &[Outcome]) -> String {
    let mut rows: BTreeMap<(&str, &str), (u32, u32)> = BTreeMap::new();
    for outcome in outcomes {
        let row = rows
            .entry((&outcome.consumer, &outcome.provider))
            .or_default();
        match outcome.failure {
            None => row.0 += 1,
            Some(_) => row.1 += 1,
        }
    }
    let line = |consumer: &str, provider: &str, cells: [String; 3]| {
        let [all, verified, failed] = cells;
        format!("{consumer:<18}{provider:<24}{all:>13}{verified:>10}{failed:>8}\n")
    };
    let numbers = |(good, bad): (u32, u32)| [good + bad, good, bad].map(|n| n.to_string());
    let mut text = line(
        "consumer",
        "provider",
        ["interactions", "verified", "failed"].map(str::to_owned),
    );
    let mut sum = (0, 0);
    for ((consumer, provider), row) in &rows {
        text.push_str(&line(consumer, provider, numbers(*row)));
        sum = (sum.0 + row.0, sum.1 + row.1);
    }
    text.push_str(&line(&format!("{} pacts", rows.len()), "", numbers(sum)));
    text
}

/// The interactions that failed, each with why.
pub(crate) fn failures(outcomes: &[Outcome]) -> String {
    let mut text = String::new();
    for outcome in outcomes {
        if let Some(failure) = &outcome.failure {
            let Outcome {
                consumer,
                provider,
                interaction,
                ..
            } = outcome;
            text.push_str(&format!("FAILED {consumer} -> {provider}: {interaction}\n"));
            for line in failure.lines() {
                text.push_str(&format!("       {line}\n"));
            }
        }
    }
    text
}
