//! Publishing to a pact broker and verifying what one holds, with a FAKE broker: it knows
//! the few resources that this needs, as the real one's HAL API has them. The provider is
//! real: the programs in `SIGNALBOX_BINARIES`.

#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "tests")]

use std::{
    collections::BTreeMap,
    path::Path,
    process::Stdio,
    sync::{Arc, Mutex},
};

use axum::{
    Json, Router,
    extract::{Path as UrlPath, State},
    http::{HeaderMap, StatusCode, header},
    response::IntoResponse,
    routing::{get, post},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use tokio::{net::TcpListener, process::Command};

const TOKEN: &str = "the-token-of-the-fake-broker";

#[derive(Default)]
struct FakeBroker {
    base_url: String,
    /// By provider and consumer.
    pacts: Mutex<BTreeMap<(String, String), Value>>,
    /// What verifications published.
    results: Mutex<Vec<Value>>,
}

type Shared = State<Arc<FakeBroker>>;

fn hal(json: Value) -> impl IntoResponse {
    (
        [(header::CONTENT_TYPE, "application/hal+json")],
        json.to_string(),
    )
}

async fn index(State(broker): Shared) -> impl IntoResponse {
    let href = format!("{}/pacts/provider/{{provider}}/latest", broker.base_url);
    hal(json!({"_links": {"pb:latest-provider-pacts": {"href": href, "templated": true}}}))
}

async fn publish(State(broker): Shared, headers: HeaderMap, Json(said): Json<Value>) -> StatusCode {
    if headers[header::AUTHORIZATION] != format!("Bearer {TOKEN}") {
        return StatusCode::UNAUTHORIZED;
    }
    assert_eq!(said["pacticipantVersionNumber"], "abc123");
    for contract in said["contracts"].as_array().unwrap() {
        let name = |key: &str| contract[key].as_str().unwrap().to_owned();
        let content = STANDARD.decode(name("content")).unwrap();
        let pact = serde_json::from_slice(&content).unwrap();
        let key = (name("providerName"), name("consumerName"));
        broker.pacts.lock().unwrap().insert(key, pact);
    }
    StatusCode::OK
}

async fn latest(State(broker): Shared, UrlPath(provider): UrlPath<String>) -> impl IntoResponse {
    let pacts = broker.pacts.lock().unwrap();
    let of_provider = pacts.keys().filter(|(p, _)| *p == provider);
    let links: Vec<Value> = of_provider
        .map(|(p, c)| json!({"href": format!("{}/pact/{p}/{c}", broker.base_url), "name": c}))
        .collect();
    hal(json!({"_links": {"pacts": links}}))
}

async fn pact(
    State(broker): Shared,
    UrlPath((provider, consumer)): UrlPath<(String, String)>,
) -> impl IntoResponse {
    let href = format!("{}/pact/{provider}/{consumer}/results", broker.base_url);
    let mut pact = broker.pacts.lock().unwrap()[&(provider, consumer)].clone();
    pact["_links"] = json!({"pb:publish-verification-results": {"href": href}});
    hal(pact)
}

async fn results(State(broker): Shared, Json(result): Json<Value>) -> impl IntoResponse {
    broker.results.lock().unwrap().push(result);
    hal(json!({}))
}

async fn start() -> Arc<FakeBroker> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let broker = Arc::new(FakeBroker {
        base_url: format!("http://{}", listener.local_addr().unwrap()),
        ..FakeBroker::default()
    });
    let app = Router::new()
        .route("/", get(index))
        .route("/contracts/publish", post(publish))
        .route("/pacts/provider/{provider}/latest", get(latest))
        .route("/pact/{provider}/{consumer}", get(pact))
        .route("/pact/{provider}/{consumer}/results", post(results))
        .with_state(Arc::clone(&broker));
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    broker
}

async fn run(broker: &FakeBroker, task: &str) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let output = Command::new(env!("CARGO_BIN_EXE_signalbox-pact"))
        .current_dir(root)
        .args(["broker", task])
        .env("PACT_BROKER_URL", &broker.base_url)
        .env("PACT_BROKER_TOKEN", TOKEN)
        .env("PACT_VERSION", "abc123")
        .env("PACT_DO_NOT_TRACK", "true")
        .stdin(Stdio::null())
        .output()
        .await
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let complained = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{task}: {said}\n{complained}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_published_is_verified_and_the_results_go_back() {
    let broker = start().await;
    run(&broker, "publish").await;
    let published = broker.pacts.lock().unwrap().len();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../pacts");
    assert_eq!(published, std::fs::read_dir(folder).unwrap().count());

    run(&broker, "verify").await;
    let results = broker.results.lock().unwrap();
    assert_eq!(results.len(), published);
    for result in results.iter() {
        assert_eq!(result["success"], true, "{result}");
        assert_eq!(result["providerApplicationVersion"], "abc123");
    }
}
