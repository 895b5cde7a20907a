//! One call for many texts, where a text that the server refuses costs only itself.

use std::time::Duration;

use signalbox_proto::embeddings::v1::{
    CreateEmbeddingsRequest, embeddings_service_client::EmbeddingsServiceClient,
};
use tokio::time::sleep;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use super::Args;
use crate::client::{Connection, refusal};

/// How often a call is made anew that a busy or restarting server did not answer.
const TRIES: u32 = 8;
/// The first pause between two tries; each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(200);

/// A vector as little-endian 32-bit floats, or why there is none.
pub(super) type Answer = Result<Vec<u8>, String>;

/// Embeds `texts`, in order; what is no text keeps its reason.
pub(super) async fn embed(
    client: EmbeddingsServiceClient<Connection>,
    args: &Args,
    texts: Vec<Result<String, String>>,
) -> Result<Vec<Answer>, String> {
    let mut answers: Vec<Answer> = vec![Ok(Vec::new()); texts.len()];
    // The texts still to be answered, with their places.
    let mut left = Vec::with_capacity(texts.len());
    for (place, text) in texts.into_iter().enumerate() {
        match text {
            Ok(text) => left.push((place, text)),
            Err(reason) => answers[place] = Err(reason),
        }
    }
    while !left.is_empty() {
        let request = CreateEmbeddingsRequest {
            input: left.iter().map(|(_, text)| text.clone()).collect(),
            model: args.model.clone(),
            dimensions: args.dimensions,
            input_type: args.input_type.clone(),
            encoding_format: "base64".to_owned(),
            ..CreateEmbeddingsRequest::default()
        };
        match patiently(&client, &request).await {
            Ok(data) if data.len() == left.len() => {
                for ((place, _), vector) in left.drain(..).zip(data) {
                    answers[place] = Ok(vector);
                }
            }
            Ok(data) => {
                return Err(format!(
                    "the server answered {} of {} texts",
                    data.len(),
                    left.len()
                ));
            }
            Err(status) => match refused_input(&status, left.len()) {
                Some((index, reason)) => {
                    let (place, _) = left.remove(index);
                    answers[place] = Err(reason);
                }
                None => return Err(refusal(&status)),
            },
        }
    }
    Ok(answers)
}

/// Calls until the server answers or refuses for good.
async fn patiently(
    client: &EmbeddingsServiceClient<Connection>,
    request: &CreateEmbeddingsRequest,
) -> Result<Vec<Vec<u8>>, Status> {
    let mut pause = FIRST_PAUSE;
    for _ in 1..TRIES {
        match client.clone().create_embeddings(request.clone()).await {
            Ok(response) => return Ok(vectors(response.into_inner())),
            Err(status) if may_pass(status.code()) => {
                let told = status.get_details_retry_info().and_then(|i| i.retry_delay);
                sleep(told.unwrap_or(pause).max(pause)).await;
                pause *= 2;
            }
            Err(status) => return Err(status),
        }
    }
    let response = client.clone().create_embeddings(request.clone()).await?;
    Ok(vectors(response.into_inner()))
}

fn vectors(response: signalbox_proto::embeddings::v1::CreateEmbeddingsResponse) -> Vec<Vec<u8>> {
    let packed = response.data.into_iter().map(|one| one.embedding_packed);
    packed.map(Vec::from).collect()
}

fn may_pass(code: Code) -> bool {
    matches!(code, Code::ResourceExhausted | Code::Unavailable)
}

/// The text that an error names as in `input[3]`, and what is wrong with it.
fn refused_input(status: &Status, texts: usize) -> Option<(usize, String)> {
    let request = status.get_details_bad_request()?;
    let violation = request.field_violations.into_iter().next()?;
    let rest = violation.field.strip_prefix("input[")?;
    let index: usize = rest.split_once(']')?.0.parse().ok()?;
    (index < texts).then_some((index, violation.description))
}

#[cfg(test)]
mod tests {
    use tonic_types::{ErrorDetails, StatusExt as _};

    use super::*;

    fn refused(field: &str) -> Status {
        let details = ErrorDetails::with_bad_request_violation(field, "is bad");
        Status::with_error_details(Code::InvalidArgument, "no", details)
    }

    #[test]
    fn only_an_error_that_names_a_text_costs_that_text_alone() {
        let found = refused_input(&refused("input[2]"), 3);
        assert_eq!(found, Some((2, "is bad".to_owned())));
        for other in ["input[3]", "model", "input[x]", "input"] {
            assert_eq!(refused_input(&refused(other), 3), None, "{other}");
        }
        assert_eq!(refused_input(&Status::internal("x"), 3), None);
    }
}
