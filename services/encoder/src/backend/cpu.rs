//! The CPU back end: texts in groups of whole sequences, groups spread over threads.
//!
//! A group is as many whole sequences as fit a token budget and goes through all layers
//! on one thread. The budget bounds the memory of a worker, keeps matrix products
//! large enough to be efficient, and is how finely work is shared out.

use std::{
    num::NonZeroUsize,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::{Builder, JoinHandle},
    time::Duration,
};

use super::{
    Backend,
    job::{Job, Model, Worker},
    turns::Turns,
};
use crate::{
    architecture::Architecture,
    encoder::Encoded,
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
    /// Workers of callers' own threads.
    own: Mutex<Vec<Worker>>,
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
            own: Mutex::default(),
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

impl Cpu {
    fn encode_ids<'a>(
        &self,
        texts: impl Iterator<Item = &'a [u32]>,
        cancel: &AtomicBool,
    ) -> Result<Vec<Vec<f32>>, EncodeError> {
        let cancelled = || cancel.load(Ordering::Relaxed);
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

impl Backend for Cpu {
    fn encode(
        &self,
        texts: &[Tokenized],
        cancel: &AtomicBool,
    ) -> Result<Vec<Vec<f32>>, EncodeError> {
        if texts.is_empty() {
            return Ok(Vec::new());
        }
        self.encode_ids(texts.iter().map(Tokenized::ids), cancel)
    }

    fn encode_here(
        &self,
        texts: &[Tokenized],
        cancel: &AtomicBool,
    ) -> Result<Encoded, EncodeError> {
        let cancelled = || cancel.load(Ordering::Relaxed);
        let own = || self.own.lock().unwrap_or_else(PoisonError::into_inner);
        let mut worker = own().pop().unwrap_or_default();
        worker.pooling = Duration::ZERO;
        let job = self
            .turns
            .job(|job| job.fill(texts.iter().map(Tokenized::ids), 1, self.group_tokens));
        while let Some(group) = job.claim() {
            job.run(group, &self.model, &mut worker, cancelled);
        }
        let done = job.finish(|| false);
        self.turns.keep(job);
        let pooling = worker.pooling;
        own().push(worker);
        done.map(|vectors| Encoded { vectors, pooling })
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

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use std::{
        sync::{
            Condvar, Mutex,
            atomic::{AtomicUsize, Ordering::SeqCst},
        },
        thread,
    };

    use super::*;
    use crate::{architecture::Scratch, ragged::Ragged};

    /// A token that a panic meets, and one that waits for [`Fake::gate`].
    const PANIC: u32 = 13;
    const WAIT: u32 = 7;

    static LIVE: AtomicBool = AtomicBool::new(false);

    /// Vectors `[1, id]`; counts how many threads are inside.
    #[derive(Default)]
    struct Fake {
        inside: AtomicUsize,
        most_inside: AtomicUsize,
        waiting: AtomicUsize,
        /// The first id of each group, in order of their start.
        groups: Mutex<Vec<u32>>,
        open: Mutex<bool>,
        gate: Condvar,
    }

    impl Fake {
        fn open(&self) {
            *self.open.lock().unwrap() = true;
            self.gate.notify_all();
        }

        fn until_waiting(&self, count: usize) {
            while self.waiting.load(SeqCst) < count {
                thread::yield_now();
            }
        }
    }

    impl Architecture for Arc<Fake> {
        fn hidden(&self) -> usize {
            2
        }

        fn forward(
            &self,
            group: &Ragged,
            scratch: &mut Scratch,
            keep_on: &mut dyn FnMut() -> bool,
        ) -> Result<(), EncodeError> {
            let inside = self.inside.fetch_add(1, SeqCst) + 1;
            self.most_inside.fetch_max(inside, SeqCst);
            let first = group.sequences().next().map(|(_, ids)| ids[0]);
            self.groups.lock().unwrap().extend(first);
            scratch.hidden.clear();
            let mut outcome = Ok(());
            for (_, ids) in group.sequences() {
                for id in ids {
                    scratch.hidden.extend([1.0, *id as f32]);
                    if *id == WAIT {
                        self.waiting.fetch_add(1, SeqCst);
                        let open = self.open.lock().unwrap();
                        drop(self.gate.wait_while(open, |open| !*open).unwrap());
                    }
                }
                if !keep_on() {
                    outcome = Err(EncodeError::Cancelled);
                }
            }
            self.inside.fetch_sub(1, SeqCst);
            assert!(
                !group.sequences().any(|(_, ids)| ids.contains(&PANIC)),
                "as told"
            );
            outcome
        }
    }

    fn cpu(threads: usize) -> (Arc<Fake>, Cpu) {
        let fake = Arc::new(Fake::default());
        let (threads, group) = (threads.try_into().unwrap(), 4.try_into().unwrap());
        let cpu = Cpu::new(Box::new(Arc::clone(&fake)), Pooling::Mean, threads, group);
        (fake, cpu.unwrap())
    }

    fn encode(cpu: &Cpu, texts: &[Vec<u32>]) -> Result<Vec<Vec<f32>>, EncodeError> {
        cpu.encode_ids(texts.iter().map(Vec::as_slice), &LIVE)
    }

    fn texts(count: u32) -> Vec<Vec<u32>> {
        (0..count)
            .map(|i| vec![100 + i; 1 + i as usize % 3])
            .collect()
    }

    #[test]
    fn vectors_come_in_order_whatever_the_threads() {
        for threads in [1, 2, 4] {
            let (_, cpu) = cpu(threads);
            let found = encode(&cpu, &texts(300)).unwrap();
            for (index, vector) in found.iter().enumerate() {
                assert!((vector[1] / vector[0] - (100 + index) as f32).abs() < 0.1);
            }
        }
    }

    #[test]
    fn calls_at_the_same_time_share_the_threads_and_use_no_more() {
        let (fake, cpu) = cpu(3);
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..20 {
                        assert_eq!(encode(&cpu, &texts(50)).unwrap().len(), 50);
                    }
                });
            }
        });
        assert!(fake.most_inside.load(SeqCst) <= 3);
    }

    #[test]
    fn a_panic_fails_its_own_call_and_no_other() {
        for threads in [1, 3] {
            let (_, cpu) = cpu(threads);
            let mut spoilt = texts(100);
            spoilt[77].push(PANIC);
            assert_eq!(encode(&cpu, &spoilt), Err(EncodeError::Worker));
            assert_eq!(encode(&cpu, &texts(100)).unwrap().len(), 100);
        }
    }

    #[test]
    fn a_cancelled_caller_is_let_go_in_line_and_at_work() {
        let (fake, cpu) = cpu(1);
        let (first, second) = (AtomicBool::new(false), AtomicBool::new(false));
        thread::scope(|scope| {
            let working = scope.spawn(|| cpu.encode_ids([&[WAIT, 1][..]].into_iter(), &first));
            fake.until_waiting(1);
            let in_line = scope.spawn(|| cpu.encode_ids([&[1u32][..]].into_iter(), &second));
            second.store(true, SeqCst);
            assert_eq!(in_line.join().unwrap(), Err(EncodeError::Cancelled));
            first.store(true, SeqCst);
            fake.open();
            assert_eq!(working.join().unwrap(), Err(EncodeError::Cancelled));
        });
        assert_eq!(encode(&cpu, &texts(9)).unwrap().len(), 9);
    }

    #[test]
    fn a_short_call_waits_for_a_group_of_a_long_one_not_for_all() {
        const SHORT: u32 = 99;
        let (fake, cpu) = cpu(1);
        thread::scope(|scope| {
            scope.spawn(|| {
                // The first group waits until the short call stands in line.
                let mut long = texts(30);
                long.insert(0, vec![WAIT; 4]);
                encode(&cpu, &long).unwrap();
            });
            fake.until_waiting(1);
            scope.spawn(|| encode(&cpu, &[vec![SHORT]]).unwrap());
            while !cpu.turns.is_waited_for() {
                thread::yield_now();
            }
            fake.open();
        });
        assert_eq!(fake.groups.lock().unwrap()[..2], [WAIT, SHORT]);
    }

    #[test]
    fn dropping_ends_the_helpers() {
        let (fake, cpu) = cpu(4);
        encode(&cpu, &texts(100)).unwrap();
        drop(cpu);
        // The model is gone with the last thread that used it.
        assert_eq!(Arc::strong_count(&fake), 1);
    }
}
