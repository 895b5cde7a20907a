//! What a run shows, on the console and as `docs/conformance.md`.

use std::fmt::Write as _;

use super::{
    Row,
    answer::shortened,
    table::{Expect, Server, Table},
};

/// One line a case, then the counts.
pub(super) fn lines(table: &Table, rows: &[Row<'_>]) -> String {
    let mut out = String::new();
    for row in rows {
        let (own, envoy) = (row.own.status, row.envoy.status);
        let name = &row.case.name;
        let _ = match (&row.problem, number(table, row)) {
            (Some(problem), _) => writeln!(out, "FAIL {own} {envoy} {name}: {problem}"),
            (None, Some(number)) => writeln!(out, "ok   {own} {envoy} {name} [{number}]"),
            (None, None) => writeln!(out, "ok   {own} {envoy} {name}"),
        };
    }
    let _ = writeln!(out, "{}", counts(rows));
    out
}

fn counts(rows: &[Row<'_>]) -> String {
    let differ: Vec<_> = rows.iter().filter(|row| row.case.envoy.is_some()).collect();
    let status = (differ.iter())
        .filter(|row| row.own.status != row.envoy.status)
        .count();
    format!(
        "{} cases: {} alike, {} listed as different ({} in the status)",
        rows.len(),
        rows.len() - differ.len(),
        differ.len(),
        status
    )
}

fn number(table: &Table, row: &Row<'_>) -> Option<usize> {
    table.number(&row.case.envoy.as_ref()?.differs)
}

/// The page, the same for the same answers.
pub(super) fn page(table: &Table, rows: &[Row<'_>], version: &str) -> String {
    let mut out = format!(
        "<!-- Written by `signalbox-contracts conformance --write`; `make contracts` fails when it is stale. -->\n\
         # REST conformance\n\n\
         One table of requests ([`contracts/conformance/cases.yaml`](../contracts/conformance/cases.yaml)), each sent to \
         our own\ntranscoding in the real binary, and to Envoy {version} whose `grpc_json_transcoder` stands in front of \
         the same\nbinary's gRPC with the same descriptors. What is expected comes from `google.api.http` and the \
         protobuf JSON mapping.\nAlike means: the same status, media type and JSON. A difference that is not listed \
         fails, and so does a listed one that\nis no more.\n\n{}.\n\n\
         Rows on `probe` ask a contract that only the checks have \
         ([`probe.proto`](../contracts/conformance/probe.proto)),\nfor kinds of fields and statuses that no RPC of the \
         real one has yet.\n\n## Differences\n\n| | Envoy | cases |\n|---|---|---|\n",
        counts(rows)
    );
    for (index, difference) in table.differences.iter().enumerate() {
        let cases = rows
            .iter()
            .filter(|row| number(table, row) == Some(index + 1));
        let why = difference.why.trim();
        let _ = writeln!(out, "| {} | {why} | {} |", index + 1, cases.count());
    }
    for group in &table.groups {
        let _ = write!(
            out,
            "\n## {}\n\n| case | request | expected | own REST | Envoy |\n|---|---|---|---|---|\n",
            group.group
        );
        let of_group = |row: &&Row<'_>| group.cases.iter().any(|case| std::ptr::eq(case, row.case));
        for row in rows.iter().filter(of_group) {
            line(&mut out, table, row);
        }
    }
    out
}

fn line(out: &mut String, table: &Table, row: &Row<'_>) {
    let case = row.case;
    let mut request = case.send.clone();
    if let Some(body) = case.body.as_ref().or(case.hex.as_ref()) {
        request = format!("{request} {body}");
    }
    let probe = if case.on == Server::Probe {
        " (probe)"
    } else {
        ""
    };
    let envoy = match (number(table, row), &case.envoy) {
        (Some(number), Some(other)) => {
            format!(
                "{} ([{number}](#differences))",
                cell(&other.expect(&case.expect))
            )
        }
        _ => format!("{} alike", row.envoy.status),
    };
    let _ = writeln!(
        out,
        "| {}{probe} | {} | {} | {} as expected | {envoy} |",
        case.name,
        code(&request, 90),
        cell(&case.expect),
        row.own.status,
    );
}

/// What is expected, in short.
fn cell(expect: &Expect) -> String {
    let mut out = match expect.status {
        0 => "no answer".to_owned(),
        status => status.to_string(),
    };
    if let Some(json) = expect.exact.as_ref().or(expect.body.as_ref()) {
        let _ = write!(out, " {}", code(&json.to_string(), 70));
    }
    if let Some(text) = &expect.text {
        let _ = write!(out, " {}", code(text, 70));
    }
    for (name, value) in &expect.headers {
        let _ = match value {
            Some(value) => write!(out, " {}", code(&format!("{name}: {value}"), 70)),
            None => write!(out, " no `{name}`"),
        };
    }
    out
}

/// Text as code in a cell of a table.
fn code(text: &str, length: usize) -> String {
    let text = shortened(&text.replace('\n', " "), length).replace('|', "\\|");
    let fence = if text.contains('`') { "``" } else { "`" };
    format!("{fence}{text}{fence}")
}
