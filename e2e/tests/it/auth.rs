//! Who is calling: a real authorization server, keys, rules, sessions.

mod certificates;
mod clients;
mod idp;
mod issuer;
mod key_sets;
mod keys;
mod proxies;
mod revocation;
mod rules;
mod sessions;
mod tokens;

pub(crate) use keys::new_key;
