//! Models that work on command. A text's tokens are its bytes.

// Each test binary uses a part.
#![allow(dead_code)]

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
        mpsc as sync_mpsc,
    },
    thread,
    time::Duration,
};

use signalbox_embeddings::{
    EmbeddingsConfig, Engine, Jobs,
    cache::CacheConfig,
    jobs::JobsConfig,
    model::{Encoded, Model, ModelCard},
    request::{EmbedError, EmbedRequest, Inputs},
};
use signalbox_encoder::{InputType, TokenIdError, Tokenized};
use tokio::sync::mpsc;

pub(crate) fn card(name: &str) -> ModelCard {
    ModelCard {
        name: name.to_owned(),
        revision: String::new(),
        dimensions: 1,
        matryoshka: Vec::new(),
        max_input_tokens: 1_000,
        pooling: "mean".to_owned(),
        license: "Apache-2.0".to_owned(),
    }
}

pub(crate) fn one_thread() -> EmbeddingsConfig {
    EmbeddingsConfig {
        worker_threads: 1.try_into().ok(),
        // Off: the models are asked for every text, equal ones too.
        cache: CacheConfig {
            ttl_seconds: 0,
            ..CacheConfig::default()
        },
        ..Default::default()
    }
}

/// An engine with one model, `m`.
pub(crate) fn engine(config: &EmbeddingsConfig, model: impl Model + 'static) -> Engine {
    Engine::new(config, [(card("m"), Arc::new(model) as Arc<dyn Model>)]).unwrap()
}

/// Jobs of this engine, in memory.
pub(crate) async fn jobs(engine: &Engine) -> Arc<Jobs> {
    let jobs = Jobs::start(&JobsConfig::default(), Arc::new(engine.clone())).await;
    Arc::new(jobs.unwrap())
}

pub(crate) fn texts(texts: &[&str]) -> EmbedRequest {
    let texts = texts.iter().map(|text| (*text).to_owned()).collect();
    EmbedRequest::new("m", Inputs::Texts(texts))
}

pub(crate) fn request() -> EmbedRequest {
    EmbedRequest {
        user: "alice".to_owned(),
        ..texts(&["a text"])
    }
}

fn bytes(text: &str) -> Tokenized {
    Tokenized::new(text.bytes().map(u32::from).collect(), false)
}

fn vectors(batch: &[Tokenized]) -> Encoded {
    Encoded {
        vectors: batch
            .iter()
            .map(|text| vec![text.ids()[0] as f32])
            .collect(),
        pooling: Duration::ZERO,
    }
}

fn words(batch: &[Tokenized]) -> Vec<String> {
    let byte = |id: &u32| u8::try_from(*id).unwrap_or(b'?') as char;
    batch
        .iter()
        .map(|text| text.ids().iter().map(byte).collect())
        .collect()
}

/// Answers at once, with a text's first token.
pub(crate) struct Instantly;

impl Model for Instantly {
    fn tokenize(&self, text: &str, _: InputType) -> Result<Tokenized, EmbedError> {
        Ok(bytes(text))
    }

    fn accept_ids(&self, ids: &[u32]) -> Result<Tokenized, TokenIdError> {
        Ok(Tokenized::new(ids.to_vec(), false))
    }

    fn encode(&self, batch: &[Tokenized], _: &AtomicBool) -> Result<Encoded, EmbedError> {
        Ok(vectors(batch))
    }
}

/// Panics where a text is `bad`.
pub(crate) struct Broken;

impl Model for Broken {
    fn tokenize(&self, text: &str, _: InputType) -> Result<Tokenized, EmbedError> {
        Ok(bytes(text))
    }

    fn accept_ids(&self, ids: &[u32]) -> Result<Tokenized, TokenIdError> {
        Ok(Tokenized::new(ids.to_vec(), false))
    }

    fn encode(&self, batch: &[Tokenized], _: &AtomicBool) -> Result<Encoded, EmbedError> {
        assert!(
            !words(batch).contains(&"bad".to_owned()),
            "a bug in a model"
        );
        Ok(vectors(batch))
    }
}

/// Tells of each batch, and computes it when a gate is opened or its work is cancelled.
/// A batch with a text `bad` fails.
pub(crate) struct Gated {
    begun: mpsc::UnboundedSender<Vec<String>>,
    cancelled: mpsc::UnboundedSender<()>,
    gates: Mutex<sync_mpsc::Receiver<()>>,
    /// Texts that were tokenised.
    pub(crate) tokenized: Arc<Mutex<usize>>,
}

/// The other side of a [`Gated`] model. When it goes, all gates are open.
pub(crate) struct Gates {
    begun: mpsc::UnboundedReceiver<Vec<String>>,
    cancelled: mpsc::UnboundedReceiver<()>,
    gates: sync_mpsc::Sender<()>,
}

impl Gates {
    /// The texts of the next batch, once its computation begins.
    pub(crate) async fn begun(&mut self) -> Vec<String> {
        self.begun.recv().await.unwrap()
    }

    /// Waits until a batch was cancelled.
    pub(crate) async fn cancelled(&mut self) {
        self.cancelled.recv().await.unwrap();
    }

    /// Lets one batch be computed.
    pub(crate) fn open(&self) {
        self.gates.send(()).unwrap();
    }

    /// Lets all batches be computed from now on.
    pub(crate) fn open_all(self) {}
}

impl Gated {
    pub(crate) fn new() -> (Self, Gates) {
        let (begun, begins) = mpsc::unbounded_channel();
        let (cancelled, cancels) = mpsc::unbounded_channel();
        let (opener, gates) = sync_mpsc::channel();
        let model = Self {
            begun,
            cancelled,
            gates: Mutex::new(gates),
            tokenized: Arc::default(),
        };
        let gates = Gates {
            begun: begins,
            cancelled: cancels,
            gates: opener,
        };
        (model, gates)
    }

    fn is_open(&self) -> bool {
        let opened = self.gates.lock().unwrap().try_recv();
        opened != Err(sync_mpsc::TryRecvError::Empty)
    }
}

impl Model for Gated {
    fn tokenize(&self, text: &str, _: InputType) -> Result<Tokenized, EmbedError> {
        *self.tokenized.lock().unwrap() += 1;
        Ok(bytes(text))
    }

    fn accept_ids(&self, ids: &[u32]) -> Result<Tokenized, TokenIdError> {
        Ok(Tokenized::new(ids.to_vec(), false))
    }

    fn encode(&self, batch: &[Tokenized], cancel: &AtomicBool) -> Result<Encoded, EmbedError> {
        // The test may be over.
        let _ = self.begun.send(words(batch));
        while !self.is_open() {
            if cancel.load(Ordering::Relaxed) {
                let _ = self.cancelled.send(());
                return Err(EmbedError::Cancelled);
            }
            thread::yield_now();
        }
        match words(batch).iter().any(|word| word == "bad") {
            true => Err(EmbedError::Failed("bad".to_owned())),
            false => Ok(vectors(batch)),
        }
    }
}

/// Answers at once, but a batch with a text `slow` only after another batch.
pub(crate) struct Slow;

impl Model for Slow {
    fn tokenize(&self, text: &str, _: InputType) -> Result<Tokenized, EmbedError> {
        Ok(bytes(text))
    }

    fn accept_ids(&self, ids: &[u32]) -> Result<Tokenized, TokenIdError> {
        Ok(Tokenized::new(ids.to_vec(), false))
    }

    fn encode(&self, batch: &[Tokenized], cancel: &AtomicBool) -> Result<Encoded, EmbedError> {
        static OTHERS: AtomicBool = AtomicBool::new(false);
        if words(batch).contains(&"slow".to_owned()) {
            while !OTHERS.load(Ordering::Relaxed) && !cancel.load(Ordering::Relaxed) {
                thread::yield_now();
            }
        } else {
            OTHERS.store(true, Ordering::Relaxed);
        }
        Ok(vectors(batch))
    }
}
