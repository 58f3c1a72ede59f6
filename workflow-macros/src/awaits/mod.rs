//! The check of what workflow code awaits, written into its body.
//!
//! `base.await` becomes `durable(base).await`, whose bound is the check, and
//! `async {}` becomes `block(async {})`, which is durable because its own awaits
//! were checked. Nested items are code of their own; closures are not. What the
//! type check cannot find becomes a call of a function that cannot be called.

mod macros;
mod tokens;

use proc_macro2::{Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::spanned::Spanned as _;
use syn::visit_mut::{self, VisitMut};
use syn::{Block, Expr, Item, Macro};

use crate::paths::{Paths, at, quiet};

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
    let imports = awaits.by_method.then(|| quote!(use #private::Await as _;));
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
                let span = awaited.await_token.span;
                let base = &*awaited.base;
                *awaited.base = match base {
                    // Braces and parentheses that had a purpose would be said to
                    // have none.
                    Expr::Block(_) => {
                        self.by_method = true;
                        Expr::Verbatim(quote_spanned!(quiet(span)=> #base.__durable()))
                    }
                    Expr::Paren(inner) if inner.attrs.is_empty() => self.durable(&inner.expr, span),
                    base => self.durable(base, span),
                };
            }
            Expr::Async(block) => {
                let block_fn = self.private("block", block.async_token.span);
                *expr = Expr::Verbatim(quote!(#block_fn(#block)));
            }
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
    fn private(&self, name: &str, span: Span) -> TokenStream {
        let (private, name) = (self.paths.private(), syn::Ident::new(name, span));
        at(quote!(#private::#name), quiet(span))
    }

    /// `durable(future)`; what is wrong is reported at the future.
    fn durable(&self, future: &Expr, span: Span) -> Expr {
        let durable = self.private("durable", span);
        Expr::Verbatim(quote!(#durable(#future)))
    }

    /// A future that is an argument of a macro, where no `.await` stands.
    fn argument(&mut self, future: &mut Expr) {
        self.visit_expr_mut(future);
        match future {
            // The macro may extend the life of what is borrowed here.
            Expr::Reference(reference) if !is_place(&reference.expr) => {
                let span = reference.expr.span();
                *reference.expr = self.durable(&reference.expr, span);
            }
            _ => *future = self.durable(future, future.span()),
        }
    }

    fn fault(&mut self, name: &str, first: Span, last: Span) {
        let private = at(self.paths.private(), last);
        let name = syn::Ident::new(name, last);
        // An error underlines from the first token to the last one.
        let mut path: Vec<_> = quote!(#private::#name).into_iter().collect();
        if let Some(token) = path.first_mut() {
            token.set_span(first);
        }
        let path: TokenStream = path.into_iter().collect();
        self.faults.extend(quote_spanned!(last=> #path();));
    }
}

/// Whether it names a place: what is borrowed stays there.
fn is_place(expr: &Expr) -> bool {
    matches!(expr, Expr::Path(_) | Expr::Field(_) | Expr::Index(_) | Expr::Unary(_))
}
