//! What the tests share: names that lead to loopback, and a dialer that goes nowhere else.

#![allow(dead_code, reason = "each test binary uses a part")]

pub(crate) mod server;

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};

use palisade_egress::{
    Answers, BoxFuture, Dial, Dialed, Event, Guard, Name, Observe, OwnAddresses, Pinned, Policy,
    PolicyBuilder, Resolve, ResolveError, TcpDialer, Traffic,
};

/// Answers from a table; a name with several answers gives them in turn.
#[derive(Debug, Default)]
pub(crate) struct Names(Mutex<HashMap<String, Vec<Vec<IpAddr>>>>);

impl Names {
    /// Each name with its answers, one list for each lookup; the last one stays.
    pub(crate) fn new(names: &[(&str, &[&[&str]])]) -> Arc<Self> {
        let read = |lists: &&[&[&str]]| {
            let list = |list: &&[&str]| list.iter().map(|ip| ip.parse().expect(ip)).collect();
            lists.iter().rev().map(list).collect()
        };
        let names = names
            .iter()
            .map(|(name, lists)| ((*name).to_owned(), read(lists)));
        Arc::new(Self(Mutex::new(names.collect())))
    }

    /// All these names lead to 127.0.0.1.
    pub(crate) fn loopback(names: &[&str]) -> Arc<Self> {
        let names: Vec<_> = names
            .iter()
            .map(|name| (*name, [["127.0.0.1"].as_slice()]))
            .collect();
        let names: Vec<_> = names
            .iter()
            .map(|(name, list)| (*name, list.as_slice()))
            .collect();
        Self::new(&names)
    }
}

impl Resolve for Names {
    fn resolve<'a>(&'a self, name: &'a Name) -> BoxFuture<'a, Result<Answers, ResolveError>> {
        let mut names = self.0.lock().expect("no panic");
        let answer = names.get_mut(name.as_str()).map(|lists| {
            let last = lists.len() == 1;
            if last {
                lists[0].clone()
            } else {
                lists.pop().unwrap_or_default()
            }
        });
        Box::pin(async move {
            let addresses = answer.ok_or(ResolveError::NoAddress)?;
            Ok(Answers {
                addresses,
                aliases: Vec::new(),
            })
        })
    }
}

/// Dials loopback alone, so that even a broken guard sends nothing out, and keeps what it was
/// asked for.
#[derive(Debug, Default)]
pub(crate) struct LoopbackDialer(pub(crate) Mutex<Vec<SocketAddr>>);

impl LoopbackDialer {
    pub(crate) fn dialed(&self) -> Vec<SocketAddr> {
        self.0.lock().expect("no panic").clone()
    }
}

impl Dial for LoopbackDialer {
    fn dial<'a>(&'a self, to: &'a Pinned) -> BoxFuture<'a, io::Result<Dialed>> {
        self.0.lock().expect("no panic").push(to.address());
        Box::pin(async move {
            if !to.address().ip().is_loopback() {
                return Err(io::Error::other("the test dials loopback alone"));
            }
            TcpDialer.dial(to).await
        })
    }
}

/// Keeps what it is told.
#[derive(Debug, Default)]
pub(crate) struct Log {
    pub(crate) decisions: Mutex<Vec<String>>,
    pub(crate) traffic: Mutex<Vec<String>>,
}

impl Log {
    /// `form identity host:port code hop`.
    pub(crate) fn decisions(&self) -> Vec<String> {
        self.decisions.lock().expect("no panic").clone()
    }

    /// `form identity host:port sent received revoked`.
    pub(crate) fn traffic(&self) -> Vec<String> {
        self.traffic.lock().expect("no panic").clone()
    }
}

impl Observe for Log {
    fn decided(&self, event: &Event<'_>) {
        let line = format!(
            "{} {} {}:{} {} {}",
            event.form.as_str(),
            event.identity,
            event.host,
            event.port,
            event.decision.code(),
            event.hop
        );
        self.decisions.lock().expect("no panic").push(line);
    }

    fn ended(&self, traffic: &Traffic<'_>) {
        let line = format!(
            "{} {} {}:{} {} {} {}",
            traffic.form.as_str(),
            traffic.identity,
            traffic.host,
            traffic.port,
            traffic.sent,
            traffic.received,
            traffic.revoked
        );
        self.traffic.lock().expect("no panic").push(line);
    }
}

/// How many, as the environment says, or as usual.
pub(crate) fn number(variable: &str, usual: usize) -> usize {
    let said = std::env::var_os(variable);
    said.map_or(usual, |text| {
        let text = text.to_str().expect("text");
        text.parse().expect("a number")
    })
}

/// A policy that knows no own addresses, so that the tests do not depend on the machine.
pub(crate) fn policy() -> PolicyBuilder {
    Policy::builder().own_addresses(OwnAddresses::fixed([]))
}

/// A guard with these parts.
pub(crate) fn guard(
    policy: PolicyBuilder,
    names: Arc<Names>,
    dialer: Arc<LoopbackDialer>,
) -> Guard {
    let policy = Arc::new(policy.build().expect("a policy"));
    Guard::new(policy, names).with_dialer(dialer)
}
