//! What the unit tests of this crate share: a provider that follows a script, and a
//! Router over two of them.

#![allow(clippy::unwrap_used)]

use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures_util::{StreamExt as _, future::BoxFuture};
use rand::{SeedableRng as _, rngs::StdRng};
use serde_json::{Value, json};

use crate::{
    Backends, Router,
    chat::{ChatEvent, ChatRequest, FinishReason, TokenUsage},
    config::RouterConfig,
    guard::{Guard, GuardError, NoGuard, Verdict, tests::FakeGuard},
    ledger::{EmbeddedLedger, Ledger as _, UsageFilter, UsageRow},
    provider::{ChatFuture, Provider, ProviderError},
};

/// One thing that a [`FakeProvider`] does.
#[derive(Clone, Debug)]
pub(crate) enum Act {
    Text(&'static str),
    Usage(u32, u32, u32),
    Finish(FinishReason),
    Fail(ProviderError),
    Wait(Duration),
    Stall,
}

/// What a [`FakeProvider`] does when it is called.
#[derive(Clone, Debug)]
pub(crate) enum Script {
    Refuse(ProviderError),
    Answer(Vec<Act>),
}

/// Follows its scripts, one for each call, the last one for all further calls.
pub(crate) struct FakeProvider {
    name: &'static str,
    scripts: Mutex<VecDeque<Script>>,
    calls: Mutex<Vec<ChatRequest>>,
    /// Streams that are held.
    open: Arc<AtomicUsize>,
}

impl FakeProvider {
    pub(crate) fn new(name: &'static str, scripts: Vec<Script>) -> Arc<Self> {
        Arc::new(Self {
            name,
            scripts: Mutex::new(scripts.into()),
            calls: Mutex::default(),
            open: Arc::default(),
        })
    }

    pub(crate) fn calls(&self) -> Vec<ChatRequest> {
        self.calls.lock().unwrap().clone()
    }

    pub(crate) fn open(&self) -> usize {
        self.open.load(Ordering::SeqCst)
    }
}

impl Provider for FakeProvider {
    fn name(&self) -> &str {
        self.name
    }

    fn chat(&self, request: ChatRequest) -> ChatFuture<'_> {
        self.calls.lock().unwrap().push(request);
        let mut scripts = self.scripts.lock().unwrap();
        let script = if scripts.len() > 1 {
            scripts.pop_front()
        } else {
            scripts.front().cloned()
        };
        let open = Arc::clone(&self.open);
        Box::pin(async move {
            match script {
                None => panic!("{} was not to be called", self.name),
                Some(Script::Refuse(error)) => Err(error),
                Some(Script::Answer(acts)) => {
                    let held = Held::new(open);
                    Ok(async_stream::stream! {
                        let _held = held;
                        for act in acts {
                            match act {
                                Act::Text(text) => yield Ok(ChatEvent::Text(text.to_owned())),
                                Act::Usage(prompt, cached_prompt, completion) => {
                                    yield Ok(ChatEvent::Usage(TokenUsage { prompt, cached_prompt, completion }));
                                }
                                Act::Finish(reason) => yield Ok(ChatEvent::Finish(reason)),
                                Act::Fail(error) => yield Err(error),
                                Act::Wait(time) => tokio::time::sleep(time).await,
                                Act::Stall => std::future::pending().await,
                            }
                        }
                    }
                    .boxed())
                }
            }
        })
    }
}

struct Held(Arc<AtomicUsize>);

impl Held {
    fn new(open: Arc<AtomicUsize>) -> Self {
        open.fetch_add(1, Ordering::SeqCst);
        Self(open)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Counts the calls of a [`FakeGuard`].
pub(crate) struct CountingGuard {
    guard: FakeGuard,
    pub(crate) calls: AtomicUsize,
}

impl CountingGuard {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            guard: FakeGuard::new(),
            calls: AtomicUsize::new(0),
        })
    }
}

impl Guard for CountingGuard {
    fn redact(&self, texts: Vec<String>) -> BoxFuture<'_, Result<Vec<Verdict>, GuardError>> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        self.guard.redact(texts)
    }
}

/// A Router over the models `small` of provider `a` and `big` of provider `b`, and
/// the route `auto` over both, by cost: `small` first.
pub(crate) struct Fixture {
    pub(crate) a: Arc<FakeProvider>,
    pub(crate) b: Arc<FakeProvider>,
    pub(crate) ledger: Arc<EmbeddedLedger>,
    pub(crate) router: Arc<Router>,
}

impl Fixture {
    pub(crate) async fn new(a: Vec<Script>, b: Vec<Script>) -> Self {
        Self::with(a, b, Arc::new(NoGuard), &json!({})).await
    }

    /// With this guard, and this configuration over the usual one.
    pub(crate) async fn with(
        a: Vec<Script>,
        b: Vec<Script>,
        guard: Arc<dyn Guard>,
        over: &Value,
    ) -> Self {
        let (a, b) = (FakeProvider::new("a", a), FakeProvider::new("b", b));
        let ledger = Arc::new(EmbeddedLedger::in_memory(100).await.unwrap());
        let backends = Backends {
            providers: HashMap::from([
                ("a".to_owned(), Arc::clone(&a) as Arc<dyn Provider>),
                ("b".to_owned(), Arc::clone(&b) as Arc<dyn Provider>),
            ]),
            guard,
            ledger: Arc::clone(&ledger) as Arc<_>,
            random: StdRng::seed_from_u64(1),
        };
        let router = Router::with_backends(&config(over), backends).unwrap();
        Self {
            a,
            b,
            ledger,
            router: Arc::new(router),
        }
    }

    /// Every row, once all that is under way is booked.
    pub(crate) async fn booked(&self) -> Vec<UsageRow> {
        self.router.close().await;
        self.ledger.usage(UsageFilter::default()).await.unwrap()
    }
}

/// The usual configuration, with these sections replaced.
pub(crate) fn config(over: &Value) -> RouterConfig {
    let mut config = json!({
        "providers": {"a": {"kind": "local"}, "b": {"kind": "local"}},
        "models": [
            {"name": "small", "provider": "a", "upstream_name": "up-small", "context_window": 2048,
             "price": {
                 "input_usd_per_million_tokens": "0.005",
                 "cached_input_usd_per_million_tokens": "0.0025",
                 "output_usd_per_million_tokens": "0.02",
             }},
            {"name": "big", "provider": "b",
             "price": {
                 "input_usd_per_million_tokens": "1",
                 "output_usd_per_million_tokens": "4",
             }},
        ],
        "routes": {"auto": {"strategy": "cost", "models": ["small", "big"]}},
        "guardrails": {"hold_back": {"spaced_bytes": 24, "unspaced_bytes": 64}},
    });
    for (section, value) in over.as_object().unwrap() {
        config[section] = value.clone();
    }
    serde_json::from_value(config).unwrap()
}

/// These pieces, then `stop`, then this usage.
pub(crate) fn answer(pieces: &[&'static str], usage: (u32, u32, u32)) -> Script {
    let texts = pieces.iter().map(|piece| Act::Text(piece));
    let end = [
        Act::Finish(FinishReason::Stop),
        Act::Usage(usage.0, usage.1, usage.2),
    ];
    Script::Answer(texts.chain(end).collect())
}

pub(crate) fn failed() -> ProviderError {
    ProviderError::Failed {
        provider: "a".to_owned(),
        detail: "status 500".to_owned(),
    }
}
