//! The attribute macros of `workflow-runtime`. Use them through that crate.
//!
//! Every macro is a pipeline of three functions:
//!
//! ```text
//! tokens ──args──▶ arguments ──model──▶ checked facts ──expand──▶ tokens
//! ```
//!
//! `awaits` writes the check of what is awaited into the bodies of workflows
//! and `#[durable]` functions.
//!
//! Errors come from `args` and `model` only, each at the tokens at fault, and
//! whatever is wrong the function itself is still emitted, so that its callers
//! give no errors of their own. `expand` cannot fail.

#![allow(clippy::wildcard_enum_match_arm, reason = "the enums of syn are open")]

mod args;
mod awaits;
mod durable;
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

/// Makes an `async fn` one whose future workflows may await. Documented as
/// `workflow_runtime::durable`.
#[proc_macro_attribute]
pub fn durable(args: TokenStream, item: TokenStream) -> TokenStream {
    let item = proc_macro2::TokenStream::from(item);
    let function = match syn::parse2::<durable::Function>(item.clone()) {
        Ok(function) => function,
        Err(error) => return expand::not_a_function("#[durable]", &item, &error).into(),
    };
    let krate = args::only_crate(args.into());
    krate
        .and_then(|krate| durable::function(&paths::Paths::new(krate.as_ref()), function))
        .unwrap_or_else(|error| expand::with_error(&item, &error))
        .into()
}

fn function(
    kind: Kind,
    args: proc_macro2::TokenStream,
    item: &proc_macro2::TokenStream,
) -> proc_macro2::TokenStream {
    let parsed = match syn::parse2::<syn::ItemFn>(item.clone()) {
        Ok(parsed) => parsed,
        Err(error) => return expand::not_a_function(kind.attribute(), item, &error),
    };
    let args = args::parse(kind, args);
    match args.and_then(|args| model::Model::new(kind, args, &parsed)) {
        Ok(model) => expand::function(&model),
        Err(error) => expand::fallback(parsed, &error),
    }
}
