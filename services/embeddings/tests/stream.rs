//! StreamEmbeddings, through the tonic trait, with models that work on command.

#![allow(clippy::unwrap_used)]

mod fake;

use std::{
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use fake::{Broken, Gated, Instantly, engine, one_thread};
use futures_util::StreamExt as _;
use signalbox_embeddings::{EmbeddingsConfig, Engine, handler::Handler, model::Model, service};
use signalbox_proto::embeddings::v1::{
    ItemError, StreamEmbeddingsRequest, StreamEmbeddingsResponse,
    embeddings_service_client::EmbeddingsServiceClient,
    embeddings_service_server::EmbeddingsServiceServer,
};
use tokio::sync::mpsc;
use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::{Code, Status, Streaming};

type Client = EmbeddingsServiceClient<EmbeddingsServiceServer<Handler>>;

async fn client(config: &EmbeddingsConfig, model: impl Model + 'static) -> (Engine, Client) {
    let engine = engine(config, model);
    let jobs = fake::jobs(&engine).await;
    let client = EmbeddingsServiceClient::new(service(engine.clone(), jobs));
    (engine, client)
}

fn text(id: &str, text: &str) -> StreamEmbeddingsRequest {
    StreamEmbeddingsRequest {
        id: id.to_owned(),
        text: text.to_owned(),
        model: "m".to_owned(),
    }
}

async fn all(
    mut client: Client,
    texts: Vec<StreamEmbeddingsRequest>,
) -> Vec<StreamEmbeddingsResponse> {
    let answers = client.stream_embeddings(tokio_stream::iter(texts)).await;
    let mut answers: Vec<_> = collect(answers.unwrap().into_inner()).await.unwrap();
    answers.sort_by_key(|answer| answer.index);
    answers
}

async fn collect(
    answers: Streaming<StreamEmbeddingsResponse>,
) -> Result<Vec<StreamEmbeddingsResponse>, Status> {
    let answers: Vec<_> = answers.collect().await;
    answers.into_iter().collect()
}

/// The code, reason and field of an item's error.
fn facts(error: &ItemError) -> (Code, String, Option<String>) {
    use prost::Message as _;
    use tonic_types::StatusExt as _;
    // An item's error is a `google.rpc.Status` on the wire.
    let code = Code::from_i32(error.code);
    let status = Status::with_details(code, &error.message, error.encode_to_vec().into());
    let details = status.get_error_details();
    let field = details
        .bad_request()
        .map(|bad| bad.field_violations[0].field.clone());
    (code, details.error_info().unwrap().reason.clone(), field)
}

#[tokio::test]
async fn every_text_is_answered_and_the_half_closed_stream_ends() {
    let (_, client) = client(&one_thread(), Instantly).await;
    let texts = (0..500).map(|i| text(&format!("id-{i}"), "abc")).collect();
    let answers = all(client, texts).await;
    assert_eq!(answers.len(), 500);
    for (index, answer) in answers.iter().enumerate() {
        assert_eq!(
            (answer.id.as_str(), answer.index),
            (&*format!("id-{index}"), index as u64)
        );
        assert_eq!(
            (answer.embedding.as_slice(), answer.prompt_tokens),
            (&[97.0][..], 3)
        );
        assert_eq!(answer.error, None);
    }
}

#[tokio::test]
async fn an_empty_stream_has_an_empty_answer() {
    let (_, client) = client(&one_thread(), Instantly).await;
    assert_eq!(all(client, vec![]).await, []);
}

#[tokio::test]
async fn the_first_messages_model_is_that_of_all_that_name_none() {
    let (_, client) = client(&one_thread(), Instantly).await;
    let unnamed = |message: StreamEmbeddingsRequest| StreamEmbeddingsRequest {
        model: String::new(),
        ..message
    };
    let texts = vec![
        text("a", "a"),
        unnamed(text("b", "b")),
        unnamed(text("c", "c")),
    ];
    let answers = all(client, texts).await;
    assert!(
        answers.iter().all(|answer| answer.error.is_none()),
        "{answers:?}"
    );
}

#[tokio::test]
async fn a_bad_text_is_answered_with_its_error_and_the_stream_goes_on() {
    let (_, client) = client(&one_thread(), Broken).await;
    let unknown = StreamEmbeddingsRequest {
        model: "other".to_owned(),
        ..text("unknown", "abc")
    };
    let texts = vec![
        text("first", "abc"),
        text("empty", ""),
        text(&"x".repeat(129), "abc"),
        unknown,
        text("poison", "bad"),
        text("last", "abc"),
    ];
    let answers = all(client, texts).await;
    let ids: Vec<&str> = answers.iter().map(|answer| answer.id.as_str()).collect();
    assert_eq!(ids, ["first", "empty", "", "unknown", "poison", "last"]);
    let found: Vec<_> = answers
        .iter()
        .map(|answer| answer.error.as_ref().map(facts))
        .collect();
    let invalid = |field: &str| {
        let (code, reason) = (Code::InvalidArgument, "INVALID_FIELD".to_owned());
        Some((code, reason, Some(field.to_owned())))
    };
    assert_eq!(found[0], None);
    assert_eq!(found[1], invalid("text"));
    assert_eq!(found[2], invalid("id"));
    assert_eq!(
        found[3],
        Some((Code::NotFound, "NOT_FOUND".to_owned(), None))
    );
    assert_eq!(
        found[4],
        Some((Code::Internal, "INTERNAL".to_owned(), None))
    );
    assert_eq!(found[5], None);
    assert_eq!(answers[5].embedding, [97.0]);
}

#[tokio::test]
async fn answers_may_overtake_each_other() {
    let config = EmbeddingsConfig {
        max_batch_tokens: 4.try_into().unwrap(),
        worker_threads: 2.try_into().ok(),
        ..Default::default()
    };
    let (_, mut client) = client(&config, fake::Slow).await;
    let texts = tokio_stream::iter(vec![text("slow", "slow"), text("fast", "fast")]);
    let answers = client.stream_embeddings(texts).await.unwrap().into_inner();
    let mut answers = pin!(answers);
    assert_eq!(answers.next().await.unwrap().unwrap().id, "fast");
    assert_eq!(answers.next().await.unwrap().unwrap().id, "slow");
}

#[tokio::test]
async fn nothing_is_read_while_the_window_is_full() {
    let config = EmbeddingsConfig {
        stream_window: 3.try_into().unwrap(),
        ..one_thread()
    };
    let (model, mut gates) = Gated::new();
    let (_, mut client) = client(&config, model).await;
    let read = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&read);
    let texts = futures_util::stream::iter(0..100).map(move |i| {
        counter.fetch_add(1, Ordering::Relaxed);
        // Long texts, so that buffers on the way hold few.
        text(&i.to_string(), &"x".repeat(64 << 10))
    });
    let answers = client.stream_embeddings(texts).await.unwrap().into_inner();
    let call = tokio::spawn(collect(answers));
    gates.begun().await;
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    let ahead = read.load(Ordering::Relaxed);
    assert!(ahead <= 6, "{ahead} texts were taken from the client");
    gates.open_all();
    assert_eq!(call.await.unwrap().unwrap().len(), 100);
}

#[tokio::test]
async fn a_client_that_goes_away_stops_all_its_work() {
    let (model, mut gates) = Gated::new();
    let (engine, mut client) = client(&one_thread(), model).await;
    let endless = futures_util::stream::repeat_with(|| text("", "abc"));
    let answers = client
        .stream_embeddings(endless)
        .await
        .unwrap()
        .into_inner();
    let call = tokio::spawn(collect(answers));
    gates.begun().await;
    call.abort();
    assert!(call.await.unwrap_err().is_cancelled());
    gates.cancelled().await;
    while !engine.is_idle() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_stream_waits_for_room_where_a_call_would_be_refused() {
    let config = EmbeddingsConfig {
        max_waiting: 0,
        max_waiting_tokens: 10.try_into().unwrap(),
        max_bulk_requests: 1.try_into().unwrap(),
        ..one_thread()
    };
    let (_, client) = client(&config, Instantly).await;
    let texts = (0..200).map(|i| text(&i.to_string(), "abcdef")).collect();
    let answers = all(client, texts).await;
    assert_eq!(answers.len(), 200);
    assert!(answers.iter().all(|answer| answer.error.is_none()));
}

#[tokio::test]
async fn a_text_that_comes_later_is_answered_when_it_comes() {
    let (_, mut client) = client(&one_thread(), Instantly).await;
    let (send, texts) = mpsc::unbounded_channel();
    send.send(text("first", "a")).unwrap();
    let texts = UnboundedReceiverStream::new(texts);
    let answers = client.stream_embeddings(texts).await.unwrap().into_inner();
    let mut answers = pin!(answers.map(Result::unwrap));
    assert_eq!(answers.next().await.unwrap().id, "first");
    send.send(text("second", "b")).unwrap();
    assert_eq!(answers.next().await.unwrap().id, "second");
    drop(send);
    assert_eq!(answers.next().await, None);
}
