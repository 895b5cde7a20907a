//! A process with one model that a benchmark drives: orders on standard input, answers
//! on standard output, one JSON object a line each.
//!
//! `bench_worker --model DIR [--arithmetic f32|i16|int8] [--threads N] [--group-tokens N]`
//!
//! The model is loaded at once; the first order may be sent at any time. An order that
//! is wrong is answered with `{"error": "..."}`, and the next one is read.
//!
//! # Orders
//!
//! `{"op": "bench", "texts": ["...", ...]}` encodes texts, or `"ids": [[101, ...], ...]`
//! already tokenised ones (special tokens included or not: those at the ends are taken
//! for them). May also have:
//!
//! - `"repeat"`: so many times over (1);
//! - `"batch"`: so many texts to a call (all of them); 1 measures single texts;
//! - `"batch_tokens"`: consecutive texts to a call while their tokens are at most this
//!   many; without `batch` only;
//! - `"clients"`: so many threads that make calls at the same time, each the whole of
//!   the calls `repeat` times (1).
//!
//! The answer: `{"texts", "tokens", "calls", "wall_s", "cpu_s", "tokenise_s",
//! "tokenise_cpu_s", "latencies_ms": [...]}`. `wall_s` and `cpu_s` (of the process, all
//! threads) are of the calls alone, without tokenising, which is done once, before.
//! `tokens` and `texts` count repeats and clients; `latencies_ms` has a call each, in
//! order. `op` may be left out.
//!
//! `{"op": "embed", "texts": [...], "out": "path.f32"}` (or `ids`) writes the vectors, f32
//! little-endian, `[texts, dimensions]`; the answer: `{"count", "dimensions", "tokens"}`.
//!
//! `{"op": "single", "texts": [...]}` measures one text at a time, tokenising included;
//! with `repeat`; the answer is bench's, its `tokenise_s` is within `wall_s`.
//!
//! `{"op": "info"}` answers `{"load_s", "load_cpu_s", "rss_kb", "peak_rss_kb",
//! "arithmetic", "threads", "level", "dimensions", "max_tokens", "peak_f32_gflops",
//! "peak_i16_gops", "peak_int8_gops"}`: the peaks are one core's, measured by loops over
//! registers alone, two operations to a multiplication with addition.

#![forbid(unsafe_code)]

use std::{
    env,
    error::Error,
    fs,
    io::{BufRead as _, Write as _, stdin, stdout},
    num::NonZeroUsize,
    ops::Range,
    path::PathBuf,
    sync::{Barrier, atomic::AtomicBool},
    thread,
    time::Instant,
};

use rustix::time::{ClockId, clock_gettime};
use serde::Deserialize;
use serde_json::{Value, json};
use signalbox_encoder::{Encoder, EncoderOptions, Tokenized};
use signalbox_kernels::Cpu;

static LIVE: AtomicBool = AtomicBool::new(false);

type Failure = Box<dyn Error + Send + Sync>;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Order {
    #[serde(default)]
    op: Op,
    texts: Option<Vec<String>>,
    ids: Option<Vec<Vec<u32>>>,
    repeat: Option<usize>,
    batch: Option<NonZeroUsize>,
    batch_tokens: Option<usize>,
    clients: Option<NonZeroUsize>,
    out: Option<PathBuf>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Op {
    #[default]
    Bench,
    Single,
    Embed,
    Info,
}

/// Time on the wall and of the process on all processors, in seconds.
struct Clock {
    wall: Instant,
    cpu: f64,
}

impl Clock {
    fn start() -> Self {
        Self {
            wall: Instant::now(),
            cpu: process_cpu_s(),
        }
    }

    fn read(&self) -> (f64, f64) {
        let wall = self.wall.elapsed().as_secs_f64();
        (wall, process_cpu_s() - self.cpu)
    }
}

fn process_cpu_s() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

struct Worker {
    encoder: Encoder,
    options: EncoderOptions,
    load_s: f64,
    load_cpu_s: f64,
}

fn main() -> Result<(), Failure> {
    let worker = Worker::from_arguments()?;
    for line in stdin().lock().lines() {
        let line = line?;
        if line.trim().is_empty() {
            continue;
        }
        let answer = serde_json::from_str(&line)
            .map_err(Failure::from)
            .and_then(|order| worker.answer(&order))
            .unwrap_or_else(|error| json!({"error": error.to_string()}));
        let mut stdout = stdout().lock();
        writeln!(stdout, "{answer}")?;
        stdout.flush()?;
    }
    Ok(())
}

impl Worker {
    fn from_arguments() -> Result<Self, Failure> {
        let mut options = EncoderOptions::default();
        let mut model = None;
        let mut arguments = env::args().skip(1);
        while let Some(name) = arguments.next() {
            let value = arguments.next().ok_or(format!("{name} needs a value"))?;
            match name.as_str() {
                "--model" => model = Some(PathBuf::from(value)),
                "--arithmetic" => options.arithmetic = value.parse()?,
                "--threads" => options.threads = value.parse()?,
                "--group-tokens" => options.group_tokens = value.parse()?,
                _ => return Err(format!("{name} is no option").into()),
            }
        }
        let model = model.ok_or("--model DIR is missing")?;
        let clock = Clock::start();
        let encoder = Encoder::load_with(&model, options)?;
        let (load_s, load_cpu_s) = clock.read();
        Ok(Self {
            encoder,
            options,
            load_s,
            load_cpu_s,
        })
    }

    fn answer(&self, order: &Order) -> Result<Value, Failure> {
        match order.op {
            Op::Bench => self.bench(order),
            Op::Single => self.single(order),
            Op::Embed => self.embed(order),
            Op::Info => Ok(self.info()),
        }
    }

    fn tokenise(&self, order: &Order) -> Result<Vec<Tokenized>, Failure> {
        match (&order.texts, &order.ids) {
            (Some(texts), None) => Ok(texts
                .iter()
                .map(|text| self.encoder.tokenize(text))
                .collect::<Result<_, _>>()?),
            (None, Some(ids)) => {
                let special = self.encoder.tokenize("")?;
                let [first, last] = special.ids() else {
                    return Err("`ids` needs a model with one special token at each end".into());
                };
                let bare = |ids: &Vec<u32>| {
                    let ids = ids.strip_prefix(&[*first]).unwrap_or(ids);
                    let ids = ids.strip_suffix(&[*last]).unwrap_or(ids);
                    self.encoder.accept_ids(ids)
                };
                Ok(ids.iter().map(bare).collect::<Result<_, _>>()?)
            }
            _ => Err("an order has either `texts` or `ids`".into()),
        }
    }

    fn bench(&self, order: &Order) -> Result<Value, Failure> {
        let clock = Clock::start();
        let texts = self.tokenise(order)?;
        let (tokenise_s, tokenise_cpu_s) = clock.read();
        let calls = calls(&texts, order);
        let repeat = order.repeat.unwrap_or(1);
        let clients = order.clients.map_or(1, NonZeroUsize::get);

        let client = || -> Result<Vec<f64>, Failure> {
            let mut latencies = Vec::with_capacity(repeat * calls.len());
            for call in (0..repeat).flat_map(|_| &calls) {
                let start = Instant::now();
                self.encoder.encode(&texts[call.clone()], &LIVE)?;
                latencies.push(start.elapsed().as_secs_f64() * 1e3);
            }
            Ok(latencies)
        };
        let (latencies, wall_s, cpu_s);
        if clients == 1 {
            let clock = Clock::start();
            latencies = client()?;
            (wall_s, cpu_s) = clock.read();
        } else {
            let barrier = Barrier::new(clients + 1);
            (latencies, wall_s, cpu_s) = thread::scope(|scope| {
                let threads: Vec<_> = (0..clients)
                    .map(|_| {
                        scope.spawn(|| {
                            barrier.wait();
                            client()
                        })
                    })
                    .collect();
                barrier.wait();
                let clock = Clock::start();
                let mut latencies = Vec::new();
                for thread in threads {
                    latencies.extend(thread.join().map_err(|_| "a client panicked")??);
                }
                let (wall_s, cpu_s) = clock.read();
                Ok::<_, Failure>((latencies, wall_s, cpu_s))
            })?;
        }
        let tokens: usize = texts.iter().map(|text| text.ids().len()).sum();
        Ok(json!({
            "texts": texts.len() * repeat * clients,
            "tokens": tokens * repeat * clients,
            "calls": latencies.len(),
            "wall_s": wall_s,
            "cpu_s": cpu_s,
            "tokenise_s": tokenise_s,
            "tokenise_cpu_s": tokenise_cpu_s,
            "latencies_ms": latencies,
        }))
    }

    fn single(&self, order: &Order) -> Result<Value, Failure> {
        let texts = order.texts.as_ref().ok_or("`texts` is missing")?;
        let repeat = order.repeat.unwrap_or(1);
        let (mut latencies, mut tokens, mut tokenise_s) = (Vec::new(), 0, 0.0);
        let clock = Clock::start();
        for text in (0..repeat).flat_map(|_| texts) {
            let start = Instant::now();
            let tokenized = self.encoder.tokenize(text)?;
            tokenise_s += start.elapsed().as_secs_f64();
            self.encoder
                .encode(std::slice::from_ref(&tokenized), &LIVE)?;
            latencies.push(start.elapsed().as_secs_f64() * 1e3);
            tokens += tokenized.ids().len();
        }
        let (wall_s, cpu_s) = clock.read();
        Ok(json!({
            "texts": latencies.len(),
            "tokens": tokens,
            "calls": latencies.len(),
            "wall_s": wall_s,
            "cpu_s": cpu_s,
            "tokenise_s": tokenise_s,
            "latencies_ms": latencies,
        }))
    }

    fn embed(&self, order: &Order) -> Result<Value, Failure> {
        let out = order.out.as_ref().ok_or("`out` is missing")?;
        let texts = self.tokenise(order)?;
        let vectors = self.encoder.encode(&texts, &LIVE)?;
        let values = vectors.iter().flatten();
        fs::write(
            out,
            values
                .flat_map(|value| value.to_le_bytes())
                .collect::<Vec<u8>>(),
        )?;
        Ok(json!({
            "count": vectors.len(),
            "dimensions": self.encoder.info().dimensions,
            "tokens": texts.iter().map(|text| text.ids().len()).sum::<usize>(),
        }))
    }

    fn info(&self) -> Value {
        let info = self.encoder.info();
        let memory = (memory_kb("VmRSS:"), memory_kb("VmHWM:"));
        let cpu = Cpu::detect();
        let peaks = cpu.measure_peaks();
        json!({
            "load_s": self.load_s,
            "load_cpu_s": self.load_cpu_s,
            "rss_kb": memory.0,
            "peak_rss_kb": memory.1,
            "arithmetic": self.options.arithmetic.as_str(),
            "threads": self.options.threads,
            "level": cpu.level().as_str(),
            "dimensions": info.dimensions,
            "max_tokens": info.max_tokens,
            "peak_f32_gflops": peaks.f32,
            "peak_i16_gops": peaks.i16,
            "peak_int8_gops": peaks.int8,
        })
    }
}

/// The texts of each call.
fn calls(texts: &[Tokenized], order: &Order) -> Vec<Range<usize>> {
    let most = order.batch.map_or(usize::MAX, NonZeroUsize::get);
    let budget = order
        .batch_tokens
        .filter(|_| order.batch.is_none())
        .unwrap_or(usize::MAX);
    let mut calls: Vec<Range<usize>> = Vec::new();
    let mut tokens = 0;
    for (index, text) in texts.iter().enumerate() {
        let length = text.ids().len();
        match calls.last_mut() {
            Some(call) if call.len() < most && tokens + length <= budget => {
                call.end = index + 1;
                tokens += length;
            }
            _ => {
                calls.push(index..index + 1);
                tokens = length;
            }
        }
    }
    calls
}

/// A figure of this process, where the system tells (Linux).
fn memory_kb(name: &str) -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with(name))?;
    line.split_whitespace().nth(1)?.parse().ok()
}
