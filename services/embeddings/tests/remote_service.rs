//! Remote models through the whole service: configuration, engine, cache, handlers and
//! jobs, against a provider that fails on demand. How one is asked is tested in `remote`.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed test may panic")]

use std::{
    collections::BTreeMap,
    io,
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use futures_util::{StreamExt as _, future::join_all};
use prost::Message as _;
use signalbox_embeddings::{
    EmbeddingsConfig, Engine, Jobs,
    handler::Handler,
    jobs::JobsConfig,
    load,
    remote::{Kind, RemoteConfig},
    service,
};
use signalbox_fault_upstream::FaultUpstream;
use signalbox_proto::embeddings::v1::{
    CreateEmbeddingJobRequest, CreateEmbeddingsRequest, CreateEmbeddingsResponse,
    ListEmbeddingModelsRequest, ReadEmbeddingJobResultsRequest, StreamEmbeddingsRequest,
    TokenArray, embeddings_service_client::EmbeddingsServiceClient,
    embeddings_service_server::EmbeddingsServiceServer,
};
use tonic::{Code, Status};
use tonic_types::StatusExt as _;
use tracing_subscriber::fmt::MakeWriter;

const KEY: &str = "sk-test-0123456789";

type Client = EmbeddingsServiceClient<EmbeddingsServiceServer<Handler>>;

/// The service with remote models alone, and their provider.
struct Stage {
    upstream: FaultUpstream,
    client: Client,
}

/// A model of the provider that behaves like this.
fn model(upstream: &FaultUpstream, kind: Kind, behaviour: &str) -> RemoteConfig {
    let base = match kind {
        Kind::Openai => upstream.base_url(),
        Kind::Cohere => format!("http://{}", upstream.addr),
    };
    RemoteConfig {
        kind,
        model: behaviour.to_owned(),
        base_url: Some(base),
        api_key_env: Some("KEY".to_owned()),
        dimensions: 8,
        matryoshka_dimensions: vec![4],
        license: "proprietary".to_owned(),
        max_retries: 2,
        retry_delay_ms: 1,
        ..RemoteConfig::default()
    }
}

fn remote_only(models: impl IntoIterator<Item = (&'static str, RemoteConfig)>) -> EmbeddingsConfig {
    EmbeddingsConfig {
        model: String::new(),
        remote_models: models
            .into_iter()
            .map(|(name, config)| (name.to_owned(), config))
            .collect(),
        ..EmbeddingsConfig::default()
    }
}

fn environment(name: &str) -> Option<String> {
    (name == "KEY").then(|| KEY.to_owned())
}

async fn engine(config: &EmbeddingsConfig) -> Result<Engine, String> {
    let nowhere = Path::new("/nowhere");
    load(config, nowhere, environment)
        .await
        .map_err(|error| error.to_string())
}

impl Stage {
    /// With the model `mine`.
    async fn new(kind: Kind, behaviour: &str) -> Self {
        Self::with(kind, behaviour, |config| config).await
    }

    async fn with(
        kind: Kind,
        behaviour: &str,
        change: impl FnOnce(RemoteConfig) -> RemoteConfig,
    ) -> Self {
        let upstream = FaultUpstream::start().await;
        let config = change(model(&upstream, kind, behaviour));
        let engine = engine(&remote_only([("mine", config)])).await.unwrap();
        let jobs = Jobs::start(&JobsConfig::default(), Arc::new(engine.clone())).await;
        let client = EmbeddingsServiceClient::new(service(engine, Arc::new(jobs.unwrap())));
        Self { upstream, client }
    }

    async fn create(
        &self,
        request: CreateEmbeddingsRequest,
    ) -> Result<CreateEmbeddingsResponse, Status> {
        let answer = self.client.clone().create_embeddings(request).await?;
        Ok(answer.into_inner())
    }

    /// The texts that the provider was asked for, request by request.
    fn asked(&self) -> Vec<Vec<String>> {
        let texts = |record: &signalbox_fault_upstream::Record| {
            let body = &record.body;
            let list = [&body["input"], &body["texts"]]
                .into_iter()
                .find_map(|field| field.as_array());
            list.unwrap()
                .iter()
                .map(|text| text.as_str().unwrap().to_owned())
                .collect()
        };
        self.upstream.records().iter().map(texts).collect()
    }
}

fn request(texts: &[&str]) -> CreateEmbeddingsRequest {
    CreateEmbeddingsRequest {
        model: "mine".to_owned(),
        input: texts.iter().map(|text| (*text).to_owned()).collect(),
        ..CreateEmbeddingsRequest::default()
    }
}

fn length(vector: &[f32]) -> f32 {
    vector.iter().map(|value| value * value).sum::<f32>().sqrt()
}

fn field(status: &Status) -> String {
    let details = status.get_error_details();
    let bad = details.bad_request().unwrap();
    bad.field_violations[0].field.clone()
}

#[tokio::test]
async fn a_remote_model_is_asked_and_listed_like_any_other() {
    for kind in [Kind::Openai, Kind::Cohere] {
        let stage = Stage::new(kind, "ok").await;
        let answer = stage.create(request(&["a b", "c", "a b"])).await.unwrap();
        assert_eq!(answer.model, "mine");
        // What comes twice is asked for once, and counts twice.
        assert_eq!(stage.asked(), [["a b", "c"]]);
        assert_eq!(answer.usage.unwrap().prompt_tokens, 5);
        let vectors: Vec<_> = answer.data.iter().map(|one| &one.embedding).collect();
        assert!(vectors.iter().all(|one| one.len() == 8));
        assert!(vectors.iter().all(|one| (length(one) - 1.0).abs() < 1e-6));
        assert!(vectors[0] == vectors[2] && vectors[0] != vectors[1]);
        let record = &stage.upstream.records()[0];
        assert_eq!(record.headers["authorization"], "present");

        let list = ListEmbeddingModelsRequest::default();
        let models = stage.client.clone().list_embedding_models(list).await;
        let models = models.unwrap().into_inner().data;
        assert_eq!(models.len(), 1);
        let model = &models[0];
        assert_eq!((model.id.as_str(), model.dimensions), ("mine", 8));
        assert_eq!(model.matryoshka_dimensions, [4]);
        assert_eq!((&*model.license, &*model.pooling), ("proprietary", ""));
    }
}

#[tokio::test]
async fn types_and_lengths_are_made_from_one_answer_of_the_provider() {
    let stage = Stage::new(Kind::Openai, "ok").await;
    let whole = stage.create(request(&["a"])).await.unwrap();
    for (dtype, bytes) in [("float", 32), ("float16", 16), ("int8", 8), ("ubinary", 1)] {
        let packed = CreateEmbeddingsRequest {
            output_dtype: dtype.to_owned(),
            encoding_format: "base64".to_owned(),
            ..request(&["a"])
        };
        let packed = stage.create(packed).await.unwrap();
        assert_eq!(packed.data[0].embedding_packed.len(), bytes, "{dtype}");
    }
    let short = |dimensions| CreateEmbeddingsRequest {
        dimensions: Some(dimensions),
        ..request(&["a"])
    };
    let four = stage.create(short(4)).await.unwrap();
    let (four, whole) = (&four.data[0].embedding, &whole.data[0].embedding);
    assert_eq!(four.len(), 4);
    assert!((length(four) - 1.0).abs() < 1e-6);
    assert!((four[1] * length(&whole[..4]) - whole[1]).abs() < 1e-6);
    let status = stage.create(short(3)).await.unwrap_err();
    assert_eq!(field(&status), "dimensions");
    assert_eq!(stage.asked().len(), 1);
}

#[tokio::test]
async fn what_is_known_is_not_asked_for_again_unless_it_is_for_something_else() {
    let stage = Stage::new(Kind::Cohere, "ok").await;
    let query = CreateEmbeddingsRequest {
        input_type: "query".to_owned(),
        ..request(&["a"])
    };
    for _ in 0..2 {
        stage.create(request(&["a", "b"])).await.unwrap();
        stage.create(request(&["b", "c", "a"])).await.unwrap();
        stage.create(query.clone()).await.unwrap();
    }
    assert_eq!(stage.asked(), [vec!["a", "b"], vec!["c"], vec!["a"]]);
    let records = stage.upstream.records();
    let types = records.iter().map(|record| &record.body["input_type"]);
    let types: Vec<_> = types.map(|name| name.as_str().unwrap()).collect();
    assert_eq!(
        types,
        ["search_document", "search_document", "search_query"]
    );
}

#[tokio::test]
async fn equal_texts_at_the_same_time_cost_one_request() {
    let stage = Stage::new(Kind::Openai, "latency=100ms").await;
    let answers = join_all((0..50).map(|_| stage.create(request(&["a"])))).await;
    assert!(answers.into_iter().all(|answer| answer.is_ok()));
    assert_eq!(stage.asked(), [["a"]]);
}

#[tokio::test]
async fn token_ids_are_refused_by_the_item_and_go_nowhere() {
    let stage = Stage::new(Kind::Openai, "ok").await;
    let tokens = CreateEmbeddingsRequest {
        input_tokens: vec![TokenArray { ids: vec![7592] }],
        ..request(&[])
    };
    let status = stage.create(tokens).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    assert_eq!(field(&status), "input_tokens[0]");
    assert!(status.message().contains("send texts"), "{status}");
    assert!(stage.asked().is_empty());
}

/// Takes what is logged on its thread.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

#[tokio::test]
async fn each_failure_of_the_provider_has_its_code_and_none_shows_the_key() {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(log.clone())
        .finish();
    let _guard = tracing::subscriber::set_default(subscriber);

    let second = Some(Duration::from_secs(1));
    let hour = Some(Duration::from_secs(3_600));
    let (unavailable, exhausted) = (Code::Unavailable, Code::ResourceExhausted);
    for (behaviour, code, reason, retry) in [
        ("status=503", unavailable, "PROVIDER_UNAVAILABLE", second),
        ("reset", unavailable, "PROVIDER_UNAVAILABLE", second),
        ("stall", unavailable, "PROVIDER_TIMEOUT", second),
        ("error-after=0", unavailable, "PROVIDER_BROKEN", second),
        (
            "status=429,retry-after=3600",
            exhausted,
            "PROVIDER_OVERLOADED",
            hour,
        ),
        (
            "status=503,retry-after=3600",
            exhausted,
            "PROVIDER_OVERLOADED",
            hour,
        ),
        ("status=401", unavailable, "PROVIDER_CREDENTIALS", None),
        ("status=404", unavailable, "PROVIDER_CONFIGURATION", None),
        ("status=400", Code::InvalidArgument, "INVALID_FIELD", None),
    ] {
        let patience = |config: RemoteConfig| RemoteConfig {
            timeout_ms: if behaviour == "stall" { 50 } else { 30_000 },
            ..config
        };
        let stage = Stage::with(Kind::Openai, behaviour, patience).await;
        let status = stage.create(request(&["a"])).await.unwrap_err();
        let details = status.get_error_details();
        assert_eq!(status.code(), code, "{behaviour}: {status}");
        assert_eq!(details.error_info().unwrap().reason, reason, "{behaviour}");
        let told = details.retry_info().and_then(|info| info.retry_delay);
        assert_eq!(told, retry, "{behaviour}");
        assert!(!format!("{status:?}").contains(KEY), "{behaviour}");
        if code == Code::InvalidArgument {
            assert_eq!(field(&status), "input[0]");
        }
    }

    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(log.contains("a remote model is not set up right"));
    assert!(log.contains("a remote embedding request failed"));
    assert!(!log.contains(KEY));
}

#[tokio::test]
async fn what_fails_is_not_kept() {
    let stage = Stage::with(Kind::Openai, "fail-first=1,status=503", |config| {
        RemoteConfig {
            max_retries: 0,
            ..config
        }
    });
    let stage = stage.await;
    stage.create(request(&["a"])).await.unwrap_err();
    stage.create(request(&["a"])).await.unwrap();
}

#[tokio::test]
async fn a_stream_is_answered_text_by_text() {
    let stream = async |stage: &Stage, texts: &[&str]| {
        let texts: Vec<_> = texts
            .iter()
            .map(|text| StreamEmbeddingsRequest {
                id: (*text).to_owned(),
                text: (*text).to_owned(),
                model: "mine".to_owned(),
            })
            .collect();
        let texts = tokio_stream::iter(texts);
        let answers = stage.client.clone().stream_embeddings(texts).await.unwrap();
        let mut answers: Vec<_> = answers
            .into_inner()
            .map(|answer| answer.unwrap())
            .collect()
            .await;
        answers.sort_by_key(|answer| answer.index);
        answers
    };
    let stage = Stage::new(Kind::Openai, "ok").await;
    let unary = stage.create(request(&["a", "b"])).await.unwrap();
    let answers = stream(&stage, &["a", "b", ""]).await;
    for (answer, one) in answers.iter().zip(&unary.data) {
        assert_eq!(answer.embedding, one.embedding);
        assert_eq!(answer.prompt_tokens, 1);
    }
    assert_eq!(
        answers[2].error.as_ref().unwrap().code,
        Code::InvalidArgument as i32
    );

    let stage = Stage::new(Kind::Openai, "status=400").await;
    let answers = stream(&stage, &["a"]).await;
    let error = answers[0].error.as_ref().unwrap();
    let status = Status::with_details(
        Code::from_i32(error.code),
        &error.message,
        error.encode_to_vec().into(),
    );
    assert_eq!(
        (status.code(), field(&status).as_str()),
        (Code::InvalidArgument, "text")
    );
}

/// The job's state and error, and its results.
async fn job(stage: &Stage, texts: &[&str]) -> (String, String, Vec<Vec<f32>>) {
    let mut client = stage.client.clone();
    let new = CreateEmbeddingJobRequest {
        model: "mine".to_owned(),
        input: texts.iter().map(|text| (*text).to_owned()).collect(),
        ..CreateEmbeddingJobRequest::default()
    };
    let job = client.create_embedding_job(new).await.unwrap().into_inner();
    let read = ReadEmbeddingJobResultsRequest {
        job_id: job.job_id.clone(),
        follow: true,
        ..ReadEmbeddingJobResultsRequest::default()
    };
    let results = client.read_embedding_job_results(read).await.unwrap();
    let results = results.into_inner().filter_map(async |result| result.ok());
    let results = results.map(|result| result.embedding).collect().await;
    let get = signalbox_proto::embeddings::v1::GetEmbeddingJobRequest { job_id: job.job_id };
    let job = client.get_embedding_job(get).await.unwrap().into_inner();
    let state = job.state().as_str_name().to_owned();
    (state, job.error_message, results)
}

#[tokio::test]
async fn a_job_gives_what_a_call_gives() {
    let stage = Stage::new(Kind::Cohere, "ok").await;
    let (state, error, results) = job(&stage, &["a", "b"]).await;
    assert!(state.ends_with("SUCCEEDED"), "{state}: {error}");
    let unary = stage.create(request(&["a", "b"])).await.unwrap();
    let unary: Vec<_> = unary.data.into_iter().map(|one| one.embedding).collect();
    assert_eq!(results, unary);
}

#[tokio::test]
async fn a_job_waits_for_a_provider_that_fails_and_blames_no_text_for_it() {
    let stage = Stage::with(Kind::Openai, "fail-first=1,status=500", |config| {
        RemoteConfig {
            max_retries: 0,
            ..config
        }
    })
    .await;
    let (state, error, results) = job(&stage, &["a", "b"]).await;
    assert!(state.ends_with("SUCCEEDED"), "{state}: {error}");
    assert!(results.iter().all(|vector| vector.len() == 8));
    assert_eq!(stage.asked(), [["a", "b"], ["a", "b"]]);
}

#[tokio::test]
async fn a_job_whose_provider_refuses_the_key_fails_at_once_and_says_so() {
    let stage = Stage::new(Kind::Openai, "status=401").await;
    let (state, error, results) = job(&stage, &["a", "b"]).await;
    assert!(state.ends_with("FAILED"), "{state}");
    assert_eq!(error, "the credentials configured for mine are wrong");
    assert!(results.is_empty());
    assert_eq!(stage.asked().len(), 1);
}

#[tokio::test]
async fn a_configuration_that_cannot_work_is_refused_by_its_setting() {
    let upstream = FaultUpstream::start().await;
    let whole = || model(&upstream, Kind::Openai, "ok");
    let no_key = RemoteConfig {
        api_key_env: Some("NO_SUCH_KEY".to_owned()),
        ..whole()
    };
    let twice = EmbeddingsConfig {
        models: Vec::new(),
        model: "mine".to_owned(),
        remote_models: BTreeMap::from([("mine".to_owned(), whole())]),
        ..EmbeddingsConfig::default()
    };
    for (config, parts) in [
        (
            remote_only([("mine", no_key)]),
            ["embeddings.remote_models.mine.api_key_env", "NO_SUCH_KEY"],
        ),
        (remote_only([]), ["embeddings.model", "name a model"]),
        // Before the folder is looked into.
        (twice, ["`mine`", "twice"]),
    ] {
        let error = engine(&config).await.err().unwrap();
        assert!(parts.iter().all(|part| error.contains(part)), "{error}");
    }
    assert!(upstream.records().is_empty());
}

#[tokio::test]
async fn two_models_of_one_name_at_two_providers_are_told_apart_in_a_shared_cache() {
    let (one, other) = (FaultUpstream::start().await, FaultUpstream::start().await);
    let mut revisions = Vec::new();
    for config in [
        model(&one, Kind::Openai, "ok"),
        model(&other, Kind::Openai, "ok"),
        model(&one, Kind::Openai, "echo"),
        model(&one, Kind::Cohere, "ok"),
    ] {
        let engine = engine(&remote_only([("mine", config)])).await.unwrap();
        revisions.push(engine.card("mine").unwrap().revision.clone());
    }
    let distinct: std::collections::BTreeSet<_> = revisions.iter().collect();
    assert_eq!(distinct.len(), revisions.len());
}
