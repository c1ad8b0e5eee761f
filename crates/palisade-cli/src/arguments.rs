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
    /// Ask an audit log, hold it against its chain, take secrets out of JSON
    Audit(Audit),
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
    /// What a refusal, a finding or a key of the configuration means, and how to mend it
    Explain(Explain),
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
pub(crate) struct Audit {
    #[command(subcommand)]
    pub(crate) command: AuditCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum AuditCommand {
    /// Show what happened around a moment: the calls before an outage
    Around(Around),
    /// Print the public key that the gateway signs its audit log with
    Key(AuditKey),
    /// Ask the three questions of a review
    Query(Query),
    /// Write NDJSON (one JSON value a line) without secrets and personal data, line for line
    Redact(Redact),
    /// Find lines that were changed, removed, added or moved
    Verify(Verify),
}

#[derive(Debug, Args)]
pub(crate) struct AuditKey {
    /// Configuration file: the key stands beside its first audit file, or in the data directory where there is none
    #[arg(long, value_name = "FILE", env = "PALISADE_CONFIG")]
    pub(crate) config: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Query {
    #[command(subcommand)]
    pub(crate) question: Question,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Question {
    /// Which calls destroyed something?
    Destructive(AskDestructive),
    /// Which tools fail too often?
    Errors(AskErrors),
    /// Who calls too often?
    Frequent(AskFrequent),
    /// All three at once, in one pass
    Review(AskReview),
}

impl Question {
    pub(crate) fn files(&self) -> &LogFiles {
        match self {
            Self::Destructive(asked) => &asked.files,
            Self::Errors(asked) => &asked.files,
            Self::Frequent(asked) => &asked.files,
            Self::Review(asked) => &asked.files,
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct AskDestructive {
    #[command(flatten)]
    pub(crate) files: LogFiles,
    /// Names of destructive tools, `*` for any characters; may be given several times. Default: delete_*, drop_*, *_remove and
    /// their kin; what the record itself calls destructive always counts
    #[arg(long = "tool", value_name = "PATTERN")]
    pub(crate) tools: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct AskErrors {
    #[command(flatten)]
    pub(crate) files: LogFiles,
    /// More than this share of a tool's calls
    #[arg(long, value_name = "SHARE", default_value = "5%")]
    pub(crate) over: String,
}

#[derive(Debug, Args)]
pub(crate) struct AskFrequent {
    #[command(flatten)]
    pub(crate) files: LogFiles,
    /// More than so many calls
    #[arg(long, value_name = "CALLS", default_value_t = 500)]
    pub(crate) over: usize,
    /// Within any span of this length, wherever it begins
    #[arg(long, value_name = "SPAN", default_value = "1h")]
    pub(crate) per: String,
}

#[derive(Debug, Args)]
pub(crate) struct AskReview {
    #[command(flatten)]
    pub(crate) files: LogFiles,
    /// As `--tool` of `destructive`
    #[arg(long = "tool", value_name = "PATTERN")]
    pub(crate) tools: Vec<String>,
    /// As `--over` of `frequent`
    #[arg(long, value_name = "CALLS", default_value_t = 500)]
    pub(crate) over_calls: usize,
    /// As `--per` of `frequent`
    #[arg(long, value_name = "SPAN", default_value = "1h")]
    pub(crate) per: String,
    /// As `--over` of `errors`
    #[arg(long, value_name = "SHARE", default_value = "5%")]
    pub(crate) over_errors: String,
}

/// Which lines, and how to print.
#[derive(Debug, Args)]
pub(crate) struct LogFiles {
    /// Files of the log, plain, .gz or .zst; `*` and `?` in a file's name; - for standard input
    #[arg(value_name = "FILE", required = true)]
    pub(crate) files: Vec<String>,
    /// Only records since TIME: a moment (2026-11-21T08:10:00Z) or a span before now (24h, 7d)
    #[arg(long, value_name = "TIME")]
    pub(crate) since: Option<String>,
    /// Only records before TIME
    #[arg(long, value_name = "TIME")]
    pub(crate) until: Option<String>,
    /// List at most N records, the newest
    #[arg(long, value_name = "N", default_value_t = 100_000)]
    pub(crate) limit: usize,
    /// How to print
    #[arg(long, value_enum, default_value_t)]
    pub(crate) format: TableFormat,
}

#[derive(Debug, Args)]
pub(crate) struct Around {
    /// The moment (2026-11-21T08:10:00Z), or a span before now (10m)
    #[arg(value_name = "TIME")]
    pub(crate) time: String,
    #[command(flatten)]
    pub(crate) files: LogFiles,
    /// How long before it
    #[arg(long, value_name = "SPAN", default_value = "5m")]
    pub(crate) before: String,
    /// How long after it
    #[arg(long, value_name = "SPAN", default_value = "1m")]
    pub(crate) after: String,
}

#[derive(Debug, Args)]
pub(crate) struct Redact {
    /// Files, plain, .gz or .zst; standard input without one
    #[arg(value_name = "FILE")]
    pub(crate) files: Vec<String>,
    /// Leave what stands at PATH as it is: a JSON Pointer such as /args/to, `*` for any member; may be given several times
    #[arg(long, value_name = "PATH")]
    pub(crate) allow: Vec<String>,
    /// Write pseudonyms for tokens and e-mail addresses, by the key in FILE: 64 hexadecimal digits
    #[arg(long, value_name = "FILE")]
    pub(crate) pseudonym_key: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Verify {
    /// All files of one chain, in any order, plain, .gz or .zst; checkpoints of a second sink as well
    #[arg(value_name = "FILE", required = true)]
    pub(crate) files: Vec<String>,
    /// The gateway's public key (ed25519:…), or a file that holds it
    #[arg(long, value_name = "KEY")]
    pub(crate) key: Option<String>,
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

/// How tables are printed.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
pub(crate) enum TableFormat {
    /// For spreadsheets
    Csv,
    /// For machines
    Json,
    /// For people
    #[default]
    #[value(alias = "table")]
    Text,
}

#[derive(Debug, Args)]
pub(crate) struct Explain {
    /// A reason, such as host.not_allowed, or a key, such as audit.fail; without it all reasons are listed
    #[arg(value_name = "WORD")]
    pub(crate) word: Option<String>,
    /// How to print
    #[arg(long, value_enum, default_value_t)]
    pub(crate) format: Format,
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
