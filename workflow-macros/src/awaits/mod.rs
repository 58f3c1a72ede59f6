//! The check of what workflow code awaits, written into its body.
//!
//! `base.await` becomes `durable(base).await`, whose bound is the check, and
//! `async {}` becomes `block(async {})`, which is durable because its own awaits
//! were checked. Nested items are code of their own; closures are not. What the
//! type check cannot find becomes a call of a function that cannot be called.

mod macros;
mod tokens;

use proc_macro2::{Delimiter, Group, Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::spanned::Spanned as _;
use syn::visit_mut::{self, VisitMut};
use syn::{Block, Expr, Ident, Item, Macro};

use crate::paths::{Paths, at};

/// What a checked body needs beside it.
pub(crate) struct Checked {
    /// To stand in a block around the body.
    pub(crate) imports: TokenStream,
    /// Statements to stand first in the body.
    pub(crate) faults: TokenStream,
}

/// Checks the awaits of a body.
pub(crate) fn check(paths: &Paths, body: &mut Block) -> Checked {
    let mut awaits = Awaits { paths, faults: TokenStream::new(), by_method: false };
    awaits.visit_block_mut(body);
    let private = paths.private();
    // What calls the method may be configured out.
    let imports =
        awaits.by_method.then(|| quote!(#[allow(unused_imports)] use #private::Await as _;));
    Checked { imports: imports.unwrap_or_default(), faults: awaits.faults }
}

struct Awaits<'a> {
    paths: &'a Paths,
    faults: TokenStream,
    /// Tokens that could not be parsed call a method of a trait.
    by_method: bool,
}

impl VisitMut for Awaits<'_> {
    fn visit_expr_mut(&mut self, expr: &mut Expr) {
        visit_mut::visit_expr_mut(self, expr);
        match expr {
            Expr::Await(awaited) => {
                let base = &*awaited.base;
                *awaited.base = match base {
                    // Braces and parentheses that had a purpose would be said to
                    // have none.
                    Expr::Block(_) => {
                        self.by_method = true;
                        let span = awaited.await_token.span;
                        Expr::Verbatim(quote_spanned!(span=> #base.__durable()))
                    }
                    Expr::Paren(inner) if inner.attrs.is_empty() => {
                        self.wrapped("durable", &inner.expr)
                    }
                    base => self.wrapped("durable", base),
                };
            }
            Expr::Async(_) => *expr = self.wrapped("block", expr),
            Expr::Closure(closure) => {
                if let Some(token) = closure.asyncness {
                    self.fault("async_closure", token.span, closure.inputs_end.span());
                }
            }
            _ => {}
        }
    }

    fn visit_item_mut(&mut self, _: &mut Item) {}

    fn visit_macro_mut(&mut self, invocation: &mut Macro) {
        macros::check(self, invocation);
    }
}

impl Awaits<'_> {
    /// `name(expr)`, so that the compiler takes both for one expression: an
    /// error in the call is reported at `expr`.
    fn wrapped(&self, name: &str, expr: &impl ToTokens) -> Expr {
        let expr = expr.to_token_stream();
        let (first, last) = ends(&expr);
        let path = self.private(name, start(first));
        let mut argument = Group::new(Delimiter::Parenthesis, expr);
        argument.set_span(last);
        Expr::Verbatim(quote!(#path #argument))
    }

    fn private(&self, name: &str, span: Span) -> TokenStream {
        let (private, name) = (self.paths.private_at(span), Ident::new(name, span));
        let colons = at(quote!(::), span);
        quote!(#private #colons #name)
    }

    /// A future that is an argument of a macro, where no `.await` stands.
    fn argument(&mut self, future: &mut Expr) {
        self.visit_expr_mut(future);
        match future {
            // The macro may extend the life of what is borrowed here.
            Expr::Reference(reference) if !is_place(&reference.expr) => {
                *reference.expr = self.wrapped("durable", &reference.expr);
            }
            _ => *future = self.wrapped("durable", future),
        }
    }

    fn fault(&mut self, name: &str, first: Span, last: Span) {
        // An error underlines from the first token to the last one.
        let mut path: Vec<_> = self.private(name, last).into_iter().collect();
        if let Some(token) = path.first_mut() {
            token.set_span(first);
        }
        let path: TokenStream = path.into_iter().collect();
        self.faults.extend(quote_spanned!(last=> #path();));
    }
}

/// Its first token and its last one.
fn ends(tokens: &TokenStream) -> (Span, Span) {
    let mut spans = tokens.clone().into_iter().map(|token| token.span());
    let first = spans.next().unwrap_or_else(Span::call_site);
    (first, spans.last().unwrap_or(first))
}

/// The place before it, where an error has nothing to underline.
fn start(span: Span) -> Span {
    span.unwrap().start().into()
}

/// Whether it names a place: what is borrowed stays there.
fn is_place(expr: &Expr) -> bool {
    match expr {
        Expr::Paren(inner) => is_place(&inner.expr),
        expr => matches!(expr, Expr::Path(_) | Expr::Field(_) | Expr::Index(_) | Expr::Unary(_)),
    }
}
