//! The arithmetic of a transformer encoder on one CPU core.
//!
//! Everything between token ids and a text's vector that costs time: linear layers
//! with what follows them ([`Cpu::linear_f32`], [`Cpu::linear_i16`]), attention
//! ([`Cpu::attention`]), embeddings, layer normalisation and pooling; and [`Stack`], which
//! runs a BERT encoder's layers from these. A call runs on
//! the caller's thread, on slices; threads, batches and files are the encoder's matter.
//!
//! ```
//! use signalbox_kernels::{Cpu, Epilogue, PackedF32};
//!
//! let cpu = Cpu::detect();
//! let layer = PackedF32::pack(&[1.0, 2.0, 3.0, 4.0], Some(&[0.5, 0.0]), 2, 2)?;
//! let mut output = [0.0; 2];
//! cpu.linear_f32(&layer, &[1.0, 1.0], &mut output, Epilogue::Bias)?;
//! assert_eq!(output, [3.5, 7.0]);
//! # Ok::<(), signalbox_kernels::ShapeError>(())
//! ```
//!
//! # How it is fast
//!
//! - Weights are packed once into panels of 16 columns in the order of use; rows of
//!   activations are read where they lie; blocks keep either in the cache that fits
//!   (Goto and van de Geijn, ACM TOMS 34(3), 2008). See `pack` and `linear`.
//! - A tile of sums lives in registers: 6 x 16 with AVX2, 10 x 32 with AVX-512.
//! - `i16`: activations as 14-bit, weights as up to 16-bit whole numbers, exact 32-bit
//!   sums that cannot overflow because packing bounds them. 14 bits of activation lose
//!   next to nothing, and one instruction multiplies twice as many as in f32. With AMX
//!   both are 16 bits, in two bytes each: see `kernel::amx`.
//! - Bias, GELU, residual and layer normalisation are applied to sums still in cache.
//! - `exp` and GELU are polynomials without a branch. See `math`.
//!
//! # What holds it right
//!
//! Unsafe code is in the vector sets' modules of `kernel`, `peak` and `pages` only (and the
//! calls into them); each function there has a twin in `kernel::portable` and a test over random
//! shapes that the two agree: bit for bit for whole numbers, within rounding for f32.
//! Shapes are checked at the call, and a tile's bounds once more before its loop.

#![deny(unsafe_op_in_unsafe_fn)]
#![deny(clippy::undocumented_unsafe_blocks)]

mod attention;
mod dispatch;
mod error;
mod kernel;
mod linear;
mod math;
mod model;
mod pack;
mod pages;
mod peak;
mod rows;
mod whole;

pub use attention::{Heads, RelativeBias};
pub use dispatch::{Cpu, Level};
pub use error::ShapeError;
pub use linear::{Epilogue, Workspace};
pub use model::{Activations, LayerWeights, Linear, LinearWeights, Mode, Stack};
pub use pack::{ACTIVATION_AMPLITUDE, PackedF32, PackedI8, PackedI16};
pub use peak::{Multiplier, Peaks};
pub use rows::{Embeddings, Norm, Pool, normalise};
