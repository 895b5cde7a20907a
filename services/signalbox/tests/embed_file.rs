//! `signalbox embed --file`: from a file of texts to a file of vectors, also after it was
//! killed.
#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
};

use serde_json::{Value, json};
use support::{Platform, command, eventually, python, run};

/// Lines of texts, two of them bad.
fn input(texts: usize) -> String {
    let mut lines: Vec<String> = (0..texts)
        .map(|index| json!({"id": format!("row-{index}"), "text": format!("text {index}")}))
        .map(|line| line.to_string())
        .collect();
    lines[3] = json!({"id": "empty", "text": ""}).to_string();
    lines[5] = "no json".to_owned();
    lines.join("\n")
}

fn embed(platform: &Platform, dir: &Path, out: &str, more: &[&str]) -> Command {
    let mut command = command("signalbox");
    command.args(["embed", "--url", &platform.url, "--file"]);
    command.arg(dir.join("in.jsonl"));
    command.arg("--out").arg(dir.join(out)).args(more);
    command
}

fn rows(path: &Path) -> Vec<Value> {
    let text = fs::read_to_string(path).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// What a unary call answers for a text.
fn unary(platform: &Platform, text: &str) -> Vec<f32> {
    let mut command = command("signalbox");
    let said = run(command.args(["embed", "--url", &platform.url, text]));
    serde_json::from_str(&said).unwrap()
}

#[test]
fn a_file_becomes_vectors_in_each_format_and_a_bad_line_costs_only_itself() {
    let platform = Platform::start(&[]);
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("in.jsonl"), input(40)).unwrap();
    for out in ["out.jsonl", "out.npy", "out.parquet"] {
        let done = embed(&platform, dir.path(), out, &["--batch", "7"])
            .output()
            .unwrap();
        let said = String::from_utf8(done.stderr).unwrap();
        assert!(!done.status.success(), "two texts have no vector");
        assert!(said.contains("text 3: the text is empty"), "{said}");
        assert!(said.contains("38 vectors of 384"), "{said}");
        assert!(!dir.path().join(format!("{out}.partial")).exists());
    }
    let rows = rows(&dir.path().join("out.jsonl"));
    assert_eq!(rows.len(), 40);
    assert_eq!(rows[39]["id"], "row-39");
    assert!(rows[5]["error"].as_str().unwrap().contains("JSON"));
    let vector: Vec<f32> = serde_json::from_value(rows[39]["embedding"].clone()).unwrap();
    assert_eq!(vector, unary(&platform, "text 39"));

    // The real NumPy reads what we wrote.
    let script = "import numpy, sys; a = numpy.load(sys.argv[1]); \
                  print(a.shape, a.dtype, int(numpy.isnan(a).any(axis=1).sum()), a[39].tolist())";
    let said = run(python()
        .args(["-c", script])
        .arg(dir.path().join("out.npy")));
    let expected = format!("(40, 384) float32 2 [{}", f64::from(vector[0]));
    assert!(said.starts_with(&expected), "{said}\n{expected}");
}

#[test]
fn a_killed_run_goes_on_where_it_was_and_embeds_nothing_twice() {
    let platform = Platform::start(&[]);
    let dir = tempfile::tempdir().unwrap();
    let texts = 400;
    fs::write(dir.path().join("in.jsonl"), input(texts)).unwrap();
    let journal = dir.path().join("out.jsonl.partial");
    // One text a call, so that there is time to kill it in.
    let one_by_one = ["--batch", "1", "--parallel", "1"];
    let mut sizes = vec![0];
    for _ in 0..3 {
        let mut child = embed(&platform, dir.path(), "out.jsonl", &one_by_one)
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let before = *sizes.last().unwrap();
        let grown = eventually("progress", || {
            let size = fs::metadata(&journal).ok()?.len();
            (size > before + 20_000).then_some(size)
        });
        child.kill().unwrap();
        child.wait().unwrap();
        sizes.push(grown);
    }
    let done = embed(&platform, dir.path(), "out.jsonl", &[])
        .output()
        .unwrap();
    let said = String::from_utf8(done.stderr).unwrap();
    assert!(said.contains("going on behind"), "{said}");
    let rows = rows(&dir.path().join("out.jsonl"));
    assert_eq!(rows.len(), texts);
    for (index, row) in rows.iter().enumerate() {
        assert_eq!(row["index"], index);
        assert_eq!(row["embedding"].is_array(), ![3, 5].contains(&index));
    }
    // A call that was in flight when a run was killed is made again; no more than those.
    let embedded = platform.metric("signalbox_embeddings_inputs_total");
    let texts = texts as f64 - 2.0;
    assert!((texts..=texts + 3.0).contains(&embedded), "{embedded}");
}

#[test]
fn an_input_that_changed_or_another_model_is_not_mixed_in() {
    let platform = Platform::start(&[]);
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("in.jsonl"), input(40)).unwrap();
    let refused_into = |out: &str, more: &[&str]| {
        let done = embed(&platform, dir.path(), out, more).output().unwrap();
        assert!(!done.status.success());
        String::from_utf8(done.stderr).unwrap()
    };
    let refused = |more: &[&str]| refused_into("out.jsonl", more);
    // An unknown model ends the run at its first call; the journal is of that run.
    assert!(refused(&["--model", "no-such"]).contains("no-such"));
    assert!(refused(&[]).contains("--restart"));
    assert!(refused(&["--restart", "--field", "body"]).contains("`body`"));
    assert!(refused_into("out.csv", &[]).contains(".parquet"));
}
