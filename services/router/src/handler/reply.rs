//! From an answer to the shapes that `OpenAI` clients expect.

use std::time::{SystemTime, UNIX_EPOCH};

use futures_util::{Stream, StreamExt as _};
use signalbox_chassis::{ApiError, RequestContext};
use signalbox_proto::router::v1::{
    ChatCompletion, ChatCompletionChunk, ChatMessage, Choice, ChunkChoice, CompletionUsage, Delta,
    PromptTokensDetails, RouteInfo,
};
use tonic::{Status, metadata::MetadataMap};

use crate::{
    chat::{Role, TokenUsage},
    money::UsdPicos,
    pipeline::{Answer, AnswerEvent, AnswerStream, Answering, Settlement},
};

const MODEL_HEADER: &str = "x-signalbox-model";
const COST_HEADER: &str = "x-signalbox-cost-usd-picos";

/// What all parts of one reply share.
#[derive(Clone, Debug)]
pub(super) struct Reply {
    id: String,
    created: u32,
    request_id: String,
}

impl Reply {
    pub(super) fn new(context: &RequestContext, now: SystemTime) -> Self {
        let since_epoch = now.duration_since(UNIX_EPOCH).unwrap_or_default();
        Self {
            id: format!("chatcmpl-{}", ulid::Ulid::new()),
            created: u32::try_from(since_epoch.as_secs()).unwrap_or(u32::MAX),
            request_id: context.request_id.to_string(),
        }
    }

    /// The whole answer.
    pub(super) fn completion(self, answer: Answer) -> Result<ChatCompletion, ApiError> {
        let message = ChatMessage {
            role: Role::Assistant.as_str().to_owned(),
            content: answer.text,
            ..ChatMessage::default()
        };
        Ok(ChatCompletion {
            object: "chat.completion".to_owned(),
            created: self.created,
            model: answer.answering.model.name.to_string(),
            choices: vec![Choice {
                index: 0,
                message: Some(message),
                finish_reason: answer.settlement.finish.as_str().to_owned(),
            }],
            usage: Some(usage(&answer.settlement.usage)),
            signalbox: Some(self.route_info(&answer.answering, &answer.settlement)?),
            id: self.id,
        })
    }

    /// The chunks: the role, the text, the finish reason with how it came to be, and
    /// the usage where it is asked for.
    pub(super) fn chunks(
        self,
        mut answer: AnswerStream,
        include_usage: bool,
    ) -> impl Stream<Item = Result<ChatCompletionChunk, Status>> + Send + 'static {
        async_stream::try_stream! {
            let mut answering = None;
            while let Some(event) = answer.next().await {
                let Some(model) = &answering else {
                    if let AnswerEvent::Begin(begin) = event.map_err(ApiError::from)? {
                        yield self.chunk(&begin, Some(choice(Some(Role::Assistant), Some(String::new()), None)));
                        answering = Some(begin);
                    }
                    continue;
                };
                match event.map_err(ApiError::from)? {
                    AnswerEvent::Begin(_) => {}
                    AnswerEvent::Text(text) => {
                        yield self.chunk(model, Some(choice(None, Some(text), None)));
                    }
                    AnswerEvent::End(settlement) => {
                        let mut last = self.chunk(model, Some(choice(None, None, Some(settlement.finish.as_str()))));
                        last.signalbox = Some(self.route_info(model, &settlement)?);
                        yield last;
                        if include_usage {
                            let mut chunk = self.chunk(model, None);
                            chunk.usage = Some(usage(&settlement.usage));
                            yield chunk;
                        }
                    }
                }
            }
        }
    }

    fn chunk(&self, answering: &Answering, choice: Option<ChunkChoice>) -> ChatCompletionChunk {
        ChatCompletionChunk {
            id: self.id.clone(),
            object: "chat.completion.chunk".to_owned(),
            created: self.created,
            model: answering.model.name.to_string(),
            choices: choice.into_iter().collect(),
            usage: None,
            signalbox: None,
        }
    }

    fn route_info(
        &self,
        answering: &Answering,
        settlement: &Settlement,
    ) -> Result<RouteInfo, ApiError> {
        // Prices are bounded so that the cost of any one request fits.
        let cost = settlement.cost.to_wire();
        let cost =
            cost.ok_or_else(|| ApiError::internal("the cost of a request is out of range"))?;
        Ok(RouteInfo {
            request_id: self.request_id.clone(),
            route: answering.route.as_deref().unwrap_or_default().to_owned(),
            strategy: answering.strategy.to_owned(),
            provider: answering.model.provider.to_string(),
            cost_usd_picos: cost,
            prompt_redactions: answering.prompt_redactions.clone(),
            completion_redactions: settlement.completion_redactions.clone(),
            usage_estimated: settlement.estimated,
        })
    }
}

/// The response headers: who answered, and what it cost where that is known already.
pub(super) fn headers(answering: &Answering, cost: Option<UsdPicos>) -> MetadataMap {
    let mut headers = MetadataMap::new();
    // A name that no header can carry is in the body.
    if let Ok(model) = answering.model.name.parse() {
        headers.insert(MODEL_HEADER, model);
    }
    if let Some(cost) = cost.and_then(UsdPicos::to_wire) {
        headers.insert(COST_HEADER, cost.into());
    }
    headers
}

fn choice(role: Option<Role>, content: Option<String>, finish: Option<&str>) -> ChunkChoice {
    ChunkChoice {
        index: 0,
        delta: Some(Delta {
            role: role.map(|role| role.as_str().to_owned()),
            content,
        }),
        finish_reason: finish.map(str::to_owned),
    }
}

fn usage(usage: &TokenUsage) -> CompletionUsage {
    CompletionUsage {
        prompt_tokens: usage.prompt,
        completion_tokens: usage.completion,
        total_tokens: usage.prompt.saturating_add(usage.completion),
        prompt_tokens_details: Some(PromptTokensDetails {
            cached_tokens: usage.cached_prompt,
        }),
    }
}
