//! `#[signal]` and `#[request]`: types that are sent to runs.

use proc_macro2::{Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::meta::ParseNestedMeta;
use syn::spanned::Spanned as _;
use syn::{Attribute, Error, Item, LitStr, Path, Type, parse_quote};

use crate::paths::Paths;

/// What stands in the attribute.
#[derive(Default)]
struct Args {
    name: Option<LitStr>,
    krate: Option<Path>,
    reply: Option<Type>,
    validate: Option<Path>,
}

/// What a type is made.
#[derive(Clone, Copy, Eq, PartialEq)]
pub(crate) enum Kind {
    Signal,
    Request,
}

impl Kind {
    fn attribute(self) -> &'static str {
        match self {
            Self::Signal => "#[signal]",
            Self::Request => "#[request]",
        }
    }

    fn usage(self) -> &'static str {
        match self {
            Self::Signal => {
                "write `#[signal]`, `#[signal(name = \"..\")]` or `#[signal(crate = path)]`"
            }
            Self::Request => {
                "write `#[request(reply = Type)]`; beside it there are `validate = path`, \
                 `name = \"..\"` and `crate = path`"
            }
        }
    }
}

impl Args {
    fn parse(kind: Kind, tokens: TokenStream) -> Result<Self, Error> {
        let mut args = Self::default();
        let mut read = |meta: ParseNestedMeta<'_>| {
            if meta.path.is_ident("name") {
                args.name = Some(meta.value()?.parse()?);
            } else if meta.path.is_ident("crate") {
                args.krate = Some(meta.value()?.parse()?);
            } else if kind == Kind::Request && meta.path.is_ident("reply") {
                args.reply = Some(meta.value()?.parse()?);
            } else if kind == Kind::Request && meta.path.is_ident("validate") {
                args.validate = Some(meta.value()?.parse()?);
            } else {
                return Err(meta.error(kind.usage()));
            }
            Ok(())
        };
        let parser = syn::meta::parser(&mut read);
        syn::parse::Parser::parse2(parser, tokens)?;
        if kind == Kind::Request && args.reply.is_none() {
            return Err(Error::new(Span::call_site(), kind.usage()));
        }
        Ok(args)
    }
}

/// The type itself, storable, and what makes it a message.
pub(crate) fn message(
    kind: Kind,
    args: TokenStream,
    item: &TokenStream,
) -> Result<TokenStream, Error> {
    let args = Args::parse(kind, args)?;
    let misplaced = |at| {
        let attribute = kind.attribute();
        let message =
            format!("`{attribute}` stands on a struct or an enum: the type of what is sent");
        Error::new(at, message)
    };
    let mut parsed: Item = syn::parse2(item.clone()).map_err(|error| misplaced(error.span()))?;
    let (attrs, ident, generics) = match &mut parsed {
        Item::Struct(item) => (&mut item.attrs, &item.ident, &item.generics),
        Item::Enum(item) => (&mut item.attrs, &item.ident, &item.generics),
        other => return Err(misplaced(other.span())),
    };
    if let Some(first) = generics.params.first() {
        let message = "a message is stored under one name: it has no generic parameters";
        return Err(Error::new_spanned(first, message));
    }
    let paths = Paths::new(args.krate.as_ref());
    let (root, private) = (paths.root().clone(), paths.private());
    let name = args.name.as_ref().map_or_else(|| ident.to_string(), LitStr::value);
    if name.is_empty() {
        return Err(Error::new_spanned(&args.name, "a message has a name"));
    }
    if !derives_serde(attrs) {
        let serde = quote!(#private::serde).to_string().replace(' ', "");
        attrs.push(
            parse_quote!(#[derive(#private::serde::Serialize, #private::serde::Deserialize)]),
        );
        attrs.push(parse_quote!(#[serde(crate = #serde)]));
    }
    let ident = ident.clone();
    let made = match args.reply {
        None => quote!(impl #root::Signal for #ident { const NAME: &'static str = #name; }),
        Some(reply) => {
            let validate = args.validate.map(|path| {
                let asked = quote_spanned!(path.span()=> #path(self));
                quote! {
                    fn validate(&self) -> ::core::result::Result<(), ::std::string::String> {
                        #asked
                    }
                }
            });
            quote! {
                impl #root::Request for #ident {
                    type Reply = #reply;
                    const NAME: &'static str = #name;
                    #validate
                }
            }
        }
    };
    Ok(quote!(#parsed #made))
}

/// Whether the user derives it.
fn derives_serde(attrs: &[Attribute]) -> bool {
    attrs.iter().filter(|attribute| attribute.path().is_ident("derive")).any(|derive| {
        let mut found = false;
        // What cannot be read is for the compiler to say.
        let _unreadable = derive.parse_nested_meta(|meta| {
            let last = meta.path.segments.last();
            found |=
                last.is_some_and(|last| last.ident == "Serialize" || last.ident == "Deserialize");
            Ok(())
        });
        found
    })
}
