use std::collections::HashMap;

use workflow_runtime::lints::{HashOrdered, SystemClock};
use workflow_runtime::{Result, workflow};

struct Stopwatch(std::time::Instant);

impl Stopwatch {
    fn now() -> Self {
        Self(std::time::Instant::now())
    }
}

impl SystemClock for Stopwatch {}

struct Shelf(HashMap<String, u32>);

impl<'a> IntoIterator for &'a Shelf {
    type Item = (&'a String, &'a u32);
    type IntoIter = std::collections::hash_map::Iter<'a, String, u32>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

impl HashOrdered for &Shelf {}

#[workflow]
async fn uses_them() -> Result<bool> {
    let began = Stopwatch::now();
    let shelf = Shelf(HashMap::new());
    for _book in &shelf {}
    Ok(began.0.elapsed().is_zero())
}

fn main() {}
