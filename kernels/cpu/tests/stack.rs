//! A whole stack of layers against a straightforward one in f64.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use signalbox_kernels::{
    Activations, Cpu, Heads, LayerWeights, Level, LinearWeights, Mode, Norm, ShapeError, Stack,
};

const HEADS: Heads = Heads {
    count: 3,
    width: 32,
};
const HIDDEN: usize = 96;
const WIDE: usize = 200;

fn noise(count: usize, amplitude: f32, seed: &mut u32) -> Vec<f32> {
    let next = || {
        *seed ^= *seed << 13;
        *seed ^= *seed >> 17;
        *seed ^= *seed << 5;
        *seed as i32 as f32 / 2_147_483_648.0 * amplitude
    };
    std::iter::repeat_with(next).take(count).collect()
}

/// One layer's parameters: query, key, value, attention_out, widen, narrow, each
/// weight and bias; then the scales and shifts of the two norms.
struct Parameters {
    linear: Vec<(Vec<f32>, Vec<f32>)>,
    norms: Vec<(Vec<f32>, Vec<f32>)>,
}

impl Parameters {
    fn new(seed: &mut u32) -> Self {
        let shapes = [[HIDDEN, HIDDEN]; 4].into_iter();
        let shapes = shapes.chain([[WIDE, HIDDEN], [HIDDEN, WIDE]]);
        let linear = shapes
            .map(|[n, k]| (noise(n * k, 0.2, seed), noise(n, 0.2, seed)))
            .collect();
        let norms = (0..2)
            .map(|_| {
                let scale = noise(HIDDEN, 0.3, seed).iter().map(|v| v + 1.0).collect();
                (scale, noise(HIDDEN, 0.3, seed))
            })
            .collect();
        Self { linear, norms }
    }

    fn weights(&self) -> LayerWeights<'_> {
        let linear = |i: usize| LinearWeights {
            weight: &self.linear[i].0,
            bias: &self.linear[i].1,
        };
        let norm = |i: usize| Norm {
            scale: &self.norms[i].0,
            shift: &self.norms[i].1,
            eps: 1e-12,
        };
        LayerWeights {
            query: linear(0),
            key: linear(1),
            value: linear(2),
            attention_out: linear(3),
            attention_norm: norm(0),
            widen: linear(4),
            narrow: linear(5),
            output_norm: norm(1),
        }
    }

    fn linear(&self, which: usize, rows: &[Vec<f64>]) -> Vec<Vec<f64>> {
        let (weight, bias) = &self.linear[which];
        let apply = |row: &Vec<f64>| {
            let weights = weight.chunks_exact(row.len()).zip(bias);
            weights
                .map(|(weights, bias)| {
                    let products = weights.iter().zip(row).map(|(w, x)| f64::from(*w) * x);
                    f64::from(*bias) + products.sum::<f64>()
                })
                .collect()
        };
        rows.iter().map(apply).collect()
    }

    fn add_norm(&self, which: usize, rows: &mut [Vec<f64>], other: &[Vec<f64>]) {
        let (scale, shift) = &self.norms[which];
        for (row, other) in rows.iter_mut().zip(other) {
            let count = row.len() as f64;
            row.iter_mut().zip(other).for_each(|(v, o)| *v += o);
            let mean = row.iter().sum::<f64>() / count;
            let variance = row.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / count;
            for (i, value) in row.iter_mut().enumerate() {
                *value =
                    (*value - mean) / variance.sqrt() * f64::from(scale[i]) + f64::from(shift[i]);
            }
        }
    }

    /// The layer over one sequence, by the book.
    fn run(&self, rows: &mut [Vec<f64>]) {
        let [query, key, value] = [0, 1, 2].map(|which| self.linear(which, rows));
        let mut context = vec![vec![0.0; HIDDEN]; rows.len()];
        for head in 0..HEADS.count {
            let part = head * HEADS.width..(head + 1) * HEADS.width;
            for (query, context) in query.iter().zip(&mut context) {
                let shares: Vec<f64> = key
                    .iter()
                    .map(|key| part.clone().map(|i| query[i] * key[i]).sum::<f64>())
                    .map(|score| (score / (HEADS.width as f64).sqrt()).exp())
                    .collect();
                let total: f64 = shares.iter().sum();
                for i in part.clone() {
                    let sums = shares.iter().zip(&value).map(|(s, v)| s * v[i]);
                    context[i] = sums.sum::<f64>() / total;
                }
            }
        }
        let attended = self.linear(3, &context);
        self.add_norm(0, rows, &attended);
        let mut wide = self.linear(4, rows);
        for value in wide.iter_mut().flatten() {
            *value *= 0.5 * libm::erfc(-*value / f64::sqrt(2.0));
        }
        let narrow = self.linear(5, &wide);
        self.add_norm(1, rows, &narrow);
    }
}

fn stack(cpu: Cpu, mode: Mode, layers: &[LayerWeights<'_>]) -> Stack {
    let mut stack = Stack::new(cpu, mode, HEADS, WIDE);
    for layer in layers {
        stack.push(layer).unwrap();
    }
    stack
}

fn cosine(found: &[f32], expected: &[f64]) -> f64 {
    let dot = |a: &mut dyn Iterator<Item = (f64, f64)>| a.map(|(a, b)| a * b).sum::<f64>();
    let found: Vec<f64> = found.iter().map(|v| f64::from(*v)).collect();
    let both = dot(&mut found.iter().copied().zip(expected.iter().copied()));
    let norm = dot(&mut found.iter().map(|v| (*v, *v)));
    both / (norm * dot(&mut expected.iter().map(|v| (*v, *v)))).sqrt()
}

#[test]
fn a_group_is_what_each_sequence_is_alone() {
    let mut seed = 7;
    let layers: Vec<Parameters> = (0..4).map(|_| Parameters::new(&mut seed)).collect();
    let weights: Vec<LayerWeights<'_>> = layers.iter().map(Parameters::weights).collect();
    let lengths = [1, 2, 17, 5, 33, 64, 3];
    let tokens: usize = lengths.iter().sum();
    let input = noise(tokens * HIDDEN, 1.5, &mut seed);

    let mut rows: Vec<Vec<f64>> = input
        .chunks_exact(HIDDEN)
        .map(|row| row.iter().map(|v| f64::from(*v)).collect())
        .collect();
    let mut rest = &mut rows[..];
    for length in lengths {
        let sequence;
        (sequence, rest) = rest.split_at_mut(length);
        layers.iter().for_each(|layer| layer.run(sequence));
    }

    let mut activations = Activations::default();
    for (mode, worst, error) in [
        (Mode::F32, 1.0 - 1e-11, 2e-5),
        (Mode::I16, 0.999_99, 2e-2),
        (Mode::Int8, 0.995, 1.0),
    ] {
        for cpu in Level::ALL.into_iter().filter_map(Cpu::with) {
            let stack = stack(cpu, mode, &weights);
            let mut hidden = input.clone();
            let done = stack.run(&mut hidden, &lengths, None, &mut activations, || true);
            assert_eq!(done, Ok(true));
            for (found, expected) in hidden.chunks_exact(HIDDEN).zip(&rows) {
                let cosine = cosine(found, expected);
                assert!(cosine > worst, "{cpu:?} {mode:?}: cosine {cosine}");
                for (found, expected) in found.iter().zip(expected) {
                    assert!(
                        (f64::from(*found) - expected).abs() < error,
                        "{cpu:?} {mode:?}"
                    );
                }
            }
        }
    }
}

#[test]
fn stops_when_told_and_refuses_lengths_that_do_not_fit() {
    let parameters = Parameters::new(&mut 3);
    let stack = stack(Cpu::detect(), Mode::F32, &[parameters.weights()]);
    let activations = &mut Activations::default();
    let mut hidden = vec![1.0; 2 * HIDDEN];
    assert_eq!(
        stack.run(&mut hidden, &[2], None, activations, || false),
        Ok(false)
    );
    assert_eq!(hidden, vec![1.0; 2 * HIDDEN]);
    let error = stack.run(&mut hidden, &[1], None, activations, || true);
    let (expected, found) = (HIDDEN, 2 * HIDDEN);
    assert_eq!(
        error,
        Err(ShapeError::Length {
            what: "hidden",
            expected,
            found
        })
    );
}
