//! What the checks of workflow code let pass.

#![allow(clippy::disallowed_types, reason = "they are what is let pass")]

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use workflow_runtime::{Result, durable, step, workflow};

#[step]
pub(crate) async fn note(text: String) -> Result<usize> {
    Ok(text.len())
}

/// Names of others, and nothing else of them.
mod domain {
    #[derive(Debug)]
    pub(super) struct Instant(pub(super) u32);

    impl Instant {
        pub(super) fn now(at: u32) -> Self {
            Self(at)
        }
    }

    #[derive(Debug)]
    pub(super) struct Command(pub(super) u32);

    impl Command {
        pub(super) fn new(number: u32) -> Self {
            Self(number)
        }
    }

    pub(super) struct File;

    impl File {
        pub(super) fn open(self) -> u32 {
            7
        }
    }

    pub(super) struct Order {
        pub(super) now: u32,
        pub(super) random: u32,
    }

    impl Order {
        pub(super) fn now(&self) -> u32 {
            self.now
        }

        pub(super) fn spawn(&self) -> u32 {
            self.random
        }
    }
}

trait Clock {
    fn now() -> u32;
}

struct Fixed;

impl Clock for Fixed {
    fn now() -> u32 {
        12
    }
}

#[durable]
async fn generic_clock<T: Clock>() -> u32 {
    T::now() + <T as Clock>::now()
}

/// Types of the user with the names of others, in every position.
#[workflow]
pub(crate) async fn own_names(seed: u32) -> Result<u32> {
    use domain::{Command, File, Instant, Order};
    let order = Order { now: seed, random: 1 };
    let now = Instant::now(seed).0;
    let random = Command::new(now).0;
    let spawn = order.now() + order.spawn() + File.open();
    let sleep = workflow::now();
    workflow::sleep(Duration::from_millis(1)).await;
    let later = workflow::now().since(sleep).as_secs();
    let clock = generic_clock::<Fixed>().await;
    Ok(now + random + spawn + clock + u32::try_from(later).unwrap_or(0))
}

/// Loops over what has an order.
#[workflow]
pub(crate) async fn loops(words: Vec<String>) -> Result<usize> {
    let mut sum = 0;
    for n in 0..3 {
        sum += n;
    }
    for word in &words {
        sum += note(word.clone()).await?;
    }
    let by_length: BTreeMap<usize, &String> = words.iter().map(|word| (word.len(), word)).collect();
    for (length, word) in &by_length {
        sum += length + word.len();
    }
    for part in "a b".split(' ') {
        sum += part.len();
    }
    for number in ["1", "x"].iter().filter_map(|text| text.parse().ok()) {
        let number: usize = number;
        sum += number;
    }
    let mut buffer = vec![1, 2];
    for slot in &mut buffer {
        *slot += 1;
    }
    for slot in buffer.drain(..) {
        sum += slot;
    }
    let cell = RefCell::new(vec![1]);
    for one in cell.borrow().iter() {
        sum += one;
    }
    (0..2).for_each(|n| sum += n);
    Ok(sum)
}

/// A hash table that is looked into, and one whose keys are sorted.
#[workflow]
pub(crate) async fn tables(words: Vec<String>) -> Result<usize> {
    let mut seen: HashMap<String, usize> = HashMap::new();
    for word in &words {
        *seen.entry(word.clone()).or_insert(0) += 1;
    }
    let distinct: HashSet<&String> = words.iter().collect();
    let mut keys: Vec<&String> = seen.keys().collect();
    keys.sort();
    let mut sum = distinct.len() + seen.values().sum::<usize>();
    for key in keys {
        sum += note(key.clone()).await? + seen.get(key).copied().unwrap_or(0);
    }
    Ok(sum)
}

/// Values that only look like chance, and what is answered for.
#[workflow]
pub(crate) async fn values(seed: u64) -> Result<bool> {
    let found = free("HOME".to_owned()).await?;
    let parsed = uuid::Uuid::parse_str("67e55044-10b1-426f-9247-bb680e5fe0c8");
    let text = "Instant::now() and std::env::var in a text";
    let version = env!("CARGO_PKG_VERSION");
    let logged = workflow::nondeterministic!("only logged", std::time::Instant::now());
    #[cfg(any())]
    let never = std::time::Instant::now();
    #[cfg(any())]
    println!("configured out");
    #[allow(clippy::disallowed_methods, reason = "an item is code of its own")]
    fn nested() -> std::time::Instant {
        std::time::Instant::now()
    }
    let _place: std::net::IpAddr = std::net::Ipv4Addr::LOCALHOST.into();
    let nested: fn() -> _ = nested;
    let _of_no_use = (logged, nested);
    Ok(parsed.is_ok() && text.len() + version.len() > 0 && seed > 0 && found)
}

/// Codes that a whole function allows.
#[workflow(allow(
    WF008,
    WF010,
    reason = "all items are summed up; the line is for a demonstration"
))]
pub(crate) async fn allowed(words: Vec<String>) -> Result<usize> {
    let lengths: HashSet<usize> = words.iter().map(String::len).collect();
    let mut sum = 0;
    for length in &lengths {
        sum += length;
    }
    #[allow(clippy::print_stdout, reason = "for a demonstration")]
    {
        println!("{sum}");
    }
    Ok(sum)
}

/// A step may do all of it.
#[step]
pub(crate) async fn free(name: String) -> Result<bool> {
    let began = workflow_free::now();
    let found = std::env::var(name).is_ok();
    Ok(found || began.elapsed() < Duration::from_secs(3_600))
}

mod workflow_free {
    #[allow(clippy::disallowed_methods, reason = "what a step may do")]
    pub(super) fn now() -> std::time::Instant {
        std::time::Instant::now()
    }
}
