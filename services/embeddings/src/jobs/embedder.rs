//! How a worker gets vectors: one small trait, which the engine implements.
//!
//! A chunk holds texts of one caller, and one of them may be poison: empty, or one
//! that the model fails on. It must not cost its neighbours their vectors, so a group
//! that fails is halved until the text that fails is alone.

use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::time;

use super::job::{ItemError, ItemResult};
use crate::{
    engine::Engine,
    remote::RemoteError,
    request::{EmbedError, EmbedRequest, Inputs, Priority, Terms, WhenFull},
};

/// Longest that an overloaded engine is left alone, whatever it asks for.
const MAX_WAIT: Duration = Duration::from_secs(30);

/// First wait for a provider that fails; doubles up to [`MAX_WAIT`].
const FIRST_WAIT: Duration = Duration::from_secs(1);

/// Waits in a row, five minutes in all, after which a provider is given up.
const MAX_WAITS: u32 = 14;

/// Why a whole chunk was not embedded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChunkError {
    /// No such model here.
    #[error("model `{0}` is not loaded")]
    UnknownModel(String),
    /// The engine failed on every text, which says more of the engine than of them.
    #[error("embedding failed on every text of a chunk")]
    Failed,
    /// The model's provider cannot be used, though it was waited for.
    #[error("{0}")]
    Remote(String),
    /// The engine is stopping.
    #[error("the engine is stopping")]
    Stopping,
}

/// What a worker asks for.
#[derive(Clone, Copy, Debug)]
pub struct Chunk<'a> {
    /// Whose job it is, so that an engine can be fair.
    pub caller: &'a str,
    /// The model's name.
    pub model: &'a str,
    /// The texts.
    pub texts: &'a [String],
}

/// Turns the texts of a chunk into vectors.
pub trait Embedder: Send + Sync {
    /// One result for each text, in order. Waits while the engine is overloaded:
    /// interactive calls go first. Dropping the future stops the work.
    fn embed_chunk<'a>(
        &'a self,
        chunk: Chunk<'a>,
    ) -> BoxFuture<'a, Result<Vec<ItemResult>, ChunkError>>;

    /// The names of the models that there are.
    fn models(&self) -> Vec<String>;

    /// Most texts in a chunk.
    fn max_texts(&self) -> usize;
}

impl Embedder for Engine {
    fn embed_chunk<'a>(
        &'a self,
        chunk: Chunk<'a>,
    ) -> BoxFuture<'a, Result<Vec<ItemResult>, ChunkError>> {
        Box::pin(embed_apart(self, chunk))
    }

    fn models(&self) -> Vec<String> {
        Engine::models(self).map(|card| card.name.clone()).collect()
    }

    fn max_texts(&self) -> usize {
        Engine::max_inputs(self)
    }
}

/// Embeds all texts together, and apart where that fails.
async fn embed_apart(engine: &Engine, chunk: Chunk<'_>) -> Result<Vec<ItemResult>, ChunkError> {
    let texts = chunk.texts;
    let mut results: Vec<ItemResult> = texts.iter().map(|_| Err(empty())).collect();
    let whole: Vec<usize> = (0..texts.len())
        .filter(|item| !texts[*item].is_empty())
        .collect();
    let terms = Terms {
        priority: Priority::Bulk,
        caller: chunk.caller.into(),
        when_full: WhenFull::Wait,
        ..Terms::default()
    };
    let (asked, mut failures) = (whole.len(), 0);
    let mut waits = 0;
    let mut groups = vec![whole];
    while let Some(mut group) = groups.pop() {
        if group.is_empty() {
            continue;
        }
        let inputs = Inputs::Texts(group.iter().map(|item| texts[*item].clone()).collect());
        let request = EmbedRequest {
            terms: terms.clone(),
            ..EmbedRequest::new(chunk.model, inputs)
        };
        match engine.embed(request).await {
            Ok(response) if response.data.len() == group.len() => {
                waits = 0;
                for (item, embedded) in group.into_iter().zip(response.data) {
                    results[item] = Ok(embedded.vector);
                }
            }
            Err(EmbedError::UnknownModel { name, .. }) => {
                return Err(ChunkError::UnknownModel(name));
            }
            Err(EmbedError::Cancelled) => return Err(ChunkError::Stopping),
            Err(EmbedError::Overloaded { retry_after }) => {
                time::sleep(retry_after.min(MAX_WAIT)).await;
                groups.push(group);
            }
            Err(EmbedError::Remote(error)) => match patience(&error, waits) {
                Some(wait) => {
                    time::sleep(wait).await;
                    // A provider that asks for time is there.
                    waits = match error {
                        RemoteError::Overloaded { .. } => 0,
                        _ => waits + 1,
                    };
                    groups.push(group);
                }
                None => return Err(ChunkError::Remote(error.to_string())),
            },
            // The engine says which one it was.
            Err(EmbedError::Invalid { field, fix })
                if group.len() == 1 || place(&field, group.len()).is_some() =>
            {
                let at = place(&field, group.len()).unwrap_or(0);
                results[group.remove(at)] = Err(ItemError(format!("the text {fix}")));
                groups.push(group);
            }
            // A chunk names no reduction and has no deadline: were it told of one, the fault
            // would be ours.
            Ok(_)
            | Err(
                EmbedError::Invalid { .. }
                | EmbedError::Failed(_)
                | EmbedError::UnknownReduction { .. }
                | EmbedError::TooManyReductions
                | EmbedError::DeadlineExceeded,
            ) => {
                if let [item] = group.as_slice() {
                    failures += 1;
                    results[*item] = Err(failed());
                } else {
                    let rest = group.split_off(group.len() / 2);
                    groups.extend([rest, group]);
                }
            }
        }
    }
    match asked {
        0 => Ok(results),
        all if failures == all => Err(ChunkError::Failed),
        _ => Ok(results),
    }
}

/// How long a provider that failed is left alone after so many waits in a row; `None`
/// when it is given up. The texts are not to blame, so they are not tried apart.
fn patience(error: &RemoteError, waits: u32) -> Option<Duration> {
    match error {
        RemoteError::Unauthorized { .. } | RemoteError::Misconfigured { .. } => None,
        RemoteError::Overloaded { retry_after, .. } => {
            Some(retry_after.unwrap_or(FIRST_WAIT).min(MAX_WAIT))
        }
        _ if waits >= MAX_WAITS => None,
        _ => Some((FIRST_WAIT * 2_u32.saturating_pow(waits)).min(MAX_WAIT)),
    }
}

/// Which text of a request `input[3]` names.
fn place(field: &str, count: usize) -> Option<usize> {
    let index = field.strip_prefix("input[")?.strip_suffix(']')?;
    index.parse().ok().filter(|index| *index < count)
}

fn empty() -> ItemError {
    ItemError("the text is empty".to_owned())
}

/// What an item's caller reads; the engine's own words are in the log.
pub(super) fn failed() -> ItemError {
    ItemError("the model failed on this text".to_owned())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use std::sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    };

    use signalbox_encoder::{InputType, TokenIdError, Tokenized};

    use super::*;
    use crate::{
        EmbeddingsConfig,
        cache::CacheConfig,
        model::{Encoded, Model, ModelCard},
    };

    const MAX_BYTES: usize = 1_000;

    /// Gives each text its length, and fails on whatever holds "poison".
    struct Lengths {
        computed: AtomicUsize,
    }

    impl Model for Lengths {
        fn tokenize(&self, text: &str, _: InputType) -> Result<Tokenized, EmbedError> {
            Ok(Tokenized::new(text.bytes().map(u32::from).collect(), false))
        }

        fn accept_ids(&self, _: &[u32]) -> Result<Tokenized, TokenIdError> {
            panic!("a job sends texts");
        }

        fn encode(&self, batch: &[Tokenized], _: &AtomicBool) -> Result<Encoded, EmbedError> {
            self.computed.fetch_add(batch.len(), Ordering::Relaxed);
            let poison: Vec<u32> = b"poison".iter().map(|byte| u32::from(*byte)).collect();
            let is_poison = |text: &Tokenized| text.ids().windows(6).any(|part| part == poison);
            if batch.iter().any(is_poison) {
                return Err(EmbedError::Failed("poison".to_owned()));
            }
            let length = |text: &Tokenized| f32::from(u16::try_from(text.ids().len()).unwrap());
            Ok(Encoded {
                vectors: batch.iter().map(|text| vec![length(text)]).collect(),
                pooling: Duration::ZERO,
            })
        }
    }

    fn engine() -> (Engine, Arc<Lengths>) {
        let model = Arc::new(Lengths {
            computed: AtomicUsize::new(0),
        });
        let card = ModelCard {
            name: "lengths".to_owned(),
            revision: String::new(),
            dimensions: 1,
            matryoshka: Vec::new(),
            max_input_tokens: 2_000,
            pooling: "mean".to_owned(),
            license: "Apache-2.0".to_owned(),
        };
        let config = EmbeddingsConfig {
            max_text_bytes: MAX_BYTES.try_into().unwrap(),
            cache: CacheConfig {
                ttl_seconds: 0,
                ..CacheConfig::default()
            },
            ..EmbeddingsConfig::default()
        };
        let engine = Engine::new(&config, [(card, Arc::clone(&model) as Arc<dyn Model>)]);
        (engine.unwrap(), model)
    }

    fn texts(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|text| (*text).to_owned()).collect()
    }

    fn chunk<'a>(model: &'a str, texts: &'a [String]) -> Chunk<'a> {
        Chunk {
            caller: "alice",
            model,
            texts,
        }
    }

    #[test]
    fn a_provider_that_fails_is_waited_for_and_one_that_refuses_us_is_not() {
        let model = || "m".to_owned();
        let detail = || "because".to_owned();
        let failed = RemoteError::Failed {
            model: model(),
            detail: detail(),
        };
        let waits = (0..).map_while(|waits| patience(&failed, waits));
        let waits: Vec<Duration> = waits.collect();
        assert_eq!(waits[0], FIRST_WAIT);
        assert!(waits.iter().all(|wait| *wait <= MAX_WAIT));
        let all: Duration = waits.iter().sum();
        assert_eq!(all.as_secs() / 60, 5);
        let overloaded = |seconds| RemoteError::Overloaded {
            model: model(),
            detail: detail(),
            retry_after: Some(Duration::from_secs(seconds)),
        };
        // As often as it asks for time.
        assert_eq!(
            patience(&overloaded(7), 1_000),
            Some(Duration::from_secs(7))
        );
        assert_eq!(patience(&overloaded(3_600), 0), Some(MAX_WAIT));
        for refused in [
            RemoteError::Unauthorized { model: model() },
            RemoteError::Misconfigured {
                model: model(),
                detail: detail(),
            },
        ] {
            assert_eq!(patience(&refused, 0), None);
        }
    }

    #[tokio::test]
    async fn poison_costs_its_neighbours_nothing() {
        let (engine, _) = engine();
        let texts = texts(&["a", "bb", "poison", "", "ccc", "more poison", "dddd"]);
        let results = engine.embed_chunk(chunk("lengths", &texts)).await.unwrap();
        let poison = Err(failed());
        assert_eq!(
            results,
            [
                Ok(vec![1.0]),
                Ok(vec![2.0]),
                poison.clone(),
                Err(empty()),
                Ok(vec![3.0]),
                poison,
                Ok(vec![4.0]),
            ]
        );
    }

    #[tokio::test]
    async fn a_chunk_without_poison_is_computed_once() {
        let (engine, model) = engine();
        let texts: Vec<String> = (0..20).map(|n| "x".repeat(n + 1)).collect();
        engine.embed_chunk(chunk("lengths", &texts)).await.unwrap();
        assert_eq!(model.computed.load(Ordering::Relaxed), 20);
    }

    #[tokio::test]
    async fn a_text_that_the_engine_names_is_the_only_one_left_out() {
        let (engine, model) = engine();
        let long = "x".repeat(MAX_BYTES + 1);
        let results = engine
            .embed_chunk(chunk("lengths", &texts(&["a", &long, "ccc"])))
            .await
            .unwrap();
        assert_eq!((&results[0], &results[2]), (&Ok(vec![1.0]), &Ok(vec![3.0])));
        let ItemError(reason) = results[1].as_ref().unwrap_err();
        assert!(reason.starts_with("the text has"), "{reason}");
        assert_eq!(model.computed.load(Ordering::Relaxed), 2);
    }

    #[tokio::test]
    async fn an_engine_that_fails_on_everything_is_to_blame_itself() {
        let (engine, _) = engine();
        let texts = texts(&["poison", "", "poison too"]);
        let error = engine
            .embed_chunk(chunk("lengths", &texts))
            .await
            .unwrap_err();
        assert_eq!(error, ChunkError::Failed);
        assert_eq!(
            engine.embed_chunk(chunk("none", &texts)).await.unwrap_err(),
            ChunkError::UnknownModel("none".to_owned())
        );
    }

    #[tokio::test]
    async fn a_chunk_of_empty_texts_is_no_failure() {
        let (engine, model) = engine();
        let results = engine
            .embed_chunk(chunk("lengths", &texts(&["", ""])))
            .await;
        assert_eq!(results, Ok(vec![Err(empty()), Err(empty())]));
        assert_eq!(model.computed.load(Ordering::Relaxed), 0);
    }
}
