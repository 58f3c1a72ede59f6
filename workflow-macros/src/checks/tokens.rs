//! Awaits in tokens that are no expression yet: the arguments of a macro with a
//! grammar of its own.

use proc_macro2::{Delimiter, Group, Ident, TokenStream, TokenTree};
use quote::{quote, quote_spanned};

use super::Checks;

/// `.await` becomes `.__durable().await`, `async {}` becomes `block(async {})`.
pub(super) fn check(checks: &mut Checks<'_>, tokens: TokenStream) -> TokenStream {
    let mut tokens = tokens.into_iter().peekable();
    let mut out = TokenStream::new();
    let mut after_dot = false;
    while let Some(token) = tokens.next() {
        let is_dot = matches!(&token, TokenTree::Punct(punct) if punct.as_char() == '.');
        match token {
            TokenTree::Ident(word) if word == "await" && after_dot => {
                checks.by_method = true;
                let method = Ident::new("__durable", word.span());
                out.extend(quote_spanned!(word.span()=> #method().#word));
            }
            TokenTree::Ident(word) if word == "async" => {
                let by_move = tokens.next_if(|next| is_word(next, "move"));
                match tokens.next_if(is_body) {
                    Some(TokenTree::Group(body)) => {
                        let block = checks.private("block", word.span());
                        let body = group(checks, &body);
                        out.extend(quote!(#block(#word #by_move #body)));
                    }
                    _ => {
                        if tokens.peek().is_some_and(is_bar) {
                            checks.fault("async_closure", word.span(), word.span());
                        }
                        out.extend(quote!(#word #by_move));
                    }
                }
            }
            TokenTree::Group(inner) => out.extend([TokenTree::Group(group(checks, &inner))]),
            token => out.extend([token]),
        }
        after_dot = is_dot;
    }
    out
}

fn group(checks: &mut Checks<'_>, group: &Group) -> Group {
    let mut checked = Group::new(group.delimiter(), check(checks, group.stream()));
    checked.set_span(group.span());
    checked
}

fn is_word(token: &TokenTree, word: &str) -> bool {
    matches!(token, TokenTree::Ident(ident) if ident == word)
}

fn is_body(token: &TokenTree) -> bool {
    matches!(token, TokenTree::Group(group) if group.delimiter() == Delimiter::Brace)
}

fn is_bar(token: &TokenTree) -> bool {
    matches!(token, TokenTree::Punct(punct) if punct.as_char() == '|')
}
