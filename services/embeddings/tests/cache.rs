//! What the cache promises, with a model that counts instead of one that computes.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures_util::future::{join_all, try_join_all};
use signalbox_embeddings::{
    cache::{Cache, CacheConfig, KeyPrefix},
    request::{EmbedError, Embedded, Inputs, Priority},
};
use signalbox_encoder::InputType;
use tokio::{sync::Semaphore, time};

/// A vector that tells its text.
fn vector(text: &str) -> Embedded {
    let bytes = text.bytes().map(f32::from);
    Embedded {
        vector: bytes.chain([0.0; 3]).take(3).collect(),
        tokens: u32::try_from(text.len()).unwrap(),
        truncated: text.len() > 3,
    }
}

fn texts(all: &[&str]) -> Inputs {
    Inputs::Texts(all.iter().map(|text| (*text).to_owned()).collect())
}

fn prefix() -> KeyPrefix {
    KeyPrefix::new("model", "revision", 3, InputType::Unspecified, "")
}

fn cache() -> Cache {
    Cache::new(&CacheConfig::default()).unwrap()
}

/// Computes, and notes the texts of each call.
#[derive(Default)]
struct Model(Mutex<Vec<Vec<String>>>);

impl Model {
    fn compute(&self, inputs: &Inputs, positions: &[usize]) -> Vec<Embedded> {
        let Inputs::Texts(texts) = inputs else {
            panic!("texts");
        };
        let asked: Vec<String> = positions.iter().map(|at| texts[*at].clone()).collect();
        let answer = asked.iter().map(|text| vector(text)).collect();
        self.0.lock().unwrap().push(asked);
        answer
    }

    async fn ask(&self, cache: &Cache, all: &[&str]) -> Result<Vec<Embedded>, EmbedError> {
        let inputs = texts(all);
        let compute = async |positions: Vec<usize>| Ok(self.compute(&inputs, &positions));
        let interactive = Priority::Interactive;
        cache.embed(&prefix(), &inputs, interactive, compute).await
    }

    fn calls(&self) -> Vec<Vec<String>> {
        self.0.lock().unwrap().clone()
    }
}

#[tokio::test]
async fn every_input_gets_its_own_result_and_no_text_is_computed_twice() {
    let (cache, model) = (cache(), Model::default());
    let answer = model.ask(&cache, &["a", "bb", "a", "long", "bb"]).await;
    let expected = ["a", "bb", "a", "long", "bb"].map(vector);
    assert_eq!(answer.unwrap(), expected);
    assert_eq!(model.calls(), [["a", "bb", "long"]]);
    let answer = model.ask(&cache, &["long", "new", "a"]).await;
    assert_eq!(answer.unwrap(), ["long", "new", "a"].map(vector));
    assert_eq!(model.calls()[1..], [["new"]]);
}

#[tokio::test(start_paused = true)]
async fn a_result_is_computed_again_after_a_day() {
    let (cache, model) = (cache(), Model::default());
    model.ask(&cache, &["a"]).await.unwrap();
    time::advance(Duration::from_secs(24 * 60 * 60 - 1)).await;
    model.ask(&cache, &["a"]).await.unwrap();
    assert_eq!(model.calls().len(), 1);
    time::advance(Duration::from_secs(1)).await;
    model.ask(&cache, &["a"]).await.unwrap();
    assert_eq!(model.calls().len(), 2);
}

#[tokio::test]
async fn a_cache_that_is_off_computes_everything() {
    let off = CacheConfig {
        ttl_seconds: 0,
        ..CacheConfig::default()
    };
    let (cache, model) = (Cache::new(&off).unwrap(), Model::default());
    let answer = model.ask(&cache, &["a", "b", "a"]).await.unwrap();
    assert_eq!(answer, ["a", "b", "a"].map(vector));
    assert_eq!(model.calls(), [["a", "b", "a"]]);
}

#[tokio::test]
async fn results_of_other_weights_and_prompts_are_not_taken() {
    let cache = cache();
    let computed = AtomicUsize::new(0);
    let query = InputType::Query;
    for prefix in [
        KeyPrefix::new("model", "1", 3, InputType::Unspecified, ""),
        KeyPrefix::new("model", "2", 3, InputType::Unspecified, ""),
        KeyPrefix::new("model", "2", 3, query, ""),
        KeyPrefix::new("model", "2", 3, query, "int8"),
    ] {
        let compute = async |_| {
            computed.fetch_add(1, Ordering::Relaxed);
            Ok(vec![vector("a")])
        };
        let inputs = texts(&["a"]);
        let interactive = Priority::Interactive;
        let answer = cache.embed(&prefix, &inputs, interactive, compute).await;
        assert_eq!(answer.unwrap(), [vector("a")]);
    }
    assert_eq!(computed.load(Ordering::Relaxed), 4);
}

/// A computation that waits until it is let go.
struct Gate {
    begun: AtomicUsize,
    open: Semaphore,
}

impl Gate {
    fn closed() -> Self {
        Self {
            begun: AtomicUsize::new(0),
            open: Semaphore::new(0),
        }
    }

    async fn ask(
        &self,
        cache: &Cache,
        result: Result<Embedded, EmbedError>,
    ) -> Result<Vec<Embedded>, EmbedError> {
        let compute = async |_| {
            self.begun.fetch_add(1, Ordering::Relaxed);
            self.open.acquire().await.unwrap().forget();
            result.clone().map(|one| vec![one])
        };
        let inputs = texts(&["the same"]);
        let interactive = Priority::Interactive;
        cache.embed(&prefix(), &inputs, interactive, compute).await
    }

    fn begun(&self) -> usize {
        self.begun.load(Ordering::Relaxed)
    }
}

/// Lets every task run until it waits.
async fn settle() {
    for _ in 0..1_000 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_stampede_of_200_equal_requests_makes_one_computation() {
    let (cache, gate) = (cache(), Gate::closed());
    let all = try_join_all((0..200).map(|_| gate.ask(&cache, Ok(vector("the same")))));
    let open = async {
        settle().await;
        gate.open.add_permits(1_000);
    };
    let (answers, ()) = tokio::join!(all, open);
    assert_eq!(answers.unwrap(), vec![vec![vector("the same")]; 200]);
    assert_eq!(gate.begun(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_stampede_on_many_threads_makes_one_computation_too() {
    for _ in 0..20 {
        let (cache, gate) = (Arc::new(cache()), Arc::new(Gate::closed()));
        gate.open.add_permits(1_000);
        let ask = |_| {
            let (cache, gate) = (Arc::clone(&cache), Arc::clone(&gate));
            tokio::spawn(async move { gate.ask(&cache, Ok(vector("the same"))).await })
        };
        for answer in join_all((0..200).map(ask)).await {
            assert_eq!(answer.unwrap().unwrap(), [vector("the same")]);
        }
        assert_eq!(gate.begun(), 1);
    }
}

#[tokio::test]
async fn when_the_first_goes_away_one_of_the_others_takes_over() {
    let (cache, gate) = (cache(), Gate::closed());
    let mut leader = Box::pin(gate.ask(&cache, Ok(vector("the same"))));
    assert!(futures_util::poll!(&mut leader).is_pending());
    let others = try_join_all((0..20).map(|_| gate.ask(&cache, Ok(vector("the same")))));
    let leave = async {
        settle().await;
        assert_eq!(gate.begun(), 1);
        drop(leader);
        settle().await;
        assert_eq!(gate.begun(), 2);
        gate.open.add_permits(1_000);
    };
    let (answers, ()) = tokio::join!(others, leave);
    assert_eq!(answers.unwrap().len(), 20);
    assert_eq!(gate.begun(), 2);
}

#[tokio::test]
async fn there_being_no_room_is_said_to_all_who_wait_and_not_kept() {
    let (cache, gate) = (cache(), Gate::closed());
    let full = EmbedError::Overloaded {
        retry_after: Duration::from_secs(1),
    };
    let all = join_all((0..20).map(|_| gate.ask(&cache, Err(full.clone()))));
    let open = async {
        settle().await;
        gate.open.add_permits(1_000);
    };
    let (answers, ()) = tokio::join!(all, open);
    assert!(answers.iter().all(|answer| *answer == Err(full.clone())));
    assert_eq!(gate.begun(), 1);
    assert!(gate.ask(&cache, Ok(vector("the same"))).await.is_ok());
}

#[tokio::test]
async fn what_is_wrong_with_one_request_is_not_said_to_another() {
    let (cache, gate) = (cache(), Gate::closed());
    let bad = gate.ask(&cache, Err(EmbedError::DeadlineExceeded));
    let good = gate.ask(&cache, Ok(vector("the same")));
    gate.open.add_permits(1_000);
    let (bad, good) = tokio::join!(bad, good);
    assert_eq!(bad, Err(EmbedError::DeadlineExceeded));
    assert_eq!(good.unwrap(), [vector("the same")]);
    assert_eq!(gate.begun(), 2);
}

#[tokio::test]
async fn two_requests_that_share_texts_in_opposite_orders_both_end() {
    let (cache, model) = (cache(), Model::default());
    let slow = |all: &'static [&'static str]| {
        let (cache, model) = (&cache, &model);
        async move {
            let inputs = texts(all);
            let compute = async |positions: Vec<usize>| {
                tokio::task::yield_now().await;
                Ok(model.compute(&inputs, &positions))
            };
            let interactive = Priority::Interactive;
            cache.embed(&prefix(), &inputs, interactive, compute).await
        }
    };
    let (one, other) = tokio::join!(slow(&["a", "b"]), slow(&["c", "b", "a"]));
    assert_eq!(one.unwrap(), ["a", "b"].map(vector));
    assert_eq!(other.unwrap(), ["c", "b", "a"].map(vector));
    let mut computed = model.calls().concat();
    computed.sort();
    assert_eq!(computed, ["a", "b", "c"]);
}

/// On one thread with no waiting, time is CPU: `--nocapture` shows it.
#[tokio::test]
async fn hits_compute_nothing() {
    const HITS: u32 = 2_000;
    let cache = cache();
    // A paragraph, and a vector of 384 numbers.
    let text = "A signal box is where points and signals are worked. ".repeat(20);
    let inputs = texts(&[&text]);
    let result = Embedded {
        vector: vec![0.05; 384],
        tokens: 240,
        truncated: false,
    };
    let computed = AtomicUsize::new(0);
    let compute = async |_| {
        computed.fetch_add(1, Ordering::Relaxed);
        Ok(vec![result.clone()])
    };
    let ask = async || {
        let prefix = KeyPrefix::new(
            "all-MiniLM-L6-v2",
            "revision",
            384,
            InputType::Unspecified,
            "",
        );
        let interactive = Priority::Interactive;
        cache.embed(&prefix, &inputs, interactive, compute).await
    };
    ask().await.unwrap();
    let started = std::time::Instant::now();
    for _ in 0..HITS {
        ask().await.unwrap();
    }
    println!("a hit: {:?}", started.elapsed() / HITS);
    assert_eq!(computed.load(Ordering::Relaxed), 1);
}
