//! From a name to its addresses.

use std::fmt;
use std::future::Future;
use std::net::IpAddr;
use std::net::SocketAddr;
use std::pin::Pin;
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{
    ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts,
};
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::{Name as DnsName, RData, RecordType};

use crate::name::Name;

/// A future on the heap that may move between threads.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Looks names up. The guard calls it once for each hop of a request.
pub trait Resolve: Send + Sync + fmt::Debug {
    /// All addresses of a name, IPv4 and IPv6, and the aliases on the way. The guard bounds the
    /// time.
    fn resolve<'a>(&'a self, name: &'a Name) -> BoxFuture<'a, Result<Answers, ResolveError>>;
}

/// What a lookup gave.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answers {
    /// Every address, in the order to try them.
    pub addresses: Vec<IpAddr>,
    /// The names that CNAME records led through, without the one that was asked for.
    pub aliases: Vec<Name>,
}

/// Why a lookup gave nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ResolveError {
    /// The name does not exist or has no address.
    #[error("no address")]
    NoAddress,
    /// The lookup took too long.
    #[error("timed out")]
    Timeout,
    /// Something else.
    #[error("{0}")]
    Other(String),
}

/// Asks DNS servers directly: both address families, all records, the aliases on the way, no
/// search list. `HTTPS` and `SVCB` records are not asked for, so their address hints lead nowhere.
#[derive(Clone)]
pub struct DnsResolver(TokioResolver);

/// Time for one question to one server.
const QUESTION: Duration = Duration::from_secs(2);

impl DnsResolver {
    /// The servers of `/etc/resolv.conf`; `/etc/hosts` is read as well where `hosts` says so.
    /// Must be called within a tokio runtime.
    ///
    /// # Errors
    /// The configuration cannot be read.
    pub fn of_this_machine(hosts: bool) -> Result<Self, ResolveError> {
        let builder = TokioResolver::builder_tokio().map_err(other)?;
        Self::build(builder, hosts)
    }

    /// These servers, by UDP and TCP. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// The resolver cannot be made.
    pub fn with_servers(servers: &[SocketAddr]) -> Result<Self, ResolveError> {
        let servers = servers.iter().map(|server| {
            let mut connections = vec![ConnectionConfig::udp(), ConnectionConfig::tcp()];
            for connection in &mut connections {
                connection.port = server.port();
            }
            NameServerConfig::new(server.ip(), true, connections)
        });
        let config = ResolverConfig::from_parts(None, Vec::new(), servers.collect());
        let provider = TokioRuntimeProvider::default();
        Self::build(TokioResolver::builder_with_config(config, provider), false)
    }

    fn build(
        mut builder: hickory_resolver::ResolverBuilder<TokioRuntimeProvider>,
        hosts: bool,
    ) -> Result<Self, ResolveError> {
        let options: &mut ResolverOpts = builder.options_mut();
        options.use_hosts_file = if hosts {
            ResolveHosts::Always
        } else {
            ResolveHosts::Never
        };
        options.preserve_intermediates = true;
        options.timeout = QUESTION;
        options.attempts = 2;
        Ok(Self(builder.build().map_err(other)?))
    }

    async fn records(&self, name: DnsName, kind: RecordType) -> Result<Answers, ResolveError> {
        let lookup = match self.0.lookup(name, kind).await {
            Ok(lookup) => lookup,
            Err(error) if error.is_no_records_found() => return Ok(Answers::default()),
            Err(NetError::Timeout) => return Err(ResolveError::Timeout),
            Err(error) => return Err(other(error)),
        };
        let mut answers = Answers::default();
        for record in lookup.answers() {
            match &record.data {
                RData::A(address) => answers.addresses.push(address.0.into()),
                RData::AAAA(address) => answers.addresses.push(address.0.into()),
                RData::CNAME(alias) => {
                    let alias = Name::from_ascii(&alias.0.to_ascii());
                    let alias = alias.map_err(|_| other("an alias is no host name"))?;
                    answers.aliases.push(alias);
                }
                _ => {}
            }
        }
        Ok(answers)
    }
}

impl fmt::Debug for DnsResolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DnsResolver").finish_non_exhaustive()
    }
}

impl Resolve for DnsResolver {
    fn resolve<'a>(&'a self, name: &'a Name) -> BoxFuture<'a, Result<Answers, ResolveError>> {
        Box::pin(async move {
            // With the root's dot, so that no search list is tried.
            let name = DnsName::from_ascii(format!("{name}.")).map_err(other)?;
            let (v4, v6) = tokio::join!(
                self.records(name.clone(), RecordType::A),
                self.records(name, RecordType::AAAA),
            );
            match (v4, v6) {
                (Ok(v4), Ok(v6)) => Ok(merge(v4, v6)),
                // A server that fails at one family is no reason to do without the other.
                (Ok(one), Err(_)) | (Err(_), Ok(one)) if !one.addresses.is_empty() => Ok(one),
                (Err(error), _) | (_, Err(error)) => Err(error),
            }
        })
    }
}

/// Families in turn, IPv6 first (RFC 8305 section 4), so that a broken one costs one attempt.
fn merge(v4: Answers, v6: Answers) -> Answers {
    let mut aliases = v6.aliases;
    aliases.extend(v4.aliases);
    aliases.sort_unstable_by(|a, b| a.as_str().cmp(b.as_str()));
    aliases.dedup();
    let (mut v4, mut v6) = (v4.addresses.into_iter(), v6.addresses.into_iter());
    let mut addresses = Vec::new();
    loop {
        let pair = [v6.next(), v4.next()];
        if pair == [None, None] {
            return Answers { addresses, aliases };
        }
        addresses.extend(pair.into_iter().flatten());
    }
}

fn other(error: impl fmt::Display) -> ResolveError {
    ResolveError::Other(error.to_string())
}

/// Asks the operating system, as other programs do: `/etc/hosts`, mDNS and whatever else is
/// configured. It tells no aliases, so they are not judged; their addresses are.
#[derive(Clone, Debug)]
pub struct SystemResolver(std::sync::Arc<tokio::sync::Semaphore>);

/// Most lookups at once; each may block a thread.
const MAX_SYSTEM_LOOKUPS: usize = 32;

impl Default for SystemResolver {
    fn default() -> Self {
        Self(std::sync::Arc::new(tokio::sync::Semaphore::new(
            MAX_SYSTEM_LOOKUPS,
        )))
    }
}

impl Resolve for SystemResolver {
    fn resolve<'a>(&'a self, name: &'a Name) -> BoxFuture<'a, Result<Answers, ResolveError>> {
        Box::pin(async move {
            let permit = self.0.clone().acquire_owned().await.map_err(other)?;
            let host = name.to_string();
            // The lookup cannot be cut off, so the permit goes with it to its end.
            let lookup = tokio::spawn(async move {
                let _permit = permit;
                #[expect(clippy::disallowed_methods, reason = "this is the guard's resolver")]
                let found = tokio::net::lookup_host((host, 0)).await;
                found.map(|found| found.map(|address| address.ip()).collect())
            });
            let addresses: Vec<_> = lookup.await.map_err(other)?.map_err(other)?;
            Ok(Answers {
                addresses,
                aliases: Vec::new(),
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().expect(text)
    }

    #[test]
    fn families_take_turns() {
        let answers = |addresses: &[&str], alias: &str| Answers {
            addresses: addresses.iter().map(|address| ip(address)).collect(),
            aliases: vec![Name::from_ascii(alias).expect(alias)],
        };
        let merged = merge(
            answers(&["192.0.2.1", "192.0.2.2", "192.0.2.3"], "a.example"),
            answers(&["2001:db8::1"], "a.example"),
        );
        assert_eq!(
            merged,
            answers(
                &["2001:db8::1", "192.0.2.1", "192.0.2.2", "192.0.2.3"],
                "a.example"
            )
        );
    }

    #[tokio::test]
    async fn the_system_knows_localhost() {
        let name = Name::from_ascii("localhost").expect("a name");
        let answers = SystemResolver::default()
            .resolve(&name)
            .await
            .expect("an answer");
        assert!(answers.addresses.iter().all(IpAddr::is_loopback));
        assert!(!answers.addresses.is_empty());
    }
}
