//! The protocol of a worker, one line of JSON each way; `worker.py` speaks the same.
//!
//! On start: `{"load_s"}`, the seconds from the model's files to an engine that has
//! answered once. Then, for each line that comes in, one goes out:
//!
//! - `{"op": "texts", "name", "path"}`: a file of `{"texts": [..], "ids": [[..]]}`, kept
//!   under this name. Answers how many texts the engine's own tokenizer turns into other
//!   ids: `{"differ"}`.
//! - `{"op": "encode", "name", "order", "batch", "budget", "tokenize"}`: embeds the texts
//!   in this order, `batch` at a time (0: all at once) or as many as stay within `budget`
//!   tokens; from text if `tokenize`, else from ids. Answers `{"wall_s", "tokens"}`;
//!   tokens are those of the texts, padding is not counted.
//! - `{"op": "latency", "name", "order", "tokenize"}`: one text a call. Answers
//!   `{"wall_us": [..]}`.
//! - `{"op": "vectors", "name", "order", "batch", "path"}`: writes the vectors as
//!   little-endian f32.

use std::{
    error::Error,
    fs,
    io::{BufRead as _, Write as _, stdin, stdout},
    path::PathBuf,
    time::Instant,
};

use serde::Deserialize;
use serde_json::{Value, json};

pub(crate) type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// An engine that turns texts into vectors of length 1.
pub(crate) trait Engine {
    /// A text as the engine takes it.
    type Text: Clone;

    fn tokenize(&self, text: &str) -> Result<Self::Text>;
    /// From ids, special tokens included.
    fn accept(&self, ids: &[u32]) -> Result<Self::Text>;
    fn ids<'a>(&self, text: &'a Self::Text) -> &'a [u32];
    fn encode(&self, batch: &[Self::Text]) -> Result<Vec<Vec<f32>>>;
}

#[derive(Deserialize)]
#[serde(tag = "op", rename_all = "lowercase")]
enum Order {
    Texts {
        name: String,
        path: PathBuf,
    },
    Encode {
        name: String,
        order: Vec<usize>,
        #[serde(default)]
        batch: usize,
        #[serde(default)]
        budget: usize,
        #[serde(default)]
        tokenize: bool,
    },
    Latency {
        name: String,
        order: Vec<usize>,
        #[serde(default)]
        tokenize: bool,
    },
    Vectors {
        name: String,
        order: Vec<usize>,
        #[serde(default)]
        batch: usize,
        path: PathBuf,
    },
}

#[derive(Deserialize)]
struct Set {
    texts: Vec<String>,
    ids: Vec<Vec<u32>>,
}

struct Named<T> {
    name: String,
    texts: Vec<String>,
    prepared: Vec<T>,
}

/// Loads the engine, then does what standard input asks until it ends.
pub(crate) fn serve<E: Engine>(load: impl FnOnce() -> Result<E>) -> Result<()> {
    let start = Instant::now();
    let engine = load()?;
    engine.encode(&[engine.accept(&[101, 7592, 102])?])?;
    say(&json!({"load_s": start.elapsed().as_secs_f64()}))?;

    let mut sets = Vec::new();
    for line in stdin().lock().lines() {
        say(&answer(&engine, &mut sets, serde_json::from_str(&line?)?)?)?;
    }
    Ok(())
}

pub(crate) fn say(answer: &Value) -> Result<()> {
    let mut out = stdout().lock();
    writeln!(out, "{answer}")?;
    Ok(out.flush()?)
}

fn answer<E: Engine>(engine: &E, sets: &mut Vec<Named<E::Text>>, order: Order) -> Result<Value> {
    match order {
        Order::Texts { name, path } => {
            let Set { texts, ids } = serde_json::from_slice(&fs::read(path)?)?;
            let prepared: Vec<E::Text> = ids
                .iter()
                .map(|ids| engine.accept(ids))
                .collect::<Result<_>>()?;
            let mut differ = 0;
            for (text, ids) in texts.iter().zip(&ids) {
                differ += usize::from(engine.ids(&engine.tokenize(text)?) != ids);
            }
            sets.retain(|set| set.name != name);
            sets.push(Named {
                name,
                texts,
                prepared,
            });
            Ok(json!({ "differ": differ }))
        }
        Order::Encode {
            name,
            order,
            batch,
            budget,
            tokenize,
        } => {
            let set = find(sets, &name)?;
            let length = |index: &usize| engine.ids(&set.prepared[*index]).len();
            let tokens: usize = order.iter().map(length).sum();
            let parts: Vec<&[usize]> = if budget > 0 {
                within(&order, budget, length)
            } else {
                order.chunks(size(batch, order.len())).collect()
            };
            let prepared: Vec<Vec<E::Text>> = parts
                .iter()
                .map(|part| part.iter().map(|i| set.prepared[*i].clone()).collect())
                .collect();
            let start = Instant::now();
            for (part, prepared) in parts.iter().zip(&prepared) {
                if tokenize {
                    let texts: Vec<E::Text> = part
                        .iter()
                        .map(|i| engine.tokenize(&set.texts[*i]))
                        .collect::<Result<_>>()?;
                    engine.encode(&texts)?;
                } else {
                    engine.encode(prepared)?;
                }
            }
            Ok(json!({"wall_s": start.elapsed().as_secs_f64(), "tokens": tokens}))
        }
        Order::Latency {
            name,
            order,
            tokenize,
        } => {
            let set = find(sets, &name)?;
            let mut wall_us = Vec::with_capacity(order.len());
            for index in order {
                let one = [set.prepared[index].clone()];
                let start = Instant::now();
                if tokenize {
                    engine.encode(&[engine.tokenize(&set.texts[index])?])?;
                } else {
                    engine.encode(&one)?;
                }
                wall_us.push(start.elapsed().as_secs_f64() * 1e6);
            }
            Ok(json!({ "wall_us": wall_us }))
        }
        Order::Vectors {
            name,
            order,
            batch,
            path,
        } => {
            let set = find(sets, &name)?;
            let mut bytes = Vec::new();
            for part in order.chunks(size(batch, order.len())) {
                let texts: Vec<E::Text> = part.iter().map(|i| set.prepared[*i].clone()).collect();
                for vector in engine.encode(&texts)? {
                    bytes.extend(vector.iter().flat_map(|value| value.to_le_bytes()));
                }
            }
            fs::write(path, bytes)?;
            Ok(json!({}))
        }
    }
}

fn find<'a, T>(sets: &'a [Named<T>], name: &str) -> Result<&'a Named<T>> {
    let set = sets.iter().find(|set| set.name == name);
    set.ok_or_else(|| format!("no texts named {name}").into())
}

fn size(batch: usize, all: usize) -> usize {
    if batch == 0 { all.max(1) } else { batch }
}

/// Cuts `order` where the next text would pass the budget.
fn within(order: &[usize], budget: usize, length: impl Fn(&usize) -> usize) -> Vec<&[usize]> {
    let mut parts = Vec::new();
    let (mut start, mut tokens) = (0, 0);
    for (at, index) in order.iter().enumerate() {
        let more = length(index);
        if tokens + more > budget && at > start {
            parts.push(&order[start..at]);
            (start, tokens) = (at, 0);
        }
        tokens += more;
    }
    parts.push(&order[start..]);
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_stay_within_the_budget_unless_one_text_alone_passes_it() {
        let lengths = [3, 3, 3, 9, 1, 1];
        let order = [0, 1, 2, 3, 4, 5];
        let parts = within(&order, 6, |index| lengths[*index]);
        assert_eq!(parts, [&[0, 1][..], &[2], &[3], &[4, 5]]);
    }
}
