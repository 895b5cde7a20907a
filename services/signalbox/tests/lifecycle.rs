//! Start, overload, drain: what an operator sees.
#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use std::{
    io::Read as _,
    process::{Command, Stdio},
};

use reqwest::Client;
use serde_json::{Value, json};
use signalbox_fault_upstream::FaultUpstream;
use support::{Platform, command, eventually, run, upstream_config};

#[tokio::test(flavor = "multi_thread")]
async fn a_drain_finishes_what_is_in_flight_and_refuses_what_is_new() {
    let upstream = FaultUpstream::start().await;
    let config = upstream_config(&upstream.base_url(), &[("slow", "fault/tokens=20,rate=20")]);
    let mut platform = Platform::start_file(&config, &["server.drain_delay_ms=300"]);
    let client = Client::new();
    let request =
        json!({"model": "slow", "stream": true, "messages": [{"role": "user", "content": "hi"}]});
    let mut response = client
        .post(format!("{}/v1/chat/completions", platform.url))
        .json(&request)
        .send()
        .await
        .unwrap();
    let mut text = String::from_utf8(response.chunk().await.unwrap().unwrap().to_vec()).unwrap();
    platform.terminate();

    // Readiness goes off while the port still answers.
    let readyz = format!("{}/readyz", platform.url);
    let code = tokio::task::spawn_blocking(move || {
        eventually("readiness going off", || {
            let status = run(Command::new("curl").args([
                "-s",
                "-o",
                "/dev/null",
                "-w",
                "%{http_code}",
                &readyz,
            ]));
            (status != "200").then_some(status)
        })
    })
    .await
    .unwrap();
    assert_eq!(code, "503");
    while let Some(chunk) = response.chunk().await.unwrap() {
        text.push_str(std::str::from_utf8(&chunk).unwrap());
    }
    assert!(text.trim_end().ends_with("data: [DONE]"), "{text}");
    drop(response);
    drop(client);
    assert!(platform.wait().success());
    assert!(
        Client::new()
            .get(format!("{}/readyz", platform.url))
            .send()
            .await
            .is_err()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drain_does_not_wait_for_ever() {
    let upstream = FaultUpstream::start().await;
    let config = upstream_config(
        &upstream.base_url(),
        &[("stall", "fault/tokens=100,stall-after=60")],
    );
    let mut platform = Platform::start_file(&config, &["server.drain_timeout_ms=200"]);
    let request =
        json!({"model": "stall", "stream": true, "messages": [{"role": "user", "content": "hi"}]});
    let url = format!("{}/v1/chat/completions", platform.url);
    // More words than guardrails hold back, so that something arrives.
    let mut response = Client::new().post(url).json(&request).send().await.unwrap();
    assert!(response.chunk().await.unwrap().is_some());
    platform.terminate();
    assert!(platform.wait().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn overload_is_refused_with_a_time_to_come_back() {
    let upstream = FaultUpstream::start().await;
    let config = upstream_config(&upstream.base_url(), &[("stall", "fault/stall")]);
    let platform = Platform::start_file(&config, &["server.limits.max_concurrent_requests=1"]);
    let url = format!("{}/v1/chat/completions", platform.url);
    let request = json!({"model": "stall", "messages": [{"role": "user", "content": "hi"}]});
    let first = tokio::spawn(Client::new().post(&url).json(&request).send());
    upstream
        .wait_for(
            |records| !records.is_empty(),
            std::time::Duration::from_secs(20),
        )
        .await
        .unwrap();
    let second = Client::new()
        .post(&url)
        .json(&request)
        .send()
        .await
        .unwrap();
    assert_eq!(second.status(), 429);
    assert_eq!(second.headers()["retry-after"], "1");
    let answer: Value = second.json().await.unwrap();
    assert_eq!(answer["error"]["code"], "overloaded", "{answer}");
    first.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_and_rate_limits_hold_on_rest_and_metadata_alike() {
    // The SHA-256 of `alice`.
    let key = "server.auth.keys=[{name: alice, sha256: 2bd806c97f0e00af1a1fc3328fa763a9269723c8db8fac4f93af71db186d6e90}]";
    let platform = Platform::start(&[
        "router.providers.local.load=lazy",
        "server.auth.required=true",
        key,
        "server.limits.per_caller={requests_per_second: 0.001, burst: 2}",
    ]);
    let url = format!("{}/v1/models", platform.url);
    let client = Client::new();
    let bare = client.get(&url).send().await.unwrap();
    assert_eq!(bare.status(), 401);
    let answer: Value = bare.json().await.unwrap();
    assert_eq!(answer["error"]["type"], "authentication_error", "{answer}");
    assert_eq!(
        client
            .get(&url)
            .bearer_auth("mallory")
            .send()
            .await
            .unwrap()
            .status(),
        401
    );
    for _ in 0..2 {
        assert_eq!(
            client
                .get(&url)
                .bearer_auth("alice")
                .send()
                .await
                .unwrap()
                .status(),
            200
        );
    }
    let refused = client
        .get(&url)
        .header("x-api-key", "alice")
        .send()
        .await
        .unwrap();
    assert_eq!(refused.status(), 429);
    assert!(
        refused.headers()["retry-after"]
            .to_str()
            .unwrap()
            .parse::<u32>()
            .unwrap()
            > 100
    );
    // Probes stay open.
    assert_eq!(
        client
            .get(format!("{}/readyz", platform.url))
            .send()
            .await
            .unwrap()
            .status(),
        200
    );
}

#[test]
fn log_lines_are_json_with_the_trace_they_belong_to() {
    let mut log = tempfile::tempfile().unwrap();
    let platform = Platform::start_with(
        &[
            "router.providers.local.load=lazy",
            "telemetry.log_format=json",
            "telemetry.log_filter=signalbox_chassis=debug",
        ],
        Stdio::from(log.try_clone().unwrap()),
    );
    run(Command::new("curl").args([
        "-sS",
        "-H",
        "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "-H",
        "x-request-id: logged",
        &format!("{}/v1/models", platform.url),
    ]));
    drop(platform);
    let mut text = String::new();
    std::io::Seek::rewind(&mut log).unwrap();
    log.read_to_string(&mut text).unwrap();
    let lines: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let answered = lines
        .iter()
        .find(|line| line["message"] == "answered")
        .unwrap_or_else(|| panic!("{text}"));
    assert_eq!(answered["trace_id"], "0af7651916cd43dd8448eb211c80319c");
    assert_eq!(answered["request_id"], "logged");
    assert_eq!(answered["rpc.method"], "ListModels");
    assert_eq!(answered["code"], "OK");
}

fn signalbox(arguments: &[&str]) -> std::process::Output {
    command("signalbox")
        .args(arguments)
        .current_dir(std::env::temp_dir())
        .output()
        .unwrap()
}

#[test]
fn the_configuration_shows_itself_and_its_schema() {
    let output = signalbox(&["config", "print", "--set", "server.drain_timeout_ms=5"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("drain_timeout_ms: 5"), "{text}");
    let schema: Value = serde_json::from_slice(&signalbox(&["config", "schema"]).stdout).unwrap();
    assert!(schema["properties"]["router"].is_object(), "{schema}");

    let output = signalbox(&["up", "--set", "server.lisen=127.0.0.1:0"]);
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success());
    assert_eq!(
        text,
        "error: unknown key `server.lisen` in the flags; did you mean `server.listen`?\n"
    );
}

#[test]
fn a_port_in_use_is_named() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let output = signalbox(&[
        "up",
        "--listen",
        &address,
        "--set",
        "router.providers.local.load=lazy",
    ]);
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(
        !output.status.success() && text.contains(&format!("cannot listen on {address}")),
        "{text}"
    );
}
