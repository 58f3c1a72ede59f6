use workflow_runtime::{Result, workflow};

macro_rules! tagged {
    (#$tag:ident => $value:expr) => {
        (stringify!($tag), $value)
    };
}

async fn read(file: &str) -> String {
    file.to_owned()
}

#[workflow]
async fn report() -> Result<String> {
    let text = format!("{:?}", tokio::fs::read("report").await);
    let all = vec![text, read("report").await];
    let (tag, rest) = tagged!(#tag => read("rest").await);
    Ok(all.join(tag) + &rest)
}

fn main() {}
