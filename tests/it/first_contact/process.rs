//! Runs a test in a process of its own, with the environment variables that it names and no other.

use std::future::Future;
use std::process::Command;

/// Set in the process of its own, to the name of the test.
const ALONE: &str = "MEMORY_TABLE_TEST_ALONE";

/// Runs `test` in a process of its own, which is this program again with only the test `name`.
///
/// Returns whether this is the process that started it; what follows in the test is run by both.
#[track_caller]
pub fn run_alone(
    module: &str,
    name: &str,
    variables: &[(&str, &str)],
    test: impl Future<Output = ()>,
) -> bool {
    let (_, module) = module.split_once("::").expect("the tests are in modules of the binary");
    let name = format!("{module}::{name}");
    if std::env::var(ALONE).is_ok_and(|running| running == name) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.expect("a runtime").block_on(test);
        return false;
    }
    let mut command = Command::new(std::env::current_exe().expect("the path of this test"));
    command.args(["--exact", &name, "--nocapture"]).env_clear();
    // Sockets need it on Windows.
    command.envs(std::env::var_os("SystemRoot").map(|root| ("SystemRoot", root)));
    let output = command.envs(variables.iter().copied()).env(ALONE, &name).output();
    let output = output.expect("the test starts again");
    let (stdout, stderr) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{name} failed alone\n{stdout}\n{stderr}");
    assert!(stdout.contains(" 1 passed"), "{name} is no test\n{stdout}");
    true
}

/// Runs the `async` body of the test of the given name alone.
macro_rules! alone {
    ($name:ident, $variables:expr, $test:expr) => {
        $crate::first_contact::process::run_alone(
            module_path!(),
            stringify!($name),
            $variables,
            $test,
        )
    };
}
pub(super) use alone;
