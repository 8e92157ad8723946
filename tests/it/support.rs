//! What the tests share.

use std::path::PathBuf;
use std::process::Command;

/// The program of an example; `cargo test` builds the examples before it runs the tests.
pub fn example(name: &str) -> Command {
    let test = std::env::current_exe().expect("the path of this test");
    // target/PROFILE/deps/it-HASH → target/PROFILE/examples/NAME
    let profile = test.ancestors().nth(2).expect("the folder of the profile");
    let program: PathBuf = profile.join("examples").join(name);
    assert!(
        program.exists(),
        "{} is missing: run `cargo build --examples` first",
        program.display()
    );
    Command::new(program)
}
