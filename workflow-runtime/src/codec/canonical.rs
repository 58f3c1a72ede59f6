//! JSON with the keys of every object in byte order.
//!
//! A `HashMap` among the arguments is written in random order, and a feature
//! of `serde_json` that any crate may switch on decides the order of maps:
//! the fingerprint must depend on neither. Works on the text as `serde_json`
//! writes it, without spaces, and copies scalars as they stand, so numbers of
//! any size keep their digits. What is nested deeper than `serde_json` reads is
//! copied as it stands: whoever reads it back is refused, and it may be of any depth.

use std::borrow::Cow;

/// As deep as `serde_json` reads.
const MAX_DEPTH: u32 = 128;

/// The canonical form of `json`; borrowed where it already is canonical, which
/// is so wherever there is no object with two keys.
pub(crate) fn canonical(json: &str) -> Cow<'_, str> {
    if !json.contains(",\"") {
        return Cow::Borrowed(json);
    }
    let mut out = String::with_capacity(json.len());
    value(json, &mut out, &mut Vec::new(), MAX_DEPTH);
    Cow::Owned(out)
}

/// The members of objects in hand, those of the innermost last: each key, and
/// its value as it stands.
type Members<'a> = Vec<(&'a str, &'a str)>;

/// Writes `json`, which is one value, sorted down to that depth.
fn value<'a>(json: &'a str, out: &mut String, members: &mut Members<'a>, depth: u32) {
    match (json.as_bytes().first(), depth.checked_sub(1)) {
        (Some(b'{'), Some(inner)) => object(json, out, members, inner),
        (Some(b'['), Some(inner)) => list(json, out, members, inner),
        _ => out.push_str(json),
    }
}

fn list<'a>(json: &'a str, out: &mut String, members: &mut Members<'a>, depth: u32) {
    out.push('[');
    let mut rest = inside(json);
    while !rest.is_empty() {
        let (element, after) = rest.split_at(value_len(rest));
        value(element, out, members, depth);
        rest = after.strip_prefix(',').unwrap_or(after);
        if rest.len() < after.len() {
            out.push(',');
        }
    }
    out.push(']');
}

fn object<'a>(json: &'a str, out: &mut String, members: &mut Members<'a>, depth: u32) {
    let first = members.len();
    let mut rest = inside(json);
    while !rest.is_empty() {
        let (key, after) = rest.split_at(value_len(rest));
        let after = after.strip_prefix(':').unwrap_or(after);
        let (member, after) = after.split_at(value_len(after));
        members.push((key, member));
        rest = after.strip_prefix(',').unwrap_or(after);
    }
    if let Some(own) = members.get_mut(first..) {
        own.sort_by_key(|(key, _)| *key);
    }
    out.push('{');
    for at in first..members.len() {
        if at > first {
            out.push(',');
        }
        let Some((key, member)) = members.get(at).copied() else { break };
        out.push_str(key);
        out.push(':');
        value(member, out, members, depth);
    }
    out.push('}');
    members.truncate(first);
}

/// What stands between the brackets of a list or object.
fn inside(json: &str) -> &str {
    let inside = json.get(1..json.len().saturating_sub(1));
    inside.unwrap_or_default()
}

/// Length of the value that `json` begins with; at least 1, if there is one.
fn value_len(json: &str) -> usize {
    if !json.starts_with(['{', '[']) {
        return scalar_len(json);
    }
    let (mut at, mut depth) = (0, 0_u32);
    while let Some(byte) = json.as_bytes().get(at) {
        match byte {
            b'"' => {
                at += scalar_len(json.get(at..).unwrap_or_default());
                continue;
            }
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        at += 1;
        if depth == 0 {
            return at;
        }
    }
    json.len()
}

/// Length of the string, number or word that `json` begins with; at least 1.
fn scalar_len(json: &str) -> usize {
    let bytes = json.as_bytes();
    if bytes.first() != Some(&b'"') {
        let end = bytes.iter().position(|b| b",]}:".contains(b));
        return end.unwrap_or(bytes.len()).max(1).min(bytes.len());
    }
    let mut at = 1;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'\\' => at += 2,
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    bytes.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_sorted_at_every_depth_and_scalars_stay() {
        let json = r#"[{"b":{"z":1e400,"y":"a\"},{\\"},"a":[true,{"k":null,"j":-0.5}]},"x,\"y"]"#;
        let sorted = r#"[{"a":[true,{"j":-0.5,"k":null}],"b":{"y":"a\"},{\\","z":1e400}},"x,\"y"]"#;
        assert_eq!(canonical(json), sorted);
        assert_eq!(canonical(sorted), sorted);
    }

    #[test]
    fn without_a_second_key_nothing_is_copied() {
        assert!(matches!(canonical(r#"[1,{"a":[2,3]}]"#), Cow::Borrowed(_)));
    }

    #[test]
    fn brackets_without_end_take_no_time_and_no_stack() {
        for open in ["[", "{\"a\":1,\"b\":"] {
            let text = format!("[1,\"\",{}", open.repeat(100_000));
            let copied = canonical(&text);
            assert!(copied.len() > 100_000 && copied.len() < text.len() + 200);
        }
        // What can be read back is sorted to its last bracket.
        let nested = |keys: &str| format!("{}{keys}{}", "[".repeat(126), "]".repeat(126));
        assert_eq!(canonical(&nested(r#"{"b":1,"a":2}"#)), nested(r#"{"a":2,"b":1}"#));
    }

    /// A value made from a seed, written once in order and once in disorder.
    fn random(seed: &mut u64, depth: u32, flip: bool) -> String {
        *seed =
            seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let pick = *seed >> 33;
        match pick % if depth == 0 { 3 } else { 5 } {
            0 => (pick % 1000).to_string(),
            1 => serde_json::to_string(&format!("{pick}\"\\}},{{é")).unwrap(),
            2 => "null".to_owned(),
            3 => {
                let all: Vec<_> = (0..pick % 4).map(|_| random(seed, depth - 1, flip)).collect();
                format!("[{}]", all.join(","))
            }
            _ => {
                let mut all: Vec<_> = (0..pick % 5)
                    .map(|n| format!("\"k{n}\\\"\":{}", random(seed, depth - 1, flip)))
                    .collect();
                if flip {
                    all.reverse();
                }
                format!("{{{}}}", all.join(","))
            }
        }
    }

    #[test]
    fn order_never_matters_and_the_value_stays_the_same() {
        for start in 0..500_u64 {
            let ordered = random(&mut start.clone(), 4, false);
            let flipped = random(&mut start.clone(), 4, true);
            assert_eq!(canonical(&ordered), canonical(&flipped), "seed {start}");
            let value = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
            assert_eq!(value(&canonical(&flipped)), value(&ordered), "seed {start}");
        }
    }
}
