//! The engine without a service around it: the same texts, tokenised beforehand, in full
//! batches, one on each thread.

use std::{
    num::NonZeroUsize,
    path::Path,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    thread,
    time::{Duration, Instant},
};

use signalbox_encoder::{Encoder, EncoderOptions, Tokenized};

use crate::{Failure, server, texts};

/// Tokens of a batch, as the service's default has it.
const BATCH_TOKENS: usize = 256;

/// A loaded engine and batches for it.
pub(crate) struct Bare {
    encoder: Encoder,
    batches: Vec<Vec<Tokenized>>,
    threads: usize,
}

/// What the engine did.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rate {
    /// Tokens a second.
    pub(crate) per_second: f64,
    /// Tokens a second of processor time.
    pub(crate) per_cpu_second: f64,
}

impl Bare {
    pub(crate) fn load(model: &Path, threads: usize) -> Result<Self, Failure> {
        let options = EncoderOptions {
            threads: NonZeroUsize::MIN,
            ..EncoderOptions::default()
        };
        let encoder = Encoder::load_with(model, options)?;
        let mut random = texts::Random::new(7);
        let mut batches: Vec<Vec<Tokenized>> = Vec::new();
        let (mut batch, mut tokens) = (Vec::new(), 0);
        while batches.len() < 200 {
            for text in texts::mixed(&mut random) {
                let text = encoder.tokenize(&text)?;
                if tokens + text.ids().len() > BATCH_TOKENS && !batch.is_empty() {
                    batches.push(std::mem::take(&mut batch));
                    tokens = 0;
                }
                tokens += text.ids().len();
                batch.push(text);
            }
        }
        Ok(Self {
            encoder,
            batches,
            threads,
        })
    }

    /// Computes for so long.
    pub(crate) fn run(&self, time: Duration) -> Result<Rate, Failure> {
        let (tokens, next) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let (never, failed) = (AtomicBool::new(false), AtomicBool::new(false));
        let cpu = server::own_cpu()?;
        let begun = Instant::now();
        thread::scope(|scope| {
            for _ in 0..self.threads {
                scope.spawn(|| {
                    while begun.elapsed() < time {
                        let at = next.fetch_add(1, Ordering::Relaxed) % self.batches.len();
                        let batch = &self.batches[at];
                        if self.encoder.encode_here(batch, &never).is_err() {
                            failed.store(true, Ordering::Relaxed);
                        }
                        let done = batch.iter().map(|text| text.ids().len()).sum();
                        tokens.fetch_add(done, Ordering::Relaxed);
                    }
                });
            }
        });
        if failed.into_inner() {
            return Err("the engine failed".into());
        }
        let (elapsed, cpu) = (begun.elapsed(), server::own_cpu()? - cpu);
        let tokens = tokens.into_inner() as f64;
        Ok(Rate {
            per_second: tokens / elapsed.as_secs_f64(),
            per_cpu_second: tokens / cpu.as_secs_f64(),
        })
    }
}
