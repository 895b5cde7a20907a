//! Encoders written down from their papers in f64, as slow and plain as can be: what the
//! encoder is held to. Shares nothing with it but the names in the files.

use std::collections::BTreeMap;

/// A tensor: its shape and its values, row-major.
pub(crate) type Tensors = BTreeMap<String, (Vec<usize>, Vec<f64>)>;

/// What the papers leave open.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    pub(crate) family: &'static str,
    pub(crate) hidden: usize,
    pub(crate) heads: usize,
    pub(crate) layers: usize,
    pub(crate) eps: f64,
}

/// The last layer's vector of each token.
pub(crate) fn encode(tensors: &Tensors, shape: Shape, ids: &[u32]) -> Vec<Vec<f64>> {
    let table = |name: &str, row: usize| -> Vec<f64> {
        let values = &tensors[name].1;
        values[row * shape.hidden..(row + 1) * shape.hidden].to_vec()
    };
    // RoBERTa and MPNet: the padding token's id is 1, positions are counted from 2.
    let first = if shape.family == "bert" { 0 } else { 2 };
    let mut rows: Vec<Vec<f64>> = Vec::new();
    for (place, id) in ids.iter().enumerate() {
        let mut row = table("embeddings.word_embeddings.weight", *id as usize);
        add(
            &mut row,
            &table("embeddings.position_embeddings.weight", first + place),
        );
        if shape.family != "mpnet" {
            add(
                &mut row,
                &table("embeddings.token_type_embeddings.weight", 0),
            );
        }
        norm(tensors, "embeddings.LayerNorm", &mut row, shape.eps);
        rows.push(row);
    }
    for layer in 0..shape.layers {
        rows = one_layer(tensors, shape, layer, &rows);
    }
    rows
}

fn one_layer(tensors: &Tensors, shape: Shape, layer: usize, rows: &[Vec<f64>]) -> Vec<Vec<f64>> {
    let at = |part: &str| format!("encoder.layer.{layer}.{part}");
    let names = match shape.family {
        "mpnet" => ["attn.q", "attn.k", "attn.v", "attn.o", "LayerNorm"],
        _ => [
            "self.query",
            "self.key",
            "self.value",
            "output.dense",
            "output.LayerNorm",
        ],
    };
    let names = names.map(|name| at(&format!("attention.{name}")));
    let apply = |name: &str, rows: &[Vec<f64>]| -> Vec<Vec<f64>> {
        rows.iter().map(|row| linear(tensors, name, row)).collect()
    };
    let [query, key, value] = [0, 1, 2].map(|part| apply(&names[part], rows));
    let width = shape.hidden / shape.heads;
    let mut context = vec![vec![0.0; shape.hidden]; rows.len()];
    for head in 0..shape.heads {
        let part = head * width..(head + 1) * width;
        for i in 0..rows.len() {
            let mut scores: Vec<f64> = (0..rows.len())
                .map(|j| {
                    let dot = dot(&query[i][part.clone()], &key[j][part.clone()]);
                    let bias = match shape.family {
                        "mpnet" => {
                            let bias = &tensors["encoder.relative_attention_bias.weight"].1;
                            bias[bucket(j as i64 - i as i64) * shape.heads + head]
                        }
                        _ => 0.0,
                    };
                    dot / (width as f64).sqrt() + bias
                })
                .collect();
            let most = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            scores
                .iter_mut()
                .for_each(|score| *score = (*score - most).exp());
            let sum: f64 = scores.iter().sum();
            for (j, score) in scores.iter().enumerate() {
                for (k, place) in part.clone().enumerate() {
                    context[i][place] += score / sum * value[j][part.start + k];
                }
            }
        }
    }
    let mut output = Vec::new();
    for (row, context) in rows.iter().zip(&context) {
        let mut attended = linear(tensors, &names[3], context);
        add(&mut attended, row);
        norm(tensors, &names[4], &mut attended, shape.eps);
        let mut wide = linear(tensors, &at("intermediate.dense"), &attended);
        for value in &mut wide {
            *value *= 0.5 * (1.0 + libm::erf(*value / 2_f64.sqrt()));
        }
        let mut narrow = linear(tensors, &at("output.dense"), &wide);
        add(&mut narrow, &attended);
        norm(tensors, &at("output.LayerNorm"), &mut narrow, shape.eps);
        output.push(narrow);
    }
    output
}

/// T5's 32 buckets for distances in both directions, up to 128 (arXiv 1910.10683).
fn bucket(key_minus_query: i64) -> usize {
    let after = if key_minus_query > 0 { 16 } else { 0 };
    let distance = key_minus_query.unsigned_abs() as usize;
    if distance < 8 {
        return after + distance;
    }
    let steps = (distance as f64 / 8.0).ln() / 16_f64.ln() * 8.0;
    // Powers of two fall on a boundary exactly; the smallest part saves them from f64.
    after + (8 + (steps + 1e-9) as usize).min(15)
}

fn linear(tensors: &Tensors, name: &str, row: &[f64]) -> Vec<f64> {
    let (shape, weight) = &tensors[&format!("{name}.weight")];
    let bias = &tensors[&format!("{name}.bias")].1;
    let outputs = (0..shape[0])
        .map(|output| dot(&weight[output * shape[1]..(output + 1) * shape[1]], row) + bias[output]);
    outputs.collect()
}

fn norm(tensors: &Tensors, name: &str, row: &mut [f64], eps: f64) {
    let count = row.len() as f64;
    let mean = row.iter().sum::<f64>() / count;
    let variance = row.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / count;
    let scale = &tensors[&format!("{name}.weight")].1;
    let shift = &tensors[&format!("{name}.bias")].1;
    for ((value, scale), shift) in row.iter_mut().zip(scale).zip(shift) {
        *value = (*value - mean) / (variance + eps).sqrt() * scale + shift;
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn add(row: &mut [f64], other: &[f64]) {
    row.iter_mut()
        .zip(other)
        .for_each(|(value, other)| *value += other);
}
