//! Tokens per CPU-second of the fast tokenizer beside the `tokenizers` crate, in one
//! run and on the same texts, with a check that their ids are equal.
//!
//! ```sh
//! cargo run --release -p signalbox-encoder --example tokenise_bench [-- FILE...]
//! ```
//!
//! A file is read as one text a line. Without any, four kinds of text are measured that
//! stand in this repository or below.

use std::{error::Error, fs, path::Path};

use signalbox_encoder::{Tokenized, Tokenizer};
use signalbox_models::Store;

/// Each side gets so many turns, by turns; the fastest counts.
const TURNS: usize = 3;
/// Texts are repeated until a turn has at least so many bytes.
const TURN_BYTES: usize = 2 << 20;

/// Marks and typographic punctuation in every line, as in most of Europe's languages.
const EUROPEAN: [&str; 4] = [
    "Où peut-on régler l’accès partagé à un calendrier déjà fermé ?",
    "„Größere Änderungen“ prüfen wir gewöhnlich vor dem nächsten Abend.",
    "¿Cómo exporto las imágenes de la sesión número doce, señor Núñez?",
    "Как восстановить удалённый счёт, если прошёл больше чем месяц?",
];

/// Scripts that the fast path leaves to the crate, in part or in whole.
const ASIAN: [&str; 3] = [
    "如何在不丢失数据的情况下导出项目，并与同事共享日历？",
    "データを失わずにプロジェクトをエクスポートするにはどうすればよいですか。",
    "데이터를 잃지 않고 프로젝트를 내보내려면 어떻게 해야 하나요?",
];

fn main() -> Result<(), Box<dyn Error>> {
    let path = Store::default_location()?
        .root()
        .join("all-MiniLM-L6-v2/tokenizer.json");
    let load = || Tokenizer::load(&path, 30_522, 512);
    let (fast, general) = (load()?, load()?.by_crate_alone());

    println!(
        "| texts | tokens a text | `tokenizers`, M tokens/CPU-s | fast, M tokens/CPU-s | times |"
    );
    println!("|---|---|---|---|---|");
    for (name, texts) in kinds()? {
        let bytes: usize = texts.iter().map(String::len).sum();
        let repeats = TURN_BYTES.div_ceil(bytes.max(1));
        let mut best = [f64::INFINITY; 2];
        let mut tokens = [0; 2];
        for _ in 0..TURNS {
            for (side, tokenizer) in [&general, &fast].into_iter().enumerate() {
                let started = cpu_seconds()?;
                tokens[side] = run(tokenizer, &texts, repeats)?;
                best[side] = best[side].min(cpu_seconds()? - started);
            }
        }
        for text in &texts {
            let same = fast.tokenize(text)? == general.tokenize(text)?;
            assert!(same, "ids differ: {text:?}");
        }
        let rate = |side: usize| tokens[side] as f64 / best[side] / 1e6;
        println!(
            "| {name} | {:.1} | {:.2} | {:.2} | {:.1} |",
            tokens[0] as f64 / (repeats * texts.len()) as f64,
            rate(0),
            rate(1),
            rate(1) / rate(0)
        );
    }
    Ok(())
}

fn run(tokenizer: &Tokenizer, texts: &[String], repeats: usize) -> Result<usize, Box<dyn Error>> {
    let mut tokens = 0;
    for _ in 0..repeats {
        for text in texts {
            let tokenized: Tokenized = tokenizer.tokenize(text)?;
            tokens += tokenized.ids().len();
        }
    }
    Ok(tokens)
}

/// A name and its texts.
type Kind = (String, Vec<String>);

fn kinds() -> Result<Vec<Kind>, Box<dyn Error>> {
    let lines = |path: &Path| -> Result<Vec<String>, std::io::Error> {
        Ok(fs::read_to_string(path)?
            .lines()
            .map(str::to_owned)
            .collect())
    };
    let files: Vec<String> = std::env::args().skip(1).collect();
    if !files.is_empty() {
        return files
            .into_iter()
            .map(|file| Ok((file.clone(), lines(Path::new(&file))?)))
            .collect();
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let all = lines(&root.join("tools/fixtures/embeddings_sentences.txt"))?;
    let english: Vec<String> = all.iter().filter(|line| line.is_ascii()).cloned().collect();
    let passages = english.chunks(12).map(|part| part.join(" ")).collect();
    let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
    Ok(vec![
        ("English sentences".to_owned(), english),
        ("English passages".to_owned(), passages),
        ("one word in 16 of another script".to_owned(), all),
        ("European languages".to_owned(), owned(&EUROPEAN)),
        ("Chinese, Japanese, Korean".to_owned(), owned(&ASIAN)),
    ])
}

/// Time that this thread has spent on a processor, as Linux counts it.
fn cpu_seconds() -> Result<f64, Box<dyn Error>> {
    let line = fs::read_to_string("/proc/thread-self/schedstat")?;
    let nanoseconds: f64 = line.split(' ').next().ok_or("no figure")?.parse()?;
    Ok(nanoseconds / 1e9)
}
