//! Shares the processor out: many requests become batches, each computed by one thread.
//!
//! A request takes this way: `admission` lets it in or refuses it at once; `submit`
//! tokenises it chunk by chunk, as the line takes it, on threads made for blocking work;
//! `rule` decides whose sequences come next; `worker` computes a batch and sends every
//! request its part. A request whose future is dropped leaves the line at once, and the
//! batch that computes it is stopped unless it computes others too.
//!
//! Batches wait for nothing: a free thread takes what is in line. Under load the line
//! fills while threads are busy, so batches grow by themselves; a delay would only add to
//! every answer's time. One thread computes one batch, with no barrier between threads.

mod admission;
mod fair;
mod line;
mod phases;
mod rule;
#[cfg(test)]
mod rule_tests;
mod shared;
mod submit;
mod worker;

use std::{num::NonZeroUsize, sync::Arc, thread::JoinHandle};

use tokio::sync::Semaphore;

use self::{admission::Admission, rule::Class, shared::Shared};
pub use self::{admission::BulkPlace, phases::Phases};
pub(crate) use self::{
    admission::Limits,
    line::ModelId,
    submit::{Computed, Submission, estimate},
};
use crate::{model::Model, request::EmbedError};

/// How the processor is shared out.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Options {
    /// Batches at a time.
    pub(crate) threads: NonZeroUsize,
    /// Tokens of one batch; a single longer sequence is one of its own.
    pub(crate) batch_tokens: NonZeroUsize,
    /// A request with more tokens is bulk work.
    pub(crate) bulk_above_tokens: usize,
    /// How much is let in.
    pub(crate) limits: Limits,
}

/// Computes sequences of several models on one set of threads.
pub(crate) struct Scheduler {
    options: Options,
    models: Vec<Arc<dyn Model>>,
    admission: Arc<Admission>,
    shared: Arc<Shared>,
    /// Chunks that are tokenised at a time, of each class: bulk work must not hold up
    /// a short text.
    tokenizers: [Arc<Semaphore>; 2],
    threads: Vec<JoinHandle<()>>,
}

impl Scheduler {
    /// A scheduler over these models; a [`ModelId`] is a position among them.
    pub(crate) fn new(options: Options, models: Vec<Arc<dyn Model>>) -> std::io::Result<Self> {
        let threads = options.threads.get();
        let admission = Arc::new(Admission::new(options.limits, threads));
        let shared = Arc::new(Shared::new(
            threads,
            options.batch_tokens.get() as u64,
            Arc::clone(&admission),
        ));
        let tokenizers = [(); 2].map(|()| Arc::new(Semaphore::new(threads)));
        let mut scheduler = Self {
            options,
            models,
            admission,
            shared,
            tokenizers,
            threads: Vec::new(),
        };
        for class in [Class::Interactive, Class::Bulk] {
            for _ in 0..threads {
                let models = scheduler.models.clone();
                let worker = worker::start(class, models, Arc::clone(&scheduler.shared))?;
                scheduler.threads.push(worker);
            }
        }
        Ok(scheduler)
    }

    /// Takes a place for bulk work that comes bit by bit, waiting until there is one.
    pub(crate) async fn place(&self) -> Result<BulkPlace, EmbedError> {
        self.admission.place().await
    }

    /// Whether so many tokens are bulk work, whoever asks.
    pub(crate) fn is_bulk(&self, tokens: usize) -> bool {
        tokens > self.options.bulk_above_tokens
    }

    /// Whether no request is at work or waiting.
    pub(crate) fn is_idle(&self) -> bool {
        self.admission.is_idle()
    }
}

impl Drop for Scheduler {
    fn drop(&mut self) {
        // Requests borrow the scheduler, so none is left: threads end at once. They are
        // not joined, which would block a thread of the runtime.
        self.shared.stop();
        self.threads.clear();
    }
}
