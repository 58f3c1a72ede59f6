//! Arguments as a positional JSON list: renaming a parameter changes nothing.

use serde_json::value::RawValue;

use super::{Storable, bad_argument};
use crate::codec::{Unstorable, push_element};

/// How one argument is stored.
pub struct Arg<T> {
    name: &'static str,
    encode: fn(&T, &mut Vec<u8>) -> Result<(), Unstorable>,
    decode: fn(&str) -> Result<T, serde_json::Error>,
}

impl<T> std::fmt::Debug for Arg<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

/// The one mention of an argument's type, so that a missing bound is reported
/// once, at that type.
#[must_use]
pub const fn arg<T: Storable>(name: &'static str) -> Arg<T> {
    Arg {
        name,
        encode: |value, list| push_element(list, value),
        decode: |text| serde_json::from_str(text),
    }
}

impl<T> Arg<T> {
    fn put(&self, value: &T, list: &mut Vec<u8>) -> Result<(), String> {
        (self.encode)(value, list).map_err(|error| bad_argument(self.name, &error))
    }

    fn take<'a>(&self, mut from: impl Iterator<Item = &'a RawValue>) -> Result<T, String> {
        let Some(raw) = from.next() else {
            return Err(format!("argument `{}` is missing", self.name));
        };
        (self.decode)(raw.get()).map_err(|error| format!("argument `{}`: {error}", self.name))
    }
}

/// How all arguments of a function are stored.
pub trait ArgsCodec<A>: Sync {
    /// As a JSON list.
    ///
    /// # Errors
    ///
    /// The argument that JSON cannot carry, and why.
    fn encode(&self, args: &A) -> Result<String, String>;

    /// From a JSON list.
    ///
    /// # Errors
    ///
    /// The argument that is missing or of another type.
    fn decode(&self, text: &str) -> Result<A, String>;
}

/// A list in the making. Most fit.
fn begin() -> Vec<u8> {
    let mut list = Vec::with_capacity(128);
    list.push(b'[');
    list
}

fn end(mut list: Vec<u8>) -> Result<String, String> {
    list.push(b']');
    String::from_utf8(list).map_err(|error| error.to_string())
}

fn elements(text: &str, count: usize) -> Result<Vec<&RawValue>, String> {
    let list: Vec<&RawValue> = serde_json::from_str(text).map_err(|error| error.to_string())?;
    if list.len() > count {
        let found = list.len();
        return Err(format!("{found} arguments are stored and the function takes {count}"));
    }
    Ok(list)
}

impl ArgsCodec<()> for () {
    fn encode(&self, (): &()) -> Result<String, String> {
        Ok("[]".to_owned())
    }

    fn decode(&self, text: &str) -> Result<(), String> {
        elements(text, 0).map(drop)
    }
}

impl<A> ArgsCodec<A> for (Arg<A>,) {
    fn encode(&self, a: &A) -> Result<String, String> {
        let mut list = begin();
        self.0.put(a, &mut list)?;
        end(list)
    }

    fn decode(&self, text: &str) -> Result<A, String> {
        // As it was written; anything else is read element by element.
        let one = text.strip_prefix('[').and_then(|text| text.strip_suffix(']'));
        match one.map(self.0.decode) {
            Some(Ok(value)) => Ok(value),
            _ => self.0.take(elements(text, 1)?.into_iter()),
        }
    }
}

macro_rules! codecs {
    ($(($count:literal: $($name:ident $n:tt)*))*) => {$(
        impl<$($name),*> ArgsCodec<($($name),*)> for ($(Arg<$name>),*) {
            fn encode(&self, args: &($($name),*)) -> Result<String, String> {
                let mut list = begin();
                $(self.$n.put(&args.$n, &mut list)?;)*
                end(list)
            }

            fn decode(&self, text: &str) -> Result<($($name),*), String> {
                let mut list = elements(text, $count)?.into_iter();
                Ok(($(self.$n.take(&mut list)?),*))
            }
        }
    )*};
}
codecs! {
    (2: A 0 B 1)
    (3: A 0 B 1 C 2)
    (4: A 0 B 1 C 2 D 3)
    (5: A 0 B 1 C 2 D 3 E 4)
    (6: A 0 B 1 C 2 D 3 E 4 F 5)
    (7: A 0 B 1 C 2 D 3 E 4 F 5 G 6)
    (8: A 0 B 1 C 2 D 3 E 4 F 5 G 6 H 7)
    (9: A 0 B 1 C 2 D 3 E 4 F 5 G 6 H 7 I 8)
    (10: A 0 B 1 C 2 D 3 E 4 F 5 G 6 H 7 I 8 J 9)
    (11: A 0 B 1 C 2 D 3 E 4 F 5 G 6 H 7 I 8 J 9 K 10)
    (12: A 0 B 1 C 2 D 3 E 4 F 5 G 6 H 7 I 8 J 9 K 10 L 11)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_a_list_by_position() {
        assert_eq!(().encode(&()).unwrap(), "[]");
        assert_eq!((arg::<u8>("n"),).encode(&7).unwrap(), "[7]");
        let codec = (arg::<u8>("n"), arg::<Vec<String>>("names"));
        let text = codec.encode(&(1, vec!["a".to_owned()])).unwrap();
        assert_eq!(text, r#"[1,["a"]]"#);
        assert_eq!(codec.decode(&text).unwrap(), (1, vec!["a".to_owned()]));
    }

    #[test]
    fn what_does_not_fit_names_the_argument() {
        let codec = (arg::<u8>("n"), arg::<bool>("flag"));
        assert!(codec.decode("[1]").unwrap_err().contains("`flag` is missing"));
        assert!(codec.decode("[1,2]").unwrap_err().contains("`flag`"));
        assert!(codec.decode("[1,true,3]").unwrap_err().contains("takes 2"));
        let codec = (arg::<std::collections::BTreeMap<Vec<u8>, u8>>("map"),);
        let error = codec.encode(&[(vec![1], 1)].into()).unwrap_err();
        assert!(error.contains("`map`") && error.contains("JSON cannot carry it"), "{error}");
    }
}
