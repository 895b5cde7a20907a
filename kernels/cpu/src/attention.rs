//! Attention of one sequence to itself, on the linear layers' kernels.
//!
//! For each head keys and values are packed into panels (the keys transposed); then a
//! tile's height of queries at a time goes through scores, softmax and the product
//! with the values. A tile's scores stay in the first-level cache at every length that
//! encoders allow (10 rows x 512 tokens: 20 KiB), and the full matrix of scores is
//! never written: the row-wise half of FlashAttention (Dao et al., arXiv 2205.14135);
//! the running maximum is not needed where a whole row fits. The division by the
//! softmax's sum is left to the product's `width` columns.

use crate::{
    dispatch::{Cpu, dispatch},
    error::{ShapeError, length},
    kernel::{COLUMNS, Kernel, MAX_PANELS, MAX_ROWS, Panels, Rows, Tile},
    linear::{Workspace, parts, sized, steps},
    pack::Row,
};

/// The shape of an attention layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heads {
    /// Number of heads.
    pub count: usize,
    /// Values in a head's query, key or value.
    pub width: usize,
}

/// A bias on scores that depends on the distance only (T5 and MPNet):
/// `bias[head][reach - 1 + j - i]` is added to the score of query i and key j.
#[derive(Clone, Copy, Debug)]
pub struct RelativeBias<'a> {
    /// `[heads, 2 * reach - 1]`.
    pub bias: &'a [f32],
    /// The most tokens of a sequence.
    pub reach: usize,
}

#[derive(Debug, Default)]
pub(crate) struct Buffers {
    keys: Vec<Row>,
    values: Vec<Row>,
    scores: Vec<f32>,
}

impl Cpu {
    /// Attention of the tokens of one sequence to each other.
    ///
    /// `qkv` is `[tokens, 3 * heads * width]`: each token's queries of all heads, then
    /// its keys, then its values; the factor `1 / sqrt(width)` is already in the
    /// queries (fold it into their weights and bias). `context` is
    /// `[tokens, heads * width]`. Nothing is padded or masked.
    ///
    /// # Errors
    ///
    /// Slices whose lengths do not fit; a sequence longer than the bias reaches.
    pub fn attention(
        self,
        heads: Heads,
        qkv: &[f32],
        context: &mut [f32],
        bias: Option<RelativeBias<'_>>,
        workspace: &mut Workspace,
    ) -> Result<(), ShapeError> {
        let hidden = heads.count * heads.width;
        if hidden == 0 {
            return Err(ShapeError::Empty { what: "heads" });
        }
        let tokens = qkv.len() / (3 * hidden);
        length("qkv", tokens * 3 * hidden, qkv.len())?;
        length("context", tokens * hidden, context.len())?;
        if let Some(bias) = bias {
            if tokens > bias.reach {
                return Err(ShapeError::Index {
                    what: "relative bias",
                    index: tokens - 1,
                    rows: bias.reach,
                });
            }
            length("bias", heads.count * (2 * bias.reach - 1), bias.bias.len())?;
        }
        if tokens == 0 {
            return Ok(());
        }
        let buffers = &mut workspace.attention;
        dispatch!(self, kernel => attention(kernel, heads, qkv, context, bias, buffers));
        Ok(())
    }
}

fn attention<K: Kernel>(
    kernel: K,
    heads: Heads,
    qkv: &[f32],
    context: &mut [f32],
    bias: Option<RelativeBias<'_>>,
    buffers: &mut Buffers,
) {
    let (width, hidden) = (heads.width, heads.count * heads.width);
    let tokens = qkv.len() / (3 * hidden);
    let key_panels = tokens.div_ceil(COLUMNS);
    let keys = sized(&mut buffers.keys, key_panels * width, Row::ZERO);
    let value_panels = width.div_ceil(COLUMNS);
    let values = sized(&mut buffers.values, value_panels * tokens, Row::ZERO);
    // Rows of scores take whole panels.
    let stride = key_panels.next_multiple_of(MAX_PANELS) * COLUMNS;
    let scores = sized(&mut buffers.scores, MAX_ROWS * stride, 0.0);

    for head in 0..heads.count {
        let at = head * width;
        pack_keys(keys, &qkv[hidden + at..], 3 * hidden, tokens, width);
        pack_values(values, &qkv[2 * hidden + at..], 3 * hidden, tokens, width);
        for (first, count) in parts(tokens, K::ROWS, 1) {
            let queries = Rows {
                values: &qkv[first * 3 * hidden + at..],
                stride: 3 * hidden,
                count,
            };
            for (panel, panels) in steps(key_panels, K::PANELS) {
                let panels = Panels {
                    rows: &keys[panel * width..],
                    stride: width,
                    count: panels,
                    depth: width,
                };
                kernel.product_f32(queries, panels, &mut scores[panel * COLUMNS..], stride);
            }
            let mut shares = [0.0; MAX_ROWS];
            for (i, share) in shares[..count].iter_mut().enumerate() {
                let row = &mut scores[i * stride..][..tokens];
                if let Some(bias) = bias {
                    let start = head * (2 * bias.reach - 1) + bias.reach - 1 - (first + i);
                    kernel.add(row, &bias.bias[start..start + tokens]);
                }
                *share = kernel.softmax(row).recip();
            }
            let weights = Rows {
                values: &*scores,
                stride,
                count,
            };
            let mut tile = Tile([0.0; MAX_ROWS * MAX_PANELS * COLUMNS]);
            for (column, columns) in steps(width, K::PANELS * COLUMNS) {
                let panels = Panels {
                    rows: &values[column / COLUMNS * tokens..],
                    stride: tokens,
                    count: columns.div_ceil(COLUMNS),
                    depth: tokens,
                };
                let tile_stride = K::PANELS * COLUMNS;
                kernel.product_f32(weights, panels, &mut tile.0, tile_stride);
                for (i, share) in shares[..count].iter().enumerate() {
                    let output = &mut context[(first + i) * hidden + at + column..][..columns];
                    kernel.scaled(&tile.0[i * tile_stride..][..columns], *share, output);
                }
            }
        }
    }
}

/// Lays `width` values of each token into columns: panel p holds tokens 16p to 16p+15.
/// Columns beyond the last token keep what they hold: their scores are never read.
fn pack_keys(panels: &mut [Row], keys: &[f32], stride: usize, tokens: usize, width: usize) {
    for token in 0..tokens {
        let key = &keys[token * stride..][..width];
        let panel = &mut panels[token / COLUMNS * width..][..width];
        for (row, value) in panel.iter_mut().zip(key) {
            row.0[token % COLUMNS] = *value;
        }
    }
}

/// Lays the values' columns into panels of 16, token by token.
fn pack_values(panels: &mut [Row], values: &[f32], stride: usize, tokens: usize, width: usize) {
    for token in 0..tokens {
        let value = &values[token * stride..][..width];
        for (panel, part) in value.chunks(COLUMNS).enumerate() {
            panels[panel * tokens + token].0[..part.len()].copy_from_slice(part);
        }
    }
}
