//! From the wire to the Router's own terms, with every rule of the contract checked
//! and every error naming its field; and back for models and usage.

use signalbox_chassis::{ApiError, RequestContext};
use signalbox_proto::router::v1::{
    ChatMessage, ContentPart, CreateChatCompletionRequest, GetUsageRequest, GetUsageResponse,
    ListModelsResponse, Model as ModelEntry, ModelPrice, UsageRow as UsageEntry, UsageTotals,
};
use tonic::Code;

use crate::{
    catalog::{Catalog, Model},
    chat::{Message, Role, Sampling},
    config::Limits,
    ledger::{Totals, UsageFilter, UsageRow},
    money::TokenPrice,
    pipeline::Prompt,
};

/// A sum does not fit the contract's `int64`.
const SUM_OUT_OF_RANGE: &str = "SUM_OUT_OF_RANGE";

const MOST_STOP_STRINGS: usize = 4;
const MOST_USER_BYTES: usize = 256;
/// The `OpenAI` limit on a participant's name.
const MOST_NAME_BYTES: usize = 64;

/// A checked prompt.
pub(super) fn prompt(
    request: CreateChatCompletionRequest,
    context: &RequestContext,
    limits: &Limits,
) -> Result<Prompt, ApiError> {
    if request.model.is_empty() {
        let fix = "name a model, or a route such as `auto`; ListModels lists both";
        return Err(ApiError::invalid_field("model", fix));
    }
    if !matches!(request.n, None | Some(1)) {
        return Err(ApiError::invalid_field("n", "only 1 is supported"));
    }
    if request.user.len() > MOST_USER_BYTES {
        return Err(ApiError::invalid_field(
            "user",
            format!("at most {MOST_USER_BYTES} bytes"),
        ));
    }
    let sampling = sampling(&request)?;
    let user = if request.user.is_empty() {
        context.caller.clone()
    } else {
        request.user.into()
    };
    Ok(Prompt {
        target: request.model,
        messages: messages(request.messages, limits)?,
        sampling,
        user,
        deadline: context.deadline,
    })
}

fn sampling(request: &CreateChatCompletionRequest) -> Result<Sampling, ApiError> {
    let penalty = |field, value| {
        within(field, value, "-2 to 2", |value| {
            (-2.0..=2.0).contains(&value)
        })
    };
    let at_least_one = |field: &str, value: Option<u32>| match value {
        Some(0) => Err(ApiError::invalid_field(field, "must be at least 1")),
        value => Ok(value),
    };
    let older = at_least_one("max_tokens", request.max_tokens)?;
    let newer = at_least_one("max_completion_tokens", request.max_completion_tokens)?;
    if request.stop.len() > MOST_STOP_STRINGS {
        let fix = format!("at most {MOST_STOP_STRINGS} strings");
        return Err(ApiError::invalid_field("stop", fix));
    }
    if let Some(index) = request.stop.iter().position(String::is_empty) {
        return Err(ApiError::invalid_field(
            format!("stop[{index}]"),
            "must not be empty",
        ));
    }
    Ok(Sampling {
        temperature: within("temperature", request.temperature, "0 to 2", |value| {
            (0.0..=2.0).contains(&value)
        })?,
        top_p: within("top_p", request.top_p, "above 0 and at most 1", |value| {
            value > 0.0 && value <= 1.0
        })?,
        max_tokens: newer.or(older),
        stop: request.stop.clone(),
        seed: request.seed,
        presence_penalty: penalty("presence_penalty", request.presence_penalty)?,
        frequency_penalty: penalty("frequency_penalty", request.frequency_penalty)?,
    })
}

/// `NaN` is in no range.
fn within(
    field: &str,
    value: Option<f64>,
    range: &str,
    accepts: impl FnOnce(f64) -> bool,
) -> Result<Option<f64>, ApiError> {
    match value {
        Some(value) if !accepts(value) => {
            Err(ApiError::invalid_field(field, format!("must be {range}")))
        }
        value => Ok(value),
    }
}

fn messages(messages: Vec<ChatMessage>, limits: &Limits) -> Result<Vec<Message>, ApiError> {
    if messages.is_empty() || messages.len() > limits.messages {
        let fix = format!("1 to {} messages", limits.messages);
        return Err(ApiError::invalid_field("messages", fix));
    }
    let messages = messages.into_iter().enumerate();
    let messages: Vec<_> = messages
        .map(|(index, one)| message(&format!("messages[{index}]"), one))
        .collect::<Result<_, _>>()?;
    // One message may be empty, as an unused system prompt is; all of them may not.
    if messages.iter().all(|message| message.content.is_empty()) {
        let fix = "at least one message must hold text";
        return Err(ApiError::invalid_field("messages[0].content", fix));
    }
    let bytes: usize = messages.iter().map(|message| message.content.len()).sum();
    if bytes > limits.prompt_bytes {
        let fix = format!(
            "{bytes} bytes of text; at most {} are accepted",
            limits.prompt_bytes
        );
        return Err(ApiError::invalid_field("messages", fix));
    }
    Ok(messages)
}

fn message(path: &str, message: ChatMessage) -> Result<Message, ApiError> {
    let role = match message.role.as_str() {
        "system" | "developer" => Role::System,
        "user" => Role::User,
        "assistant" => Role::Assistant,
        "tool" => Role::Tool,
        other => {
            let shown: String = other.chars().take(32).collect();
            let fix = format!(
                "`{shown}` is no role; use `system`, `developer`, `user`, `assistant` or `tool`"
            );
            return Err(ApiError::invalid_field(format!("{path}.role"), fix));
        }
    };
    if message.name.len() > MOST_NAME_BYTES {
        let fix = format!("at most {MOST_NAME_BYTES} bytes");
        return Err(ApiError::invalid_field(format!("{path}.name"), fix));
    }
    let content = match (message.content.is_empty(), message.content_parts.is_empty()) {
        (_, true) => message.content,
        (true, false) => parts(path, message.content_parts)?,
        (false, false) => {
            let fix = "send either `content` or `content_parts`, not both";
            return Err(ApiError::invalid_field(
                format!("{path}.content_parts"),
                fix,
            ));
        }
    };
    Ok(Message {
        role,
        content,
        name: Some(message.name).filter(|name| !name.is_empty()),
    })
}

fn parts(path: &str, parts: Vec<ContentPart>) -> Result<String, ApiError> {
    let mut content = String::new();
    for (index, part) in parts.into_iter().enumerate() {
        if part.r#type != "text" {
            let field = format!("{path}.content_parts[{index}].type");
            return Err(ApiError::invalid_field(field, "only `text` is supported"));
        }
        content.push_str(&part.text);
    }
    Ok(content)
}

/// All models and routes, each sorted by name; routes first.
pub(super) fn models(catalog: &Catalog) -> ListModelsResponse {
    let routes = catalog.routes().map(|route| ModelEntry {
        id: route.name.to_string(),
        object: "model".to_owned(),
        owned_by: "signalbox".to_owned(),
        ..ModelEntry::default()
    });
    ListModelsResponse {
        object: "list".to_owned(),
        data: routes
            .chain(catalog.models().map(|model| entry(model)))
            .collect(),
    }
}

fn entry(model: &Model) -> ModelEntry {
    let picos = |price: TokenPrice| i64::from(price.picos());
    ModelEntry {
        id: model.name.to_string(),
        object: "model".to_owned(),
        created: 0,
        owned_by: model.provider.to_string(),
        context_window: model.context_window.unwrap_or(0),
        price: Some(ModelPrice {
            input_usd_picos_per_token: picos(model.price.input),
            cached_input_usd_picos_per_token: picos(model.price.cached_input),
            output_usd_picos_per_token: picos(model.price.output),
        }),
    }
}

/// Which usage to read.
pub(super) fn usage_filter(request: GetUsageRequest) -> UsageFilter {
    UsageFilter {
        user: Some(request.user).filter(|user| !user.is_empty()),
        model: Some(request.model).filter(|model| !model.is_empty()),
    }
}

/// The rows and their sum.
pub(super) fn usage(rows: Vec<UsageRow>) -> Result<GetUsageResponse, ApiError> {
    let total = rows
        .iter()
        .fold(Totals::default(), |sum, row| sum + row.totals);
    let rows = rows.into_iter().map(|row| {
        Ok(UsageEntry {
            totals: Some(totals(&row.totals)?),
            user: row.user,
            model: row.model,
            provider: row.provider,
        })
    });
    Ok(GetUsageResponse {
        rows: rows.collect::<Result<_, ApiError>>()?,
        total: Some(totals(&total)?),
    })
}

fn totals(totals: &Totals) -> Result<UsageTotals, ApiError> {
    let too_large = || {
        let message = "the sum is over 9.2 million dollars or 2^63 tokens; filter by user or model";
        ApiError::new(Code::OutOfRange, SUM_OUT_OF_RANGE, message)
    };
    let wire = |count: u64| i64::try_from(count).map_err(|_| too_large());
    Ok(UsageTotals {
        requests: wire(totals.requests)?,
        prompt_tokens: wire(totals.prompt_tokens)?,
        cached_prompt_tokens: wire(totals.cached_prompt_tokens)?,
        completion_tokens: wire(totals.completion_tokens)?,
        cost_usd_picos: totals.cost.to_wire().ok_or_else(too_large)?,
    })
}

#[cfg(test)]
mod tests;
