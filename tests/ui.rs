//! What the macros say when they are misused: one message per mistake, at the
//! tokens at fault. `TRYBUILD=overwrite cargo ui` writes the answers anew.

#[test]
fn messages() {
    let cases = trybuild::TestCases::new();
    cases.compile_fail("ui/*.rs");
    cases.pass("ui/pass/*.rs");
}
