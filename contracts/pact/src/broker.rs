//! A pact broker, for those who run one: `PACT_BROKER_URL`, and `PACT_BROKER_TOKEN` where
//! it asks for one. Nothing here needs it; the pacts of the tree are files.

use std::{path::Path, sync::Arc};

use anyhow::{Context as _, ensure};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use clap::{Args, Subcommand};
use pact_models::http_utils::HttpAuth;
use pact_verifier::{FilterInfo, PactSource, PublishOptions, verify_provider_async};
use serde_json::{Value, json};

use crate::{harness::Harness, states::States, verify};

/// The providers whose pacts the broker holds.
const PROVIDERS: [&str; 3] = [
    "signalbox-router",
    "signalbox-embeddings",
    "signalbox-guardrails",
];

#[derive(Debug, Args)]
pub(crate) struct Broker {
    /// The broker's base URL
    #[arg(long, env = "PACT_BROKER_URL")]
    url: String,
    /// Its bearer token
    #[arg(long, env = "PACT_BROKER_TOKEN", hide_env_values = true)]
    token: Option<String>,
    /// The version that is published, or verified: a commit
    #[arg(long, env = "PACT_VERSION")]
    version: String,
    /// The branch that it is on
    #[arg(long, env = "PACT_BRANCH")]
    branch: Option<String>,
    #[command(subcommand)]
    command: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Publishes the pacts of the tree
    Publish,
    /// Verifies the latest pacts of the broker, and publishes the results
    Verify,
}

impl Broker {
    /// Whether the task asks a provider anything.
    pub(crate) fn needs_provider(&self) -> bool {
        matches!(self.command, Task::Verify)
    }

    /// Publishes every pact of this folder.
    pub(crate) async fn publish(&self, folder: &Path) -> anyhow::Result<()> {
        let client = reqwest::Client::new();
        let url = format!("{}/contracts/publish", self.url.trim_end_matches('/'));
        for file in verify::files(folder, &[])? {
            let text = std::fs::read(&file)?;
            let pact: Value = serde_json::from_slice(&text)?;
            let consumer = pact["consumer"]["name"].as_str().context("consumer.name")?;
            let provider = pact["provider"]["name"].as_str().context("provider.name")?;
            let mut request = client.post(&url).json(&json!({
                "pacticipantName": consumer,
                "pacticipantVersionNumber": self.version,
                "branch": self.branch,
                "contracts": [{
                    "consumerName": consumer,
                    "providerName": provider,
                    "specification": "pact",
                    "contentType": "application/json",
                    "content": STANDARD.encode(&text),
                }],
            }));
            if let Some(token) = &self.token {
                request = request.bearer_auth(token);
            }
            let response = request.send().await?;
            let status = response.status();
            ensure!(
                status.is_success(),
                "{consumer} -> {provider}: the broker answers {status}: {}",
                response.text().await?
            );
            println!("published {consumer} -> {provider} as {}", self.version);
        }
        Ok(())
    }

    /// Verifies what the broker has for each provider at `address`.
    pub(crate) async fn verify(&self, address: &str) -> anyhow::Result<()> {
        let harness = Harness::start(address).await?;
        let states = Arc::new(States::new(address));
        let auth = self.token.clone().map(HttpAuth::Token);
        let publish = PublishOptions {
            provider_version: Some(self.version.clone()),
            provider_branch: self.branch.clone(),
            ..PublishOptions::default()
        };
        let mut failed = Vec::new();
        for provider in PROVIDERS {
            let source = PactSource::BrokerUrl(
                provider.to_owned(),
                self.url.clone(),
                auth.clone(),
                Vec::new(),
            );
            let result = verify_provider_async(
                verify::provider_info(provider, address, &harness)?,
                vec![source],
                FilterInfo::None,
                Vec::new(),
                &verify::options(),
                Some(&publish),
                &states,
                None,
            )
            .await?;
            if !result.result {
                failed.push(provider);
            }
        }
        ensure!(failed.is_empty(), "not verified: {}", failed.join(", "));
        Ok(())
    }
}
