//! `#[test]`: a function of a `Sim`, run by the test kit; and `replay_tests!`.

use std::path::{Path, PathBuf};

use proc_macro2::{Span, TokenStream};
use quote::{format_ident, quote};
use syn::ext::IdentExt as _;
use syn::parse::{ParseStream, Parser as _};
use syn::{Error, Ident, ItemFn, LitInt, LitStr, Result, Token};

use crate::args::{list, once, unknown, value};
use crate::paths::Paths;

const KNOWN: &str = "`crash`, `result`, `schedules`, `faults`, `seed`, `record`, `store`, `crate`";

#[derive(Default)]
struct Args {
    crash: Option<()>,
    may_differ: Option<()>,
    schedules: Option<Schedules>,
    faults: Option<Vec<Ident>>,
    seed: Option<u64>,
    record: Option<LitStr>,
    sqlite: Option<()>,
    krate: Option<syn::Path>,
}

enum Schedules {
    Random(u32),
    Exhaustive(u32),
}

impl Args {
    fn one(&mut self, key: &Ident, input: ParseStream<'_>) -> Result<()> {
        match key.to_string().as_str() {
            "crash" => once(&mut self.crash, key, word(key, input, "everywhere")?),
            "result" => once(&mut self.may_differ, key, word(key, input, "may_differ")?),
            "store" => once(&mut self.sqlite, key, word(key, input, "sqlite")?),
            "schedules" => once(&mut self.schedules, key, schedules(key, input)?),
            "faults" => once(&mut self.faults, key, faults(key, input)?),
            "seed" => once(&mut self.seed, key, value::<LitInt>(key, input)?.base10_parse()?),
            "record" => once(&mut self.record, key, file_name(value(key, input)?)?),
            "crate" => once(&mut self.krate, key, value(key, input)?),
            _ => Err(unknown(key, KNOWN)),
        }
    }
}

/// `key = word`, and no other word.
fn word(key: &Ident, input: ParseStream<'_>, word: &str) -> Result<()> {
    let found: Ident = value(key, input)?;
    if found == word {
        return Ok(());
    }
    Err(Error::new(found.span(), format!("write `{key} = {word}`, or leave it out")))
}

/// `schedules = 1000` or `schedules = exhaustive(20_000)`.
fn schedules(key: &Ident, input: ParseStream<'_>) -> Result<Schedules> {
    let wrong = |span| {
        let message = "write `schedules = 1000` for random ones, or `schedules = \
                       exhaustive(20_000)` for all, up to so many";
        Error::new(span, message)
    };
    if !input.peek(Token![=]) {
        return Err(wrong(key.span()));
    }
    input.parse::<Token![=]>()?;
    if input.peek(LitInt) {
        return Ok(Schedules::Random(input.parse::<LitInt>()?.base10_parse()?));
    }
    let found = input.call(Ident::parse_any)?;
    if found != "exhaustive" || !input.peek(syn::token::Paren) {
        return Err(wrong(found.span()));
    }
    let inner;
    syn::parenthesized!(inner in input);
    Ok(Schedules::Exhaustive(inner.parse::<LitInt>()?.base10_parse()?))
}

/// `faults = [commit_error, reply_lost]`.
fn faults(key: &Ident, input: ParseStream<'_>) -> Result<Vec<Ident>> {
    let wrong = |span| {
        let message = "the faults are `commit_error`, `reply_lost`, `slow_commit`, `zombie`: \
                       `faults = [commit_error, zombie]`";
        Error::new(span, message)
    };
    if !input.peek(Token![=]) {
        return Err(wrong(key.span()));
    }
    input.parse::<Token![=]>()?;
    if !input.peek(syn::token::Bracket) {
        return Err(wrong(key.span()));
    }
    let inner;
    syn::bracketed!(inner in input);
    let names = inner.parse_terminated(Ident::parse_any, Token![,])?;
    let name = |name: Ident| {
        let fault = match name.to_string().as_str() {
            "commit_error" => "CommitError",
            "reply_lost" => "ReplyLost",
            "slow_commit" => "SlowCommit",
            "zombie" => "Zombie",
            _ => return Err(wrong(name.span())),
        };
        Ok(Ident::new(fault, name.span()))
    };
    names.into_iter().map(name).collect()
}

fn file_name(literal: LitStr) -> Result<LitStr> {
    let name = literal.value();
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-".contains(c);
    if !name.is_empty() && name.chars().all(plain) {
        return Ok(literal);
    }
    let message = "the name of a history has letters, digits, `_` and `-`";
    Err(Error::new(literal.span(), message))
}

/// `#[test]` on `async fn name(sim: Sim)`.
pub(crate) fn test(args: TokenStream, item: &TokenStream) -> Result<TokenStream> {
    let mut read = Args::default();
    (|input: ParseStream<'_>| list(input, |key, input| read.one(key, input))).parse2(args)?;
    let mut function: ItemFn = syn::parse2(item.clone())?;
    if function.sig.asyncness.is_none() {
        let message = "a test of the kit is an `async fn`: `async fn name(sim: Sim)`";
        return Err(Error::new_spanned(function.sig.fn_token, message));
    }
    if function.sig.inputs.len() != 1 || !function.sig.generics.params.is_empty() {
        let message =
            "a test of the kit takes its world and nothing else: `async fn name(sim: Sim)`";
        return Err(Error::new_spanned(&function.sig.ident, message));
    }
    let paths = Paths::new(read.krate.as_ref());
    let config = config(&read, paths.root(), &function.sig.ident);
    let (name, root) = (function.sig.ident.clone(), paths.root());
    let attributes = std::mem::take(&mut function.attrs);
    function.sig.ident = format_ident!("__{}", name.unraw());
    let inner = &function.sig.ident;
    Ok(quote! {
        #(#attributes)*
        #[::core::prelude::v1::test]
        fn #name() {
            #function
            #root::testing::check(&#config, #inner)
        }
    })
}

fn config(args: &Args, root: &TokenStream, name: &Ident) -> TokenStream {
    let name = name.unraw().to_string();
    let crash = args.crash.is_some();
    let may_differ = args.may_differ.is_some();
    let schedules = match args.schedules {
        None => quote!(One),
        Some(Schedules::Random(count)) => quote!(Random(#count)),
        Some(Schedules::Exhaustive(most)) => quote!(Exhaustive(#most)),
    };
    let faults = args.faults.iter().flatten();
    let seed = args.seed.unwrap_or(0);
    let record = match &args.record {
        Some(record) => quote!(::core::option::Option::Some(#record)),
        None => quote!(::core::option::Option::None),
    };
    let sqlite = args.sqlite.is_some();
    quote! {
        #root::testing::Config {
            name: ::core::concat!(::core::module_path!(), "::", #name),
            folder: ::core::env!("CARGO_MANIFEST_DIR"),
            crash: #crash,
            may_differ: #may_differ,
            schedules: #root::testing::Schedules::#schedules,
            faults: &[#(#root::testing::Fault::#faults),*],
            seed: #seed,
            record: #record,
            sqlite: #sqlite,
        }
    }
}

/// A test for each history file.
pub(crate) fn replay_tests(input: TokenStream) -> Result<TokenStream> {
    let pattern: LitStr = syn::parse2(input)?;
    let wrong = |message: String| Error::new(pattern.span(), message);
    let text = pattern.value();
    let Some(folder) = text.strip_suffix("*.json").and_then(|text| text.strip_suffix('/')) else {
        return Err(wrong("write `replay_tests!(\"tests/histories/*.json\")`".to_owned()));
    };
    let Some(root) = std::env::var_os("CARGO_MANIFEST_DIR") else {
        return Err(wrong("cargo does not say where the package is".to_owned()));
    };
    let absolute = Path::new(&root).join(folder);
    let files = files(&absolute)
        .map_err(|error| wrong(format!("{} cannot be read: {error}", absolute.display())))?;
    let tests = files.iter().map(|path| {
        let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let plain: String =
            stem.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
        let name = Ident::new(&format!("replays_{plain}"), Span::call_site());
        let (shown, path) = (format!("{folder}/{stem}.json"), path.to_string_lossy().into_owned());
        quote! {
            #[::core::prelude::v1::test]
            fn #name() {
                ::workflow_runtime::testing::replay_file(#shown, ::core::include_str!(#path));
            }
        }
    });
    let names = files.iter().filter_map(|path| path.file_name()).map(|name| name.to_string_lossy());
    let folder = absolute.to_string_lossy().into_owned();
    Ok(quote! {
        #(#tests)*

        /// Those that were written after this was compiled.
        #[::core::prelude::v1::test]
        fn replays_new_histories() {
            ::workflow_runtime::testing::replay_new_files(#folder, &[#(#names),*]);
        }
    })
}

fn files(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    if !folder.exists() {
        // Nothing was recorded yet.
        return Ok(files);
    }
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "json") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}
