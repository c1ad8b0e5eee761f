//! `palisade egress`.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use palisade_egress::check::{self, Opinion};
use palisade_egress::{OwnAddresses, Policy};
use palisade_gateway::audit::Trail;
use palisade_gateway::config::{self, Flags, Settings};
use palisade_gateway::egress::{Standalone, guard_policy, of_server, resolver};

use crate::arguments::{Egress, EgressCheck, EgressCommand, EgressServe, Format};
use crate::serve::told;
use crate::{USAGE, signals};

/// Something is refused, or not as expected.
const FINDINGS: u8 = 1;

/// Something could not be judged.
const UNKNOWN: u8 = 3;

pub(crate) fn run(arguments: &Egress) -> anyhow::Result<ExitCode> {
    match &arguments.command {
        EgressCommand::Check(check) => match &check.batch {
            Some(file) => batch(check, file),
            None => judge(check),
        },
        EgressCommand::Serve(serve) => self::serve(serve),
    }
}

fn batch(arguments: &EgressCheck, file: &Path) -> anyhow::Result<ExitCode> {
    let policy = match &arguments.config {
        Some(_) => match settings(arguments.config.as_deref()) {
            Some(settings) => Some(policy(&settings, arguments.server.as_deref())?),
            None => return Ok(ExitCode::from(USAGE)),
        },
        None => None,
    };
    let cases: Box<dyn BufRead> = if file == Path::new("-") {
        Box::new(io::stdin().lock())
    } else {
        let file =
            File::open(file).with_context(|| format!("{} cannot be read", file.display()))?;
        Box::new(BufReader::new(file))
    };
    let verdicts = io::BufWriter::new(io::stdout().lock());
    let words = |words: &str| anstream::eprintln!("{words}");
    let judged = block_on(check::batch(cases, verdicts, words, policy.as_ref()))?;
    let judged = match judged {
        // Whoever reads has enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(ExitCode::SUCCESS),
        judged => judged.context("the cases cannot be judged")?,
    };
    Ok(match (judged.malformed, judged.unexpected) {
        (0, 0) => ExitCode::SUCCESS,
        (0, _) => ExitCode::from(FINDINGS),
        _ => ExitCode::from(USAGE),
    })
}

fn judge(arguments: &EgressCheck) -> anyhow::Result<ExitCode> {
    let Some(settings) = settings(arguments.config.as_deref()) else {
        return Ok(ExitCode::from(USAGE));
    };
    let policy = policy(&settings, arguments.server.as_deref())?;
    let opinions = block_on(async {
        let handle = tokio::runtime::Handle::current();
        let resolver = arguments
            .resolve
            .then(|| resolver(&settings.egress, &handle));
        let mut opinions = Vec::new();
        for url in &arguments.urls {
            opinions.push(check::explain(&policy, resolver.clone(), url).await);
        }
        opinions
    })?;
    match arguments.format {
        Format::Json => anstream::println!("{}", serde_json::to_string_pretty(&opinions)?),
        Format::Text => opinions.iter().for_each(say),
    }
    Ok(if opinions.iter().any(Opinion::is_unknown) {
        ExitCode::from(UNKNOWN)
    } else if opinions.iter().all(Opinion::is_allow) {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(FINDINGS)
    })
}

fn say(opinion: &Opinion) {
    anstream::println!("{}  {}  {}", opinion.verdict, opinion.url, opinion.reason);
    anstream::println!("  why: {}", opinion.why);
    if !opinion.detail.is_empty() {
        anstream::println!("  found: {}", opinion.detail);
    }
    for address in &opinion.addresses {
        anstream::println!("  address: {address}");
    }
    if let Some(remedy) = opinion.remedy {
        anstream::println!("  remedy: {remedy}");
    }
}

fn serve(arguments: &EgressServe) -> anyhow::Result<ExitCode> {
    let Some(mut settings) = settings(arguments.config.as_deref()) else {
        return Ok(ExitCode::from(USAGE));
    };
    if let Some(listen) = arguments.listen {
        settings.egress.listen =
            config::Value::new(listen, config::Source::Flag("--listen".into()));
    }
    let stop = signals::stop()?;
    let trail = Trail::open(&settings, crate::serve::data_directory().as_deref())?;
    let proxy = Standalone::prepare(&settings, trail)?;
    let users = match proxy.users() {
        0 => "everybody who reaches it may use it".to_owned(),
        users => format!("{users} may use it, with a password"),
    };
    anstream::eprintln!("egress proxy  http://{}  ({users})", proxy.address());
    proxy.run(stop)?;
    Ok(ExitCode::SUCCESS)
}

/// The settings, or nothing when every mistake has been printed.
fn settings(file: Option<&Path>) -> Option<Settings> {
    let environment = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    let flags = Flags {
        without_servers: true,
        ..Flags::default()
    };
    told(config::load(file, environment, &flags))
}

/// The policy of a server, or the one without an allowlist.
fn policy(settings: &Settings, server: Option<&str>) -> anyhow::Result<Arc<Policy>> {
    let own = OwnAddresses::of_this_machine().context("the interfaces cannot be listed")?;
    let egress = &settings.egress;
    let policy = match server {
        None => guard_policy(egress, None, settings.defaults.egress_mode.value, own)?,
        Some(name) => {
            let mut servers = settings.servers.iter();
            let server = servers.find(|server| server.name.value == name);
            let server = server.with_context(|| {
                format!("the configuration has no server `{name}`; name one of its `[[server]]`")
            })?;
            of_server(server, egress, own)?
        }
    };
    Ok(Arc::new(policy))
}

fn block_on<T>(future: impl Future<Output = T>) -> io::Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    Ok(runtime.block_on(future))
}
