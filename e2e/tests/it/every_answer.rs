//! Every answer that Palisade itself makes carries the security headers, and, for an allowed
//! origin, the CORS headers; only what Sanity and Host refuse lies outside CORS.

use std::collections::BTreeSet;
use std::process::Command;
use std::time::Duration;

use e2e::palisade::binary;
use e2e::wire::{Answer, Ask, BOTH, Client, Protocol};
use e2e::{Palisade, Reply, Upstream};
use palisade::Reason;
use serde_json::{Value as Json, json};

use crate::judge::{HSTS, granted, secured, ungranted};

const APP: &str = "https://app.example.com";

/// Reasons that no request can provoke, and why.
const UNPROVOKED: [(Reason, &str); 13] = [
    (
        Reason::ChildBusy,
        "it takes a command that reads nothing while hundreds of messages wait for it",
    ),
    (Reason::ChildEnded, COMMANDS),
    (Reason::ChildLimit, COMMANDS),
    (Reason::ChildStart, COMMANDS),
    (Reason::ConnectionHandshake, BELOW),
    (Reason::ConnectionHandshakeTimeout, BELOW),
    (Reason::ConnectionAbuse, BELOW),
    (Reason::ConnectionMalformed, BELOW),
    (Reason::ConnectionOverCap, BELOW),
    (Reason::ConnectionPlainHttp, BELOW),
    (Reason::ConnectionServerName, BELOW),
    (
        Reason::Internal,
        "it stands for what must not happen: no request leads to it",
    ),
    (
        Reason::UpstreamTimeout,
        "nothing ends in it yet: a call that takes too long is `call.timeout`, a connection that \
         does not stand in time `upstream.unreachable`",
    ),
];

const COMMANDS: &str = "only a server that is a command answers with it: `stdio/` provokes it";

const BELOW: &str = "there is no request to be answered: `handshake.rs` provokes it";

// REQ: S-1, S-4, C-7, G-13
#[tokio::test]
async fn every_reason() {
    let gateways = Gateways::start();
    let mut seen = BTreeSet::new();
    for reason in Reason::ALL.iter().copied() {
        if UNPROVOKED
            .iter()
            .any(|(unprovoked, _)| *unprovoked == reason)
        {
            continue;
        }
        for protocol in BOTH {
            // A public name, which may be pinned to TLS, and one of this machine, which may not.
            for host in ["mcp.example.com", "localhost"] {
                for (what, answer) in provoke(&gateways, reason, protocol, host).await {
                    let row = format!("{reason}, {what}, {protocol:?}, {host}");
                    assert_eq!(
                        answer.reason().as_deref(),
                        Some(reason.code()),
                        "{row}: {answer:?}"
                    );
                    assert_eq!(answer.status, reason.status().as_u16(), "{row}");
                    assert!(!answer.cut, "{row}");
                    secured(&answer, &row);
                    assert!(answer.header("x-request-id").is_some(), "{row}");
                    cors(&answer, reason, what, &row);
                    let pin = answer.header("strict-transport-security");
                    // A head whose host is in doubt may say or not say it.
                    if host == "localhost" {
                        assert_eq!(pin, None, "{row}");
                    } else if !reason.code().starts_with("host.")
                        && reason != Reason::RequestTimeout
                    {
                        assert_eq!(pin, Some(HSTS), "{row}");
                    }
                    seen.insert(reason.code());
                }
            }
        }
    }
    for reason in Reason::ALL {
        let explained = UNPROVOKED
            .iter()
            .find(|(unprovoked, _)| unprovoked == reason);
        assert_ne!(
            seen.contains(reason.code()),
            explained.is_some(),
            "{reason}"
        );
    }
    gateways.remedies();
}

/// Each request comes from an allowed origin, where the reason is not the origin itself.
#[track_caller]
fn cors(answer: &Answer, reason: Reason, what: &str, row: &str) {
    let outside = what.starts_with(SANITY) || reason.code().starts_with("host.");
    match reason {
        Reason::CorsPreflightRefused | Reason::OriginMalformed | Reason::OriginNotAllowed => {
            ungranted(answer, row);
            assert!(answer.lists("vary", "origin"), "{row}");
        }
        _ if outside => ungranted(answer, row),
        _ => {
            granted(answer, APP, row);
            assert!(
                answer.lists("access-control-expose-headers", "www-authenticate"),
                "{row}"
            );
        }
    }
}

/// How the name of a case begins that Sanity refuses.
const SANITY: &str = "sanity: ";

struct Gateways {
    main: Palisade,
    /// One call at once.
    crowded: Palisade,
    /// One request an hour.
    rated: Palisade,
    /// Little memory for bodies.
    small: Palisade,
    /// One request at once.
    full: Palisade,
    /// Asks who calls.
    known: Palisade,
    /// Lets one authentication an hour fail.
    failing: Palisade,
    /// An audit log on a full disk.
    mute: Palisade,
    _behind: Palisade,
    _upstream: Upstream,
}

impl Gateways {
    fn start() -> Self {
        let upstream = Upstream::answering(|request| match request.header("x-do") {
            Some("garbage") => Reply::garbage(),
            Some("close") => Reply::close(),
            Some("reset") => Reply::reset(),
            Some("never") => Reply::never(),
            Some("switch") => Reply::raw(
                "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
            ),
            _ => Reply::result(request, &json!({ "resultType": "complete" })),
        });
        // An https upstream whose certificate nobody has signed that the system knows.
        let behind = Palisade::before(&upstream);
        let start = |more: &str| {
            Palisade::with(&format!(
                r#"
                hosts = ["mcp.example.com"]
                {more}
                [cors]
                origins = ["{APP}"]
                [[server]]
                name = "test"
                path = "/mcp"
                timeout = "1s"
                upstream = "{0}"
                [[server]]
                name = "crowded"
                path = "/crowded"
                concurrency = 1
                timeout = "5s"
                upstream = "{0}"
                [[server]]
                name = "down"
                path = "/down"
                upstream = "http://{1}/mcp"
                [[server]]
                name = "untrusted"
                path = "/untrusted"
                upstream = "https://{2}/mcp"
                "#,
                upstream.url(),
                Upstream::nobody(),
                behind.address(),
            ))
        };
        Self {
            main: start("egress.urls = \"enforce\"\nlimits.body = 4096\nlimits.timeouts = { body = \"1s\", headers = \"1s\" }"),
            crowded: start(""),
            rated: start("rate.peer = \"1/h\""),
            small: start("limits.body = 4096\nlimits.inflight_bytes = 6000"),
            full: start("limits.inflight_requests = 1"),
            known: asking(&upstream, "100000/s"),
            failing: asking(&upstream, "1/h"),
            mute: Palisade::builder()
                .server(&upstream)
                .config(&format!(
                    "hosts = [\"mcp.example.com\"]\naudit.sink = \"stdout\"\ncors.origins = [\"{APP}\"]"
                ))
                .shell("exec \"$@\" >/dev/full")
                .start(),
            _behind: behind,
            _upstream: upstream,
        }
    }
}

/// A key, an issuer that is not there, and two rules.
fn asking(upstream: &Upstream, failed: &str) -> Palisade {
    let issuer = Upstream::nobody();
    Palisade::with(&format!(
        r#"
        hosts = ["mcp.example.com"]
        rate.failed = "{failed}"
        cors.origins = ["{APP}"]
        [auth]
        allow_special = ["{issuer}"]
        [[auth.jwt]]
        issuer = "http://127.0.0.1:1"
        jwks = "http://{issuer}/jwks"
        audience = "test"
        [[auth.api_key]]
        name = "test"
        hash = "sha256:20143aaee9d451b99abdd3f50fc2446327c2842305847c753c24bb56bccc0248"
        [[server]]
        name = "test"
        path = "/mcp"
        upstream = "{}"
        [[server.allow]]
        tool = "slow"
        scope = "more"
        [[server.allow]]
        tool = "other"
        "#,
        upstream.url()
    ))
}

/// Of the issuer, and never signed: its keys are asked for first.
fn unsigned() -> String {
    let part = |json: Json| {
        let text = json.to_string();
        base64url(text.as_bytes())
    };
    let header = json!({ "alg": "RS256", "typ": "at+jwt", "kid": "k" });
    let claims =
        json!({ "iss": "http://127.0.0.1:1", "aud": "test", "sub": "a", "exp": 9_999_999_999_u64 });
    format!("Bearer {}.{}.AAAA", part(header), part(claims))
}

fn base64url(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let number = (chunk.iter()).fold(0_usize, |number, byte| number << 8 | usize::from(*byte));
        let number = number << (8 * (3 - chunk.len()));
        for digit in 0..=chunk.len() {
            text.push(char::from(DIGITS[number >> (18 - 6 * digit) & 63]));
        }
    }
    text
}

impl Gateways {
    /// The operator is only ever told of keys that the configuration has.
    fn remedies(&self) {
        let schema = Command::new(binary())
            .args(["config", "schema"])
            .output()
            .expect("palisade runs");
        let schema: Json = serde_json::from_slice(&schema.stdout).expect("JSON");
        let mut told = BTreeSet::new();
        for gateway in [
            &self.main,
            &self.crowded,
            &self.rated,
            &self.small,
            &self.full,
        ] {
            for record in gateway.audit() {
                let error = record["error"].as_str().unwrap_or_default();
                told.extend(keys(&schema, error));
            }
        }
        for key in &told {
            let mut at = &schema;
            for part in key.split('.') {
                at = &at["properties"][part];
            }
            assert!(at.is_object(), "{key} is no key; told were {told:?}");
        }
        for key in [
            "cors.methods",
            "cors.origins",
            "limits.body",
            "limits.header_count",
            "limits.inflight_bytes",
            "limits.inflight_requests",
            "limits.timeouts.body",
            "limits.timeouts.headers",
            "rate.peer",
        ] {
            assert!(told.contains(key), "{key}: told were {told:?}");
        }
    }
}

/// The words of a text that look like a key in a section.
fn keys(schema: &Json, text: &str) -> Vec<String> {
    // What the outbound policy says has codes of its own, which begin like a section.
    let is_code = |word: &str| {
        let mut codes = palisade_egress::Reason::ALL.iter();
        codes.any(|reason| reason.code() == word)
    };
    let is_key = |word: &&str| {
        if is_code(word) {
            return false;
        }
        let section = word.split_once('.').map(|(section, _)| section);
        section.is_some_and(|section| schema["properties"][section]["properties"].is_object())
    };
    let words = text
        .split_whitespace()
        .map(|word| word.trim_matches(|c: char| !c.is_ascii_alphanumeric()));
    words.filter(is_key).map(str::to_owned).collect()
}

/// Answers that give this reason, each by another way to it.
async fn provoke(
    gateways: &Gateways,
    reason: Reason,
    protocol: Protocol,
    host: &str,
) -> Vec<(&'static str, Answer)> {
    let http1 = protocol == Protocol::Http1;
    let call = || Ask::call().host(host).origin(APP);
    let post = |body: &str| Ask::post(body).host(host).origin(APP);
    let upstream = |what: &str| call().field("x-do", what);
    // The name of a host of the same kind, public or of this machine, that is not allowed.
    let (foreign, malformed) = if host == "localhost" {
        ("127.0.0.2", "127.1")
    } else {
        ("evil.example", "mcp.example.com:0")
    };
    let known = |ask: Ask| ask.field("authorization", "Bearer palisade_test");
    let asking = gateways.known.client();
    let asks = match reason {
        Reason::AccessDenied | Reason::AccessScope => {
            let tool = if reason == Reason::AccessDenied {
                "delete"
            } else {
                "slow"
            };
            let message = json!({ "jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": { "name": tool } });
            let answer = asking
                .ask(protocol, &known(post(&message.to_string())))
                .await;
            return vec![("rule", answer)];
        }
        Reason::AuthFailures => {
            let client = gateways.failing.client();
            let wrong = call().field("authorization", "Bearer palisade_wrong");
            // The first may be the one that may fail.
            client.ask(protocol, &wrong).await;
            return vec![("second", client.ask(protocol, &wrong).await)];
        }
        Reason::AuthInQuery => {
            let ask = call().target("/mcp?access_token=x");
            return vec![("query", asking.ask(protocol, &ask).await)];
        }
        Reason::AuthInvalid => {
            let wrong = call().field("authorization", "Bearer palisade_wrong");
            return vec![("key", asking.ask(protocol, &wrong).await)];
        }
        Reason::AuthRequired => return vec![("nothing", asking.ask(protocol, &call()).await)],
        Reason::AuthUnavailable => {
            let ask = call().field("authorization", unsigned());
            return vec![("issuer", asking.ask(protocol, &ask).await)];
        }
        Reason::SessionUnknown => {
            let ask = known(call()).field("mcp-session-id", "another");
            return vec![("another", asking.ask(protocol, &ask).await)];
        }
        Reason::AuditUnavailable => return unrecorded(&gateways.mute, protocol, &call()).await,
        Reason::BodyIncomplete if http1 => vec![(
            "chunks",
            call().field("transfer-encoding", "chunked").body("ZZ\r\n"),
        )],
        // What breaks a body there breaks its stream (RFC 9113 section 8.1.1): no answer.
        Reason::BodyIncomplete => vec![],
        Reason::BodyTimeout => vec![("unfinished", call().unfinished())],
        // Over HTTP/2 a head that does not come to its end is the connection's end.
        Reason::RequestTimeout if http1 => {
            let mut http1 = gateways.main.client().http1().await;
            let answer = http1.exchange("POST /mcp HTTP/1.1\r\nHost: ").await;
            return vec![("sanity: half a head", answer)];
        }
        Reason::RequestTimeout => vec![],
        Reason::BodyTooLarge => {
            let large = call().body(vec![b' '; 5000]);
            let mut asks = vec![
                ("whole", large.clone()),
                ("unfinished", large.clone().unfinished()),
            ];
            if http1 {
                let mut chunk = b"1388\r\n".to_vec();
                chunk.extend([b' '; 5000]);
                chunk.extend(b"\r\n0\r\n\r\n");
                asks.push((
                    "chunked",
                    large.field("transfer-encoding", "chunked").body(chunk),
                ));
                let declared = call().field("content-length", "99999").body("{");
                asks.push(("declared alone", declared));
            }
            asks
        }
        Reason::CallConcurrency => return crowded(&gateways.crowded, protocol, &call()).await,
        Reason::CallTimeout => vec![("never", upstream("never"))],
        Reason::CorsPreflightRefused => vec![
            (
                "origin",
                Ask::preflight("https://evil.example", "POST").host(host),
            ),
            ("method", Ask::preflight(APP, "PUT").host(host)),
        ],
        Reason::HostAmbiguous if http1 => vec![("two", call().field("host", host))],
        Reason::HostAmbiguous => vec![("differ", call().field("host", foreign))],
        Reason::HostMalformed => vec![("malformed", call().host(malformed))],
        Reason::HostMissing => vec![("missing", call().no_host())],
        Reason::HostNotAllowed => vec![("foreign", call().host(foreign))],
        Reason::LimitInflight => return overloaded(&gateways.small, protocol, &call()).await,
        Reason::LimitRequests => return full(&gateways.full, protocol, &call()).await,
        Reason::MessageBatch => vec![("empty", post("[]"))],
        Reason::MessageHeaderMismatch => return mismatch(&gateways.main, protocol, &post).await,
        Reason::MessageInvalid => vec![("no message", post("{}"))],
        Reason::MessageMalformed => vec![
            ("no JSON", post("{")),
            (
                "doubled key",
                post(r#"{"jsonrpc":"2.0","jsonrpc":"2.0","id":1,"method":"ping"}"#),
            ),
        ],
        Reason::MessageMediaType => vec![
            ("none", call().without("content-type")),
            (
                "text",
                call()
                    .without("content-type")
                    .field("content-type", "text/plain"),
            ),
        ],
        Reason::OriginMalformed => vec![(
            "path",
            Ask::call().host(host).origin("https://app.example.com/"),
        )],
        Reason::OriginNotAllowed => vec![(
            "evil",
            Ask::call().host(host).origin("https://evil.example"),
        )],
        Reason::RateExceeded => {
            let client = gateways.rated.client();
            // The first may be the one that is allowed.
            client.ask(protocol, &call()).await;
            return vec![("second", client.ask(protocol, &call()).await)];
        }
        Reason::RequestHeaderTooLarge => {
            let mut many = call();
            for number in 0..65 {
                many = many.field(&format!("mcp-param-{number}"), "x");
            }
            let mut asks = vec![("parameters", many)];
            if !http1 {
                // By HTTP/1.1 hyper counts the fields first; see below.
                let mut many = call();
                for number in 0..100 {
                    many = many.field(&format!("x-{number}"), "x");
                }
                asks.push(("sanity: fields", many));
            }
            asks
        }
        Reason::RequestMalformed => vec![
            (
                "sanity: two types",
                call().field("content-type", "application/json"),
            ),
            ("sanity: confusable", call().field("x_forwarded_for", "::1")),
            (
                "a body with GET",
                Ask::new("GET", "/mcp").host(host).origin(APP).body("x"),
            ),
        ],
        Reason::RequestMethod => vec![
            (
                "sanity: TRACE",
                Ask::new("TRACE", "/mcp").host(host).origin(APP),
            ),
            (
                "sanity: unknown",
                Ask::new("BREW", "/mcp").host(host).origin(APP),
            ),
        ],
        Reason::RequestPathAmbiguous => vec![
            ("sanity: dots", call().target("/mcp/../mcp")),
            ("sanity: encoded", call().target("/mcp/%2e%2e/mcp")),
            ("sanity: slashes", call().target("/mcp//mcp")),
        ],
        Reason::RouteNotFound => vec![
            ("call", call().target("/other")),
            ("get", Ask::new("GET", "/").host(host).origin(APP)),
        ],
        Reason::UpstreamMalformed => vec![
            ("garbage", upstream("garbage")),
            ("101", upstream("switch")),
        ],
        Reason::UpstreamUnreachable => vec![
            ("nobody", call().target("/down")),
            ("close", upstream("close")),
            ("reset", upstream("reset")),
        ],
        Reason::UpstreamUntrusted => vec![("untrusted", call().target("/untrusted"))],
        Reason::UrlRefused => vec![(
            "loopback",
            post(
                r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"fetch","arguments":{"url":"http://127.0.0.1/"}}}"#,
            ),
        )],
        reason => {
            panic!("{reason} is new: provoke it here, or explain in UNPROVOKED why nobody can")
        }
    };
    let client = gateways.main.client();
    let mut answers = Vec::new();
    for (what, ask) in asks {
        answers.push((what, client.ask(protocol, &ask).await));
    }
    answers
}

async fn unrecorded(
    gateway: &Palisade,
    protocol: Protocol,
    call: &Ask,
) -> Vec<(&'static str, Answer)> {
    // The log learns with its first record that the disk is full.
    for _ in 0..100 {
        let answer = gateway.client().ask(protocol, call).await;
        if answer.status != 200 {
            return vec![("full disk", answer)];
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("calls go on that nobody records");
}

async fn crowded(
    gateway: &Palisade,
    protocol: Protocol,
    call: &Ask,
) -> Vec<(&'static str, Answer)> {
    let client: Client = gateway.client();
    let call = call.clone().target("/crowded").field("x-do", "never");
    let mut first = client.http1().await;
    first.start(&call).await;
    for _ in 0..100 {
        // If this one comes first, the other is refused, and this one times out: once more.
        let answer = client.ask(protocol, &call).await;
        if answer.status != 504 {
            return vec![("second", answer)];
        }
        first = client.http1().await;
        first.start(&call).await;
    }
    panic!("two calls at once");
}

async fn overloaded(
    gateway: &Palisade,
    protocol: Protocol,
    call: &Ask,
) -> Vec<(&'static str, Answer)> {
    let client = gateway.client();
    let mut first = client.http1().await;
    first
        .start(&call.clone().body(vec![b' '; 3050]).unfinished())
        .await;
    for _ in 0..100 {
        let answer = client
            .ask(protocol, &call.clone().body(vec![b' '; 3050]))
            .await;
        // Until the first has arrived the second is merely no JSON.
        if answer.status != 400 {
            return vec![("second", answer)];
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("more bytes in flight than the limit");
}

async fn full(gateway: &Palisade, protocol: Protocol, call: &Ask) -> Vec<(&'static str, Answer)> {
    let client = gateway.client();
    let held = call.clone().field("x-do", "never");
    let mut first = client.http1().await;
    first.start(&held).await;
    for _ in 0..100 {
        let answer = client.ask(protocol, call).await;
        // Until the first has arrived there is room.
        if answer.status == 503 {
            assert_eq!(answer.header("retry-after"), Some("1"));
            drop(first);
            // The place is free again, for whoever comes next.
            for _ in 0..100 {
                if client.ask(protocol, call).await.status == 200 {
                    return vec![("sanity: second", answer)];
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            panic!("the place is not given back");
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("more requests in flight than the limit");
}

/// Only a server that has shown itself modern has its clients' headers compared.
async fn mismatch(
    gateway: &Palisade,
    protocol: Protocol,
    post: &impl Fn(&str) -> Ask,
) -> Vec<(&'static str, Answer)> {
    let ask = |method: &str| {
        post(
            r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","arguments":{},
                "_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}}"#,
        )
        .field("mcp-protocol-version", "2026-07-28")
        .field("mcp-name", "echo")
        .field("mcp-method", method)
    };
    let client = gateway.client();
    let answer = client.ask(protocol, &ask("tools/call")).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let answer = client.ask(protocol, &ask("tools/list")).await;
    assert_eq!(answer.json()["error"]["code"], -32020);
    vec![("method", answer)]
}

/// Where no server is, a preflight is granted nothing.
// REQ: C-3
#[tokio::test]
async fn preflights_to_nowhere() {
    let upstream = Upstream::new();
    let palisade = Palisade::builder()
        .server(&upstream)
        .config(&format!("cors.origins = [\"{APP}\"]"))
        .start();
    for protocol in BOTH {
        let ask = Ask::preflight(APP, "POST").target("/other");
        let answer = palisade.client().ask(protocol, &ask).await;
        assert_eq!(answer.reason().as_deref(), Some("route.not_found"));
        ungranted(&answer, "preflight");
        secured(&answer, "preflight");
        assert!(answer.lists("vary", "origin"));
    }
}

/// Preflights, and answers that are no refusals, are ours too.
// REQ: S-1, C-3
#[tokio::test]
async fn preflights_and_the_upstreams_answers() {
    let upstream = Upstream::new();
    let palisade = Palisade::builder()
        .server(&upstream)
        .config(&format!(
            "hosts = [\"mcp.example.com\"]\ncors.origins = [\"{APP}\"]"
        ))
        .start();
    for protocol in BOTH {
        for (host, pin) in [("mcp.example.com", Some(HSTS)), ("localhost", None)] {
            for ask in [Ask::preflight(APP, "POST"), Ask::call().origin(APP)] {
                let answer = palisade.client().ask(protocol, &ask.host(host)).await;
                secured(&answer, host);
                granted(&answer, APP, host);
                assert_eq!(answer.header("strict-transport-security"), pin);
            }
        }
    }
}
