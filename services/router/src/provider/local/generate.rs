//! One answer: read the prompt, then token after token until something ends it.

use tokio::sync::mpsc::UnboundedSender;

use super::{
    model::{LanguageModel, Run},
    sampler::Sampler,
    stats::Counters,
    stop::StopMatcher,
    utf8::Utf8Assembler,
};
use crate::{
    chat::{ChatEvent, FinishReason, TokenUsage},
    provider::ProviderError,
};

/// Tokens of the prompt that are read at a time; between two such chunks a caller that
/// left is noticed. Large enough that a chunk is still one efficient matrix product.
const PREFILL_CHUNK: usize = 64;

/// Where the answer's events go. Closed once the caller has left.
pub(super) type Events = UnboundedSender<Result<ChatEvent, ProviderError>>;

/// What ends an answer besides the model itself.
pub(super) struct Limits {
    pub(super) max_tokens: usize,
    pub(super) stop: Vec<String>,
}

/// Why an answer has no end.
#[derive(Debug)]
pub(super) enum Interrupted {
    /// The caller left.
    Cancelled,
    /// The arithmetic failed.
    Failed(String),
}

impl From<candle_core::Error> for Interrupted {
    fn from(error: candle_core::Error) -> Self {
        Self::Failed(error.to_string())
    }
}

/// Generates an answer and sends its events, up to and with `Finish` and `Usage`.
/// The token that ends a turn is no part of `Usage`; tokens of a stop string are,
/// since they were generated.
pub(super) fn generate(
    model: &LanguageModel,
    prompt: &[u32],
    limits: Limits,
    sampler: &mut Sampler,
    events: &Events,
    counters: &Counters,
) -> Result<TokenUsage, Interrupted> {
    let mut run = model.run();
    let mut answer = Answer {
        events,
        bytes: Utf8Assembler::default(),
        stop: StopMatcher::new(limits.stop),
        tokens: 0,
    };
    let mut scores = read_prompt(&mut run, prompt, events, counters)?;
    let reason = loop {
        if answer.tokens >= limits.max_tokens {
            break FinishReason::Length;
        }
        let token = sampler
            .next(&mut scores)
            .ok_or_else(|| Interrupted::Failed("the model's scores are not numbers".to_owned()))?;
        let Some(bytes) = model.text_of(token) else {
            break FinishReason::Stop;
        };
        counters.generated();
        if answer.add(bytes)? {
            break FinishReason::Stop;
        }
        // The last token's successor is never asked for.
        if answer.tokens < limits.max_tokens {
            check_caller(events)?;
            scores = run.read(&[token])?;
        }
    };
    let usage = TokenUsage {
        prompt: saturating_u32(prompt.len()),
        cached_prompt: 0,
        completion: saturating_u32(answer.tokens),
    };
    answer.finish(reason, usage)?;
    Ok(usage)
}

fn read_prompt(
    run: &mut Run,
    prompt: &[u32],
    events: &Events,
    counters: &Counters,
) -> Result<Vec<f32>, Interrupted> {
    let mut scores = Vec::new();
    for chunk in prompt.chunks(PREFILL_CHUNK) {
        check_caller(events)?;
        scores = run.read(chunk)?;
        counters.read(chunk.len() as u64);
    }
    check_caller(events)?;
    Ok(scores)
}

fn check_caller(events: &Events) -> Result<(), Interrupted> {
    if events.is_closed() {
        return Err(Interrupted::Cancelled);
    }
    Ok(())
}

fn saturating_u32(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

struct Answer<'a> {
    events: &'a Events,
    bytes: Utf8Assembler,
    stop: StopMatcher,
    tokens: usize,
}

impl Answer<'_> {
    /// Adds a token; whether a stop string was met.
    fn add(&mut self, bytes: &[u8]) -> Result<bool, Interrupted> {
        self.tokens += 1;
        let shown = self.stop.push(&self.bytes.push(bytes));
        self.send_text(shown.text)?;
        Ok(shown.stopped)
    }

    /// Half a character that the token limit cut off is left out.
    fn finish(mut self, reason: FinishReason, usage: TokenUsage) -> Result<(), Interrupted> {
        let held = std::mem::replace(&mut self.stop, StopMatcher::new(Vec::new()));
        self.send_text(held.finish())?;
        self.send(ChatEvent::Finish(reason))?;
        self.send(ChatEvent::Usage(usage))
    }

    fn send_text(&self, text: String) -> Result<(), Interrupted> {
        if text.is_empty() {
            return Ok(());
        }
        self.send(ChatEvent::Text(text))
    }

    fn send(&self, event: ChatEvent) -> Result<(), Interrupted> {
        self.events
            .send(Ok(event))
            .map_err(|_| Interrupted::Cancelled)
    }
}
