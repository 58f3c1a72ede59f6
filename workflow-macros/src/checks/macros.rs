//! The arguments of macros: `format!` and `vec!` as expressions,
//! `join!` and `select!` by what they mean, all others token by token.

use proc_macro2::{TokenStream, TokenTree};
use quote::{ToTokens as _, quote, quote_spanned};
use syn::ext::IdentExt as _;
use syn::parse::{ParseStream, Parser as _};
use syn::punctuated::Punctuated;
use syn::spanned::Spanned as _;
use syn::visit_mut::VisitMut as _;
use syn::{Expr, Ident, Macro, Pat, Path, Result, Token, token};

use super::{Checks, lints, tokens};

/// The macros whose arguments are awaited without `.await`.
#[derive(Clone, Copy, PartialEq)]
enum Known {
    /// All of them.
    Join,
    /// The first; branches are futures.
    Select,
    /// The first; branches that are variables are borrowed.
    FuturesSelect,
}

pub(super) fn check(checks: &mut Checks<'_>, invocation: &mut Macro) {
    checks.macro_name(invocation);
    let vouched = u32::from(lints::is_nondeterministic(&invocation.path));
    checks.vouched += vouched;
    arguments(checks, invocation);
    checks.vouched -= vouched;
}

fn arguments(checks: &mut Checks<'_>, invocation: &mut Macro) {
    let known = known(&invocation.path);
    if is_random(invocation) {
        let path = &invocation.path;
        let first = path.segments.first().map_or(invocation.bang_token.span, |first| {
            path.leading_colon.map_or(first.ident.span(), |colon| colon.spans[0])
        });
        checks.fault("random_select", first, invocation.bang_token.span);
    }
    let given = invocation.tokens.clone();
    let parsed = match known {
        Some(Known::Join) => (|input: ParseStream<'_>| join(checks, input)).parse2(given),
        Some(select) => (|input: ParseStream<'_>| branches(checks, select, input)).parse2(given),
        None => (|input: ParseStream<'_>| expressions(checks, input)).parse2(given),
    };
    invocation.tokens = match parsed {
        Ok(tokens) => tokens,
        Err(_) => {
            checks.tokens(&invocation.tokens);
            tokens::check(checks, invocation.tokens.clone())
        }
    };
}

/// By their names, and by the crates they come from if the path says so.
fn known(path: &Path) -> Option<Known> {
    let names: Vec<String> = path.segments.iter().map(|part| part.ident.to_string()).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    match names[..] {
        ["join" | "try_join"] | ["tokio" | "futures" | "futures_util", "join" | "try_join"] => {
            Some(Known::Join)
        }
        ["select"] | ["tokio", "select"] | [.., "workflow", "select"] => Some(Known::Select),
        ["select_biased"] | ["futures" | "futures_util", "select" | "select_biased"] => {
            Some(Known::FuturesSelect)
        }
        _ => None,
    }
}

/// A `select!` that draws where it begins; a bare one counts as tokio's.
fn is_random(invocation: &Macro) -> bool {
    let names: Vec<String> =
        invocation.path.segments.iter().map(|part| part.ident.to_string()).collect();
    match names.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["select"] | ["tokio" | "futures" | "futures_util", "select"] => {
            let first = invocation.tokens.clone().into_iter().next();
            !first.is_some_and(|token| matches!(token, TokenTree::Ident(word) if word == "biased"))
        }
        _ => false,
    }
}

/// `a, b.await, c = d.await` and `a.await; n`.
fn expressions(checks: &mut Checks<'_>, input: ParseStream<'_>) -> Result<TokenStream> {
    let mut out = TokenStream::new();
    let mut all = Vec::new();
    while !input.is_empty() {
        all.push(input.parse::<Expr>()?);
        if input.peek(Token![;]) {
            all.push(Expr::Verbatim(input.parse::<Token![;]>()?.to_token_stream()));
        } else if !input.is_empty() {
            all.push(Expr::Verbatim(input.parse::<Token![,]>()?.to_token_stream()));
        }
    }
    // Only now: what cannot be parsed to its end is checked in another way.
    for expr in &mut all {
        checks.visit_expr_mut(expr);
        expr.to_tokens(&mut out);
    }
    Ok(out)
}

/// `[biased;] a, b, c`
fn join(checks: &mut Checks<'_>, input: ParseStream<'_>) -> Result<TokenStream> {
    let biased = biased(input)?;
    let mut futures = Punctuated::<Expr, Token![,]>::parse_terminated(input)?;
    for future in &mut futures {
        checks.argument(future);
    }
    Ok(quote!(#biased #futures))
}

fn biased(input: ParseStream<'_>) -> Result<TokenStream> {
    let ahead = input.fork();
    let is_biased = ahead.call(Ident::parse_any).is_ok_and(|word| word == "biased");
    if !is_biased || !ahead.peek(Token![;]) {
        return Ok(TokenStream::new());
    }
    let (word, end) = (input.call(Ident::parse_any)?, input.parse::<Token![;]>()?);
    Ok(quote!(#word #end))
}

/// One branch of a `select!`: `pattern = future, if condition => handler`, or
/// `else => handler` and its like.
struct Branch {
    /// Pattern and `=`, or the word.
    head: TokenStream,
    future: Option<Expr>,
    condition: Option<(TokenStream, Expr)>,
    arrow: Token![=>],
    handler: Expr,
    comma: Option<Token![,]>,
}

impl syn::parse::Parse for Branch {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let (mut head, mut future, mut condition) = (TokenStream::new(), None, None);
        let is_word = input.peek(Ident::peek_any) && input.peek2(Token![=>]);
        if is_word {
            input.call(Ident::parse_any)?.to_tokens(&mut head);
        } else {
            Pat::parse_multi_with_leading_vert(input)?.to_tokens(&mut head);
            input.parse::<Token![=]>()?.to_tokens(&mut head);
            future = Some(input.parse()?);
        }
        if input.peek(Token![,]) {
            let (comma, word) = (input.parse::<Token![,]>()?, input.parse::<Token![if]>()?);
            condition = Some((quote!(#comma #word), input.parse()?));
        }
        let arrow = input.parse()?;
        let handler = if input.peek(token::Brace) {
            Expr::Block(syn::ExprBlock { attrs: Vec::new(), label: None, block: input.parse()? })
        } else {
            input.parse()?
        };
        Ok(Self { head, future, condition, arrow, handler, comma: input.parse()? })
    }
}

fn branches(checks: &mut Checks<'_>, known: Known, input: ParseStream<'_>) -> Result<TokenStream> {
    let mut out = biased(input)?;
    let mut all: Vec<Branch> = Vec::new();
    while !input.is_empty() {
        all.push(input.parse()?);
    }
    for mut branch in all {
        out.extend(branch.head);
        if let Some(mut future) = branch.future {
            if known == Known::FuturesSelect && matches!(future, Expr::Path(_)) {
                // The macro borrows a variable, and moves anything else.
                future = Expr::Verbatim(quote_spanned!(future.span()=> &mut #future));
            }
            checks.argument(&mut future);
            future.to_tokens(&mut out);
        }
        if let Some((words, mut condition)) = branch.condition {
            checks.visit_expr_mut(&mut condition);
            out.extend(quote!(#words #condition));
        }
        checks.visit_expr_mut(&mut branch.handler);
        let (arrow, handler, comma) = (branch.arrow, branch.handler, branch.comma);
        out.extend(quote!(#arrow #handler #comma));
    }
    Ok(out)
}
