//! The routes, and what happens before a body begins: the record, the grammar, the
//! latency, and the faults that leave no answer at all.

use std::sync::Arc;

use axum::{
    Extension, Json, Router,
    body::{Body, Bytes},
    extract::{DefaultBodyLimit, State},
    http::{HeaderMap, Method, StatusCode, Uri, header},
    response::{IntoResponse, Response},
    routing::get,
};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep, sleep_until};

use crate::{
    GRAMMAR,
    answer::{self, Reply, error_object},
    behaviour::{Behaviour, Fault},
    body,
    connection::Resetter,
    record::{End, Log, Record, Ticket},
};

/// Longest request body, in bytes.
const MAX_BODY: usize = 64 << 20;
/// Names that `GET /v1/models` lists; any name of the grammar exists.
const EXAMPLES: [&str; 4] = [
    "ok",
    "echo",
    "fault/tokens=20,rate=50",
    "fault/fail-first=2,status=503",
];

pub(crate) fn router(log: Arc<Log>) -> Router {
    Router::new()
        .route("/", get(async || GRAMMAR))
        .route("/_record", get(records).delete(forget))
        .fallback(recorded)
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .with_state(log)
}

async fn records(State(log): State<Arc<Log>>) -> Json<Vec<Record>> {
    Json(log.records())
}

async fn forget(State(log): State<Arc<Log>>) -> StatusCode {
    log.clear();
    StatusCode::NO_CONTENT
}

/// Everything else is a request to the upstream, even one for a path that it lacks.
async fn recorded(
    State(log): State<Arc<Log>>,
    Extension(resetter): Extension<Resetter>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let ticket = log.open(method.as_str(), uri.path(), &headers, &body);
    match (method, uri.path()) {
        (Method::GET, "/v1/models") => {
            let models = EXAMPLES.map(
                |id| json!({ "id": id, "object": "model", "created": 0, "owned_by": "signalbox" }),
            );
            answer_json(
                ticket,
                StatusCode::OK,
                &json!({ "object": "list", "data": models }),
            )
        }
        (Method::POST, path @ ("/v1/chat/completions" | "/v1/embeddings" | "/v2/embed")) => {
            let Ok(json) = serde_json::from_slice::<Value>(&body) else {
                return reject(ticket, 400, "invalid_json", "the body is not JSON", None);
            };
            let Some(model) = json["model"].as_str() else {
                let message = "`model` must be a string";
                return reject(ticket, 400, "invalid_value", message, Some("model"));
            };
            let mut behaviour = match model.parse::<Behaviour>() {
                Ok(behaviour) => behaviour,
                Err(error) => {
                    let message = error.to_string();
                    return reject(ticket, 404, "model_not_found", &message, Some("model"));
                }
            };
            let count = log.count(model);
            if behaviour.fail_first.is_some_and(|first| count > first) {
                behaviour = behaviour.healthy();
            }
            match path {
                "/v1/embeddings" => {
                    embed(ticket, behaviour, answer::embeddings(&json), resetter).await
                }
                "/v2/embed" => embed(ticket, behaviour, answer::cohere(&json), resetter).await,
                _ => chat(ticket, behaviour, &json, resetter).await,
            }
        }
        (method, path) => {
            let message = format!("there is no {method} {path}; GET / lists the routes");
            reject(ticket, 404, "not_found", &message, None)
        }
    }
}

/// Waits out the latency, then the faults that leave no answer.
async fn before_headers(
    mut ticket: Ticket,
    behaviour: &Behaviour,
    resetter: &Resetter,
) -> Result<Ticket, Response> {
    if !behaviour.latency.is_zero() {
        sleep(behaviour.latency).await;
    }
    match behaviour.fault {
        Some(Fault::Reset) => {
            ticket.end(End::Reset);
            match resetter.reset().await {}
        }
        Some(Fault::Stall) => std::future::pending().await,
        Some(Fault::Status(status)) => {
            let message = format!("the upstream answers {status} as it was asked to");
            let code = match status.as_u16() {
                400 => "invalid_value",
                401 => "invalid_api_key",
                404 => "model_not_found",
                429 => "rate_limit_exceeded",
                _ => "fault",
            };
            let mut response = reject(ticket, status.as_u16(), code, &message, None);
            if let Some(seconds) = behaviour.retry_after {
                response
                    .headers_mut()
                    .insert(header::RETRY_AFTER, seconds.into());
            }
            Err(response)
        }
        _ => Ok(ticket),
    }
}

async fn chat(ticket: Ticket, behaviour: Behaviour, json: &Value, resetter: Resetter) -> Response {
    let reply = match Reply::new(ticket.id(), &behaviour, json) {
        Ok(reply) => reply,
        Err((field, fix)) => {
            let message = format!("`{field}` {fix}");
            return reject(ticket, 400, "invalid_value", &message, Some(field));
        }
    };
    ticket.prompt_tokens(reply.prompt_tokens);
    let ticket = match before_headers(ticket, &behaviour, &resetter).await {
        Ok(ticket) => ticket,
        Err(response) => return response,
    };
    let label = behaviour.wrong_content_type.then_some("text/html");
    if json["stream"] == true {
        let include_usage = json["stream_options"]["include_usage"] == true;
        ticket.status(200);
        let body = body::streamed(reply, behaviour, include_usage, ticket, resetter);
        return respond(label.unwrap_or("text/event-stream"), body);
    }
    // Generation takes its time, and nothing is sent before its end.
    if let Some(last) = reply.pieces.len().checked_sub(1) {
        sleep_until(body::due(Instant::now(), behaviour.rate, last)).await;
    }
    ticket.status(200);
    let tokens = reply.pieces.len() as u64;
    let body = body::whole(&reply.whole(), tokens, &behaviour, ticket, resetter);
    respond(label.unwrap_or("application/json"), body)
}

/// Sends vectors, which were computed with their tokens, or says which field is wrong.
async fn embed(
    ticket: Ticket,
    behaviour: Behaviour,
    computed: Result<(Value, u64), (&'static str, &'static str)>,
    resetter: Resetter,
) -> Response {
    let (mut vectors, tokens) = match computed {
        Ok(answer) => answer,
        Err((field, fix)) => {
            let message = format!("`{field}` {fix}");
            return reject(ticket, 400, "invalid_value", &message, Some(field));
        }
    };
    ticket.prompt_tokens(tokens);
    let ticket = match before_headers(ticket, &behaviour, &resetter).await {
        Ok(ticket) => ticket,
        Err(response) => return response,
    };
    if !behaviour.usage {
        for field in ["usage", "meta"] {
            vectors.as_object_mut().map(|object| object.remove(field));
        }
    }
    let label = behaviour.wrong_content_type.then_some("text/html");
    ticket.status(200);
    let body = body::whole(&vectors, 0, &behaviour, ticket, resetter);
    respond(label.unwrap_or("application/json"), body)
}

fn respond(content_type: &'static str, body: Body) -> Response {
    ([(header::CONTENT_TYPE, content_type)], body).into_response()
}

fn reject(ticket: Ticket, status: u16, code: &str, message: &str, param: Option<&str>) -> Response {
    // Every caller passes a status that the grammar or a literal has checked.
    let known = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    answer_json(ticket, known, &error_object(status, code, message, param))
}

fn answer_json(mut ticket: Ticket, status: StatusCode, body: &Value) -> Response {
    ticket.status(status.as_u16());
    ticket.sent(0);
    ticket.end(End::Completed);
    (status, Json(body)).into_response()
}
