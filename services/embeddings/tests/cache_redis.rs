//! The cache over a real Redis, and over one that goes away.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::{
    io,
    net::{Ipv4Addr, TcpListener, TcpStream},
    process::{Child, Command, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use signalbox_chassis::config::Secret;
use signalbox_embeddings::{
    cache::{Cache, CacheConfig, KeyPrefix},
    request::{Embedded, Inputs, Priority},
};
use signalbox_encoder::InputType;
use tracing_subscriber::fmt::MakeWriter;

/// A Redis that keeps nothing on disk; ended on drop.
struct Redis {
    port: u16,
    child: Child,
}

impl Redis {
    /// On this port. `None` where the machine has no redis-server, except under CI,
    /// which must have it.
    fn start(port: u16) -> Option<Self> {
        let port_text = port.to_string();
        let child = Command::new("redis-server")
            .args(["--port", &port_text, "--bind", "127.0.0.1"])
            .args(["--save", "", "--appendonly", "no"])
            .stdout(Stdio::null())
            .spawn();
        let child = match child {
            Ok(child) => child,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let ci = std::env::var_os("CI").is_some();
                assert!(!ci, "there is no redis-server; run tools/setup/redis.sh");
                eprintln!("not run: there is no redis-server; run tools/setup/redis.sh");
                return None;
            }
            Err(error) => panic!("{error}"),
        };
        let redis = Self { port, child };
        let end = Instant::now() + Duration::from_secs(20);
        while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
            assert!(Instant::now() < end, "redis-server does not listen");
            std::thread::sleep(Duration::from_millis(5));
        }
        Some(redis)
    }

    fn url(&self) -> String {
        url(self.port)
    }

    /// What redis-cli answers.
    fn cli(&self, words: &[&str]) -> String {
        let mut command = Command::new("redis-cli");
        command.args(["-p", &self.port.to_string()]).args(words);
        String::from_utf8(command.output().unwrap().stdout).unwrap()
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn url(port: u16) -> String {
    format!("redis://127.0.0.1:{port}/")
}

fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.local_addr().unwrap().port()
}

/// A cache of a process that has nothing in memory.
fn cache(url: &str) -> Cache {
    let config = CacheConfig {
        max_bytes: 0,
        redis_url: Secret::new(url),
        // Of Redis on a busy machine; the tests that time out set their own.
        redis_timeout_ms: 2_000,
        ..CacheConfig::default()
    };
    Cache::new(&config).unwrap()
}

fn result() -> Embedded {
    Embedded {
        vector: vec![0.25, -0.5, 0.125],
        tokens: 7,
        truncated: true,
    }
}

/// Asks for a text, and counts when it is computed.
async fn ask(cache: &Cache, text: &str, computed: &AtomicUsize) {
    let compute = async |positions: Vec<usize>| {
        computed.fetch_add(1, Ordering::Relaxed);
        Ok(vec![result(); positions.len()])
    };
    let prefix = KeyPrefix::new("model", "revision", 3, InputType::Unspecified, "");
    let inputs = Inputs::Texts(vec![text.to_owned()]);
    let interactive = Priority::Interactive;
    let answer = cache.embed(&prefix, &inputs, interactive, compute).await;
    assert_eq!(answer.unwrap(), [result()]);
}

/// Writing happens beside the requests: until it has.
async fn until(mut done: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(20);
    while !done() {
        assert!(Instant::now() < end, "it does not happen");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn what_one_process_computed_another_reads() {
    let Some(redis) = Redis::start(free_port()) else {
        return;
    };
    let computed = AtomicUsize::new(0);
    ask(&cache(&redis.url()), "a", &computed).await;
    until(|| redis.cli(&["DBSIZE"]).trim() == "1").await;
    ask(&cache(&redis.url()), "a", &computed).await;
    assert_eq!(computed.load(Ordering::Relaxed), 1);

    let name = redis.cli(&["KEYS", "*"]).trim().to_owned();
    assert!(name.starts_with("signalbox:embedding:"), "{name}");
    let left: u64 = redis.cli(&["TTL", &name]).trim().parse().unwrap();
    assert!((86_000..=86_400).contains(&left), "{left}");
    // What somebody else put there is not a result.
    redis.cli(&["SET", &name, "rubbish"]);
    ask(&cache(&redis.url()), "a", &computed).await;
    assert_eq!(computed.load(Ordering::Relaxed), 2);
}

/// Collects log lines.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Lines {
    fn count(&self) -> usize {
        let bytes = self.0.lock().unwrap();
        String::from_utf8_lossy(&bytes)
            .matches("Redis does not answer")
            .count()
    }
}

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

fn collect(lines: &Lines) -> tracing::subscriber::DefaultGuard {
    // With one subscriber alone, the first thread that logs a line decides for all whether
    // anybody wants it. Set already where a test of this process came here before.
    let _ = tracing::subscriber::set_global_default(tracing_subscriber::registry());
    let subscriber = tracing_subscriber::fmt()
        .with_ansi(false)
        .with_writer(lines.clone())
        .finish();
    tracing::subscriber::set_default(subscriber)
}

#[tokio::test]
async fn redis_going_away_degrades_to_computing_with_one_line_and_it_is_used_again() {
    let port = free_port();
    let Some(redis) = Redis::start(port) else {
        return;
    };
    let lines = Lines::default();
    let _collecting = collect(&lines);
    let (cache, computed) = (cache(&redis.url()), AtomicUsize::new(0));
    ask(&cache, "a", &computed).await;
    until(|| redis.cli(&["DBSIZE"]).trim() == "1").await;
    ask(&cache, "a", &computed).await;
    assert_eq!((computed.load(Ordering::Relaxed), lines.count()), (1, 0));

    drop(redis);
    for at in 0..100 {
        ask(&cache, &format!("away {at}"), &computed).await;
    }
    assert_eq!((computed.load(Ordering::Relaxed), lines.count()), (101, 1));

    let redis = Redis::start(port).unwrap();
    let mut at = 0;
    // The breaker probes after a pause of its own; then results are stored again.
    while redis.cli(&["DBSIZE"]).trim() == "0" {
        ask(&cache, &format!("back {at}"), &computed).await;
        at += 1;
        assert!(at < 2_000, "Redis is not used again");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(lines.count(), 1);
}

#[tokio::test]
async fn a_redis_that_hangs_costs_the_first_few_requests_its_timeout_and_the_others_nothing() {
    // Takes connections and never says a word.
    let silent = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let lines = Lines::default();
    let _collecting = collect(&lines);
    let config = CacheConfig {
        redis_url: Secret::new(url(silent.local_addr().unwrap().port())),
        ..CacheConfig::default()
    };
    let (cache, computed) = (Cache::new(&config).unwrap(), AtomicUsize::new(0));
    let started = Instant::now();
    for at in 0..200 {
        ask(&cache, &format!("{at}"), &computed).await;
    }
    let elapsed = started.elapsed();
    assert_eq!((computed.load(Ordering::Relaxed), lines.count()), (200, 1));
    // 200 times its 50 ms are 10 s, however fast the machine; three are nothing beside.
    assert!(elapsed < Duration::from_secs(8), "{elapsed:?}");
}

#[tokio::test]
async fn a_wrong_url_is_refused_without_showing_its_password() {
    let config = CacheConfig {
        redis_url: Secret::new("http://user:hunter2@localhost/"),
        ..CacheConfig::default()
    };
    let Err(error) = Cache::new(&config) else {
        panic!("it is no URL of Redis");
    };
    let text = error.to_string();
    assert!(text.contains("embeddings.cache.redis_url"), "{text}");
    assert!(!text.contains("hunter2"), "{text}");
}
