//! Public keys as JSON Web Keys (RFC 7517), each good for exactly one algorithm.

use std::borrow::Cow;
use std::fmt;

use aws_lc_rs::signature::{
    self, EcdsaVerificationAlgorithm, RsaParameters, RsaPublicKeyComponents, UnparsedPublicKey,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::mcp::json::{JsonError, Raw, Reader};

/// A signature algorithm (RFC 7518, RFC 8037). There is no symmetric one and no `none`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// Ed25519.
    EdDsa,
    /// ECDSA on P-256 with SHA-256.
    Es256,
    /// ECDSA on P-384 with SHA-384.
    Es384,
    /// RSASSA-PSS with SHA-256.
    Ps256,
    /// RSASSA-PSS with SHA-384.
    Ps384,
    /// RSASSA-PSS with SHA-512.
    Ps512,
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    Rs256,
    /// RSASSA-PKCS1-v1_5 with SHA-384.
    Rs384,
    /// RSASSA-PKCS1-v1_5 with SHA-512.
    Rs512,
}

impl Algorithm {
    /// Every algorithm.
    pub const ALL: [Self; 9] = [
        Self::EdDsa,
        Self::Es256,
        Self::Es384,
        Self::Ps256,
        Self::Ps384,
        Self::Ps512,
        Self::Rs256,
        Self::Rs384,
        Self::Rs512,
    ];

    /// The name in `alg`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::EdDsa => "EdDSA",
            Self::Es256 => "ES256",
            Self::Es384 => "ES384",
            Self::Ps256 => "PS256",
            Self::Ps384 => "PS384",
            Self::Ps512 => "PS512",
            Self::Rs256 => "RS256",
            Self::Rs384 => "RS384",
            Self::Rs512 => "RS512",
        }
    }

    /// The algorithm of this name, letter by letter. RFC 9864's `Ed25519` is `EdDSA` here.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        if name == "Ed25519" {
            return Some(Self::EdDsa);
        }
        Self::ALL.into_iter().find(|known| known.name() == name)
    }

    const fn is_rsa(self) -> bool {
        !matches!(self, Self::EdDsa | Self::Es256 | Self::Es384)
    }
}

/// A public key and the one algorithm that it is used by.
#[derive(Clone)]
pub struct Key {
    id: Option<String>,
    algorithm: Algorithm,
    public: Public,
}

#[derive(Clone)]
enum Public {
    Ec(&'static EcdsaVerificationAlgorithm, Vec<u8>),
    Ed25519(Vec<u8>),
    Rsa(&'static RsaParameters, Vec<u8>, Vec<u8>),
}

impl Key {
    /// `kid`.
    #[must_use]
    pub fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    /// The algorithm that it is used by.
    #[must_use]
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Whether `signature` is this key's over `message`.
    #[must_use]
    pub fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        // The work that a flood must not cost; see `Authenticator::failed`.
        tracing::trace!(target: "palisade::auth", algorithm = self.algorithm.name(), "a signature is verified");
        match &self.public {
            Public::Ec(algorithm, point) => UnparsedPublicKey::new(*algorithm, point)
                .verify(message, signature)
                .is_ok(),
            Public::Ed25519(point) => UnparsedPublicKey::new(&signature::ED25519, point)
                .verify(message, signature)
                .is_ok(),
            Public::Rsa(parameters, n, e) => RsaPublicKeyComponents { n, e }
                .verify(parameters, message, signature)
                .is_ok(),
        }
    }

    /// Reads one key from `members`; why not, where it is not for us.
    fn of(members: &Members<'_>, rsa: Algorithm) -> Result<Self, Unusable> {
        if members
            .r#use
            .as_deref()
            .is_some_and(|purpose| purpose != "sig")
        {
            return Err(Unusable::Purpose);
        }
        if members.operations == Some(false) || members.private {
            return Err(Unusable::Purpose);
        }
        let named = match members.alg.as_deref() {
            Some(name) => Some(Algorithm::named(name).ok_or(Unusable::Algorithm)?),
            None => None,
        };
        let fits = |algorithm| match named {
            Some(named) if named != algorithm => Err(Unusable::Algorithm),
            _ => Ok(algorithm),
        };
        let curve = members.crv.as_deref();
        let (algorithm, public) = match (members.kty.as_deref(), curve) {
            (Some("RSA"), _) => {
                let algorithm = named.unwrap_or(rsa);
                let (n, e) = (members.bytes(&members.n)?, members.bytes(&members.e)?);
                (algorithm, rsa_key(algorithm, n, e)?)
            }
            (Some("EC"), Some("P-256")) => {
                let point = members.point(32)?;
                let key = Public::Ec(&signature::ECDSA_P256_SHA256_FIXED, point);
                (fits(Algorithm::Es256)?, key)
            }
            (Some("EC"), Some("P-384")) => {
                let point = members.point(48)?;
                let key = Public::Ec(&signature::ECDSA_P384_SHA384_FIXED, point);
                (fits(Algorithm::Es384)?, key)
            }
            (Some("OKP"), Some("Ed25519")) => {
                let x = members.bytes(&members.x)?;
                if x.len() != 32 {
                    return Err(Unusable::Malformed);
                }
                if has_small_order(&x) {
                    return Err(Unusable::Strength);
                }
                (fits(Algorithm::EdDsa)?, Public::Ed25519(x))
            }
            // Symmetric keys (`oct`) have no place in a public document.
            _ => return Err(Unusable::Type),
        };
        Ok(Self {
            id: members.kid.as_deref().map(str::to_owned),
            algorithm,
            public,
        })
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key")
            .field("id", &self.id)
            .field("algorithm", &self.algorithm)
            .finish_non_exhaustive()
    }
}

/// Why a member of a key set is passed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unusable {
    /// Its `alg` is not known here, or does not fit its type.
    Algorithm,
    /// It lacks a part, or one is malformed.
    Malformed,
    /// It is no key for signatures, or it is a private key.
    Purpose,
    /// RSA of fewer than 2,048 or more than 8,192 bits, or an even or tiny exponent; a point of
    /// Ed25519 that verifies what nobody signed.
    Strength,
    /// Its type or curve is not known here.
    Type,
}

/// The keys of an issuer, as one document said them.
#[derive(Clone, Debug, Default)]
pub struct KeySet {
    keys: Vec<Key>,
    generation: u64,
}

/// The largest key set that is read, in bytes.
pub const MAX_KEY_SET: usize = 256 << 10;

/// The most keys that a set may have.
pub const MAX_KEYS: usize = 64;

/// Why a key set cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeySetError {
    /// None of its keys is for signatures by a known algorithm.
    Empty,
    /// It is not strict JSON.
    Json(JsonError),
    /// It is not an object with an array `keys` of objects.
    Shape,
    /// It is larger than [`MAX_KEY_SET`], or has more than [`MAX_KEYS`].
    TooLarge,
}

impl fmt::Display for KeySetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("it has no key for signatures that can be used here"),
            Self::Json(error) => write!(f, "it is not strict JSON: {error}"),
            Self::Shape => f.write_str("it is no object with an array `keys`"),
            Self::TooLarge => write!(
                f,
                "it is larger than {} KiB, or has more than {MAX_KEYS} keys",
                MAX_KEY_SET >> 10
            ),
        }
    }
}

impl std::error::Error for KeySetError {}

impl From<JsonError> for KeySetError {
    fn from(error: JsonError) -> Self {
        Self::Json(error)
    }
}

impl KeySet {
    /// Reads a JSON Web Key Set. Keys that cannot be used are passed over; of two with one `kid`
    /// the first counts. RSA keys that name no algorithm are taken for `rsa`.
    ///
    /// # Errors
    /// [`KeySetError`].
    pub fn parse(document: &[u8], rsa: Algorithm) -> Result<Self, KeySetError> {
        if document.len() > MAX_KEY_SET {
            return Err(KeySetError::TooLarge);
        }
        let mut reader = Reader::new(document, DEPTH)?;
        let mut keys: Vec<Key> = Vec::new();
        let mut seen = 0;
        let mut found = false;
        reader.object::<KeySetError>(|reader, name| {
            if name != "keys" {
                reader.value()?;
                return Ok(());
            }
            found = true;
            if reader.peek()? != crate::mcp::json::ValueKind::Array {
                return Err(KeySetError::Shape);
            }
            reader.array::<KeySetError>(|reader| {
                seen += 1;
                if seen > MAX_KEYS {
                    return Err(KeySetError::TooLarge);
                }
                if reader.peek()? != crate::mcp::json::ValueKind::Object {
                    return Err(KeySetError::Shape);
                }
                let members = Members::read(reader)?;
                if let Ok(key) = Key::of(&members, rsa)
                    && !keys
                        .iter()
                        .any(|known| known.id.is_some() && known.id == key.id)
                {
                    keys.push(key);
                }
                Ok(())
            })?;
            Ok(())
        })?;
        reader.end()?;
        match (found, keys.is_empty()) {
            (false, _) => Err(KeySetError::Shape),
            (true, true) => Err(KeySetError::Empty),
            (true, false) => Ok(Self {
                keys,
                generation: 0,
            }),
        }
    }

    /// As the set of this generation: what was verified by another is verified again.
    #[must_use]
    pub const fn of_generation(mut self, generation: u64) -> Self {
        self.generation = generation;
        self
    }

    /// Which set of its issuer this is.
    #[must_use]
    pub const fn generation(&self) -> u64 {
        self.generation
    }

    /// The key with this id; without an id, the only key there is.
    #[must_use]
    pub fn find(&self, id: Option<&str>) -> Option<&Key> {
        match (id, self.keys.as_slice()) {
            (Some(id), keys) => keys.iter().find(|key| key.id.as_deref() == Some(id)),
            (None, [only]) => Some(only),
            (None, _) => None,
        }
    }

    /// Whether both verify the same by the same names, however they were written.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        let same = |one: &Key, other: &Key| {
            one.id == other.id
                && one.algorithm == other.algorithm
                && match (&one.public, &other.public) {
                    (Public::Ec(_, one), Public::Ec(_, other))
                    | (Public::Ed25519(one), Public::Ed25519(other)) => one == other,
                    (Public::Rsa(_, n, e), Public::Rsa(_, m, f)) => n == m && e == f,
                    _ => false,
                }
        };
        let has = |keys: &[Key], key: &Key| keys.iter().any(|known| same(known, key));
        self.keys.len() == other.keys.len() && self.keys.iter().all(|key| has(&other.keys, key))
    }

    /// All keys.
    #[must_use]
    pub fn keys(&self) -> &[Key] {
        &self.keys
    }
}

/// A key set is nested three deep; certificates and what else may stand beside are deeper by little.
const DEPTH: usize = 16;

/// The members of a key that matter here.
#[derive(Default)]
pub(super) struct Members<'a> {
    pub(super) kty: Option<Cow<'a, str>>,
    pub(super) crv: Option<Cow<'a, str>>,
    pub(super) x: Option<Cow<'a, str>>,
    pub(super) y: Option<Cow<'a, str>>,
    pub(super) n: Option<Cow<'a, str>>,
    pub(super) e: Option<Cow<'a, str>>,
    alg: Option<Cow<'a, str>>,
    kid: Option<Cow<'a, str>>,
    r#use: Option<Cow<'a, str>>,
    /// Whether `key_ops` is there and holds `verify`.
    operations: Option<bool>,
    /// Whether the private part stands there too.
    pub(super) private: bool,
}

impl<'a> Members<'a> {
    pub(super) fn read(reader: &mut Reader<'a>) -> Result<Self, JsonError> {
        let mut members = Self::default();
        reader.object::<JsonError>(|reader, name| {
            let value = reader.value()?;
            let slot = match &*name {
                "kty" => &mut members.kty,
                "crv" => &mut members.crv,
                "x" => &mut members.x,
                "y" => &mut members.y,
                "n" => &mut members.n,
                "e" => &mut members.e,
                "alg" => &mut members.alg,
                "kid" => &mut members.kid,
                "use" => &mut members.r#use,
                "d" | "k" => {
                    members.private = true;
                    return Ok(());
                }
                "key_ops" => {
                    members.operations = Some(holds(value, "verify"));
                    return Ok(());
                }
                _ => return Ok(()),
            };
            // What is no string fits nothing below.
            *slot = Some(value.string().unwrap_or_default());
            Ok(())
        })?;
        Ok(members)
    }

    /// The key for a proof of possession, whose algorithm its own header names.
    pub(super) fn key(&self, algorithm: Algorithm) -> Option<Key> {
        Key::of(self, algorithm)
            .ok()
            .filter(|key| key.algorithm == algorithm)
    }

    fn bytes(&self, part: &Option<Cow<'_, str>>) -> Result<Vec<u8>, Unusable> {
        let part = part.as_deref().ok_or(Unusable::Malformed)?;
        URL_SAFE_NO_PAD
            .decode(part)
            .map_err(|_| Unusable::Malformed)
    }

    /// An uncompressed point (SEC 1 section 2.3.3).
    fn point(&self, length: usize) -> Result<Vec<u8>, Unusable> {
        let (x, y) = (self.bytes(&self.x)?, self.bytes(&self.y)?);
        if x.len() != length || y.len() != length {
            return Err(Unusable::Malformed);
        }
        Ok([&[4][..], &x, &y].concat())
    }
}

fn rsa_key(algorithm: Algorithm, n: Vec<u8>, e: Vec<u8>) -> Result<Public, Unusable> {
    let parameters = match algorithm {
        Algorithm::Ps256 => &signature::RSA_PSS_2048_8192_SHA256,
        Algorithm::Ps384 => &signature::RSA_PSS_2048_8192_SHA384,
        Algorithm::Ps512 => &signature::RSA_PSS_2048_8192_SHA512,
        Algorithm::Rs256 => &signature::RSA_PKCS1_2048_8192_SHA256,
        Algorithm::Rs384 => &signature::RSA_PKCS1_2048_8192_SHA384,
        Algorithm::Rs512 => &signature::RSA_PKCS1_2048_8192_SHA512,
        Algorithm::EdDsa | Algorithm::Es256 | Algorithm::Es384 => return Err(Unusable::Algorithm),
    };
    let bits = |number: &[u8]| match number.iter().position(|byte| *byte != 0) {
        Some(first) => (number.len() - first) * 8 - number[first].leading_zeros() as usize,
        None => 0,
    };
    let strong = (2048..=8192).contains(&bits(&n));
    // Three is allowed by the standard and by nobody's advice; what is used is 65,537.
    let sound = (17..=33).contains(&bits(&e)) && e.last().is_some_and(|last| last % 2 == 1);
    if !strong || !sound {
        return Err(Unusable::Strength);
    }
    Ok(Public::Rsa(parameters, n, e))
}

/// Whether a point of Ed25519 is one of the eight of small order, by any of their encodings: for
/// those a signature of zeros can hold over any message.
fn has_small_order(point: &[u8]) -> bool {
    /// Without the first and the last byte.
    const PLAIN: [(u8, u8, u8); 5] = [
        (0x00, 0x00, 0x00),
        (0x01, 0x00, 0x00),
        (0xec, 0xff, 0x7f),
        (0xed, 0xff, 0x7f),
        (0xee, 0xff, 0x7f),
    ];
    const OF_ORDER_EIGHT: [[u8; 32]; 2] = [
        [
            0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef,
            0x98, 0xf0, 0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88,
            0x6d, 0x53, 0xfc, 0x05,
        ],
        [
            0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10,
            0x67, 0x0f, 0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77,
            0x92, 0xac, 0x03, 0x7a,
        ],
    ];
    let [first, middle @ .., last] = point else {
        return true;
    };
    // The highest bit is the sign of the other coordinate.
    let last = last & 0x7f;
    let plain = PLAIN.iter().any(|(head, fill, tail)| {
        first == head && last == *tail && middle.iter().all(|byte| byte == fill)
    });
    plain
        || OF_ORDER_EIGHT
            .iter()
            .any(|known| known[0] == *first && known[1..31] == *middle && known[31] == last)
}

/// Whether an array of strings holds `word`.
fn holds(value: Raw<'_>, word: &str) -> bool {
    let mut found = false;
    let read = Reader::over(value, DEPTH).array::<JsonError>(|reader| {
        found |= reader.value()?.string().as_deref() == Some(word);
        Ok(())
    });
    read.is_ok() && found
}

impl Algorithm {
    /// The algorithm that RSA keys of unknown purpose are for, of those that are allowed.
    #[must_use]
    pub fn of_rsa(allowed: &[Self]) -> Self {
        let mut rsa = allowed
            .iter()
            .copied()
            .filter(|algorithm| algorithm.is_rsa());
        rsa.next().unwrap_or(Self::Rs256)
    }
}
