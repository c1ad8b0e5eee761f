//! Which calls are under way in a child, so that what the child does outside can be told with the
//! call that it does it for; and what a child is told of the way out.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fmt;
use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use palisade::{Call, Exchange, RequestId, Text};
use palisade_audit::Fingerprint;
use palisade_egress::Level;
use palisade_egress::jail::Jail;
use palisade_egress::proxy::ChildPasswords;
use tokio::runtime::Handle;

tokio::task_local! {
    /// The exchange that this task answers.
    static EXCHANGE: Exchange;
}

/// Answers `exchange` by `answer`; what is sent to a child meanwhile is sent for it.
pub(super) fn answering<F: Future>(
    exchange: Exchange,
    answer: F,
) -> impl Future<Output = F::Output> {
    EXCHANGE.scope(exchange, answer)
}

/// What is kept of a call for as long as the child works on it. It holds neither the exchange nor
/// the body that it came in.
#[derive(Clone, Debug)]
pub struct CallNote {
    /// The exchange's id.
    pub request: RequestId,
    /// The caller's address.
    pub peer: Option<IpAddr>,
    /// The session that the request names.
    pub session: Option<Fingerprint>,
    /// The method.
    pub method: Option<Text>,
    /// The tool, for `tools/call`.
    pub tool: Option<Text>,
    /// The trace that the call belongs to.
    pub trace_id: Option<Text>,
}

impl CallNote {
    /// Of the message with this raw id, in the exchange that is being answered; `None`: nobody's
    /// exchange is.
    pub(super) fn of(id: &str) -> Option<Self> {
        EXCHANGE
            .try_with(|exchange| Self::within(exchange, id))
            .ok()
    }

    fn within(exchange: &Exchange, id: &str) -> Self {
        let copied = |text: &Option<Text>| text.as_ref().map(|text| Text::from(text.as_str()));
        let facts = exchange.facts();
        let is_it = |call: &&Call| call.id.as_deref() == Some(id.as_bytes());
        let call = facts.calls.iter().find(is_it);
        let method = call.and_then(|call| copied(&call.method));
        let is_tool = method.as_ref().map(Text::as_str) == Some("tools/call");
        Self {
            request: exchange.id(),
            peer: exchange.connection().peer_ip(),
            session: facts.session,
            method,
            tool: call
                .filter(|_| is_tool)
                .and_then(|call| copied(&call.target)),
            trace_id: call.and_then(|call| copied(&call.trace_id)),
        }
    }
}

/// Knows the calls that are under way in one child.
pub trait CallsUnderWay: Send + Sync + fmt::Debug {
    /// In the order in which they came.
    fn calls(&self) -> Vec<CallNote>;
}

/// The children that run, by number.
#[derive(Debug, Default)]
pub struct UnderWay {
    children: Mutex<HashMap<u64, Weak<dyn CallsUnderWay>>>,
    last: AtomicU64,
}

impl UnderWay {
    /// The calls under way in the child with this number.
    #[must_use]
    pub fn calls(&self, child: u64) -> Vec<CallNote> {
        let calls = self.lock().get(&child).and_then(Weak::upgrade);
        calls.map(|calls| calls.calls()).unwrap_or_default()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u64, Weak<dyn CallsUnderWay>>> {
        self.children.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The way out of one server's children: the proxy, and who each of them is there.
#[derive(Clone, Debug)]
pub struct WayOut {
    /// Where the proxy listens.
    pub proxy: SocketAddr,
    /// Makes the children's passwords.
    pub passwords: ChildPasswords,
    /// All children of the gateway.
    pub under_way: Arc<UnderWay>,
    /// How they are kept to it.
    pub jail: Jail,
    /// What carries their connections; it must run.
    pub runtime: Handle,
}

impl WayOut {
    /// A new child.
    pub(super) fn child(&self) -> ChildOut {
        ChildOut {
            number: self.under_way.last.fetch_add(1, Ordering::Relaxed) + 1,
            way: self.clone(),
        }
    }
}

/// One child on its way out; forgotten when it is dropped.
#[derive(Debug)]
pub(super) struct ChildOut {
    number: u64,
    way: WayOut,
}

/// What tells programs of a proxy, in the spellings that they read (curl ignores `HTTP_PROXY`,
/// others ignore the small letters).
const PROXY_VARIABLES: [&str; 6] = [
    "HTTP_PROXY",
    "http_proxy",
    "HTTPS_PROXY",
    "https_proxy",
    "ALL_PROXY",
    "all_proxy",
];

/// What a child behind a wall reaches without the proxy: loopback is its own there. Without IPv6,
/// which programs write in three ways, and some choke on.
const OWN: &str = "localhost,127.0.0.1";

impl ChildOut {
    /// How the child is kept to its way out.
    pub(super) fn jail(&self) -> Jail {
        self.way.jail.of_child(self.number)
    }

    /// What carries its connections.
    pub(super) fn runtime(&self) -> &Handle {
        &self.way.runtime
    }

    /// The variables that tell the child of the proxy. Without a wall nothing is exempt from it:
    /// `NO_PROXY` is empty. Node obeys with `NODE_USE_ENV_PROXY`, from 22.21 and 24.5.
    pub(super) fn variables(&self) -> Vec<(OsString, OsString)> {
        let (user, password) = self.way.passwords.of(self.number);
        let url = format!("http://{user}:{password}@{}", self.way.proxy);
        let proxies = PROXY_VARIABLES.map(|name| (name, url.clone()));
        let exempt = match self.way.jail.level() {
            Level::Advisory => "",
            Level::Isolated | Level::Supervised => OWN,
        };
        let others = [
            ("NO_PROXY", exempt),
            ("no_proxy", exempt),
            ("NODE_USE_ENV_PROXY", "1"),
        ];
        let others = others.map(|(name, value)| (name, value.to_owned()));
        let all = proxies.into_iter().chain(others);
        all.map(|(name, value)| (name.into(), value.into()))
            .collect()
    }

    /// Whether a variable of the configuration would lead past the proxy.
    pub(super) fn replaces(name: &OsString) -> bool {
        let name = name.to_string_lossy().to_ascii_lowercase();
        name.ends_with("_proxy") || (name.starts_with("npm_config_") && name.ends_with("proxy"))
    }

    /// Whose calls are under way there.
    pub(super) fn answers(&self, calls: &Arc<impl CallsUnderWay + 'static>) {
        let calls: Weak<dyn CallsUnderWay> = Arc::downgrade(calls) as _;
        self.way.under_way.lock().insert(self.number, calls);
    }
}

impl Drop for ChildOut {
    fn drop(&mut self) {
        self.way.under_way.lock().remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use palisade_egress::Unobserved;
    use palisade_egress::proxy::{Credential, Plan, Proxy, ProxyLimits};

    use super::*;

    #[derive(Debug)]
    struct One(Exchange);

    impl CallsUnderWay for One {
        fn calls(&self) -> Vec<CallNote> {
            vec![CallNote::within(&self.0, "7")]
        }
    }

    fn way(level: Level) -> WayOut {
        let (_, passwords) = Credential::for_children("files").expect("random numbers");
        let proxy = Proxy::new(Plan::new(), ProxyLimits::default(), Arc::new(Unobserved));
        WayOut {
            proxy: "127.0.0.1:3128".parse().expect("an address"),
            passwords,
            under_way: Arc::default(),
            jail: Jail::new(level, proxy, "files"),
            runtime: Handle::current(),
        }
    }

    // REQ: E-2
    #[tokio::test]
    async fn every_child_is_told_of_the_proxy_under_a_name_of_its_own() {
        let way = way(Level::Advisory);
        let (first, second) = (way.child(), way.child());
        let of = |child: &ChildOut, name: &str| {
            let variables = child.variables();
            let found = variables.into_iter().find(|(known, _)| known == name);
            found.map(|(_, value)| value.into_string().expect("text"))
        };
        let url = of(&first, "https_proxy").expect("a proxy");
        assert!(url.starts_with("http://files.1:") && url.ends_with("@127.0.0.1:3128"));
        assert_eq!(of(&first, "ALL_PROXY"), Some(url.clone()));
        assert_eq!(of(&first, "NO_PROXY").as_deref(), Some(""));
        assert_eq!(of(&first, "NODE_USE_ENV_PROXY").as_deref(), Some("1"));
        assert_ne!(of(&second, "https_proxy"), Some(url));
        // Behind a wall loopback is the child's own.
        let walled = self::way(Level::Supervised).child();
        assert_eq!(of(&walled, "no_proxy").as_deref(), Some(OWN));
        assert_eq!(of(&walled, "NO_PROXY").as_deref(), Some(OWN));
        for (name, replaced) in [
            ("Https_Proxy", true),
            ("no_proxy", true),
            ("npm_config_https_proxy", true),
            ("npm_config_proxy", true),
            ("PROXY_MODE", false),
            ("PATH", false),
        ] {
            assert_eq!(ChildOut::replaces(&name.into()), replaced, "{name}");
        }
    }

    #[tokio::test]
    async fn a_child_is_known_until_it_is_gone() {
        let way = way(Level::Advisory);
        let child = way.child();
        let exchange = Exchange::begin(palisade::Connection::default());
        let one = Arc::new(One(exchange.clone()));
        child.answers(&one);
        let calls = way.under_way.calls(1);
        assert_eq!(calls.len(), 1);
        assert_eq!(calls[0].request, exchange.id());
        assert!(way.under_way.calls(2).is_empty());
        drop(child);
        assert!(way.under_way.calls(1).is_empty());
        assert!(CallNote::of("7").is_none());
        let inside = answering(exchange.clone(), async { CallNote::of("7") }).await;
        assert_eq!(inside.map(|inside| inside.request), Some(exchange.id()));
    }
}
