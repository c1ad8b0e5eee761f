//! The redirect loop: every hop is judged afresh, by the same steps as the first request.

use std::time::Instant;

use http::StatusCode;
use http::header::HeaderValue;
use url::Url;

use super::error::FetchError;
use super::request::Request;
use crate::decision::{Reason, Refusal};
use crate::event::{Event, Form, Observe};
use crate::guard::Guard;
use crate::policy::CheckedTarget;

/// Most redirects, whatever the limits say.
const MAX_REDIRECTS: u8 = 20;

/// Sends one request to a checked target.
pub(crate) trait Exchange: Sync {
    /// What comes back.
    type Answer: Answered + Send;

    /// Sends it.
    fn send(
        &self,
        target: CheckedTarget,
        request: &Request,
    ) -> impl Future<Output = Result<Self::Answer, FetchError>> + Send;
}

/// What the loop must know of an answer.
pub(crate) trait Answered {
    /// Its status.
    fn status(&self) -> StatusCode;

    /// Its `Location` fields.
    fn locations(&self) -> impl Iterator<Item = &HeaderValue>;
}

/// Who asks, under which guard, and who is told.
pub(crate) struct Asker<'a> {
    pub(crate) guard: &'a Guard,
    pub(crate) observer: &'a dyn Observe,
    pub(crate) identity: &'a str,
}

/// Sends the request and follows redirects. Gives the last answer, its URL and how many redirects
/// led there.
pub(crate) async fn follow<X: Exchange>(
    asker: &Asker<'_>,
    exchange: &X,
    mut request: Request,
    redirects: u8,
) -> Result<(X::Answer, Url, u8), FetchError> {
    let Asker {
        guard,
        observer,
        identity,
    } = *asker;
    let policy = guard.policy();
    let most = redirects.min(MAX_REDIRECTS);
    let mut asked = Instant::now();
    let mut judged = policy.check_url(&request.url);
    let mut hop = 0;
    loop {
        let checked = match judged {
            Ok(target) => guard.resolve(target).await,
            Err(refusal) => Err(refusal),
        };
        let event = Event::of(Form::Fetch, identity, &checked);
        observer.decided(&Event {
            hop,
            duration: asked.elapsed(),
            ..event
        });
        let checked = checked?;
        let url = url_of(&checked)?;
        let answer = exchange.send(checked, &request).await;
        if let Err(error) = &answer
            && let Some(refusal) = told(error, &url)
        {
            let event = Event::refused(Form::Fetch, identity, &refusal);
            observer.decided(&Event { hop, ..event });
        }
        let answer = answer?;
        asked = Instant::now();
        judged = match location(&answer) {
            Ok(None) => return Ok((answer, url, hop)),
            Ok(Some(_)) if hop >= most => Err(Refusal::new(Reason::RedirectTooMany, &url)),
            Ok(Some(location)) => policy.check_redirect(&url, location),
            Err(refusal) => Err(refusal),
        };
        if let Ok(next) = &judged
            && let Some(next) = next.url()
        {
            request.redirect(answer.status().as_u16(), next.origin() == url.origin());
        }
        hop += 1;
    }
}

/// What the audit log must hear of after the connection was allowed: that it ended elsewhere, or
/// that the host could not prove who it is.
fn told(error: &FetchError, url: &Url) -> Option<Refusal> {
    match error {
        FetchError::Refused(refusal) => Some(refusal.clone()),
        FetchError::Certificate { host, cause } => {
            let port = url.port_or_known_default().unwrap_or_default();
            Some(Refusal::new(Reason::TlsCertificate, cause).at(host, port))
        }
        _ => None,
    }
}

/// The URL of a target that came from one.
pub(super) fn url_of(target: &CheckedTarget) -> Result<Url, FetchError> {
    let url = target.target().url().cloned();
    url.ok_or(FetchError::Request("the target has no URL"))
}

/// Where the answer sends us, where it is a redirect that is followed. 300, 304 and 305 are none.
fn location(answer: &impl Answered) -> Result<Option<&str>, Refusal> {
    if !matches!(answer.status().as_u16(), 301 | 302 | 303 | 307 | 308) {
        return Ok(None);
    }
    let mut locations = answer.locations();
    match (locations.next(), locations.next()) {
        (None, _) => Ok(None),
        (Some(location), None) => match std::str::from_utf8(location.as_bytes()) {
            Ok(location) => Ok(Some(location)),
            Err(_) => Err(Refusal::new(
                Reason::RedirectMalformed,
                "`Location` is no text",
            )),
        },
        (Some(_), Some(_)) => Err(Refusal::new(
            Reason::RedirectMalformed,
            "`Location` stands twice",
        )),
    }
}
