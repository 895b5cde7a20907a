//! Real servers for tests: each on a free port, in a folder of its own, ended on drop.
//!
//! `make setup` installs them. Whatever goes wrong is a panic that says what to do:
//! only tests use this crate.

#![forbid(unsafe_code)]
#![allow(clippy::expect_used, reason = "only tests use this crate")]

use std::{
    env, fs,
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use tempfile::TempDir;

/// How long a server may take until it listens. Kafka takes some five seconds of CPU.
const PATIENCE: Duration = Duration::from_secs(90);

/// A Redis that writes every change to disk before it answers.
pub struct Redis {
    port: u16,
    server: Server,
}

impl Redis {
    /// Starts one, and waits until it listens.
    pub fn start() -> Self {
        Self::start_with(|port| vec!["--port".to_owned(), port.to_string()])
    }

    /// Starts one that speaks TLS alone, with this certificate and key, to whoever has a
    /// certificate of this authority; all are PEM files.
    pub fn start_with_tls(certificate: &Path, key: &Path, authority: &Path) -> Self {
        Self::start_with(|port| {
            let port = port.to_string();
            let mut arguments: Vec<String> = ["--port", "0", "--tls-port", &port]
                .map(str::to_owned)
                .into();
            for (name, path) in [
                ("--tls-cert-file", certificate),
                ("--tls-key-file", key),
                ("--tls-ca-cert-file", authority),
            ] {
                arguments.extend([name.to_owned(), path.display().to_string()]);
            }
            arguments
        })
    }

    fn start_with(arguments: impl FnOnce(u16) -> Vec<String>) -> Self {
        let (port, folder) = (free_port(), folder());
        let mut command = Command::new("redis-server");
        command
            .args(arguments(port))
            .args(["--bind", "127.0.0.1"])
            .args([
                "--save",
                "",
                "--appendonly",
                "yes",
                "--appendfsync",
                "always",
            ]);
        Self {
            port,
            server: Server::start(command, folder, port, "tools/setup/redis.sh"),
        }
    }

    /// Ends it as SIGKILL does. What it has acknowledged is on disk.
    pub fn stop(&mut self) {
        self.server.stop();
    }

    /// Starts it again where it was, with what it had, and waits until it listens.
    pub fn start_again(&mut self) {
        self.server.spawn();
    }

    /// The port that it listens on.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// `redis://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }
}

/// An Apache Kafka of one node.
pub struct Kafka {
    port: u16,
    server: Server,
}

impl Kafka {
    /// Starts one, and waits until it listens.
    pub fn start() -> Self {
        Self::start_as("PLAINTEXT", "")
    }

    /// Starts one that lets in whoever has this name and password (SASL, PLAIN).
    pub fn start_with_password(user: &str, password: &str) -> Self {
        let name = "SASL_PLAINTEXT";
        let settings = format!(
            "listener.security.protocol.map={name}:{name},CONTROLLER:PLAINTEXT\n\
             sasl.enabled.mechanisms=PLAIN\n\
             sasl.mechanism.inter.broker.protocol=PLAIN\n\
             listener.name.sasl_plaintext.plain.sasl.jaas.config=\
             org.apache.kafka.common.security.plain.PlainLoginModule required \
             username=\"{user}\" password=\"{password}\" user_{user}=\"{password}\";\n"
        );
        Self::start_as(name, &settings)
    }

    fn start_as(listener: &str, further: &str) -> Self {
        let (port, controller, folder) = (free_port(), free_port(), folder());
        let settings = folder.path().join("server.properties");
        let data = folder.path().join("data");
        let text = format!(
            "process.roles=broker,controller\n\
             node.id=1\n\
             controller.quorum.voters=1@127.0.0.1:{controller}\n\
             listeners={listener}://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}\n\
             advertised.listeners={listener}://127.0.0.1:{port}\n\
             controller.listener.names=CONTROLLER\n\
             inter.broker.listener.name={listener}\n\
             log.dirs={data}\n\
             auto.create.topics.enable=false\n\
             default.replication.factor=1\n\
             offsets.topic.replication.factor=1\n\
             offsets.topic.num.partitions=1\n\
             transaction.state.log.replication.factor=1\n\
             transaction.state.log.min.isr=1\n\
             transaction.state.log.num.partitions=1\n\
             share.coordinator.state.topic.replication.factor=1\n\
             share.coordinator.state.topic.min.isr=1\n\
             group.initial.rebalance.delay.ms=0\n\
             group.min.session.timeout.ms=1000\n\
             {further}",
            data = data.display(),
        );
        fs::write(&settings, text).expect("a folder for Kafka");
        let java = |class: &str| {
            let mut java = Command::new("java");
            java.args([
                "-Xmx384m",
                "-XX:+UseSerialGC",
                "-XX:TieredStopAtLevel=1",
                "-cp",
            ])
            .arg(kafka_jars())
            .arg(class);
            java
        };
        let mut format = java("kafka.tools.StorageTool");
        // The id of the cluster is any 16 bytes in base64.
        format
            .args(["format", "-t", "c2lnbmFsYm94LXRlc3RzMA", "-c"])
            .arg(&settings);
        let formatted = format.output().expect("java starts; run `make setup`");
        assert!(formatted.status.success(), "{formatted:?}");
        let mut command = java("kafka.Kafka");
        command.arg(&settings);
        Self {
            port,
            server: Server::start(command, folder, port, "tools/setup/kafka.sh"),
        }
    }

    /// Ends it as SIGKILL does. What it has acknowledged is on disk.
    pub fn stop(&mut self) {
        self.server.stop();
    }

    /// Starts it again where it was, with what it had, and waits until it listens.
    pub fn start_again(&mut self) {
        self.server.spawn();
    }

    /// `127.0.0.1:PORT`.
    pub fn brokers(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }
}

/// Every jar of Kafka, as a class path.
fn kafka_jars() -> PathBuf {
    let cache = || {
        let home = PathBuf::from(env::var_os("HOME").expect("HOME is set"));
        env::var_os("XDG_CACHE_HOME")
            .map_or_else(|| home.join(".cache"), PathBuf::from)
            .join("signalbox/tools")
    };
    let tools = env::var_os("SIGNALBOX_TOOLS_DIR").map_or_else(cache, PathBuf::from);
    let jars = tools.join("kafka/libs");
    assert!(
        jars.is_dir(),
        "{} is missing; run tools/setup/kafka.sh",
        jars.display()
    );
    jars.join("*")
}

struct Server {
    command: Command,
    port: u16,
    /// What installs it.
    setup: &'static str,
    child: Option<Child>,
    folder: TempDir,
}

impl Server {
    fn start(mut command: Command, folder: TempDir, port: u16, setup: &'static str) -> Self {
        command.current_dir(folder.path()).stdin(Stdio::null());
        let mut server = Self {
            command,
            port,
            setup,
            child: None,
            folder,
        };
        server.spawn();
        server
    }

    fn spawn(&mut self) {
        self.stop();
        let (command, setup) = (&mut self.command, self.setup);
        let name = command.get_program().to_string_lossy().into_owned();
        let log = self.folder.path().join("log");
        let file = fs::File::create(&log).expect("a log file");
        let child = command
            .stdout(file.try_clone().expect("a log file"))
            .stderr(file)
            .spawn()
            .unwrap_or_else(|error| panic!("{name} does not start: {error}; run {setup}"));
        let child = self.child.insert(child);
        let limit = Instant::now() + PATIENCE;
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            let ended = child.try_wait().expect("a child process");
            let said = || fs::read_to_string(&log).unwrap_or_default();
            assert!(ended.is_none(), "{name} ended: {ended:?}\n{}", said());
            assert!(Instant::now() < limit, "{name} does not listen\n{}", said());
            thread::sleep(Duration::from_millis(20));
        }
    }

    fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

fn folder() -> TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

/// A port that nobody listens on.
fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("an address").port()
}
