//! The rule's laws, over any sequence of events.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use proptest::prelude::*;

use super::{
    line::{Entry, Flow, RequestId},
    rule::{Batch, Class, INTERACTIVE_PER_BULK, Rule, Start},
};

const BUDGET: u64 = 256;
const LONGEST: u64 = 300;

fn flow(model: usize, caller: usize, request: RequestId) -> Flow {
    Flow {
        model,
        caller: Arc::from(format!("caller-{caller}")),
        request,
    }
}

fn push(rule: &mut Rule<usize>, class: Class, flow: &Flow, tokens: u64, item: usize) {
    rule.push(class, flow, Entry { tokens, item });
}

fn items(batch: &Batch<usize>) -> Vec<usize> {
    batch
        .cut
        .entries
        .iter()
        .map(|(_, entry)| entry.item)
        .collect()
}

fn classes() -> impl Strategy<Value = Class> {
    prop_oneof![Just(Class::Interactive), Just(Class::Bulk)]
}

/// Something that happens to a scheduler.
#[derive(Clone, Debug)]
enum Event {
    Push {
        class: Class,
        model: usize,
        caller: usize,
        tokens: Vec<u64>,
    },
    Cancel(usize),
    Next(Class),
    Done(usize),
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let push = (
        classes(),
        0usize..3,
        0usize..4,
        prop::collection::vec(1..=LONGEST, 1..8),
    )
        .prop_map(|(class, model, caller, tokens)| Event::Push {
            class,
            model,
            caller,
            tokens,
        });
    let event = prop_oneof![
        4 => push,
        1 => (0usize..100).prop_map(Event::Cancel),
        6 => classes().prop_map(Event::Next),
        5 => (0usize..8).prop_map(Event::Done),
    ];
    prop::collection::vec(event, 1..200)
}

/// What the rule is held to.
#[derive(Default)]
struct Book {
    requests: Vec<(Class, Flow)>,
    /// Items in line, by request, in order.
    waiting: BTreeMap<RequestId, Vec<(usize, u64)>>,
    cancelled: BTreeSet<RequestId>,
    running: Vec<Start>,
    pushed: usize,
}

impl Book {
    fn take(&mut self, batch: &Batch<usize>, slots: usize) {
        let cut = &batch.cut;
        assert!(!cut.entries.is_empty());
        assert!(cut.tokens <= BUDGET || cut.entries.len() == 1);
        let sum: u64 = cut.entries.iter().map(|(_, entry)| entry.tokens).sum();
        assert_eq!(sum, cut.tokens);
        for (request, entry) in &cut.entries {
            assert!(!self.cancelled.contains(request), "it was cancelled");
            let (class, flow) = &self.requests[*request as usize];
            assert_eq!((*class, flow.model), (batch.start.class(), cut.model));
            // The order within a request is kept, and nothing comes twice.
            let waiting = self.waiting.get_mut(request).unwrap();
            assert_eq!(waiting.remove(0), (entry.item, entry.tokens));
        }
        self.running.push(batch.start);
        let holding = |start: &&Start| **start == Start::Interactive;
        assert!(self.running.iter().filter(holding).count() <= slots);
        let bulk = self
            .running
            .iter()
            .filter(|start| start.class() == Class::Bulk);
        assert!(bulk.count() <= slots);
    }

    fn tokens(&self, class: Class) -> u64 {
        let mine = |request: &RequestId| self.requests[*request as usize].0 == class;
        let waiting = self.waiting.iter().filter(|(request, _)| mine(request));
        waiting
            .flat_map(|(_, items)| items)
            .map(|(_, tokens)| tokens)
            .sum()
    }
}

proptest! {
    #[test]
    fn batches_keep_budget_order_model_and_class_and_never_hold_what_was_cancelled(
        events in events(),
        slots in 1usize..4,
    ) {
        let mut rule = Rule::new(slots, BUDGET);
        let mut book = Book::default();
        for event in events {
            match event {
                Event::Push { class, model, caller, tokens } => {
                    let request = book.requests.len() as RequestId;
                    let flow = flow(model, caller, request);
                    for tokens in tokens {
                        push(&mut rule, class, &flow, tokens, book.pushed);
                        book.waiting.entry(request).or_default().push((book.pushed, tokens));
                        book.pushed += 1;
                    }
                    book.requests.push((class, flow));
                }
                Event::Cancel(which) => {
                    if book.requests.is_empty() {
                        continue;
                    }
                    let (class, flow) = &book.requests[which % book.requests.len()];
                    let gone = rule.cancel(*class, flow);
                    let left = book.waiting.remove(&flow.request).unwrap_or_default();
                    let gone: Vec<_> = gone.iter().map(|e| (e.item, e.tokens)).collect();
                    prop_assert_eq!(gone, left);
                    book.cancelled.insert(flow.request);
                }
                Event::Next(class) => {
                    let promised = rule.can_start(class);
                    let batch = rule.next(class);
                    prop_assert_eq!(batch.is_some(), promised);
                    if let Some(batch) = batch {
                        book.take(&batch, slots);
                    }
                }
                Event::Done(which) => {
                    if !book.running.is_empty() {
                        let which = which % book.running.len();
                        rule.done(book.running.remove(which));
                    }
                }
            }
            for class in [Class::Interactive, Class::Bulk] {
                prop_assert_eq!(rule.tokens(class), book.tokens(class));
            }
            // With all threads free and something to do, something can be done.
            let waiting = rule.tokens(Class::Interactive) + rule.tokens(Class::Bulk);
            if book.running.is_empty() && waiting > 0 {
                prop_assert!(rule.can_start(Class::Interactive) || rule.can_start(Class::Bulk));
            }
        }
    }

    #[test]
    fn everything_is_computed_in_the_end(
        pushes in prop::collection::vec((classes(), 0usize..3, 0usize..5, 1..=LONGEST), 1..200),
        slots in 1usize..4,
    ) {
        let mut rule = Rule::new(slots, BUDGET);
        for (item, (class, model, caller, tokens)) in pushes.iter().enumerate() {
            push(&mut rule, *class, &flow(*model, *caller, item as u64), *tokens, item);
        }
        let mut done = BTreeSet::new();
        while done.len() < pushes.len() {
            let next = rule.next(Class::Interactive).or_else(|| rule.next(Class::Bulk));
            let batch = next.expect("a free thread finds work");
            done.extend(items(&batch));
            rule.done(batch.start);
        }
        prop_assert_eq!(rule.tokens(Class::Interactive) + rule.tokens(Class::Bulk), 0);
    }

    /// Whoever always has work gets as much as another that always has, up to one batch
    /// and the largest items, whatever the sizes of their sequences.
    #[test]
    fn callers_that_always_have_work_are_served_alike(
        sizes in prop::collection::vec(1..=LONGEST, 2..6),
        class in classes(),
        batches in 1usize..60,
    ) {
        let mut rule = Rule::new(1, BUDGET);
        let mut served = vec![0u64; sizes.len()];
        for _ in 0..batches {
            for (caller, tokens) in sizes.iter().enumerate() {
                // More than a batch can take.
                for _ in 0..=BUDGET / tokens {
                    push(&mut rule, class, &flow(0, caller, caller as u64), *tokens, caller);
                }
            }
            let batch = rule.next(class).unwrap();
            for (_, entry) in &batch.cut.entries {
                served[entry.item] += entry.tokens;
            }
            rule.done(batch.start);
            let (least, most) = (served.iter().min().unwrap(), served.iter().max().unwrap());
            prop_assert!(most - least <= 2 * LONGEST, "{:?}", served);
        }
    }

    /// However much interactive work there is, bulk work that waits gets a batch before
    /// nine times a batch, and the batches of all threads, have passed it.
    #[test]
    fn bulk_work_never_starves(
        sizes in prop::collection::vec(1..=BUDGET, 1..300),
        slots in 1usize..4,
    ) {
        let mut rule = Rule::new(slots, BUDGET);
        let mut running = Vec::new();
        let mut passed = 0;
        for item in 0..1000 {
            push(&mut rule, Class::Bulk, &flow(0, 0, 0), BUDGET, item);
        }
        for size in sizes {
            push(&mut rule, Class::Interactive, &flow(0, 1, 1), size, 0);
            push(&mut rule, Class::Interactive, &flow(0, 1, 1), BUDGET, 0);
            for class in [Class::Interactive, Class::Bulk] {
                while let Some(batch) = rule.next(class) {
                    match class {
                        Class::Interactive => passed += batch.cut.tokens,
                        Class::Bulk => passed = 0,
                    }
                    running.push(batch.start);
                }
            }
            prop_assert!(passed <= (INTERACTIVE_PER_BULK + 1 + slots as u64) * BUDGET, "{passed}");
            if !running.is_empty() {
                rule.done(running.remove(0));
            }
        }
    }
}

#[test]
fn interactive_work_goes_first_and_bulk_work_only_into_a_slot_that_is_free() {
    let mut rule = Rule::new(1, BUDGET);
    push(&mut rule, Class::Bulk, &flow(0, 0, 1), 10, 1);
    push(&mut rule, Class::Interactive, &flow(0, 1, 2), 10, 2);
    assert!(rule.next(Class::Bulk).is_none());
    let batch = rule.next(Class::Interactive).unwrap();
    assert_eq!(items(&batch), [2]);
    assert!(rule.next(Class::Bulk).is_none(), "the slot is taken");
    rule.done(batch.start);
    assert_eq!(items(&rule.next(Class::Bulk).unwrap()), [1]);
    // A thread of higher priority computes at once, though bulk work has the slot.
    push(&mut rule, Class::Interactive, &flow(0, 1, 3), 10, 3);
    assert_eq!(items(&rule.next(Class::Interactive).unwrap()), [3]);
}

#[test]
fn a_free_thread_leaves_a_share_for_the_other_free_threads() {
    let mut rule = Rule::new(2, BUDGET);
    for item in 0..20 {
        push(&mut rule, Class::Interactive, &flow(0, 0, 0), 10, item);
    }
    let first = rule.next(Class::Interactive).unwrap();
    let second = rule.next(Class::Interactive).unwrap();
    assert_eq!((first.cut.tokens, second.cut.tokens), (100, 100));
}

#[test]
fn a_short_text_of_a_newcomer_is_in_the_next_batch() {
    let mut rule = Rule::new(1, BUDGET);
    for caller in 0..20 {
        for item in 0..10 {
            push(
                &mut rule,
                Class::Interactive,
                &flow(0, caller, caller as u64),
                200,
                item,
            );
        }
    }
    for _ in 0..7 {
        let batch = rule.next(Class::Interactive).unwrap();
        rule.done(batch.start);
    }
    push(&mut rule, Class::Interactive, &flow(0, 99, 99), 8, 1234);
    let mut waited = 0;
    loop {
        let batch = rule.next(Class::Interactive).unwrap();
        if items(&batch).contains(&1234) {
            break;
        }
        rule.done(batch.start);
        waited += 1;
    }
    assert!(
        waited <= 13,
        "{waited} batches, one for each caller not served yet"
    );
}

#[test]
fn models_share_by_tokens() {
    let mut rule = Rule::new(1, BUDGET);
    for item in 0..100 {
        push(&mut rule, Class::Interactive, &flow(0, 0, 0), 250, item);
        push(&mut rule, Class::Interactive, &flow(1, 1, 1), 50, item);
    }
    let mut served = [0, 0];
    for _ in 0..12 {
        let batch = rule.next(Class::Interactive).unwrap();
        served[batch.cut.model] += batch.cut.tokens;
        rule.done(batch.start);
    }
    assert_eq!(served, [1500, 1500]);
}
