//! What is noted about a run beside its arguments: a small map of texts.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::text::cut;

/// Most entries, and longest keys and values.
const ENTRIES: usize = 32;
const KEY: usize = 64;
const VALUE: usize = 1024;

/// Longest shown key, in bytes.
const SHOWN: usize = 200;

/// Reads a stored map of texts; what is no such map is empty.
pub(crate) fn read_meta(text: Option<&str>) -> BTreeMap<String, String> {
    text.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
}

/// As it is stored; none if there is nothing.
///
/// # Errors
///
/// What is too long, or too much.
pub(crate) fn write_meta(meta: &BTreeMap<String, String>) -> Result<Option<Arc<str>>, String> {
    if meta.len() > ENTRIES {
        return Err(format!(
            "a run has at most {ENTRIES} entries of meta, and this {}",
            meta.len()
        ));
    }
    for (key, value) in meta {
        let plain = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
        if key.is_empty() || key.len() > KEY || !key.chars().all(plain) {
            return Err(format!(
                "a key of meta has 1 to {KEY} letters, digits, `_`, `-` and `.`, and this is `{}`",
                cut(key, SHOWN)
            ));
        }
        if value.len() > VALUE {
            let found = value.len();
            return Err(format!("meta `{key}` has {found} bytes, and at most {VALUE}"));
        }
    }
    Ok((!meta.is_empty()).then(|| serde_json::json!(meta).to_string().into()))
}
