//! What has the order of a hash table.

#![allow(clippy::disallowed_types, reason = "they are what is looked for")]

use std::collections::{HashMap, HashSet, hash_map, hash_set};
use std::iter;

/// A type whose items come in the order of a hash table.
pub trait HashOrdered {}

impl<K, V, S> HashOrdered for HashMap<K, V, S> {}
impl<T, S> HashOrdered for HashSet<T, S> {}
impl<K, V, S> HashOrdered for &HashMap<K, V, S> {}
impl<T, S> HashOrdered for &HashSet<T, S> {}
impl<K, V, S> HashOrdered for &mut HashMap<K, V, S> {}
impl<T: HashOrdered> HashOrdered for Box<T> {}

impl<K, V> HashOrdered for hash_map::Iter<'_, K, V> {}
impl<K, V> HashOrdered for hash_map::IterMut<'_, K, V> {}
impl<K, V> HashOrdered for hash_map::IntoIter<K, V> {}
impl<K, V> HashOrdered for hash_map::Keys<'_, K, V> {}
impl<K, V> HashOrdered for hash_map::IntoKeys<K, V> {}
impl<K, V> HashOrdered for hash_map::Values<'_, K, V> {}
impl<K, V> HashOrdered for hash_map::ValuesMut<'_, K, V> {}
impl<K, V> HashOrdered for hash_map::IntoValues<K, V> {}
impl<K, V> HashOrdered for hash_map::Drain<'_, K, V> {}
impl<T> HashOrdered for hash_set::Iter<'_, T> {}
impl<T> HashOrdered for hash_set::IntoIter<T> {}
impl<T> HashOrdered for hash_set::Drain<'_, T> {}
impl<T, S> HashOrdered for hash_set::Union<'_, T, S> {}
impl<T, S> HashOrdered for hash_set::Intersection<'_, T, S> {}
impl<T, S> HashOrdered for hash_set::Difference<'_, T, S> {}
impl<T, S> HashOrdered for hash_set::SymmetricDifference<'_, T, S> {}

impl<I: HashOrdered, F> HashOrdered for iter::Map<I, F> {}
impl<I: HashOrdered, F> HashOrdered for iter::Filter<I, F> {}
impl<I: HashOrdered, F> HashOrdered for iter::FilterMap<I, F> {}
impl<I: HashOrdered, F> HashOrdered for iter::Inspect<I, F> {}
impl<I: HashOrdered, F> HashOrdered for iter::TakeWhile<I, F> {}
impl<I: HashOrdered, F> HashOrdered for iter::SkipWhile<I, F> {}
impl<I: HashOrdered, U: IntoIterator, F> HashOrdered for iter::FlatMap<I, U, F> {}
impl<I: HashOrdered> HashOrdered for iter::Enumerate<I> {}
impl<I: HashOrdered> HashOrdered for iter::Cloned<I> {}
impl<I: HashOrdered> HashOrdered for iter::Copied<I> {}
impl<I: HashOrdered> HashOrdered for iter::Take<I> {}
impl<I: HashOrdered> HashOrdered for iter::Skip<I> {}
impl<I: HashOrdered> HashOrdered for iter::StepBy<I> {}
impl<I: HashOrdered + Iterator> HashOrdered for iter::Peekable<I> {}
impl<I: HashOrdered, J> HashOrdered for iter::Zip<I, J> {}
impl<I: HashOrdered, J> HashOrdered for iter::Chain<I, J> {}
