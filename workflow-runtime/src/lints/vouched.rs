//! Where somebody answers for what runs, the sanitizer of tests looks away.

/// From where it is made until it is dropped. Without the feature `sanitize` it
/// is nothing.
#[derive(Debug)]
#[must_use = "it ends when it is dropped"]
pub struct Vouched(#[cfg(feature = "sanitize")] workflow_sanitize::Unwatched);

impl Vouched {
    /// Somebody answers for what runs from here on.
    #[inline]
    pub fn begin() -> Self {
        Self(
            #[cfg(feature = "sanitize")]
            workflow_sanitize::unwatched(),
        )
    }

    /// It ends here.
    #[inline]
    pub fn end(self) {
        #[cfg(feature = "sanitize")]
        drop(self.0);
    }
}
