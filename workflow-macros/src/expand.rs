//! Model to tokens. Nothing here can fail.
//!
//! The user's function stays as it is, under another name, but for the awaits of
//! a workflow, which are checked; beside it stand the visible function, which makes a call, and the implementations that tell the
//! runtime what it is. Paths are absolute, names that could clash begin with
//! two underscores, and every user type is checked in exactly one place that
//! carries its span.

use proc_macro2::{Delimiter, Group, Span, TokenStream};
use quote::{ToTokens as _, format_ident, quote, quote_spanned};
use syn::ext::IdentExt as _;
use syn::spanned::Spanned as _;
use syn::{Attribute, Error, FnArg, Ident, ItemFn, Visibility};

use crate::args::{OnMismatch, Retry};
use crate::checks;
use crate::model::{Kind, Model, Slot};
use crate::paths::{at, quiet};

pub(crate) fn function(model: &Model) -> TokenStream {
    let names = Names::new(model);
    let carried = carried(&model.item.attrs);
    let visible = visible(model, &names);
    let marker = marker(model, &names);
    let codecs = codecs(model);
    let inner = if model.is_declared { TokenStream::new() } else { inner(model, &names) };
    let definition = definition(model, &names);
    let behaviour = match model.kind {
        Kind::Step => step(model, &names),
        Kind::Workflow if model.is_declared => declared(model, &names),
        Kind::Workflow => workflow(model, &names),
    };
    quote! {
        #visible
        #(#carried)*
        #marker
        #(#carried)*
        const _: () = {
            #inner
            #codecs
            #definition
            #behaviour
        };
    }
}

/// The error, and the function as it was written.
pub(crate) fn fallback(mut item: ItemFn, error: &Error) -> TokenStream {
    for input in &mut item.sig.inputs {
        if let FnArg::Typed(input) = input {
            input.attrs.retain(|attribute| !attribute.path().is_ident("state"));
        }
    }
    let error = error.to_compile_error();
    quote!(#error #[allow(unused, clippy::all)] #item)
}

/// The error, and what was written.
pub(crate) fn with_error(item: &TokenStream, error: &Error) -> TokenStream {
    let error = error.to_compile_error();
    quote!(#error #item)
}

/// The attribute stands on something that is no function, or that cannot be
/// parsed: the compiler has its own words for that.
pub(crate) fn not_a_function(attribute: &str, item: &TokenStream, error: &Error) -> TokenStream {
    let first = item.clone().into_iter().next();
    let is_item = first.is_some_and(|token| {
        let text = token.to_string();
        ["struct", "enum", "impl", "mod", "trait", "static", "const", "type"].contains(&&*text)
    });
    let error = if is_item {
        let message = format!("`{attribute}` stands on an `async fn`");
        Error::new_spanned(item, message).to_compile_error()
    } else {
        error.to_compile_error()
    };
    quote!(#item #error)
}

struct Names {
    /// The type behind the function, in a module that nothing imports: the
    /// type namespace stays the user's.
    marker: TokenStream,
    marker_module: Ident,
    marker_type: Ident,
    /// The user's function.
    body: Ident,
    /// Parameters of the call.
    idents: Vec<Ident>,
    /// `()`, the one parameter, or a tuple.
    args_type: TokenStream,
    args_value: TokenStream,
}

impl Names {
    fn new(model: &Model) -> Self {
        let ident = &model.item.sig.ident;
        let mut marker_type = ident.clone();
        marker_type.set_span(Span::call_site());
        let marker_module = format_ident!("__{}", ident.unraw(), span = Span::call_site());
        let idents: Vec<Ident> = model
            .params()
            .map(|param| {
                let mut ident = param.ident.clone();
                ident.set_span(quiet(ident.span()));
                ident
            })
            .collect();
        let types: Vec<_> = model.params().map(|param| &param.ty).collect();
        let (args_type, args_value) = match (&types[..], &idents[..]) {
            ([ty], [ident]) => (quote!(#ty), quote!(#ident)),
            _ => (quote!((#(#types),*)), quote!((#(#idents),*))),
        };
        Self {
            marker: quote!(#marker_module::#marker_type),
            marker_module,
            marker_type,
            body: Ident::new(&format!("__{}", ident.unraw()), quiet(ident.span())),
            idents,
            args_type,
            args_value,
        }
    }
}

fn is_any(attribute: &Attribute, names: &[&str]) -> bool {
    names.iter().any(|name| attribute.path().is_ident(name))
}

/// What every generated item repeats.
fn carried(attrs: &[Attribute]) -> Vec<&Attribute> {
    attrs.iter().filter(|attribute| is_any(attribute, &["cfg", "cfg_attr", "allow"])).collect()
}

/// The function that the user calls.
fn visible(model: &Model, names: &Names) -> TokenStream {
    const KEPT: &[&str] =
        &["doc", "cfg", "cfg_attr", "allow", "warn", "deny", "must_use", "deprecated"];
    let ItemFn { attrs, vis, sig, block, .. } = &model.item;
    let attrs = attrs.iter().filter(|attribute| is_any(attribute, KEPT));
    let Names { marker, idents, args_value, .. } = names;
    let types = model.params().map(|param| &param.ty);
    let (fn_token, ident) = (&sig.fn_token, &sig.ident);
    let (private, root) = (model.paths.private(), model.paths.root_at(ident.span()));
    let call = quote!(#private::call::<#marker>(#args_value));
    // The item ends where the user's ended: `dead_code` speaks, and underlines
    // end there.
    let mut braces = Group::new(Delimiter::Brace, call);
    braces.set_span(block.brace_token.span.join());
    let arrow = at(quote!(->), ident.span());
    let marker = at(marker.clone(), quiet(ident.span()));
    let output = quote_spanned!(ident.span()=> #root::Call<#marker>);
    quote! {
        #(#attrs)*
        #[track_caller]
        #vis #fn_token #ident(#(#idents: #types),*) #arrow #output #braces
    }
}

fn marker(model: &Model, names: &Names) -> TokenStream {
    let Names { marker_module, marker_type, .. } = names;
    let vis = one_deeper(&model.item.vis);
    quote_spanned! {quiet(model.item.sig.ident.span())=>
        #[doc(hidden)]
        mod #marker_module {
            #vis enum #marker_type {}
        }
    }
}

/// The same visibility, said from a module inside: a type as visible as its
/// function may stand for private types.
fn one_deeper(vis: &Visibility) -> TokenStream {
    match vis {
        Visibility::Inherited => quote!(pub(super)),
        Visibility::Public(_) => quote!(pub),
        Visibility::Restricted(restricted) => {
            let path = &restricted.path;
            let first = path.segments.first().map(|segment| segment.ident.to_string());
            match first.as_deref() {
                Some("self") => quote!(pub(super)),
                Some("super") => quote!(pub(in super::#path)),
                _ => quote!(pub(in #path)),
            }
        }
    }
}

/// The user's own function, under a name that does not shadow the visible one.
fn inner(model: &Model, names: &Names) -> TokenStream {
    const OURS: &[&str] = &["doc", "must_use", "deprecated", "track_caller", "cfg", "cfg_attr"];
    let ItemFn { attrs, sig, block, .. } = &model.item;
    let attrs = attrs.iter().filter(|attribute| !is_any(attribute, OURS));
    let mut sig = sig.clone();
    sig.ident = names.body.clone();
    if model.kind == Kind::Step {
        return quote!(#(#attrs)* #sig #block);
    }
    let mut block = block.clone();
    let allowed = &model.args.allowed;
    let checks::Checked { imports, faults } = checks::check(&model.paths, allowed, &mut block);
    let clippy = checks::clippy(allowed);
    let stmts = &block.stmts;
    let mut body = Group::new(Delimiter::Brace, quote!(#faults #(#stmts)*));
    body.set_span(block.brace_token.span.join());
    quote!(#imports #(#attrs)* #clippy #sig #body)
}

/// Each argument type and the return type are checked where they stand.
fn codecs(model: &Model) -> TokenStream {
    let (private, output) = (model.paths.private(), &model.output);
    let args = model.params().map(|param| {
        let (ty, name) = (&param.ty, param.ident.unraw().to_string());
        let private = model.paths.private_at(ty.span());
        quote_spanned!(ty.span()=> #private::arg::<#ty>(#name),)
    });
    let types = model.params().map(|param| &param.ty);
    let (args_type, args) = if model.params().next().is_none() {
        (quote!(()), quote!(()))
    } else {
        (quote!((#(#private::Arg<#types>,)*)), quote!((#(#args)*)))
    };
    let at_output = model.paths.private_at(output.span());
    let returns = quote_spanned!(output.span()=> #at_output::returns::<#output>());
    quote! {
        static __ARGS: #args_type = #args;
        static __RETURNS: #private::Returns<#output> = #returns;
        #private::inventory::submit! {
            __RETURNS.error_type()
        }
    }
}

fn definition(model: &Model, names: &Names) -> TokenStream {
    let (root, private) = (model.paths.root(), model.paths.private());
    let Names { marker, args_type, .. } = names;
    let (name, output) = (&model.name, &model.output);
    let kind = match model.kind {
        Kind::Step => {
            quote!(#private::DefinitionKind::Step(<Self as #root::Step>::definition()))
        }
        Kind::Workflow => quote!(#private::DefinitionKind::Workflow(&__NAMED)),
    };
    let was = model.args.was.iter().flatten();
    quote! {
        impl #root::Definition for #marker {
            type Args = #args_type;
            type Return = #output;
            const NAME: &'static str = #name;

            fn args() -> &'static dyn #private::ArgsCodec<Self::Args> {
                &__ARGS
            }

            fn returns() -> &'static #private::Returns<Self::Return> {
                &__RETURNS
            }

            fn kind() -> #private::DefinitionKind {
                #kind
            }
        }
        const __NAMED: #private::Named = #private::Named {
            name: #name,
            was: &[#(#was),*],
            file: ::core::file!(),
            line: ::core::line!(),
        };
    }
}

fn step(model: &Model, names: &Names) -> TokenStream {
    let (root, private) = (model.paths.root(), model.paths.private());
    let Names { marker, args_value, body, idents, .. } = names;
    let mut idents = idents.iter();
    let values = model.slots.iter().map(|slot| match slot {
        Slot::Param(_) => idents.next().map(|ident| ident.to_token_stream()).unwrap_or_default(),
        Slot::State(ty) => {
            let private = model.paths.private_at(ty.span());
            quote_spanned!(ty.span()=> #private::state::<#ty>(&__state))
        }
    });
    let needs = model.slots.iter().filter_map(|slot| match slot {
        Slot::State(ty) => {
            let private = model.paths.private_at(ty.span());
            Some(quote_spanned!(ty.span()=> #private::StateNeed::of::<#ty>()))
        }
        Slot::Param(_) => None,
    });
    let span = quiet(model.item.sig.ident.span());
    let private_at = model.paths.private_at(span);
    let make = quote_spanned! {span=>
        #private_at::step_body(async move { #body(#(#values),*).await })
    };
    let retry_if = model.args.retry.as_ref().and_then(|retry| retry.condition.as_ref());
    let retry_if = retry_if.map(retry_if_fn);
    let retry = retry(&private, model.args.retry.as_ref());
    let at_most_once = model.args.at_most_once.is_some();
    let timeout = match model.args.timeout_ms {
        Some(ms) => quote!(::core::option::Option::Some(::core::time::Duration::from_millis(#ms))),
        None => quote!(::core::option::Option::None),
    };
    quote! {
        #[diagnostic::do_not_recommend]
        impl #root::Step for #marker {
            fn definition() -> &'static #private::StepDefinition {
                static DEFINITION: #private::StepDefinition = #private::StepDefinition {
                    named: __NAMED,
                    retry: #retry,
                    timeout: #timeout,
                    at_most_once: #at_most_once,
                    states: &[#(#needs),*],
                    run: #private::run_step::<#marker>,
                    fail: #private::fail_step::<#marker>,
                };
                &DEFINITION
            }

            fn body(
                __state: #private::Arc<#private::State>,
                #args_value: Self::Args,
            ) -> #private::StepBody<Self::Return> {
                #make
            }

            #retry_if
        }
        #private::inventory::submit! {
            #private::Registration::step::<#marker>()
        }
    }
}

fn retry_if_fn(condition: &syn::Path) -> TokenStream {
    let asked = quote_spanned!(condition.span()=> #condition(__error));
    quote! {
        fn retry_if(__returned: &Self::Return) -> bool {
            match __returned {
                ::core::result::Result::Err(__error) => #asked,
                ::core::result::Result::Ok(_) => true,
            }
        }
    }
}

fn retry(private: &TokenStream, retry: Option<&Retry>) -> TokenStream {
    let Some(Retry { attempts, first_ms, max_ms, factor, jitter, .. }) = retry else {
        return quote!(#private::RetryPolicy::NONE);
    };
    let attempts = attempts.unwrap_or(1);
    let mut policy = quote!(#private::RetryPolicy::new(#attempts));
    for (method, ms) in [("first", first_ms), ("max", max_ms)] {
        if let Some(ms) = ms {
            let method = format_ident!("{method}");
            policy = quote!(#policy.#method(::core::time::Duration::from_millis(#ms)));
        }
    }
    for (method, number) in [("factor", factor), ("jitter", jitter)] {
        if let Some(number) = number {
            let method = format_ident!("{method}");
            policy = quote!(#policy.#method(#number));
        }
    }
    policy
}

/// A workflow that another program runs.
fn declared(model: &Model, names: &Names) -> TokenStream {
    let (root, private) = (model.paths.root(), model.paths.private());
    let marker = &names.marker;
    quote! {
        #[diagnostic::do_not_recommend]
        impl #root::Workflow for #marker {
            fn definition() -> &'static #private::WorkflowDefinition {
                static DEFINITION: #private::WorkflowDefinition =
                    #private::declared(__NAMED);
                &DEFINITION
            }

            fn body(_: Self::Args) -> #private::WorkflowBody<Self::Return> {
                ::std::boxed::Box::pin(::core::future::pending())
            }
        }
    }
}

fn workflow(model: &Model, names: &Names) -> TokenStream {
    let (root, private) = (model.paths.root(), model.paths.private());
    let Names { marker, args_value, body, idents, .. } = names;
    let mut ident = model.item.sig.ident.clone();
    ident.set_span(quiet(ident.span()));
    let policy = match model.args.on_mismatch {
        None | Some(OnMismatch::Block) => quote!(Block),
        Some(OnMismatch::Fail) => quote!(Fail),
        Some(OnMismatch::Restart) => quote!(Restart),
    };
    quote! {
        #[diagnostic::do_not_recommend]
        impl #root::Workflow for #marker {
            fn definition() -> &'static #private::WorkflowDefinition {
                static DEFINITION: #private::WorkflowDefinition = #private::WorkflowDefinition {
                    named: __NAMED,
                    begin: #private::begin_workflow::<#marker>,
                    on_mismatch: #private::MismatchPolicy::#policy,
                };
                &DEFINITION
            }

            fn body(#args_value: Self::Args) -> #private::WorkflowBody<Self::Return> {
                ::std::boxed::Box::pin(#body(#(#idents),*))
            }
        }
        #private::inventory::submit! {
            #private::Registration::workflow::<#marker>()
        }
        // A stored run begins it by its name: it is never dead code.
        const _: () = {
            let _ = #ident;
        };
    }
}
