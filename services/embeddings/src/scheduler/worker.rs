//! A thread that computes batches.

use std::{
    collections::BTreeMap,
    io, mem,
    panic::{AssertUnwindSafe, catch_unwind},
    slice,
    sync::{Arc, atomic::AtomicBool},
    thread::{self, JoinHandle},
    time::Duration,
};

use signalbox_encoder::Tokenized;
use tokio::{runtime::Handle, sync::mpsc, time::Instant};

use super::{
    line::RequestId,
    rule::Class,
    shared::{Part, Running, Sequence, Shared},
};
use crate::{
    model::{Encoded, Model},
    request::EmbedError,
    telemetry,
};

/// Starts a thread for one class. It ends when `shared` is stopped.
pub(super) fn start(
    class: Class,
    models: Vec<Arc<dyn Model>>,
    shared: Arc<Shared>,
) -> io::Result<JoinHandle<()>> {
    let name = match class {
        Class::Interactive => "embed",
        Class::Bulk => "embed-bulk",
    };
    // The clock is the runtime's, so that a test can stop it.
    let runtime = Handle::try_current().ok();
    thread::Builder::new().name(name.to_owned()).spawn(move || {
        let _clock = runtime.as_ref().map(Handle::enter);
        if class == Class::Bulk {
            make_way();
        }
        while let Some(running) = shared.next(class) {
            compute(&models, &shared, running);
        }
    })
}

/// Lowers this thread's priority so far that it gets a tenth of a core that others want:
/// Linux gives niceness 10 the weight 110 where 0 has 1,024 (`sched_prio_to_weight`).
fn make_way() {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::nice(10) {
        tracing::warn!(%error, "bulk work runs at the priority of interactive work");
    }
}

fn compute(models: &[Arc<dyn Model>], shared: &Shared, mut running: Running) {
    let entries = mem::take(&mut running.cut.entries);
    let mut owners = Vec::with_capacity(entries.len());
    let mut sequences = Vec::with_capacity(entries.len());
    for (request, entry) in entries {
        let Sequence {
            tokens,
            index,
            answer,
        } = entry.item;
        owners.push(Owner {
            request,
            index,
            answer,
        });
        sequences.push(tokens);
    }
    telemetry::batch(running.class().name(), sequences.len(), running.cut.tokens);

    let begun = Instant::now();
    let model = models.get(running.cut.model);
    let encoded = guarded(model, &sequences, &running.cancel);
    let ended = Instant::now();
    let measured = encoded.is_ok().then(|| ended - begun);
    let (vectors, pooling) = match encoded {
        Ok(encoded) => {
            let vectors = encoded.vectors.into_iter().map(Ok).collect();
            (vectors, encoded.pooling)
        }
        Err(EmbedError::Failed(error)) if sequences.len() > 1 => {
            // One sequence must not take its neighbours' answers with it.
            tracing::warn!(
                error,
                "a batch failed; its sequences are computed one by one"
            );
            let alone =
                |sequence| first(guarded(model, slice::from_ref(sequence), &running.cancel));
            (sequences.iter().map(alone).collect(), Duration::ZERO)
        }
        Err(error) => (vec![Err(error); sequences.len()], Duration::ZERO),
    };
    // Before the answers, so that a caller that sends its next request at once finds the
    // thread free.
    shared.done(&running, measured);
    answer(owners, vectors, (begun, Instant::now()), pooling);
}

/// Whose vector comes out at a position of a batch.
struct Owner {
    request: RequestId,
    index: usize,
    answer: mpsc::UnboundedSender<Part>,
}

type Vector = Result<Vec<f32>, EmbedError>;

/// Runs the model; a panic in it is its failure, not the thread's.
fn guarded(
    model: Option<&Arc<dyn Model>>,
    sequences: &[Tokenized],
    cancel: &AtomicBool,
) -> Result<Encoded, EmbedError> {
    let failed = |detail: &str| EmbedError::Failed(detail.to_owned());
    let model = model.ok_or_else(|| failed("there is no such model"))?;
    let encoded = catch_unwind(AssertUnwindSafe(|| model.encode(sequences, cancel)))
        .map_err(|_| failed("the model panicked"))??;
    if encoded.vectors.len() != sequences.len() {
        return Err(failed("the model left a sequence out"));
    }
    Ok(encoded)
}

fn first(encoded: Result<Encoded, EmbedError>) -> Vector {
    let none = || EmbedError::Failed("the model left a sequence out".to_owned());
    encoded?.vectors.pop().ok_or_else(none)
}

/// Sends each request its part, once.
fn answer(
    owners: Vec<Owner>,
    vectors: Vec<Vector>,
    (begun, ended): (Instant, Instant),
    pooling: Duration,
) {
    let mut parts: BTreeMap<RequestId, (mpsc::UnboundedSender<Part>, Part)> = BTreeMap::new();
    for (owner, vector) in owners.into_iter().zip(vectors) {
        let (_, part) = parts.entry(owner.request).or_insert_with(|| {
            let part = Part {
                begun,
                ended,
                pooling,
                vectors: Ok(Vec::new()),
            };
            (owner.answer, part)
        });
        match (vector, &mut part.vectors) {
            (Ok(vector), Ok(vectors)) => vectors.push((owner.index, vector)),
            (Err(error), vectors @ Ok(_)) => *vectors = Err(error),
            (_, Err(_)) => {}
        }
    }
    for (answer, part) in parts.into_values() {
        // A caller that is gone wants nothing.
        let _ = answer.send(part);
    }
}
