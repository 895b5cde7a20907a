//! A model hub over HTTP. A download that breaks goes on where it stopped, in this
//! pull while it makes headway and in the next one otherwise.

use std::{error::Error as _, time::Duration};

use futures_util::StreamExt as _;
use reqwest::{Client, StatusCode, header};

use super::Wanted;
use crate::{
    error::SourceError,
    manifest::{HubSource, ModelFile},
    partial::Partial,
};

/// An unreachable hub is told at once: it may be the last of several sources.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Longest silence in the middle of a download.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);
/// Most requests for one file in one pull, so that a hub that gives a byte at a time
/// does not hold it forever.
const MAX_REQUESTS: u32 = 8;

pub(crate) async fn fetch(
    wanted: Wanted<'_>,
    source: &HubSource,
    base: &str,
) -> Result<(), SourceError> {
    let base = base.trim_end_matches('/');
    let client = client().map_err(|error| transport(base, &error, false))?;
    for expected in wanted.files {
        // The manifest was checked to name every file.
        let path = source
            .files
            .get(&expected.name)
            .ok_or(SourceError::NotListed)?;
        let url = format!("{base}/{}/resolve/{}/{path}", source.repo, source.revision);
        download(&client, wanted, expected, &url).await?;
    }
    Ok(())
}

fn client() -> reqwest::Result<Client> {
    // Fails when the program has chosen a provider already, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .read_timeout(IDLE_TIMEOUT)
        .user_agent(concat!("signalbox/", env!("CARGO_PKG_VERSION")))
        .build()
}

async fn download(
    client: &Client,
    wanted: Wanted<'_>,
    expected: &ModelFile,
    url: &str,
) -> Result<(), SourceError> {
    let origin = || url.to_owned();
    let mut partial = Partial::resume(wanted.folder, expected, origin()).await?;
    let mut resumed = partial.len() > 0;
    let step = format!("{} from the hub", expected.name);
    wanted.progress.begin(&step, expected.bytes);
    let mut requests = 0;
    let result = loop {
        if partial.is_complete() {
            match partial.place().await {
                // What an earlier pull left may have come from elsewhere.
                Err(SourceError::WrongChecksum { .. }) if resumed => {
                    resumed = false;
                    partial = Partial::fresh(wanted.folder, expected, origin()).await?;
                    continue;
                }
                placed => break placed,
            }
        }
        let before = partial.len();
        let read = read_on(client, wanted, &mut partial, url).await;
        requests += 1;
        let headway = partial.len() > before && requests < MAX_REQUESTS;
        match read {
            Ok(()) => {}
            Err(SourceError::Transport { .. } | SourceError::Truncated { .. }) if headway => {}
            Err(error) => {
                let tidied = if partial.len() > 0 && !matches!(error, SourceError::TooLong { .. }) {
                    partial.keep().await
                } else {
                    Partial::drop_leftover(wanted.folder, expected).await
                };
                break Err(tidied.err().unwrap_or(error));
            }
        }
    };
    wanted.progress.end(result.is_ok());
    result
}

/// One request: reads the rest of the file until it is complete or breaks.
async fn read_on(
    client: &Client,
    wanted: Wanted<'_>,
    partial: &mut Partial<'_>,
    url: &str,
) -> Result<(), SourceError> {
    let mut request = client.get(url);
    if partial.len() > 0 {
        request = request.header(header::RANGE, format!("bytes={}-", partial.len()));
    }
    let response = request
        .send()
        .await
        .map_err(|error| transport(url, &error, partial.len() > 0))?;
    match response.status() {
        StatusCode::PARTIAL_CONTENT if starts_at(&response) == Some(partial.len()) => {}
        // The whole file, from a server without ranges.
        StatusCode::OK => partial.restart().await?,
        // Another range than asked for, or none: begin anew at the next request.
        StatusCode::PARTIAL_CONTENT | StatusCode::RANGE_NOT_SATISFIABLE if partial.len() > 0 => {
            partial.restart().await?;
            return Ok(());
        }
        status => {
            return Err(SourceError::Status {
                url: url.to_owned(),
                status: status.as_u16(),
            });
        }
    }
    let mut bytes = response.bytes_stream();
    while let Some(chunk) = bytes.next().await {
        let chunk = chunk.map_err(|error| transport(url, &error, partial.len() > 0))?;
        partial.push(&chunk).await?;
        wanted.progress.at(partial.len());
    }
    if partial.is_complete() {
        return Ok(());
    }
    Err(partial.truncated(partial.len() > 0))
}

/// The first byte of a partial answer, from `Content-Range: bytes 5-9/10`
/// (RFC 9110, section 14.4).
fn starts_at(response: &reqwest::Response) -> Option<u64> {
    let value = response
        .headers()
        .get(header::CONTENT_RANGE)?
        .to_str()
        .ok()?;
    let (first, _) = value.strip_prefix("bytes ")?.split_once('-')?;
    first.parse().ok()
}

fn transport(url: &str, error: &reqwest::Error, kept: bool) -> SourceError {
    // reqwest's own message repeats the URL and leaves out the cause.
    let mut detail = String::new();
    let mut cause = error.source();
    while let Some(error) = cause {
        detail = error.to_string();
        cause = error.source();
    }
    if detail.is_empty() {
        detail = error.to_string();
    }
    SourceError::Transport {
        url: url.to_owned(),
        detail,
        kept,
    }
}
