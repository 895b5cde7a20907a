//! What the engine does when work is slow, plentiful or abandoned, with models that
//! work on command.

#![allow(clippy::unwrap_used)]

mod fake;

use std::{
    fmt,
    sync::{Arc, Mutex, atomic::AtomicBool},
    time::Duration,
};

use fake::{Broken, Gated, Gates, Instantly, card, engine, one_thread, request, texts};
use signalbox_embeddings::{
    EmbeddingsConfig, Engine,
    engine::StartError,
    load,
    model::{Encoded, Model},
    request::{EmbedError, EmbedRequest, EmbedResponse, Inputs, Priority, Terms, WhenFull},
};
use signalbox_encoder::{InputType, TokenIdError, Tokenized};
use tokio::{task::JoinHandle, time};
use tracing::{Subscriber, field::Visit, span};
use tracing_subscriber::{Layer, layer::Context, layer::SubscriberExt as _, registry::LookupSpan};

type Call = JoinHandle<Result<EmbedResponse, EmbedError>>;

fn start(engine: &Engine, request: EmbedRequest) -> Call {
    let engine = engine.clone();
    tokio::spawn(async move { engine.embed(request).await })
}

fn from(caller: &str, text: &str) -> EmbedRequest {
    EmbedRequest {
        terms: Terms {
            caller: caller.into(),
            ..Terms::default()
        },
        ..texts(&[text])
    }
}

async fn idle(engine: &Engine) {
    while !engine.is_idle() {
        tokio::task::yield_now().await;
    }
}

/// Lets every task go as far as it can, the threads for blocking work included.
async fn settle() {
    for _ in 0..3 {
        tokio::task::spawn_blocking(|| ()).await.unwrap();
        tokio::task::yield_now().await;
    }
}

/// A gated engine whose one thread is busy, and the call that it is busy with.
async fn busy(config: &EmbeddingsConfig) -> (Engine, Gates, Call) {
    let (model, mut gates) = Gated::new();
    let engine = engine(config, model);
    let call = start(&engine, from("busy", "busy"));
    assert_eq!(gates.begun().await, ["busy"]);
    (engine, gates, call)
}

#[tokio::test]
async fn a_caller_that_goes_away_stops_the_work_and_frees_its_worker() {
    let (model, mut gates) = Gated::new();
    let engine = engine(&one_thread(), model);
    for _ in 0..2 {
        let call = start(&engine, request());
        gates.begun().await;
        call.abort();
        assert!(call.await.unwrap_err().is_cancelled());
        gates.cancelled().await;
        idle(&engine).await;
    }
}

#[tokio::test]
async fn a_caller_that_goes_away_leaves_the_line_and_others_of_its_batch_are_computed() {
    let (engine, mut gates, first) = busy(&one_thread()).await;
    let (gone, stays) = (from("a", "gone"), from("b", "stays"));
    let (gone, stays) = (start(&engine, gone), start(&engine, stays));
    settle().await;
    gone.abort();
    assert!(gone.await.unwrap_err().is_cancelled());
    gates.open();
    assert_eq!(gates.begun().await, ["stays"]);
    gates.open();
    assert!(first.await.unwrap().is_ok());
    assert_eq!(stays.await.unwrap().unwrap().data.len(), 1);
}

#[tokio::test]
async fn a_batch_goes_on_while_anybody_waits_for_it() {
    let (engine, mut gates, _first) = busy(&one_thread()).await;
    let calls = ["a", "b"].map(|caller| start(&engine, from(caller, caller)));
    settle().await;
    gates.open();
    let mut batch = gates.begun().await;
    batch.sort_unstable();
    assert_eq!(batch, ["a", "b"], "one batch for two callers");
    let [a, b] = calls;
    a.abort();
    assert!(a.await.unwrap_err().is_cancelled());
    gates.open();
    assert_eq!(b.await.unwrap().unwrap().tokens, 1);
}

#[tokio::test]
async fn one_more_than_may_wait_is_refused_at_once_and_told_when_to_come_back() {
    let config = EmbeddingsConfig {
        max_waiting: 1,
        ..one_thread()
    };
    let (engine, gates, first) = busy(&config).await;
    let second = start(&engine, request());
    settle().await;
    let Err(EmbedError::Overloaded { retry_after }) = engine.embed(request()).await else {
        panic!("it was let in")
    };
    assert!(retry_after <= Duration::from_secs(1), "{retry_after:?}");
    gates.open_all();
    assert!(first.await.unwrap().is_ok());
    assert!(second.await.unwrap().is_ok());
}

#[tokio::test]
async fn more_tokens_than_may_wait_are_refused_and_the_wait_grows_with_the_line() {
    let config = EmbeddingsConfig {
        max_waiting_tokens: 1_000.try_into().unwrap(),
        max_batch_tokens: 8.try_into().unwrap(),
        ..one_thread()
    };
    let (engine, gates, _first) = busy(&config).await;
    let ids = |count| EmbedRequest::new("m", Inputs::TokenIds(vec![vec![1; count]]));
    let refusal = async |request| match engine.embed(request).await {
        Err(EmbedError::Overloaded { retry_after }) => retry_after,
        other => panic!("{other:?}"),
    };
    let small = refusal(ids(997)).await;
    let _waits = start(&engine, ids(900));
    settle().await;
    let large = refusal(ids(500)).await;
    assert!(large > 2 * small, "{large:?} after {small:?}");
    gates.open_all();
}

#[tokio::test]
async fn who_will_wait_is_let_in_when_there_is_room() {
    let config = EmbeddingsConfig {
        max_waiting: 0,
        ..one_thread()
    };
    let (engine, gates, _first) = busy(&config).await;
    let mut patient = request();
    patient.terms.when_full = WhenFull::Wait;
    let patient = start(&engine, patient);
    settle().await;
    assert!(!patient.is_finished());
    gates.open_all();
    assert_eq!(patient.await.unwrap().unwrap().data.len(), 1);
}

#[tokio::test]
async fn wrong_requests_are_refused_even_when_there_is_no_room() {
    let config = EmbeddingsConfig {
        max_waiting: 0,
        ..one_thread()
    };
    let (engine, gates, _first) = busy(&config).await;
    let refused = engine.embed(texts(&[])).await;
    assert!(
        matches!(refused, Err(EmbedError::Invalid { .. })),
        "{refused:?}"
    );
    gates.open_all();
}

#[tokio::test(start_paused = true)]
async fn what_is_too_late_is_not_computed() {
    let (engine, mut gates, _first) = busy(&one_thread()).await;
    let mut late = from("late", "late");
    late.terms.deadline = Some(time::Instant::now() + Duration::from_millis(20));
    assert_eq!(engine.embed(late).await, Err(EmbedError::DeadlineExceeded));
    let next = start(&engine, from("next", "next"));
    settle().await;
    gates.open();
    assert_eq!(gates.begun().await, ["next"]);
    gates.open();
    assert!(next.await.unwrap().is_ok());
}

#[tokio::test(start_paused = true)]
async fn the_phases_say_where_the_time_went() {
    let (engine, mut gates, _first) = busy(&one_thread()).await;
    let call = start(&engine, from("a", "a"));
    settle().await;
    time::advance(Duration::from_millis(5)).await;
    gates.open();
    assert_eq!(gates.begun().await, ["a"]);
    time::advance(Duration::from_millis(7)).await;
    gates.open();
    let phases = call.await.unwrap().unwrap().phases;
    assert_eq!(phases.queue, Duration::from_millis(5));
    assert_eq!(phases.infer, Duration::from_millis(7));
    assert_eq!(phases.total, Duration::from_millis(12));
}

#[tokio::test]
async fn a_large_request_does_not_hold_up_a_short_one() {
    let config = EmbeddingsConfig {
        bulk_above_tokens: 50,
        max_batch_tokens: 8.try_into().unwrap(),
        ..one_thread()
    };
    let (model, mut gates) = Gated::new();
    let engine = engine(&config, model);
    let large = start(&engine, texts(&["large"; 100]));
    assert_eq!(gates.begun().await, ["large"]);
    let short = start(&engine, from("short", "short"));
    // Its batch begins while the large request's still runs.
    assert_eq!(gates.begun().await, ["short"]);
    gates.open_all();
    assert_eq!(short.await.unwrap().unwrap().data.len(), 1);
    assert_eq!(large.await.unwrap().unwrap().data.len(), 100);
}

#[tokio::test]
async fn a_job_waits_until_nobody_else_wants_the_processor() {
    let (engine, mut gates, _first) = busy(&one_thread()).await;
    let mut job = from("job", "job");
    job.terms.priority = Priority::Bulk;
    let job = start(&engine, job);
    settle().await;
    let query = start(&engine, from("query", "query"));
    settle().await;
    gates.open();
    assert_eq!(gates.begun().await, ["query"]);
    gates.open();
    assert_eq!(gates.begun().await, ["job"]);
    gates.open();
    assert!(query.await.unwrap().is_ok() && job.await.unwrap().is_ok());
}

#[tokio::test]
async fn only_a_window_of_a_large_request_is_tokenised_ahead() {
    let config = EmbeddingsConfig {
        max_batch_tokens: 64.try_into().unwrap(),
        ..one_thread()
    };
    let (model, mut gates) = Gated::new();
    let tokenized = Arc::clone(&model.tokenized);
    let engine = engine(&config, model);
    let call = start(&engine, texts(&["12345678"; 10_000]));
    gates.begun().await;
    settle().await;
    let ahead = *tokenized.lock().unwrap();
    assert!(ahead <= 64, "{ahead} texts");
    gates.open_all();
    assert_eq!(call.await.unwrap().unwrap().data.len(), 10_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_come_in_the_order_of_the_texts_whatever_thread_was_first() {
    let config = EmbeddingsConfig {
        worker_threads: 3.try_into().ok(),
        max_batch_tokens: 5.try_into().unwrap(),
        ..Default::default()
    };
    let engine = engine(&config, Instantly);
    let inputs: Vec<Vec<u32>> = (0..1_000).map(|i| vec![i; 1 + i as usize % 7]).collect();
    let answer = engine
        .embed(EmbedRequest::new("m", Inputs::TokenIds(inputs)))
        .await
        .unwrap();
    for (index, embedded) in answer.data.iter().enumerate() {
        assert_eq!(embedded.vector, [index as f32]);
        assert_eq!(embedded.tokens as usize, 1 + index % 7);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_storm_of_calls_that_come_and_go_leaves_nothing_behind() {
    let config = EmbeddingsConfig {
        worker_threads: 2.try_into().ok(),
        max_batch_tokens: 16.try_into().unwrap(),
        bulk_above_tokens: 40,
        max_bulk_requests: 1_000.try_into().unwrap(),
        max_waiting: 1_000,
        max_waiting_tokens: 100_000.try_into().unwrap(),
        ..Default::default()
    };
    let engine = engine(&config, Instantly);
    let calls: Vec<(usize, Call)> = (0..600)
        .map(|i| {
            let inputs = vec![vec![i as u32; 1 + i % 5]; 1 + i % 30];
            let mut request = EmbedRequest::new("m", Inputs::TokenIds(inputs));
            request.terms.caller = format!("caller-{}", i % 7).into();
            (i, start(&engine, request))
        })
        .collect();
    for (i, call) in calls {
        if i % 3 == 0 {
            call.abort();
        }
        match call.await {
            Ok(answer) => {
                let answer = answer.unwrap();
                assert_eq!(answer.data.len(), 1 + i % 30);
                assert!(answer.data.iter().all(|one| one.vector == [i as f32]));
            }
            Err(error) => assert!(error.is_cancelled()),
        }
    }
    idle(&engine).await;
    assert!(engine.embed(request()).await.is_ok());
}

#[tokio::test]
async fn a_model_that_panics_fails_the_call_and_not_the_service() {
    let engine = engine(&one_thread(), Broken);
    for _ in 0..2 {
        let failed = engine.embed(texts(&["bad"])).await;
        assert!(matches!(failed, Err(EmbedError::Failed(_))), "{failed:?}");
    }
    assert!(engine.embed(texts(&["good"])).await.is_ok());
}

#[tokio::test]
async fn a_sequence_that_breaks_a_batch_fails_its_own_call_alone() {
    let (engine, gates, _first) = busy(&one_thread()).await;
    let bad = start(&engine, from("a", "bad"));
    let good = start(&engine, from("b", "good"));
    settle().await;
    gates.open_all();
    let failed = bad.await.unwrap();
    assert!(matches!(failed, Err(EmbedError::Failed(_))), "{failed:?}");
    assert!(good.await.unwrap().is_ok());
}

#[tokio::test]
async fn models_are_found_by_name() {
    let models = ["a", "b"].map(|name| (card(name), Arc::new(Instantly) as Arc<dyn Model>));
    let engine = Engine::new(&EmbeddingsConfig::default(), models).unwrap();
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
async fn two_models_of_one_name_are_refused() {
    let models = ["a", "a"].map(|name| (card(name), Arc::new(Instantly) as Arc<dyn Model>));
    let error = Engine::new(&EmbeddingsConfig::default(), models)
        .err()
        .unwrap();
    assert!(matches!(error, StartError::Twice { .. }), "{error}");
}

#[tokio::test]
async fn a_folder_without_a_model_is_refused_with_the_command_that_fills_it() {
    let dir = tempfile::tempdir().unwrap();
    let error = load(&EmbeddingsConfig::default(), dir.path(), |_| None)
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

/// With one subscriber in the process, `tracing` asks the thread that meets a span first
/// whether anybody wants it, for all threads and for good; another test's thread has none.
/// With two it asks both.
fn two_subscribers() {
    // Set already where a test of this process came here before.
    let _ = tracing::subscriber::set_global_default(tracing_subscriber::registry());
}

#[tokio::test]
async fn a_call_is_a_span_of_the_genai_conventions() {
    two_subscribers();
    let fields = Fields::default();
    let subscriber = tracing_subscriber::registry().with(fields.clone());
    let _guard = tracing::subscriber::set_default(subscriber);
    engine(&one_thread(), Instantly)
        .embed(request())
        .await
        .unwrap();
    let found = fields.0.lock().unwrap().clone();
    for expected in [
        r#"otel.name="embeddings m""#,
        r#"gen_ai.operation.name="embeddings""#,
        r#"gen_ai.request.model="m""#,
        "gen_ai.usage.input_tokens=6",
        r#"enduser.id="alice""#,
    ] {
        assert!(
            found.iter().any(|field| field == expected),
            "{expected} in {found:?}"
        );
    }
}

/// Puts a letter for what a text is for in front of it.
struct Prompted;

impl Model for Prompted {
    fn tokenize(&self, text: &str, input_type: InputType) -> Result<Tokenized, EmbedError> {
        let letter = match input_type {
            InputType::Query => "q",
            InputType::Document => "d",
            InputType::Unspecified => "",
        };
        Instantly.tokenize(&[letter, text].concat(), InputType::Unspecified)
    }

    fn accept_ids(&self, ids: &[u32]) -> Result<Tokenized, TokenIdError> {
        Instantly.accept_ids(ids)
    }

    fn encode(&self, batch: &[Tokenized], cancel: &AtomicBool) -> Result<Encoded, EmbedError> {
        Instantly.encode(batch, cancel)
    }
}

#[tokio::test]
async fn a_query_and_a_document_of_the_same_words_are_two_texts() {
    // With the cache on: neither is answered with the other's vector.
    let engine = engine(&EmbeddingsConfig::default(), Prompted);
    for _ in 0..2 {
        for (input_type, first) in [
            (InputType::Unspecified, b'a'),
            (InputType::Query, b'q'),
            (InputType::Document, b'd'),
        ] {
            let request = EmbedRequest {
                input_type,
                ..texts(&["a text"])
            };
            let response = engine.embed(request).await.unwrap();
            assert_eq!(response.data[0].vector, [f32::from(first)]);
        }
    }
}
