//! Who answers for a request that was refused before it was routed, since its `Authorization`
//! alone was at fault.

use std::sync::Arc;

use http::header::HOST;
use http::request::Parts;
use palisade::auth::Authenticator;
use palisade::route::{Entry, Route};
use palisade::sanity::{Challenger, CredentialFault};
use palisade::{Exchange, Rejection};

/// The servers that ask for credentials, in their places among those that do not.
#[derive(Debug)]
pub struct Askers {
    routes: Route<Option<Arc<Authenticator>>>,
    /// The same whatever the host, for heads that were not read as far as that.
    by_path: Route<Option<Arc<Authenticator>>>,
}

impl Askers {
    /// Of these places; those that ask for nothing have no authenticator.
    #[must_use]
    pub fn new(entries: Vec<Entry<Option<Arc<Authenticator>>>>) -> Self {
        let hostless = entries.iter().cloned().map(|entry| Entry {
            host: None,
            ..entry
        });
        Self {
            by_path: Route::new(hostless.collect()),
            routes: Route::new(entries),
        }
    }
}

impl Challenger for Askers {
    fn refuse(&self, head: &Parts, fault: CredentialFault) -> Option<Rejection> {
        let named = head.uri.authority().is_some() || head.headers.contains_key(HOST);
        let routes = if named { &self.routes } else { &self.by_path };
        let entry = routes.choose(head)?;
        let rejection = entry.service.as_ref()?.unreadable(fault);
        if let Some(exchange) = head.extensions.get::<Exchange>() {
            exchange.facts().server = Some(Arc::clone(&entry.name));
        }
        Some(rejection)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Request;
    use palisade::Reason;
    use palisade::host::HostSet;

    // REQ: A-1
    #[test]
    fn the_server_that_would_have_asked_answers() {
        let place = |name: &str, host: Option<&str>, path: &str, asks: bool| Entry {
            name: name.into(),
            host: host.map(|host| HostSet::parse([host]).unwrap()),
            path: path.to_owned(),
            service: asks.then(Arc::default),
        };
        let askers = Askers::new(vec![
            place("open", None, "/open", false),
            place("asks", None, "/asks", true),
            place("document", None, "/asks/.well-known", false),
            place("named", Some("a.example"), "/named", true),
        ]);
        for (host, path, name) in [
            (Some("b.example"), "/asks", Some("asks")),
            (Some("b.example"), "/asks/deeper", Some("asks")),
            (Some("b.example"), "/asks/.well-known", None),
            (Some("b.example"), "/open", None),
            (Some("b.example"), "/nobody", None),
            (Some("a.example"), "/named", Some("named")),
            (Some("b.example"), "/named", None),
            // Not read as far as that.
            (None, "/named", Some("named")),
            (None, "/asks", Some("asks")),
            (None, "/open", None),
        ] {
            let exchange =
                Exchange::begin(palisade::Connection::new(([192, 0, 2, 1], 1).into(), true));
            let mut request = Request::post(path).extension(exchange.clone());
            if let Some(host) = host {
                request = request.header(HOST, host);
            }
            let (head, ()) = request.body(()).unwrap().into_parts();
            for fault in [CredentialFault::Doubled, CredentialFault::TooLarge] {
                let refused = askers.refuse(&head, fault);
                let reason = refused.map(|rejection| rejection.reason());
                let expected = name.map(|_| Reason::AuthInvalid);
                assert_eq!(reason, expected, "{host:?} {path}");
            }
            let server = exchange.facts().server.clone();
            assert_eq!(server.as_deref(), name, "{host:?} {path}");
        }
    }
}
