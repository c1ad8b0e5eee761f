//! Values of the file that have more than one form.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserialize, Deserializer, MapAccess, Visitor};

use super::document::Said;
use super::settings::{
    AuditLevel, AuthMode, CallerHeader, CertificateHeader, CertificateIdentity, ClientAddress,
    ClientAuth, Compress, Durability, Fail, Kind, Level, Mode, RateHeaders, Redact, RetentionMode,
    Scope, TlsProfile, TokenAlgorithm, UpstreamHost, WriteAhead,
};

/// A value, or `false` for none.
#[derive(Debug)]
pub(super) enum OrFalse<T> {
    False,
    Set(T),
}

/// A number of the key's own unit, or text with a unit.
#[derive(Clone, Debug)]
pub(super) enum NumberOrText {
    Number(u64),
    Text(String),
}

/// `"stdout"`, or a table.
#[derive(Debug)]
pub(super) enum Sink {
    Stdout,
    Table(Box<SinkTable>),
}

/// One value or an array of them: only its schema is used.
pub(super) struct OneOrMany<T>(std::marker::PhantomData<T>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for OrFalse<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OrFalseVisitor<T>(std::marker::PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for OrFalseVisitor<T> {
            type Value = OrFalse<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value or false")
            }

            fn visit_bool<E: de::Error>(self, _: bool) -> Result<Self::Value, E> {
                Ok(OrFalse::False)
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
                T::deserialize(de::value::StrDeserializer::new(text)).map(OrFalse::Set)
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                T::deserialize(de::value::MapAccessDeserializer::new(map)).map(OrFalse::Set)
            }
        }

        deserializer.deserialize_any(OrFalseVisitor(std::marker::PhantomData))
    }
}

impl<'de> Deserialize<'de> for NumberOrText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NumberOrTextVisitor;

        impl Visitor<'_> for NumberOrTextVisitor {
            type Value = NumberOrText;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number or text")
            }

            fn visit_i64<E: de::Error>(self, number: i64) -> Result<Self::Value, E> {
                u64::try_from(number)
                    .map(NumberOrText::Number)
                    .map_err(E::custom)
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
                Ok(NumberOrText::Text(text.to_owned()))
            }
        }

        deserializer.deserialize_any(NumberOrTextVisitor)
    }
}

impl<'de> Deserialize<'de> for Sink {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct SinkVisitor;

        impl<'de> Visitor<'de> for SinkVisitor {
            type Value = Sink;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("\"stdout\", { file = \"…\" }, { otlp = \"…\" } or { s3 = \"…\" }")
            }

            fn visit_str<E: de::Error>(self, _: &str) -> Result<Self::Value, E> {
                Ok(Sink::Stdout)
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                SinkTable::deserialize(de::value::MapAccessDeserializer::new(map))
                    .map(|table| Sink::Table(Box::new(table)))
            }
        }

        deserializer.deserialize_any(SinkVisitor)
    }
}

/// A sink: exactly one of `file`, `otlp` and `s3`, and what belongs to it.
#[derive(Debug, Default, serde::Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct SinkTable {
    /// A file to append to, relative to this file's directory.
    pub(super) file: Option<Said<String>>,
    /// A collector's URL, such as "http://127.0.0.1:4318": OTLP/HTTP, to /v1/logs below it.
    pub(super) otlp: Option<Said<String>>,
    /// A bucket for locked objects, such as "s3://bucket/prefix".
    pub(super) s3: Option<Said<String>>,
    /// Of `otlp` and `s3`: a PEM file with certificates to trust beside the system's roots.
    pub(super) ca: Option<Said<String>>,
    /// Of `otlp`: a file with a bearer token.
    pub(super) token_file: Option<Said<String>>,
    /// Of `s3`: the store's URL, where it is not Amazon's.
    pub(super) endpoint: Option<Said<String>>,
    /// Of `s3`: the region. Default: AWS_REGION of the environment.
    pub(super) region: Option<Said<String>>,
    /// Of `s3`: the endpoint may be plain HTTP.
    pub(super) allow_http: Option<Said<bool>>,
    /// Of `s3`: how long nobody can remove an object, such as "365d"; false leaves that to the bucket. Required.
    pub(super) retention: Option<Said<OrFalse<String>>>,
    /// Of `s3`: whether somebody with the permission for it can remove objects all the same.
    pub(super) retention_mode: Option<Said<RetentionMode>>,
    /// Of `s3`: how long lines wait at most for others to go into one object with them.
    pub(super) every: Option<Said<String>>,
}

impl<T: JsonSchema> JsonSchema for Said<T> {
    fn inline_schema() -> bool {
        T::inline_schema()
    }

    fn schema_name() -> Cow<'static, str> {
        T::schema_name()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        T::json_schema(generator)
    }
}

impl<T: JsonSchema> JsonSchema for OrFalse<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("{}OrFalse", T::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [generator.subschema_for::<T>(), { "type": "boolean", "enum": [false] }] })
    }
}

impl JsonSchema for NumberOrText {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "NumberOrText".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [{ "type": "integer", "minimum": 0 }, { "type": "string" }] })
    }
}

impl JsonSchema for Sink {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Sink".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [{ "type": "string", "enum": ["stdout"] }, generator.subschema_for::<SinkTable>()] })
    }
}

impl<T: JsonSchema> JsonSchema for OneOrMany<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("OneOrMany{}", T::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let one = generator.subschema_for::<T>();
        json_schema!({ "anyOf": [one, { "type": "array", "items": one }] })
    }
}

macro_rules! words {
    ($($type:ident),+) => {$(
        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let word = String::deserialize(deserializer)?;
                $type::ALL
                    .iter()
                    .copied()
                    .find(|value| value.name() == word)
                    .ok_or_else(|| de::Error::custom("not one of the words"))
            }
        }

        impl JsonSchema for $type {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> Cow<'static, str> {
                stringify!($type).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                let words: Vec<&str> = $type::ALL.iter().map(|value| value.name()).collect();
                json_schema!({ "type": "string", "enum": words })
            }
        }
    )+};
}

words!(
    AuditLevel,
    AuthMode,
    CallerHeader,
    CertificateHeader,
    CertificateIdentity,
    ClientAddress,
    ClientAuth,
    Compress,
    Durability,
    TokenAlgorithm,
    Fail,
    Kind,
    Level,
    Mode,
    RateHeaders,
    Redact,
    RetentionMode,
    Scope,
    TlsProfile,
    UpstreamHost,
    WriteAhead
);
