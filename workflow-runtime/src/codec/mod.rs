//! Everything a user wrote passes here on its way to the store and back:
//! arguments, results, failures. Stored as JSON text.

mod canonical;
mod sealed;

use std::fmt;

use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest as _, Sha256};

pub(crate) use canonical::canonical;
pub use sealed::Codec;
pub(crate) use sealed::{open, seal};

/// Why a value cannot be stored.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Unstorable {
    /// JSON cannot carry it.
    Unencodable(String),
    /// It is over the limit.
    TooLarge { bytes: usize, limit: usize },
}

impl fmt::Display for Unstorable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unencodable(error) => write!(f, "JSON cannot carry it: {error}"),
            Self::TooLarge { bytes, limit } => write!(
                f,
                "it has {bytes} bytes as JSON and the limit is {limit}: store the data elsewhere \
                 and pass a reference, or raise `max_payload` of the builder"
            ),
        }
    }
}

/// Encodes `{"tag": value}`.
pub(crate) fn encode_tagged<T: Serialize + ?Sized>(
    tag: &str,
    value: &T,
    limit: usize,
) -> Result<String, Unstorable> {
    let mut bytes = Vec::with_capacity(64);
    bytes.extend_from_slice(b"{\"");
    bytes.extend_from_slice(tag.as_bytes());
    bytes.extend_from_slice(b"\":");
    serde_json::to_writer(&mut bytes, value)
        .map_err(|error| Unstorable::Unencodable(error.to_string()))?;
    bytes.push(b'}');
    within(bytes.len(), limit)?;
    String::from_utf8(bytes).map_err(|error| Unstorable::Unencodable(error.to_string()))
}

/// Encodes a value by itself.
pub(crate) fn encode<T: Serialize + ?Sized>(value: &T, limit: usize) -> Result<String, Unstorable> {
    let text =
        serde_json::to_string(value).map_err(|error| Unstorable::Unencodable(error.to_string()))?;
    within(text.len(), limit)?;
    Ok(text)
}

/// The value of `{"tag": value}` as text, if that is the tag.
pub(crate) fn untagged<'a>(tag: &str, text: &'a str) -> Option<&'a str> {
    text.strip_prefix("{\"")?.strip_prefix(tag)?.strip_prefix("\":")?.strip_suffix('}')
}

/// Appends `value` to a JSON list in the making.
pub(crate) fn push_element<T: Serialize>(list: &mut Vec<u8>, value: &T) -> Result<(), Unstorable> {
    if list.len() > 1 {
        list.push(b',');
    }
    serde_json::to_writer(list, value).map_err(|error| Unstorable::Unencodable(error.to_string()))
}

pub(crate) fn decode<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    serde_json::from_str(text).map_err(|error| error.to_string())
}

/// Refuses what is over the limit.
pub(crate) fn within(bytes: usize, limit: usize) -> Result<(), Unstorable> {
    if bytes > limit { Err(Unstorable::TooLarge { bytes, limit }) } else { Ok(()) }
}

/// The fingerprint of arguments: the first 64 bits of SHA-256 over their
/// canonical JSON. Stored in histories; never changes.
pub(crate) fn fingerprint(json: &str) -> u64 {
    let digest = Sha256::digest(canonical(json).as_bytes());
    digest.iter().take(8).fold(0, |hash, byte| hash << 8 | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_ignores_the_order_of_keys_only() {
        assert_eq!(fingerprint(r#"[{"b":1,"a":[2]}]"#), fingerprint(r#"[{"a":[2],"b":1}]"#));
        assert_ne!(fingerprint("[1,2]"), fingerprint("[2,1]"));
        // Published: printf '[]' | sha256sum
        assert_eq!(fingerprint("[]"), 0x4f53_cda1_8c2b_aa0c);
    }

    #[test]
    fn a_tag_is_put_on_and_taken_off() {
        let text = encode_tagged("ok", &[1, 2], 100).unwrap();
        assert_eq!(text, r#"{"ok":[1,2]}"#);
        assert_eq!(untagged("ok", &text), Some("[1,2]"));
        assert_eq!(untagged("err", &text), None);
    }

    #[test]
    fn what_is_too_large_says_the_numbers() {
        let error = encode_tagged("ok", &"x".repeat(100), 50).unwrap_err();
        assert_eq!(error, Unstorable::TooLarge { bytes: 109, limit: 50 });
    }
}
