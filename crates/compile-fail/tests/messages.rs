//! What the compiler says to wrong uses: each file in `ui` does not compile, with the message in
//! the `.stderr` file beside it.
//!
//! `TRYBUILD=overwrite cargo test -p compile-fail` writes the `.stderr` files anew; read the
//! difference before it is committed.

#[test]
// The compiler's own words around our messages change with its versions.
#[rustversion::attr(not(stable(1.95)), ignore = "the messages were recorded with Rust 1.95")]
fn wrong_uses_get_a_message_that_helps() {
    trybuild::TestCases::new().compile_fail("tests/ui/*.rs");
}
