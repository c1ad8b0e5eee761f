//! The command `palisade`. Arguments → one call → output and exit code.

mod arguments;
mod audit;
mod auth;
mod config;
mod connect;
mod demo;
mod egress;
mod explain;
mod serve;
mod signals;

use std::process::ExitCode;

use clap::Parser as _;
use palisade_gateway::upstream::stdio;
use tracing_subscriber::EnvFilter;

use arguments::{Arguments, Command};

/// A request allocates and frees some forty times; this costs a third of what the system's
/// allocator takes for it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // Between a gateway and a command: no user asks for that.
    if let Some(code) = stdio::run_if_asked(std::env::args_os()) {
        return code;
    }
    let arguments = Arguments::parse();
    log_to_stderr();
    let result = match arguments.command {
        Command::Audit(audit) => audit::run(&audit),
        Command::Auth(auth) => auth::run(&auth),
        Command::Config(config) => config::run(&config),
        Command::Connect(connect) => connect::run(&connect),
        Command::Demo(demo) => demo::run(&demo),
        Command::Egress(egress) => egress::run(&egress),
        Command::Explain(explain) => explain::run(&explain),
        Command::Serve(serve) => serve::run(&serve),
        Command::Version(version) => serve::version(version.format),
    };
    match result {
        Ok(code) => code,
        Err(error) => {
            anstream::eprintln!("error: {error:#}");
            ExitCode::from(USAGE)
        }
    }
}

/// Usage or configuration.
const USAGE: u8 = 2;

/// The target could not be reached.
const UNREACHED: u8 = 3;

/// Words go to standard error; `PALISADE_LOG` says how many (`info` by default). The `h2` crate
/// warns of what any client can send it, as often as he likes.
fn log_to_stderr() {
    #[expect(clippy::disallowed_methods, reason = "before there are settings")]
    let filter =
        std::env::var("PALISADE_LOG").unwrap_or_else(|_| "info,rmcp=warn,h2=error".to_owned());
    tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::try_new(&filter).unwrap_or_else(|_| EnvFilter::new("info")))
        .with_writer(anstream::stderr)
        .with_target(false)
        .init();
}
