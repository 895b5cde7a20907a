//! The service through its tonic trait, and once through a real server, on the real
//! model.

#![allow(clippy::unwrap_used)]

mod common;

use common::{MODEL, engine, jobs};
use signalbox_embeddings::service;
use signalbox_proto::embeddings::v1::{
    CreateEmbeddingsRequest, CreateEmbeddingsResponse, ListEmbeddingModelsRequest, TokenArray,
    embeddings_service_client::EmbeddingsServiceClient,
};
use tokio::{net::TcpListener, sync::oneshot};
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{
    Code, Status,
    transport::{Channel, Server},
};
use tonic_types::StatusExt as _;

/// A client of the service in this process, without a socket.
async fn client() -> EmbeddingsServiceClient<
    signalbox_proto::embeddings::v1::embeddings_service_server::EmbeddingsServiceServer<
        signalbox_embeddings::handler::Handler,
    >,
> {
    let limit = 64 << 20;
    let engine = engine().await;
    let jobs = jobs(&engine).await;
    let service = service(engine, jobs).max_encoding_message_size(limit);
    EmbeddingsServiceClient::new(service).max_decoding_message_size(limit)
}

fn request(input: &[&str]) -> CreateEmbeddingsRequest {
    CreateEmbeddingsRequest {
        input: input.iter().map(|text| (*text).to_owned()).collect(),
        model: MODEL.to_owned(),
        ..Default::default()
    }
}

async fn create(request: CreateEmbeddingsRequest) -> Result<CreateEmbeddingsResponse, Status> {
    let response = client().await.create_embeddings(request).await?;
    Ok(response.into_inner())
}

/// The one field that an `INVALID_ARGUMENT` names, and what it says of it.
async fn violation(request: CreateEmbeddingsRequest) -> (String, String) {
    let status = create(request).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument, "{status}");
    let details = status.get_error_details();
    assert_eq!(details.error_info().unwrap().reason, "INVALID_FIELD");
    let violations = &details.bad_request().unwrap().field_violations;
    assert_eq!(violations.len(), 1);
    let violation = &violations[0];
    (violation.field.clone(), violation.description.clone())
}

fn length(vector: &[f32]) -> f32 {
    vector.iter().map(|value| value * value).sum::<f32>().sqrt()
}

#[tokio::test]
async fn answers_in_input_order_in_the_shape_of_openai() {
    let answer = create(request(&["first", "the second text", "first"]))
        .await
        .unwrap();
    assert_eq!(
        (answer.object.as_str(), answer.model.as_str()),
        ("list", MODEL)
    );
    assert_eq!(
        answer.data.iter().map(|e| e.index).collect::<Vec<_>>(),
        [0, 1, 2]
    );
    for embedding in &answer.data {
        assert_eq!(embedding.object, "embedding");
        assert_eq!(embedding.embedding.len(), 384);
        assert!((length(&embedding.embedding) - 1.0).abs() < 1e-5);
        assert!(embedding.embedding_packed.is_empty() && !embedding.truncated);
    }
    assert_eq!(answer.data[0].embedding, answer.data[2].embedding);
    assert_ne!(answer.data[0].embedding, answer.data[1].embedding);
}

#[tokio::test]
async fn usage_counts_special_tokens() {
    let usage = create(request(&["hello", "hello world"]))
        .await
        .unwrap()
        .usage
        .unwrap();
    assert_eq!((usage.prompt_tokens, usage.total_tokens), (3 + 4, 3 + 4));
}

#[tokio::test]
async fn base64_packs_the_same_numbers_as_little_endian_bytes() {
    let float = create(request(&["pack me"])).await.unwrap();
    let packed = CreateEmbeddingsRequest {
        encoding_format: "base64".to_owned(),
        ..request(&["pack me"])
    };
    let packed = create(packed).await.unwrap();
    assert!(packed.data[0].embedding.is_empty());
    let bytes = packed.data[0].embedding_packed.chunks_exact(4);
    let numbers: Vec<f32> = bytes
        .map(|b| f32::from_le_bytes(b.try_into().unwrap()))
        .collect();
    assert_eq!(numbers, float.data[0].embedding);
}

#[tokio::test]
async fn token_ids_stand_in_for_their_text() {
    let text = create(request(&["hello world"])).await.unwrap();
    let tokens = CreateEmbeddingsRequest {
        input_tokens: vec![TokenArray {
            ids: vec![7592, 2088],
        }],
        ..request(&[])
    };
    assert_eq!(create(tokens).await.unwrap(), text);
}

#[tokio::test]
async fn long_input_is_cut_and_says_so() {
    let answer = create(request(&["short", &"hello ".repeat(300)]))
        .await
        .unwrap();
    assert_eq!(
        answer.data.iter().map(|e| e.truncated).collect::<Vec<_>>(),
        [false, true]
    );
    assert_eq!(answer.usage.unwrap().prompt_tokens, 3 + 256);
}

#[tokio::test]
async fn white_space_is_a_text() {
    assert_eq!(
        create(request(&[" "]))
            .await
            .unwrap()
            .usage
            .unwrap()
            .prompt_tokens,
        2
    );
}

#[tokio::test]
async fn the_models_own_size_and_the_named_default_format_are_accepted() {
    let explicit = CreateEmbeddingsRequest {
        dimensions: Some(384),
        encoding_format: "float".to_owned(),
        user: "u".repeat(256),
        ..request(&["x"])
    };
    assert_eq!(create(explicit).await.unwrap().data.len(), 1);
}

#[tokio::test]
async fn each_wrong_field_is_named_with_what_is_accepted() {
    let tokens = |ids: &[&[u32]]| {
        ids.iter()
            .map(|ids| TokenArray { ids: ids.to_vec() })
            .collect()
    };
    let base = || request(&["x"]);
    type Case = (CreateEmbeddingsRequest, &'static str, &'static str);
    let cases: Vec<Case> = vec![
        (request(&[]), "input", "1 to 10000"),
        (request(&["a", "b", "c", ""]), "input[3]", "empty"),
        (request(&["x"; 10_001]), "input", "10001"),
        (
            CreateEmbeddingsRequest {
                input_tokens: tokens(&[&[7]]),
                ..base()
            },
            "input_tokens",
            "together with `input`",
        ),
        (
            CreateEmbeddingsRequest {
                input_tokens: tokens(&[&[7], &[]]),
                ..request(&[])
            },
            "input_tokens[1]",
            "empty",
        ),
        (
            CreateEmbeddingsRequest {
                input_tokens: tokens(&[&[7, 30_522]]),
                ..request(&[])
            },
            "input_tokens[0]",
            "0 to 30521",
        ),
        (
            CreateEmbeddingsRequest {
                model: String::new(),
                ..base()
            },
            "model",
            "required",
        ),
        (
            CreateEmbeddingsRequest {
                model: "m".repeat(129),
                ..base()
            },
            "model",
            "128",
        ),
        (
            CreateEmbeddingsRequest {
                encoding_format: "hex".into(),
                ..base()
            },
            "encoding_format",
            "`base64`",
        ),
        (
            CreateEmbeddingsRequest {
                dimensions: Some(256),
                ..base()
            },
            "dimensions",
            "384",
        ),
        (
            CreateEmbeddingsRequest {
                dimensions: Some(0),
                ..base()
            },
            "dimensions",
            "384",
        ),
        (
            CreateEmbeddingsRequest {
                user: "u".repeat(257),
                ..base()
            },
            "user",
            "256",
        ),
    ];
    for (request, field, hint) in cases {
        let (found, description) = violation(request).await;
        assert_eq!(found, field, "{description}");
        assert!(description.contains(hint), "{field}: {description}");
    }
}

#[tokio::test]
async fn an_unknown_model_is_not_found_and_the_known_ones_are_listed() {
    let unknown = CreateEmbeddingsRequest {
        model: "text-embedding-3-large".to_owned(),
        ..request(&["x"])
    };
    let status = create(unknown).await.unwrap_err();
    assert_eq!(status.code(), Code::NotFound);
    assert!(status.message().contains(MODEL), "{status}");
    let info = status.get_error_details().error_info().unwrap().clone();
    assert_eq!(info.metadata["resource_name"], "text-embedding-3-large");
}

#[tokio::test]
async fn a_request_so_large_that_it_is_bulk_work_is_answered_in_order() {
    let texts: Vec<String> = (0..1_000).map(|i| format!("{i}")).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let answer = create(request(&texts)).await.unwrap();
    assert_eq!(answer.data.len(), 1_000);
    let alone = create(request(&["987"])).await.unwrap();
    assert_close(&answer.data[987].embedding, &alone.data[0].embedding);
}

/// The same text in another batch: the same vector but for the rounding of sums.
fn assert_close(one: &[f32], other: &[f32]) {
    let cosine: f32 = one.iter().zip(other).map(|(a, b)| a * b).sum();
    assert!(cosine > 0.9999, "{cosine}");
}

#[tokio::test]
async fn the_answer_says_where_the_time_went() {
    let answer = client().await.create_embeddings(request(&["timed"])).await;
    let header = answer.unwrap().metadata().get("server-timing").cloned();
    let header = header.unwrap().to_str().unwrap().to_owned();
    let names: Vec<&str> = header
        .split(", ")
        .map(|part| part.split_once(";dur=").unwrap())
        .inspect(|(_, ms)| assert!(ms.parse::<f64>().unwrap() >= 0.0))
        .map(|(name, _)| name)
        .collect();
    assert_eq!(names, ["queue", "tokenize", "infer", "pool", "total"]);
}

#[tokio::test]
async fn lists_the_model_with_its_facts() {
    let listed = client()
        .await
        .list_embedding_models(ListEmbeddingModelsRequest {})
        .await;
    let listed = listed.unwrap().into_inner();
    assert_eq!((listed.object.as_str(), listed.data.len()), ("list", 1));
    let model = &listed.data[0];
    assert_eq!((model.id.as_str(), model.object.as_str()), (MODEL, "model"));
    assert_eq!((model.dimensions, model.max_input_tokens), (384, 256));
    assert_eq!(
        (model.pooling.as_str(), model.license.as_str()),
        ("mean", "Apache-2.0")
    );
}

#[tokio::test]
async fn a_real_server_and_a_real_client_agree_with_the_service_in_process() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let (stop, stopped) = oneshot::channel::<()>();
    let engine = engine().await;
    let jobs = jobs(&engine).await;
    let server = Server::builder().add_service(service(engine, jobs));
    let served = tokio::spawn(server.serve_with_incoming_shutdown(
        TcpListenerStream::new(listener),
        async {
            stopped.await.ok();
        },
    ));

    let channel = Channel::from_shared(address)
        .unwrap()
        .connect()
        .await
        .unwrap();
    let mut remote = EmbeddingsServiceClient::new(channel);
    let request = request(&["over the wire", "電車は三分遅れています。"]);
    let answer = remote
        .create_embeddings(request.clone())
        .await
        .unwrap()
        .into_inner();
    assert_eq!(answer, create(request).await.unwrap());

    drop(remote);
    stop.send(()).unwrap();
    served.await.unwrap().unwrap();
}
