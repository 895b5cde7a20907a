//! The upstream's record: what really reached it, and what became of that.

use std::time::Duration;

use serde_json::Value;

/// A local server tells within milliseconds; a loaded machine takes longer.
const PATIENCE: Duration = Duration::from_secs(10);

/// The fault-injecting upstream behind the servers.
#[derive(Clone)]
pub(super) struct Upstream {
    record: String,
    http: reqwest::Client,
}

impl Upstream {
    /// The upstream with this base URL, `http://host:port/v1`.
    pub(super) fn new(base_url: &str) -> anyhow::Result<Self> {
        Ok(Self {
            record: format!("{}/_record", base_url.trim_end_matches("/v1")),
            // No proxy stands between a test and this machine.
            http: reqwest::Client::builder().no_proxy().build()?,
        })
    }

    /// Starts the record anew, and all counts with it, such as those of model `flaky`.
    pub(super) async fn forget(&self) -> anyhow::Result<()> {
        self.http
            .delete(&self.record)
            .send()
            .await?
            .error_for_status()?;
        Ok(())
    }

    /// The requests whose conversation ends in this prompt, oldest first.
    pub(super) async fn requests(&self, prompt: &str) -> anyhow::Result<Vec<Value>> {
        let text = self.http.get(&self.record).send().await?.text().await?;
        let mut all: Vec<Value> = serde_json::from_str(&text)?;
        all.retain(|request| {
            let messages = request["body"]["messages"].as_array();
            messages
                .and_then(|all| all.last())
                .is_some_and(|last| last["content"] == prompt)
        });
        Ok(all)
    }

    /// Waits until one of them is as it should be.
    pub(super) async fn wait_for(
        &self,
        prompt: &str,
        matches: impl Fn(&Value) -> bool,
    ) -> anyhow::Result<()> {
        let seen = async {
            loop {
                let requests = self.requests(prompt).await?;
                if requests.iter().any(&matches) {
                    return anyhow::Ok(());
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        match tokio::time::timeout(PATIENCE, seen).await {
            Ok(result) => result,
            Err(_) => anyhow::bail!(
                "the upstream saw no such request, but {:?}",
                self.requests(prompt).await?
            ),
        }
    }
}
