//! The checks of workflow code, written into its body.
//!
//! `base.await` becomes `durable(base).await`, whose bound is the check, and
//! `async {}` becomes `block(async {})`, which is durable because its own awaits
//! were checked. What is known by its name or its type ([`lints`]) is looked at
//! in the same walk. Nested items are code of their own; closures are not. What
//! the type check cannot find becomes a call of a function that cannot be called.

mod known;
mod lints;
mod macros;
mod tokens;

use proc_macro2::{Delimiter, Group, Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::spanned::Spanned as _;
use syn::visit_mut::{self, VisitMut};
use syn::{Attribute, Block, Expr, Ident, Item, Macro, Stmt};

use crate::paths::{Paths, at};

/// What can be allowed in a workflow, as it is written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Code {
    Wf001,
    Wf002,
    Wf004,
    Wf005,
    Wf007,
    Wf008,
    Wf009,
    Wf010,
    Wf011,
    Wf014,
}

impl Code {
    pub(crate) const ALL: &[(&str, Self)] = &[
        ("WF001", Self::Wf001),
        ("WF002", Self::Wf002),
        ("WF004", Self::Wf004),
        ("WF005", Self::Wf005),
        ("WF007", Self::Wf007),
        ("WF008", Self::Wf008),
        ("WF009", Self::Wf009),
        ("WF010", Self::Wf010),
        ("WF011", Self::Wf011),
        ("WF014", Self::Wf014),
    ];
}

/// What a checked body needs beside it.
pub(crate) struct Checked {
    /// To stand in a block around the body.
    pub(crate) imports: TokenStream,
    /// Statements to stand first in the body.
    pub(crate) faults: TokenStream,
}

/// Checks a body; what is `allowed` is let pass.
pub(crate) fn check(paths: &Paths, allowed: &[Code], body: &mut Block) -> Checked {
    let mut checks = Checks {
        paths,
        allowed,
        faults: TokenStream::new(),
        by_method: false,
        by_type: false,
        vouched: 0,
        configured: Vec::new(),
    };
    checks.visit_block_mut(body);
    let private = paths.private();
    // What calls the methods may be configured out.
    let awaits =
        checks.by_method.then(|| quote!(#[allow(unused_imports)] use #private::Await as _;));
    let lints = checks
        .by_type
        .then(|| quote!(#[allow(unused_imports)] use #private::lints::Harmless as _;));
    Checked { imports: quote!(#awaits #lints), faults: checks.faults }
}

/// The lints of `clippy` that know the names of other crates, for workflow code.
pub(crate) fn clippy(allowed: &[Code]) -> TokenStream {
    const METHODS: &[Code] =
        &[Code::Wf001, Code::Wf002, Code::Wf004, Code::Wf005, Code::Wf007, Code::Wf011];
    let level = |codes: &[Code], lint: TokenStream| {
        let is_allowed = codes.iter().any(|code| allowed.contains(code));
        if is_allowed { quote!(#[allow(#lint)]) } else { quote!(#[deny(#lint)]) }
    };
    let methods = level(METHODS, quote!(clippy::disallowed_methods));
    let order = level(&[Code::Wf008], quote!(clippy::iter_over_hash_type));
    quote!(#methods #order)
}

struct Checks<'a> {
    paths: &'a Paths,
    allowed: &'a [Code],
    faults: TokenStream,
    /// Tokens that could not be parsed call a method of a trait.
    by_method: bool,
    /// A probe calls a method of a trait.
    by_type: bool,
    /// Inside so many `nondeterministic!`.
    vouched: u32,
    /// The `#[cfg(..)]` of the statements around.
    configured: Vec<Attribute>,
}

impl VisitMut for Checks<'_> {
    fn visit_expr_mut(&mut self, expr: &mut Expr) {
        match expr {
            // Its function is no value of its own.
            Expr::Call(call) if matches!(*call.func, Expr::Path(_)) => {
                if let Expr::Path(function) = &*call.func
                    && let Some(finding) = known::path(&function.path)
                {
                    let (first, last) = ends(&function.to_token_stream());
                    self.report(finding, first, last);
                }
                call.args.iter_mut().for_each(|argument| self.visit_expr_mut(argument));
            }
            _ => visit_mut::visit_expr_mut(self, expr),
        }
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
            Expr::ForLoop(walk) => self.walked(&mut walk.expr),
            Expr::MethodCall(call) => self.method(call),
            Expr::Cast(cast) => self.cast(cast),
            Expr::Path(path) => {
                if let Some(probed) = self.path(path) {
                    *expr = probed;
                }
            }
            Expr::Call(call) => {
                if let Some(probed) = self.call(call) {
                    *expr = probed;
                }
            }
            _ => {}
        }
    }

    fn visit_stmt_mut(&mut self, stmt: &mut Stmt) {
        let before = self.configured.len();
        let configured = lints::attributes(stmt).iter().filter(|one| one.path().is_ident("cfg"));
        self.configured.extend(configured.cloned());
        visit_mut::visit_stmt_mut(self, stmt);
        if let Stmt::Local(local) = stmt {
            self.local(local);
        }
        self.configured.truncate(before);
    }

    fn visit_item_mut(&mut self, item: &mut Item) {
        self.item(item);
    }

    fn visit_macro_mut(&mut self, invocation: &mut Macro) {
        macros::check(self, invocation);
    }
}

impl Checks<'_> {
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

    fn private_lint(&self, name: &str, span: Span) -> TokenStream {
        let (lints, name) = (self.private("lints", span), Ident::new(name, span));
        let colons = at(quote!(::), span);
        quote!(#lints #colons #name)
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
        let mut path: Vec<_> = self.private_lint(name, last).into_iter().collect();
        if let Some(token) = path.first_mut() {
            token.set_span(first);
        }
        let path: TokenStream = path.into_iter().collect();
        let configured = &self.configured;
        self.faults.extend(quote_spanned!(last=> #(#configured)* #path();));
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
