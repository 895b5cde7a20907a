//! What the clients send: requests of mixed sizes, the same in every run.

/// Common words of one or two tokens, so that a text's words are about its tokens.
const WORDS: &str = "the train left station before night and every signal on line was green \
    because engine had passed bridge where river meets old town people waited for their friends \
    with coffee bread books letters questions about weather prices music work home children \
    school garden winter summer morning light water stone paper metal glass window door street \
    market office doctor teacher driver passenger ticket platform delay repair answer problem";

/// A small generator of random numbers (SplitMix64, Steele, Lea and Flood, OOPSLA 2014).
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number from 0 up to, not including, 1.
    pub(crate) fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn between(&mut self, least: usize, most: usize) -> usize {
        least + (self.unit() * (most - least + 1) as f64) as usize
    }

    /// The time to the next of events that come `rate` times a second on average, in
    /// seconds (exponential, as of independent callers).
    pub(crate) fn gap(&mut self, rate: f64) -> f64 {
        -(1.0 - self.unit()).ln() / rate
    }
}

/// A text of about so many tokens.
fn text(random: &mut Random, words: usize) -> String {
    let all: Vec<&str> = WORDS.split_whitespace().collect();
    let chosen: Vec<&str> = (0..words)
        .map(|_| all[random.between(0, all.len() - 1)])
        .collect();
    chosen.join(" ")
}

/// A search query.
pub(crate) fn query(random: &mut Random) -> Vec<String> {
    let words = random.between(3, 16);
    vec![text(random, words)]
}

/// A request of the mix: most are queries, some bring passages, few bring many texts.
pub(crate) fn mixed(random: &mut Random) -> Vec<String> {
    let (count, least, most) = match random.unit() {
        at if at < 0.60 => (1, 3, 16),
        at if at < 0.80 => (1, 60, 200),
        at if at < 0.93 => (4, 10, 60),
        at if at < 0.99 => (16, 10, 60),
        _ => (32, 5, 40),
    };
    (0..count)
        .map(|_| {
            let words = random.between(least, most);
            text(random, words)
        })
        .collect()
}

/// The large request: 10,000 texts like those of a catalogue.
pub(crate) fn large(random: &mut Random) -> Vec<String> {
    (0..10_000)
        .map(|_| {
            let words = random.between(5, 30);
            text(random, words)
        })
        .collect()
}
