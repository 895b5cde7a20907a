//! How a pull tells how far it is. A trait, so that a program with a terminal, a log
//! or neither each shows it in its own way.

use std::{
    io::{self, IsTerminal as _, Write as _},
    sync::{Mutex, MutexGuard, PoisonError},
};

use indicatif::{HumanBytes, ProgressBar, ProgressStyle};

/// Is told how a pull goes on. One step at a time: `begin`, any number of `at`, `end`.
pub trait Progress: Send + Sync {
    /// A step begins, such as `model.safetensors from the hub`, over so many bytes.
    fn begin(&self, step: &str, bytes: u64);
    /// So many bytes of the step are done, counted from its beginning.
    fn at(&self, bytes: u64);
    /// The step is over; `done` tells whether it succeeded.
    fn end(&self, done: bool);
    /// Something that a person should know, such as a source that failed.
    fn note(&self, text: &str);
}

/// Shows nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Progress for Silent {
    fn begin(&self, _: &str, _: u64) {}
    fn at(&self, _: u64) {}
    fn end(&self, _: bool) {}
    fn note(&self, _: &str) {}
}

/// A bar where standard error is a terminal, plain lines where it is not.
pub fn on_stderr() -> Box<dyn Progress> {
    if io::stderr().is_terminal() {
        Box::new(Bar::default())
    } else {
        Box::new(Lines::default())
    }
}

/// A bar on the terminal.
#[derive(Debug, Default)]
struct Bar(Mutex<Option<ProgressBar>>);

impl Bar {
    fn lock(&self) -> MutexGuard<'_, Option<ProgressBar>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Progress for Bar {
    fn begin(&self, step: &str, bytes: u64) {
        let bar = ProgressBar::new(bytes).with_message(step.to_owned());
        let template = "{msg} [{bar:30}] {bytes}/{total_bytes} {bytes_per_sec} {eta}";
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style.progress_chars("=> "));
        }
        *self.lock() = Some(bar);
    }

    fn at(&self, bytes: u64) {
        if let Some(bar) = self.lock().as_ref() {
            bar.set_position(bytes);
        }
    }

    fn end(&self, done: bool) {
        match self.lock().take() {
            Some(bar) if done => bar.finish(),
            Some(bar) => bar.abandon(),
            None => {}
        }
    }

    fn note(&self, text: &str) {
        match self.lock().as_ref() {
            Some(bar) => bar.println(text),
            None => write_line(text),
        }
    }
}

/// A line at the beginning and one at the end of each step.
#[derive(Debug, Default)]
struct Lines(Mutex<String>);

impl Progress for Lines {
    fn begin(&self, step: &str, bytes: u64) {
        write_line(&format!("{step}: {}", HumanBytes(bytes)));
        step.clone_into(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }

    fn at(&self, _: u64) {}

    fn end(&self, done: bool) {
        let step = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        write_line(&format!("{step}: {}", if done { "done" } else { "failed" }));
    }

    fn note(&self, text: &str) {
        write_line(text);
    }
}

fn write_line(text: &str) {
    // Progress that nobody can read is no reason to fail.
    let _ = writeln!(io::stderr(), "{text}");
}
