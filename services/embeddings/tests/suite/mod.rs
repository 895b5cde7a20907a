//! What every store of jobs must do, whatever it keeps them in.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use futures_util::future::join_all;
use signalbox_embeddings::jobs::{
    JobError,
    job::{ItemError, ItemResult, Job, JobId, JobSpec, JobState, UnixMs},
    store::{Claim, Clock, Completion, Created, JobStore, OpenJobs},
};
use tokio::time::timeout;

/// How long a claim lasts.
pub(crate) const LEASE: Duration = Duration::from_secs(30);
const TTL_MS: u64 = 600_000;

/// Where a store keeps its jobs: opened again, it has them still.
pub(crate) trait Backend {
    async fn open(&self, clock: Clock) -> Arc<dyn JobStore>;
}

/// A store, and the time, which stands still unless it is moved.
pub(crate) struct Fixture<B> {
    backend: B,
    pub(crate) store: Arc<dyn JobStore>,
    time: Arc<AtomicU64>,
    /// The time at first: the real one, by which Redis deletes what is old.
    begin: u64,
    ids: u64,
}

impl<B: Backend> Fixture<B> {
    async fn new(backend: B) -> Self {
        let begin = UnixMs::now().0;
        let time = Arc::new(AtomicU64::new(begin));
        let store = backend.open(clock(&time)).await;
        Self {
            backend,
            store,
            time,
            begin,
            ids: 0,
        }
    }

    fn pass(&self, ms: u64) {
        self.time.fetch_add(ms, Ordering::Relaxed);
    }

    /// As if the process had been killed and started again.
    async fn crash(self) -> Self {
        let Self {
            backend,
            store,
            time,
            begin,
            ids,
        } = self;
        drop(store);
        let store = backend.open(clock(&time)).await;
        Self {
            backend,
            store,
            time,
            begin,
            ids,
        }
    }

    /// A job of a caller in chunks of 2.
    fn spec(&mut self, caller: &str, texts: &[&str]) -> JobSpec {
        self.ids += 1;
        let now = self.time.load(Ordering::Relaxed);
        JobSpec {
            id: JobId::parse(&ulid::Ulid::from_parts(now, self.ids.into()).to_string()).unwrap(),
            caller: caller.to_owned(),
            model: "m".to_owned(),
            total: u32::try_from(texts.len()).unwrap(),
            chunk_items: 2,
            key: String::new(),
            fingerprint: texts.concat(),
            created: UnixMs(now),
            expires: UnixMs(now + TTL_MS),
        }
    }

    async fn create(&mut self, caller: &str, texts: &[&str]) -> Job {
        let spec = self.spec(caller, texts);
        match self.store.create(spec, owned(texts), 100).await.unwrap() {
            Created::New(job) => job,
            Created::Existing(job) => panic!("{job:?} exists"),
        }
    }

    async fn create_with_key(&mut self, caller: &str, key: &str) -> Created {
        let spec = JobSpec {
            key: key.to_owned(),
            ..self.spec(caller, &["x"])
        };
        self.store.create(spec, owned(&["x"]), 100).await.unwrap()
    }

    async fn claim(&self) -> Claim {
        let claim = timeout(Duration::from_secs(60), self.store.claim()).await;
        claim.expect("there is work").unwrap()
    }

    async fn finds_no_work(&self) -> bool {
        let wait = Duration::from_millis(1_500);
        timeout(wait, self.store.claim()).await.is_err()
    }

    async fn get(&self, job: &Job) -> Result<Job, JobError> {
        self.store.get(&job.spec.caller, &job.spec.id).await
    }
}

fn clock(time: &Arc<AtomicU64>) -> Clock {
    let time = Arc::clone(time);
    Arc::new(move || UnixMs(time.load(Ordering::Relaxed)))
}

fn owned(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

/// Each text's first byte as a vector; "bad" is an error.
fn results(claim: &Claim) -> Vec<ItemResult> {
    let result = |text: &String| match text.as_str() {
        "bad" => Err(ItemError("it is bad".to_owned())),
        text => Ok(vec![f32::from(text.as_bytes()[0]), 0.5]),
    };
    claim.texts.iter().map(result).collect()
}

fn is_missing<T: std::fmt::Debug>(result: Result<T, JobError>) -> bool {
    matches!(result, Err(JobError::NotFound { .. }))
}

macro_rules! cases {
    ($($case:ident),* $(,)?) => {
        /// Runs all cases, each on a backend of its own.
        pub(crate) async fn all<B: Backend>(fresh: impl Fn(&'static str) -> B) {
            $(
                eprintln!("case {}", stringify!($case));
                $case(Fixture::new(fresh(stringify!($case))).await).await;
            )*
        }
    };
}

cases![
    a_job_is_its_callers_alone,
    a_list_is_newest_first_and_goes_on_after_a_job,
    a_key_makes_one_job_for_each_caller,
    a_key_used_many_times_at_once_makes_one_job,
    a_caller_has_at_most_so_many_jobs,
    every_chunk_is_claimed_once_and_its_results_are_read_back,
    results_come_back_bit_for_bit,
    a_chunk_is_stored_once,
    a_chunk_that_was_given_back_is_claimed_again,
    after_a_crash_what_was_stored_stays_and_the_rest_is_claimed,
    a_lease_is_renewed_while_the_job_goes_on,
    a_cancelled_job_keeps_what_it_has_and_takes_nothing_more,
    a_failed_job_says_why,
    an_expired_job_is_gone_and_frees_its_key,
    open_jobs_are_counted,
];

async fn a_job_is_its_callers_alone<B: Backend>(mut fixture: Fixture<B>) {
    let job = fixture.create("alice", &["a", "b", "c"]).await;
    assert_eq!(fixture.get(&job).await.unwrap(), job);
    assert_eq!(job.progress.state, JobState::Pending);
    let store = &fixture.store;
    assert!(is_missing(store.get("bob", &job.spec.id).await));
    assert!(is_missing(store.cancel("bob", &job.spec.id).await));
    assert_eq!(store.list("bob", None, 10).await.unwrap(), []);
    // A name that begins like another's.
    assert_eq!(store.list("alic", None, 10).await.unwrap(), []);
    assert_eq!(store.list("alice", None, 10).await.unwrap(), [job]);
}

async fn a_list_is_newest_first_and_goes_on_after_a_job<B: Backend>(mut fixture: Fixture<B>) {
    let mut jobs = Vec::new();
    for _ in 0..5 {
        jobs.push(fixture.create("alice", &["a"]).await);
        fixture.create("bob", &["b"]).await;
        fixture.pass(1);
    }
    jobs.reverse();
    let store = &fixture.store;
    assert_eq!(store.list("alice", None, 9).await.unwrap(), jobs);
    assert_eq!(store.list("alice", None, 2).await.unwrap(), jobs[..2]);
    let after = Some(&jobs[1].spec.id);
    assert_eq!(store.list("alice", after, 2).await.unwrap(), jobs[2..4]);
    let after = Some(&jobs[4].spec.id);
    assert_eq!(store.list("alice", after, 2).await.unwrap(), []);
}

async fn a_key_makes_one_job_for_each_caller<B: Backend>(mut fixture: Fixture<B>) {
    let Created::New(job) = fixture.create_with_key("alice", "k").await else {
        panic!("the first is new");
    };
    let again = fixture.create_with_key("alice", "k").await;
    assert_eq!(again, Created::Existing(job));
    for (caller, key) in [("bob", "k"), ("alice", "other")] {
        let other = fixture.create_with_key(caller, key).await;
        assert!(matches!(other, Created::New(_)), "{other:?}");
    }
}

async fn a_key_used_many_times_at_once_makes_one_job<B: Backend>(mut fixture: Fixture<B>) {
    let specs: Vec<JobSpec> = (0..20).map(|_| fixture.spec("alice", &["x"])).collect();
    let creates = specs.into_iter().map(|spec| {
        let key = "k".to_owned();
        fixture
            .store
            .create(JobSpec { key, ..spec }, owned(&["x"]), 100)
    });
    let created: Vec<_> = join_all(creates).await;
    let new = created
        .iter()
        .filter(|created| matches!(created, Ok(Created::New(_))));
    assert_eq!(new.count(), 1);
    assert!(created.iter().all(Result::is_ok));
    assert_eq!(
        fixture.store.list("alice", None, 100).await.unwrap().len(),
        1
    );
}

async fn a_caller_has_at_most_so_many_jobs<B: Backend>(mut fixture: Fixture<B>) {
    fixture.create("alice", &["a"]).await;
    fixture.pass(20_000);
    fixture.create("alice", &["a"]).await;
    let spec = fixture.spec("alice", &["a"]);
    let full = fixture.store.create(spec, owned(&["a"]), 2).await;
    let retry_after = Duration::from_secs(580);
    let limit = 2;
    assert_eq!(full, Err(JobError::TooManyJobs { limit, retry_after }));
    let spec = fixture.spec("bob", &["a"]);
    assert!(fixture.store.create(spec, owned(&["a"]), 2).await.is_ok());
}

async fn every_chunk_is_claimed_once_and_its_results_are_read_back<B: Backend>(
    mut fixture: Fixture<B>,
) {
    let job = fixture.create("alice", &["a", "bad", "c", "d", "e"]).await;
    let mut claims = Vec::new();
    for _ in 0..3 {
        claims.push(fixture.claim().await);
    }
    assert!(fixture.finds_no_work().await);
    claims.sort_by_key(|claim| claim.chunk);
    let texts: Vec<String> = claims.iter().flat_map(|c| c.texts.clone()).collect();
    assert_eq!(texts, ["a", "bad", "c", "d", "e"]);
    let ours = |claim: &Claim| claim.model == "m" && claim.caller == "alice";
    assert!(claims.iter().all(ours));
    let running = fixture.get(&job).await.unwrap().progress;
    assert_eq!(running.state, JobState::Running);
    assert_eq!(running.started, Some(UnixMs(fixture.begin)));

    assert_eq!(fixture.store.results(&job.spec, 1).await.unwrap(), None);
    // Last first: the order of the work is not that of the results.
    for (finished, claim) in [1, 3, 5].into_iter().zip(claims.into_iter().rev()) {
        fixture.pass(1_000);
        let results = results(&claim);
        let stored = fixture.store.complete(claim, results).await.unwrap();
        let Completion::Stored(job) = stored else {
            panic!("{stored:?}");
        };
        assert_eq!(job.progress.finished(), finished);
    }
    let done = fixture.get(&job).await.unwrap().progress;
    assert_eq!(
        (done.state, done.done, done.failed),
        (JobState::Succeeded, 4, 1)
    );
    assert_eq!(done.touched, Some(UnixMs(fixture.begin + 3_000)));
    let mut all = Vec::new();
    for chunk in 0..3 {
        all.extend(
            fixture
                .store
                .results(&job.spec, chunk)
                .await
                .unwrap()
                .unwrap(),
        );
    }
    assert_eq!(all[0], Ok(vec![97.0, 0.5]));
    assert_eq!(all[1], Err(ItemError("it is bad".to_owned())));
    assert_eq!(all[4], Ok(vec![101.0, 0.5]));
    assert_eq!(all.len(), 5);
}

async fn results_come_back_bit_for_bit<B: Backend>(mut fixture: Fixture<B>) {
    let job = fixture.create("alice", &["a"]).await;
    let odd = [f32::NAN, -0.0, f32::MIN_POSITIVE / 2.0, 1.0 + f32::EPSILON];
    let claim = fixture.claim().await;
    let stored = fixture.store.complete(claim, vec![Ok(odd.to_vec())]).await;
    assert!(matches!(stored, Ok(Completion::Stored(_))));
    let read = fixture.store.results(&job.spec, 0).await.unwrap().unwrap();
    let bits = |vector: &[f32]| vector.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
    assert_eq!(bits(read[0].as_ref().unwrap()), bits(&odd));
}

async fn a_chunk_is_stored_once<B: Backend>(mut fixture: Fixture<B>) {
    let job = fixture.create("alice", &["a", "b", "c"]).await;
    let first = fixture.claim().await;
    // The worker hangs; when it comes to itself, another process has the chunk.
    fixture.pass(u64::try_from(LEASE.as_millis()).unwrap() + 1);
    let (chunk, wanted) = (first.chunk, results(&first));
    let mut fixture = fixture.crash().await;
    let mut claims = vec![fixture.claim().await, fixture.claim().await];
    claims.sort_by_key(|claim| claim.chunk != chunk);
    let second = claims.remove(0);
    let stored = fixture.store.complete(second, wanted.clone()).await;
    assert!(matches!(stored, Ok(Completion::Stored(_))));
    let late = vec![Ok(vec![9.0, 9.0]); wanted.len()];
    let late = fixture.store.complete(first, late).await.unwrap();
    assert_eq!(late, Completion::Discarded);
    let read = fixture.store.results(&job.spec, chunk).await.unwrap();
    assert_eq!(read, Some(wanted.clone()));
    let progress = fixture.get(&job).await.unwrap().progress;
    assert_eq!(progress.finished(), u32::try_from(wanted.len()).unwrap());
    fixture = fixture.crash().await;
    assert_eq!(fixture.get(&job).await.unwrap().progress, progress);
}

async fn a_chunk_that_was_given_back_is_claimed_again<B: Backend>(mut fixture: Fixture<B>) {
    fixture.create("alice", &["a", "b"]).await;
    let claim = fixture.claim().await;
    fixture.store.release(claim).await.unwrap();
    let again = fixture.claim().await;
    assert_eq!(again.texts, ["a", "b"]);
    assert!(fixture.finds_no_work().await);
}

async fn after_a_crash_what_was_stored_stays_and_the_rest_is_claimed<B: Backend>(
    mut fixture: Fixture<B>,
) {
    let texts: Vec<String> = (0..20).map(|n| format!("{n}")).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let job = fixture.create("alice", &texts).await;
    let mut seen = Vec::new();
    // Three crashes, each with one chunk stored and one in a worker's hands.
    for _ in 0..3 {
        let claim = fixture.claim().await;
        seen.push(claim.chunk);
        let results = results(&claim);
        fixture.store.complete(claim, results).await.unwrap();
        fixture.claim().await;
        fixture = fixture.crash().await;
        fixture.pass(u64::try_from(LEASE.as_millis()).unwrap() / 3 + 1);
    }
    fixture.pass(u64::try_from(LEASE.as_millis()).unwrap());
    while seen.len() < 10 {
        let claim = fixture.claim().await;
        seen.push(claim.chunk);
        let results = results(&claim);
        let stored = fixture.store.complete(claim, results).await.unwrap();
        assert!(matches!(stored, Completion::Stored(_)));
    }
    seen.sort_unstable();
    assert_eq!(seen, (0..10).collect::<Vec<_>>());
    let done = fixture.get(&job).await.unwrap().progress;
    assert_eq!((done.state, done.done), (JobState::Succeeded, 20));
    for (chunk, pair) in (0..).zip(texts.chunks(2)) {
        let read = fixture
            .store
            .results(&job.spec, chunk)
            .await
            .unwrap()
            .unwrap();
        let first = |text: &str| f32::from(text.as_bytes()[0]);
        for (text, result) in pair.iter().zip(read) {
            assert_eq!(result, Ok(vec![first(text), 0.5]));
        }
    }
}

async fn a_lease_is_renewed_while_the_job_goes_on<B: Backend>(mut fixture: Fixture<B>) {
    let job = fixture.create("alice", &["a"]).await;
    let claim = fixture.claim().await;
    for _ in 0..5 {
        fixture.pass(10_000);
        assert!(fixture.store.renew(&claim).await.unwrap());
    }
    assert!(fixture.finds_no_work().await);
    fixture.store.cancel("alice", &job.spec.id).await.unwrap();
    assert!(!fixture.store.renew(&claim).await.unwrap());
}

async fn a_cancelled_job_keeps_what_it_has_and_takes_nothing_more<B: Backend>(
    mut fixture: Fixture<B>,
) {
    let job = fixture.create("alice", &["a", "b", "c", "d", "e"]).await;
    let (first, second) = (fixture.claim().await, fixture.claim().await);
    let (chunk, wanted) = (first.chunk, results(&first));
    fixture.store.complete(first, wanted.clone()).await.unwrap();
    fixture.pass(500);
    let cancelled = fixture.store.cancel("alice", &job.spec.id).await.unwrap();
    assert_eq!(cancelled.progress.state, JobState::Cancelled);
    assert_eq!(
        cancelled.progress.touched,
        Some(UnixMs(fixture.begin + 500))
    );
    let late = results(&second);
    let late = fixture.store.complete(second, late).await.unwrap();
    assert_eq!(late, Completion::Discarded);
    assert!(fixture.finds_no_work().await);
    fixture.pass(500);
    let again = fixture.store.cancel("alice", &job.spec.id).await.unwrap();
    assert_eq!(again, cancelled);
    let read = fixture.store.results(&job.spec, chunk).await.unwrap();
    assert_eq!(read, Some(wanted));
    let fixture = fixture.crash().await;
    assert!(fixture.finds_no_work().await);
    assert_eq!(fixture.get(&job).await.unwrap(), cancelled);
}

async fn a_failed_job_says_why<B: Backend>(mut fixture: Fixture<B>) {
    let job = fixture.create("alice", &["a", "b", "c"]).await;
    let claim = fixture.claim().await;
    fixture.store.fail(claim, "no such model").await.unwrap();
    let failed = fixture.get(&job).await.unwrap().progress;
    assert_eq!(failed.state, JobState::Failed);
    assert_eq!(failed.error, "no such model");
    assert!(fixture.finds_no_work().await);
}

async fn an_expired_job_is_gone_and_frees_its_key<B: Backend>(mut fixture: Fixture<B>) {
    let Created::New(old) = fixture.create_with_key("alice", "k").await else {
        panic!("the first is new");
    };
    fixture.pass(TTL_MS / 2);
    let young = fixture.create("alice", &["y"]).await;
    fixture.pass(TTL_MS / 2);
    // Gone for its caller at once, swept or not.
    assert!(is_missing(fixture.get(&old).await));
    assert!(is_missing(
        fixture.store.cancel("alice", &old.spec.id).await
    ));
    let list = fixture.store.list("alice", None, 10).await.unwrap();
    assert_eq!(list, std::slice::from_ref(&young));
    let again = fixture.create_with_key("alice", "k").await;
    assert!(matches!(again, Created::New(_)), "{again:?}");
    fixture.store.sweep().await.unwrap();
    assert_eq!(fixture.store.results(&old.spec, 0).await.unwrap(), None);
    assert_eq!(fixture.store.sweep().await.unwrap(), 0);
    assert_eq!(fixture.get(&young).await.unwrap(), young);
    let known = fixture.create_with_key("alice", "k").await;
    assert!(matches!(known, Created::Existing(_)), "{known:?}");
    fixture.pass(TTL_MS);
    assert_eq!(fixture.store.sweep().await.unwrap(), 2);
    assert_eq!(
        fixture.store.open_jobs().await.unwrap(),
        OpenJobs::default()
    );
}

async fn open_jobs_are_counted<B: Backend>(mut fixture: Fixture<B>) {
    let open = async |store: &Arc<dyn JobStore>| {
        let open = store.open_jobs().await.unwrap();
        (open.pending, open.running)
    };
    fixture.create("alice", &["a"]).await;
    let other = fixture.create("bob", &["b", "b", "b"]).await;
    assert_eq!(open(&fixture.store).await, (2, 0));
    let mut claim = fixture.claim().await;
    if claim.job == other.spec.id {
        assert_eq!(open(&fixture.store).await, (1, 1));
        claim = fixture.claim().await;
    }
    while claim.job == other.spec.id {
        claim = fixture.claim().await;
    }
    let results = results(&claim);
    fixture.store.complete(claim, results).await.unwrap();
    let (pending, running) = open(&fixture.store).await;
    assert_eq!(pending + running, 1);
    fixture.store.cancel("bob", &other.spec.id).await.unwrap();
    assert_eq!(open(&fixture.store).await, (0, 0));
}
