//! A request's way through the scheduler, from texts to vectors.
//!
//! Only a window of it is ever tokenised and in line, as much as keeps all threads busy
//! while the next chunk is tokenised: the memory of a request of 10,000 texts is its
//! texts and its vectors.

use std::{mem, ops::Range, sync::Arc, time::Duration};

use signalbox_encoder::{InputType, Tokenized};
use tokio::{
    sync::{AcquireError, mpsc},
    task::{self, JoinError},
    time::{self, Instant},
};

use super::{
    Scheduler,
    admission::Permit,
    line::{Flow, ModelId},
    phases::Phases,
    rule::Class,
    shared::{Part, Sequence, Shared},
};
use crate::{
    model::Model,
    request::{EmbedError, Embedded, Inputs, Priority, Terms},
};

/// Batches of one request that are in line or at work for each thread. One is at work,
/// one waits, and while a chunk is tokenised neither runs out.
const WINDOW_BATCHES: usize = 4;

/// Bytes of text that make a token, in English about; only for estimates.
const BYTES_PER_TOKEN: usize = 4;

/// Tokens that most models put around a text.
const SPECIAL_TOKENS: usize = 2;

/// About how many tokens a text has.
pub(crate) fn estimate(text: &str) -> usize {
    text.len() / BYTES_PER_TOKEN + 1 + SPECIAL_TOKENS
}

/// Tokens to compute.
#[derive(Clone, Debug)]
pub(crate) struct Submission {
    /// The model.
    pub(crate) model: ModelId,
    /// Its longest sequence, in tokens.
    pub(crate) max_tokens: usize,
    /// The request's inputs.
    pub(crate) inputs: Arc<Inputs>,
    /// What they are for.
    pub(crate) input_type: InputType,
    /// Positions of the inputs to compute; all when absent. An answer found elsewhere
    /// needs no second one.
    pub(crate) select: Option<Vec<usize>>,
    /// On whose behalf and how urgently.
    pub(crate) terms: Terms,
}

impl Submission {
    fn len(&self) -> usize {
        self.select.as_ref().map_or(self.inputs.len(), Vec::len)
    }

    /// The position in the request of the submission's input `at`.
    fn position(&self, at: usize) -> usize {
        match &self.select {
            Some(select) => select.get(at).copied().unwrap_or(usize::MAX),
            None => at,
        }
    }

    /// About how many tokens an input has, cut at the model's limit.
    fn estimate(&self, at: usize) -> usize {
        let position = self.position(at);
        let tokens = match &*self.inputs {
            Inputs::Texts(texts) => texts.get(position).map_or(0, |text| estimate(text)),
            Inputs::TokenIds(ids) => ids.get(position).map_or(0, Vec::len) + SPECIAL_TOKENS,
        };
        tokens.min(self.max_tokens.max(1))
    }

    /// Inputs from `start` on with about `tokens` tokens, at least one.
    fn chunk(&self, start: usize, tokens: usize) -> Range<usize> {
        let mut end = start;
        let mut sum = 0;
        while end < self.len() && (end == start || sum + self.estimate(end) <= tokens) {
            sum += self.estimate(end);
            end += 1;
        }
        start..end
    }

    fn tokenize(&self, model: &dyn Model, at: usize) -> Result<Tokenized, EmbedError> {
        let position = self.position(at);
        let missing = || EmbedError::Failed(format!("there is no input {position}"));
        match &*self.inputs {
            Inputs::Texts(texts) => {
                let text = texts.get(position).ok_or_else(missing)?;
                model.tokenize(text, self.input_type)
            }
            Inputs::TokenIds(ids) => {
                let ids = ids.get(position).ok_or_else(missing)?;
                let field = || format!("{}[{position}]", self.inputs.field());
                model
                    .accept_ids(ids)
                    .map_err(|error| EmbedError::invalid(field(), error.to_string()))
            }
        }
    }
}

/// What came of a [`Submission`].
#[derive(Clone, Debug)]
pub(crate) struct Computed {
    /// One entry for each selected input, in order.
    pub(crate) data: Vec<Embedded>,
    /// Where the time went.
    pub(crate) phases: Phases,
}

impl Scheduler {
    /// Computes the selected inputs. Dropping the future takes them out of the line.
    ///
    /// # Errors
    ///
    /// [`EmbedError::Overloaded`] at once where there is no room,
    /// [`EmbedError::DeadlineExceeded`] once the deadline passed, and whatever is wrong
    /// with an input, named by its position in the request.
    pub(crate) async fn submit(&self, submission: Submission) -> Result<Computed, EmbedError> {
        let deadline = submission.terms.deadline;
        let work = self.run(Arc::new(submission));
        match deadline {
            Some(deadline) => time::timeout_at(deadline, work)
                .await
                .unwrap_or(Err(EmbedError::DeadlineExceeded)),
            None => work.await,
        }
    }

    async fn run(&self, submission: Arc<Submission>) -> Result<Computed, EmbedError> {
        let arrived = Instant::now();
        let estimate = (0..submission.len())
            .map(|at| submission.estimate(at))
            .sum();
        let (class, permit) = self.enter(&submission.terms, estimate).await?;
        let model = self.models.get(submission.model).map(Arc::clone);
        let model = model.ok_or_else(|| EmbedError::Failed("there is no such model".to_owned()))?;
        let (answer, parts) = mpsc::unbounded_channel();
        let flow = Flow {
            model: submission.model,
            caller: Arc::clone(&submission.terms.caller),
            request: self.shared.number(),
        };
        let request = Request {
            data: Vec::with_capacity(submission.len()),
            missing: submission.len(),
            window: 0,
            tokenized: 0,
            clock: Clock::new(arrived),
            place: Place {
                shared: Arc::clone(&self.shared),
                class,
                flow,
            },
            submission,
            model,
            permit,
            answer,
        };
        request.run(self, parts).await
    }

    async fn enter(&self, terms: &Terms, tokens: usize) -> Result<(Class, Permit), EmbedError> {
        let estimate = tokens as u64;
        if let Some(place) = &terms.place {
            let permit = self.admission.enter_with(place.clone(), estimate);
            return Ok((Class::Bulk, permit));
        }
        let class = match terms.priority {
            Priority::Interactive if !self.is_bulk(tokens) => Class::Interactive,
            Priority::Interactive | Priority::Bulk => Class::Bulk,
        };
        let permit = self
            .admission
            .enter(class, estimate, terms.when_full)
            .await?;
        Ok((class, permit))
    }
}

/// A request that was let in.
struct Request {
    submission: Arc<Submission>,
    model: Arc<dyn Model>,
    permit: Permit,
    answer: mpsc::UnboundedSender<Part>,
    place: Place,
    /// Of all inputs that were tokenised; vectors follow.
    data: Vec<Embedded>,
    /// Inputs without a vector.
    missing: usize,
    /// Tokens in line or at work.
    window: usize,
    /// Inputs that were tokenised.
    tokenized: usize,
    clock: Clock,
}

impl Request {
    async fn run(
        mut self,
        scheduler: &Scheduler,
        mut parts: mpsc::UnboundedReceiver<Part>,
    ) -> Result<Computed, EmbedError> {
        let options = &scheduler.options;
        let chunk = options.batch_tokens.get() * options.threads.get();
        while self.missing > 0 {
            while self.tokenized < self.submission.len() && self.window < chunk * WINDOW_BATCHES {
                self.feed(scheduler, chunk).await?;
            }
            // It cannot end while `answer` is ours.
            let part = parts.recv().await.ok_or(EmbedError::Cancelled)?;
            self.receive(part)?;
        }
        Ok(Computed {
            phases: self.clock.phases(),
            data: mem::take(&mut self.data),
        })
    }

    /// Tokenises a chunk and puts it in line.
    async fn feed(&mut self, scheduler: &Scheduler, tokens: usize) -> Result<(), EmbedError> {
        let range = self.submission.chunk(self.tokenized, tokens);
        let [interactive, bulk] = &scheduler.tokenizers;
        let turns = match self.place.class {
            Class::Interactive => interactive,
            Class::Bulk => bulk,
        };
        let turn = Arc::clone(turns).acquire_owned().await.map_err(closed)?;
        let (submission, model) = (Arc::clone(&self.submission), Arc::clone(&self.model));
        let inputs = range.clone();
        let work = task::spawn_blocking(move || {
            let _turn = turn;
            let begun = Instant::now();
            let all: Result<Vec<_>, _> =
                inputs.map(|at| submission.tokenize(&*model, at)).collect();
            all.map(|all| (all, begun.elapsed()))
        });
        let (all, elapsed) = work.await.map_err(stopped)??;
        self.clock.tokenized(elapsed);
        self.tokenized = range.end;
        let mut sequences = Vec::with_capacity(all.len());
        for (index, tokens) in range.zip(all) {
            let count = tokens.ids().len();
            let estimate = self.submission.estimate(index);
            self.permit.less(estimate.saturating_sub(count) as u64);
            self.window += count;
            self.data.push(Embedded {
                vector: Vec::new(),
                tokens: u32::try_from(count).unwrap_or(u32::MAX),
                truncated: tokens.truncated(),
            });
            sequences.push(Sequence {
                tokens,
                index,
                answer: self.answer.clone(),
            });
        }
        self.place
            .shared
            .push(self.place.class, &self.place.flow, sequences);
        Ok(())
    }

    /// Takes vectors in.
    fn receive(&mut self, part: Part) -> Result<(), EmbedError> {
        self.clock.computed(&part);
        let mut done = 0;
        for (index, vector) in part.vectors? {
            if let Some(embedded) = self.data.get_mut(index) {
                embedded.vector = vector;
                done += embedded.tokens as usize;
                self.missing -= 1;
            }
        }
        self.window = self.window.saturating_sub(done);
        self.permit.less(done as u64);
        Ok(())
    }
}

fn closed(_: AcquireError) -> EmbedError {
    EmbedError::Cancelled
}

fn stopped(error: JoinError) -> EmbedError {
    match error.is_cancelled() {
        true => EmbedError::Cancelled,
        false => EmbedError::Failed("the tokenizer panicked".to_owned()),
    }
}

/// A request's place in line; left when dropped.
struct Place {
    shared: Arc<Shared>,
    class: Class,
    flow: Flow,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.shared.cancel(self.class, &self.flow);
    }
}

/// Measures a request's phases.
struct Clock {
    arrived: Instant,
    first_tokenize: Option<Duration>,
    phases: Phases,
    /// From the first batch's beginning to the latest end.
    at_work: Option<(Instant, Instant)>,
}

impl Clock {
    fn new(arrived: Instant) -> Self {
        Self {
            arrived,
            first_tokenize: None,
            phases: Phases::default(),
            at_work: None,
        }
    }

    fn tokenized(&mut self, elapsed: Duration) {
        self.first_tokenize.get_or_insert(elapsed);
        self.phases.tokenize += elapsed;
    }

    fn computed(&mut self, part: &Part) {
        let (begun, ended) = self.at_work.unwrap_or((part.begun, part.ended));
        self.at_work = Some((begun.min(part.begun), ended.max(part.ended)));
        self.phases.pool += part.pooling;
    }

    fn phases(&self) -> Phases {
        let (begun, ended) = self.at_work.unwrap_or((self.arrived, self.arrived));
        let first = self.first_tokenize.unwrap_or_default();
        Phases {
            queue: begun
                .saturating_duration_since(self.arrived)
                .saturating_sub(first),
            infer: ended.saturating_duration_since(begun),
            total: self.arrived.elapsed(),
            ..self.phases
        }
    }
}
