//! Protected resource metadata (RFC 9728): our own, or an upstream's with the public address.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::{ALLOW, CONTENT_TYPE, HeaderValue};
use http::uri::Uri;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};
use palisade::{Exchange, Reason, Rejection};
use serde_json::{Value as Json, json};
use tower_service::Service;

use crate::config::{Server, Settings};
use crate::plan::RequestBody;
use crate::upstream::http::Upstream;

/// The largest document of an upstream that is rewritten.
const MOST: usize = 64 << 10;

/// The body of our own answers.
pub type OwnBody = Full<Bytes>;

/// A document at one path.
#[derive(Clone)]
pub enum OwnRoute {
    /// One that never changes.
    Document {
        /// The only path.
        path: Arc<str>,
        /// JSON.
        document: Bytes,
    },
    /// An upstream's metadata.
    Passed(Passed),
}

/// How an upstream's own metadata are passed on.
#[derive(Clone)]
pub struct Passed {
    /// The only path.
    pub path: Arc<str>,
    /// Asked first and, where it has none, second: the path-suffixed form and the root form.
    pub upstreams: [Upstream<RequestBody>; 2],
    /// What `resource` becomes.
    pub resource: Arc<str>,
}

impl Service<Request<RequestBody>> for OwnRoute {
    type Response = Response<OwnBody>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<OwnBody>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<RequestBody>) -> Self::Future {
        let route = self.clone();
        Box::pin(async move { Ok(route.answer(request).await) })
    }
}

impl OwnRoute {
    async fn answer(self, request: Request<RequestBody>) -> Response<OwnBody> {
        let (head, _) = request.into_parts();
        let path = match &self {
            Self::Document { path, .. } => path,
            Self::Passed(passed) => &passed.path,
        };
        if head.uri.path().trim_end_matches('/') != path.trim_end_matches('/') {
            return refused(Rejection::new(Reason::RouteNotFound), &head);
        }
        if !matches!(head.method, Method::GET | Method::HEAD) {
            let mut answer = Response::new(OwnBody::default());
            *answer.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
            answer
                .headers_mut()
                .insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
            return answer;
        }
        match self {
            Self::Document { document, .. } => json_answer(document),
            Self::Passed(passed) => passed.fetch(&head).await,
        }
    }
}

impl Passed {
    async fn fetch(self, head: &http::request::Parts) -> Response<OwnBody> {
        for mut upstream in self.upstreams {
            let mut request = Request::new(RequestBody::default());
            *request.uri_mut() = Uri::try_from(&*self.path).unwrap_or_default();
            *request.headers_mut() = head.headers.clone();
            request.headers_mut().remove(http::header::AUTHORIZATION);
            if let Some(exchange) = head.extensions.get::<Exchange>() {
                request.extensions_mut().insert(exchange.clone());
            }
            let Ok(answer) = upstream.call(request).await;
            if let Some(rejection) = answer.extensions().get::<Rejection>() {
                return refused(rejection.clone(), head);
            }
            if answer.status() != StatusCode::OK {
                continue;
            }
            let body = Limited::new(answer.into_body(), MOST).collect().await;
            let body = body.map(http_body_util::Collected::to_bytes);
            let document = body.ok().and_then(|body| rewritten(&body, &self.resource));
            return match document {
                Some(document) => json_answer(document.into()),
                None => refused(
                    Rejection::new(Reason::UpstreamMalformed)
                        .with_detail("its protected resource metadata are no JSON object"),
                    head,
                ),
            };
        }
        refused(Rejection::new(Reason::RouteNotFound), head)
    }
}

fn json_answer(document: Bytes) -> Response<OwnBody> {
    let mut answer = Response::new(OwnBody::new(document));
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    answer
}

fn refused(rejection: Rejection, head: &http::request::Parts) -> Response<OwnBody> {
    rejection.into_response(head).map(OwnBody::new)
}

/// The metadata with our own address; everything else as it was. A signature over the old address
/// would not hold, so it is left out.
fn rewritten(document: &[u8], resource: &str) -> Option<String> {
    let mut document: Json = serde_json::from_slice(document).ok()?;
    let members = document.as_object_mut()?;
    members.insert("resource".to_owned(), resource.into());
    members.remove("signed_metadata");
    Some(document.to_string())
}

/// Our own metadata for `server`.
pub(super) fn document(resource: &str, settings: &Settings, server: &Server) -> String {
    let issuers: Vec<_> = settings
        .auth
        .jwt
        .iter()
        .map(|jwt| &jwt.issuer.value)
        .collect();
    let mut scopes: Vec<&str> = settings
        .auth
        .scopes
        .iter()
        .map(|scope| scope.value.as_str())
        .collect();
    let ruled = server
        .auth
        .allow
        .iter()
        .flat_map(|allow| allow.scopes.iter());
    for scope in ruled {
        if !scopes.contains(&scope.value.as_str()) {
            scopes.push(&scope.value);
        }
    }
    let mut document = json!({
        "resource": resource,
        "authorization_servers": issuers,
        "bearer_methods_supported": ["header"],
        "resource_name": server.name.value,
    });
    if !scopes.is_empty() {
        document["scopes_supported"] = scopes.into();
    }
    document.to_string()
}

/// The upstream's challenges with our own address: whoever follows `resource_metadata` finds the
/// metadata that are rewritten here.
pub(crate) fn public_challenge(challenge: &HeaderValue, metadata: &str) -> Option<HeaderValue> {
    const NAME: &str = "resource_metadata=";
    let text = challenge.to_str().ok()?;
    let lower = text.to_ascii_lowercase();
    let mut out = String::with_capacity(text.len() + metadata.len());
    let mut at = 0;
    let mut found = false;
    while let Some(next) = lower[at..].find(NAME) {
        let value = at + next + NAME.len();
        let rest = &text[value..];
        let length = match rest.strip_prefix('"') {
            Some(quoted) => quoted.find('"')? + 2,
            None => rest.find([',', ' ']).unwrap_or(rest.len()),
        };
        out.push_str(&text[at..value]);
        out.push('"');
        out.push_str(metadata);
        out.push('"');
        at = value + length;
        found = true;
    }
    out.push_str(&text[at..]);
    found.then(|| HeaderValue::try_from(out).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    // REQ: A-7
    #[test]
    fn challenges_name_the_public_metadata() {
        let ours = "https://mcp.example.com/.well-known/oauth-protected-resource/mcp";
        for (challenge, expected) in [
            (
                r#"Bearer resource_metadata="http://127.0.0.1:3000/.well-known/oauth-protected-resource/mcp""#,
                Some(format!(r#"Bearer resource_metadata="{ours}""#)),
            ),
            (
                r#"Bearer error="invalid_token", Resource_Metadata="http://x/", scope="a b""#,
                Some(format!(
                    r#"Bearer error="invalid_token", Resource_Metadata="{ours}", scope="a b""#
                )),
            ),
            (
                "Bearer resource_metadata=http://x/y, scope=a",
                Some(format!(r#"Bearer resource_metadata="{ours}", scope=a"#)),
            ),
            (r#"Bearer realm="x""#, None),
            (r#"Bearer resource_metadata="unended"#, None),
        ] {
            let value = HeaderValue::from_static(challenge);
            let rewritten = public_challenge(&value, ours);
            let rewritten = rewritten.as_ref().map(|value| value.to_str().unwrap());
            assert_eq!(rewritten, expected.as_deref(), "{challenge}");
        }
    }

    // REQ: A-7
    #[test]
    fn metadata_name_the_public_resource() {
        let document = br#"{"resource":"http://127.0.0.1:3000/mcp","authorization_servers":["https://a"],"signed_metadata":"x"}"#;
        let rewritten: Json =
            serde_json::from_str(&rewritten(document, "https://m/mcp").unwrap()).unwrap();
        assert_eq!(
            rewritten,
            json!({ "resource": "https://m/mcp", "authorization_servers": ["https://a"] })
        );
        assert_eq!(super::rewritten(b"[]", "x"), None);
        assert_eq!(super::rewritten(b"<html>", "x"), None);
    }
}
