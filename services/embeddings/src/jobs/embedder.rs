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
    request::{EmbedError, EmbedRequest, Inputs},
};

/// Longest that an overloaded engine is left alone, whatever it asks for.
const MAX_WAIT: Duration = Duration::from_secs(30);

/// Why a whole chunk was not embedded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChunkError {
    /// No such model here.
    #[error("model `{0}` is not loaded")]
    UnknownModel(String),
    /// The engine failed on every text, which says more of the engine than of them.
    #[error("embedding failed on every text of a chunk")]
    Failed,
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
    let (asked, mut failures) = (whole.len(), 0);
    let mut groups = vec![whole];
    while let Some(mut group) = groups.pop() {
        if group.is_empty() {
            continue;
        }
        let request = EmbedRequest {
            model: chunk.model.to_owned(),
            inputs: Inputs::Texts(group.iter().map(|item| texts[*item].clone()).collect()),
            dimensions: None,
            user: String::new(),
        };
        match engine.embed(request).await {
            Ok(response) if response.data.len() == group.len() => {
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
            // The engine says which one it was.
            Err(EmbedError::Invalid { field, fix })
                if group.len() == 1 || place(&field, group.len()).is_some() =>
            {
                let at = place(&field, group.len()).unwrap_or(0);
                results[group.remove(at)] = Err(ItemError(format!("the text {fix}")));
                groups.push(group);
            }
            Ok(_) | Err(EmbedError::Invalid { .. } | EmbedError::Failed(_)) => {
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
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    };

    use super::*;
    use crate::{
        EmbeddingsConfig,
        model::{Model, ModelCard},
        request::Embedded,
    };

    /// Gives each text its length, and fails on whatever holds "poison".
    struct Lengths {
        calls: AtomicUsize,
        refuse: Mutex<Option<usize>>,
    }

    impl Model for Lengths {
        fn embed(&self, inputs: &Inputs, _: &AtomicBool) -> Result<Vec<Embedded>, EmbedError> {
            self.calls.fetch_add(1, Ordering::Relaxed);
            let Inputs::Texts(texts) = inputs else {
                panic!("a job sends texts");
            };
            if let Some(index) = self.refuse.lock().unwrap().take() {
                return Err(EmbedError::invalid(format!("input[{index}]"), "is odd"));
            }
            if texts.iter().any(|text| text.contains("poison")) {
                return Err(EmbedError::Failed("poison".to_owned()));
            }
            let embedded = |text: &String| Embedded {
                vector: vec![f32::from(u16::try_from(text.len()).unwrap())],
                tokens: 1,
                truncated: false,
            };
            Ok(texts.iter().map(embedded).collect())
        }
    }

    fn engine() -> (Engine, Arc<Lengths>) {
        let model = Arc::new(Lengths {
            calls: AtomicUsize::new(0),
            refuse: Mutex::new(None),
        });
        let card = ModelCard {
            name: "lengths".to_owned(),
            dimensions: 1,
            max_input_tokens: 8,
            pooling: "mean".to_owned(),
            license: "Apache-2.0".to_owned(),
        };
        let config = EmbeddingsConfig::default();
        let engine = Engine::new(&config, [(card, Arc::clone(&model) as Arc<dyn Model>)]);
        (engine, model)
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
    async fn a_chunk_without_poison_is_one_call() {
        let (engine, model) = engine();
        let texts: Vec<String> = (0..200).map(|n| "x".repeat(n + 1)).collect();
        engine.embed_chunk(chunk("lengths", &texts)).await.unwrap();
        assert_eq!(model.calls.load(Ordering::Relaxed), 1);
    }

    #[tokio::test]
    async fn a_text_that_the_engine_names_is_the_only_one_left_out() {
        let (engine, model) = engine();
        *model.refuse.lock().unwrap() = Some(1);
        let results = engine
            .embed_chunk(chunk("lengths", &texts(&["a", "bb", "ccc"])))
            .await
            .unwrap();
        let odd = Err(ItemError("the text is odd".to_owned()));
        assert_eq!(results, [Ok(vec![1.0]), odd, Ok(vec![3.0])]);
        assert_eq!(model.calls.load(Ordering::Relaxed), 2);
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
        assert_eq!(model.calls.load(Ordering::Relaxed), 0);
    }
}
