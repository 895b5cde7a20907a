//! The results as a table for people and as JSON for machines.

use std::{env, fs, io, path::PathBuf};

use serde_json::json;

use crate::Measured;

/// Prints one line for each case and codec.
pub(crate) fn print(results: &[Measured]) {
    println!(
        "| {:<24} | {:<14} | {:>9} | {:>11} | {:>8} | {:>9} | {:>8} |",
        "message", "codec", "JSON, B", "ns/op", "MB/s", "allocs/op", "slower"
    );
    println!(
        "|{:-<26}|{:-<16}|{:->11}|{:->13}|{:->10}|{:->11}|{:->10}|",
        "", "", ":", ":", ":", ":", ":"
    );
    for result in results {
        let first = results.iter().find(|other| other.case == result.case);
        let ratio = first.map_or(1.0, |first| result.ns_per_op / first.ns_per_op);
        println!(
            "| {:<24} | {:<14} | {:>9} | {:>11.0} | {:>8.0} | {:>9.0} | {:>7.1}x |",
            result.case,
            result.codec,
            result.json_bytes,
            result.ns_per_op,
            result.megabytes_per_second(),
            result.allocations_per_op,
            ratio,
        );
    }
}

/// Writes `bench/transcode.json` under cargo's target folder.
pub(crate) fn write_json(results: &[Measured]) -> io::Result<PathBuf> {
    let target = env::var_os("CARGO_TARGET_DIR").map_or_else(|| "target".into(), PathBuf::from);
    let folder = target.join("bench");
    fs::create_dir_all(&folder)?;
    let rows: Vec<_> = results
        .iter()
        .map(|result| {
            json!({
                "case": result.case,
                "codec": result.codec,
                "json_bytes": result.json_bytes,
                "ns_per_op": result.ns_per_op,
                "mb_per_s": result.megabytes_per_second(),
                "allocations_per_op": result.allocations_per_op,
            })
        })
        .collect();
    let path = folder.join("transcode.json");
    fs::write(&path, format!("{:#}\n", json!({"transcode": rows})))?;
    Ok(path)
}
