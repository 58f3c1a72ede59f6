//! Durations as people write them: `"200ms"`, `"10s"`, `"1.5h"`.

use syn::{Error, LitStr, Result};

const UNITS: &[(&str, f64)] =
    &[("ms", 1.0), ("s", 1e3), ("m", 60e3), ("h", 3_600e3), ("d", 86_400e3)];

/// Longest duration, in days.
const MAX_DAYS: f64 = 36_500.0;

/// Whole milliseconds.
pub(crate) fn millis(literal: &LitStr) -> Result<u64> {
    let text = literal.value();
    let wrong = |found: &str| {
        let message = format!(
            "`{text}` is not a duration: {found}; write a number and one of `ms`, `s`, `m`, `h`, \
             `d`, like \"200ms\" or \"1.5h\""
        );
        Error::new(literal.span(), message)
    };
    let digits = text.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let Some((_, factor)) = UNITS.iter().find(|(name, _)| *name == unit.trim()) else {
        let found = if unit.is_empty() { "it has no unit" } else { "its unit is not known" };
        return Err(wrong(found));
    };
    let number: f64 = number.parse().map_err(|_| wrong("its number cannot be read"))?;
    let millis = (number * factor).round();
    if millis > MAX_DAYS * 86_400e3 {
        return Err(wrong("it is longer than a hundred years"));
    }
    // Whole, not negative and far below 2^53: exact.
    format!("{millis:.0}").parse().map_err(|_| wrong("its number cannot be read"))
}
