//! Which headers an answer gets: said once, compiled once, applied in one pass.

use std::fmt;
use std::sync::Arc;

use http::HeaderMap;
use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, Entry, HeaderName, HeaderValue,
    REFERRER_POLICY, STRICT_TRANSPORT_SECURITY, X_CONTENT_TYPE_OPTIONS, X_DNS_PREFETCH_CONTROL,
    X_FRAME_OPTIONS,
};

use super::fingerprint::is_fingerprint;
use super::{Hsts, HstsError, Reported};
use crate::guard::Mode;
use crate::lines::Lines;

/// The headers for answers, compiled. [`HeaderPolicy::default`] is the safe set.
#[derive(Clone, Debug)]
pub struct HeaderPolicy {
    mode: Mode,
    hsts: Option<Rule>,
    /// Whether the upstream's own HSTS may pass where ours could stand.
    foreign_hsts: bool,
    html: Vec<Rule>,
    other: Vec<Rule>,
    /// Removed beside the fingerprints.
    strip: Vec<HeaderName>,
    /// Never removed as a fingerprint.
    keep: Vec<HeaderName>,
    ready: Ready,
}

/// All that can be set on an answer, as header maps: a copy of one, into which the few headers
/// of the upstream go, costs half of what it takes to put ours into the upstream's.
#[derive(Clone, Debug, Default)]
struct Ready {
    html: [HeaderMap; 2],
    other: [HeaderMap; 2],
    /// Those of them that win over the upstream's, without exception.
    common_html: [Arc<Common>; 2],
    common_other: [Arc<Common>; 2],
}

/// What a policy does to all answers of a kind, for a server that writes headers itself
/// ([`Exchange::begin_leaving_headers`](crate::Exchange::begin_leaving_headers)).
#[derive(Clone, Debug, Default)]
pub struct Common {
    headers: HeaderMap,
    /// What goes, beside what `headers` replaces and the fingerprints.
    strip: Vec<HeaderName>,
    /// Fingerprints that pass.
    keep: Vec<HeaderName>,
    /// Whether there is more to it than the defaults: only then can it be about what the layers
    /// inside say.
    has_more: bool,
}

impl Common {
    /// The headers that every answer has.
    #[must_use]
    pub const fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// Whether an answer's own `name` is not sent.
    #[must_use]
    pub fn hides(&self, name: &HeaderName) -> bool {
        if is_fingerprint(name.as_str()) {
            return !self.keep.contains(name);
        }
        // Without hashing: it is asked of every header of every answer.
        self.strip.contains(name) || self.headers.keys().any(|ours| ours == name)
    }
}

/// Which answers a header is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Variant {
    /// `text/html` and `application/xhtml+xml`.
    Html,
    /// Everything else, answers without a body too.
    Other,
}

#[derive(Clone, Debug)]
struct Rule {
    name: HeaderName,
    value: HeaderValue,
    /// Whether the upstream's own value wins.
    keep: bool,
}

impl HeaderPolicy {
    /// A policy that starts from the defaults.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// Whether it acts, only reports, or does nothing.
    #[must_use]
    pub const fn mode(&self) -> Mode {
        self.mode
    }

    /// Brings `answer` into line. `hsts` says whether this connection and host may be pinned.
    pub(super) fn apply(&self, answer: &mut HeaderMap, hsts: bool) -> Option<Reported> {
        match self.mode {
            Mode::Enforce => {
                self.enforce(answer, hsts);
                None
            }
            Mode::Off => None,
            Mode::Report => Some(self.report(answer, hsts)),
        }
    }

    /// As [`apply`](Self::apply), but leaves `answer` as it is: returns what the server does to
    /// it, and adds to `lines` what stands beside it because the upstream has none of its own.
    /// What the layers inside have put into `lines` is treated as if it stood in `answer`.
    pub(super) fn leave(&self, answer: &HeaderMap, hsts: bool, lines: &mut Lines) -> Arc<Common> {
        let variant = Variant::of(answer);
        let pin = self.hsts.iter().filter(|_| hsts);
        let rules = self.entries(variant).iter().chain(pin);
        let common = &self.ready.common(variant)[usize::from(hsts)];
        if common.has_more {
            lines.without(|name| common.hides(name));
        }
        for rule in rules.filter(|rule| rule.keep) {
            let said = common.has_more && lines.has(&rule.name);
            if !said && !answer.contains_key(&rule.name) {
                lines.put(&rule.name, &[rule.value.as_bytes()]);
            }
        }
        Arc::clone(common)
    }

    fn enforce(&self, answer: &mut HeaderMap, hsts: bool) {
        let variant = Variant::of(answer);
        let doubles = answer.len() != answer.keys_len();
        let theirs = std::mem::replace(answer, self.ready.of(variant)[usize::from(hsts)].clone());
        // The name that further values without a name belong to, where they pass.
        let mut last = None;
        for (name, value) in theirs {
            let Some(name) = name else {
                if let Some(name) = &last {
                    // More fields than a map can hold are more than anyone wants.
                    let _ = answer.try_append(name, value);
                }
                continue;
            };
            last = doubles.then(|| name.clone());
            if self.is_doomed(&name, hsts) {
                last = None;
                continue;
            }
            match answer.try_entry(name) {
                Ok(Entry::Vacant(vacant)) => {
                    let _ = vacant.try_insert(value);
                }
                Ok(Entry::Occupied(mut ours)) if self.is_kept(variant, ours.key()) => {
                    ours.insert(value);
                }
                Ok(Entry::Occupied(_)) | Err(_) => last = None,
            }
        }
    }

    fn report(&self, answer: &HeaderMap, hsts: bool) -> Reported {
        let entries = self.entries(Variant::of(answer)).iter();
        Reported {
            set: entries
                .chain(self.hsts.iter().filter(|_| hsts))
                .filter(|entry| !entry.holds(answer))
                .map(|entry| entry.name.clone())
                .collect(),
            removed: answer
                .keys()
                .filter(|name| self.is_doomed(name, hsts))
                .cloned()
                .collect(),
        }
    }

    fn entries(&self, variant: Variant) -> &[Rule] {
        match variant {
            Variant::Html => &self.html,
            Variant::Other => &self.other,
        }
    }

    fn is_kept(&self, variant: Variant, name: &HeaderName) -> bool {
        let rules = self.entries(variant).iter().chain(&self.hsts);
        rules.into_iter().any(|rule| rule.keep && rule.name == name)
    }

    fn compiled(mut self) -> Self {
        let map = |rules: &[Rule], hsts: Option<&Rule>| {
            // Room for the upstream's own.
            let mut map = HeaderMap::with_capacity(rules.len() + 16);
            for rule in rules.iter().chain(hsts) {
                map.insert(&rule.name, rule.value.clone());
            }
            map
        };
        let both = |rules: &[Rule]| [map(rules, None), map(rules, self.hsts.as_ref())];
        let common = |rules: &[Rule]| {
            let rules: Vec<Rule> = rules.iter().filter(|rule| !rule.keep).cloned().collect();
            let pin = self.hsts.as_ref().filter(|rule| !rule.keep);
            [(None, false), (pin, true)].map(|(pin, hsts)| {
                let mut strip = self.strip.clone();
                if self.is_doomed(&STRICT_TRANSPORT_SECURITY, hsts) {
                    strip.push(STRICT_TRANSPORT_SECURITY);
                }
                Arc::new(Common {
                    headers: map(&rules, pin),
                    strip,
                    keep: self.keep.clone(),
                    has_more: self.is_more(),
                })
            })
        };
        self.ready = Ready {
            html: both(&self.html),
            other: both(&self.other),
            common_html: common(&self.html),
            common_other: common(&self.other),
        };
        self
    }

    /// Whether something is stripped or set that is not so by default.
    fn is_more(&self) -> bool {
        let defaults = [Variant::Html, Variant::Other].map(Rule::defaults).concat();
        let rules = self.html.iter().chain(&self.other);
        let mut names = rules.map(|rule| &rule.name);
        !self.strip.is_empty() || !names.all(|name| defaults.iter().any(|rule| rule.name == *name))
    }

    fn is_doomed(&self, name: &HeaderName, hsts: bool) -> bool {
        if is_fingerprint(name.as_str()) {
            return !self.keep.contains(name);
        }
        // An upstream that knows TLS itself must not pin localhost through us either.
        name == STRICT_TRANSPORT_SECURITY && !(hsts && self.foreign_hsts)
            || self.strip.contains(name)
    }
}

impl Default for HeaderPolicy {
    fn default() -> Self {
        Self {
            mode: Mode::Enforce,
            hsts: Some(Rule::new(
                STRICT_TRANSPORT_SECURITY,
                HeaderValue::from_static("max-age=63072000; includeSubDomains"),
            )),
            foreign_hsts: false,
            html: Rule::defaults(Variant::Html),
            other: Rule::defaults(Variant::Other),
            strip: Vec::new(),
            keep: Vec::new(),
            ready: Ready::default(),
        }
        .compiled()
    }
}

impl Ready {
    const fn common(&self, variant: Variant) -> &[Arc<Common>; 2] {
        match variant {
            Variant::Html => &self.common_html,
            Variant::Other => &self.common_other,
        }
    }

    const fn of(&self, variant: Variant) -> &[HeaderMap; 2] {
        match variant {
            Variant::Html => &self.html,
            Variant::Other => &self.other,
        }
    }
}

impl Rule {
    const fn new(name: HeaderName, value: HeaderValue) -> Self {
        Self {
            name,
            value,
            keep: false,
        }
    }

    /// Whether `answer` already says what we would have it say.
    fn holds(&self, answer: &HeaderMap) -> bool {
        let mut there = answer.get_all(&self.name).iter();
        match (there.next(), there.next()) {
            (None, _) => false,
            (Some(value), None) => self.keep || *value == self.value,
            (Some(_), Some(_)) => self.keep,
        }
    }

    fn defaults(variant: Variant) -> Vec<Self> {
        let (referrer, csp) = match variant {
            Variant::Html => ("strict-origin-when-cross-origin", HTML_CSP),
            Variant::Other => ("no-referrer", OTHER_CSP),
        };
        let entry = |name, value| Self::new(name, HeaderValue::from_static(value));
        vec![
            entry(X_FRAME_OPTIONS, "DENY"),
            entry(X_CONTENT_TYPE_OPTIONS, "nosniff"),
            entry(REFERRER_POLICY, referrer),
            entry(CONTENT_SECURITY_POLICY, csp),
            entry(
                HeaderName::from_static("permissions-policy"),
                "camera=(), microphone=(), geolocation=(), payment=()",
            ),
            entry(
                HeaderName::from_static("cross-origin-resource-policy"),
                "same-origin",
            ),
            entry(
                HeaderName::from_static("cross-origin-opener-policy"),
                "same-origin",
            ),
            entry(HeaderName::from_static("origin-agent-cluster"), "?1"),
            entry(
                HeaderName::from_static("x-permitted-cross-domain-policies"),
                "none",
            ),
            entry(X_DNS_PREFETCH_CONTROL, "off"),
            Self {
                keep: true,
                ..entry(CACHE_CONTROL, "no-store")
            },
        ]
    }
}

const HTML_CSP: &str = "default-src 'self'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
     img-src 'self' data:; connect-src 'self'; font-src 'self'; object-src 'none'; \
     base-uri 'self'; form-action 'self'; frame-ancestors 'none'; upgrade-insecure-requests";

const OTHER_CSP: &str =
    "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

impl Variant {
    /// By the first Content-Type: that is the one a browser that has two would take or refuse.
    fn of(answer: &HeaderMap) -> Self {
        let html = answer.get(CONTENT_TYPE).is_some_and(|value| {
            let value = value.as_bytes();
            is_media_type(value, b"text/html") || is_media_type(value, b"application/xhtml+xml")
        });
        if html { Self::Html } else { Self::Other }
    }
}

/// Whether `value` is `media_type`, with any parameters (RFC 9110 section 8.3.1).
fn is_media_type(value: &[u8], media_type: &[u8]) -> bool {
    let value = value.trim_ascii_start();
    value
        .get(..media_type.len())
        .is_some_and(|head| head.eq_ignore_ascii_case(media_type))
        && value[media_type.len()..]
            .first()
            .is_none_or(|byte| matches!(byte, b';' | b' ' | b'\t' | b','))
}

/// Builds a [`HeaderPolicy`] out of the defaults. Later calls win over earlier ones.
#[derive(Clone, Debug)]
#[must_use]
pub struct Builder {
    policy: HeaderPolicy,
    hsts: Option<Hsts>,
    keep_hsts: bool,
    misuse: Option<PolicyError>,
}

impl Default for Builder {
    fn default() -> Self {
        Self {
            policy: HeaderPolicy::default(),
            hsts: Some(Hsts::default()),
            keep_hsts: false,
            misuse: None,
        }
    }
}

impl Builder {
    /// Acts (the default), only reports, or does nothing.
    pub fn mode(mut self, mode: Mode) -> Self {
        self.policy.mode = mode;
        self
    }

    /// What `Strict-Transport-Security` says; `None`: we set none, and the upstream's own passes
    /// where ours could stand.
    pub fn hsts(mut self, hsts: Option<Hsts>) -> Self {
        self.hsts = hsts;
        self
    }

    /// Sets `name: value` on every answer, in place of the default or beside the defaults.
    pub fn set(self, name: HeaderName, value: HeaderValue) -> Self {
        self.set_for(Variant::Html, name.clone(), value.clone())
            .set_for(Variant::Other, name, value)
    }

    /// As [`set`](Self::set), on answers of one variant.
    pub fn set_for(mut self, variant: Variant, name: HeaderName, value: HeaderValue) -> Self {
        if is_reserved(&name) {
            self.misuse = Some(PolicyError::Reserved(name));
            return self;
        }
        let entries = self.policy.variant(variant);
        match entries.iter_mut().find(|entry| entry.name == name) {
            Some(entry) => entry.value = value,
            None => entries.push(Rule::new(name, value)),
        }
        self
    }

    /// Leaves `name` alone: we do not set it, and the upstream's own passes.
    pub fn omit(mut self, name: &HeaderName) -> Self {
        if name == STRICT_TRANSPORT_SECURITY {
            return self.hsts(None);
        }
        for variant in [Variant::Html, Variant::Other] {
            self.policy
                .variant(variant)
                .retain(|entry| entry.name != name);
        }
        self
    }

    /// Sends no `name` on answers of one variant.
    pub fn omit_for(mut self, variant: Variant, name: &HeaderName) -> Self {
        self.policy
            .variant(variant)
            .retain(|entry| entry.name != name);
        self
    }

    /// Where the upstream sets `name` itself, its value wins; a fingerprint named here passes.
    /// `Cache-Control` is kept by default.
    pub fn keep(mut self, name: HeaderName) -> Self {
        self.keep_hsts |= name == STRICT_TRANSPORT_SECURITY;
        self.each_entry(&name, |entry| entry.keep = true);
        self.policy.strip.retain(|stripped| *stripped != name);
        self.policy.keep.push(name);
        self
    }

    /// Ours wins even where the upstream sets `name` itself: undoes [`keep`](Self::keep).
    pub fn replace(mut self, name: &HeaderName) -> Self {
        self.keep_hsts &= name != STRICT_TRANSPORT_SECURITY;
        self.each_entry(name, |entry| entry.keep = false);
        self.policy.keep.retain(|kept| kept != name);
        self
    }

    /// Removes the upstream's `name`, as if it were a fingerprint.
    pub fn strip(mut self, name: HeaderName) -> Self {
        if is_reserved(&name) && name != STRICT_TRANSPORT_SECURITY {
            self.misuse = Some(PolicyError::Reserved(name));
            return self;
        }
        self.policy.keep.retain(|kept| *kept != name);
        self.policy.strip.push(name);
        self
    }

    /// The compiled policy.
    ///
    /// # Errors
    /// HSTS preload without its conditions; a header that is not ours to set or to strip.
    pub fn build(self) -> Result<HeaderPolicy, PolicyError> {
        let mut policy = self.policy;
        if let Some(misuse) = self.misuse {
            return Err(misuse);
        }
        policy.foreign_hsts = self.keep_hsts || self.hsts.is_none();
        policy.hsts = match self.hsts {
            None => None,
            Some(hsts) => Some(Rule {
                keep: self.keep_hsts,
                ..Rule::new(STRICT_TRANSPORT_SECURITY, hsts.value()?)
            }),
        };
        Ok(policy.compiled())
    }

    fn each_entry(&mut self, name: &HeaderName, mut change: impl FnMut(&mut Rule)) {
        for variant in [Variant::Html, Variant::Other] {
            self.policy
                .variant(variant)
                .iter_mut()
                .filter(|entry| entry.name == name)
                .for_each(&mut change);
        }
    }
}

impl HeaderPolicy {
    fn variant(&mut self, variant: Variant) -> &mut Vec<Rule> {
        match variant {
            Variant::Html => &mut self.html,
            Variant::Other => &mut self.other,
        }
    }
}

/// Headers that frame the message or have rules of their own here.
fn is_reserved(name: &HeaderName) -> bool {
    matches!(
        name.as_str(),
        "connection"
            | "content-encoding"
            | "content-length"
            | "content-type"
            | "date"
            | "keep-alive"
            | "mcp-session-id"
            | "strict-transport-security"
            | "trailer"
            | "transfer-encoding"
            | "upgrade"
            | "x-request-id"
    ) || name.as_str().starts_with("access-control-")
}

/// Why a [`Builder`] gives no policy.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PolicyError {
    /// The HSTS settings contradict each other.
    Hsts(HstsError),
    /// This header frames the message, or has settings of its own (HSTS, CORS).
    Reserved(HeaderName),
}

impl From<HstsError> for PolicyError {
    fn from(error: HstsError) -> Self {
        Self::Hsts(error)
    }
}

impl fmt::Display for PolicyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hsts(error) => error.fmt(f),
            Self::Reserved(name) => write!(
                f,
                "`{name}` cannot be set or stripped among the security headers: it frames the \
                 message or has settings of its own; remove it here"
            ),
        }
    }
}

impl std::error::Error for PolicyError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn html_is_told_from_the_rest() {
        for (value, html) in [
            ("text/html", true),
            ("Text/HTML; charset=utf-8", true),
            ("text/html ;charset=utf-8", true),
            (" text/html", true),
            ("text/html,application/json", true),
            ("application/xhtml+xml", true),
            ("text/htmlx", false),
            ("text/plain", false),
            ("application/json", false),
            ("image/svg+xml", false),
            ("", false),
        ] {
            let mut answer = HeaderMap::new();
            answer.insert(CONTENT_TYPE, HeaderValue::from_static(value));
            assert_eq!(Variant::of(&answer) == Variant::Html, html, "{value:?}");
        }
        assert_eq!(Variant::of(&HeaderMap::new()), Variant::Other);
    }

    // REQ: S-3
    #[test]
    fn build_refuses_contradictions() {
        let preload = Hsts {
            preload: true,
            include_subdomains: false,
            ..Hsts::default()
        };
        let error = HeaderPolicy::builder().hsts(Some(preload)).build();
        assert_eq!(
            error.err(),
            Some(PolicyError::Hsts(HstsError::PreloadWithoutSubdomains))
        );
        // The same by the back door.
        for name in [
            STRICT_TRANSPORT_SECURITY,
            http::header::CONTENT_LENGTH,
            http::header::ACCESS_CONTROL_ALLOW_ORIGIN,
        ] {
            let value = HeaderValue::from_static("max-age=1; preload");
            let error = HeaderPolicy::builder().set(name.clone(), value).build();
            assert_eq!(error.err(), Some(PolicyError::Reserved(name)));
        }
        let stripped = HeaderPolicy::builder().strip(CONTENT_TYPE).build();
        assert_eq!(stripped.err(), Some(PolicyError::Reserved(CONTENT_TYPE)));
    }
}
