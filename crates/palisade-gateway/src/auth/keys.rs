//! Issuers' keys, fetched in the background through the guard on the way out.
//!
//! One thread fetches for all workers; each issuer has one fetch at a time. Keys are fetched at the
//! start, when what `Cache-Control` says is over (from `key_cache` to a day), and once in 30 seconds at
//! most because a token names a key that is not known. While an issuer cannot be reached its last
//! keys hold, for a day. Nothing that a token says decides where keys come from.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use http::HeaderMap;
use http::header::CACHE_CONTROL;
use palisade::auth::{Algorithm, KeySet, KeySource, MAX_KEY_SET, Refresh};
use palisade_audit::Log;
use palisade_egress::client::{Client, Limits, Response};
use palisade_egress::{DnsResolver, Guard, Resolve, SystemResolver};
use tokio::runtime::Handle;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, timeout};

use crate::config::Settings;
use crate::egress;
use crate::plan::StartError;

/// How long keys are used without asking again, at most.
const MOST: Duration = Duration::from_secs(24 * 3600);

/// Between two fetches for keys that are not known.
const PAUSE: Duration = Duration::from_secs(30);

/// Between two fetches where the first failed: the first pause, and the longest.
const RETRY: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(300));

/// How long keys hold that could not be fetched again.
const HOLD: Duration = Duration::from_secs(24 * 3600);

/// How long one fetch may take in all.
const FETCH: Duration = Duration::from_secs(10);

/// Where an issuer's keys are.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// The issuer, letter by letter.
    pub issuer: String,
    /// Its key set; `None`: where its metadata say.
    pub jwks: Option<String>,
    /// What RSA keys that name no algorithm are for.
    pub rsa: Algorithm,
    /// How long keys are used without asking again, at least.
    pub least: Duration,
}

/// The keys of one issuer.
pub(super) struct RemoteKeys {
    endpoint: Endpoint,
    current: ArcSwapOption<KeySet>,
    generation: AtomicU64,
    wanted: Notify,
    state: Mutex<State>,
    /// How many fetches have ended.
    ended: watch::Sender<u64>,
}

struct State {
    /// A fetch is under way, or about to be.
    running: bool,
    /// When keys were last asked for because of a token.
    asked: Option<Instant>,
}

impl RemoteKeys {
    pub(super) fn new(endpoint: Endpoint) -> Self {
        Self {
            endpoint,
            current: ArcSwapOption::empty(),
            generation: AtomicU64::new(0),
            wanted: Notify::new(),
            state: Mutex::new(State {
                // The first fetch begins at once.
                running: true,
                asked: None,
            }),
            ended: watch::Sender::new(0),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes what was fetched; what does not differ changes nothing.
    fn take(&self, document: &[u8]) -> Result<(), String> {
        let keys = KeySet::parse(document, self.endpoint.rsa).map_err(|error| error.to_string())?;
        let generation = self.generation.load(Ordering::Relaxed);
        let known = self.current.load();
        let same = known.as_ref().is_some_and(|known| known.is_same(&keys));
        if !same {
            self.generation.store(generation + 1, Ordering::Relaxed);
            let keys = keys.of_generation(generation + 1);
            let ids: Vec<_> = keys
                .keys()
                .iter()
                .map(|key| key.id().unwrap_or("-"))
                .collect();
            tracing::info!(issuer = %self.endpoint.issuer, keys = ?ids, "keys of the issuer");
            self.current.store(Some(Arc::new(keys)));
        }
        Ok(())
    }

    async fn keep(self: Arc<Self>, client: Client) {
        let mut failures = 0_u32;
        let mut good: Option<Instant> = None;
        loop {
            let fetched = timeout(FETCH, self.fetch(&client)).await;
            let fetched = fetched.unwrap_or_else(|_| Err(format!("no answer in {FETCH:?}")));
            let result = fetched.and_then(|(document, fresh)| self.take(&document).map(|()| fresh));
            let next = match result {
                Ok(fresh) => {
                    failures = 0;
                    good = Some(Instant::now());
                    fresh
                }
                Err(cause) => {
                    tracing::warn!(issuer = %self.endpoint.issuer, %cause, "keys of the issuer cannot be fetched");
                    if good.is_none_or(|good| good.elapsed() >= HOLD) {
                        self.current.store(None);
                    }
                    failures += 1;
                    RETRY
                        .1
                        .min(RETRY.0 * 2_u32.saturating_pow(failures - 1).min(1000))
                }
            };
            self.state().running = false;
            self.ended.send_modify(|count| *count += 1);
            tokio::select! {
                () = self.wanted.notified() => {}
                () = tokio::time::sleep(next) => self.state().running = true,
            }
        }
    }

    /// The key set, and how long it is fresh.
    async fn fetch(&self, client: &Client) -> Result<(Vec<u8>, Duration), String> {
        let url = match &self.endpoint.jwks {
            Some(url) => url.clone(),
            None => self.discover(client).await?,
        };
        let answer = get(client, &url).await?;
        let fresh = freshness(&answer.headers, self.endpoint.least);
        Ok((answer.body.to_vec(), fresh))
    }

    /// Where the issuer's metadata say that its keys are (RFC 8414, OpenID Connect Discovery).
    async fn discover(&self, client: &Client) -> Result<String, String> {
        let mut causes = Vec::new();
        for url in metadata_urls(&self.endpoint.issuer) {
            match get(client, &url).await {
                Ok(answer) => return jwks_uri(&answer.body, &self.endpoint.issuer),
                Err(cause) => causes.push(cause),
            }
        }
        Err(causes.join("; "))
    }
}

impl KeySource for RemoteKeys {
    fn current(&self) -> Option<Arc<KeySet>> {
        self.current.load_full()
    }

    fn refresh(&self) -> Option<Refresh> {
        let mut ended = self.ended.subscribe();
        let mut state = self.state();
        if !state.running {
            let pause = if self.current.load().is_some() {
                PAUSE
            } else {
                RETRY.0
            };
            if state.asked.is_some_and(|asked| asked.elapsed() < pause) {
                return None;
            }
            state.asked = Some(Instant::now());
            state.running = true;
            self.wanted.notify_one();
        }
        let seen = *ended.borrow_and_update();
        Some(Box::pin(async move {
            let more = ended.wait_for(|count| *count > seen);
            let _ = timeout(FETCH + Duration::from_secs(1), more).await;
        }))
    }
}

impl fmt::Debug for RemoteKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RemoteKeys")
            .field("endpoint", &self.endpoint)
            .finish_non_exhaustive()
    }
}

/// What the guard's records call it, where another's have the name of a server.
const IDENTITY: &str = "auth.jwt";

/// Asks the configured DNS servers, else what this machine asks; `/etc/hosts` counts there, for
/// the issuer is the operator's choice.
fn resolver(settings: &Settings, handle: &Handle) -> Arc<dyn Resolve> {
    if !settings.egress.dns.is_empty() {
        return egress::resolver(&settings.egress, handle);
    }
    match DnsResolver::of_this_machine(true) {
        Ok(resolver) => Arc::new(resolver),
        Err(error) => {
            tracing::warn!(%error, "names of issuers are looked up by the system");
            Arc::new(SystemResolver::default())
        }
    }
}

/// Fetches until it is dropped.
pub struct KeyKeeper {
    /// Closed with the keeper.
    _alive: watch::Sender<()>,
}

impl KeyKeeper {
    /// Fetches on a thread of its own, behind a policy of its own ([`egress::of_issuers`]); every
    /// decision stands in `log`.
    pub(super) fn start(
        issuers: Vec<Arc<RemoteKeys>>,
        settings: &Settings,
        log: &Log,
    ) -> Result<Self, StartError> {
        let failed = |key: &str, cause: &dyn fmt::Display| StartError::Setting {
            key: key.to_owned(),
            cause: cause.to_string(),
        };
        let policy = egress::of_issuers(settings);
        let policy = policy.map_err(|error| failed("auth.allow_special", &error))?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let client = {
            let _inside = runtime.enter();
            let resolver = resolver(settings, runtime.handle());
            let mut limits = Limits::default();
            limits.redirects = 0;
            limits.body = MAX_KEY_SET;
            limits.first_byte = FETCH / 2;
            limits.total = FETCH;
            let told = egress::Told::new(log, settings, HashMap::new(), Arc::default(), false);
            let mut builder = Client::builder(Guard::new(Arc::new(policy), resolver))
                .limits(limits)
                .observer(IDENTITY, Arc::new(told));
            if let Some(ca) = &settings.egress.ca {
                builder = builder.ca_file(&ca.value);
            }
            builder
                .build()
                .map_err(|error| failed("egress.ca", &error))?
        };
        let (alive, mut watched) = watch::channel(());
        thread::Builder::new()
            .name("palisade-keys".to_owned())
            .spawn(move || {
                runtime.block_on(async move {
                    for issuer in issuers {
                        tokio::spawn(issuer.keep(client.clone()));
                    }
                    // Nothing is ever sent.
                    let _ = watched.changed().await;
                });
            })?;
        Ok(Self { _alive: alive })
    }
}

async fn get(client: &Client, url: &str) -> Result<Response, String> {
    let answer = client
        .get(url)
        .await
        .map_err(|error| format!("{url}: {error}"))?;
    if answer.status == http::StatusCode::OK {
        Ok(answer)
    } else {
        Err(format!("{url}: {}", answer.status))
    }
}

/// Where an issuer's metadata may be.
fn metadata_urls(issuer: &str) -> Vec<String> {
    let issuer = issuer.trim_end_matches('/');
    let path = issuer
        .find("://")
        .and_then(|at| issuer[at + 3..].find('/').map(|path| at + 3 + path));
    let (origin, path) = issuer.split_at(path.unwrap_or(issuer.len()));
    vec![
        format!("{issuer}/.well-known/openid-configuration"),
        format!("{origin}/.well-known/oauth-authorization-server{path}"),
    ]
}

/// `jwks_uri` of metadata that are this issuer's own (RFC 8414 section 3.3).
fn jwks_uri(document: &[u8], issuer: &str) -> Result<String, String> {
    let metadata: serde_json::Value =
        serde_json::from_slice(document).map_err(|error| format!("its metadata: {error}"))?;
    if metadata["issuer"] != issuer {
        return Err("its metadata are another issuer's".to_owned());
    }
    let uri = metadata["jwks_uri"]
        .as_str()
        .ok_or("its metadata name no `jwks_uri`")?;
    let secure = uri.starts_with("https://");
    if secure || issuer.starts_with("http://") {
        return Ok(uri.to_owned());
    }
    Err("its metadata name a `jwks_uri` without TLS".to_owned())
}

/// How long an answer is fresh, within bounds.
fn freshness(headers: &HeaderMap, least: Duration) -> Duration {
    let said = headers.get_all(CACHE_CONTROL).iter();
    let seconds = said
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .find_map(|word| word.trim().strip_prefix("max-age=")?.parse().ok());
    Duration::from_secs(seconds.unwrap_or(0)).clamp(least.min(MOST), MOST)
}

#[cfg(test)]
mod tests;
