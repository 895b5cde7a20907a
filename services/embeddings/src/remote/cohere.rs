//! Cohere's embed, version 2: <https://docs.cohere.com/reference/embed>.

use serde::Deserialize;
use serde_json::{Value, json};
use signalbox_encoder::InputType;

use super::{Answer, Api, Batch};

pub(super) struct Cohere;

#[derive(Deserialize)]
struct Response {
    embeddings: Embeddings,
    #[serde(default)]
    meta: Meta,
}

#[derive(Deserialize)]
struct Embeddings {
    float: Vec<Vec<f32>>,
}

#[derive(Default, Deserialize)]
struct Meta {
    billed_units: Option<BilledUnits>,
}

#[derive(Deserialize)]
struct BilledUnits {
    input_tokens: Option<f64>,
}

impl Api for Cohere {
    fn base_url(&self) -> &'static str {
        "https://api.cohere.com"
    }

    fn path(&self) -> &'static str {
        "/v2/embed"
    }

    fn max_batch(&self) -> usize {
        96
    }

    fn request(&self, model: &str, batch: &Batch<'_>) -> Value {
        let input_type = match batch.input_type {
            InputType::Query => "search_query",
            // The field is required; what is embedded without a word on its use is
            // mostly what is searched.
            InputType::Document | InputType::Unspecified => "search_document",
        };
        let mut body = json!({
            "model": model,
            "texts": batch.texts,
            "input_type": input_type,
            "embedding_types": ["float"],
            // The answer does not say which texts were cut, so none is.
            "truncate": "NONE",
        });
        if let Some(dimensions) = batch.dimensions {
            body["output_dimension"] = dimensions.into();
        }
        body
    }

    fn read(&self, body: &[u8]) -> Result<Answer, String> {
        let response: Response = serde_json::from_slice(body).map_err(|error| error.to_string())?;
        let tokens = response
            .meta
            .billed_units
            .and_then(|units| units.input_tokens);
        Ok(Answer {
            vectors: response.embeddings.float,
            tokens: tokens.map(|tokens| tokens as u64),
        })
    }

    fn message(&self, body: &[u8]) -> Option<String> {
        let body: Value = serde_json::from_slice(body).ok()?;
        Some(body["message"].as_str()?.to_owned())
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    #[test]
    fn a_request_is_what_the_reference_says() {
        let request = |input_type, dimensions| {
            let batch = Batch {
                texts: &["a"],
                input_type,
                dimensions,
            };
            Cohere.request("embed-v4.0", &batch)
        };
        assert_eq!(
            request(InputType::Query, Some(512)),
            json!({
                "model": "embed-v4.0", "texts": ["a"], "input_type": "search_query",
                "embedding_types": ["float"], "truncate": "NONE", "output_dimension": 512,
            })
        );
        for other in [InputType::Document, InputType::Unspecified] {
            assert_eq!(request(other, None)["input_type"], "search_document");
        }
    }

    #[test]
    fn an_answer_with_and_without_billing_is_read() {
        let mut body = json!({
            "id": "x", "texts": ["a"], "response_type": "embeddings_by_type",
            "embeddings": {"float": [[0.5, 1.0]]},
            "meta": {"api_version": {"version": "2"}, "billed_units": {"input_tokens": 4}},
        });
        let read = |body: &Value| Cohere.read(body.to_string().as_bytes());
        let answer = read(&body).unwrap();
        assert_eq!(
            (answer.vectors, answer.tokens),
            (vec![vec![0.5, 1.0]], Some(4))
        );
        body["meta"] = json!({});
        assert_eq!(read(&body).unwrap().tokens, None);
        body["embeddings"] = json!({"int8": [[1]]});
        assert!(read(&body).unwrap_err().contains("float"));
    }
}
