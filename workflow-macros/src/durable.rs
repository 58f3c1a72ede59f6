//! `#[durable]`: an `async fn` whose future workflows may await.
//!
//! It becomes a plain function that returns `impl DurableFuture` and does in an
//! `async` block what the `async fn` did: it takes all its arguments along,
//! used or not, and an error in it is reported where it is.

use proc_macro2::TokenStream;
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::parse::{Parse, ParseStream};
use syn::visit_mut::VisitMut;
use syn::{
    Attribute, Block, Error, FnArg, Pat, Result, ReturnType, Signature, Token, Type, Visibility,
};

use crate::checks::{self, Code};
use crate::paths::{Paths, at, quiet};

/// A function, a method, or one of a trait, which may have no body.
pub(crate) struct Function {
    attrs: Vec<Attribute>,
    vis: Visibility,
    sig: Signature,
    body: Option<Block>,
}

impl Parse for Function {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let mut attrs = input.call(Attribute::parse_outer)?;
        let (vis, sig) = (input.parse()?, input.parse()?);
        if input.parse::<Option<Token![;]>>()?.is_some() {
            return Ok(Self { attrs, vis, sig, body: None });
        }
        let inner;
        let brace_token = syn::braced!(inner in input);
        attrs.extend(inner.call(Attribute::parse_inner)?);
        let stmts = inner.call(Block::parse_within)?;
        Ok(Self { attrs, vis, sig, body: Some(Block { brace_token, stmts }) })
    }
}

/// The function as it is after the macro, or what is wrong with it.
pub(crate) fn function(
    paths: &Paths,
    allowed: &[Code],
    mut function: Function,
) -> Result<TokenStream> {
    check(&function)?;
    let output = match &function.sig.output {
        ReturnType::Default => quote!(()),
        ReturnType::Type(_, ty) => ty.to_token_stream(),
    };
    let body = match function.body.take() {
        Some(body) => body_tokens(paths, allowed, &mut function.sig, body),
        None => quote!(;),
    };
    let Function { attrs, vis, mut sig, .. } = function;
    // These tokens are of this crate's edition: the type captures all that the
    // future of an `async fn` would.
    let span = quiet(sig.asyncness.map_or(sig.ident.span(), |token| token.span));
    let (arrow, imp) = (at(quote!(->), span), at(quote!(impl), span));
    let future = at(paths.root().clone(), span);
    sig.asyncness = None;
    sig.output = ReturnType::Default;
    let generics = std::mem::take(&mut sig.generics.where_clause);
    let clippy = checks::clippy(allowed);
    Ok(quote! {
        #(#attrs)* #clippy #vis #sig #arrow #imp #future::DurableFuture<Output = #output> #generics #body
    })
}

fn check(function: &Function) -> Result<()> {
    let sig = &function.sig;
    if sig.asyncness.is_none() {
        let message = if is_pin(&sig.output) {
            "a durable function is an `async fn`, and this one returns a box. If `async_trait` made \
             it: that is not needed here, `#[durable]` works on methods of traits"
                .to_owned()
        } else {
            format!("a durable function is an `async fn`: write `async fn {}`", sig.ident)
        };
        return Err(Error::new_spanned(sig.fn_token, message));
    }
    if let Some(token) = &sig.constness {
        return Err(Error::new_spanned(token, "a durable function is not `const`"));
    }
    if let ReturnType::Type(_, ty) = &sig.output
        && matches!(**ty, Type::Never(_))
    {
        let message = "a future that never ends has the result `std::convert::Infallible`";
        return Err(Error::new_spanned(ty, message));
    }
    let instrument = function.attrs.iter().find(|attribute| {
        attribute.path().segments.last().is_some_and(|name| name.ident == "instrument")
    });
    match instrument {
        Some(attribute) => Err(Error::new_spanned(
            attribute,
            "put `#[instrument]` above `#[durable]`: below it, the span would end before the \
             function begins",
        )),
        None => Ok(()),
    }
}

fn is_pin(output: &ReturnType) -> bool {
    match output {
        ReturnType::Type(_, ty) => match &**ty {
            Type::Path(ty) => ty.path.segments.last().is_some_and(|last| last.ident == "Pin"),
            _ => false,
        },
        ReturnType::Default => false,
    }
}

/// The body; parameters that are patterns become names in the signature.
fn body_tokens(
    paths: &Paths,
    allowed: &[Code],
    sig: &mut Signature,
    mut body: Block,
) -> TokenStream {
    let checks::Checked { imports, faults } = checks::check(paths, allowed, &mut body);
    let params = params(sig);
    let returned = returned(&sig.output);
    let (private, stmts) = (paths.private(), &body.stmts);
    // Where `async fn` would be blamed for the future.
    let inside = quote_spanned! {quiet(sig.ident.span())=>
        #imports
        #private::block(async move {
            #params
            #returned
            #faults
            #(#stmts)*
        })
    };
    let mut braces = proc_macro2::Group::new(proc_macro2::Delimiter::Brace, inside);
    braces.set_span(body.brace_token.span.join());
    braces.to_token_stream()
}

/// Takes every parameter along: those of an `async fn` live as long as its
/// future.
fn params(sig: &mut Signature) -> TokenStream {
    let mut bound = TokenStream::new();
    for (n, input) in sig.inputs.iter_mut().enumerate() {
        let input = match input {
            FnArg::Typed(input) => input,
            FnArg::Receiver(receiver) => {
                let receiver = at(receiver.self_token.to_token_stream(), quiet(sig.ident.span()));
                bound.extend(quote!(let _ = &#receiver;));
                continue;
            }
        };
        let pattern = (*input.pat).clone();
        let cfg = input.attrs.iter().filter(|attribute| attribute.path().is_ident("cfg"));
        let cfg = quote!(#(#cfg)*);
        match &mut *input.pat {
            Pat::Ident(named) if named.subpat.is_none() && named.by_ref.is_none() => {
                named.mutability = None;
                let value = at(named.ident.to_token_stream(), quiet(named.ident.span()));
                bound.extend(quote!(#cfg let #pattern = #value;));
            }
            _ => {
                let name = format_ident!("__arg{n}");
                bound.extend(quote!(#cfg let #name = #name; #cfg let #pattern = #name;));
                *input.pat = Pat::Verbatim(name.to_token_stream());
            }
        }
    }
    bound
}

/// Tells the block its type before its first statement: a wrong one is reported
/// where it is returned.
fn returned(output: &ReturnType) -> TokenStream {
    let mut ty: Type = match output {
        ReturnType::Default => syn::parse_quote!(()),
        ReturnType::Type(_, ty) => (**ty).clone(),
    };
    Inferred.visit_type_mut(&mut ty);
    quote_spanned! {quiet(proc_macro2::Span::call_site())=>
        #[allow(
            unknown_lints, unreachable_code, clippy::diverging_sub_expression, clippy::empty_loop,
            clippy::let_unit_value, clippy::let_with_type_underscore, clippy::needless_return,
            clippy::unreachable
        )]
        if false {
            let __returned: #ty = loop {};
            return __returned;
        }
    }
}

/// `impl Trait` cannot be the type of a variable.
struct Inferred;

impl VisitMut for Inferred {
    fn visit_type_mut(&mut self, ty: &mut Type) {
        match ty {
            Type::ImplTrait(_) => *ty = syn::parse_quote!(_),
            ty => syn::visit_mut::visit_type_mut(self, ty),
        }
    }
}
