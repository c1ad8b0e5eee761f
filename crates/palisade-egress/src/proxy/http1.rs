//! The proxy's HTTP: CONNECT, requests with a whole URL, and requests inside a tunnel.

use std::convert::Infallible;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http::header::{
    CONNECTION, CONTENT_TYPE, HOST, HeaderName, HeaderValue, PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION, TE, TRAILER, TRANSFER_ENCODING, UPGRADE,
};
use http::{HeaderMap, Method, Request, Response, StatusCode, Uri};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1 as client;
use hyper::server::conn::http1 as server;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpStream;
use url::Url;

use super::credential::basic;
use super::plan::{Identity, Plan};
use super::registry::{Metered, Route};
use super::tunnel::{Rewound, ended};
use super::{Denial, Opened, Session, tunnel};
use crate::decision::{Reason, Refusal};
use crate::event::Form;
use crate::policy::Target;
use crate::target::Host;

type Body = UnsyncBoxBody<Bytes, hyper::Error>;

/// Most bytes of a request's or an answer's head.
const MAX_HEAD: usize = 64 << 10;

/// Serves a client that speaks HTTP to the proxy.
pub(super) async fn serve(session: Session, stream: TcpStream) -> io::Result<()> {
    let begin = session.shared.limits.begin;
    let service = service_fn(move |request| {
        let session = session.clone();
        async move { Ok::<_, Infallible>(answer(session, request).await) }
    });
    let connection = builder(begin).serve_connection(TokioIo::new(stream), service);
    connection.with_upgrades().await.map_err(io::Error::other)
}

/// Serves HTTP inside a tunnel: every request must be for the tunnel's host, and is judged and
/// told of by itself. The first one takes the connection that was opened with the tunnel.
pub(super) async fn serve_inside(
    session: Session,
    identity: Arc<Identity>,
    client: Rewound,
    opened: Opened,
) -> io::Result<()> {
    let begin = session.shared.limits.begin;
    let Route {
        host, port, form, ..
    } = opened.registration.route();
    let (host, port, form) = (host.clone(), *port, *form);
    let name = Arc::clone(&identity.name);
    let first = Arc::new(Mutex::new(Some((identity, opened))));
    let service = service_fn(move |request| {
        let (session, host, first, name) = (
            session.clone(),
            host.clone(),
            Arc::clone(&first),
            Arc::clone(&name),
        );
        async move {
            let taken = first.lock().unwrap_or_else(PoisonError::into_inner).take();
            Ok::<_, Infallible>(inside(session, &name, form, host, port, taken, request).await)
        }
    });
    let connection = builder(begin).serve_connection(TokioIo::new(client), service);
    connection.await.map_err(io::Error::other)
}

fn builder(begin: std::time::Duration) -> server::Builder {
    let mut builder = server::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(begin)
        .max_buf_size(MAX_HEAD);
    builder
}

async fn answer(mut session: Session, request: Request<Incoming>) -> Response<Body> {
    let plan = session.shared.registry.plan();
    let connect = request.method() == Method::CONNECT;
    let form = if connect {
        Form::Connect
    } else {
        Form::Absolute
    };
    let proven = match basic(request.headers()) {
        Some((user, password)) => plan.prove(&user, &password),
        None => None,
    };
    let by_listener = || Some((session.by_listener(&plan)?, session.child));
    let Some((identity, child)) = proven.or_else(by_listener) else {
        session.unknown(form);
        let mut answer = refused(
            StatusCode::PROXY_AUTHENTICATION_REQUIRED,
            Reason::ProxyCredential,
            "",
        );
        let challenge = HeaderValue::from_static("Basic realm=\"palisade\"");
        answer.headers_mut().insert(PROXY_AUTHENTICATE, challenge);
        return answer;
    };
    session.child = child;
    if connect {
        open_tunnel(session, &plan, identity, request).await
    } else {
        absolute(session, &plan, &identity, request).await
    }
}

async fn open_tunnel(
    session: Session,
    plan: &Arc<Plan>,
    identity: Arc<Identity>,
    request: Request<Incoming>,
) -> Response<Body> {
    let authority = request.uri().to_string();
    let judged = identity.guard.policy().check_authority(&authority);
    let host = judged
        .as_ref()
        .map_or_else(|_| String::new(), |target| target.host().to_string());
    match session.open(Form::Connect, plan, &identity, judged).await {
        Err(denial) => denied(&denial, &host),
        Ok(opened) => {
            tokio::spawn(async move {
                if let Ok(upgraded) = hyper::upgrade::on(request).await {
                    let client = Box::new(TokioIo::new(upgraded));
                    let _ = tunnel::run(session, identity, client, opened).await;
                }
            });
            Response::new(empty())
        }
    }
}

async fn absolute(
    session: Session,
    plan: &Arc<Plan>,
    identity: &Identity,
    request: Request<Incoming>,
) -> Response<Body> {
    if request.uri().authority().is_none() {
        return refused(StatusCode::BAD_REQUEST, Reason::ProxyRequest, "");
    }
    let judged = judge_absolute(identity, &request);
    let host = judged
        .as_ref()
        .map_or_else(|_| String::new(), |target| target.host().to_string());
    let url = judged.as_ref().ok().and_then(Target::url).cloned();
    match session.open(Form::Absolute, plan, identity, judged).await {
        Err(denial) => denied(&denial, &host),
        Ok(opened) => match url {
            Some(url) => forward(&session, &url, opened, request).await,
            None => refused(StatusCode::BAD_REQUEST, Reason::ProxyRequest, &host),
        },
    }
}

/// Judges a request with a whole URL. What goes to the host over TLS must come by CONNECT: here
/// it would be in the clear before the proxy.
fn judge_absolute(identity: &Identity, request: &Request<Incoming>) -> Result<Target, Refusal> {
    let text = request.uri().to_string();
    let target = identity.guard.policy().check_url(&text)?;
    if target.url().is_none_or(|url| url.scheme() != "http") {
        return Err(Refusal::new(
            Reason::UrlScheme,
            "an absolute request for https",
        ));
    }
    agrees(request.headers(), target.host(), target.port())?;
    Ok(target)
}

/// `Host` must name the same host and port as the target does (RFC 9112 section 3.2.2 would let it
/// be ignored; a host behind might not).
fn agrees(headers: &HeaderMap, host: &Host, port: u16) -> Result<(), Refusal> {
    let mut values = headers.get_all(HOST).iter();
    let refuse = || {
        Refusal::new(
            Reason::ProxyHost,
            format_args!("`Host` is not {host}:{port}"),
        )
    };
    let (Some(value), None) = (values.next(), values.next()) else {
        return Err(refuse());
    };
    let text = value.to_str().map_err(|_| refuse())?;
    let (name, sent) = match text.rsplit_once(':') {
        Some((name, sent)) if !sent.contains(']') => (name, sent.parse().map_err(|_| refuse())?),
        _ => (text, 80),
    };
    let same = Host::parse(name).as_ref() == Ok(host) && sent == port;
    same.then_some(()).ok_or_else(refuse)
}

async fn inside(
    session: Session,
    name: &str,
    form: Form,
    host: Host,
    port: u16,
    first: Option<(Arc<Identity>, Opened)>,
    request: Request<Incoming>,
) -> Response<Body> {
    let plan = session.shared.registry.plan();
    let text = host.to_string();
    let plain = request.uri().authority().is_none() && request.method() != Method::CONNECT;
    let Some(identity) = plan.named(name).filter(|_| plain) else {
        return refused(StatusCode::BAD_REQUEST, Reason::ProxyRequest, &text);
    };
    let path = request
        .uri()
        .path_and_query()
        .map_or("/", |path| path.as_str());
    let url = Url::parse(&format!("http://{text}:{port}")).and_then(|base| base.join(path));
    let Ok(url) = url else {
        return refused(StatusCode::BAD_REQUEST, Reason::ProxyRequest, &text);
    };
    let judged = agrees(request.headers(), &host, port)
        .and_then(|()| identity.guard.policy().check_host(host, port));
    let opened = match (first, &judged) {
        (Some((_, opened)), Ok(_)) => Ok(opened),
        _ => session.open(form, &plan, &identity, judged).await,
    };
    match opened {
        Err(denial) => denied(&denial, &text),
        Ok(opened) => forward(&session, &url, opened, request).await,
    }
}

/// Sends a judged request on and gives back the answer as it comes.
async fn forward(
    session: &Session,
    url: &Url,
    opened: Opened,
    request: Request<Incoming>,
) -> Response<Body> {
    let Opened {
        connection,
        registration,
    } = opened;
    let host = registration.route().host.to_string();
    let stream = Metered::new(connection.stream, &registration);
    let mut builder = client::Builder::new();
    builder.max_buf_size(MAX_HEAD);
    let Ok((mut sender, connection)) = builder.handshake(TokioIo::new(stream)).await else {
        return denied(&Denial::Unreachable, &host);
    };
    let idle = session.shared.limits.idle;
    tokio::spawn(async move {
        let (revoked, counters) = (registration.revoked(), registration.counters());
        tokio::select! {
            _ = connection => {}
            () = ended(&revoked, &counters, idle) => {}
        }
        drop(registration);
    });
    let Some(request) = onward(url, request) else {
        return refused(StatusCode::BAD_REQUEST, Reason::ProxyRequest, &host);
    };
    match sender.send_request(request).await {
        Err(_) => denied(&Denial::Unreachable, &host),
        // Nobody asked for another protocol.
        Ok(answer) if answer.status() == StatusCode::SWITCHING_PROTOCOLS => {
            denied(&Denial::Unreachable, &host)
        }
        Ok(answer) => {
            let (mut head, body) = answer.into_parts();
            strip(&mut head.headers);
            Response::from_parts(head, body.boxed_unsync())
        }
    }
}

/// The request as the host gets it: canonical path, our `Host`, nothing of this connection.
fn onward(url: &Url, request: Request<Incoming>) -> Option<Request<Incoming>> {
    let (mut head, body) = request.into_parts();
    let path = &url[url::Position::BeforePath..url::Position::AfterQuery];
    let host = &url[url::Position::BeforeHost..url::Position::AfterPort];
    head.uri = path.parse::<Uri>().ok()?;
    head.version = http::Version::HTTP_11;
    strip(&mut head.headers);
    head.headers.insert(HOST, HeaderValue::from_str(host).ok()?);
    Some(Request::from_parts(head, body))
}

/// Takes away what belongs to one connection (RFC 9110 section 7.6.1), and what is for proxies.
fn strip(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    for name in named {
        headers.remove(name);
    }
    for name in [
        CONNECTION,
        TE,
        TRAILER,
        TRANSFER_ENCODING,
        UPGRADE,
        PROXY_AUTHENTICATE,
        PROXY_AUTHORIZATION,
    ] {
        headers.remove(name);
    }
    for name in [
        "keep-alive",
        "proxy-connection",
        "proxy-authentication-info",
        "http2-settings",
    ] {
        headers.remove(name);
    }
}

fn denied(denial: &Denial, host: &str) -> Response<Body> {
    match denial {
        Denial::Refused(refusal) => match refusal.reason() {
            reason @ (Reason::ProxyHost | Reason::ProxyRequest) => {
                refused(StatusCode::BAD_REQUEST, reason, host)
            }
            reason @ (Reason::ProxyBusy | Reason::ProxyUnrecorded) => {
                refused(StatusCode::SERVICE_UNAVAILABLE, reason, host)
            }
            reason => refused(StatusCode::FORBIDDEN, reason, host),
        },
        Denial::Unreachable => refused(StatusCode::BAD_GATEWAY, Reason::ProxyUnreachable, host),
    }
}

/// `{"code","message","host"}`; the host is in canonical form, so none of it needs escaping.
fn refused(status: StatusCode, reason: Reason, host: &str) -> Response<Body> {
    let (code, text) = (reason.code(), reason.text());
    let body = format!("{{\"code\":\"{code}\",\"message\":\"{text}\",\"host\":\"{host}\"}}\n");
    let mut answer = Response::new(full(body));
    *answer.status_mut() = status;
    let json = HeaderValue::from_static("application/json");
    answer.headers_mut().insert(CONTENT_TYPE, json);
    answer
}

fn empty() -> Body {
    full(Bytes::new())
}

fn full(body: impl Into<Bytes>) -> Body {
    Full::new(body.into())
        .map_err(|never| match never {})
        .boxed_unsync()
}
