//! A job of many short texts while its workers are killed again and again, and the
//! proof that nothing of it is lost, doubled or altered.
//!
//! `SIGNALBOX_JOBS_KILLS` and `SIGNALBOX_JOBS_TEXTS` set how many; without them the
//! test is a short one. `make jobs-kill` runs the long one.
#![allow(dead_code, reason = "tests, each of which uses a part")]

use std::{
    collections::hash_map::RandomState,
    hash::{BuildHasher as _, Hasher as _},
    time::{Duration, Instant},
};

use signalbox_proto::embeddings::v1::{
    CreateEmbeddingJobRequest, CreateEmbeddingsRequest, EmbeddingJob, GetEmbeddingJobRequest,
    ReadEmbeddingJobResultsRequest, embedding_job::State,
    embeddings_service_client::EmbeddingsServiceClient,
};
use tonic::transport::Channel;

pub(crate) const MODEL: &str = "all-MiniLM-L6-v2";

/// Texts that a unary call embeds at a time: another number than a chunk's, so that
/// equal results do not come from equal batches.
const UNARY: usize = 100;

/// The text that cannot be embedded.
const POISON: usize = 17;

pub(crate) fn kills() -> usize {
    number("SIGNALBOX_JOBS_KILLS", 3)
}

pub(crate) fn texts() -> Vec<String> {
    let words = [
        "red", "bicycle", "train", "station", "signal", "late", "river", "paper", "quiet", "seven",
    ];
    let text = |n: usize| {
        let word = |at: usize| words[n / 10_usize.pow(u32::try_from(at).unwrap()) % 10];
        format!("{} {} {} {n}", word(0), word(1), word(2))
    };
    let mut texts: Vec<String> = (0..number("SIGNALBOX_JOBS_TEXTS", 1_000))
        .map(text)
        .collect();
    texts[POISON].clear();
    texts
}

fn number(name: &str, default: usize) -> usize {
    match std::env::var(name) {
        Ok(value) => value
            .parse()
            .unwrap_or_else(|_| panic!("{name} is a number")),
        Err(_) => default,
    }
}

/// A random time up to `most`.
fn moment(most: Duration) -> Duration {
    most.mul_f64(f64::from(u32::try_from(random() >> 32).unwrap()) / f64::from(u32::MAX))
}

/// A random number.
pub(crate) fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}

pub(crate) async fn client(url: &str) -> EmbeddingsServiceClient<Channel> {
    let channel = Channel::from_shared(url.to_owned()).unwrap();
    EmbeddingsServiceClient::new(channel.connect().await.unwrap())
        .max_decoding_message_size(64 << 20)
        .max_encoding_message_size(64 << 20)
}

/// One job, watched from its creation to its end.
pub(crate) struct Watched {
    texts: Vec<String>,
    id: String,
    finished: u32,
    begun: Instant,
}

impl Watched {
    pub(crate) async fn create(url: &str, key: &str) -> Self {
        let texts = texts();
        let request = CreateEmbeddingJobRequest {
            idempotency_key: key.to_owned(),
            model: MODEL.to_owned(),
            input: texts.clone(),
        };
        let job = client(url).await.create_embedding_job(request).await;
        Self {
            texts,
            id: job.unwrap().into_inner().job_id,
            finished: 0,
            begun: Instant::now(),
        }
    }

    /// Reads the job: what was finished once stays so.
    pub(crate) async fn look(&mut self, url: &str) -> EmbeddingJob {
        let request = GetEmbeddingJobRequest {
            job_id: self.id.clone(),
        };
        let job = client(url).await.get_embedding_job(request).await;
        let job = job.unwrap().into_inner();
        let finished = job.done_items + job.failed_items;
        assert!(finished >= self.finished, "{job:?} had {}", self.finished);
        self.finished = finished;
        job
    }

    /// Lets the job go on to a random moment, which lies on average a `parts`th of the
    /// job away. False if it ended.
    pub(crate) async fn go_on(&mut self, url: &str, parts: usize) -> bool {
        let share = u32::try_from(2 * self.texts.len() / parts).unwrap();
        let target = self.finished + u32::try_from(random() % u64::from(share)).unwrap();
        let limit = Instant::now() + Duration::from_secs(120);
        loop {
            let job = self.look(url).await;
            if job.end_time.is_some() {
                return false;
            }
            if self.finished >= target {
                tokio::time::sleep(moment(Duration::from_millis(300))).await;
                return true;
            }
            assert!(Instant::now() < limit, "no progress: {job:?}");
            // Another process works, which no clock of ours drives.
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits for the end, and compares every result with that of a unary call.
    pub(crate) async fn check(mut self, url: &str) {
        let mut client = client(url).await;
        let request = ReadEmbeddingJobResultsRequest {
            job_id: self.id.clone(),
            start_index: 0,
            follow: true,
        };
        let mut stream = client
            .read_embedding_job_results(request)
            .await
            .unwrap()
            .into_inner();
        let mut results = Vec::new();
        while let Some(result) = stream.message().await.unwrap() {
            results.push(result);
        }
        let took = self.begun.elapsed();
        let total = self.texts.len();
        let indices: Vec<usize> = results.iter().map(|r| r.index as usize).collect();
        assert_eq!(indices, (0..total).collect::<Vec<_>>());
        let job = self.look(url).await;
        assert_eq!(job.state(), State::Succeeded);
        assert_eq!((job.done_items as usize, job.failed_items), (total - 1, 1));

        let whole: Vec<usize> = (0..total).filter(|index| *index != POISON).collect();
        let mut equal = 0;
        for group in whole.chunks(UNARY) {
            let request = CreateEmbeddingsRequest {
                input: group
                    .iter()
                    .map(|index| self.texts[*index].clone())
                    .collect(),
                model: MODEL.to_owned(),
                ..Default::default()
            };
            let unary = client.create_embeddings(request).await.unwrap();
            for (index, unary) in group.iter().zip(unary.into_inner().data) {
                let result = &results[*index];
                assert_eq!(result.error_message, "", "{index}");
                assert_eq!(result.embedding.len(), 384);
                let bits = |vector: &[f32]| vector.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
                let (job, unary) = (bits(&result.embedding), bits(&unary.embedding));
                assert_eq!(job, unary, "text {index}");
                equal += 1;
            }
        }
        assert!(results[POISON].embedding.is_empty());
        assert_eq!(results[POISON].error_message, "the text is empty");
        println!(
            "  {total} texts in {:.1} s: each result there once, {equal} equal to the unary \
             result bit for bit, 1 item error",
            took.as_secs_f64()
        );
    }
}
