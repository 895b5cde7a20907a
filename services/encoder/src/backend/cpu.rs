//! The CPU back end: texts in groups of whole sequences, groups spread over threads.
//!
//! A group is as many whole sequences as fit a token budget and goes through all layers
//! on one thread. The budget bounds the memory of a worker, keeps matrix products
//! large enough to be efficient, and is how finely work is shared out.

use std::{
    num::NonZeroUsize,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{Builder, JoinHandle},
};

use super::{
    Backend,
    job::{Job, Model},
    turns::Turns,
};
use crate::{
    architecture::Architecture,
    error::{EncodeError, LoadError},
    pooling::Pooling,
    tokenizer::Tokenized,
};

/// A model on this machine's processor.
pub(crate) struct Cpu {
    model: Arc<Model>,
    turns: Arc<Turns>,
    threads: usize,
    group_tokens: usize,
    helpers: Vec<JoinHandle<()>>,
}

impl Cpu {
    /// Runs `architecture` on at most `threads` threads at a time, with about
    /// `group_tokens` tokens in work on each (more only where one sequence is
    /// longer).
    pub(crate) fn new(
        architecture: Box<dyn Architecture>,
        pooling: Pooling,
        threads: NonZeroUsize,
        group_tokens: NonZeroUsize,
    ) -> Result<Self, LoadError> {
        let model = Model {
            cpu: signalbox_kernels::Cpu::detect(),
            architecture,
            pooling: pooling.kernel(),
        };
        let mut cpu = Self {
            model: Arc::new(model),
            turns: Arc::new(Turns::new(threads.get())),
            threads: threads.get(),
            group_tokens: group_tokens.get(),
            helpers: Vec::new(),
        };
        // Each call's own thread computes too.
        for index in 1..threads.get() {
            let (turns, model) = (Arc::clone(&cpu.turns), Arc::clone(&cpu.model));
            let helper = Builder::new()
                .name(format!("encoder-{index}"))
                .spawn(move || turns.help(&model))
                .map_err(|source| LoadError::Thread { source })?;
            cpu.helpers.push(helper);
        }
        Ok(cpu)
    }

    /// Takes part in a job until each of its groups is with some thread.
    fn work(&self, job: &Job, cancelled: impl Fn() -> bool) -> Result<(), EncodeError> {
        let take = || self.turns.take(&cancelled).ok_or(EncodeError::Cancelled);
        let mut worker = take()?;
        while let Some(group) = job.claim() {
            job.run(group, &self.model, &mut worker, &cancelled);
            if !job.is_claimed() && self.turns.is_waited_for() {
                self.turns.put_back(worker);
                worker = take()?;
            }
        }
        self.turns.put_back(worker);
        Ok(())
    }
}

impl Backend for Cpu {
    fn encode(
        &self,
        texts: &[Tokenized],
        cancel: &AtomicBool,
    ) -> Result<Vec<Vec<f32>>, EncodeError> {
        let cancelled = || cancel.load(Ordering::Relaxed);
        if texts.is_empty() {
            return Ok(Vec::new());
        }
        let (threads, group_tokens) = (self.threads, self.group_tokens);
        let job = self.turns.job(|job| job.fill(texts, threads, group_tokens));
        if job.groups() > 1 && self.threads > 1 {
            self.turns.open(&job);
        }
        let done = self
            .work(&job, cancelled)
            .inspect_err(|_| job.stop())
            .and_then(|()| job.finish(cancelled));
        self.turns.keep(job);
        done
    }
}

impl Drop for Cpu {
    fn drop(&mut self) {
        self.turns.close();
        for helper in self.helpers.drain(..) {
            // A helper catches its panics; there is nobody to tell of one that did not.
            let _ = helper.join();
        }
    }
}
