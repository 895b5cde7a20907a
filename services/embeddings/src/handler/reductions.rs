//! CreateEmbeddingReduction, ListEmbeddingReductions and DeleteEmbeddingReduction.

use std::sync::Arc;

use signalbox_proto::embeddings::v1::{
    CreateEmbeddingReductionRequest, EmbeddingReduction, ListEmbeddingReductionsResponse,
};

use crate::{
    engine::Engine,
    reduce::{self, Corpus, NewReduction, Reduction},
    request::{EmbedError, Terms, parse_input_type},
};

pub(super) async fn create(
    engine: &Engine,
    request: CreateEmbeddingReductionRequest,
    owner: Arc<str>,
    terms: Terms,
) -> Result<EmbeddingReduction, EmbedError> {
    let corpus = match (request.input, request.vectors) {
        (texts, vectors) if !texts.is_empty() && !vectors.is_empty() => {
            return Err(EmbedError::invalid(
                "vectors",
                "cannot be sent together with `input`; send one of them",
            ));
        }
        (texts, vectors) if vectors.is_empty() => Corpus::Texts(texts),
        (_, vectors) => Corpus::Vectors(vectors.into_iter().map(|one| one.values).collect()),
    };
    let new = NewReduction {
        owner,
        name: request.name,
        model: request.model,
        dimensions: request.dimensions,
        input_type: parse_input_type(&request.input_type)?,
        corpus,
        terms,
    };
    reduce::fit(engine, engine.reductions(), new)
        .await
        .map(to_proto)
}

pub(super) fn list(engine: &Engine, owner: &str) -> ListEmbeddingReductionsResponse {
    let all = engine.reductions().list(owner).into_iter();
    ListEmbeddingReductionsResponse {
        object: "list".to_owned(),
        data: all.map(to_proto).collect(),
    }
}

fn to_proto(reduction: Reduction) -> EmbeddingReduction {
    EmbeddingReduction {
        id: reduction.id(),
        object: "embedding.reduction".to_owned(),
        name: reduction.name,
        version: reduction.version.unwrap_or(0),
        kind: reduction.kind.to_owned(),
        model: reduction.model,
        dimensions: reduction.dimensions,
        variance_explained: reduction.variance_explained,
        fitted_items: reduction.fitted_to,
        create_time: reduction.created.map(Into::into),
    }
}
