//! Texts named on the command line or piped in, answered in the order of reading.

use std::io::{BufRead as _, IsTerminal as _, Write as _};

use signalbox_proto::embeddings::v1::{
    CreateEmbeddingsRequest, Embedding, embeddings_service_client::EmbeddingsServiceClient,
};

use super::Args;
use crate::{Outcome, client::refusal};

/// How many texts are sent at once.
const BATCH: usize = 256;
/// How many numbers of a vector a person wants to see.
const SHOWN: usize = 6;

pub(super) async fn run(args: &Args) -> Outcome {
    let texts = match args.texts.as_slice() {
        [dash] if dash == "-" => std::io::stdin().lock().lines().collect::<Result<_, _>>()?,
        texts => texts.to_vec(),
    };
    let mut client = EmbeddingsServiceClient::new(args.server.connect().await?)
        .max_decoding_message_size(64 << 20);
    let mut out = std::io::stdout();
    let for_people = out.is_terminal();
    for batch in texts.chunks(BATCH) {
        let request = CreateEmbeddingsRequest {
            input: batch.to_vec(),
            model: args.model.clone(),
            dimensions: args.dimensions,
            input_type: args.input_type.clone(),
            ..CreateEmbeddingsRequest::default()
        };
        let response = client
            .create_embeddings(request)
            .await
            .map_err(|status| refusal(&status))?
            .into_inner();
        for (embedding, text) in response.data.iter().zip(batch) {
            let line = if for_people {
                short(embedding, text)
            } else {
                json(&embedding.embedding)
            };
            writeln!(out, "{line}")?;
        }
    }
    Ok(())
}

fn short(embedding: &Embedding, text: &str) -> String {
    let vector = &embedding.embedding;
    let first: Vec<String> = vector
        .iter()
        .take(SHOWN)
        .map(|value| format!("{value:+.4}"))
        .collect();
    format!(
        "[{}, ...] {} dimensions  {text}",
        first.join(", "),
        vector.len()
    )
}

fn json(vector: &[f32]) -> String {
    let values: Vec<String> = vector.iter().map(f32::to_string).collect();
    format!("[{}]", values.join(","))
}
