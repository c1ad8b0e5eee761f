//! Tests that listen on every interface do so in a network namespace of their own, where there is
//! none but loopback.

use std::process::Command;

/// Runs the test `name` (its full path, such as `host::public_listener`) once more, in a process
/// and a network namespace of its own, and says whether this is that process.
///
/// ```no_run
/// # fn public_listener() {
/// if !e2e::namespace::entered("host::public_listener") {
///     return; // It ran in the namespace, and passed.
/// }
/// // Listen on 0.0.0.0 here.
/// # }
/// ```
///
/// # Panics
/// When the test fails in there, or the system gives no namespace (`unshare` of util-linux and
/// `ip` of iproute2 are needed, and root or unprivileged user namespaces).
#[must_use]
pub fn entered(name: &str) -> bool {
    if std::env::var_os(INSIDE).is_some() {
        return true;
    }
    let test = std::env::current_exe().unwrap();
    let output = Command::new("unshare")
        .args(["--user", "--map-root-user", "--net", "--", "sh", "-c"])
        .arg("ip link set lo up && exec \"$0\" --exact \"$1\" --nocapture")
        .arg(test)
        .arg(name)
        .env(INSIDE, "1")
        .output()
        .unwrap_or_else(|error| panic!("unshare (util-linux) does not run: {error}"));
    let stdout = String::from_utf8_lossy(&output.stdout);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(
        // A name that no test has would pass, too.
        output.status.success() && stdout.contains("1 passed"),
        "in its network namespace:\n{stdout}\n{stderr}"
    );
    false
}

/// Set in the process inside.
const INSIDE: &str = "PALISADE_E2E_NAMESPACE";
