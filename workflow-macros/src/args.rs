//! The arguments of the attributes: `name = "..", retry(attempts = 3)`.

use proc_macro2::TokenStream;
use syn::ext::IdentExt as _;
use syn::parse::{ParseStream, Parser as _};
use syn::{Error, Ident, LitFloat, LitInt, LitStr, Path, Result, Token};

use crate::checks::Code;
use crate::duration;
use crate::model::Kind;

/// The arguments of `#[step(..)]` or `#[workflow(..)]`.
#[derive(Default)]
pub(crate) struct Args {
    pub(crate) name: Option<LitStr>,
    pub(crate) was: Option<Vec<LitStr>>,
    pub(crate) retry: Option<Retry>,
    pub(crate) timeout_ms: Option<u64>,
    /// `semantics = at_most_once`; the place of the word, for errors.
    pub(crate) at_most_once: Option<Ident>,
    /// `version = 2`
    pub(crate) version: Option<u32>,
    /// `on_mismatch = fail`, `restart`
    pub(crate) on_mismatch: Option<OnMismatch>,
    /// `allow(WF008)`
    pub(crate) allowed: Vec<Code>,
    pub(crate) krate: Option<Path>,
}

/// What happens to a run whose history this code does not repeat.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum OnMismatch {
    Block,
    Fail,
    Restart,
}

/// The arguments of `retry(..)`.
#[derive(Default)]
pub(crate) struct Retry {
    pub(crate) attempts: Option<u32>,
    pub(crate) first_ms: Option<u64>,
    pub(crate) max_ms: Option<u64>,
    pub(crate) factor: Option<f64>,
    pub(crate) jitter: Option<f64>,
    pub(crate) condition: Option<Path>,
}

const STEP: &str = "`name`, `was`, `retry`, `timeout`, `semantics`, `crate`";
const WORKFLOW: &str = "`name`, `was`, `version`, `on_mismatch`, `allow`, `crate`";
const RETRY: &str = "`attempts`, `first`, `max`, `factor`, `jitter`, `if`";

/// Reads the arguments; every fault among them is in the error.
pub(crate) fn parse(kind: Kind, tokens: TokenStream) -> Result<Args> {
    let mut args = Args::default();
    let read = |input: ParseStream<'_>| list(input, |key, input| args.one(kind, key, input));
    read.parse2(tokens)?;
    match (&args.at_most_once, &args.retry) {
        (Some(once), Some(_)) => Err(Error::new(
            once.span(),
            "what runs at most once is not retried: leave out `retry` or `semantics`",
        )),
        _ => Ok(args),
    }
}

/// Reads `allow(..)` and `crate = path`, all that `#[durable]` takes.
pub(crate) fn durable(tokens: TokenStream) -> Result<(Vec<Code>, Option<Path>)> {
    let (mut allowed, mut krate) = (Vec::new(), None);
    let one = |key: &Ident, input: ParseStream<'_>| match key.to_string().as_str() {
        "allow" => allow(&mut allowed, key, input),
        "crate" => once(&mut krate, key, value(key, input)?),
        _ => Err(unknown(key, "`allow`, `crate`")),
    };
    (|input: ParseStream<'_>| list(input, one)).parse2(tokens)?;
    Ok((allowed, krate))
}

/// `allow(WF008, WF010, reason = "..")`
fn allow(allowed: &mut Vec<Code>, key: &Ident, input: ParseStream<'_>) -> Result<()> {
    if !input.peek(syn::token::Paren) {
        return Err(Error::new(key.span(), "write `allow(WF008, reason = \"..\")`"));
    }
    let inner;
    syn::parenthesized!(inner in input);
    list(&inner, |key, input| {
        let name = key.to_string();
        if name == "reason" {
            return value::<LitStr>(key, input).map(drop);
        }
        let known = Code::ALL.iter().find(|(known, _)| *known == name);
        match (known, name.as_str()) {
            (Some((_, code)), _) => allowed.push(*code),
            (None, "WF003") => {
                let message = "an await is vouched for where it stands: \
                               `workflow::assume_durable(future).await`";
                return Err(Error::new(key.span(), message));
            }
            (None, _) => {
                let codes: Vec<_> = Code::ALL.iter().map(|(name, _)| format!("`{name}`")).collect();
                let message =
                    format!("what can be allowed in a workflow is one of {}", codes.join(", "));
                return Err(Error::new(key.span(), message));
            }
        }
        Ok(())
    })
}

/// Reads `key ..` with commas between; goes on after a fault, to report all.
pub(crate) fn list(
    input: ParseStream<'_>,
    mut one: impl FnMut(&Ident, ParseStream<'_>) -> Result<()>,
) -> Result<()> {
    let mut faults: Option<Error> = None;
    while !input.is_empty() {
        let result = Ident::parse_any(input).and_then(|key| one(&key, input)).and_then(|()| {
            if input.is_empty() { Ok(()) } else { input.parse::<Token![,]>().map(drop) }
        });
        if let Err(fault) = result {
            match &mut faults {
                Some(faults) => faults.combine(fault),
                None => faults = Some(fault),
            }
            skip_to_next(input)?;
        }
    }
    faults.map_or(Ok(()), Err)
}

fn skip_to_next(input: ParseStream<'_>) -> Result<()> {
    while !input.is_empty() {
        if input.parse::<Option<Token![,]>>()?.is_some() {
            break;
        }
        input.parse::<proc_macro2::TokenTree>()?;
    }
    Ok(())
}

fn on_mismatch(word: &Ident) -> Result<OnMismatch> {
    match word.to_string().as_str() {
        "block" => Ok(OnMismatch::Block),
        "fail" => Ok(OnMismatch::Fail),
        "restart" => Ok(OnMismatch::Restart),
        _ => Err(Error::new(
            word.span(),
            "write `on_mismatch = block`, which is the default, `on_mismatch = fail` or \
             `on_mismatch = restart`",
        )),
    }
}

impl Args {
    fn one(&mut self, kind: Kind, key: &Ident, input: ParseStream<'_>) -> Result<()> {
        match (key.to_string().as_str(), kind) {
            ("name", _) => once(&mut self.name, key, new_name(value(key, input)?)?),
            ("was", _) => once(&mut self.was, key, names(key, input)?),
            ("crate", _) => once(&mut self.krate, key, value(key, input)?),
            ("version", Kind::Workflow) => {
                let literal: LitInt = value(key, input)?;
                let version: u32 = literal.base10_parse()?;
                if version == 0 {
                    let message = "versions count from 1, which needs no word";
                    return Err(Error::new(literal.span(), message));
                }
                once(&mut self.version, key, version)
            }
            ("on_mismatch", Kind::Workflow) => {
                once(&mut self.on_mismatch, key, on_mismatch(&value(key, input)?)?)
            }
            ("allow", Kind::Workflow) => allow(&mut self.allowed, key, input),
            ("timeout", Kind::Step) => {
                let literal: LitStr = value(key, input)?;
                let millis = duration::millis(&literal)?;
                if millis == 0 {
                    let message = "a timeout of zero would fail every attempt; leave it out for \
                                   none";
                    return Err(Error::new(literal.span(), message));
                }
                once(&mut self.timeout_ms, key, millis)
            }
            ("semantics", Kind::Step) => {
                let word: Ident = value(key, input)?;
                if word != "at_most_once" {
                    let message = "write `semantics = at_most_once`, or leave it out: a step runs \
                                   at least once";
                    return Err(Error::new(word.span(), message));
                }
                once(&mut self.at_most_once, key, word)
            }
            ("retry", Kind::Step) => once(&mut self.retry, key, Retry::parse(key, input)?),
            ("retry", Kind::Workflow) => Err(Error::new(
                key.span(),
                "a workflow is not retried as a whole, its steps are: put `retry(..)` on the \
                 `#[step]`",
            )),
            ("timeout", Kind::Workflow) => Err(Error::new(
                key.span(),
                "a workflow has no timeout of its own: use `workflow::timeout(duration, future)` \
                 in it, or put `timeout` on a `#[step]`",
            )),
            (_, Kind::Step) => Err(unknown(key, STEP)),
            (_, Kind::Workflow) => Err(unknown(key, WORKFLOW)),
        }
    }
}

impl Retry {
    fn parse(key: &Ident, input: ParseStream<'_>) -> Result<Self> {
        if !input.peek(syn::token::Paren) {
            let message = "write `retry(attempts = 5)`";
            return Err(Error::new(key.span(), message));
        }
        let inner;
        syn::parenthesized!(inner in input);
        let mut retry = Self::default();
        list(&inner, |key, input| retry.one(key, input))?;
        if retry.attempts.is_none() {
            let message = "how often? write `retry(attempts = 5)`: attempts in all, the first too";
            return Err(Error::new(key.span(), message));
        }
        Ok(retry)
    }

    fn one(&mut self, key: &Ident, input: ParseStream<'_>) -> Result<()> {
        match key.to_string().as_str() {
            "attempts" => {
                let literal: LitInt = value(key, input)?;
                let attempts: u32 = literal.base10_parse()?;
                if attempts == 0 {
                    let message = "a step is tried at least once: `attempts = 1`";
                    return Err(Error::new(literal.span(), message));
                }
                once(&mut self.attempts, key, attempts)
            }
            "first" => once(&mut self.first_ms, key, duration::millis(&value(key, input)?)?),
            "max" => once(&mut self.max_ms, key, duration::millis(&value(key, input)?)?),
            "factor" => once(&mut self.factor, key, number(key, input, 1.0, 1000.0)?),
            "jitter" => once(&mut self.jitter, key, number(key, input, 0.0, 1.0)?),
            "if" => once(&mut self.condition, key, value(key, input)?),
            _ => Err(unknown(key, RETRY)),
        }
    }
}

pub(crate) fn unknown(key: &Ident, known: &str) -> Error {
    Error::new(key.span(), format!("unknown argument `{key}`; expected one of {known}"))
}

pub(crate) fn once<T>(slot: &mut Option<T>, key: &Ident, value: T) -> Result<()> {
    if slot.is_some() {
        return Err(Error::new(key.span(), format!("`{key}` is given twice")));
    }
    *slot = Some(value);
    Ok(())
}

pub(crate) fn value<T: syn::parse::Parse>(key: &Ident, input: ParseStream<'_>) -> Result<T> {
    if !input.peek(Token![=]) {
        return Err(Error::new(key.span(), format!("write `{key} = ..`")));
    }
    input.parse::<Token![=]>()?;
    input.parse()
}

fn number(key: &Ident, input: ParseStream<'_>, least: f64, most: f64) -> Result<f64> {
    let literal: syn::Lit = value(key, input)?;
    let parsed = match &literal {
        syn::Lit::Int(int) => int.base10_parse(),
        syn::Lit::Float(float) => LitFloat::base10_parse(float),
        _ => Ok(f64::NAN),
    };
    match parsed {
        Ok(number) if (least..=most).contains(&number) => Ok(number),
        _ => {
            let message = format!("`{key}` is a number from {least} to {most}");
            Err(Error::new(literal.span(), message))
        }
    }
}

/// One name, or `["one", "two"]`.
fn names(key: &Ident, input: ParseStream<'_>) -> Result<Vec<LitStr>> {
    if !input.peek(Token![=]) {
        return Err(Error::new(key.span(), "write `was = \"old_name\"`"));
    }
    input.parse::<Token![=]>()?;
    if !input.peek(syn::token::Bracket) {
        return Ok(vec![stable_name(input.parse()?)?]);
    }
    let inner;
    syn::bracketed!(inner in input);
    let names = inner.parse_terminated(<LitStr as syn::parse::Parse>::parse, Token![,])?;
    names.into_iter().map(stable_name).collect()
}

/// Longest name, in bytes.
const MAX_NAME: usize = 200;

/// A name that is given now: what stands behind `@` is its version.
fn new_name(literal: LitStr) -> Result<LitStr> {
    if literal.value().contains('@') {
        let message = "a name has no `@`: write the version as `version = 2`";
        return Err(Error::new(literal.span(), message));
    }
    stable_name(literal)
}

fn stable_name(literal: LitStr) -> Result<LitStr> {
    let name = literal.value();
    let fault = if name.is_empty() {
        "a name is not empty"
    } else if name.len() > MAX_NAME {
        "a name has at most 200 bytes"
    } else if name.chars().any(char::is_control) {
        "a name has no control characters"
    } else {
        return Ok(literal);
    };
    Err(Error::new(literal.span(), fault))
}
