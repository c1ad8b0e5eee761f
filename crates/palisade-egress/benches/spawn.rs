//! What a wall adds to the start of a command: at level *isolated* below 30 ms. Prints milliseconds
//! to the first byte of `/bin/echo`, by the launcher alone and without the gateway's keeper.

use std::ffi::OsString;
use std::io::Read as _;
use std::process::{Command, ExitCode, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use palisade_egress::jail::{self, Jail};
use palisade_egress::proxy::{Identity, Plan, Proxy, ProxyLimits};
use palisade_egress::{Guard, Level, OwnAddresses, Policy, SystemResolver, Unobserved};
use tokio::runtime::Handle;

const ROUNDS: usize = 50;

const LAUNCH: &str = "__launch";

fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    if let Some(code) = jail::run_if_asked(&arguments) {
        return code;
    }
    if let [role, wall, command @ ..] = &arguments[..]
        && role == LAUNCH
    {
        let wall = wall.to_str().expect("a number");
        return jail::launch(wall, command).expect("the jail is built");
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("a runtime");
    let policy = Policy::builder().own_addresses(OwnAddresses::fixed([]));
    let policy = Arc::new(policy.build().expect("a policy"));
    let guard = Guard::new(policy, Arc::new(SystemResolver::default()));
    let plan = Plan::new().with_listener(Identity::new("bench", guard));
    let proxy = Proxy::new(plan, ProxyLimits::default(), Arc::new(Unobserved));
    let mut without = Duration::ZERO;
    for level in Level::ALL {
        let jail = Jail::new(level, proxy.clone(), "bench");
        let mut took: Vec<_> = (0..ROUNDS).map(|_| once(&jail, runtime.handle())).collect();
        took.sort_unstable();
        let median = took[ROUNDS / 2];
        if level == Level::Advisory {
            without = median;
        }
        report(&format!(
            "{level}: {:.2} ms, added {:.2} ms",
            milliseconds(median),
            milliseconds(median.saturating_sub(without))
        ));
    }
    ExitCode::SUCCESS
}

#[expect(clippy::print_stdout, reason = "this is what the bench is for")]
fn report(line: &str) {
    println!("{line}");
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

/// From the start of a command to its first byte.
fn once(jail: &Jail, runtime: &Handle) -> Duration {
    let began = Instant::now();
    let start = |words: &[&str]| {
        Command::new(words[0])
            .args(&words[1..])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
    };
    let own = "/proc/self/exe";
    let mut child = match jail.prepare().expect("descriptors") {
        None => start(&["/bin/echo", "here"]).expect("it starts"),
        Some(wall) => {
            let child = wall.start(|wall| start(&[own, LAUNCH, wall, "/bin/echo", "here"]));
            wall.guard(runtime).expect("a thread");
            child.expect("it starts")
        }
    };
    let mut byte = [0];
    let mut stdout = child.stdout.take().expect("a pipe");
    stdout.read_exact(&mut byte).expect("a byte");
    let took = began.elapsed();
    child.wait().expect("it ends");
    took
}
