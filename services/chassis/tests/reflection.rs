//! Reflection, in both versions that tools speak.

#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use common::{NAME, Served};
use signalbox_chassis::server::ServerConfig;

/// What an error may carry; whoever reads it asks what it is.
const ERROR_DETAILS: [&str; 4] = [
    "google.rpc.BadRequest",
    "google.rpc.ErrorInfo",
    "google.rpc.QuotaFailure",
    "google.rpc.RetryInfo",
];

macro_rules! lists_and_describes {
    ($test:ident, $version:ident) => {
        #[tokio::test]
        async fn $test() {
            use tonic_reflection::pb::$version::{
                ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
                server_reflection_request::MessageRequest,
                server_reflection_response::MessageResponse,
            };
            let served = Served::with(ServerConfig::default()).await;
            let mut client = ServerReflectionClient::new(served.channel().await);
            let ask = |message| ServerReflectionRequest {
                host: String::new(),
                message_request: Some(message),
            };
            let symbol = |name: &str| ask(MessageRequest::FileContainingSymbol(name.to_owned()));
            let mut asked = vec![
                ask(MessageRequest::ListServices(String::new())),
                symbol(NAME),
            ];
            asked.extend(ERROR_DETAILS.map(symbol));
            let asked = tokio_stream::iter(asked);
            let answers = client.server_reflection_info(asked).await.unwrap();
            let mut answers = answers.into_inner();
            let listed = answers.message().await.unwrap().unwrap().message_response;
            let Some(MessageResponse::ListServicesResponse(listed)) = listed else {
                panic!("{listed:?}");
            };
            let names: Vec<&str> = listed.service.iter().map(|s| s.name.as_str()).collect();
            for name in [
                NAME,
                "grpc.health.v1.Health",
                "grpc.reflection.v1.ServerReflection",
                "grpc.reflection.v1alpha.ServerReflection",
            ] {
                assert!(names.contains(&name), "{name} is not in {names:?}");
            }
            assert_eq!(names.len(), 4, "{names:?}");
            let described = answers.message().await.unwrap().unwrap().message_response;
            let Some(MessageResponse::FileDescriptorResponse(described)) = described else {
                panic!("{described:?}");
            };
            assert!(!described.file_descriptor_proto.is_empty());
            for detail in ERROR_DETAILS {
                let answer = answers.message().await.unwrap().unwrap().message_response;
                assert!(
                    matches!(answer, Some(MessageResponse::FileDescriptorResponse(_))),
                    "{detail}: {answer:?}"
                );
            }
        }
    };
}

lists_and_describes!(version_1_lists_what_is_served_and_describes_it, v1);
lists_and_describes!(
    version_1_alpha_lists_what_is_served_and_describes_it,
    v1alpha
);
