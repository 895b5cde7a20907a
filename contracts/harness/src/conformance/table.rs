//! `contracts/conformance/cases.yaml` as types, with what a case stands for on the wire.

use std::{collections::BTreeMap, path::Path};

use anyhow::{Context as _, bail, ensure};
use http_body_util::Full;
use hyper::{Request, body::Bytes};
use serde::Deserialize;
use serde_json::Value;

/// The whole table.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Table {
    /// Members of JSON objects whose values vary from call to call.
    pub(super) masked: Vec<String>,
    /// Why Envoy may answer otherwise, by name.
    pub(super) differences: Vec<Difference>,
    pub(super) groups: Vec<Group>,
}

/// One reason for other answers.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Difference {
    pub(super) name: String,
    pub(super) why: String,
}

/// Cases about one thing.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Group {
    pub(super) group: String,
    pub(super) cases: Vec<Case>,
}

/// One request, and what must come back.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Case {
    pub(super) name: String,
    /// Which server is asked.
    #[serde(default)]
    pub(super) on: Server,
    /// Such as `GET /v1/models`.
    pub(super) send: String,
    #[serde(default)]
    pub(super) headers: BTreeMap<String, String>,
    /// The body's text; `<<TEXT*TIMES>>` stands for TEXT so many times.
    pub(super) body: Option<String>,
    /// The body's bytes, in hexadecimal digits.
    pub(super) hex: Option<String>,
    /// What the specifications ask for; our own answer must be this.
    pub(super) expect: Expect,
    /// Where Envoy's answer differs: why, and what it is instead.
    pub(super) envoy: Option<Other>,
}

/// A server of the checks.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub(super) enum Server {
    /// The real binary.
    #[default]
    Platform,
    /// The server of `probe.proto`.
    Probe,
}

/// What an answer must hold.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Expect {
    pub(super) status: u16,
    /// By name; null: not there.
    #[serde(default)]
    pub(super) headers: BTreeMap<String, Option<String>>,
    /// A part of the JSON: members of objects may be left out, elements of lists not.
    pub(super) body: Option<Value>,
    /// The whole JSON.
    pub(super) exact: Option<Value>,
    /// A part of the text.
    pub(super) text: Option<String>,
}

/// Envoy's other answer.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Other {
    /// The name of a difference.
    pub(super) differs: String,
    /// The same as ours when it is missing.
    pub(super) status: Option<u16>,
    #[serde(default)]
    pub(super) headers: BTreeMap<String, Option<String>>,
    pub(super) body: Option<Value>,
    pub(super) exact: Option<Value>,
    pub(super) text: Option<String>,
}

impl Other {
    pub(super) fn expect(&self, own: &Expect) -> Expect {
        Expect {
            status: self.status.unwrap_or(own.status),
            headers: self.headers.clone(),
            body: self.body.clone(),
            exact: self.exact.clone(),
            text: self.text.clone(),
        }
    }
}

impl Table {
    pub(super) fn load(root: &Path) -> anyhow::Result<Self> {
        let path = root.join("contracts/conformance/cases.yaml");
        let text = std::fs::read_to_string(&path)
            .with_context(|| format!("{} cannot be read", path.display()))?;
        Self::parse(&text).with_context(|| path.display().to_string())
    }

    pub(super) fn parse(text: &str) -> anyhow::Result<Self> {
        let table: Self = serde_saphyr::from_str(text)?;
        table.check()?;
        Ok(table)
    }

    pub(super) fn cases(&self) -> impl Iterator<Item = &Case> {
        self.groups.iter().flat_map(|group| &group.cases)
    }

    /// The difference's place in the list, from 1.
    pub(super) fn number(&self, name: &str) -> Option<usize> {
        let place = self.differences.iter().position(|one| one.name == name);
        place.map(|place| place + 1)
    }

    fn check(&self) -> anyhow::Result<()> {
        let mut names = std::collections::BTreeSet::new();
        for case in self.cases() {
            ensure!(names.insert(&case.name), "two cases `{}`", case.name);
            let other = case.envoy.as_ref().map(|other| &other.differs);
            if let Some(name) = other.filter(|name| self.number(name).is_none()) {
                bail!("`{}`: no difference has the name `{name}`", case.name);
            }
            case.request()
                .with_context(|| format!("the request of `{}`", case.name))?;
        }
        for difference in &self.differences {
            let used = self.cases().filter_map(|case| case.envoy.as_ref());
            ensure!(
                used.into_iter()
                    .any(|other| other.differs == difference.name),
                "no case shows the difference `{}`; take it off the list",
                difference.name
            );
        }
        Ok(())
    }
}

impl Case {
    pub(super) fn request(&self) -> anyhow::Result<Request<Full<Bytes>>> {
        let (method, path) = self.send.split_once(' ').context("METHOD /path")?;
        let mut request = Request::builder().method(method).uri(path);
        let body = self.bytes()?;
        let typed = (self.headers.keys()).any(|name| name.eq_ignore_ascii_case("content-type"));
        if body.is_some() && !typed {
            request = request.header("content-type", "application/json");
        }
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        Ok(request.body(Full::new(body.unwrap_or_default().into()))?)
    }

    fn bytes(&self) -> anyhow::Result<Option<Vec<u8>>> {
        match (&self.body, &self.hex) {
            (Some(_), Some(_)) => bail!("both `body` and `hex`"),
            (Some(text), None) => Ok(Some(repeated(text)?.into_bytes())),
            (None, Some(hex)) => Ok(Some(hex::decode(hex)?)),
            (None, None) => Ok(None),
        }
    }
}

/// Resolves every `<<TEXT*TIMES>>`.
fn repeated(text: &str) -> anyhow::Result<String> {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("<<") {
        let (inner, later) = after.split_once(">>").context("`<<` without `>>`")?;
        let (what, times) = inner.rsplit_once('*').context("<<TEXT*TIMES>>")?;
        out.push_str(before);
        out.push_str(&what.repeat(times.parse()?));
        rest = later;
    }
    out.push_str(rest);
    Ok(out)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_is_repeated_is_written_once() {
        let text = repeated(r#"{"a": <<{"b": *2>>{}<<}*2>>}"#).unwrap();
        assert_eq!(text, r#"{"a": {"b": {"b": {}}}}"#);
        assert_eq!(repeated("none").unwrap(), "none");
        assert!(repeated("<<a*x>>").is_err());
        assert!(repeated("<<a").is_err());
    }
}
