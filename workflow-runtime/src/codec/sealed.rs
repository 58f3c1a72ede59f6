//! The seam where what users wrote becomes what is stored: for encryption and
//! compression.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::error::BoxError;

/// Turns what users wrote – arguments, results, failures, heartbeats – into
/// what is stored, and back. Given to
/// [`Builder::codec`](crate::Builder::codec).
///
/// What it gives is stored as `{"$codec": id, "$data": text}`, so that a row
/// tells by which codec and key it was written: keys can be changed while old
/// rows are there, and rows from before there was a codec are read as they are.
/// Names of workflows and steps, workflow ids and
/// [meta](crate::Call::meta) are not encoded: they are looked for.
///
/// ```
/// use workflow_runtime::{BoxError, Codec};
///
/// #[derive(Debug)]
/// struct Reversed;
///
/// impl Codec for Reversed {
///     fn id(&self) -> &str {
///         "reversed-1"
///     }
///
///     fn encode(&self, plain: &str) -> Result<String, BoxError> {
///         Ok(plain.chars().rev().collect())
///     }
///
///     fn decode(&self, id: &str, stored: &str) -> Result<String, BoxError> {
///         match id {
///             "reversed-1" => Ok(stored.chars().rev().collect()),
///             other => Err(format!("no key for `{other}`").into()),
///         }
///     }
/// }
/// ```
pub trait Codec: fmt::Debug + Send + Sync + 'static {
    /// Names the codec and the key that [`encode`](Self::encode) uses.
    fn id(&self) -> &str;

    /// What is stored of a JSON text.
    ///
    /// # Errors
    ///
    /// It cannot be encoded: its run is blocked, or its start is refused.
    fn encode(&self, plain: &str) -> Result<String, BoxError>;

    /// The JSON text of what was stored under that id.
    ///
    /// # Errors
    ///
    /// It cannot be decoded: its run is blocked until a build can.
    fn decode(&self, id: &str, stored: &str) -> Result<String, BoxError>;
}

#[derive(Serialize, Deserialize)]
struct Sealed<'a> {
    #[serde(rename = "$codec")]
    codec: std::borrow::Cow<'a, str>,
    #[serde(rename = "$data")]
    data: std::borrow::Cow<'a, str>,
}

/// How every sealed text begins.
const MARK: &str = "{\"$codec\":";

/// The stored form.
pub(crate) fn seal(codec: &dyn Codec, plain: &str) -> Result<String, String> {
    let id = codec.id();
    let data = codec.encode(plain).map_err(|error| format!("codec `{id}`: {error}"))?;
    let sealed = Sealed { codec: id.into(), data: data.into() };
    serde_json::to_string(&sealed).map_err(|error| error.to_string())
}

/// The text that was sealed; what is not sealed, as it is.
pub(crate) fn open(codec: &dyn Codec, stored: &str) -> Result<Option<String>, String> {
    if !stored.starts_with(MARK) {
        return Ok(None);
    }
    let sealed: Sealed<'_> = serde_json::from_str(stored).map_err(|error| error.to_string())?;
    let plain = codec.decode(&sealed.codec, &sealed.data);
    plain.map(Some).map_err(|error| format!("codec `{}`: {error}", sealed.codec))
}
