use super::*;
use crate::exchange::Connection;
use crate::guard::{GuardLayer, Mode};
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use std::convert::Infallible;
use std::future::ready;
use std::sync::atomic::{AtomicU64, Ordering};
use tower::{Layer as _, ServiceExt, service_fn};

/// A clock that stands until it is moved.
#[derive(Clone, Debug, Default)]
pub(super) struct Manual(Arc<AtomicU64>);

impl Manual {
    pub(super) fn advance(&self, nanos: u64) {
        self.0.fetch_add(nanos, Ordering::Relaxed);
    }
}

impl Clock for Manual {
    fn now(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    fn unix(&self) -> u64 {
        1_800_000_000
    }
}

const SECOND: u64 = 1_000_000_000;

fn guard(name: &str, rate: &str, clock: &Manual) -> RateGuard<Peer, Manual> {
    let limiter = Limiter::with(rate.parse().unwrap(), 1, clock.clone());
    RateGuard::new(name, Peer::default(), Arc::new(limiter))
}

async fn ask(guard: impl Guard, address: &str) -> Response<()> {
    let connection = Connection::new(format!("{address}:1").parse().unwrap(), false);
    let request = Request::builder().extension(connection).body(()).unwrap();
    let inner = service_fn(|_| ready(Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))));
    let Ok(answer) = GuardLayer::new(guard).layer(inner).oneshot(request).await;
    answer.map(drop)
}

fn all(answer: &Response<()>, name: &str) -> Vec<String> {
    let values = answer.headers().get_all(name).iter();
    values.map(|v| v.to_str().unwrap().to_owned()).collect()
}

// REQ: R-1
#[tokio::test]
async fn over_the_quota_is_429_with_when_to_come_back() {
    let clock = Manual::default();
    let guard = Arc::new(guard("peer", "2/min", &clock));
    for left in ["\"peer\";r=1;t=30", "\"peer\";r=0;t=60"] {
        let answer = ask(Arc::clone(&guard), "192.0.2.1").await;
        assert_eq!(answer.status(), StatusCode::OK);
        assert_eq!(all(&answer, "ratelimit"), [left]);
        assert_eq!(all(&answer, "ratelimit-policy"), ["\"peer\";q=2;w=60"]);
        assert!(!answer.headers().contains_key("retry-after"));
    }
    clock.advance(SECOND / 2);
    let answer = ask(Arc::clone(&guard), "192.0.2.1").await;
    assert_eq!(answer.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(all(&answer, "retry-after"), ["30"]);
    assert_eq!(all(&answer, "ratelimit"), ["\"peer\";r=0;t=30"]);
    assert_eq!(all(&answer, "ratelimit-policy"), ["\"peer\";q=2;w=60"]);
    let rejection = answer.extensions().get::<Rejection>().unwrap();
    assert_eq!(rejection.reason(), Reason::RateExceeded);
    assert_eq!(rejection.remedy(), "raise `rate.peer` above `2/min`");

    let other = ask(Arc::clone(&guard), "192.0.2.2").await;
    assert_eq!(other.status(), StatusCode::OK);
    clock.advance(30 * SECOND);
    let again = ask(guard, "192.0.2.1").await;
    assert_eq!(again.status(), StatusCode::OK);
}

// REQ: R-1
#[tokio::test]
async fn the_older_forms_by_option() {
    let clock = Manual::default();
    let styles = [Style::Draft6, Style::Legacy];
    let answer = ask(
        guard("peer", "100/min", &clock).styles(&styles),
        "192.0.2.1",
    )
    .await;
    for (name, expected) in [
        ("ratelimit-policy", "100;w=60"),
        ("ratelimit-limit", "100"),
        ("ratelimit-remaining", "99"),
        ("ratelimit-reset", "1"),
        ("x-ratelimit-limit", "100"),
        ("x-ratelimit-remaining", "99"),
        ("x-ratelimit-reset", "1800000001"),
    ] {
        assert_eq!(all(&answer, name), [expected], "{name}");
    }
    assert!(!answer.headers().contains_key("ratelimit"));
    let silent = ask(guard("peer", "100/min", &clock).styles(&[]), "192.0.2.1").await;
    assert!(silent.headers().is_empty());
}

// REQ: R-1
#[tokio::test]
async fn of_several_limits_each_speaks_and_the_inner_one_in_the_old_form() {
    let clock = Manual::default();
    let styles = [Style::Draft8, Style::Legacy];
    let both = |outer, inner| {
        (
            guard("peer", outer, &clock).styles(&styles),
            guard("caller", inner, &clock).styles(&styles),
        )
    };
    let answer = ask(both("600/min", "100/min"), "192.0.2.1").await;
    let mut policies = all(&answer, "ratelimit-policy");
    policies.sort();
    assert_eq!(policies, ["\"caller\";q=100;w=60", "\"peer\";q=600;w=60"]);
    assert_eq!(all(&answer, "ratelimit").len(), 2);
    assert_eq!(all(&answer, "x-ratelimit-limit"), ["100"]);

    // The refusal of the inner one names both as well.
    let guards = Arc::new(both("600/min", "1/min"));
    ask(Arc::clone(&guards), "192.0.2.1").await;
    let refused = ask(guards, "192.0.2.1").await;
    assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
    let mut left = all(&refused, "ratelimit");
    left.sort();
    assert_eq!(left, ["\"caller\";r=0;t=60", "\"peer\";r=598;t=1"]);
    assert_eq!(all(&refused, "x-ratelimit-limit"), ["1"]);
}

// REQ: G-7
#[tokio::test]
async fn report_mode_lets_pass_and_records() {
    let clock = Manual::default();
    let guard = guard("peer", "1/min", &clock).with_mode(Mode::Report);
    let mut head = Request::new(()).into_parts().0;
    assert!(guard.admit(&mut head).is_ok());
    let exchange = Exchange::of(&mut head);
    assert!(guard.admit(&mut head).is_ok());
    assert_eq!(exchange.facts().reported, [Reason::RateExceeded]);
}
