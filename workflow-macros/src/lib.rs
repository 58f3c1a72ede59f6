//! The attribute macros of `workflow-runtime`. Use them through that crate.
//!
//! Every macro is a pipeline of three functions:
//!
//! ```text
//! tokens ──args──▶ arguments ──model──▶ checked facts ──expand──▶ tokens
//! ```
//!
//! Errors come from `args` and `model` only, each at the tokens at fault, and
//! whatever is wrong the function itself is still emitted, so that its callers
//! give no errors of their own. `expand` cannot fail.

#![allow(clippy::wildcard_enum_match_arm, reason = "the enums of syn are open")]

mod args;
mod duration;
mod expand;
mod model;
mod paths;

use proc_macro::TokenStream;

use model::Kind;

/// Makes an `async fn` a durable step. Documented as `workflow_runtime::step`.
#[proc_macro_attribute]
pub fn step(args: TokenStream, item: TokenStream) -> TokenStream {
    function(Kind::Step, args.into(), &item.into()).into()
}

/// Makes an `async fn` a durable workflow. Documented as
/// `workflow_runtime::workflow`.
#[proc_macro_attribute]
pub fn workflow(args: TokenStream, item: TokenStream) -> TokenStream {
    function(Kind::Workflow, args.into(), &item.into()).into()
}

fn function(
    kind: Kind,
    args: proc_macro2::TokenStream,
    item: &proc_macro2::TokenStream,
) -> proc_macro2::TokenStream {
    let parsed = match syn::parse2::<syn::ItemFn>(item.clone()) {
        Ok(parsed) => parsed,
        Err(error) => return expand::not_a_function(kind, item, &error),
    };
    let args = args::parse(kind, args);
    match args.and_then(|args| model::Model::new(kind, args, &parsed)) {
        Ok(model) => expand::function(&model),
        Err(error) => expand::fallback(parsed, &error),
    }
}
