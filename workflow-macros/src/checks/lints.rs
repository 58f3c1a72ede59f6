//! Lints: what the check of awaits does not see. Written beside it, into the
//! same walk through a body.

use proc_macro2::{Span, TokenStream, TokenTree};
use quote::{ToTokens as _, quote, quote_spanned};
use syn::spanned::Spanned as _;
use syn::{
    Attribute, Expr, ExprCall, ExprMethodCall, ExprPath, Ident, Local, Macro, Pat, Path, Stmt, Type,
};

use super::known::{self, Finding};
use super::{Checks, ends};
use crate::paths::quiet;

impl Checks<'_> {
    fn is_silent(&self, finding: Finding) -> bool {
        self.vouched > 0 || self.allowed.contains(&finding.code)
    }

    /// Reports what stands there.
    pub(super) fn report(&mut self, finding: Finding, first: Span, last: Span) {
        if !self.is_silent(finding) {
            self.fault(finding.function, first, last);
        }
    }

    /// What a path says by its names, or, uncalled, by the type it makes.
    pub(super) fn path(&mut self, expr: &ExprPath) -> Option<Expr> {
        if let Some(finding) = known::path(&expr.path) {
            let (first, last) = ends(&expr.to_token_stream());
            self.report(finding, first, last);
            return None;
        }
        let finding = typed(expr).filter(|finding| !self.is_silent(*finding))?;
        let probe = self.probe(known::makes(finding)?, expr.path.span(), &quote!(#expr));
        Some(self.leading(&quote!({ #probe #expr }), expr.path.span()))
    }

    /// A call: what it returns says what it does.
    pub(super) fn call(&mut self, call: &mut ExprCall) -> Option<Expr> {
        let Expr::Path(function) = &*call.func else { return None };
        if known::is_in_order(&function.path)
            && !self.is_silent(known::ORDER)
            && let Some(items) = call.args.first_mut()
        {
            *items = self.looked_at("walked", items.span(), items);
            return None;
        }
        if known::path(&function.path).is_some() {
            return None;
        }
        let finding = typed(function).filter(|finding| !self.is_silent(*finding))?;
        let span = function.path.segments.last().map_or_else(|| call.span(), |last| last.span());
        let call = self.looked_at(finding.function, span, &Expr::Call(call.clone()));
        Some(self.leading(&call.into_token_stream(), span))
    }

    pub(super) fn method(&mut self, call: &mut ExprMethodCall) {
        let name = call.method.to_string();
        if let Some(finding) = known::method(&name) {
            self.report(finding, call.method.span(), call.method.span());
        }
        if known::is_state_method(&name)
            && let Expr::Path(receiver) = &*call.receiver
            && known::is_static(&receiver.path)
        {
            let (first, _) = ends(&receiver.to_token_stream());
            self.report(known::GLOBAL, first, call.method.span());
        }
        // A place may be borrowed by the method: what is moved into the probe
        // is a value that nobody else has.
        let is_value = matches!(*call.receiver, Expr::MethodCall(_) | Expr::Call(_));
        if known::is_walk(&name) && is_value && !self.is_silent(known::ORDER) {
            *call.receiver = self.looked_at("walked", call.method.span(), &call.receiver);
        }
    }

    /// `for item in items`.
    pub(super) fn walked(&mut self, items: &mut Expr) {
        if !self.is_silent(known::ORDER) {
            *items = self.looked_at("walked", items.span(), items);
        }
    }

    /// `let _ = call.await;`
    pub(super) fn local(&mut self, local: &mut Local) {
        if let Pat::Wild(wild) = &local.pat
            && let Some(init) = &mut local.init
            && matches!(*init.expr, Expr::Await(_))
            && !self.is_silent(known::IGNORED)
        {
            let span = wild.underscore_token.span();
            *init.expr = self.looked_at("ignored", span, &init.expr);
        }
    }

    /// A macro, by its name; `{:p}` in its text.
    pub(super) fn macro_name(&mut self, invocation: &Macro) {
        if let Some(finding) = known::macro_path(&invocation.path) {
            let (first, _) = ends(&invocation.path.to_token_stream());
            self.report(finding, first, invocation.bang_token.span);
        }
        if let Some(TokenTree::Literal(text)) = invocation.tokens.clone().into_iter().next()
            && text.to_string().contains(":p}")
        {
            self.report(known::ADDRESS, text.span(), text.span());
        }
    }

    /// `&x as *const T as usize`: a number that was an address.
    pub(super) fn cast(&mut self, cast: &syn::ExprCast) {
        if let Expr::Cast(inner) = &*cast.expr
            && matches!(*inner.ty, Type::Ptr(_))
        {
            let (first, last) = ends(&cast.to_token_stream());
            self.report(known::ADDRESS, first, last);
        }
    }

    pub(super) fn item(&mut self, item: &syn::Item) {
        if let syn::Item::Static(item) = item
            && let syn::StaticMutability::Mut(token) = &item.mutability
        {
            self.report(known::STATIC_MUT, item.static_token.span, token.span);
        }
    }

    /// Paths in tokens that no expression could be made of.
    pub(super) fn tokens(&mut self, tokens: &TokenStream) {
        let mut names: Vec<Ident> = Vec::new();
        let mut colons = 0;
        for token in tokens.clone() {
            match token {
                TokenTree::Ident(name) => {
                    if colons != 2 {
                        self.named(&names);
                        names.clear();
                    }
                    names.push(name);
                    colons = 0;
                }
                TokenTree::Punct(punct) if punct.as_char() == ':' => colons += 1,
                TokenTree::Group(group) => {
                    self.named(&std::mem::take(&mut names));
                    self.tokens(&group.stream());
                }
                TokenTree::Punct(_) | TokenTree::Literal(_) => {
                    self.named(&std::mem::take(&mut names));
                }
            }
        }
        self.named(&names);
    }

    fn named(&mut self, idents: &[Ident]) {
        // A name that stands alone in the grammar of another may be anything.
        let [first, _, ..] = idents else { return };
        let names: Vec<String> = idents.iter().map(Ident::to_string).collect();
        if let (Some(finding), Some(last)) = (known::named(&names), idents.last()) {
            self.report(finding, first.span(), last.span());
        }
    }

    /// `match value { it => { probe; it } }`: what `value` borrows lives as long
    /// as it did.
    fn looked_at(&mut self, probe: &str, span: Span, value: &Expr) -> Expr {
        let it = Ident::new("__it", Span::mixed_site());
        let probe = self.probe(probe, span, &quote!(#it));
        let value = at_its_place(value);
        Expr::Verbatim(quote_spanned!(quiet(span)=> match #value { #it => { #probe #it } }))
    }

    /// A block that an expression may begin with: at the start of a statement,
    /// `{ .. } + 1` would end with the brace.
    fn leading(&self, block: &TokenStream, span: Span) -> Expr {
        let same = self.private_lint("same", quiet(span));
        Expr::Verbatim(quote_spanned!(quiet(span)=> #same(#block)))
    }

    /// `Seen(&value).probe();`
    fn probe(&mut self, probe: &str, span: Span, value: &TokenStream) -> TokenStream {
        self.by_type = true;
        let seen = self.private("lints", quiet(span));
        // Its place is where an error is shown.
        let probe = Ident::new(probe, span);
        quote_spanned!(quiet(span)=> #seen::Seen(&#value).#probe();)
    }
}

/// A struct literal cannot begin what is matched.
fn at_its_place(value: &Expr) -> TokenStream {
    let tokens = value.to_token_stream();
    if begins_with_braces(value) { quote!((#tokens)) } else { tokens }
}

fn begins_with_braces(value: &Expr) -> bool {
    match value {
        Expr::Struct(_) | Expr::Closure(_) | Expr::Range(_) => true,
        Expr::Await(expr) => begins_with_braces(&expr.base),
        Expr::Binary(expr) => begins_with_braces(&expr.left),
        Expr::Field(expr) => begins_with_braces(&expr.base),
        Expr::Index(expr) => begins_with_braces(&expr.expr),
        Expr::MethodCall(expr) => begins_with_braces(&expr.receiver),
        Expr::Try(expr) => begins_with_braces(&expr.expr),
        _ => false,
    }
}

fn typed(function: &ExprPath) -> Option<Finding> {
    match &function.qself {
        Some(of) if of.position > 0 => None,
        Some(_) => known::typed_of_qself(&function.path),
        None => known::typed(&function.path),
    }
}

/// The attributes of a statement.
pub(super) fn attributes(stmt: &Stmt) -> &[Attribute] {
    match stmt {
        Stmt::Local(local) => &local.attrs,
        Stmt::Macro(invocation) => &invocation.attrs,
        Stmt::Expr(expr, _) => of_expr(expr),
        Stmt::Item(_) => &[],
    }
}

fn of_expr(expr: &Expr) -> &[Attribute] {
    match expr {
        Expr::Block(expr) => &expr.attrs,
        Expr::ForLoop(expr) => &expr.attrs,
        Expr::If(expr) => &expr.attrs,
        Expr::Loop(expr) => &expr.attrs,
        Expr::Macro(expr) => &expr.attrs,
        Expr::Match(expr) => &expr.attrs,
        Expr::While(expr) => &expr.attrs,
        Expr::Call(expr) => &expr.attrs,
        Expr::MethodCall(expr) => &expr.attrs,
        Expr::Assign(expr) => &expr.attrs,
        _ => &[],
    }
}

/// Whether it is the escape.
pub(super) fn is_nondeterministic(path: &Path) -> bool {
    path.segments.last().is_some_and(|last| last.ident == "nondeterministic")
}
