//! The Rust workers of `tools/bench-embeddings/run.py`: one engine alone in a process,
//! told what to do by lines of JSON, so that the driver can let engines take turns.

mod candle;
mod limit;
mod signalbox;
mod worker;

use std::{error::Error, num::NonZeroUsize, path::PathBuf};

use clap::{Parser, Subcommand};
use signalbox_encoder::Arithmetic;

/// Embedding engines to be measured; run by tools/bench-embeddings/run.py.
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    engine: Engine,
}

#[derive(Subcommand)]
enum Engine {
    /// Our own engine
    Signalbox {
        /// The model's folder
        model: PathBuf,
        #[arg(long, default_value = "1")]
        threads: NonZeroUsize,
        /// The arithmetic, one that `modes` lists
        #[arg(long)]
        mode: String,
    },
    /// Lists our engine's kinds of arithmetic
    Modes,
    /// candle's BertModel; CANDLE_NUM_THREADS and RAYON_NUM_THREADS set its threads
    Candle {
        /// The model's folder
        model: PathBuf,
    },
    /// What the multipliers do when nothing else is in the way
    Limit,
}

fn main() -> Result<(), Box<dyn Error>> {
    match Arguments::parse().engine {
        Engine::Signalbox {
            model,
            threads,
            mode,
        } => worker::serve(|| signalbox::Signalbox::load(&model, threads, &mode)),
        Engine::Modes => {
            for mode in Arithmetic::ALL {
                println!("{mode}");
            }
            Ok(())
        }
        Engine::Candle { model } => worker::serve(|| candle::Candle::load(&model)),
        Engine::Limit => limit::serve(),
    }
}
