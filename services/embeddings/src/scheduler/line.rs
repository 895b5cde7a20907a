//! One class's line: sequences by model, then caller, then request.
//!
//! Models share by tokens, callers of a model share by tokens, and within a caller the
//! oldest request goes first. A batch is of one model and as many callers as come by.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use super::fair::Fair;

/// A model, by its position in the engine.
pub(crate) type ModelId = usize;

/// A request's number; a later request has a larger one.
pub(super) type RequestId = u64;

/// Where a request's sequences stand in line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Flow {
    pub(super) model: ModelId,
    pub(super) caller: Arc<str>,
    pub(super) request: RequestId,
}

/// A sequence in line.
#[derive(Debug)]
pub(super) struct Entry<T> {
    /// Its tokens, at least 1.
    pub(super) tokens: u64,
    pub(super) item: T,
}

/// Sequences of one model that are computed together.
#[derive(Debug)]
pub(super) struct Cut<T> {
    pub(super) model: ModelId,
    pub(super) tokens: u64,
    pub(super) entries: Vec<(RequestId, Entry<T>)>,
}

/// A request's sequences, in order.
type Waiting<T> = BTreeMap<RequestId, VecDeque<Entry<T>>>;

#[derive(Debug)]
pub(super) struct Line<T> {
    models: BTreeMap<ModelId, ModelLine<T>>,
    turns: Fair<ModelId>,
    tokens: u64,
}

#[derive(Debug)]
struct ModelLine<T> {
    callers: BTreeMap<Arc<str>, Waiting<T>>,
    turns: Fair<Arc<str>>,
}

impl<T> Default for Line<T> {
    fn default() -> Self {
        Self {
            models: BTreeMap::new(),
            turns: Fair::default(),
            tokens: 0,
        }
    }
}

impl<T> Default for ModelLine<T> {
    fn default() -> Self {
        Self {
            callers: BTreeMap::new(),
            turns: Fair::default(),
        }
    }
}

impl<T> Line<T> {
    /// Tokens in line.
    pub(super) fn tokens(&self) -> u64 {
        self.tokens
    }

    /// Puts a sequence behind its request's others.
    pub(super) fn push(&mut self, flow: &Flow, entry: Entry<T>) {
        self.tokens += entry.tokens;
        self.turns.enter(&flow.model);
        let line = self.models.entry(flow.model).or_default();
        line.turns.enter(&flow.caller);
        let caller = line.callers.entry(Arc::clone(&flow.caller)).or_default();
        caller.entry(flow.request).or_default().push_back(entry);
    }

    /// Takes the next sequences of one model, at most `budget` tokens of them; a single
    /// longer sequence comes alone.
    pub(super) fn cut(&mut self, budget: u64) -> Option<Cut<T>> {
        let model = *self.turns.next()?;
        let line = self.models.get_mut(&model)?;
        let mut cut = Cut {
            model,
            tokens: 0,
            entries: Vec::new(),
        };
        while let Some((request, entry)) = line.take(budget.saturating_sub(cut.tokens), &cut) {
            cut.tokens += entry.tokens;
            cut.entries.push((request, entry));
        }
        self.tokens -= cut.tokens;
        self.turns.serve(&model, cut.tokens);
        if line.callers.is_empty() {
            // The turns go on: a caller that returns must not be ahead of who stayed,
            // but with nobody in line there is nobody to be unfair to.
            self.models.remove(&model);
            self.turns.leave(&model);
        }
        Some(cut)
    }

    /// Takes a request's sequences out of the line.
    pub(super) fn cancel(&mut self, flow: &Flow) -> Vec<Entry<T>> {
        let Some(line) = self.models.get_mut(&flow.model) else {
            return Vec::new();
        };
        let Some(waiting) = line.callers.get_mut(&flow.caller) else {
            return Vec::new();
        };
        let gone: Vec<_> = waiting.remove(&flow.request).unwrap_or_default().into();
        if waiting.is_empty() {
            line.callers.remove(&flow.caller);
            line.turns.leave(&flow.caller);
        }
        if line.callers.is_empty() {
            self.models.remove(&flow.model);
            self.turns.leave(&flow.model);
        }
        self.tokens -= gone.iter().map(|entry| entry.tokens).sum::<u64>();
        gone
    }
}

impl<T> ModelLine<T> {
    /// The next sequence, if it fits or is the batch's first.
    fn take(&mut self, room: u64, cut: &Cut<T>) -> Option<(RequestId, Entry<T>)> {
        let caller = Arc::clone(self.turns.next()?);
        let waiting = self.callers.get_mut(&caller)?;
        let mut oldest = waiting.first_entry()?;
        let request = *oldest.key();
        if oldest.get().front()?.tokens > room && !cut.entries.is_empty() {
            return None;
        }
        let entry = oldest.get_mut().pop_front()?;
        if oldest.get().is_empty() {
            oldest.remove();
        }
        self.turns.serve(&caller, entry.tokens);
        if waiting.is_empty() {
            self.callers.remove(&caller);
            self.turns.leave(&caller);
        }
        Some((request, entry))
    }
}
