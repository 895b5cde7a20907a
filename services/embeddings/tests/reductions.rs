//! Reductions: whose they are, which one a name means, and that they outlive the process.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::{
    path::Path,
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};

use signalbox_embeddings::{
    EmbeddingsConfig, Engine,
    model::{Encoded, Model, ModelCard},
    reduce::{
        self, Corpus, NewReduction, Reduction, ReductionsConfig, SharedKind, SharedReduction,
    },
    request::{EmbedError, EmbedRequest, Inputs, Terms},
};
use signalbox_encoder::{InputType, TokenIdError, Tokenized};

/// Turns a text into its first 8 bytes, as a vector of length 1.
struct Bytes;

impl Model for Bytes {
    fn tokenize(&self, text: &str, _: InputType) -> Result<Tokenized, EmbedError> {
        Ok(Tokenized::new(text.bytes().map(u32::from).collect(), false))
    }

    fn accept_ids(&self, ids: &[u32]) -> Result<Tokenized, TokenIdError> {
        Ok(Tokenized::new(ids.to_vec(), false))
    }

    fn encode(&self, batch: &[Tokenized], _: &AtomicBool) -> Result<Encoded, EmbedError> {
        let vector = |text: &Tokenized| {
            let bytes = text.ids().iter().map(|id| *id as f32);
            let vector: Vec<f32> = bytes.chain([0.0; 8]).take(8).collect();
            let length = vector.iter().map(|v| v * v).sum::<f32>().sqrt();
            vector.into_iter().map(|v| v / length).collect()
        };
        Ok(Encoded {
            vectors: batch.iter().map(vector).collect(),
            pooling: Duration::ZERO,
        })
    }
}

fn card(name: &str, revision: &str, matryoshka: &[u32]) -> ModelCard {
    ModelCard {
        name: name.to_owned(),
        revision: revision.to_owned(),
        dimensions: 8,
        matryoshka: matryoshka.to_vec(),
        max_input_tokens: 100,
        pooling: "mean".to_owned(),
        license: String::new(),
    }
}

/// `m` and `other`, and `nested`, which was trained to be shortened to 2 and 4.
fn engine(reductions: ReductionsConfig, revision: &str) -> Engine {
    let config = EmbeddingsConfig {
        worker_threads: 1.try_into().ok(),
        reductions,
        ..EmbeddingsConfig::default()
    };
    let cards = [
        card("m", revision, &[]),
        card("other", revision, &[]),
        card("nested", revision, &[2, 4]),
    ];
    let models = cards.map(|card| (card, Arc::new(Bytes) as Arc<dyn Model>));
    Engine::new(&config, models).unwrap()
}

fn in_memory() -> Engine {
    engine(ReductionsConfig::default(), "1")
}

fn corpus() -> Vec<String> {
    let words = "it decides which line a train takes and refuses to clear a route";
    words.split(' ').map(|word| word.repeat(2)).collect()
}

fn new(owner: &str, name: &str, dimensions: u32) -> NewReduction {
    NewReduction {
        owner: owner.into(),
        name: name.to_owned(),
        model: "m".to_owned(),
        dimensions,
        input_type: InputType::Unspecified,
        corpus: Corpus::Texts(corpus()),
        terms: Terms::default(),
    }
}

async fn fit(engine: &Engine, new: NewReduction) -> Result<Reduction, EmbedError> {
    reduce::fit(engine, engine.reductions(), new).await
}

fn request(model: &str, owner: &str, reduction: &str, dimensions: Option<u32>) -> EmbedRequest {
    EmbedRequest {
        owner: owner.into(),
        reduction: reduction.to_owned(),
        dimensions,
        ..EmbedRequest::new(model, Inputs::Texts(vec!["signal".to_owned()]))
    }
}

/// The vector's length, its numbers, and the reduction that the answer names.
async fn embed(engine: &Engine, request: EmbedRequest) -> (usize, Vec<f32>, Option<String>) {
    let response = engine.embed(request).await.unwrap();
    let vector = response.data[0].vector.clone();
    let length = vector.iter().map(|v| v * v).sum::<f32>().sqrt();
    assert!((length - 1.0).abs() < 1e-5, "{length}");
    (vector.len(), vector, response.reduction)
}

async fn refusal(engine: &Engine, request: EmbedRequest) -> String {
    engine.embed(request).await.unwrap_err().to_string()
}

#[tokio::test]
async fn a_name_is_its_latest_version_and_earlier_ones_stay() {
    let engine = in_memory();
    let first = fit(&engine, new("alice", "corpus", 3)).await.unwrap();
    assert_eq!((first.id().as_str(), first.kind), ("corpus@1", "pca"));
    assert_eq!((first.dimensions, first.fitted_to), (3, 13));
    assert!((0.5..=1.0).contains(&first.variance_explained.unwrap()));
    let second = fit(&engine, new("alice", "corpus", 5)).await.unwrap();
    assert_eq!(second.id(), "corpus@2");

    let asked = |reduction: &str| request("m", "alice", reduction, None);
    let (length, _, named) = embed(&engine, asked("corpus")).await;
    assert_eq!((length, named.as_deref()), (5, Some("corpus@2")));
    let (length, full, named) = embed(&engine, asked("corpus@1")).await;
    assert_eq!((length, named.as_deref()), (3, Some("corpus@1")));

    // Shortened further, the leading components stay, and the length is 1 again.
    let (length, cut, _) = embed(&engine, request("m", "alice", "corpus@1", Some(2))).await;
    assert_eq!(length, 2);
    assert!((cut[0] / cut[1] - full[0] / full[1]).abs() < 1e-4);
    for wrong in [0, 4] {
        let said = refusal(&engine, request("m", "alice", "corpus@1", Some(wrong))).await;
        assert!(
            said.starts_with("dimensions: ") && said.contains("1 to 3"),
            "{said}"
        );
    }
}

#[tokio::test]
async fn a_reduction_is_its_callers_own() {
    let engine = in_memory();
    fit(&engine, new("alice", "corpus", 3)).await.unwrap();
    let said = engine.embed(request("m", "bob", "corpus", None)).await;
    let unknown = EmbedError::UnknownReduction {
        name: "corpus".to_owned(),
        available: vec![],
    };
    assert_eq!(said.unwrap_err(), unknown);
    assert!(engine.reductions().list("bob").is_empty());
    assert!(engine.reductions().delete("bob", "corpus").await.is_err());
    assert_eq!(engine.reductions().list("alice").len(), 1);
}

#[tokio::test]
async fn it_fits_its_own_model_and_weights_only() {
    let dir = tempfile::tempdir().unwrap();
    let kept = ReductionsConfig {
        path: Some(dir.path().join("state/reductions.redb")),
        ..ReductionsConfig::default()
    };
    let before = engine(kept.clone(), "1");
    fit(&before, new("alice", "corpus", 3)).await.unwrap();
    let said = refusal(&before, request("other", "alice", "corpus", None)).await;
    assert!(
        said.starts_with("reduction: ") && said.contains("`m`"),
        "{said}"
    );
    drop(before);
    let after = engine(kept, "2");
    let said = refusal(&after, request("m", "alice", "corpus", None)).await;
    assert!(
        said.contains("other weights") && said.contains("fit it again"),
        "{said}"
    );
}

#[tokio::test]
async fn it_outlives_the_process_bit_by_bit_and_deleted_versions_do_not_return() {
    let dir = tempfile::tempdir().unwrap();
    let kept = |path: &Path| ReductionsConfig {
        path: Some(path.join("reductions.redb")),
        ..ReductionsConfig::default()
    };
    let before = engine(kept(dir.path()), "1");
    for _ in 0..3 {
        fit(&before, new("alice", "corpus", 3)).await.unwrap();
    }
    let asked = request("m", "alice", "corpus@2", None);
    let (_, vector, _) = embed(&before, asked.clone()).await;
    assert_eq!(before.reductions().delete("alice", "corpus@3").await, Ok(1));
    let listed = before.reductions().list("alice");
    drop(before);

    let after = engine(kept(dir.path()), "1");
    assert_eq!(after.reductions().list("alice"), listed);
    assert_eq!(embed(&after, asked).await.1, vector);
    let next = fit(&after, new("alice", "corpus", 3)).await.unwrap();
    assert_eq!(next.id(), "corpus@4");
    assert_eq!(after.reductions().delete("alice", "corpus").await, Ok(3));
    assert!(after.reductions().list("alice").is_empty());
}

#[tokio::test]
async fn a_configured_projection_is_everybodys_and_every_models() {
    let engine = engine(
        ReductionsConfig {
            shared: vec![SharedReduction {
                name: "small".to_owned(),
                kind: SharedKind::Random,
                dimensions: 4.try_into().unwrap(),
                seed: 7,
            }],
            ..ReductionsConfig::default()
        },
        "1",
    );
    let (length, one, named) = embed(&engine, request("m", "alice", "small", None)).await;
    assert_eq!((length, named.as_deref()), (4, Some("small")));
    assert_eq!(
        embed(&engine, request("other", "bob", "small", None))
            .await
            .1,
        one
    );
    let said = fit(&engine, new("alice", "small", 3)).await.unwrap_err();
    assert!(said.to_string().starts_with("name: "), "{said}");
    assert!(engine.reductions().delete("alice", "small").await.is_err());
}

#[tokio::test]
async fn only_a_model_that_was_trained_for_it_is_shortened() {
    let engine = in_memory();
    let (length, short, named) = embed(&engine, request("nested", "a", "", Some(4))).await;
    assert_eq!((length, named), (4, None));
    let (_, full, _) = embed(&engine, request("nested", "a", "", None)).await;
    assert!((short[0] / short[3] - full[0] / full[3]).abs() < 1e-4);
    assert_eq!(
        embed(&engine, request("nested", "a", "", Some(8))).await.1,
        full
    );
    let said = refusal(&engine, request("nested", "a", "", Some(1))).await;
    assert!(said.contains("2 to 8"), "{said}");
    let said = refusal(&engine, request("m", "a", "", Some(4))).await;
    assert!(
        said.starts_with("dimensions: ") && said.contains("`reduction`"),
        "{said}"
    );
}

#[tokio::test]
async fn each_wrong_field_of_a_new_reduction_is_named() {
    let engine = in_memory();
    let base = || new("alice", "corpus", 3);
    let vectors = |all: &[&[f32]]| Corpus::Vectors(all.iter().map(|v| v.to_vec()).collect());
    let one = [0.5f32; 8];
    let mut nan = one;
    nan[3] = f32::NAN;
    let cases: Vec<(NewReduction, &str, &str)> = vec![
        (new("alice", "", 3), "name", "1 to 64"),
        (new("alice", "My Corpus", 3), "name", "a-z"),
        (new("alice", &"n".repeat(65), 3), "name", "1 to 64"),
        (new("alice", "corpus@2", 3), "name", "a-z"),
        (new("alice", "corpus", 0), "dimensions", "1 to 8"),
        (new("alice", "corpus", 9), "dimensions", "1 to 8"),
        (
            NewReduction {
                corpus: Corpus::Texts(corpus()[..3].to_vec()),
                ..base()
            },
            "input",
            "at least 4",
        ),
        (
            NewReduction {
                corpus: Corpus::Texts(["a", "b", "", "c"].map(str::to_owned).to_vec()),
                ..base()
            },
            "input[2]",
            "empty",
        ),
        (
            NewReduction {
                corpus: vectors(&[&one, &one, &one[..7], &one]),
                ..base()
            },
            "vectors[2]",
            "8",
        ),
        (
            NewReduction {
                corpus: vectors(&[&one, &nan, &one, &one]),
                ..base()
            },
            "vectors[1]",
            "none",
        ),
    ];
    for (new, field, hint) in cases {
        let said = fit(&engine, new).await.unwrap_err().to_string();
        let named = said
            .strip_prefix(field)
            .is_some_and(|rest| rest.starts_with(": "));
        assert!(named && said.contains(hint), "{field}: {said}");
    }
    let unknown = NewReduction {
        model: "nonesuch".to_owned(),
        ..base()
    };
    let said = fit(&engine, unknown).await.unwrap_err();
    assert!(matches!(said, EmbedError::UnknownModel { .. }), "{said}");
    for wrong in ["corpus@0", "corpus@x", "corpus@1@2", "@1", "Corpus"] {
        let said = refusal(&engine, request("m", "alice", wrong, None)).await;
        assert!(said.starts_with("reduction: "), "{wrong}: {said}");
    }
}

#[tokio::test]
async fn vectors_fit_as_the_texts_that_they_are_of() {
    let engine = in_memory();
    let inputs = Inputs::Texts(corpus());
    let embedded = engine.embed(EmbedRequest::new("m", inputs)).await.unwrap();
    let vectors = embedded.data.into_iter().map(|one| one.vector).collect();
    let by_vectors = NewReduction {
        corpus: Corpus::Vectors(vectors),
        ..new("alice", "by-vectors", 3)
    };
    fit(&engine, by_vectors).await.unwrap();
    fit(&engine, new("alice", "by-texts", 3)).await.unwrap();
    let one = embed(&engine, request("m", "alice", "by-vectors", None)).await;
    let other = embed(&engine, request("m", "alice", "by-texts", None)).await;
    assert_eq!(one.1, other.1);
}

#[tokio::test]
async fn there_is_a_bound_on_what_is_kept() {
    let engine = engine(
        ReductionsConfig {
            max_per_caller: 2.try_into().unwrap(),
            ..ReductionsConfig::default()
        },
        "1",
    );
    for _ in 0..2 {
        fit(&engine, new("alice", "corpus", 3)).await.unwrap();
    }
    let said = fit(&engine, new("alice", "more", 3)).await.unwrap_err();
    assert_eq!(said, EmbedError::TooManyReductions);
    assert!(fit(&engine, new("bob", "corpus", 3)).await.is_ok());
    engine
        .reductions()
        .delete("alice", "corpus@1")
        .await
        .unwrap();
    assert!(fit(&engine, new("alice", "more", 3)).await.is_ok());
}
