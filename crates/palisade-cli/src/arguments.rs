//! What was said on the command line.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use palisade_gateway::config::Flags;

/// The wall round MCP servers.
#[derive(Debug, Parser)]
#[command(
    name = "palisade",
    version,
    propagate_version = true,
    max_term_width = 100
)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make API keys
    Auth(Auth),
    /// Look at the configuration without starting anything
    Config(Config),
    /// Carry messages between standard input and output and a server's URL, for clients that speak only stdio
    Connect(Connect),
    /// The whole gateway in front of a built-in MCP server, nothing else needed
    Demo(Demo),
    /// The guard on the way out: try its policy, or run its proxy alone
    Egress(Egress),
    /// Stand in front of an MCP server
    Serve(Serve),
    /// Print the version
    Version(Version),
}

#[derive(Debug, Args)]
pub(crate) struct Auth {
    #[command(subcommand)]
    pub(crate) command: AuthCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum AuthCommand {
    /// Print a new API key, which is shown this once, and what the configuration says of it
    NewKey(NewKey),
}

#[derive(Debug, Args)]
pub(crate) struct NewKey {
    /// Whose it is, in audit records and rules
    pub(crate) name: String,
    /// The day after which it ends (UTC), such as 2027-01-31
    #[arg(long, value_name = "DAY")]
    pub(crate) expires: Option<String>,
    /// A scope that it grants; may be given several times
    #[arg(long = "scope", value_name = "SCOPE")]
    pub(crate) scopes: Vec<String>,
    #[arg(long, default_value = "text")]
    pub(crate) format: Format,
}

#[derive(Debug, Args)]
pub(crate) struct Serve {
    /// The MCP server's URL, such as http://127.0.0.1:3000/mcp; without it the file names the servers
    pub(crate) url: Option<String>,
    /// A program that speaks MCP on its standard streams, and its arguments, in place of a URL
    #[arg(last = true, value_name = "COMMAND", conflicts_with = "url")]
    pub(crate) command: Vec<String>,
    #[command(flatten)]
    pub(crate) settings: SettingsArguments,
}

/// Where settings come from, beside the environment.
#[derive(Debug, Args)]
pub(crate) struct SettingsArguments {
    /// The configuration file (TOML)
    #[arg(long, value_name = "FILE", env = "PALISADE_CONFIG")]
    pub(crate) config: Option<PathBuf>,
    /// Listen on ADDR, such as 127.0.0.1:8443; may be given several times
    #[arg(long, value_name = "ADDR")]
    pub(crate) listen: Vec<String>,
    /// A public host that requests may name; may be given several times
    #[arg(long = "host", value_name = "HOST")]
    pub(crate) hosts: Vec<String>,
    /// An origin whose pages may call; may be given several times
    #[arg(long = "origin", value_name = "ORIGIN")]
    pub(crate) origins: Vec<String>,
    /// What the policy layers do: enforce, report or off
    #[arg(long, value_name = "MODE")]
    pub(crate) mode: Option<String>,
    /// Threads that serve; one per core by default
    #[arg(long, value_name = "N")]
    pub(crate) workers: Option<i64>,
    /// Development: allow pages of this machine (loopback listeners only)
    #[arg(long)]
    pub(crate) dev: bool,
}

impl SettingsArguments {
    pub(crate) fn flags(&self, url: Option<&String>, command: &[String]) -> Flags {
        Flags {
            url: url.cloned(),
            command: command.to_vec(),
            listen: self.listen.clone(),
            hosts: self.hosts.clone(),
            origins: self.origins.clone(),
            mode: self.mode.clone(),
            workers: self.workers,
            dev: self.dev,
            without_servers: false,
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct Connect {
    /// The MCP server's URL: https, or http to this machine
    pub(crate) url: String,
    /// A file that holds the access token; PALISADE_TOKEN in the environment is the token itself
    #[arg(long, value_name = "FILE", env = "PALISADE_TOKEN_FILE")]
    pub(crate) token_file: Option<PathBuf>,
    /// Certificates (PEM) of a private authority, trusted beside the system's own
    #[arg(long, value_name = "FILE", env = "PALISADE_CA")]
    pub(crate) ca: Option<PathBuf>,
    /// Call another machine by plain http, which everyone on the way can read and change
    #[arg(long)]
    pub(crate) i_accept_plaintext: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Demo {
    /// The address with TLS
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8443")]
    pub(crate) listen_tls: SocketAddr,
    /// The address with plain HTTP
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8080")]
    pub(crate) listen: SocketAddr,
}

#[derive(Debug, Args)]
pub(crate) struct Config {
    #[command(subcommand)]
    pub(crate) command: ConfigCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Name every mistake with its line and its remedy
    Check(ConfigSource),
    /// Print the JSON schema of the configuration file
    Schema,
    /// Print every setting with its value and where it comes from
    Show(ConfigSource),
}

#[derive(Debug, Args)]
pub(crate) struct ConfigSource {
    /// The MCP server's URL, as for `serve`
    pub(crate) url: Option<String>,
    /// A command in place of a URL, as for `serve`
    #[arg(last = true, value_name = "COMMAND", conflicts_with = "url")]
    pub(crate) command: Vec<String>,
    #[command(flatten)]
    pub(crate) settings: SettingsArguments,
    /// How to print
    #[arg(long, value_enum, default_value_t)]
    pub(crate) format: Format,
}

#[derive(Debug, Args)]
pub(crate) struct Egress {
    #[command(subcommand)]
    pub(crate) command: EgressCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum EgressCommand {
    /// What the outbound policy says of a URL, and why; nothing is dialed
    Check(EgressCheck),
    /// The forward proxy alone
    Serve(EgressServe),
}

#[derive(Debug, Args)]
pub(crate) struct EgressCheck {
    /// URLs to judge
    #[arg(required_unless_present = "batch")]
    pub(crate) urls: Vec<String>,
    /// Judge the cases of FILE, one JSON object a line (`-`: standard input), by the rules alone:
    /// lookups and connections are made up from the case
    #[arg(long, value_name = "FILE", conflicts_with_all = ["urls", "resolve"])]
    pub(crate) batch: Option<PathBuf>,
    /// The configuration file whose policy is meant; without one, the public internet
    #[arg(long, value_name = "FILE", env = "PALISADE_CONFIG")]
    pub(crate) config: Option<PathBuf>,
    /// The server of the configuration whose allowlist is meant
    #[arg(long, value_name = "NAME", requires = "config")]
    pub(crate) server: Option<String>,
    /// Look names up and judge their addresses too
    #[arg(long)]
    pub(crate) resolve: bool,
    /// How to print
    #[arg(long, value_enum, default_value_t)]
    pub(crate) format: Format,
}

#[derive(Debug, Args)]
pub(crate) struct EgressServe {
    /// The configuration file (TOML)
    #[arg(long, value_name = "FILE", env = "PALISADE_CONFIG")]
    pub(crate) config: Option<PathBuf>,
    /// Listen on ADDR; 127.0.0.1:3128 by default
    #[arg(long, value_name = "ADDR")]
    pub(crate) listen: Option<SocketAddr>,
}

#[derive(Debug, Args)]
pub(crate) struct Version {
    /// How to print
    #[arg(long, value_enum, default_value_t)]
    pub(crate) format: Format,
}

/// How data is printed.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
pub(crate) enum Format {
    /// For machines
    Json,
    /// For people
    #[default]
    Text,
}
