//! Examples of workflow-runtime, one file each: `cargo run --example hello`.
