//! What a job is, and the arithmetic of its chunks and of its progress.

use std::{fmt, ops::Range, time::Duration};

use serde::{Deserialize, Serialize};

/// Milliseconds since 1970 in UTC.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct UnixMs(pub u64);

impl UnixMs {
    /// The machine's time.
    pub fn now() -> Self {
        let since = std::time::UNIX_EPOCH.elapsed().unwrap_or_default();
        Self(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
    }

    /// The time `span` later.
    pub(crate) fn after(self, span: Duration) -> Self {
        let span = u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
        Self(self.0.saturating_add(span))
    }

    /// The time since `earlier`; none if that was later.
    pub(crate) fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

/// A job's id: a ULID, so that ids sort by the time of their making.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct JobId(String);

impl JobId {
    /// Reads an id; nothing if it cannot be one, which is as good as a job that does
    /// not exist.
    pub fn parse(text: &str) -> Option<Self> {
        let ulid = ulid::Ulid::from_string(text).ok()?.to_string();
        // The parser takes lower case too; an id has one form.
        (ulid == text).then_some(Self(ulid))
    }

    pub(crate) fn from_ulid(ulid: ulid::Ulid) -> Self {
        Self(ulid.to_string())
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for JobId {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text).ok_or("is no job id")
    }
}

impl From<JobId> for String {
    fn from(id: JobId) -> Self {
        id.0
    }
}

/// Where a job stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JobState {
    /// Accepted, no chunk claimed yet.
    Pending,
    /// At work.
    Running,
    /// Every item has a result or an error.
    Succeeded,
    /// Stopped by an error of the job itself.
    Failed,
    /// Stopped by its caller.
    Cancelled,
}

impl JobState {
    /// Whether nothing more will happen.
    pub fn is_final(self) -> bool {
        !matches!(self, Self::Pending | Self::Running)
    }

    /// The name in records and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Running => "running",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    pub(crate) fn parse(name: &str) -> Option<Self> {
        [
            Self::Pending,
            Self::Running,
            Self::Succeeded,
            Self::Failed,
            Self::Cancelled,
        ]
        .into_iter()
        .find(|state| state.as_str() == name)
    }
}

/// What of a job never changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobSpec {
    /// The id.
    pub id: JobId,
    /// Whose it is.
    pub caller: String,
    /// The model's name.
    pub model: String,
    /// Texts in it.
    pub total: u32,
    /// Texts in each chunk but the last, which may have fewer. Never 0.
    pub chunk_items: u32,
    /// The caller's key; empty where none was sent.
    pub key: String,
    /// A hash of model and texts: what a key stands for.
    pub fingerprint: String,
    /// When it was accepted.
    pub created: UnixMs,
    /// When it is deleted.
    pub expires: UnixMs,
}

impl JobSpec {
    /// How many chunks there are.
    pub fn chunks(&self) -> u32 {
        self.total.div_ceil(self.chunk_items.max(1))
    }

    /// The items of a chunk; none past the end.
    pub fn items_of(&self, chunk: u32) -> Range<u32> {
        let start = chunk.saturating_mul(self.chunk_items).min(self.total);
        start..start.saturating_add(self.chunk_items).min(self.total)
    }

    /// The chunk that holds an item.
    pub fn chunk_of(&self, item: u32) -> u32 {
        item / self.chunk_items.max(1)
    }
}

/// What of a job changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// Where it stands.
    pub state: JobState,
    /// Items with a vector.
    pub done: u32,
    /// Items that ended in an error.
    pub failed: u32,
    /// When its first chunk was claimed.
    pub started: Option<UnixMs>,
    /// When its last chunk was stored, or when it ended.
    pub touched: Option<UnixMs>,
    /// Why the job itself failed; empty where it did not.
    pub error: String,
}

impl Progress {
    /// Of a job that was just accepted.
    pub(crate) fn new() -> Self {
        Self {
            state: JobState::Pending,
            done: 0,
            failed: 0,
            started: None,
            touched: None,
            error: String::new(),
        }
    }

    /// A chunk was claimed.
    pub(crate) fn start(&mut self, now: UnixMs) {
        if self.state == JobState::Pending {
            self.state = JobState::Running;
            self.started = Some(now);
        }
    }

    /// A chunk was stored.
    pub(crate) fn add(&mut self, total: u32, counts: Counts, now: UnixMs) {
        self.start(now);
        self.done = self.done.saturating_add(counts.done);
        self.failed = self.failed.saturating_add(counts.failed);
        self.touched = Some(now);
        if self.finished() >= total {
            self.state = JobState::Succeeded;
        }
    }

    /// The job ends before its items do.
    pub(crate) fn end(&mut self, state: JobState, error: &str, now: UnixMs) {
        if !self.state.is_final() {
            self.state = state;
            self.touched = Some(now);
            error.clone_into(&mut self.error);
        }
    }

    /// Items that have a result or an error.
    pub fn finished(&self) -> u32 {
        self.done.saturating_add(self.failed)
    }

    /// Items per second, from the first claim to the last stored chunk; 0 before that.
    /// Time in which nobody worked counts, so that a promise made from it is honest.
    pub fn rate(&self) -> f64 {
        let (Some(started), Some(touched)) = (self.started, self.touched) else {
            return 0.0;
        };
        // A clock counts in milliseconds; less than one is taken as one.
        let seconds = touched.since(started).as_secs_f64().max(0.001);
        f64::from(self.finished()) / seconds
    }

    /// Time that the remaining items take at that rate; `None` where there is no rate
    /// or nothing left.
    pub fn remaining(&self, total: u32) -> Option<Duration> {
        let left = total.saturating_sub(self.finished());
        let rate = self.rate();
        if self.state != JobState::Running || left == 0 || rate <= 0.0 {
            return None;
        }
        Duration::try_from_secs_f64(f64::from(left) / rate).ok()
    }
}

/// A job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    /// What never changes.
    pub spec: JobSpec,
    /// What does.
    pub progress: Progress,
}

/// Why one item has no vector, in words for the caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ItemError(pub String);

/// One item's vector, `[dimensions]`, or why there is none.
pub type ItemResult = Result<Vec<f32>, ItemError>;

/// Results of a chunk, counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Items with a vector.
    pub done: u32,
    /// Items with an error.
    pub failed: u32,
}

impl Counts {
    pub(crate) fn of(results: &[ItemResult]) -> Self {
        let count = |ok: bool| results.iter().filter(|result| result.is_ok() == ok).count();
        let number = |count| u32::try_from(count).unwrap_or(u32::MAX);
        Self {
            done: number(count(true)),
            failed: number(count(false)),
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use proptest::prelude::*;

    use super::*;

    fn spec(total: u32, chunk_items: u32) -> JobSpec {
        JobSpec {
            id: JobId::from_ulid(ulid::Ulid::nil()),
            caller: "alice".to_owned(),
            model: "m".to_owned(),
            total,
            chunk_items,
            key: String::new(),
            fingerprint: String::new(),
            created: UnixMs(0),
            expires: UnixMs(1),
        }
    }

    proptest! {
        #[test]
        fn chunks_hold_every_item_once_and_in_order(total in 0..5_000u32, size in 1..300u32) {
            let spec = spec(total, size);
            let items: Vec<u32> = (0..spec.chunks()).flat_map(|c| spec.items_of(c)).collect();
            prop_assert_eq!(items, (0..total).collect::<Vec<_>>());
            for chunk in 0..spec.chunks() {
                prop_assert!(!spec.items_of(chunk).is_empty());
                prop_assert!(spec.items_of(chunk).all(|item| spec.chunk_of(item) == chunk));
            }
            prop_assert!(spec.items_of(spec.chunks()).is_empty());
        }

        #[test]
        fn no_arithmetic_overflows(total: u32, size: u32, n: u32) {
            let spec = spec(total, size);
            let _ = (spec.chunks(), spec.items_of(n), spec.chunk_of(n));
        }

        #[test]
        fn progress_only_grows_and_ends_with_the_last_item(
            sizes in prop::collection::vec((0..50u32, 0..50u32, 1..5_000u64), 1..40),
        ) {
            let total: u32 = sizes.iter().map(|(done, failed, _)| done + failed).sum();
            let (mut progress, mut now) = (Progress::new(), UnixMs(1_000));
            progress.start(now);
            for (done, failed, ms) in sizes {
                let before = progress.finished();
                now = UnixMs(now.0 + ms);
                progress.add(total, Counts { done, failed }, now);
                prop_assert_eq!(progress.finished(), before + done + failed);
                prop_assert_eq!(progress.state.is_final(), progress.finished() >= total);
                prop_assert!(progress.rate().is_finite() && progress.rate() >= 0.0);
                if let Some(left) = progress.remaining(total) {
                    // What is left, at the rate, takes the time that is told.
                    let items = left.as_secs_f64() * progress.rate();
                    prop_assert!((items - f64::from(total - progress.finished())).abs() < 1e-3);
                }
            }
            prop_assert_eq!(progress.state, JobState::Succeeded);
            prop_assert_eq!(progress.remaining(total), None);
        }

        #[test]
        fn no_text_panics_as_an_id(text: String) {
            let _ = JobId::parse(&text);
        }
    }

    #[test]
    fn a_job_that_ended_stays_as_it_ended() {
        let mut progress = Progress::new();
        progress.end(JobState::Cancelled, "", UnixMs(5));
        progress.end(JobState::Failed, "late", UnixMs(9));
        assert_eq!(progress.state, JobState::Cancelled);
        assert_eq!(
            (progress.touched, progress.error.as_str()),
            (Some(UnixMs(5)), "")
        );
    }

    #[test]
    fn an_id_has_one_form() {
        let id = JobId::from_ulid(ulid::Ulid::from_parts(1_700_000_000_000, 7));
        assert_eq!(JobId::parse(id.as_str()).unwrap(), id);
        assert_eq!(JobId::parse(&id.as_str().to_lowercase()), None);
        assert_eq!(JobId::parse("j-1"), None);
    }
}
