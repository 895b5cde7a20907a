//! Provider states: what an interaction is given is made true at the running provider by
//! calls of its own API, or found to be true; never assumed.

use std::{collections::HashMap, sync::Arc};

use anyhow::{Context as _, bail, ensure};
use async_trait::async_trait;
use pact_models::provider_states::ProviderState;
use pact_verifier::callback_executors::ProviderStateExecutor;
use reqwest::StatusCode;
use serde_json::{Value, json};
use signalbox_pact::KEY;

/// Sets states up at one provider.
#[derive(Debug)]
pub(crate) struct States {
    base_url: String,
    client: reqwest::Client,
}

impl States {
    /// `address` is the provider itself, also where a pact is verified through a proxy.
    pub(crate) fn new(address: &str) -> Self {
        Self {
            base_url: format!("http://{address}"),
            client: reqwest::Client::new(),
        }
    }

    async fn set_up(&self, state: &ProviderState) -> anyhow::Result<()> {
        let parameter = |name: &str| {
            (state.params.get(name).and_then(Value::as_str))
                .with_context(|| format!("the state `{}` has no parameter `{name}`", state.name))
        };
        match state.name.as_str() {
            // Interactions without a state.
            "" => Ok(()),
            "callers need a key" => self.refuses_callers_without_key().await,
            "a chat model" => self.lists("/v1/models", parameter("model")?).await,
            "a chat model whose provider is over its limit" => {
                self.is_limited(parameter("model")?).await
            }
            "an embedding model" => {
                self.lists("/v1/embeddings/models", parameter("model")?)
                    .await
            }
            "a user who made one call" => {
                self.books_one_call(parameter("user")?, parameter("model")?)
                    .await
            }
            other => bail!("nobody knows how to set up the state `{other}`"),
        }
    }

    async fn refuses_callers_without_key(&self) -> anyhow::Result<()> {
        let url = format!("{}/v1/models", self.base_url);
        let status = self.client.get(url).send().await?.status();
        ensure!(
            status == StatusCode::UNAUTHORIZED,
            "without a key: {status}"
        );
        Ok(())
    }

    async fn lists(&self, path: &str, model: &str) -> anyhow::Result<()> {
        let models = self.get(path).await?;
        let found = models["data"].as_array().into_iter().flatten();
        ensure!(
            found.into_iter().any(|m| m["id"] == model),
            "{path} lists no `{model}`"
        );
        Ok(())
    }

    async fn is_limited(&self, model: &str) -> anyhow::Result<()> {
        let status = self.chat(model, "state").await?.status();
        ensure!(
            status == StatusCode::TOO_MANY_REQUESTS,
            "`{model}`: {status}"
        );
        Ok(())
    }

    /// Once for each user, so that its sums are known however often a pact is verified.
    async fn books_one_call(&self, user: &str, model: &str) -> anyhow::Result<()> {
        let path = format!("/v1/router/usage?user={user}");
        let rows = self.get(&path).await?["rows"]
            .as_array()
            .map_or(0, Vec::len);
        if rows == 0 {
            self.chat(model, user).await?.error_for_status()?;
        }
        let usage = self.get(&path).await?;
        ensure!(
            usage["total"]["requests"] == "1",
            "`{user}` made more than one call: {usage}"
        );
        Ok(())
    }

    async fn get(&self, path: &str) -> anyhow::Result<Value> {
        let request = self.client.get(format!("{}{path}", self.base_url));
        let response = request.bearer_auth(KEY).send().await?.error_for_status()?;
        Ok(response.json().await?)
    }

    async fn chat(&self, model: &str, user: &str) -> anyhow::Result<reqwest::Response> {
        let request = json!({
            "model": model,
            "messages": [{"role": "user", "content": "hello"}],
            "user": user,
        });
        let call = self
            .client
            .post(format!("{}/v1/chat/completions", self.base_url));
        Ok(call.bearer_auth(KEY).json(&request).send().await?)
    }
}

#[async_trait]
impl ProviderStateExecutor for States {
    async fn call(
        self: Arc<Self>,
        _interaction_id: Option<String>,
        state: &ProviderState,
        setup: bool,
        _client: Option<&reqwest::Client>,
    ) -> anyhow::Result<HashMap<String, Value>> {
        if setup {
            self.set_up(state).await?;
        }
        Ok(HashMap::new())
    }

    fn teardown(&self) -> bool {
        false
    }
}
