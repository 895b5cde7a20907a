//! A running platform for tests: the real binary, real models, free ports.
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "tests, each of which uses a part"
)]

use std::{
    io::{BufRead as _, BufReader, Read as _},
    path::PathBuf,
    process::{Child, Command, Output, Stdio},
};

/// A `signalbox up` of this build on a free port; ended on drop.
pub(crate) struct Platform {
    pub(crate) url: String,
    child: Child,
}

impl Platform {
    /// Starts it with these `--set` values, and waits until it is ready.
    pub(crate) fn start(settings: &[&str]) -> Self {
        Self::start_with(settings, Stdio::inherit())
    }

    /// Starts it with a configuration file.
    pub(crate) fn start_file(file: &tempfile::NamedTempFile, settings: &[&str]) -> Self {
        Self::launch(Some(file), settings, Stdio::inherit())
    }

    /// Starts it with its log lines going to `stderr`.
    pub(crate) fn start_with(settings: &[&str], stderr: Stdio) -> Self {
        Self::launch(None, settings, stderr)
    }

    fn launch(file: Option<&tempfile::NamedTempFile>, settings: &[&str], stderr: Stdio) -> Self {
        let mut command = command("signalbox");
        command.args(["up", "--listen", "127.0.0.1:0"]);
        command.args(["--set", "models.pull=false", "--set", "state_dir=null"]);
        Self::spawn(command, file, settings, stderr)
    }

    /// Starts one of the thin binaries, such as `signalbox-router`.
    pub(crate) fn start_alone(
        name: &str,
        file: Option<&tempfile::NamedTempFile>,
        settings: &[&str],
    ) -> Self {
        let mut command = command(name);
        command.args(["--set", "server.listen=127.0.0.1:0"]);
        Self::spawn(command, file, settings, Stdio::inherit())
    }

    fn spawn(
        mut command: Command,
        file: Option<&tempfile::NamedTempFile>,
        settings: &[&str],
        stderr: Stdio,
    ) -> Self {
        // The tests' own HTTP clients need it too.
        signalbox_chassis::tls::install_crypto();
        command.args(["--set", "telemetry.log_filter=warn"]);
        if let Some(file) = file {
            command.arg("--config").arg(file.path());
        }
        for setting in settings {
            command.args(["--set", setting]);
        }
        // An empty folder: no signalbox.yaml of this tree may leak in.
        command.current_dir(std::env::temp_dir());
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(stderr)
            .spawn()
            .expect("the binary starts");
        let mut lines = BufReader::new(child.stdout.take().unwrap());
        let mut said = String::new();
        let url = loop {
            let mut line = String::new();
            let more = lines.read_line(&mut line).unwrap();
            said.push_str(&line);
            assert!(
                more > 0,
                "it ended before it was ready; are the models here? run `make models`\n{said}"
            );
            if let Some((_, rest)) = line.split_once(" is ready at ") {
                break rest.split_whitespace().next().unwrap().to_owned();
            }
        };
        // The rest of the banner must not fill the pipe.
        std::thread::spawn(move || lines.read_to_string(&mut String::new()));
        Self { url, child }
    }

    /// `host:port`.
    pub(crate) fn address(&self) -> &str {
        self.url.strip_prefix("http://").unwrap()
    }

    /// Asks the process to end, as an orchestrator does.
    pub(crate) fn terminate(&self) {
        run(Command::new("kill").args(["-TERM", &self.child.id().to_string()]));
    }

    /// One metric's value, summed over its labels; 0 where it was never recorded.
    pub(crate) fn metric(&self, name: &str) -> f64 {
        let text = run(Command::new("curl").args(["-sS", &format!("{}/metrics", self.url)]));
        text.lines()
            .filter(|line| {
                line.strip_prefix(name)
                    .is_some_and(|rest| rest.starts_with(['{', ' ']))
            })
            .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
            .sum()
    }

    /// Waits until the process ends by itself.
    pub(crate) fn wait(&mut self) -> std::process::ExitStatus {
        self.child.wait().unwrap()
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }
}

impl Drop for Platform {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A configuration file whose provider `upstream` is the fault-injecting one, with
/// these models of it: `(name in Signalbox, behaviour upstream)`. Input costs 0.15,
/// cached input 0.0025, output 0.60 dollars a million tokens.
pub(crate) fn upstream_config(base_url: &str, models: &[(&str, &str)]) -> tempfile::NamedTempFile {
    let mut text = format!(
        "router:\n  providers:\n    local: {{kind: local, load: lazy}}\n    \
         upstream: {{kind: openai_compatible, base_url: \"{base_url}\"}}\n  models:\n"
    );
    for (name, behaviour) in models {
        text.push_str(&format!(
            "    - name: {name}\n      provider: upstream\n      upstream_name: \"{behaviour}\"\n      \
             price: {{input_usd_per_million_tokens: \"0.15\", cached_input_usd_per_million_tokens: \"0.0025\", \
             output_usd_per_million_tokens: \"0.60\"}}\n"
        ));
    }
    let first = models[0].0;
    text.push_str(&format!(
        "  routes:\n    auto: {{strategy: cost, models: [{first}]}}\n"
    ));
    let file = tempfile::Builder::new().suffix(".yaml").tempfile().unwrap();
    std::fs::write(file.path(), text).unwrap();
    file
}

/// Asks again and again until `probe` gives something, for at most 20 s: what is
/// waited for happens in another process, which no clock of ours drives.
pub(crate) fn eventually<T>(what: &str, mut probe: impl FnMut() -> Option<T>) -> T {
    let limit = std::time::Instant::now() + std::time::Duration::from_secs(20);
    loop {
        if let Some(found) = probe() {
            return found;
        }
        assert!(
            std::time::Instant::now() < limit,
            "{what} did not happen within 20 s"
        );
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}

/// Runs one of this build's programs, which finds the models from any working folder.
pub(crate) fn command(name: &str) -> Command {
    let mut command = Command::new(binary(name));
    if let Some(models) = std::env::var_os("SIGNALBOX_MODELS_DIR") {
        command.env("SIGNALBOX_MODELS_DIR", absolute(models));
    }
    command
}

/// One of this build's programs. Cargo and Bazel both say where `signalbox` is; Bazel
/// says it of the thin ones too, which Cargo puts beside it.
fn binary(name: &str) -> PathBuf {
    let set = |name: &str| std::env::var_os(format!("CARGO_BIN_EXE_{name}")).map(absolute);
    let binary = set(name).unwrap_or_else(|| {
        set("signalbox")
            .expect("the build tool sets CARGO_BIN_EXE_signalbox")
            .with_file_name(name)
    });
    assert!(
        binary.exists(),
        "{} is missing; run `cargo build --workspace --bins`",
        binary.display()
    );
    binary
}

/// A path that holds in every working folder; Bazel's are relative to a test's first.
fn absolute(path: impl Into<PathBuf>) -> PathBuf {
    std::path::absolute(path.into()).unwrap()
}

/// Where `make setup` put the tools.
pub(crate) fn tools_dir() -> PathBuf {
    let cache = || {
        let home = std::env::var_os("HOME").expect("HOME is set");
        std::env::var_os("XDG_CACHE_HOME")
            .map_or_else(|| PathBuf::from(home).join(".cache"), PathBuf::from)
    };
    let tools = std::env::var_os("SIGNALBOX_TOOLS_DIR")
        .map_or_else(|| cache().join("signalbox/tools"), absolute);
    assert!(
        tools.is_dir(),
        "{} is missing; run `make setup`",
        tools.display()
    );
    tools
}

/// A tool that `make setup` installed.
pub(crate) fn tool(path: &str) -> PathBuf {
    let tool = tools_dir().join(path);
    assert!(
        tool.exists(),
        "{} is missing; run `make setup`",
        tool.display()
    );
    tool
}

/// Runs a command to its end and shows what it said when it failed.
pub(crate) fn run(command: &mut Command) -> String {
    let Output {
        status,
        stdout,
        stderr,
    } = command
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let (stdout, stderr) = (
        String::from_utf8_lossy(&stdout),
        String::from_utf8_lossy(&stderr),
    );
    assert!(
        status.success(),
        "{command:?} ended with {status}\n{stdout}\n{stderr}"
    );
    stdout.into_owned()
}

/// The python with the project's test packages.
pub(crate) fn python() -> Command {
    Command::new(tool("python/bin/python"))
}

/// The path of a file beside the tests.
pub(crate) fn client(name: &str) -> PathBuf {
    absolute(std::env::var_os("CARGO_MANIFEST_DIR").expect("the build tool sets it"))
        .join("tests/clients")
        .join(name)
}
