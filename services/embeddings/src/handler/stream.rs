//! StreamEmbeddings: texts in, vectors out, in whatever order they are ready.
//!
//! A window of texts is at work at a time. While it is full nothing is read, so HTTP/2's
//! flow control holds the client back; while the client reads no answers, nothing new is
//! begun. Texts wait for room where a unary call would be refused. The first texts of a
//! stream are interactive; one that goes on becomes bulk work, as a large request is.

use std::sync::Arc;

use futures_util::{Stream, StreamExt as _, future};
use prost::Message as _;
use signalbox_proto::embeddings::v1::{
    ItemError, StreamEmbeddingsRequest, StreamEmbeddingsResponse,
};
use tokio::sync::OnceCell;
use tonic::Status;

use super::error::api_error;
use crate::{
    engine::Engine,
    request::{EmbedError, EmbedRequest, Embedded, Inputs, Priority, Terms, WhenFull},
    scheduler::{BulkPlace, estimate},
};

/// Longest `id`, in bytes.
const MAX_ID_BYTES: usize = 128;

/// Answers each text of `texts`. A broken stream of texts ends the answers.
pub(super) fn answer(
    engine: Engine,
    texts: impl Stream<Item = Result<StreamEmbeddingsRequest, Status>> + Send + 'static,
    terms: Terms,
) -> impl Stream<Item = Result<StreamEmbeddingsResponse, Status>> + Send + 'static {
    let window = engine.stream_window();
    let call = Arc::new(Call {
        engine,
        terms: Terms {
            when_full: WhenFull::Wait,
            ..terms
        },
        place: OnceCell::new(),
    });
    texts
        .scan(Reading::default(), move |reading, text| {
            let item = text.map(|text| reading.next(text, &call.engine));
            let call = Arc::clone(&call);
            future::ready(Some(async move {
                match item {
                    Ok(item) => Ok(call.embed(item).await),
                    Err(broken) => Err(broken),
                }
            }))
        })
        .buffer_unordered(window)
}

/// What is known of a stream so far.
#[derive(Default)]
struct Reading {
    /// The model that the first message named.
    model: Option<String>,
    /// Messages read.
    count: u64,
    /// Tokens read, about.
    tokens: usize,
}

/// A text on its way.
struct Item {
    id: String,
    index: u64,
    model: String,
    text: String,
    is_bulk: bool,
}

impl Reading {
    fn next(&mut self, message: StreamEmbeddingsRequest, engine: &Engine) -> Item {
        let first = self.model.get_or_insert_with(|| message.model.clone());
        let model = match message.model.is_empty() {
            true => first.clone(),
            false => message.model,
        };
        let index = self.count;
        self.count += 1;
        self.tokens = self.tokens.saturating_add(estimate(&message.text));
        Item {
            id: message.id,
            index,
            model,
            text: message.text,
            is_bulk: engine.is_bulk(self.tokens),
        }
    }
}

/// What the texts of a stream share.
struct Call {
    engine: Engine,
    terms: Terms,
    /// The stream's place, once it is bulk work.
    place: OnceCell<BulkPlace>,
}

impl Call {
    async fn embed(&self, mut item: Item) -> StreamEmbeddingsResponse {
        let index = item.index;
        if item.id.len() > MAX_ID_BYTES {
            let fix = format!(
                "has {} bytes; at most {MAX_ID_BYTES} are accepted",
                item.id.len()
            );
            // It is not repeated: `index` tells which it is.
            return refusal(String::new(), index, EmbedError::invalid("id", fix));
        }
        let id = std::mem::take(&mut item.id);
        match self.compute(item).await {
            Ok(embedded) => StreamEmbeddingsResponse {
                id,
                index,
                embedding: embedded.vector,
                prompt_tokens: embedded.tokens,
                truncated: embedded.truncated,
                error: None,
            },
            Err(error) => refusal(id, index, error),
        }
    }

    async fn compute(&self, item: Item) -> Result<Embedded, EmbedError> {
        // A place is one among those who share the processor.
        let place = match item.is_bulk && !self.engine.is_remote(&item.model) {
            true => Some(
                self.place
                    .get_or_try_init(|| self.engine.bulk_place())
                    .await?,
            ),
            false => None,
        };
        let inputs = Inputs::Texts(vec![item.text]);
        let request = EmbedRequest {
            terms: Terms {
                place: place.cloned(),
                priority: match item.is_bulk {
                    true => Priority::Bulk,
                    false => self.terms.priority,
                },
                ..self.terms.clone()
            },
            ..EmbedRequest::new(item.model, inputs)
        };
        let response = self.engine.embed(request).await.map_err(of_the_stream)?;
        let missing = || EmbedError::Failed("the answer is empty".to_owned());
        response.data.into_iter().next().ok_or_else(missing)
    }
}

/// The one text of a stream's message is its field `text`.
fn of_the_stream(error: EmbedError) -> EmbedError {
    match error {
        EmbedError::Invalid { field, fix } if field == "input[0]" => {
            EmbedError::invalid("text", fix)
        }
        other => other,
    }
}

fn refusal(id: String, index: u64, error: EmbedError) -> StreamEmbeddingsResponse {
    let status = Status::from(api_error(error));
    // The details hold a whole `google.rpc.Status`, which is what an item's error is.
    let error = ItemError::decode(status.details()).unwrap_or_default();
    StreamEmbeddingsResponse {
        id,
        index,
        error: Some(ItemError {
            code: status.code().into(),
            message: status.message().to_owned(),
            ..error
        }),
        ..StreamEmbeddingsResponse::default()
    }
}
