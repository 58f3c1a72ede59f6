//! A history for a file.

use std::sync::Arc;

use super::Inner;
use crate::error::{Error, ErrorKind};
use crate::model::{HistoryFile, StoredRun};

/// The history of a run as JSON: see [`Handle::export`](crate::Handle::export).
#[derive(Clone)]
#[must_use = "nothing is read before `to_text` is awaited"]
pub struct Export {
    pub(super) client: Arc<Inner>,
    pub(super) id: Arc<str>,
    pub(super) fields: Vec<String>,
}

impl std::fmt::Debug for Export {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Export({} without {:?})", self.id, self.fields)
    }
}

impl Export {
    /// Takes the values of that field out of arguments, results and `meta`,
    /// wherever it stands; `card*` means every field that begins so. A text
    /// becomes `"redacted"`, a number 0, `true` `false`; a list keeps its length.
    ///
    /// Fingerprints of arguments are left out then, and a replay compares names
    /// and order only. A value that steers the workflow is better left in. What has
    /// no field stays: an argument or a result that is a plain text is written as
    /// it is.
    pub fn redact(mut self, field: impl Into<String>) -> Self {
        self.fields.push(field.into());
        self
    }

    /// Reads the run and writes its text.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`], [`ErrorKind::Corrupt`]: a stored value is no JSON;
    /// or the store did not answer.
    pub async fn to_text(self) -> Result<String, Error> {
        let Self { client, id, fields } = self;
        let not_found = || Error::new(ErrorKind::NotFound, format!("there is no run `{id}`"));
        let record = client.store.find(&id).await?.ok_or_else(not_found)?;
        let history = client.store.history(record.run).await?;
        let stored = StoredRun::read_back(record, history);
        let text = HistoryFile::of(&stored).and_then(|mut file| {
            file.redact(&fields)?;
            file.to_text()
        });
        text.map_err(|error| Error::new(ErrorKind::Corrupt, format!("run `{id}`: {error}")))
    }
}
