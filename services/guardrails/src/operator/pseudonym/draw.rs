//! Numbers that only whoever has the key can tell from chance, the same for the same
//! input: blocks of HMAC-SHA-256 over the input and a counter.

use ring::hmac;

pub(super) struct Draw {
    input: hmac::Context,
    block: [u8; 32],
    used: usize,
    counter: u32,
}

impl Draw {
    pub(super) fn new(key: &hmac::Key, parts: &[&str]) -> Self {
        let mut input = hmac::Context::with_key(key);
        for part in parts {
            // With their lengths, so that no part can reach into the next.
            input.update(&(part.len() as u64).to_le_bytes());
            input.update(part.as_bytes());
        }
        Self {
            input,
            block: [0; 32],
            used: 32,
            counter: 0,
        }
    }

    /// 64 bits.
    pub(super) fn bits(&mut self) -> u64 {
        if self.used + 8 > self.block.len() {
            let mut input = self.input.clone();
            input.update(&self.counter.to_le_bytes());
            self.block.copy_from_slice(input.sign().as_ref());
            self.counter += 1;
            self.used = 0;
        }
        let mut bits = [0; 8];
        bits.copy_from_slice(&self.block[self.used..self.used + 8]);
        self.used += 8;
        u64::from_le_bytes(bits)
    }

    /// A number under `count`; one is likelier than another by less than 2^-32.
    pub(super) fn below(&mut self, count: u32) -> u32 {
        let scaled = u128::from(self.bits()) * u128::from(count);
        (scaled >> 64) as u32
    }

    pub(super) fn digit(&mut self) -> u8 {
        self.below(10) as u8
    }

    pub(super) fn one_of<'l>(&mut self, list: &[&'l str]) -> &'l str {
        list.get(self.below(list.len() as u32) as usize)
            .copied()
            .unwrap_or_default()
    }
}
