//! The local provider on the real model. Without the file these tests fail and say how
//! to get it; they never skip themselves.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed test may panic")]

use std::{env, num::NonZeroUsize, path::PathBuf, time::Duration};

use futures_util::{StreamExt as _, future::join_all};
use signalbox_router::{
    chat::{ChatEvent, ChatRequest, FinishReason, Message, Role, Sampling, TokenUsage},
    provider::{
        ChatStream, Provider as _, ProviderError,
        local::{LoadPolicy, LocalConfig, LocalProvider, LocalStats},
    },
};
use tokio::time::timeout;

/// Far above what any of these takes; only a hang reaches it.
const HANG: Duration = Duration::from_secs(120);

fn model_path() -> PathBuf {
    let cache = env::var_os("XDG_CACHE_HOME").filter(|folder| !folder.is_empty());
    let cache = cache.map(PathBuf::from).or_else(|| {
        let home = env::var_os("HOME")?;
        Some(PathBuf::from(home).join(".cache"))
    });
    let models = cache.unwrap().join("signalbox/models");
    let path = models.join(LocalConfig::default().path);
    assert!(
        path.exists(),
        "{} is missing: run `signalbox models pull`",
        path.display()
    );
    path
}

fn config() -> LocalConfig {
    LocalConfig {
        path: model_path(),
        ..LocalConfig::default()
    }
}

fn message(role: Role, content: &str) -> Message {
    Message {
        role,
        content: content.to_owned(),
        name: None,
    }
}

fn ask(question: &str, sampling: Sampling) -> ChatRequest {
    ChatRequest {
        model: "SmolLM2-135M-Instruct".into(),
        messages: vec![message(Role::User, question)],
        sampling,
    }
}

fn greedy(max_tokens: u32) -> Sampling {
    Sampling {
        temperature: Some(0.0),
        max_tokens: Some(max_tokens),
        ..Sampling::default()
    }
}

#[derive(Debug, PartialEq)]
struct Answer {
    pieces: Vec<String>,
    reason: FinishReason,
    usage: TokenUsage,
}

impl Answer {
    fn text(&self) -> String {
        self.pieces.concat()
    }
}

/// Reads an answer and holds it to the contract of `ChatEvent`.
async fn read(mut stream: ChatStream) -> Answer {
    let (mut pieces, mut reason, mut usage) = (Vec::new(), None, None);
    while let Some(event) = timeout(HANG, stream.next()).await.unwrap() {
        match event.unwrap() {
            ChatEvent::Text(text) => {
                assert!(reason.is_none(), "text after the end");
                assert!(!text.is_empty(), "an empty piece");
                pieces.push(text);
            }
            ChatEvent::Finish(why) => assert_eq!(reason.replace(why), None, "two ends"),
            ChatEvent::Usage(tokens) => usage = Some(tokens),
        }
    }
    Answer {
        pieces,
        reason: reason.unwrap(),
        usage: usage.unwrap(),
    }
}

async fn answer(provider: &LocalProvider, request: ChatRequest) -> Answer {
    read(provider.chat(request).await.unwrap()).await
}

/// Waits until the provider's counters say so.
async fn until(provider: &LocalProvider, condition: impl Fn(LocalStats) -> bool) -> LocalStats {
    let poll = async {
        loop {
            let stats = provider.stats();
            if condition(stats) {
                return stats;
            }
            tokio::task::yield_now().await;
        }
    };
    timeout(HANG, poll).await.unwrap()
}

#[tokio::test]
async fn the_capital_of_france_is_paris() {
    let provider = LocalProvider::new(config());
    let answer = answer(&provider, ask("What is the capital of France?", greedy(48))).await;
    eprintln!("{answer:?}");
    assert!(answer.text().contains("Paris"), "{answer:?}");
    assert_eq!(answer.reason, FinishReason::Stop);
    // llama.cpp counts the same 37 for the template, its default system prompt and
    // the question.
    assert_eq!(answer.usage.prompt, 37);
    assert_eq!(
        u64::from(answer.usage.completion),
        provider.stats().generated_tokens
    );
}
