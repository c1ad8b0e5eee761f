//! A signed token (RFC 7515, RFC 7519), read strictly and verified without believing it.
//!
//! Nothing in a token says how it is to be verified: the algorithm is the key's, the key is the
//! issuer's, and a header that brings a key along, or demands something that is not understood,
//! is refused. Every part is strict JSON, so that a claim said twice is no token at all.

use std::borrow::Cow;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::jwk::{Algorithm, KeySet};
use crate::mcp::json::{JsonError, Raw, Reader, ValueKind};

/// The longest token that is looked at, in bytes.
pub const MAX_TOKEN: usize = 16 << 10;

/// Longest subject, issuer, scope or group, in bytes.
const MAX_TEXT: usize = 512;

/// Most audiences, scopes or groups of one token.
const MAX_LIST: usize = 512;

/// No claim that matters is nested deeper; some issuers say a lot.
const DEPTH: usize = 32;

/// Why a token proves nothing. None of them holds a part of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TokenFault {
    /// It was signed by another algorithm than its key's, or by none.
    Algorithm,
    /// It is for another resource.
    Audience,
    /// A part is not base64url without padding.
    Base64,
    /// It is bound to a key or certificate that this request does not show.
    Binding,
    /// A claim is longer than any should be.
    ClaimSize,
    /// It demands an extension (`crit`, `b64`, `zip`) that is not understood here.
    Critical,
    /// It brings its own key (`jwk`, `jku`, `x5u`, `x5c`).
    EmbeddedKey,
    /// It is over.
    Expired,
    /// It has not three parts (five would be an encrypted one), or another token inside.
    Form,
    /// It says to have been issued in the future.
    IssuedInFuture,
    /// Its issuer is not trusted.
    Issuer,
    /// A part is not strict JSON, or says something twice.
    Json,
    /// A claim that must be there is missing.
    Missing(&'static str),
    /// It is not valid yet.
    NotYet,
    /// The signature does not hold.
    Signature,
    /// It is longer than 16 KiB.
    Size,
    /// Its type (`typ`) is that of another kind of token.
    Type,
    /// It names a key that its issuer does not have.
    UnknownKey,
    /// A claim has the wrong type.
    WrongType(&'static str),
}

impl fmt::Display for TokenFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Self::Algorithm => "its algorithm is not the one of its key",
            Self::Audience => "it is for another resource (`aud`)",
            Self::Base64 => "a part is not base64url",
            Self::Binding => "it is bound to a key or certificate that the request does not show",
            Self::ClaimSize => "a claim is too long",
            Self::Critical => "it demands an extension that is not understood",
            Self::EmbeddedKey => "it brings its own key",
            Self::Expired => "it is expired (`exp`)",
            Self::Form => "it is no signed token in compact form",
            Self::IssuedInFuture => "it was issued in the future (`iat`)",
            Self::Issuer => "its issuer (`iss`) is not trusted",
            Self::Json => "a part is not strict JSON",
            Self::Missing(claim) => return write!(f, "it has no `{claim}`"),
            Self::NotYet => "it is not valid yet (`nbf`)",
            Self::Signature => "its signature does not hold",
            Self::Size => "it is longer than 16 KiB",
            Self::Type => "it is of another type (`typ`)",
            Self::UnknownKey => "it names a key (`kid`) that its issuer does not have",
            Self::WrongType(claim) => return write!(f, "`{claim}` has the wrong type"),
        };
        f.write_str(text)
    }
}

impl std::error::Error for TokenFault {}

impl From<JsonError> for TokenFault {
    fn from(_: JsonError) -> Self {
        Self::Json
    }
}

/// A token in its parts; nothing of it is believed yet.
#[derive(Clone, Debug)]
pub struct Token<'a> {
    signed: &'a str,
    header: Vec<u8>,
    payload: Vec<u8>,
    signature: Vec<u8>,
}

/// What a token's header says, as far as it is listened to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Header {
    /// `alg`; compared with the key's, never obeyed.
    pub algorithm: String,
    /// `kid`.
    pub key_id: Option<String>,
    /// `typ`, in lower case, without `application/`.
    pub kind: Option<String>,
}

impl<'a> Token<'a> {
    /// Takes `text` apart.
    ///
    /// # Errors
    /// [`TokenFault::Size`], [`TokenFault::Form`] or [`TokenFault::Base64`].
    pub fn read(text: &'a str) -> Result<Self, TokenFault> {
        if text.len() > MAX_TOKEN {
            return Err(TokenFault::Size);
        }
        let mut parts = text.split('.');
        let (Some(header), Some(payload), Some(signature), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(TokenFault::Form);
        };
        let decode = |part: &str| {
            let decoded = URL_SAFE_NO_PAD.decode(part);
            decoded.map_err(|_| TokenFault::Base64)
        };
        Ok(Self {
            signed: &text[..header.len() + 1 + payload.len()],
            header: decode(header)?,
            payload: decode(payload)?,
            signature: decode(signature)?,
        })
    }

    /// What its header says.
    ///
    /// # Errors
    /// Where the header demands or brings along what no issuer needs to.
    pub fn header(&self) -> Result<Header, TokenFault> {
        let mut header = Header::default();
        let mut named = false;
        let mut reader = Reader::new(&self.header, DEPTH)?;
        object(&mut reader, |name, value| {
            match name {
                "alg" => {
                    header.algorithm = text(value, "alg")?;
                    named = true;
                }
                "kid" => header.key_id = Some(text(value, "kid")?),
                "typ" => header.kind = Some(media_type(&text(value, "typ")?)),
                // Another token inside (RFC 7519 section 5.2): its claims would not be read.
                "cty" if media_type(&text(value, "cty")?) == "jwt" => return Err(TokenFault::Form),
                "crit" | "b64" | "zip" | "enc" => return Err(TokenFault::Critical),
                "jwk" | "jku" | "x5u" | "x5c" => return Err(TokenFault::EmbeddedKey),
                _ => {}
            }
            Ok(())
        })?;
        reader.end()?;
        if !named {
            return Err(TokenFault::Missing("alg"));
        }
        Ok(header)
    }

    /// The raw JSON of the header, for a proof of possession, whose header holds its key.
    pub(super) fn raw_header(&self) -> &[u8] {
        &self.header
    }

    /// The raw JSON of the claims.
    pub(super) fn raw_payload(&self) -> &[u8] {
        &self.payload
    }

    /// Whether `key` signed it.
    pub(super) fn is_signed_by(&self, key: &super::jwk::Key) -> bool {
        key.verifies(self.signed.as_bytes(), &self.signature)
    }

    /// What its claims say. They prove nothing before [`Token::verify`].
    ///
    /// # Errors
    /// Where they are not strict JSON or of the wrong types.
    pub fn claims(&self, groups: &str) -> Result<Claims, TokenFault> {
        Claims::read(&self.payload, groups)
    }

    /// Verifies the signature by the key of `keys` that `header` names.
    ///
    /// # Errors
    /// [`TokenFault::UnknownKey`], [`TokenFault::Algorithm`] or [`TokenFault::Signature`].
    pub fn verify(&self, header: &Header, keys: &KeySet) -> Result<(), TokenFault> {
        let key = keys.find(header.key_id.as_deref());
        let key = key.ok_or(TokenFault::UnknownKey)?;
        if Algorithm::named(&header.algorithm) != Some(key.algorithm()) {
            return Err(TokenFault::Algorithm);
        }
        if self.is_signed_by(key) {
            Ok(())
        } else {
            Err(TokenFault::Signature)
        }
    }
}

/// The claims of a token, as far as they are listened to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Claims {
    /// `iss`.
    pub issuer: Option<String>,
    /// `sub`.
    pub subject: Option<String>,
    /// `aud`.
    pub audiences: Vec<String>,
    /// `exp`, in seconds since 1970.
    pub expires: Option<u64>,
    /// `nbf`, in seconds since 1970.
    pub not_before: Option<u64>,
    /// `iat`, in seconds since 1970.
    pub issued_at: Option<u64>,
    /// `scope` or `scp`.
    pub scopes: Vec<String>,
    /// The claim that is named for groups.
    pub groups: Vec<String>,
    /// `client_id` or `azp`.
    pub client: Option<String>,
    /// `cnf`: what the bearer must show besides.
    pub bound: Option<Bound>,
}

/// What a token is bound to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Bound {
    /// The SHA-256 of a client certificate (RFC 8705), in base64url.
    Certificate(String),
    /// The thumbprint (RFC 7638) of a DPoP key (RFC 9449), in base64url.
    Key(String),
    /// Something that is not known here.
    Unknown,
}

impl Claims {
    fn read(payload: &[u8], groups: &str) -> Result<Self, TokenFault> {
        let mut claims = Self::default();
        let mut reader = Reader::new(payload, DEPTH)?;
        object(&mut reader, |name, value| {
            match name {
                "iss" => claims.issuer = Some(text(value, "iss")?),
                "sub" => claims.subject = Some(text(value, "sub")?),
                "aud" => claims.audiences = one_or_many(value, "aud")?,
                "exp" => claims.expires = Some(seconds(value, "exp")?),
                "nbf" => claims.not_before = Some(seconds(value, "nbf")?),
                "iat" => claims.issued_at = Some(seconds(value, "iat")?),
                "scope" => claims.scopes.extend(words(value, "scope")?),
                "scp" => claims.scopes.extend(words(value, "scp")?),
                "client_id" => claims.client = Some(text(value, "client_id")?),
                "azp" if claims.client.is_none() => claims.client = Some(text(value, "azp")?),
                "cnf" => claims.bound = Some(bound(value)?),
                _ => {}
            }
            if name == groups {
                claims.groups = one_or_many(value, "groups")?;
            }
            Ok(())
        })?;
        reader.end()?;
        Ok(claims)
    }
}

/// Visits the members of an object.
fn object<'a>(
    reader: &mut Reader<'a>,
    mut member: impl FnMut(&str, Raw<'a>) -> Result<(), TokenFault>,
) -> Result<(), TokenFault> {
    if reader.peek()? != ValueKind::Object {
        return Err(TokenFault::Json);
    }
    reader.object::<TokenFault>(|reader, name| {
        let value = reader.value()?;
        member(&name, value)
    })?;
    Ok(())
}

fn bound(value: Raw<'_>) -> Result<Bound, TokenFault> {
    let mut bound = Bound::Unknown;
    let mut count = 0;
    object(&mut Reader::over(value, DEPTH), |name, value| {
        count += 1;
        match name {
            "x5t#S256" => bound = Bound::Certificate(text(value, "cnf")?),
            "jkt" => bound = Bound::Key(text(value, "cnf")?),
            _ => {}
        }
        Ok(())
    })?;
    // Who demands two proofs is not content with one.
    Ok(if count == 1 { bound } else { Bound::Unknown })
}

fn text(value: Raw<'_>, claim: &'static str) -> Result<String, TokenFault> {
    let text = value.string().ok_or(TokenFault::WrongType(claim))?;
    bounded(text)
}

fn bounded(text: Cow<'_, str>) -> Result<String, TokenFault> {
    if text.len() > MAX_TEXT {
        return Err(TokenFault::ClaimSize);
    }
    Ok(text.into_owned())
}

fn one_or_many(value: Raw<'_>, claim: &'static str) -> Result<Vec<String>, TokenFault> {
    if let Some(one) = value.string() {
        return Ok(vec![bounded(one)?]);
    }
    if value.kind() != ValueKind::Array {
        return Err(TokenFault::WrongType(claim));
    }
    let mut many = Vec::new();
    Reader::over(value, DEPTH).array::<TokenFault>(|reader| {
        many.push(text(reader.value()?, claim)?);
        if many.len() > MAX_LIST {
            return Err(TokenFault::ClaimSize);
        }
        Ok(())
    })?;
    Ok(many)
}

/// Words between spaces (RFC 6749 section 3.3), or an array of them as some issuers have it; what
/// has a space in it is several there too, for upstreams will read it so.
fn words(value: Raw<'_>, claim: &'static str) -> Result<Vec<String>, TokenFault> {
    let split = |text: &str| -> Vec<String> {
        let words = text.split(' ').filter(|word| !word.is_empty());
        words.map(str::to_owned).collect()
    };
    match value.string() {
        Some(text) if text.len() > MAX_TOKEN => Err(TokenFault::ClaimSize),
        Some(text) => Ok(split(&text)),
        None => {
            let many = one_or_many(value, claim)?;
            Ok(many.iter().flat_map(|text| split(text)).collect())
        }
    }
}

/// Whole seconds since 1970; RFC 7519 would allow fractions, and no issuer sends them.
fn seconds(value: Raw<'_>, claim: &'static str) -> Result<u64, TokenFault> {
    let digits = value.text();
    if digits.len() > 12 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(TokenFault::WrongType(claim));
    }
    digits.parse().map_err(|_| TokenFault::WrongType(claim))
}

/// RFC 7515 section 4.1.9: `application/` may be left out; the comparison knows no case.
fn media_type(text: &str) -> String {
    let lower = text.to_ascii_lowercase();
    match lower.strip_prefix("application/") {
        Some(rest) if !rest.contains('/') => rest.to_owned(),
        _ => lower,
    }
}
