//! Who may use which tool, prompt or resource.
//!
//! Without a rule, whoever is known may do everything. As soon as there is one rule, what no rule
//! allows is refused, and is left out of lists. What every client needs to speak the protocol at
//! all (the handshake, lists, pings, notifications) needs no rule.

mod filter;
mod layer;
mod pattern;

use http::header::WWW_AUTHENTICATE;

pub use filter::Filtered;
pub use layer::{AuthorizeFuture, AuthorizeLayer, AuthorizeService};
pub use pattern::Pattern;

use crate::auth::{Caller, Challenge};
use crate::exchange::{Call, Text};
use crate::rejection::{Reason, Rejection};

/// The rules of one server.
#[derive(Clone, Debug, Default)]
pub struct Access {
    /// The rules; one that allows is enough.
    pub rules: Vec<Rule>,
    /// For the challenge that names missing scopes.
    pub challenge: Challenge,
    /// Whether the server is plain HTTP: then rules that name nothing hold for every request, and
    /// others for none.
    pub plain: bool,
}

/// Allows some callers some things. What a rule does not say holds for everybody, or everything.
#[derive(Clone, Debug, Default)]
pub struct Rule {
    /// Callers by their [id](Caller::id); empty: every known caller.
    pub callers: Vec<Pattern>,
    /// Groups, one of which the caller must be in; empty: none needed.
    pub groups: Vec<Pattern>,
    /// Scopes that the caller must have, all of them.
    pub scopes: Vec<String>,
    /// Tools.
    pub tools: Vec<Pattern>,
    /// Prompts.
    pub prompts: Vec<Pattern>,
    /// Resources, by URI.
    pub resources: Vec<Pattern>,
}

/// What a rule can be about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Item<'a> {
    /// A method that none of the others fits, or a plain HTTP request.
    Other,
    /// A prompt of this name.
    Prompt(&'a str),
    /// A resource of this URI, or a template of URIs.
    Resource(&'a str),
    /// A tool of this name.
    Tool(&'a str),
}

/// What the rules say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// A rule allows it.
    Allowed,
    /// No rule does.
    Denied,
    /// A rule would, if the caller had these scopes too; all that it needs are named.
    Scopes(Vec<String>),
}

impl Access {
    /// What the rules say of `caller` and `item`.
    #[must_use]
    pub fn decide(&self, caller: &Caller, item: Item<'_>) -> Decision {
        if self.rules.is_empty() {
            return Decision::Allowed;
        }
        let mut lacking: Option<&Rule> = None;
        for rule in &self.rules {
            if !rule.is_about(item) || !rule.is_for(caller) {
                continue;
            }
            if rule.lacks(caller) == 0 {
                return Decision::Allowed;
            }
            // The rule that is nearest to being kept.
            if lacking.is_none_or(|other| rule.lacks(caller) < other.lacks(caller)) {
                lacking = Some(rule);
            }
        }
        lacking.map_or(Decision::Denied, |rule| {
            Decision::Scopes(rule.scopes.clone())
        })
    }

    /// Whether `caller` may make this call.
    ///
    /// # Errors
    /// `access.scope` where scopes decide, else `access.denied`.
    pub fn admit(&self, caller: &Caller, call: &Call) -> Result<(), Rejection> {
        let Some(method) = call.method.as_ref().map(Text::as_str) else {
            return Ok(());
        };
        let name = call.target.as_ref().map_or("", Text::as_str);
        let decision = match method {
            "tools/call" => self.decide(caller, Item::Tool(name)),
            "prompts/get" => self.decide(caller, Item::Prompt(name)),
            "resources/read" | "resources/subscribe" | "resources/unsubscribe" => {
                self.decide(caller, Item::Resource(name))
            }
            // Of a prompt or of a resource's template: the message says which, and both names
            // could not be taken for one another where rules tell them apart.
            "completion/complete" if !name.is_empty() => {
                match self.decide(caller, Item::Prompt(name)) {
                    Decision::Allowed => Decision::Allowed,
                    _ => self.decide(caller, Item::Resource(name)),
                }
            }
            _ if is_protocol(method) => Decision::Allowed,
            _ => self.decide(caller, Item::Other),
        };
        let what = format_args!("{method} {name}");
        self.enforce(decision, caller, what)
            .map_err(|rejection| rejection.with_id(call.id.clone()))
    }

    /// Whether `caller` may make a request that is no message.
    ///
    /// # Errors
    /// As [`Access::admit`].
    pub fn admit_plain(&self, caller: &Caller) -> Result<(), Rejection> {
        self.enforce(
            self.decide(caller, Item::Other),
            caller,
            format_args!("the request"),
        )
    }

    fn enforce(
        &self,
        decision: Decision,
        caller: &Caller,
        what: std::fmt::Arguments<'_>,
    ) -> Result<(), Rejection> {
        match decision {
            Decision::Allowed => Ok(()),
            Decision::Denied => Err(Rejection::new(Reason::AccessDenied)
                .with_detail(format_args!("{what}: no rule allows it to {}", caller.id()))
                .with_remedy("add a [[server.allow]] that does")),
            Decision::Scopes(scopes) => Err(Rejection::new(Reason::AccessScope)
                .with_detail(format_args!(
                    "{what}: {} needs the scopes {}",
                    caller.id(),
                    scopes.join(" ")
                ))
                .with_remedy("the client is to ask for a token with these scopes")
                .with_header(WWW_AUTHENTICATE, self.challenge.insufficient_scope(&scopes))),
        }
    }
}

impl Rule {
    fn is_about(&self, item: Item<'_>) -> bool {
        let whole = self.tools.is_empty() && self.prompts.is_empty() && self.resources.is_empty();
        let any = |patterns: &[Pattern], name| patterns.iter().any(|known| known.fits(name));
        whole
            || match item {
                Item::Other => false,
                Item::Prompt(name) => any(&self.prompts, name),
                Item::Resource(name) => any(&self.resources, name),
                Item::Tool(name) => any(&self.tools, name),
            }
    }

    fn is_for(&self, caller: &Caller) -> bool {
        let known =
            self.callers.is_empty() || self.callers.iter().any(|known| known.fits(caller.id()));
        let grouped = self.groups.is_empty()
            || (caller.groups().iter())
                .any(|group| self.groups.iter().any(|known| known.fits(group)));
        known && grouped
    }

    /// How many of its scopes the caller lacks.
    fn lacks(&self, caller: &Caller) -> usize {
        let lacking = self
            .scopes
            .iter()
            .filter(|scope| !caller.scopes().contains(scope));
        lacking.count()
    }
}

/// What a client must be able to say to speak the protocol at all.
fn is_protocol(method: &str) -> bool {
    matches!(
        method,
        "completion/complete"
            | "initialize"
            | "logging/setLevel"
            | "ping"
            | "prompts/list"
            | "resources/list"
            | "resources/templates/list"
            | "server/discover"
            | "subscriptions/listen"
            | "tools/list"
    ) || method.starts_with("notifications/")
        // A task's id is known to who started it; the call that did was judged.
        || method.starts_with("tasks/")
}

/// Whether the answer to `method` names what there is.
fn is_list(method: &str) -> bool {
    matches!(
        method,
        "prompts/list" | "resources/list" | "resources/templates/list" | "tools/list"
    )
}

#[cfg(test)]
mod tests;
