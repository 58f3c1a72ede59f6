//! The attribute macros of `workflow-runtime`. Use them through that crate.
//!
//! Every macro is a pipeline of three functions:
//!
//! ```text
//! tokens ──args──▶ arguments ──model──▶ checked facts ──expand──▶ tokens
//! ```
//!
//! `checks` writes what the compiler has to check into the bodies of workflows
//! and `#[durable]` functions.
//!
//! Errors come from `args` and `model` only, each at the tokens at fault, and
//! whatever is wrong the function itself is still emitted, so that its callers
//! give no errors of their own. `expand` cannot fail.

#![allow(clippy::wildcard_enum_match_arm, reason = "the enums of syn are open")]

mod args;
mod checks;
mod durable;
mod duration;
mod expand;
mod message;
mod model;
mod paths;
mod test;

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
    args::durable(args.into())
        .and_then(|(allowed, krate)| {
            durable::function(&paths::Paths::new(krate.as_ref()), &allowed, function)
        })
        .unwrap_or_else(|error| expand::with_error(&item, &error))
        .into()
}

/// Makes a type one that is sent to runs. Documented as
/// `workflow_runtime::signal`.
#[proc_macro_attribute]
pub fn signal(args: TokenStream, item: TokenStream) -> TokenStream {
    message(message::Kind::Signal, args, item)
}

/// Makes a type one that is sent to runs and answered. Documented as
/// `workflow_runtime::request`.
#[proc_macro_attribute]
pub fn request(args: TokenStream, item: TokenStream) -> TokenStream {
    message(message::Kind::Request, args, item)
}

/// Makes an `async fn` a test in the world of the test kit. Documented as
/// `workflow_runtime::test`.
#[proc_macro_attribute]
pub fn test(args: TokenStream, item: TokenStream) -> TokenStream {
    let item = item.into();
    test::test(args.into(), &item).unwrap_or_else(|error| expand::with_error(&item, &error)).into()
}

/// A test for each history file. Documented as
/// `workflow_runtime::testing::replay_tests`.
#[proc_macro]
pub fn replay_tests(input: TokenStream) -> TokenStream {
    test::replay_tests(input.into()).unwrap_or_else(|error| error.to_compile_error()).into()
}

fn message(kind: message::Kind, args: TokenStream, item: TokenStream) -> TokenStream {
    let item = item.into();
    message::message(kind, args.into(), &item)
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
        Err(error) => match syn::parse2::<model::Declared>(item.clone()) {
            Ok(declared) => return contract(kind, args, &declared),
            Err(_) => return expand::not_a_function(kind.attribute(), item, &error),
        },
    };
    let args = args::parse(kind, args);
    match args.and_then(|args| model::Model::new(kind, args, &parsed)) {
        Ok(model) => expand::function(&model),
        Err(error) => expand::fallback(parsed, &error),
    }
}

/// A function whose body is in another program.
fn contract(
    kind: Kind,
    args: proc_macro2::TokenStream,
    declared: &model::Declared,
) -> proc_macro2::TokenStream {
    let model = args::parse(kind, args).and_then(|args| model::Model::new(kind, args, &declared.0));
    match model.and_then(model::Model::declared) {
        Ok(model) => expand::function(&model),
        // Without the function: it has no body to show.
        Err(error) => error.to_compile_error(),
    }
}
