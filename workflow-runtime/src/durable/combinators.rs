//! The combinators of `futures`: durable where what they combine is.
//!
//! One delivered result per turn, polls that a replay repeats, and wakers that
//! are kept make all of them deterministic. Left out is what could be decided
//! from outside or what hides a panic: `poll_fn`, `lazy`, `abortable`,
//! `remote_handle`, `catch_unwind`.

use futures_util::future::{self, TryFuture};
use futures_util::stream::{self, Stream, TryStream};

use super::{DurableFuture, DurableStream};

/// One implementation. `Self: Future` brings the bounds that a combinator has
/// on closures and outputs.
macro_rules! one {
    ($durable:ident $is:ident $module:ident $name:ident
        [$($param:ident: $first:ident $(+ $bound:ident)*),*; $($free:ident),*]) => {
        impl<$($param: $first $(+ $bound)*,)* $($free),*> $durable
            for $module::$name<$($param,)* $($free),*>
        where
            Self: $is,
        {
        }
    };
}

/// `[parameters; others]: names`
macro_rules! durable {
    ($durable:ident, $is:ident, $module:ident: $($header:tt => $($name:ident)+;)*) => {
        $($(one! { $durable $is $module $name $header })+)*
    };
}

durable! { DurableFuture, Future, future:
    [; T] => Pending Ready;
    [A: DurableFuture; ] =>
        Fuse JoinAll MaybeDone NeverError OptionFuture PollImmediate SelectAll SelectOk Shared
        UnitError;
    [A: DurableFuture + TryFuture; ] => IntoFuture TryJoinAll TryMaybeDone;
    [A: DurableFuture; F] =>
        ErrInto Inspect InspectErr InspectOk Map MapErr MapInto MapOk OkInto UnwrapOrElse;
    [A: DurableFuture; F, G] => MapOkOrElse;
    [A: DurableFuture, B: DurableFuture; ] => Either Join Select TryFlatten TrySelect;
    [A: DurableFuture, B: DurableFuture; F] => AndThen OrElse Then;
    [A: DurableFuture, B: DurableFuture, C: DurableFuture; ] => Join3;
    [A: DurableFuture, B: DurableFuture, C: DurableFuture, D: DurableFuture; ] => Join4;
    [A: DurableFuture, B: DurableFuture, C: DurableFuture, D: DurableFuture, E: DurableFuture; ] =>
        Join5;
    [A: DurableFuture + TryFuture, B: DurableFuture + TryFuture; ] => TryJoin;
    [A: DurableFuture + TryFuture, B: DurableFuture + TryFuture, C: DurableFuture + TryFuture; ] =>
        TryJoin3;
    [A: DurableFuture + TryFuture, B: DurableFuture + TryFuture, C: DurableFuture + TryFuture,
        D: DurableFuture + TryFuture; ] => TryJoin4;
    [A: DurableFuture + TryFuture, B: DurableFuture + TryFuture, C: DurableFuture + TryFuture,
        D: DurableFuture + TryFuture, E: DurableFuture + TryFuture; ] => TryJoin5;
}

impl<A: DurableFuture<Output: DurableFuture>> DurableFuture for future::Flatten<A> {}

// Those of a stream that wait for its items.
durable! { DurableFuture, Future, stream:
    [S: DurableStream + Stream; ] => Concat Count StreamFuture;
    [S: DurableStream + TryStream; ] => TryConcat;
    [S: DurableStream; C] => Collect TryCollect;
    [S: DurableStream; A, B] => Unzip;
    [S: DurableStream, A: DurableFuture; F] =>
        All Any ForEach ForEachConcurrent TryAll TryAny TryForEach TryForEachConcurrent;
    [S: DurableStream, A: DurableFuture; T, F] => Fold TryFold;
}

impl<S: DurableStream + Stream + Unpin + ?Sized> DurableFuture for stream::Next<'_, S> {}
impl<S: DurableStream + TryStream + Unpin + ?Sized> DurableFuture for stream::TryNext<'_, S> {}
impl<S: DurableStream + Unpin + ?Sized> DurableFuture for stream::SelectNextSome<'_, S> where
    Self: Future
{
}

durable! { DurableStream, Stream, stream:
    [; T] => Empty Iter Pending Repeat RepeatWith;
    [A: DurableFuture; ] => FuturesOrdered FuturesUnordered Once;
    [S: DurableStream + Stream; ] => Chunks Peekable ReadyChunks;
    [S: DurableStream + TryStream; ] => TryChunks TryReadyChunks;
    [S: DurableStream; ] => Cycle Enumerate Fuse IntoStream SelectAll Skip Take;
    [S: DurableStream; F] => ErrInto Inspect InspectErr InspectOk Map MapErr MapOk;
    [S: DurableStream + Stream, Z: DurableStream + Stream; ] => Chain Select Zip;
    [S: DurableStream + Stream, A: DurableFuture; ] => TakeUntil;
    [S: DurableStream + Stream, A: DurableFuture; F] =>
        Filter FilterMap SkipWhile TakeWhile Then;
    [S: DurableStream + TryStream, A: DurableFuture; F] =>
        AndThen OrElse TryFilter TryFilterMap TrySkipWhile TryTakeWhile;
    [S: DurableStream, Z: DurableStream; F] => FlatMap;
    [S: DurableStream + Stream; T, A, F] => Scan;
}

impl<S> DurableStream for stream::Buffered<S> where S: DurableStream + Stream<Item: DurableFuture> {}
impl<S> DurableStream for stream::BufferUnordered<S> where
    S: DurableStream + Stream<Item: DurableFuture>
{
}
impl<S> DurableStream for stream::TryBuffered<S> where
    S: DurableStream + TryStream<Ok: DurableFuture + TryFuture>
{
}
impl<S> DurableStream for stream::TryBufferUnordered<S> where
    S: DurableStream + TryStream<Ok: DurableFuture + TryFuture>
{
}
impl<S> DurableStream for stream::TryFlatten<S> where S: DurableStream + TryStream<Ok: DurableStream>
{}
impl<S> DurableStream for stream::Flatten<S> where S: DurableStream + Stream<Item: DurableStream> {}
impl<T, F, A: DurableFuture> DurableStream for stream::Unfold<T, F, A> {}
impl<T, F, A: DurableFuture> DurableStream for stream::TryUnfold<T, F, A> {}
