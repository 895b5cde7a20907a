//! Where a request's time went.

use std::time::Duration;

/// The phases of one request. For one that fits a batch, `queue`, `tokenize` and `infer`
/// add up to `total` but for microseconds; those of a larger one overlap.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Phases {
    /// From arrival until its first batch began, less the tokenising of what is in it.
    pub queue: Duration,
    /// Work of tokenising all its texts.
    pub tokenize: Duration,
    /// From its first batch's beginning to its last one's end; of a remote model, all of
    /// its requests.
    pub infer: Duration,
    /// Work of pooling in its batches, where the model measures it apart; part of
    /// `infer`.
    pub pool: Duration,
    /// From arrival to the answer.
    pub total: Duration,
}

impl Phases {
    /// The phases with their names, as metrics and headers call them.
    pub fn named(&self) -> [(&'static str, Duration); 5] {
        [
            ("queue", self.queue),
            ("tokenize", self.tokenize),
            ("infer", self.infer),
            ("pool", self.pool),
            ("total", self.total),
        ]
    }
}
