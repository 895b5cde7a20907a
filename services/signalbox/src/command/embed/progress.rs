//! How far a file is: a bar where standard error is a terminal, a line now and then where
//! it is not.

use std::{
    io::{IsTerminal as _, Write as _},
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressStyle};

/// Between two lines.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// The progress of one run over a file of so many bytes.
pub(super) struct Progress {
    bar: Option<ProgressBar>,
    begun: Instant,
    told: Instant,
    texts: u64,
    bytes: u64,
}

impl Progress {
    pub(super) fn new(bytes: u64) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new(bytes);
            let template = "[{bar:30}] {percent}% {msg} {eta} left";
            if let Ok(style) = ProgressStyle::with_template(template) {
                bar.set_style(style.progress_chars("=> "));
            }
            bar
        });
        Self {
            bar,
            begun: Instant::now(),
            told: Instant::now(),
            texts: 0,
            bytes,
        }
    }

    /// What earlier runs did: no time of this one was spent on it.
    pub(super) fn resumed(&self, at: u64) {
        if let Some(bar) = &self.bar {
            bar.set_position(at);
            bar.reset_eta();
        }
    }

    /// So many more texts are done; the input is read up to byte `at`.
    pub(super) fn done(&mut self, texts: u64, at: u64) {
        self.texts += texts;
        match &self.bar {
            Some(bar) => {
                bar.set_position(at);
                bar.set_message(format!("{} texts, {:.0}/s", self.texts, self.rate()));
            }
            None if self.told.elapsed() >= LINE_EVERY => {
                self.told = Instant::now();
                let share = 100.0 * at as f64 / self.bytes.max(1) as f64;
                self.note(&format!(
                    "{share:.0}%: {} texts, {:.0}/s",
                    self.texts,
                    self.rate()
                ));
            }
            None => {}
        }
    }

    /// Texts a second.
    fn rate(&self) -> f64 {
        self.texts as f64 / self.begun.elapsed().as_secs_f64().max(1e-3)
    }

    /// A line for the person at the terminal.
    pub(super) fn note(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.println(text),
            // Nobody may be reading.
            None => drop(writeln!(std::io::stderr(), "{text}")),
        }
    }

    /// The last line.
    pub(super) fn end(self, text: &str) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
        let (texts, rate) = (self.texts, self.rate());
        drop(writeln!(
            std::io::stderr(),
            "{text} ({texts} texts in this run, {rate:.0}/s)"
        ));
    }
}
