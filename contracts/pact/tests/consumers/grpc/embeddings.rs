//! What the gRPC client reads of the Embeddings service's streams, jobs and reductions.

use pact_consumer::{each_like, each_like_helper, json_pattern, json_pattern_internal, like, term};
use serde_json::json;
use signalbox_proto::embeddings::v1::{
    CreateEmbeddingJobRequest, DeleteEmbeddingReductionRequest, GetEmbeddingJobRequest,
    ListEmbeddingReductionsRequest, StreamEmbeddingsRequest, embedding_job::State,
    embeddings_service_client::EmbeddingsServiceClient,
};
use tonic::Code;
use tonic_types::StatusExt as _;

use super::{Interaction, with_key};

const EMBEDDINGS: &str = "signalbox-embeddings";
const MODEL: &str = "all-MiniLM-L6-v2";

#[tokio::test]
async fn streams_a_text() {
    let interaction = Interaction {
        provider: EMBEDDINGS,
        description: "a stream of one text",
        state: Some(("an embedding model", json!({"model": MODEL}))),
        method: "signalbox.embeddings.v1.EmbeddingsService/StreamEmbeddings",
        request: json!({"id": "first", "text": "a red bicycle", "model": MODEL}),
        status: "OK",
        response: json_pattern!([
            {"id": "first", "embedding": each_like!(0.5), "promptTokens": 5},
        ]),
    };
    let call = async |channel| {
        let text = StreamEmbeddingsRequest {
            id: "first".to_owned(),
            text: "a red bicycle".to_owned(),
            model: MODEL.to_owned(),
        };
        let mut client = EmbeddingsServiceClient::new(channel);
        let texts = with_key(tokio_stream::iter([text]));
        let mut answers = client.stream_embeddings(texts).await.unwrap().into_inner();
        let answer = answers.message().await.unwrap().unwrap();
        assert_eq!((&*answer.id, answer.prompt_tokens), ("first", 5));
        assert!(!answer.embedding.is_empty());
        assert_eq!(answers.message().await.unwrap(), None);
    };
    interaction.relied_on_by(call).await;
}

#[tokio::test]
async fn starts_a_job() {
    let interaction = Interaction {
        provider: EMBEDDINGS,
        description: "a job of two texts",
        state: Some(("an embedding model", json!({"model": MODEL}))),
        method: "signalbox.embeddings.v1.EmbeddingsService/CreateEmbeddingJob",
        request: json!({
            "idempotencyKey": "pact", "model": MODEL, "input": ["a red bicycle", "a blue car"],
        }),
        status: "OK",
        response: json_pattern!({
            "jobId": term!("^[0-9A-Z]{26}$", "01M846C77G24TR7RHVE2EH0A1F"),
            "state": term!("^STATE_(PENDING|RUNNING|SUCCEEDED)$", "STATE_PENDING"),
            "model": MODEL,
            "totalItems": 2,
            "createTime": like!("2026-11-01T00:00:00Z"),
            "expireTime": like!("2026-11-02T00:00:00Z"),
        }),
    };
    let call = async |channel| {
        let request = CreateEmbeddingJobRequest {
            idempotency_key: "pact".to_owned(),
            model: MODEL.to_owned(),
            input: vec!["a red bicycle".to_owned(), "a blue car".to_owned()],
        };
        let mut client = EmbeddingsServiceClient::new(channel);
        let job = client.create_embedding_job(with_key(request)).await;
        let job = job.unwrap().into_inner();
        assert_eq!((job.total_items, job.state()), (2, State::Pending));
        assert!(!job.job_id.is_empty());
    };
    interaction.relied_on_by(call).await;
}

#[tokio::test]
async fn names_the_job_that_does_not_exist() {
    let interaction = Interaction {
        provider: EMBEDDINGS,
        description: "a job that does not exist",
        state: None,
        method: "signalbox.embeddings.v1.EmbeddingsService/GetEmbeddingJob",
        request: json!({"jobId": "00000000000000000000000000"}),
        status: "NOT_FOUND",
        response: not_found(),
    };
    let call = async |channel| {
        let request = GetEmbeddingJobRequest {
            job_id: "00000000000000000000000000".to_owned(),
        };
        let mut client = EmbeddingsServiceClient::new(channel);
        let status = client.get_embedding_job(with_key(request)).await;
        let status = status.unwrap_err();
        assert_eq!(status.code(), Code::NotFound);
        assert_eq!(status.get_details_error_info().unwrap().reason, "NOT_FOUND");
    };
    interaction.relied_on_by(call).await;
}

#[tokio::test]
async fn lists_reductions() {
    let interaction = Interaction {
        provider: EMBEDDINGS,
        description: "the reductions",
        state: None,
        method: "signalbox.embeddings.v1.EmbeddingsService/ListEmbeddingReductions",
        request: json!({}),
        status: "OK",
        response: json_pattern!({"object": "list"}),
    };
    let call = async |channel| {
        let mut client = EmbeddingsServiceClient::new(channel);
        let request = with_key(ListEmbeddingReductionsRequest::default());
        let answer = client.list_embedding_reductions(request).await;
        assert_eq!(answer.unwrap().into_inner().object, "list");
    };
    interaction.relied_on_by(call).await;
}

#[tokio::test]
async fn names_the_reduction_that_does_not_exist() {
    let interaction = Interaction {
        provider: EMBEDDINGS,
        description: "the end of a reduction that does not exist",
        state: None,
        method: "signalbox.embeddings.v1.EmbeddingsService/DeleteEmbeddingReduction",
        request: json!({"name": "nobody"}),
        status: "NOT_FOUND",
        response: not_found(),
    };
    let call = async |channel| {
        let request = DeleteEmbeddingReductionRequest {
            name: "nobody".to_owned(),
        };
        let mut client = EmbeddingsServiceClient::new(channel);
        let status = client.delete_embedding_reduction(with_key(request)).await;
        assert_eq!(status.unwrap_err().code(), Code::NotFound);
    };
    interaction.relied_on_by(call).await;
}

fn not_found() -> pact_consumer::prelude::JsonPattern {
    json_pattern!({
        "code": 5,
        "message": like!("it does not exist"),
        "details": [{
            "@type": "type.googleapis.com/google.rpc.ErrorInfo",
            "reason": "NOT_FOUND",
            "domain": "signalbox",
        }],
    })
}
