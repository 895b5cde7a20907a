//! The public functions against plain sums in f64, on every instruction set that this
//! machine has, at sizes that fill no tile.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use proptest::prelude::*;
use signalbox_kernels::{
    Cpu, Embeddings, Epilogue, Heads, Level, Norm, PackedF32, PackedI8, PackedI16, Pool,
    RelativeBias, ShapeError, Workspace, normalise,
};

fn sets() -> impl Iterator<Item = Cpu> {
    Level::ALL.into_iter().filter_map(Cpu::with)
}

fn noise(count: usize, seed: u32) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9) | 1;
    let next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state as i32 as f32 / 2_147_483_648.0
    };
    std::iter::repeat_with(next).take(count).collect()
}

fn gelu(x: f64) -> f64 {
    0.5 * x * libm::erfc(-x / f64::sqrt(2.0))
}

fn norm(row: &mut [f64], scale: &[f32], shift: &[f32], eps: f32) {
    let count = row.len() as f64;
    let mean = row.iter().sum::<f64>() / count;
    let variance = row.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / count;
    let inverse = 1.0 / (variance + f64::from(eps)).sqrt();
    for ((value, scale), shift) in row.iter_mut().zip(scale).zip(shift) {
        *value = (*value - mean) * inverse * f64::from(*scale) + f64::from(*shift);
    }
}

/// A layer and its input; the reference in f64.
struct Case {
    weight: Vec<f32>,
    bias: Vec<f32>,
    input: Vec<f32>,
    residual: Vec<f32>,
    scale: Vec<f32>,
    shift: Vec<f32>,
    inputs: usize,
    outputs: usize,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Bias,
    Gelu,
    AddNorm,
}

const EPS: f32 = 1e-2;

impl Case {
    fn new(rows: usize, inputs: usize, outputs: usize, seed: u32) -> Self {
        Self {
            weight: noise(outputs * inputs, seed),
            bias: noise(outputs, seed + 1),
            input: noise(rows * inputs, seed + 2),
            residual: noise(rows * outputs, seed + 3),
            scale: noise(outputs, seed + 4),
            shift: noise(outputs, seed + 5),
            inputs,
            outputs,
        }
    }

    fn epilogue(&self, kind: Kind) -> Epilogue<'_> {
        match kind {
            Kind::Bias => Epilogue::Bias,
            Kind::Gelu => Epilogue::Gelu,
            Kind::AddNorm => Epilogue::AddNorm(Norm {
                scale: &self.scale,
                shift: &self.shift,
                eps: EPS,
            }),
        }
    }

    fn expected(&self, kind: Kind) -> Vec<f64> {
        let mut output = Vec::new();
        let residuals = self.residual.chunks_exact(self.outputs);
        for (input, residual) in self.input.chunks_exact(self.inputs).zip(residuals) {
            let weights = self.weight.chunks_exact(self.inputs);
            let mut row: Vec<f64> = weights
                .zip(&self.bias)
                .map(|(weights, bias)| {
                    let products = weights.iter().zip(input);
                    f64::from(*bias)
                        + products
                            .map(|(w, x)| f64::from(*w) * f64::from(*x))
                            .sum::<f64>()
                })
                .collect();
            match kind {
                Kind::Bias => {}
                Kind::Gelu => row.iter_mut().for_each(|value| *value = gelu(*value)),
                Kind::AddNorm => {
                    for (value, residual) in row.iter_mut().zip(residual) {
                        *value += f64::from(*residual);
                    }
                    norm(&mut row, &self.scale, &self.shift, EPS);
                }
            }
            output.extend(row);
        }
        output
    }

    fn check(&self, kind: Kind) -> Result<(), TestCaseError> {
        let expected = self.expected(kind);
        let (bias, outputs, inputs) = (Some(&self.bias[..]), self.outputs, self.inputs);
        let real = PackedF32::pack(&self.weight, bias, outputs, inputs).unwrap();
        let bytes = PackedI8::pack(&self.weight, bias, outputs, inputs).unwrap();
        let mut workspace = Workspace::default();
        // A normalisation divides by a deviation that may be as small as sqrt(EPS).
        let gain = if matches!(kind, Kind::AddNorm) {
            10.0
        } else {
            1.0
        };
        for cpu in sets() {
            let mut output = self.residual.clone();
            cpu.linear_f32(&real, &self.input, &mut output, self.epilogue(kind))
                .unwrap();
            // f32's rounding: half a unit in the last place for each of the terms, which
            // are below 1, of sums below sqrt(inputs) nearly always.
            let tolerance = gain * 2e-7 * (inputs as f64 + 8.0);
            close(&output, &expected, tolerance)?;

            let whole = PackedI16::pack(cpu, &self.weight, bias, outputs, inputs).unwrap();
            let mut output = self.residual.clone();
            let epilogue = self.epilogue(kind);
            cpu.linear_i16(&whole, &self.input, &mut output, epilogue, &mut workspace)
                .unwrap();
            // Each product is off by half a unit of the activation (2^-14) and of the
            // weight (at most 1 / 2 / 170 where the sums' range is the limit); the
            // errors are independent.
            let terms = (inputs as f64).sqrt();
            let unit = 0.5 / 8191.0 + 0.5 / (262_176.0 / inputs as f64 - 1.0).min(32_767.0);
            close(
                &output,
                &expected,
                gain * (1e-6 + 6.0 * unit * terms.max(2.0)),
            )?;

            let mut output = self.residual.clone();
            let epilogue = self.epilogue(kind);
            cpu.linear_i8(&bytes, &self.input, &mut output, epilogue, &mut workspace)
                .unwrap();
            // The same, where a unit of the activation is at most 2 / 255 and one of the
            // weight 1 / 127.
            let unit = 1.0 / 255.0 + 0.5 / 127.0;
            close(&output, &expected, gain * 6.0 * unit * terms.max(2.0))?;
        }
        Ok(())
    }
}

fn close(found: &[f32], expected: &[f64], tolerance: f64) -> Result<(), TestCaseError> {
    prop_assert_eq!(found.len(), expected.len());
    for (index, (found, expected)) in found.iter().zip(expected).enumerate() {
        let error = (f64::from(*found) - expected).abs();
        prop_assert!(
            error <= tolerance,
            "{}: {} is not {}",
            index,
            found,
            expected
        );
    }
    Ok(())
}

fn kinds() -> impl Strategy<Value = Kind> {
    prop_oneof![Just(Kind::Bias), Just(Kind::Gelu), Just(Kind::AddNorm)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn linear_layers_agree_with_f64(
        rows in 0usize..=13, inputs in 1usize..90, outputs in 1usize..70,
        kind in kinds(), seed in 1u32..1_000_000,
    ) {
        Case::new(rows, inputs, outputs, seed).check(kind)?;
    }

    #[test]
    fn attention_agrees_with_f64(
        tokens in 0usize..40, heads in 1usize..4, width in 1usize..70,
        biased: bool, seed in 1u32..1_000_000,
    ) {
        let hidden = heads * width;
        let reach = 40;
        let qkv: Vec<f32> = noise(tokens * 3 * hidden, seed).iter().map(|v| v * 2.0).collect();
        let table = noise(heads * (2 * reach - 1), seed + 1);
        let mut expected = vec![0.0f64; tokens * hidden];
        for head in 0..heads {
            let value = |token: usize, part: usize, i: usize| {
                f64::from(qkv[(token * 3 + part) * hidden + head * width + i])
            };
            for i in 0..tokens {
                let scores: Vec<f64> = (0..tokens).map(|j| {
                    let bias = table[head * (2 * reach - 1) + reach - 1 + j - i];
                    let bias = if biased { f64::from(bias) } else { 0.0 };
                    (0..width).map(|d| value(i, 0, d) * value(j, 1, d)).sum::<f64>() + bias
                }).collect();
                let most = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                let shares: Vec<f64> = scores.iter().map(|s| (s - most).exp()).collect();
                let total: f64 = shares.iter().sum();
                for d in 0..width {
                    let sum: f64 = (0..tokens).map(|j| shares[j] * value(j, 2, d)).sum();
                    expected[i * hidden + head * width + d] = sum / total;
                }
            }
        }
        let heads = Heads { count: heads, width };
        let bias = biased.then_some(RelativeBias { bias: &table, reach });
        // The buffers are left as a longer sequence left them.
        let mut workspace = Workspace::default();
        let before = vec![f32::NAN; 50 * 3 * hidden];
        for cpu in sets() {
            let mut context = vec![0.0; 50 * hidden];
            cpu.attention(heads, &before, &mut context, None, &mut workspace).unwrap();
            let mut context = vec![0.0; tokens * hidden];
            cpu.attention(heads, &qkv, &mut context, bias, &mut workspace).unwrap();
            close(&context, &expected, 1e-4)?;
        }
    }

    #[test]
    fn embeddings_and_norm_agree_with_f64(
        tokens in prop::collection::vec(0u32..9, 0..6), width in 2usize..40,
        first in 0usize..3, seed in 1u32..1_000_000,
    ) {
        let (words, positions) = (noise(9 * width, seed), noise(9 * width, seed + 1));
        let (scale, shift) = (noise(width, seed + 2), noise(width, seed + 3));
        let parameters = Norm { scale: &scale, shift: &shift, eps: EPS };
        let tables = Embeddings { words: &words, positions: &positions, width };
        let mut expected = Vec::new();
        for (index, token) in tokens.iter().enumerate() {
            let (word, position) = (*token as usize * width, (first + index) * width);
            let mut row: Vec<f64> = (0..width)
                .map(|i| f64::from(words[word + i]) + f64::from(positions[position + i]))
                .collect();
            norm(&mut row, &scale, &shift, EPS);
            expected.extend(row);
        }
        for cpu in sets() {
            let mut rows = vec![0.0; tokens.len() * width];
            cpu.embed(&tables, &parameters, &tokens, first, &mut rows).unwrap();
            close(&rows, &expected, 1e-4)?;
        }
    }
}

/// More rows than a block and deeper than a slice, neither a multiple of anything.
#[test]
fn large_layers_agree_with_f64() {
    for (rows, inputs, outputs) in [(275, 70, 33), (101, 385, 49), (7, 1537, 20), (13, 1000, 16)] {
        for kind in [Kind::Bias, Kind::Gelu, Kind::AddNorm] {
            Case::new(rows, inputs, outputs, 5).check(kind).unwrap();
        }
    }
}

/// The largest sums that packing lets through: every term at its amplitude and of one
/// sign. One unit more and they would wrap to negative numbers.
#[test]
fn the_largest_sums_do_not_overflow() {
    for inputs in [1, 2, 7, 8, 9, 100, 1001, 5000] {
        let weight: Vec<f32> = std::iter::repeat_n(1.0, inputs)
            .chain(std::iter::repeat_n(-3.0, inputs))
            .chain((0..inputs).map(|i| if i == 0 { 100.0 } else { 0.501 }))
            .collect();
        let input = vec![2.0; inputs];
        for cpu in sets() {
            let layer = PackedI16::pack(cpu, &weight, None, 3, inputs).unwrap();
            let mut output = [0.0; 3];
            let mut workspace = Workspace::default();
            cpu.linear_i16(&layer, &input, &mut output, Epilogue::Bias, &mut workspace)
                .unwrap();
            let count = inputs as f32;
            let expected = [2.0 * count, -6.0 * count, 200.0 + 1.002 * (count - 1.0)];
            for (found, expected) in output.into_iter().zip(expected) {
                assert!(
                    (found / expected - 1.0).abs() < 0.02,
                    "{inputs}: {output:?}"
                );
            }
        }
    }
}

#[test]
fn rows_of_zeros_and_of_no_numbers_stay_apart() {
    for (cpu, no_number) in sets().flat_map(|cpu| [(cpu, f32::INFINITY), (cpu, f32::NAN)]) {
        let mut output = [0.0; 3];
        let input = [0.0, 0.0, no_number, 1.0, 2.0, 2.0];
        let mut workspace = Workspace::default();
        let bytes = PackedI8::pack(&[1.0, 1.0], Some(&[0.5]), 1, 2).unwrap();
        cpu.linear_i8(&bytes, &input, &mut output, Epilogue::Bias, &mut workspace)
            .unwrap();
        assert_eq!((output[0], output[2]), (0.5, 4.5));
        assert!(output[1].is_nan());
        let layer = PackedI16::pack(cpu, &[1.0, 1.0], Some(&[0.5]), 1, 2).unwrap();
        cpu.linear_i16(&layer, &input, &mut output, Epilogue::Bias, &mut workspace)
            .unwrap();
        assert_eq!((output[0], output[2]), (0.5, 4.5));
        assert!(output[1].is_nan());
    }
}

/// 16 bits are the same whole numbers whatever multiplies them, so that a vector does not
/// depend on the machine by more than f32's rounding in between. Only AMX has others: it
/// leaves out the smallest products, has finer units for it, and comes nearer to f64.
#[test]
fn sums_of_16_bits_are_equal_on_every_set_and_nearer_with_amx() {
    let (rows, inputs, outputs) = (37, 900, 50);
    let mut case = Case::new(rows, inputs, outputs, 1);
    case.bias.fill(0.0);
    let exact = case.expected(Kind::Bias);
    let error = |output: &[f32]| -> f64 {
        let errors = output.iter().zip(&exact);
        errors.map(|(v, e)| (f64::from(*v) - e).powi(2)).sum()
    };
    let mut first: Option<Vec<f32>> = None;
    for cpu in sets() {
        let layer = PackedI16::pack(cpu, &case.weight, None, outputs, inputs).unwrap();
        let mut output = vec![0.0; rows * outputs];
        let mut workspace = Workspace::default();
        let (input, epilogue) = (&case.input, Epilogue::Bias);
        cpu.linear_i16(&layer, input, &mut output, epilogue, &mut workspace)
            .unwrap();
        let first = first.get_or_insert_with(|| output.clone());
        if cpu.level() == Level::Amx {
            let (found, others) = (error(&output), error(first));
            assert!(found < others / 10.0, "{found:e} beside {others:e}");
        } else {
            assert!(&output == first, "{cpu:?}");
        }
    }
}

#[test]
fn pools_by_each_rule_and_scales_to_length_1() {
    let tokens = [3.0, 0.0, 1.0, 8.0, -1.0, 1.0];
    for cpu in sets() {
        for (pool, expected) in [
            (Pool::Mean, [1.0, 3.0]),
            (Pool::First, [3.0, 0.0]),
            (Pool::Last, [-1.0, 1.0]),
            (Pool::Max, [3.0, 8.0]),
        ] {
            let mut pooled = [0.0; 2];
            cpu.pool(pool, &tokens, &mut pooled).unwrap();
            assert_eq!(pooled, expected);
        }
    }
    let mut vector = [3.0, 4.0];
    normalise(&mut vector);
    assert_eq!(vector, [0.6, 0.8]);
    let mut zeros = [0.0; 2];
    normalise(&mut zeros);
    assert_eq!(zeros, [0.0; 2]);
}

#[test]
fn refuses_what_does_not_fit_by_name() {
    let length = |what, expected, found| ShapeError::Length {
        what,
        expected,
        found,
    };
    let pack = |weight: &[f32], outputs, inputs| PackedF32::pack(weight, None, outputs, inputs);
    assert_eq!(pack(&[1.0; 5], 2, 3).unwrap_err(), length("weight", 6, 5));
    assert_eq!(
        pack(&[], 0, 3).unwrap_err(),
        ShapeError::Empty { what: "outputs" }
    );
    assert_eq!(
        PackedI16::pack(Cpu::detect(), &[1.0, f32::NAN], None, 2, 1).unwrap_err(),
        ShapeError::NotFinite { output: 1 }
    );
    assert_eq!(
        PackedI16::pack(Cpu::detect(), &vec![0.0; 66_053], None, 1, 66_053).unwrap_err(),
        ShapeError::Depth {
            inputs: 66_053,
            most: 66_052
        }
    );
    let layer = pack(&[1.0; 6], 2, 3).unwrap();
    for cpu in sets() {
        let run = |input: &[f32], output: &mut [f32]| {
            cpu.linear_f32(&layer, input, output, Epilogue::Bias)
                .unwrap_err()
        };
        assert_eq!(run(&[0.0; 4], &mut [0.0; 2]), length("input", 3, 4));
        assert_eq!(run(&[0.0; 6], &mut [0.0; 3]), length("output", 4, 3));
        let heads = Heads { count: 2, width: 4 };
        let run = |qkv: &[f32], context: &mut [f32]| {
            cpu.attention(heads, qkv, context, None, &mut Workspace::default())
                .unwrap_err()
        };
        assert_eq!(run(&[0.0; 25], &mut [0.0; 8]), length("qkv", 24, 25));
        assert_eq!(run(&[0.0; 24], &mut [0.0; 9]), length("context", 8, 9));
        let tables = Embeddings {
            words: &[0.0; 4],
            positions: &[0.0; 4],
            width: 2,
        };
        let norm = Norm {
            scale: &[1.0; 2],
            shift: &[0.0; 2],
            eps: 1e-5,
        };
        let error = cpu
            .embed(&tables, &norm, &[u32::MAX], 0, &mut [0.0; 2])
            .unwrap_err();
        let index = u32::MAX as usize;
        assert_eq!(
            error,
            ShapeError::Index {
                what: "words",
                index,
                rows: 2
            }
        );
    }
}
