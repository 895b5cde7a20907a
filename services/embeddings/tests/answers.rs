//! What an answer can look like, through the service's tonic trait, on the real model.

#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use common::{MODEL, engine};
use signalbox_embeddings::{handler::Handler, service};
use signalbox_proto::embeddings::v1::{
    CreateEmbeddingReductionRequest, CreateEmbeddingsRequest, CreateEmbeddingsResponse,
    DeleteEmbeddingReductionRequest, EmbeddingVector, ListEmbeddingReductionsRequest,
    embeddings_service_client::EmbeddingsServiceClient,
    embeddings_service_server::EmbeddingsServiceServer,
};
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

const TEXTS: [&str; 6] = [
    "a red bicycle",
    "ein rotes Fahrrad",
    "the stock market fell",
    "shares lost a tenth of their value",
    "rain until Friday",
    "it will be wet all week",
];

async fn client() -> EmbeddingsServiceClient<EmbeddingsServiceServer<Handler>> {
    let engine = engine().await;
    let jobs = common::jobs(&engine).await;
    EmbeddingsServiceClient::new(service(engine, jobs))
}

fn request(output_dtype: &str, encoding_format: &str) -> CreateEmbeddingsRequest {
    CreateEmbeddingsRequest {
        input: TEXTS.map(str::to_owned).to_vec(),
        model: MODEL.to_owned(),
        output_dtype: output_dtype.to_owned(),
        encoding_format: encoding_format.to_owned(),
        ..CreateEmbeddingsRequest::default()
    }
}

async fn create(request: CreateEmbeddingsRequest) -> Result<CreateEmbeddingsResponse, Status> {
    let response = client().await.create_embeddings(request).await?;
    Ok(response.into_inner())
}

fn cosine(a: &[f32], b: &[f32]) -> f32 {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}

fn violated(status: &Status) -> String {
    assert_eq!(status.code(), Code::InvalidArgument, "{status}");
    let details = status.get_error_details();
    details.bad_request().unwrap().field_violations[0]
        .field
        .clone()
}

#[tokio::test]
async fn every_type_has_its_size_and_stays_near_the_vector() {
    let exact = create(request("", "")).await.unwrap();
    assert_eq!(exact.output_dtype, "float");
    // Type, bytes of 384 dimensions, and the least cosine that its precision allows.
    for (dtype, bytes, least) in [
        ("float", 1_536, 0.999_999_9),
        ("float16", 768, 0.999_999),
        ("int8", 384, 0.999),
    ] {
        let listed = create(request(dtype, "float")).await.unwrap();
        let packed = create(request(dtype, "base64")).await.unwrap();
        assert_eq!(
            (&*listed.output_dtype, &*packed.output_dtype),
            (dtype, dtype)
        );
        for ((exact, listed), packed) in exact.data.iter().zip(&listed.data).zip(&packed.data) {
            let integers = listed.embedding_integers.iter().map(|&value| value as f32);
            let scaled = integers.map(|value| value * listed.scale.unwrap());
            let vector: Vec<f32> = scaled.chain(listed.embedding.clone()).collect();
            assert_eq!(vector.len(), 384);
            assert!(cosine(&vector, &exact.embedding) > least, "{dtype}");
            assert_eq!(packed.embedding_packed.len(), bytes);
            assert!(packed.embedding.is_empty() && packed.embedding_integers.is_empty());
            assert_eq!(
                (listed.scale, listed.scale.is_some()),
                (packed.scale, dtype == "int8")
            );
        }
    }
}

#[tokio::test]
async fn binary_types_hold_the_signs() {
    let exact = create(request("", "")).await.unwrap();
    let unsigned = create(request("ubinary", "")).await.unwrap();
    let signed = create(request("binary", "")).await.unwrap();
    let packed = create(request("ubinary", "base64")).await.unwrap();
    for (at, exact) in exact.data.iter().enumerate() {
        let bytes = &unsigned.data[at].embedding_integers;
        assert_eq!(bytes.len(), 48);
        for (dimension, value) in exact.embedding.iter().enumerate() {
            let bit = bytes[dimension / 8] >> (7 - dimension % 8) & 1;
            assert_eq!(bit == 1, *value > 0.0);
        }
        let less: Vec<i32> = bytes.iter().map(|byte| byte - 128).collect();
        assert_eq!(signed.data[at].embedding_integers, less);
        let wide: Vec<i32> = packed.data[at]
            .embedding_packed
            .iter()
            .map(|byte| i32::from(*byte))
            .collect();
        assert_eq!(&wide, bytes);
    }
}

#[tokio::test]
async fn wrong_names_are_refused_with_those_that_exist() {
    let wrong = |change: fn(&mut CreateEmbeddingsRequest)| {
        let mut request = request("", "");
        change(&mut request);
        create(request)
    };
    let cases = [
        (
            wrong(|request| request.output_dtype = "int4".to_owned()).await,
            "output_dtype",
            "`ubinary`",
        ),
        (
            wrong(|request| request.input_type = "search_query".to_owned()).await,
            "input_type",
            "`query` and `document`",
        ),
        (
            wrong(|request| request.reduction = "A B".to_owned()).await,
            "reduction",
            "name@version",
        ),
    ];
    for (answer, field, hint) in cases {
        let status = answer.unwrap_err();
        assert_eq!(violated(&status), field);
        assert!(status.message().contains(hint), "{status}");
    }
    for kind in ["query", "document"] {
        let known = CreateEmbeddingsRequest {
            input_type: kind.to_owned(),
            ..request("", "")
        };
        assert_eq!(create(known).await.unwrap().data.len(), TEXTS.len());
    }
}

#[tokio::test]
async fn a_reduction_is_fitted_listed_applied_and_deleted() {
    let mut client = client().await;
    let fit = CreateEmbeddingReductionRequest {
        name: "news".to_owned(),
        model: MODEL.to_owned(),
        dimensions: 4,
        input: TEXTS.map(str::to_owned).to_vec(),
        ..CreateEmbeddingReductionRequest::default()
    };
    let both = CreateEmbeddingReductionRequest {
        vectors: vec![EmbeddingVector { values: vec![1.0] }],
        ..fit.clone()
    };
    let status = client.create_embedding_reduction(both).await.unwrap_err();
    assert_eq!(violated(&status), "vectors");

    let made = client
        .create_embedding_reduction(fit)
        .await
        .unwrap()
        .into_inner();
    assert_eq!(
        (&*made.id, made.version, made.fitted_items),
        ("news@1", 1, 6)
    );
    assert!(made.create_time.is_some() && made.variance_explained.unwrap() > 0.5);
    let listed = client.list_embedding_reductions(ListEmbeddingReductionsRequest {});
    assert_eq!(listed.await.unwrap().into_inner().data, [made]);

    let reduced = CreateEmbeddingsRequest {
        reduction: "news".to_owned(),
        ..request("", "")
    };
    let answer = client
        .create_embeddings(reduced.clone())
        .await
        .unwrap()
        .into_inner();
    assert_eq!(answer.reduction.as_deref(), Some("news@1"));
    let vector = |at: usize| &*answer.data[at].embedding;
    assert_eq!(vector(0).len(), 4);
    // Each text is still nearest to the other of its pair.
    for (one, pair) in [(0, 1), (2, 3), (4, 5)] {
        let others = (0..6).filter(|other| ![one, pair].contains(other));
        let nearest = others.map(|other| cosine(vector(one), vector(other)));
        let nearest = nearest.fold(f32::MIN, f32::max);
        assert!(cosine(vector(one), vector(pair)) > nearest, "{one}");
    }

    let name = "news".to_owned();
    let delete = DeleteEmbeddingReductionRequest { name };
    let deleted = client.delete_embedding_reduction(delete).await.unwrap();
    assert_eq!(deleted.into_inner().deleted_versions, 1);
    let status = client.create_embeddings(reduced).await.unwrap_err();
    assert_eq!(status.code(), Code::NotFound, "{status}");
}
