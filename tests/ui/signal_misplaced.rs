use workflow_runtime::signal;

#[signal]
fn approve() {}

#[signal]
struct Approval<T> {
    by: T,
}

#[signal(reply = u32)]
struct Told;

fn main() {}
