//! What a macro knows about the function it stands on, checked.

use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};
use quote::{ToTokens, quote};
use syn::ext::IdentExt as _;
use syn::parse::{Parse, ParseStream};
use syn::spanned::Spanned as _;
use syn::{
    Attribute, Error, FnArg, Ident, ItemFn, LitStr, Pat, Result, ReturnType, Signature, Token,
    Type, Visibility,
};

use crate::args::Args;
use crate::paths::Paths;

#[derive(Clone, Copy, Eq, PartialEq)]
pub(crate) enum Kind {
    Step,
    Workflow,
}

impl Kind {
    /// With its article.
    pub(crate) fn a(self) -> &'static str {
        match self {
            Self::Step => "a step",
            Self::Workflow => "a workflow",
        }
    }

    pub(crate) fn attribute(self) -> &'static str {
        match self {
            Self::Step => "#[step]",
            Self::Workflow => "#[workflow]",
        }
    }
}

/// A function that can be a step or a workflow.
pub(crate) struct Model {
    pub(crate) kind: Kind,
    pub(crate) args: Args,
    pub(crate) paths: Paths,
    pub(crate) name: LitStr,
    /// Without the attributes of parameters that are ours.
    pub(crate) item: ItemFn,
    pub(crate) slots: Vec<Slot>,
    pub(crate) output: Type,
    /// Another program has its body.
    pub(crate) is_declared: bool,
}

/// A function without its body, as an `ItemFn` with an empty one.
pub(crate) struct Declared(pub(crate) ItemFn);

impl Parse for Declared {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let attrs = input.call(Attribute::parse_outer)?;
        let (vis, sig): (Visibility, Signature) = (input.parse()?, input.parse()?);
        let end: Token![;] = input.parse()?;
        let mut braces = Group::new(Delimiter::Brace, TokenStream::new());
        braces.set_span(end.span);
        let body = TokenTree::from(braces);
        syn::parse2(quote!(#(#attrs)* #vis #sig #body)).map(Self)
    }
}

/// A parameter.
pub(crate) enum Slot {
    /// Part of the call.
    Param(Param),
    /// Injected; the type without its reference.
    State(Box<Type>),
}

pub(crate) struct Param {
    /// Its name in the visible signature and in messages.
    pub(crate) ident: Ident,
    pub(crate) ty: Box<Type>,
}

/// Most arguments of a call.
const MAX_PARAMS: usize = 12;

impl Model {
    pub(crate) fn new(kind: Kind, args: Args, item: &ItemFn) -> Result<Self> {
        let mut item = item.clone();
        check_signature(kind, &item)?;
        let mut slots = Vec::with_capacity(item.sig.inputs.len());
        for (n, input) in item.sig.inputs.iter_mut().enumerate() {
            slots.push(slot(kind, n, input)?);
        }
        let params = slots.iter().filter(|slot| matches!(slot, Slot::Param(_))).count();
        if params > MAX_PARAMS {
            let message = format!(
                "{} has at most {MAX_PARAMS} arguments, and this one {params}: group some in a \
                 struct",
                kind.a()
            );
            return Err(Error::new_spanned(&item.sig.inputs, message));
        }
        let output = output(kind, &item)?;
        let ident = &item.sig.ident;
        let default = || LitStr::new(&ident.unraw().to_string(), ident.span());
        let mut name = args.name.clone().unwrap_or_else(default);
        if let Some(version) = args.version.filter(|version| *version > 1) {
            name = LitStr::new(&format!("{}@{version}", name.value()), name.span());
        }
        let paths = Paths::new(args.krate.as_ref());
        Ok(Self { kind, args, paths, name, item, slots, output, is_declared: false })
    }

    /// Of a function whose body is in another program.
    pub(crate) fn declared(self) -> Result<Self> {
        let ident = &self.item.sig.ident;
        if self.kind == Kind::Step {
            let message = "a step runs where its workflow runs: it has its body here";
            return Err(Error::new_spanned(ident, message));
        }
        if !self.args.allowed.is_empty() || self.args.on_mismatch.is_some() {
            let message = "what is only declared here has its body, and what the checks let pass \
                           in it, in another program: write `name` and `version` alone";
            return Err(Error::new_spanned(ident, message));
        }
        Ok(Self { is_declared: true, ..self })
    }

    pub(crate) fn params(&self) -> impl Iterator<Item = &Param> {
        self.slots.iter().filter_map(|slot| match slot {
            Slot::Param(param) => Some(param),
            Slot::State(_) => None,
        })
    }
}

fn fault<T>(at: &impl ToTokens, message: String) -> Result<T> {
    Err(Error::new_spanned(at, message))
}

fn check_signature(kind: Kind, item: &ItemFn) -> Result<()> {
    let (a, sig) = (kind.a(), &item.sig);
    if sig.asyncness.is_none() {
        return fault(
            &sig.fn_token,
            format!("{a} is an `async fn`: write `async fn {}`", sig.ident),
        );
    }
    if !sig.generics.params.is_empty() || sig.generics.where_clause.is_some() {
        let message = format!(
            "{a} is not generic: it is found again by its name after a restart. Write one \
             function for each type, and keep what they share in a generic helper"
        );
        return match sig.generics.params.is_empty() {
            true => fault(&sig.generics.where_clause, message),
            false => fault(&sig.generics, message),
        };
    }
    if let Some(token) = &sig.abi {
        return fault(token, format!("{a} has no `extern`"));
    }
    if let Some(token) = &sig.variadic {
        return fault(token, format!("{a} has a fixed number of arguments"));
    }
    Ok(())
}

fn slot(kind: Kind, n: usize, input: &mut FnArg) -> Result<Slot> {
    let a = kind.a();
    let input = match input {
        FnArg::Typed(input) => input,
        FnArg::Receiver(receiver) => {
            let message = format!(
                "{a} is a free function: after a restart there is no `self`. What the process \
                 holds is a parameter of a step: `#[state] shop: &Shop`"
            );
            return fault(receiver, message);
        }
    };
    if take_state(&mut input.attrs) {
        return state(kind, input);
    }
    match &*input.ty {
        Type::Reference(reference) => {
            let message = format!(
                "an argument of {a} is owned: it is stored. Take `{}`, or mark what the process \
                 holds with `#[state]`",
                owned(&reference.elem)
            );
            fault(&input.ty, message)
        }
        Type::ImplTrait(_) => fault(
            &input.ty,
            format!("an argument of {a} has one concrete type: it is stored and read back"),
        ),
        _ => {
            let ident = match &*input.pat {
                Pat::Ident(pattern) if pattern.subpat.is_none() => pattern.ident.clone(),
                pattern => Ident::new(&format!("arg{n}"), pattern.span()),
            };
            Ok(Slot::Param(Param { ident, ty: input.ty.clone() }))
        }
    }
}

/// What to write instead of a reference to it.
fn owned(ty: &Type) -> String {
    let text = ty.to_token_stream().to_string();
    match text.as_str() {
        "str" => "String".to_owned(),
        _ => match ty {
            Type::Slice(slice) => format!("Vec<{}>", slice.elem.to_token_stream()),
            _ => text,
        },
    }
}

fn take_state(attrs: &mut Vec<Attribute>) -> bool {
    let before = attrs.len();
    attrs.retain(|attribute| !attribute.path().is_ident("state"));
    attrs.len() < before
}

fn state(kind: Kind, input: &syn::PatType) -> Result<Slot> {
    if kind == Kind::Workflow {
        let message = "a workflow has no state: it depends on its arguments and its history \
                       alone. Use the state in a step";
        return fault(&input, message.to_owned());
    }
    match &*input.ty {
        Type::Reference(reference) if reference.mutability.is_none() => {
            Ok(Slot::State(reference.elem.clone()))
        }
        other => {
            let message = "state is borrowed, and shared with other steps: write `&Type`";
            fault(&other, message.to_owned())
        }
    }
}

fn output(kind: Kind, item: &ItemFn) -> Result<Type> {
    match &item.sig.output {
        ReturnType::Type(_, ty) => match &**ty {
            Type::Never(never) => fault(
                never,
                "a function that never returns has no result to store: write \
                 `-> workflow_runtime::Result<()>`"
                    .to_owned(),
            ),
            Type::ImplTrait(output) => {
                fault(output, format!("{} returns one concrete `Result` type", kind.a()))
            }
            ty => Ok(ty.clone()),
        },
        ReturnType::Default => fault(
            &item.sig.ident,
            format!(
                "{} returns a `Result`: any call can time out, be cancelled or panic. Write \
                 `-> workflow_runtime::Result<()>`",
                kind.a()
            ),
        ),
    }
}
