//! Chance that can be repeated: a seed that is printed.

/// Numbers from a seed: `SplitMix64`.
#[derive(Debug)]
pub struct Chance(u64);

impl Chance {
    /// With the seed in that environment variable, or always the same; prints
    /// it.
    ///
    /// # Panics
    ///
    /// If the variable holds no number.
    #[must_use]
    #[expect(clippy::print_stdout, clippy::expect_used, reason = "a seed that nobody sees is lost")]
    pub fn from_env(name: &str) -> Self {
        let seed = std::env::var(name).map_or(20_261_123, |text| text.parse().expect("a number"));
        println!("{name}={seed}");
        Self(seed)
    }

    /// A number below `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % end
    }
}
