//! Health, and the end of a server's life.

#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use common::{Event, NAME, Served, piece, soon, text};
use futures_util::{StreamExt as _, stream};
use signalbox_chassis::server::ServerConfig;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    sync::mpsc,
};
use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::{Code, transport::Channel};
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};

fn named(service: &str) -> HealthCheckRequest {
    HealthCheckRequest {
        service: service.to_owned(),
    }
}

async fn health(client: &mut HealthClient<Channel>, service: &str) -> Result<i32, Code> {
    let answer = client.check(named(service)).await;
    answer
        .map(|answer| answer.into_inner().status)
        .map_err(|error| error.code())
}

#[tokio::test]
async fn health_is_told_for_each_service() {
    let served = Served::with(ServerConfig::default()).await;
    let mut client = HealthClient::new(served.channel().await);
    let serving = ServingStatus::Serving as i32;
    assert_eq!(health(&mut client, "").await, Ok(serving));
    assert_eq!(health(&mut client, NAME).await, Ok(serving));
    assert_eq!(
        health(&mut client, "no.such.Service").await,
        Err(Code::NotFound)
    );
}

#[tokio::test]
async fn draining_is_told_then_a_stream_at_work_finishes_and_the_server_ends() {
    let mut served = Served::with(ServerConfig::default()).await;
    let channel = served.channel().await;
    let mut watch = HealthClient::new(channel)
        .watch(named(NAME))
        .await
        .unwrap()
        .into_inner();
    let status = watch.message().await.unwrap().unwrap().status();
    assert_eq!(status, ServingStatus::Serving);

    let (pieces, receiver) = mpsc::unbounded_channel();
    let mut client = served.client().await;
    let mut answers = client
        .check_stream(UnboundedReceiverStream::new(receiver))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(served.event().await, Event::Started);

    served.terminate();
    let status = soon(watch.message()).await.unwrap().unwrap().status();
    assert_eq!(status, ServingStatus::NotServing);
    // Without this end, a watch would use up the whole drain timeout.
    assert!(soon(watch.message()).await.unwrap().is_none());
    let address = served.address;
    soon(async { while TcpStream::connect(address).await.is_ok() {} }).await;

    pieces.send(piece("late")).unwrap();
    assert_eq!(soon(answers.message()).await.unwrap().unwrap().text, "late");
    drop(pieces);
    assert!(soon(answers.message()).await.unwrap().is_none());
    served.ended().await;
}

#[tokio::test]
async fn idle_connections_do_not_hold_the_drain_up() {
    let mut served = Served::with(ServerConfig::default()).await;
    let mut client = served.client().await;
    client.check_text(text("a")).await.unwrap();
    let mut silent = TcpStream::connect(served.address).await.unwrap();
    let mut idle = TcpStream::connect(served.address).await.unwrap();
    idle.write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n")
        .await
        .unwrap();
    assert_eq!(soon(idle.read_u8()).await.unwrap(), b'H');
    served.terminate();
    let mut rest = Vec::new();
    soon(idle.read_to_end(&mut rest)).await.unwrap();
    assert_eq!(soon(silent.read_to_end(&mut rest)).await.unwrap(), 0);
    served.ended().await;
}

#[tokio::test]
async fn work_that_outlasts_the_drain_is_cut_off() {
    let config = ServerConfig {
        drain_timeout_ms: 50,
        ..ServerConfig::default()
    };
    let mut served = Served::with(config).await;
    let mut client = served.client().await;
    let pieces = stream::iter([piece("a")]).chain(stream::pending());
    let mut answers = client.check_stream(pieces).await.unwrap().into_inner();
    assert_eq!(served.event().await, Event::Started);
    assert!(answers.message().await.unwrap().is_some());
    served.terminate();
    assert!(soon(answers.message()).await.is_err());
    assert_eq!(served.event().await, Event::Dropped);
    served.ended().await;
}
