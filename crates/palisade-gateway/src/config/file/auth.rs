//! Who may call: what of it the file says.

use schemars::JsonSchema;
use serde::Deserialize;

use super::super::forms::OneOrMany;
use super::super::settings::{CertificateIdentity, TokenAlgorithm};
use super::{Said, Text, Texts};

/// Who may call. As soon as one of its methods is there, every server asks, unless it says
/// `auth = "none"`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(in super::super) struct Auth {
    /// Issuers of access tokens that are trusted.
    pub(in super::super) jwt: Vec<Said<Jwt>>,
    /// API keys, as `palisade auth new-key` prints them.
    pub(in super::super) api_key: Vec<Said<ApiKey>>,
    /// Client certificates say who calls.
    pub(in super::super) certificate: Option<Said<Certificate>>,
    /// Headers that may hold an API key beside Authorization.
    #[schemars(with = "Option<OneOrMany<String>>", extend("default" = []))]
    pub(in super::super) key_headers: Option<Texts>,
    /// Scopes that clients are told to ask for at first.
    #[schemars(with = "Option<OneOrMany<String>>", extend("default" = []))]
    pub(in super::super) scopes: Option<Texts>,
    /// Addresses inside your network where an issuer is: "address:port", or a CIDR.
    #[schemars(with = "Option<OneOrMany<String>>", extend("default" = []))]
    pub(in super::super) allow_special: Option<Texts>,
    /// How long a session lasts at most.
    #[schemars(extend("default" = "24h"))]
    pub(in super::super) session_lifetime: Option<Text>,
}

/// An issuer of access tokens that is trusted.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(in super::super) struct Jwt {
    /// Its URL, letter by letter as its tokens say it in `iss`. Required.
    pub(in super::super) issuer: Option<Text>,
    /// What tokens must name in `aud`. Default: each server's own public URL.
    #[schemars(with = "Option<OneOrMany<String>>")]
    pub(in super::super) audience: Option<Texts>,
    /// Where its keys are. Default: where its metadata say.
    pub(in super::super) jwks: Option<Text>,
    /// A file with its keys (a JSON Web Key Set), in place of fetching them.
    pub(in super::super) keys: Option<Text>,
    /// The types of token (`typ`) that are taken.
    #[schemars(with = "Option<OneOrMany<String>>", extend("default" = ["at+jwt"]))]
    pub(in super::super) r#type: Option<Texts>,
    /// The algorithms that its keys may be for.
    #[schemars(with = "Option<OneOrMany<TokenAlgorithm>>")]
    pub(in super::super) algorithms: Option<Said<Vec<Said<TokenAlgorithm>>>>,
    /// The claim that names the caller's groups.
    #[schemars(extend("default" = "groups"))]
    pub(in super::super) groups: Option<Text>,
    /// How long its keys are used without asking for them again, at least; its `Cache-Control` may
    /// say longer, up to a day.
    #[schemars(extend("default" = "5m"))]
    pub(in super::super) key_cache: Option<Text>,
    /// By how much its clock may differ.
    #[schemars(extend("default" = "30s"))]
    pub(in super::super) leeway: Option<Text>,
}

/// An API key.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(in super::super) struct ApiKey {
    /// Whose it is, in audit records and rules. Required.
    pub(in super::super) name: Option<Text>,
    /// "sha256:" and 64 hexadecimal digits. Required.
    pub(in super::super) hash: Option<Text>,
    /// The day after which it ends (UTC), such as "2027-01-31".
    pub(in super::super) expires: Option<Text>,
    /// What it grants.
    #[schemars(with = "Option<OneOrMany<String>>", extend("default" = []))]
    pub(in super::super) scopes: Option<Texts>,
    /// The groups that its holder is in.
    #[schemars(with = "Option<OneOrMany<String>>", extend("default" = []))]
    pub(in super::super) groups: Option<Texts>,
}

/// Client certificates say who calls.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(in super::super) struct Certificate {
    /// Which part of it names the caller: the first that is there.
    #[schemars(with = "Option<OneOrMany<CertificateIdentity>>", extend("default" = ["uri", "dns", "email", "subject"]))]
    pub(in super::super) identity: Option<Said<Vec<Said<CertificateIdentity>>>>,
}

/// Allows some callers some things; what it does not say holds for all.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(in super::super) struct Allow {
    /// Callers by name; `*` stands for any characters.
    #[schemars(with = "Option<OneOrMany<String>>")]
    pub(in super::super) caller: Option<Texts>,
    /// Groups, one of which the caller must be in; `*` stands for any characters.
    #[schemars(with = "Option<OneOrMany<String>>")]
    pub(in super::super) group: Option<Texts>,
    /// Scopes that the caller must have, all of them.
    #[schemars(with = "Option<OneOrMany<String>>")]
    pub(in super::super) scope: Option<Texts>,
    /// Tools by name; `*` stands for any characters.
    #[schemars(with = "Option<OneOrMany<String>>")]
    pub(in super::super) tool: Option<Texts>,
    /// Prompts by name; `*` stands for any characters.
    #[schemars(with = "Option<OneOrMany<String>>")]
    pub(in super::super) prompt: Option<Texts>,
    /// Resources by URI; `*` stands for any characters.
    #[schemars(with = "Option<OneOrMany<String>>")]
    pub(in super::super) resource: Option<Texts>,
}
