//! What may be reached, and by whom.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use palisade_egress::proxy::is_user;
use palisade_egress::{EntryError, OwnAddresses, Policy, PolicyBuilder, PolicyError};

use super::super::document::Said;
use super::super::file;
use super::super::names::Fault;
use super::super::problem::ProblemCode;
use super::super::settings::{Egress, EgressUser, List};
use super::{Resolver, listener};

impl Resolver<'_> {
    /// `[egress]`.
    pub(super) fn egress(&mut self, said: &file::Egress) -> Egress {
        self.section = "egress".to_owned();
        let mut egress = Egress {
            min_level: self.said(said.min_level.as_ref()),
            ca: said.ca.as_ref().map(|said| self.path(said)),
            urls: self.said(said.urls.as_ref()),
            ..Egress::default()
        };
        self.copy(&mut egress.max_level, said.max_level.as_ref());
        let special = |text: &String| entry(text, PolicyBuilder::allow_special);
        let list = said.allow_special.as_ref();
        self.list(&mut egress.allow_special, list, "allow_special", special);
        let deny = |text: &String| entry(text, PolicyBuilder::deny);
        self.list(&mut egress.deny, said.deny.as_ref(), "deny", deny);
        let nat64 = |text: &String| entry(text, PolicyBuilder::nat64);
        self.list(&mut egress.nat64, said.nat64.as_ref(), "nat64", nat64);
        self.list(&mut egress.ports, said.ports.as_ref(), "ports", |port| {
            let nought = || Fault::new("port 0 cannot be reached", "write a port from 1 to 65535");
            Some(*port).filter(|port| *port != 0).ok_or_else(nought)
        });
        self.list(&mut egress.dns, said.dns.as_ref(), "dns", |text| dns(text));
        self.value(&mut egress.listen, said.listen.as_ref(), "listen", |text| {
            listener(text)
        });
        egress.users = self.users(&said.user);
        self.section.clear();
        egress
    }

    /// The hosts of an allowlist; `None` where there is none.
    pub(super) fn allowlist(
        &mut self,
        said: Option<&Said<Vec<Said<String>>>>,
    ) -> Option<List<String>> {
        said?;
        let mut list = List::default();
        self.list(&mut list, said, "egress", |text| {
            entry(text, PolicyBuilder::allowlist)
        });
        Some(list)
    }

    fn users(&mut self, said: &BTreeMap<String, file::EgressUser>) -> BTreeMap<String, EgressUser> {
        let mut users = BTreeMap::new();
        for (name, said) in said {
            self.section = format!("egress.user.{name}");
            if !is_user(name) {
                let problem = super::Problem::error(
                    ProblemCode::BadValue,
                    self.section.clone(),
                    "a user's name is letters, digits, `-` and `_`",
                );
                self.problems
                    .push(problem.remedy("write one such as `[egress.user.ci]`"));
            }
            let egress = self.allowlist(said.egress.as_ref());
            let Some(password) = &said.password_file else {
                let problem = super::Problem::error(
                    ProblemCode::Missing,
                    format!("{}.password_file", self.section),
                    "the user has no password",
                );
                self.problems.push(problem.remedy("add `password_file = \"ci.secret\"` with the name of a file that holds 20 random bytes or more"));
                continue;
            };
            let password_file = self.path(password);
            users.insert(
                name.clone(),
                EgressUser {
                    password_file,
                    egress,
                },
            );
        }
        users
    }
}

/// An entry as it was written, if the policy takes it.
fn entry<'a>(
    text: &'a str,
    add: impl FnOnce(PolicyBuilder, [&'a str; 1]) -> PolicyBuilder,
) -> Result<String, Fault> {
    let builder = Policy::builder().own_addresses(OwnAddresses::fixed([]));
    match add(builder, [text]).build() {
        Err(PolicyError::Entries(problems)) => match problems.first() {
            Some(EntryError { cause, remedy, .. }) => Err(Fault::new(cause, remedy)),
            None => Ok(text.to_owned()),
        },
        _ => Ok(text.to_owned()),
    }
}

fn dns(text: &str) -> Result<SocketAddr, Fault> {
    let with_port = text.parse().ok();
    let address = with_port.or_else(|| Some(SocketAddr::new(text.parse().ok()?, 53)));
    address
        .filter(|address| address.port() != 0)
        .ok_or_else(|| {
            Fault::new(
                "it is no address of a DNS server",
                "write an IP address, with a port where it is not 53: \"127.0.0.1:5353\"",
            )
        })
}
