//! The one place that names the runtime crate in generated code.

use proc_macro2::{Span, TokenStream, TokenTree};
use quote::ToTokens;

/// Where the user finds the runtime: `::workflow_runtime`, or `crate = ..`.
pub(crate) struct Paths {
    root: TokenStream,
}

impl Paths {
    pub(crate) fn new(given: Option<&syn::Path>) -> Self {
        let root = match given {
            Some(path) => path.to_token_stream(),
            None => quote::quote!(::workflow_runtime),
        };
        Self { root }
    }

    /// The public crate.
    pub(crate) fn root(&self) -> &TokenStream {
        &self.root
    }

    /// What expansions call: hidden and exempt from semver; the two crates are
    /// released together, at one exact version.
    pub(crate) fn private(&self) -> TokenStream {
        let root = &self.root;
        quote::quote!(#root::__private)
    }

    /// The same, for errors to be reported at `span` and nowhere else.
    pub(crate) fn private_at(&self, span: Span) -> TokenStream {
        at(self.private(), span)
    }

    pub(crate) fn root_at(&self, span: Span) -> TokenStream {
        at(self.root.clone(), span)
    }
}

/// `tokens` with every span at `span`.
pub(crate) fn at(tokens: TokenStream, span: Span) -> TokenStream {
    let moved = tokens.into_iter().map(|mut token: TokenTree| {
        token.set_span(span);
        token
    });
    moved.collect()
}

/// The user's place, the macro's context: jumps go to the user's code, lints
/// of the user do not fire.
pub(crate) fn quiet(span: Span) -> Span {
    Span::call_site().located_at(span)
}
