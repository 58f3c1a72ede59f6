use workflow_runtime::request;

#[request]
struct AddItem {
    name: String,
}

#[request(reply = NotStorable)]
struct Show;

struct NotStorable;

#[request(reply = u32, validate = is_small)]
struct Add(u32);

fn is_small(n: u32) -> bool {
    n < 100
}

fn main() {}
