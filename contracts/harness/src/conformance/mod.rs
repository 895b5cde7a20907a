//! One table of REST cases, answered by our own transcoding and by Envoy's: they must
//! agree, and where they do not, the table must say so and why.

mod answer;
mod gateway;
mod probe;
mod render;
mod table;

use std::{
    path::{Path, PathBuf},
    time::Instant,
};

use anyhow::ensure;
use clap::Args;

use self::{
    answer::{Answer, ask},
    gateway::{ORIGIN, Upstream},
    probe::Probe,
    table::{Case, Server, Table},
};
use crate::{envoy::Envoy, platform::Platform};

/// The services that the real binary transcodes.
const SERVICES: &[&str] = &[
    "signalbox.embeddings.v1.EmbeddingsService",
    "signalbox.guardrails.v1.GuardrailsService",
    "signalbox.router.v1.RouterService",
];

#[derive(Debug, Args)]
pub(crate) struct Conformance {
    /// Writes docs/conformance.md; without it, the file must be as this run would write it
    #[arg(long)]
    write: bool,
    /// Only cases whose name contains this, with all that came back
    #[arg(long, conflicts_with = "write")]
    only: Option<String>,
}

/// A case with what came back.
struct Row<'t> {
    case: &'t Case,
    own: Answer,
    envoy: Answer,
    problem: Option<String>,
}

impl Conformance {
    pub(crate) async fn run(self, binaries: &Path, root: &Path) -> anyhow::Result<()> {
        let begun = Instant::now();
        let table = Table::load(root)?;
        let settings = [
            format!("server.limits.max_request_bytes={}", probe::MAX_REQUEST),
            format!("server.cors_allowed_origins=[\"{ORIGIN}\"]"),
        ];
        let platform = Platform::start(binaries, &settings.each_ref().map(String::as_str)).await?;
        let probe = Probe::start(root).await?;
        let folder = tempfile::tempdir()?;
        let file = |name, descriptors| -> anyhow::Result<PathBuf> {
            let path = folder.path().join(name);
            std::fs::write(&path, gateway::with_error_details(descriptors)?)?;
            Ok(path)
        };
        let contract = file("contract.binpb", signalbox_proto::FILE_DESCRIPTOR_SET)?;
        let probed = file("probe.binpb", &probe.descriptors)?;
        let servers = [
            Upstream {
                name: "platform",
                address: &platform.plaintext,
                descriptors: &contract,
                services: SERVICES,
                max_request: probe::MAX_REQUEST,
            },
            Upstream {
                name: "probe",
                address: &probe.address,
                descriptors: &probed,
                services: probe::SERVICES,
                max_request: probe::MAX_REQUEST,
            },
        ];
        let configuration = gateway::configuration(&servers);
        let mut envoy = Envoy::start(&configuration).await?;
        let version = envoy.version().await?;
        let mut rows = Vec::new();
        for case in table.cases().filter(|case| self.wants(case)) {
            let server = &servers[usize::from(case.on == Server::Probe)];
            let own = ask(case, server.address, &table.masked).await?;
            let gateway = match ask(case, envoy.listener(server.name)?, &table.masked).await {
                Ok(answer) => answer,
                Err(error) => match envoy.ended().await? {
                    Some(status) => {
                        envoy = Envoy::start(&configuration).await?;
                        Answer::ended(status)
                    }
                    None => return Err(error.context(format!("Envoy says:\n{}", envoy.log()))),
                },
            };
            let problem = judge(case, &own, &gateway);
            if self.only.is_some() {
                println!("{}\n  own   {own:?}\n  Envoy {gateway:?}", case.name);
            }
            rows.push(Row {
                case,
                own,
                envoy: gateway,
                problem,
            });
        }
        print!("{}", render::lines(&table, &rows));
        println!("{} ms, Envoy {version}", begun.elapsed().as_millis());
        let failed = rows.iter().filter(|row| row.problem.is_some()).count();
        ensure!(failed == 0, "{failed} cases of {} fail", rows.len());
        if self.only.is_none() {
            let page = render::page(&table, &rows, &version);
            self.document(root, &page)?;
        }
        Ok(())
    }

    fn wants(&self, case: &Case) -> bool {
        self.only
            .as_ref()
            .is_none_or(|part| case.name.contains(part))
    }

    fn document(&self, root: &Path, page: &str) -> anyhow::Result<()> {
        let path = root.join("docs/conformance.md");
        if self.write {
            return Ok(std::fs::write(path, page)?);
        }
        let held = std::fs::read_to_string(&path).unwrap_or_default();
        ensure!(
            held == page,
            "docs/conformance.md is not what this run shows; run `signalbox-contracts \
             conformance --write`"
        );
        Ok(())
    }
}

/// What is wrong with the answers.
fn judge(case: &Case, own: &Answer, envoy: &Answer) -> Option<String> {
    if let Some(problem) = own.lacks(&case.expect) {
        return Some(format!("our own: {problem}"));
    }
    let difference = own.differs(envoy);
    match (&case.envoy, difference) {
        (None, None) => envoy
            .lacks(&case.expect)
            .map(|problem| format!("Envoy: {problem}")),
        (None, Some(difference)) => Some(format!(
            "an unlisted difference: {difference}; Envoy: {} {}",
            envoy.status,
            envoy.text()
        )),
        (Some(other), None) if envoy.lacks(&case.expect).is_none() => Some(format!(
            "the difference `{}` is listed, but Envoy agrees",
            other.differs
        )),
        (Some(other), _) => envoy
            .lacks(&other.expect(&case.expect))
            .map(|problem| format!("Envoy, listed as different: {problem}")),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use hyper::{Response, body::Bytes};

    use super::*;

    fn table(envoy: &str) -> anyhow::Result<Table> {
        Table::parse(&format!(
            "masked: [id]\n\
             differences: [{{name: shape, why: because}}]\n\
             groups:\n- group: G\n  cases:\n\
             \x20 - {{name: a, send: GET /, expect: {{status: 200, body: {{a: 1}}}}{envoy}}}\n\
             \x20 - {{name: b, send: GET /, expect: {{status: 200}}, envoy: {{differs: shape}}}}\n"
        ))
    }

    fn answer(status: u16, json: &str) -> Answer {
        let response = Response::builder()
            .status(status)
            .header("content-type", "application/json")
            .body(Bytes::copy_from_slice(json.as_bytes()));
        Answer::of(response.unwrap(), &["id".to_owned()])
    }

    /// The judgement on case `a`.
    fn judged(envoy: &str, own: &Answer, gateway: &Answer) -> Option<String> {
        let table = table(envoy).unwrap();
        let case = table.cases().next().unwrap();
        judge(case, own, gateway)
    }

    #[test]
    fn answers_that_differ_only_in_what_varies_and_how_numbers_are_written_agree() {
        let own = answer(200, r#"{"a": 1, "id": "x", "b": 0.0}"#);
        let gateway = answer(200, r#"{"b": 0, "id": "y", "a": 1.0}"#);
        assert_eq!(judged("", &own, &gateway), None);
    }

    #[test]
    fn our_own_answer_must_be_what_is_expected_even_where_envoy_agrees() {
        let wrong = answer(200, r#"{"a": 2}"#);
        assert!(judged("", &wrong, &wrong).unwrap().starts_with("our own: "));
        let missing = answer(404, r#"{"a": 1}"#);
        assert!(judged("", &missing, &missing).is_some());
    }

    #[test]
    fn an_unlisted_difference_fails_and_a_listed_one_passes() {
        let own = answer(200, r#"{"a": 1}"#);
        let other = answer(200, r#"{"a": 1, "more": true}"#);
        let said = judged("", &own, &other).unwrap();
        assert!(said.starts_with("an unlisted difference: .more"), "{said}");
        assert_eq!(judged(", envoy: {differs: shape}", &own, &other), None);
    }

    #[test]
    fn a_listed_difference_must_be_the_one_that_is_listed() {
        let own = answer(200, r#"{"a": 1}"#);
        let listed = ", envoy: {differs: shape, status: 400, text: wrong}";
        assert_eq!(judged(listed, &own, &answer(400, "wrong")), None);
        assert!(judged(listed, &own, &answer(500, "wrong")).is_some());
        assert!(judged(listed, &own, &answer(400, "else")).is_some());
    }

    #[test]
    fn a_listed_difference_that_is_no_more_fails() {
        let own = answer(200, r#"{"a": 1}"#);
        let said = judged(", envoy: {differs: shape}", &own, &own).unwrap();
        assert!(said.contains("Envoy agrees"), "{said}");
    }

    #[test]
    fn a_table_names_only_differences_that_are_explained_and_shown() {
        assert!(table(", envoy: {differs: shape}").is_ok());
        assert!(table(", envoy: {differs: colour}").is_err());
        let unused = "masked: []\ndifferences: [{name: shape, why: because}]\ngroups: []\n";
        assert!(Table::parse(unused).is_err());
    }
}
