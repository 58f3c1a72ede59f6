#![deny(warnings)]

use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

use workflow_runtime::{Result, workflow};

static COUNT: AtomicU32 = AtomicU32::new(0);
static LAST: Mutex<u32> = Mutex::new(0);

#[workflow]
async fn counts() -> Result<u32> {
    static mut CALLS: u32 = 0;
    *LAST.lock().unwrap() = 1;
    Ok(COUNT.fetch_add(1, Ordering::Relaxed))
}

fn main() {}
