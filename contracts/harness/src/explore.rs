//! What a newcomer with grpcurl finds: by reflection alone every service, method and
//! message of the contract, a call of each service, and an error's details in clear.

use std::{
    collections::{BTreeSet, VecDeque},
    path::Path,
};

use anyhow::{Context as _, ensure};
use prost_reflect::DescriptorPool;
use tokio::process::Command;

use crate::{platform::Platform, tools};

/// One call of each service: `(method, request, what the answer holds)`.
const CALLS: &[(&str, &str, &[&str])] = &[
    (
        "signalbox.router.v1.RouterService/CreateChatCompletion",
        r#"{"model": "echo", "messages": [{"role": "user", "content": "found by reflection"}]}"#,
        &["found by reflection"],
    ),
    (
        "signalbox.router.v1.RouterService/StreamChatCompletion",
        r#"{"model": "echo", "messages": [{"role": "user", "content": "found by reflection"}]}"#,
        &["reflection", "\"finishReason\": \"stop\""],
    ),
    (
        "signalbox.embeddings.v1.EmbeddingsService/CreateEmbeddings",
        r#"{"input": ["a red bicycle"], "model": "all-MiniLM-L6-v2"}"#,
        &["\"promptTokens\": 5"],
    ),
    (
        "signalbox.guardrails.v1.GuardrailsService/RedactText",
        r#"{"text": "Mail ada@example.com"}"#,
        // grpcurl writes `<` for browsers.
        &[r#""text": "Mail \u003cEMAIL\u003e""#],
    ),
    ("grpc.health.v1.Health/Check", "{}", &["SERVING"]),
];

/// Calls that fail, and what grpcurl must show of their details.
const FAILURES: &[(&str, &str, &[&str])] = &[
    (
        "signalbox.embeddings.v1.EmbeddingsService/CreateEmbeddings",
        r#"{"model": "all-MiniLM-L6-v2"}"#,
        &[
            "Code: InvalidArgument",
            "google.rpc.BadRequest",
            "\"field\": \"input\"",
            "google.rpc.ErrorInfo",
            "\"reason\": \"INVALID_FIELD\"",
            "\"domain\": \"signalbox\"",
        ],
    ),
    (
        "signalbox.router.v1.RouterService/CreateChatCompletion",
        r#"{"model": "limited", "messages": [{"role": "user", "content": "now"}]}"#,
        &[
            "Code: ResourceExhausted",
            "google.rpc.RetryInfo",
            "\"retryDelay\": \"2s\"",
        ],
    ),
    (
        "signalbox.router.v1.RouterService/ExplainRoute",
        "{}",
        &["Code: Unimplemented", "\"reason\": \"NOT_IMPLEMENTED\""],
    ),
];

/// Where grpcurl asks, and with which options.
struct Server<'a> {
    name: &'a str,
    address: &'a str,
    options: Vec<String>,
}

pub(crate) async fn run(binaries: &Path) -> anyhow::Result<()> {
    let platform = Platform::start(binaries, &[]).await?;
    let servers = [
        Server {
            name: "plaintext",
            address: &platform.plaintext,
            options: vec!["-plaintext".to_owned()],
        },
        Server {
            name: "TLS",
            address: &platform.tls,
            options: vec![
                "-cacert".to_owned(),
                platform.authority.display().to_string(),
            ],
        },
    ];
    let [plaintext, _] = &servers;
    let (symbols, methods) = plaintext.describes_everything().await?;
    println!("{symbols} symbols described by reflection, {methods} of them methods");
    for server in &servers {
        for (method, request, expected) in CALLS {
            let (success, said) = server.call(method, request).await?;
            ensure!(success, "{}: {method}: {said}", server.name);
            holds(&said, expected).with_context(|| format!("{}: {method}", server.name))?;
        }
        for (method, request, expected) in FAILURES {
            let (success, said) = server.call(method, request).await?;
            ensure!(!success, "{}: {method} succeeds: {said}", server.name);
            holds(&said, expected).with_context(|| format!("{}: {method}", server.name))?;
            // What grpcurl says of a detail whose type reflection does not serve.
            ensure!(
                !said.contains("not recognized") && !said.contains("@error"),
                "{}: {method}: a detail is not shown in clear: {said}",
                server.name
            );
        }
        println!(
            "{}: {} calls answered, {} errors with their details in clear",
            server.name,
            CALLS.len(),
            FAILURES.len()
        );
    }
    Ok(())
}

impl Server<'_> {
    /// Runs grpcurl; gives whether it succeeded, and all that it said.
    async fn grpcurl(&self, before: &[&str], after: &[&str]) -> anyhow::Result<(bool, String)> {
        let mut command = Command::new(tools::path("bin/grpcurl", "go.sh")?);
        command.args(&self.options).args(before).arg(self.address);
        let output = command.args(after).kill_on_drop(true).output().await?;
        let mut said = String::from_utf8(output.stdout)?;
        said.push_str(&String::from_utf8(output.stderr)?);
        Ok((output.status.success(), said))
    }

    async fn call(&self, method: &str, request: &str) -> anyhow::Result<(bool, String)> {
        let options = ["-max-time", "30", "-d", request];
        self.grpcurl(&options, &[method]).await
    }

    async fn ask(&self, words: &[&str]) -> anyhow::Result<String> {
        let (success, said) = self.grpcurl(&[], words).await?;
        ensure!(success, "grpcurl {words:?}: {said}");
        Ok(said)
    }

    /// From the list of services to every symbol that a description names. Gives how many
    /// there are, and how many methods; fails where one of the contract is not among them.
    async fn describes_everything(&self) -> anyhow::Result<(usize, usize)> {
        let listed = self.ask(&["list"]).await?;
        let mut known: BTreeSet<String> = listed.lines().map(str::to_owned).collect();
        let mut methods = 0;
        for service in known.clone() {
            for method in self.ask(&["list", &service]).await?.lines() {
                methods += 1;
                known.insert(method.to_owned());
            }
        }
        let mut open: VecDeque<String> = known.iter().cloned().collect();
        while let Some(symbol) = open.pop_front() {
            let description = self.ask(&["describe", &symbol]).await?;
            for named in names_in(&description) {
                if known.insert(named.to_owned()) {
                    open.push_back(named.to_owned());
                }
            }
        }
        let missing: Vec<String> = (contract()?.into_iter())
            .filter(|symbol| !known.contains(symbol))
            .collect();
        ensure!(missing.is_empty(), "not found by reflection: {missing:?}");
        Ok((known.len(), methods))
    }
}

/// The full names of types that a description mentions: `.package.Type`. A package of
/// their own begins small, which tells them from `1.5` and the end of a sentence. An
/// option names an extension, which is no type, and which tonic's reflection does not find.
fn names_in(description: &str) -> impl Iterator<Item = &str> {
    (description.lines())
        .filter(|line| !line.trim_start().starts_with("option ("))
        .map(|line| line.split("//").next().unwrap_or_default())
        .flat_map(|line| line.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == '.')))
        .filter_map(|word| word.strip_prefix('.'))
        .filter(|name| name.contains('.') && name.starts_with(|c: char| c.is_ascii_lowercase()))
}

/// Every service, method, message and enum that the contract declares.
fn contract() -> anyhow::Result<Vec<String>> {
    let pool = DescriptorPool::decode(signalbox_proto::FILE_DESCRIPTOR_SET)?;
    let ours = |name: &str| name.starts_with("signalbox.");
    let mut symbols = Vec::new();
    for service in pool.services().filter(|service| ours(service.full_name())) {
        symbols.push(service.full_name().to_owned());
        symbols.extend(service.methods().map(|m| m.full_name().to_owned()));
    }
    let messages = pool.all_messages().filter(|m| !m.is_map_entry());
    symbols.extend(messages.map(|m| m.full_name().to_owned()));
    symbols.extend(pool.all_enums().map(|e| e.full_name().to_owned()));
    symbols.retain(|symbol| ours(symbol));
    ensure!(!symbols.is_empty(), "the contract is empty");
    Ok(symbols)
}

fn holds(said: &str, expected: &[&str]) -> anyhow::Result<()> {
    for words in expected {
        ensure!(said.contains(words), "no `{words}` in: {said}");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::names_in;

    #[test]
    fn a_description_names_the_types_that_it_uses() {
        let described = "a.v1.Answer is a message:\nmessage Answer {\n  // As .a.v1.Words say, 1.5 times.\n  \
                         repeated .a.v1.Part parts = 1;\n  map<string, .b.Score> scores = 2;\n}\n\
                         option (.google.api.http) = {};\n\
                         rpc Ask ( .a.v1.Question ) returns ( stream .a.v1.Answer );";
        let named: Vec<&str> = names_in(described).collect();
        assert_eq!(
            named,
            ["a.v1.Part", "b.Score", "a.v1.Question", "a.v1.Answer"]
        );
    }
}
