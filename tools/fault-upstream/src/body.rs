//! Response bodies: a JSON document or an SSE stream, and the places where a
//! behaviour breaks them. The ticket lives in the body, so that a client that goes
//! away is noticed when hyper drops it.

use std::{convert::Infallible, time::Duration};

use axum::body::Body;
use bytes::Bytes;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::{
    answer::{Reply, error_object},
    behaviour::{Behaviour, Break, Fault},
    connection::Resetter,
    record::{End, Ticket},
};

const BROKEN_EVENT: &str = "data: {\"choices\": [{\"delta\"\n\n";
const BROKEN_JSON: &str = "{\"choices\": [{\"message\"";

/// When token `index` (from 0) is due: the first at once.
pub(crate) fn due(start: Instant, rate: Option<f64>, index: usize) -> Instant {
    let wait = rate.map_or(0.0, |rate| index as f64 / rate);
    // Within the grammar's limits: at most a million tokens, one in 1,000 seconds.
    start + Duration::try_from_secs_f64(wait).unwrap_or(Duration::MAX / 4)
}

fn error_event() -> Value {
    error_object(500, "fault", "the upstream broke as it was asked to", None)
}

fn event(json: &Value) -> Bytes {
    Bytes::from(format!("data: {json}\n\n"))
}

/// Ends an answer in the way asked for, and returns what to record. Does not return
/// from a reset or a stall.
async fn strike(how: Break, ticket: &mut Ticket, resetter: &Resetter) -> End {
    match how {
        Break::Reset => {
            ticket.end(End::Reset);
            match resetter.reset().await {}
        }
        Break::Stall => std::future::pending().await,
        Break::Cut => End::Cut,
        Break::Error => End::Completed,
    }
}

/// The answer as one JSON document, of so many tokens.
pub(crate) fn whole(
    answer: &Value,
    tokens: u64,
    behaviour: &Behaviour,
    mut ticket: Ticket,
    resetter: Resetter,
) -> Body {
    if behaviour.malformed_after.is_some() {
        ticket.sent(0);
        ticket.end(End::Completed);
        return Body::from(BROKEN_JSON);
    }
    let how = match behaviour.fault {
        Some(Fault::After(_, how)) => how,
        _ => {
            ticket.sent(tokens);
            ticket.end(End::Completed);
            return Body::from(answer.to_string());
        }
    };
    if how == Break::Error {
        ticket.sent(0);
        ticket.end(End::Completed);
        return Body::from(error_event().to_string());
    }
    let text = Bytes::from(answer.to_string());
    let half = text.slice(..text.len() / 2);
    Body::from_stream(async_stream::stream! {
        ticket.sent(0);
        yield Ok::<_, Infallible>(half);
        let end = strike(how, &mut ticket, &resetter).await;
        ticket.end(end);
    })
}

/// The answer as Server-Sent Events.
pub(crate) fn streamed(
    reply: Reply,
    behaviour: Behaviour,
    include_usage: bool,
    mut ticket: Ticket,
    resetter: Resetter,
) -> Body {
    let break_at = match behaviour.fault {
        Some(Fault::After(tokens, how)) => Some((tokens.min(reply.pieces.len()), how)),
        _ => None,
    };
    let malformed_at = behaviour
        .malformed_after
        .map(|tokens| tokens.min(reply.pieces.len()));
    let ends = match behaviour.fault {
        Some(Fault::NoDone) => (true, false),
        Some(Fault::NoFinish) => (false, true),
        _ => (true, true),
    };
    Body::from_stream(async_stream::stream! {
        let start = Instant::now();
        if behaviour.preamble {
            ticket.sent(0);
            let first = event(&reply.empty_chunk());
            yield Ok::<_, Infallible>([b": ping\n\n", first.as_ref()].concat().into());
        }
        ticket.sent(0);
        yield Ok(event(&reply.chunk(json!({ "role": "assistant", "content": "" }), None)));

        for index in 0..=reply.pieces.len() {
            if malformed_at == Some(index) {
                ticket.sent(0);
                yield Ok(Bytes::from_static(BROKEN_EVENT.as_bytes()));
            }
            if let Some((_, how)) = break_at.filter(|(at, _)| *at == index) {
                if how == Break::Error {
                    ticket.sent(0);
                    yield Ok(event(&error_event()));
                }
                let end = strike(how, &mut ticket, &resetter).await;
                ticket.end(end);
                return;
            }
            if let Some(piece) = reply.pieces.get(index) {
                if behaviour.rate.is_some() {
                    tokio::time::sleep_until(due(start, behaviour.rate, index)).await;
                }
                ticket.sent(1);
                yield Ok(event(&reply.chunk(json!({ "content": piece }), None)));
            }
        }

        // The end is noted before the last piece goes out, so that a client that has
        // read it finds a finished record.
        let mut tail = Vec::new();
        if ends.0 {
            tail.push(event(&reply.chunk(json!({}), Some(reply.finish_reason))));
        }
        tail.extend(reply.usage_chunk().filter(|_| include_usage).as_ref().map(event));
        if ends.1 {
            tail.push(Bytes::from_static(b"data: [DONE]\n\n"));
        }
        let last = tail.len().saturating_sub(1);
        for (index, event) in tail.into_iter().enumerate() {
            ticket.sent(0);
            if index == last {
                ticket.end(End::Completed);
            }
            yield Ok(event);
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_token_is_due_at_once_and_the_rest_at_the_rate() {
        let start = Instant::now();
        assert_eq!(due(start, Some(50.0), 0), start);
        assert_eq!(
            due(start, Some(50.0), 5) - start,
            Duration::from_millis(100)
        );
        assert_eq!(due(start, None, 5), start);
    }
}
