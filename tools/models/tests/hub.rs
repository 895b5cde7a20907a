//! Pulls from a hub that is slow, wrong, or dies half-way.

#![allow(clippy::unwrap_used)]

mod common;

use std::{
    fs, io,
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    body::Body,
    extract::{Path, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse as _, Response},
    routing::get,
};
use common::{CONFIG, MODEL, Told, WHOLE, manifest, names, only_failure, weights};
use signalbox_models::{PullOptions, Silent, SourceError, SourceKind, Status, Store};
use tokio::{net::TcpListener, task::AbortHandle};

/// How the hub gives the larger file.
#[derive(Clone, Copy, PartialEq)]
enum Way {
    Whole,
    WithoutRanges,
    /// Breaks the connection after so many bytes of the first answer.
    DiesOnceAfter(usize),
    /// Breaks it after so many bytes of every answer.
    DiesAfter(usize),
    /// Ends cleanly after so many bytes.
    EndsAfter(usize),
    Changed,
    Longer,
    Status(StatusCode),
    /// Another range than was asked for.
    OtherRange,
}

struct Hub {
    way: Mutex<Way>,
    /// The `Range` of each request for the larger file.
    ranges: Mutex<Vec<Option<String>>>,
}

impl Hub {
    fn ranges(&self) -> Vec<Option<String>> {
        std::mem::take(&mut *self.ranges.lock().unwrap())
    }
}

async fn file(
    State(hub): State<Arc<Hub>>,
    Path(path): Path<String>,
    headers: HeaderMap,
) -> Response {
    match path.as_str() {
        "someone/tiny/resolve/abc123/sub/config.json" => return CONFIG.into_response(),
        "someone/tiny/resolve/abc123/weights.bin" => {}
        _ => return StatusCode::IM_A_TEAPOT.into_response(),
    }
    let way = *hub.way.lock().unwrap();
    let range = headers
        .get(header::RANGE)
        .map(|range| range.to_str().unwrap().to_owned());
    hub.ranges.lock().unwrap().push(range.clone());
    let mut bytes = weights();
    match way {
        Way::Status(status) => return status.into_response(),
        Way::Changed => bytes[999] ^= 1,
        Way::Longer => bytes.push(0),
        _ => {}
    }
    let start = range.filter(|_| way != Way::WithoutRanges).map(|range| {
        range["bytes=".len()..range.len() - 1]
            .parse::<usize>()
            .unwrap()
    });
    let rest = bytes.split_off(start.unwrap_or(0));
    let length = rest.len();
    let sent = match way {
        Way::DiesOnceAfter(count) => {
            *hub.way.lock().unwrap() = Way::Whole;
            count
        }
        Way::DiesAfter(count) | Way::EndsAfter(count) => count.min(length),
        _ => length,
    };
    let body = Body::from_stream(async_stream::stream! {
        for chunk in rest[..sent].chunks(50_000) {
            yield Ok::<_, io::Error>(chunk.to_vec());
        }
        if sent < length && !matches!(way, Way::EndsAfter(_)) {
            // One turn for hyper to send what it holds: so little fits any socket.
            tokio::task::yield_now().await;
            yield Err(io::Error::other("the server dies"));
        }
    });
    match start {
        Some(start) => {
            let start = if way == Way::OtherRange {
                start + 1
            } else {
                start
            };
            let range = format!("bytes {start}-{}/{}", start + length - 1, start + length);
            let headers = [(header::CONTENT_RANGE, range)];
            (StatusCode::PARTIAL_CONTENT, headers, body).into_response()
        }
        None => body.into_response(),
    }
}

struct Fixture {
    hub: Arc<Hub>,
    store: Store,
    options: PullOptions,
    folder: tempfile::TempDir,
    server: AbortHandle,
}

impl Drop for Fixture {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Fixture {
    async fn new(way: Way) -> Self {
        let hub = Arc::new(Hub {
            way: Mutex::new(way),
            ranges: Mutex::default(),
        });
        let router = Router::new()
            .route("/{*path}", get(file))
            .with_state(Arc::clone(&hub));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        let folder = tempfile::tempdir().unwrap();
        Self {
            hub,
            store: Store::open(folder.path()),
            options: PullOptions {
                source: Some(SourceKind::Hub),
                hub_url: Some(format!("http://{address}/")),
                ..PullOptions::default()
            },
            folder,
            server: server.abort_handle(),
        }
    }

    async fn pull(&self) -> Result<std::path::PathBuf, signalbox_models::ModelsError> {
        let manifest = manifest();
        let model = manifest.get(MODEL).unwrap();
        self.store.pull(model, &self.options, &Silent).await
    }

    fn status(&self) -> Status {
        self.store.status(manifest().get(MODEL).unwrap())
    }

    fn set(&self, way: Way) {
        *self.hub.way.lock().unwrap() = way;
    }

    fn names(&self) -> Vec<String> {
        names(&self.folder.path().join(MODEL))
    }

    fn leave_part(&self, bytes: &[u8]) {
        let model = self.folder.path().join(MODEL);
        fs::create_dir_all(&model).unwrap();
        fs::write(model.join(".weights.bin.part"), bytes).unwrap();
    }
}

#[tokio::test]
async fn pulls_every_file_and_then_nothing_more() {
    let fixture = Fixture::new(Way::Whole).await;
    assert_eq!(fixture.status(), Status::Missing);
    let told = Told::default();
    let manifest = manifest();
    let model = manifest.get(MODEL).unwrap();
    let folder = fixture
        .store
        .pull(model, &fixture.options, &told)
        .await
        .unwrap();
    assert_eq!(fs::read(folder.join("weights.bin")).unwrap(), weights());
    assert_eq!(fixture.names(), WHOLE);
    assert_eq!(fixture.status(), Status::Present);
    assert_eq!(
        told.all(),
        [
            "begin weights.bin from the hub 1000003",
            "end true",
            "begin config.json from the hub 13",
            "end true"
        ]
    );
    fixture.pull().await.unwrap();
    assert_eq!(fixture.hub.ranges().len(), 1);
}

#[tokio::test]
async fn goes_on_in_the_same_pull_when_the_server_dies_midway() {
    let fixture = Fixture::new(Way::DiesOnceAfter(40_000)).await;
    fixture.pull().await.unwrap();
    let ranges = fixture.hub.ranges();
    assert_eq!(ranges, [None, Some("bytes=40000-".to_owned())]);
    assert_eq!(fixture.names(), WHOLE);
}

#[tokio::test]
async fn resumes_in_the_next_pull_when_the_server_stays_dead() {
    let fixture = Fixture::new(Way::DiesAfter(10_000)).await;
    let hub = Arc::clone(&fixture.hub);
    let error = only_failure(fixture.pull().await);
    assert!(
        matches!(error, SourceError::Transport { kept: true, .. }),
        "{error}"
    );
    assert_eq!(fixture.names(), [".weights.bin.part"]);
    assert_eq!(hub.ranges().len(), 8, "it gives up at last");
    assert_eq!(fixture.status(), Status::Missing);

    fixture.set(Way::Whole);
    fixture.pull().await.unwrap();
    assert_eq!(hub.ranges(), [Some("bytes=80000-".to_owned())]);
    assert_eq!(fixture.names(), WHOLE);
}

#[tokio::test]
async fn begins_anew_with_a_server_that_knows_no_ranges() {
    let fixture = Fixture::new(Way::WithoutRanges).await;
    fixture.leave_part(&weights()[..5_000]);
    fixture.pull().await.unwrap();
    assert_eq!(fixture.names(), WHOLE);
}

#[tokio::test]
async fn begins_anew_when_another_range_comes_back() {
    let fixture = Fixture::new(Way::OtherRange).await;
    fixture.leave_part(&weights()[..5_000]);
    fixture.pull().await.unwrap();
    assert_eq!(fixture.hub.ranges(), [Some("bytes=5000-".to_owned()), None]);
    assert_eq!(fixture.names(), WHOLE);
}

#[tokio::test]
async fn drops_a_part_that_is_not_the_files_beginning() {
    for part in [
        vec![0; 5_000],
        vec![0; weights().len()],
        vec![0; weights().len() + 1],
    ] {
        let fixture = Fixture::new(Way::Whole).await;
        fixture.leave_part(&part);
        fixture.pull().await.unwrap();
        assert_eq!(fixture.hub.ranges().last().unwrap(), &None);
        assert_eq!(fixture.names(), WHOLE);
    }
}

#[tokio::test]
async fn uses_a_complete_part_without_a_request() {
    let fixture = Fixture::new(Way::Status(StatusCode::NOT_FOUND)).await;
    fixture.leave_part(&weights());
    fixture.pull().await.unwrap();
    assert!(fixture.hub.ranges().is_empty());
}

#[tokio::test]
async fn a_wrong_checksum_names_file_sums_source_and_fix_and_leaves_nothing() {
    let fixture = Fixture::new(Way::Changed).await;
    let error = only_failure(fixture.pull().await);
    let message = error.to_string();
    let SourceError::WrongChecksum {
        file,
        origin,
        expected,
        found,
    } = error
    else {
        panic!("{message}");
    };
    assert_eq!(file, "weights.bin");
    assert!(
        origin.ends_with("/someone/tiny/resolve/abc123/weights.bin"),
        "{origin}"
    );
    assert_ne!(expected, found);
    for part in [&file, &origin, &expected, &found, "--source"] {
        assert!(message.contains(part), "{message}");
    }
    assert!(fixture.names().is_empty());
    assert_eq!(fixture.status(), Status::Missing);
}

#[tokio::test]
async fn stops_a_server_that_sends_more_than_the_file() {
    let fixture = Fixture::new(Way::Longer).await;
    let error = only_failure(fixture.pull().await);
    assert!(matches!(error, SourceError::TooLong { .. }), "{error}");
    assert!(fixture.names().is_empty());
}

#[tokio::test]
async fn a_file_that_ends_too_early_is_an_error_and_its_part_is_kept() {
    let fixture = Fixture::new(Way::EndsAfter(1_000)).await;
    let error = only_failure(fixture.pull().await);
    let SourceError::Truncated { received, kept, .. } = error else {
        panic!("{error}");
    };
    assert_eq!(
        (received, kept),
        (8_000, true),
        "1,000 of each of 8 requests"
    );
    assert_eq!(fixture.names(), [".weights.bin.part"]);
}

#[tokio::test]
async fn a_refusal_names_the_url_and_the_status() {
    for status in [StatusCode::NOT_FOUND, StatusCode::INTERNAL_SERVER_ERROR] {
        let fixture = Fixture::new(Way::Status(status)).await;
        let message = only_failure(fixture.pull().await).to_string();
        assert!(message.contains("/weights.bin answers"), "{message}");
        assert!(message.contains(status.as_str()), "{message}");
        assert!(fixture.names().is_empty());
    }
}

#[tokio::test]
async fn an_unreachable_hub_is_told_with_its_cause() {
    let mut fixture = Fixture::new(Way::Whole).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    fixture.options.hub_url = Some(format!("http://{address}"));
    let error = only_failure(fixture.pull().await);
    assert!(matches!(error, SourceError::Transport { kept: false, .. }));
    assert!(
        error.to_string().to_lowercase().contains("refused"),
        "{error}"
    );
}

#[tokio::test]
async fn two_pulls_at_once_download_once() {
    let fixture = Fixture::new(Way::Whole).await;
    let (first, second) = tokio::join!(fixture.pull(), fixture.pull());
    assert_eq!(first.unwrap(), second.unwrap());
    assert_eq!(fixture.hub.ranges().len(), 1);
    assert_eq!(fixture.names(), WHOLE);
}

#[tokio::test]
async fn a_dropped_pull_frees_its_lock_and_is_resumed() {
    let fixture = Fixture::new(Way::Whole).await;
    {
        let manifest = manifest();
        let model = manifest.get(MODEL).unwrap();
        let pull = fixture.store.pull(model, &fixture.options, &Silent);
        tokio::pin!(pull);
        let polled = std::future::poll_fn(|cx| {
            use std::future::Future as _;
            std::task::Poll::Ready(pull.as_mut().poll(cx).is_pending())
        });
        assert!(polled.await, "one look is not enough to finish");
    }
    fixture.pull().await.unwrap();
    assert_eq!(fixture.names(), WHOLE);
}
