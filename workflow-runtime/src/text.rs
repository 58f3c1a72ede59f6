//! Texts for people, and how long they may get.

use std::borrow::Cow;

/// Longest stored text of a failure, in bytes.
pub(crate) const MAX_FAILURE: usize = 16 * 1024;

/// At most `most` bytes of `text`; what is cut is seen.
pub(crate) fn cut(text: &str, most: usize) -> Cow<'_, str> {
    if text.len() <= most {
        return Cow::Borrowed(text);
    }
    Cow::Owned(format!("{}…", &text[..text.floor_char_boundary(most)]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_between_characters_and_says_so() {
        assert_eq!(cut("größe", 7), "größe");
        assert_eq!(cut("größe", 3), "gr…");
        assert_eq!(cut("größe", 4), "grö…");
    }
}
