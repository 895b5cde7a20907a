//! What the gRPC client reads of a text that Guardrails checks while it arrives.

use pact_consumer::{json_pattern, json_pattern_internal, like};
use serde_json::json;
use signalbox_proto::guardrails::v1::{
    Action, CheckStreamRequest, guardrails_service_client::GuardrailsServiceClient,
};

use super::{Interaction, with_key};

const GUARDRAILS: &str = "signalbox-guardrails";

#[tokio::test]
async fn streams_a_text_to_be_checked() {
    let interaction = Interaction {
        provider: GUARDRAILS,
        description: "a stream of one piece of text",
        state: None,
        method: "signalbox.guardrails.v1.GuardrailsService/CheckStream",
        request: json!({"text": "Mail ada@example.com"}),
        status: "OK",
        response: json_pattern!([
            {"text": "Mail ", "action": "ACTION_ALLOW"},
            {
                "text": "<EMAIL>",
                "action": "ACTION_REDACT",
                "findings": [{
                    "type": "EMAIL", "startByte": "5", "endByte": "20", "score": like!(0.95),
                }],
            },
        ]),
    };
    let call = async |channel| {
        let piece = CheckStreamRequest {
            text: "Mail ada@example.com".to_owned(),
            ..CheckStreamRequest::default()
        };
        let mut client = GuardrailsServiceClient::new(channel);
        let pieces = with_key(tokio_stream::iter([piece]));
        let mut answers = client.check_stream(pieces).await.unwrap().into_inner();
        let first = answers.message().await.unwrap().unwrap();
        assert_eq!((&*first.text, first.action()), ("Mail ", Action::Allow));
        let last = answers.message().await.unwrap().unwrap();
        assert_eq!((&*last.text, last.action()), ("<EMAIL>", Action::Redact));
        assert_eq!(last.findings[0].start_byte, 5);
        assert_eq!(answers.message().await.unwrap(), None);
    };
    interaction.relied_on_by(call).await;
}
