//! What the engine does when work is slow, plentiful or abandoned, with models that
//! work on command.

#![allow(clippy::unwrap_used)]

use std::{
    fmt,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread,
};

use signalbox_embeddings::{
    EmbeddingsConfig, Engine,
    engine::StartError,
    load,
    model::{Model, ModelCard},
    request::{EmbedError, EmbedRequest, Embedded, Inputs},
};
use tracing::{Subscriber, field::Visit, span};
use tracing_subscriber::{Layer, layer::Context, layer::SubscriberExt as _, registry::LookupSpan};

/// Works until it is cancelled; tells when it started and when it ended.
struct Endless {
    events: mpsc::Sender<&'static str>,
}

impl Model for Endless {
    fn embed(&self, _: &Inputs, cancel: &AtomicBool) -> Result<Vec<Embedded>, EmbedError> {
        self.events.send("started").unwrap();
        while !cancel.load(Ordering::Relaxed) {
            thread::yield_now();
        }
        self.events.send("cancelled").unwrap();
        Err(EmbedError::Cancelled)
    }
}

/// Answers at once.
struct Instant;

impl Model for Instant {
    fn embed(&self, inputs: &Inputs, _: &AtomicBool) -> Result<Vec<Embedded>, EmbedError> {
        let one = Embedded {
            vector: vec![1.0],
            tokens: 5,
            truncated: true,
        };
        Ok(vec![one; inputs.len()])
    }
}

/// Panics.
struct Broken;

impl Model for Broken {
    fn embed(&self, _: &Inputs, _: &AtomicBool) -> Result<Vec<Embedded>, EmbedError> {
        panic!("a bug in a model")
    }
}

fn card(name: &str) -> ModelCard {
    ModelCard {
        name: name.to_owned(),
        dimensions: 1,
        max_input_tokens: 8,
        pooling: "mean".to_owned(),
        license: "Apache-2.0".to_owned(),
    }
}

fn engine(max_waiting: usize, model: impl Model + 'static) -> Engine {
    let config = EmbeddingsConfig {
        worker_threads: 1.try_into().ok(),
        max_waiting,
        ..Default::default()
    };
    Engine::new(&config, [(card("m"), Arc::new(model) as Arc<dyn Model>)])
}

fn request() -> EmbedRequest {
    EmbedRequest {
        model: "m".to_owned(),
        inputs: Inputs::Texts(vec!["a text".to_owned()]),
        dimensions: None,
        user: "alice".to_owned(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_that_goes_away_stops_the_work_and_frees_its_worker() {
    let (events, told) = mpsc::channel();
    let engine = engine(0, Endless { events });
    for _ in 0..2 {
        let call = tokio::spawn({
            let engine = engine.clone();
            async move { engine.embed(request()).await }
        });
        assert_eq!(told.recv(), Ok("started"));
        call.abort();
        assert!(call.await.unwrap_err().is_cancelled());
        assert_eq!(told.recv(), Ok("cancelled"));
        // The blocking thread gives its place back just after it reports.
        while !engine.is_idle() {
            tokio::task::yield_now().await;
        }
    }
}

#[tokio::test]
async fn one_more_than_may_wait_is_refused_at_once() {
    let (events, _told) = mpsc::channel();
    let engine = engine(1, Endless { events });
    let (working, waiting) = (engine.embed(request()), engine.embed(request()));
    tokio::pin!(working, waiting);
    // One poll each: the first takes the worker, the second the place to wait.
    assert!(futures_util::poll!(&mut working).is_pending());
    assert!(futures_util::poll!(&mut waiting).is_pending());
    let refused = engine.embed(request()).await;
    assert!(
        matches!(refused, Err(EmbedError::Overloaded { .. })),
        "{refused:?}"
    );
}

#[tokio::test]
async fn wrong_requests_are_refused_even_when_there_is_no_room() {
    let (events, _told) = mpsc::channel();
    let engine = engine(0, Endless { events });
    let working = engine.embed(request());
    tokio::pin!(working);
    assert!(futures_util::poll!(&mut working).is_pending());
    let mut wrong = request();
    wrong.inputs = Inputs::Texts(vec![]);
    let refused = engine.embed(wrong).await;
    assert!(
        matches!(refused, Err(EmbedError::Invalid { .. })),
        "{refused:?}"
    );
}

#[tokio::test]
async fn a_model_that_panics_fails_the_call_and_not_the_service() {
    let engine = engine(0, Broken);
    for _ in 0..2 {
        let failed = engine.embed(request()).await;
        assert!(matches!(failed, Err(EmbedError::Failed(_))), "{failed:?}");
    }
}

#[tokio::test]
async fn models_are_found_by_name() {
    let models = ["a", "b"].map(|name| (card(name), Arc::new(Instant) as Arc<dyn Model>));
    let engine = Engine::new(&EmbeddingsConfig::default(), models);
    let names: Vec<&str> = engine.models().map(|card| card.name.as_str()).collect();
    assert_eq!(names, ["a", "b"]);
    let mut call = request();
    call.model = "b".to_owned();
    assert_eq!(&*engine.embed(call).await.unwrap().model, "b");
    let EmbedError::UnknownModel { available, .. } = engine.embed(request()).await.unwrap_err()
    else {
        panic!("`m` is not loaded")
    };
    assert_eq!(available, ["a", "b"]);
}

#[tokio::test]
async fn a_folder_without_a_model_is_refused_with_the_command_that_fills_it() {
    let dir = tempfile::tempdir().unwrap();
    let error = load(&EmbeddingsConfig::default(), dir.path())
        .await
        .err()
        .unwrap();
    assert!(matches!(error, StartError::Model { .. }));
    let message = error.to_string();
    assert!(
        message.contains("all-MiniLM-L6-v2") && message.contains("models pull"),
        "{message}"
    );
}

/// Keeps every field of every span, as `name=value`.
#[derive(Clone, Default)]
struct Fields(Arc<Mutex<Vec<String>>>);

impl Visit for Fields {
    fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn fmt::Debug) {
        self.0.lock().unwrap().push(format!("{field}={value:?}"));
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Fields {
    fn on_new_span(&self, attributes: &span::Attributes<'_>, _: &span::Id, _: Context<'_, S>) {
        attributes.record(&mut self.clone());
    }

    fn on_record(&self, _: &span::Id, values: &span::Record<'_>, _: Context<'_, S>) {
        values.record(&mut self.clone());
    }
}

#[tokio::test]
async fn a_call_is_a_span_of_the_genai_conventions() {
    let fields = Fields::default();
    let subscriber = tracing_subscriber::registry().with(fields.clone());
    let _guard = tracing::subscriber::set_default(subscriber);
    engine(0, Instant).embed(request()).await.unwrap();
    let found = fields.0.lock().unwrap().clone();
    for expected in [
        r#"otel.name="embeddings m""#,
        r#"gen_ai.operation.name="embeddings""#,
        r#"gen_ai.request.model="m""#,
        "gen_ai.usage.input_tokens=5",
        r#"enduser.id="alice""#,
    ] {
        assert!(
            found.iter().any(|field| field == expected),
            "{expected} in {found:?}"
        );
    }
}
