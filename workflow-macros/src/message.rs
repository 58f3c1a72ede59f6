//! `#[signal]`: a type that is sent to runs.

use proc_macro2::TokenStream;
use quote::quote;
use syn::meta::ParseNestedMeta;
use syn::{Attribute, Error, Item, LitStr, Path, parse_quote};

use crate::paths::Paths;

/// What stands in the attribute.
#[derive(Default)]
struct Args {
    name: Option<LitStr>,
    krate: Option<Path>,
}

impl Args {
    fn parse(tokens: TokenStream) -> Result<Self, Error> {
        let mut args = Self::default();
        let mut read = |meta: ParseNestedMeta<'_>| {
            if meta.path.is_ident("name") {
                args.name = Some(meta.value()?.parse()?);
            } else if meta.path.is_ident("crate") {
                args.krate = Some(meta.value()?.parse()?);
            } else {
                return Err(meta.error("write `#[signal]`, `#[signal(name = \"..\")]` or \
                                       `#[signal(crate = path)]`"));
            }
            Ok(())
        };
        let parser = syn::meta::parser(&mut read);
        syn::parse::Parser::parse2(parser, tokens)?;
        Ok(args)
    }
}

/// The type itself, storable, and what makes it a signal.
pub(crate) fn signal(args: TokenStream, item: &TokenStream) -> Result<TokenStream, Error> {
    let args = Args::parse(args)?;
    let mut parsed: Item = syn::parse2(item.clone()).map_err(|error| misplaced(error.span()))?;
    let (attrs, ident, generics) = match &mut parsed {
        Item::Struct(item) => (&mut item.attrs, &item.ident, &item.generics),
        Item::Enum(item) => (&mut item.attrs, &item.ident, &item.generics),
        other => return Err(misplaced(syn::spanned::Spanned::span(&*other))),
    };
    if let Some(first) = generics.params.first() {
        let message = "a signal is stored under one name: it has no generic parameters";
        return Err(Error::new_spanned(first, message));
    }
    let paths = Paths::new(args.krate.as_ref());
    let (root, private) = (paths.root().clone(), paths.private());
    let name = args.name.as_ref().map_or_else(|| ident.to_string(), LitStr::value);
    if name.is_empty() {
        return Err(Error::new_spanned(&args.name, "a signal has a name"));
    }
    if !derives_serde(attrs) {
        let serde = quote!(#private::serde).to_string().replace(' ', "");
        attrs.push(parse_quote!(#[derive(#private::serde::Serialize, #private::serde::Deserialize)]));
        attrs.push(parse_quote!(#[serde(crate = #serde)]));
    }
    let ident = ident.clone();
    Ok(quote! {
        #parsed
        impl #root::Signal for #ident {
            const NAME: &'static str = #name;
        }
    })
}

/// Whether the user derives it.
fn derives_serde(attrs: &[Attribute]) -> bool {
    attrs.iter().filter(|attribute| attribute.path().is_ident("derive")).any(|derive| {
        let mut found = false;
        // What cannot be read is for the compiler to say.
        let _unreadable = derive.parse_nested_meta(|meta| {
            let last = meta.path.segments.last();
            found |= last.is_some_and(|last| last.ident == "Serialize" || last.ident == "Deserialize");
            Ok(())
        });
        found
    })
}

fn misplaced(at: proc_macro2::Span) -> Error {
    Error::new(at, "`#[signal]` stands on a struct or an enum: the type of what is sent")
}
