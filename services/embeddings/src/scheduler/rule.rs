//! The rule of who is computed next. It knows no clock and no thread, so that its laws
//! can be tested: nobody starves, callers share fairly, a batch keeps its budget, and
//! what was cancelled is never computed.
//!
//! Interactive work always goes first, bar one exception: while bulk work waits, a tenth
//! of the tokens is owed to it. There are `slots`, one for each core. Bulk work starts
//! only in a slot that nothing else wants; interactive work starts though bulk work runs
//! in its slot, because threads of bulk work have a lower priority in the operating
//! system and make way within microseconds, where waiting for the end of a batch would
//! take a hundred milliseconds.

use super::line::{Cut, Entry, Flow, Line};

/// What is served to interactive work while bulk work waits, for one token of bulk work
/// that is owed.
pub(super) const INTERACTIVE_PER_BULK: u64 = 9;

/// A batch with fewer tokens spends more time on fetching weights than on using them, so
/// work is not split finer than this to occupy more threads.
pub(super) const MIN_BATCH_TOKENS: u64 = 64;

/// Who waits for the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Class {
    /// Somebody who looks at the screen.
    Interactive,
    /// A job, or a request so large that it is one.
    Bulk,
}

impl Class {
    /// Its name in metrics.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Interactive => "interactive",
            Self::Bulk => "bulk",
        }
    }
}

/// Sequences to compute together, and what [`Rule::done`] has to know.
#[derive(Debug)]
pub(super) struct Batch<T> {
    pub(super) cut: Cut<T>,
    pub(super) start: Start,
}

/// How a batch was started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Start {
    Interactive,
    /// Bulk work in a slot that nothing else wanted.
    Spare,
    /// Bulk work that was owed.
    Owed,
}

impl Start {
    /// The class of what was started.
    pub(super) fn class(self) -> Class {
        match self {
            Self::Interactive => Class::Interactive,
            Self::Spare | Self::Owed => Class::Bulk,
        }
    }
}

/// Both classes' lines and what runs.
#[derive(Debug)]
pub(super) struct Rule<T> {
    slots: usize,
    budget: u64,
    interactive: Line<T>,
    bulk: Line<T>,
    running_interactive: usize,
    running_spare: usize,
    running_owed: usize,
    /// Interactive tokens served while bulk work waited, less what bulk work was given
    /// for them.
    passed_over: u64,
}

impl<T> Rule<T> {
    /// `slots` batches at a time, of at most `budget` tokens each.
    pub(super) fn new(slots: usize, budget: u64) -> Self {
        Self {
            slots: slots.max(1),
            budget: budget.max(1),
            interactive: Line::default(),
            bulk: Line::default(),
            running_interactive: 0,
            running_spare: 0,
            running_owed: 0,
            passed_over: 0,
        }
    }

    /// Tokens of a class in line.
    pub(super) fn tokens(&self, class: Class) -> u64 {
        match class {
            Class::Interactive => self.interactive.tokens(),
            Class::Bulk => self.bulk.tokens(),
        }
    }

    /// Puts a sequence in line.
    pub(super) fn push(&mut self, class: Class, flow: &Flow, entry: Entry<T>) {
        self.line(class).push(flow, entry);
    }

    /// Takes what of a request waits out of the line.
    pub(super) fn cancel(&mut self, class: Class, flow: &Flow) -> Vec<Entry<T>> {
        let gone = self.line(class).cancel(flow);
        self.forgive();
        gone
    }

    /// Whether [`Rule::next`] would give a batch.
    pub(super) fn can_start(&self, class: Class) -> bool {
        self.start(class).is_some()
    }

    /// The next batch for a thread of this class, if one may start now.
    pub(super) fn next(&mut self, class: Class) -> Option<Batch<T>> {
        let start = self.start(class)?;
        let share = self.tokens(class).div_ceil(self.free_slots(class));
        let budget = share.max(MIN_BATCH_TOKENS).min(self.budget);
        let cut = self.line(class).cut(budget)?;
        match start {
            Start::Interactive => {
                self.running_interactive += 1;
                if self.bulk.tokens() > 0 {
                    self.passed_over = self.passed_over.saturating_add(cut.tokens);
                }
            }
            Start::Spare => self.running_spare += 1,
            Start::Owed => self.running_owed += 1,
        }
        if class == Class::Bulk {
            let paid = cut.tokens.saturating_mul(INTERACTIVE_PER_BULK);
            self.passed_over = self.passed_over.saturating_sub(paid);
            self.forgive();
        }
        Some(Batch { cut, start })
    }

    /// A batch ended.
    pub(super) fn done(&mut self, start: Start) {
        let running = match start {
            Start::Interactive => &mut self.running_interactive,
            Start::Spare => &mut self.running_spare,
            Start::Owed => &mut self.running_owed,
        };
        *running = running.saturating_sub(1);
    }

    fn start(&self, class: Class) -> Option<Start> {
        // What runs because it was owed keeps its slot against interactive work.
        let held = self.running_interactive + self.running_owed;
        let bulk_threads = self.running_spare + self.running_owed;
        let owed = self.bulk.tokens() > 0
            && self.passed_over >= self.budget.saturating_mul(INTERACTIVE_PER_BULK)
            && bulk_threads < self.slots;
        match class {
            Class::Interactive if self.interactive.tokens() == 0 || owed => None,
            Class::Interactive => (held < self.slots).then_some(Start::Interactive),
            Class::Bulk if self.bulk.tokens() == 0 => None,
            Class::Bulk
                if self.interactive.tokens() == 0 && held + self.running_spare < self.slots =>
            {
                Some(Start::Spare)
            }
            Class::Bulk => owed.then_some(Start::Owed),
        }
    }

    /// Threads that a class's work can be shared out to, at least 1.
    fn free_slots(&self, class: Class) -> u64 {
        let running = self.running_interactive + self.running_owed;
        let running = match class {
            Class::Interactive => running,
            Class::Bulk => running + self.running_spare,
        };
        self.slots.saturating_sub(running).max(1) as u64
    }

    /// Nothing is owed to work that is not there.
    fn forgive(&mut self) {
        if self.bulk.tokens() == 0 {
            self.passed_over = 0;
        }
    }

    fn line(&mut self, class: Class) -> &mut Line<T> {
        match class {
            Class::Interactive => &mut self.interactive,
            Class::Bulk => &mut self.bulk,
        }
    }
}
