//! `audit.sink`: where audit records go.

use super::{Resolver, above_nought};
use crate::config::document::{At, Said};
use crate::config::file;
use crate::config::forms::{OrFalse, SinkTable};
use crate::config::names::{Fault, HttpUrl};
use crate::config::problem::ProblemCode;
use crate::config::settings::{Audit, Otlp, S3, Sink, Value};

impl Resolver<'_> {
    pub(super) fn sinks(&mut self, audit: &mut Audit, said: &file::Audit) {
        let Some(sinks) = &said.sink else { return };
        if self.section != "audit" {
            self.report(
                ProblemCode::BadValue,
                "sink",
                sinks.at,
                "all servers share one audit trail in this version",
                "set `sink` under [audit]; each record names its server",
            );
            return;
        }
        let mut values: Vec<Value<Sink>> = Vec::new();
        for sink in &sinks.value {
            let value = match &sink.value {
                file::Sink::Stdout => Some(Sink::Stdout),
                file::Sink::Table(table) => self.sink(table, sink.at),
            };
            let Some(value) = value else { continue };
            if values.iter().any(|known| known.value.same_place(&value)) {
                self.report(
                    ProblemCode::Duplicate,
                    "sink",
                    sink.at,
                    "the same sink twice would record everything twice",
                    "take one of them out",
                );
                continue;
            }
            values.push(Value::new(value, self.places.source(sink.at)));
        }
        if sinks.value.is_empty() {
            self.report(
                ProblemCode::BadValue,
                "sink",
                sinks.at,
                "nothing would be recorded",
                "write \"stdout\" or { file = \"audit.ndjson\" }",
            );
            return;
        }
        audit.sinks = Value::new(values, self.places.source(sinks.at));
    }

    /// Exactly one of its keys says what it is; the others belong to that.
    fn sink(&mut self, table: &SinkTable, at: At) -> Option<Sink> {
        let kinds = [
            ("file", &table.file),
            ("otlp", &table.otlp),
            ("s3", &table.s3),
        ];
        let said: Vec<_> = kinds.iter().filter(|(_, said)| said.is_some()).collect();
        let [(kind, Some(place))] = said[..] else {
            self.report(
                ProblemCode::Contradiction,
                "sink",
                at,
                "a sink is one thing: a file, a collector or a bucket",
                "give it one of `file`, `otlp` and `s3`; an array holds several sinks",
            );
            return None;
        };
        if let Some((name, at)) = table.stray(kind) {
            self.report(
                ProblemCode::Contradiction,
                &format!("sink.{name}"),
                at,
                &format!("`{name}` means nothing beside `{kind}`"),
                "take it out",
            );
            return None;
        }
        match *kind {
            "file" if place.value.is_empty() => {
                let fault = Fault::new("the file has no name", "write the file's path");
                self.fault("sink", place.at, fault);
                None
            }
            "file" => Some(Sink::File(self.path(place).value)),
            "otlp" => self.otlp(table, place),
            _ => self.s3(table, place),
        }
    }

    fn otlp(&mut self, table: &SinkTable, place: &Said<String>) -> Option<Sink> {
        let mut url = self.read(place, "sink.otlp", HttpUrl::parse)?;
        // OTLP specification, "OTLP/HTTP Request": a base URL, or the path itself.
        let base = url.path.trim_end_matches('/');
        if !base.ends_with("/v1/logs") {
            url.path = format!("{base}/v1/logs");
        }
        let token = table.token_file.as_ref();
        if let Some(token) = token
            && !url.https
            && !url.is_loopback()
        {
            let fault = Fault::new(
                "everyone on the way could read the token",
                "write an https URL, or take `token_file` out",
            );
            self.fault("sink.token_file", token.at, fault);
            return None;
        }
        Some(Sink::Otlp(Otlp {
            url,
            ca: table.ca.as_ref().map(|path| self.path(path).value),
            token_file: token.map(|path| self.path(path).value),
        }))
    }

    fn s3(&mut self, table: &SinkTable, place: &Said<String>) -> Option<Sink> {
        let (bucket, prefix) = self.read(place, "sink.s3", bucket)?;
        let endpoint = match &table.endpoint {
            Some(said) => Some(self.read(said, "sink.endpoint", HttpUrl::parse)?),
            None => None,
        };
        let plain = endpoint.as_ref().is_some_and(|endpoint| !endpoint.https);
        if plain && !table.allow_http.as_ref().is_some_and(|said| said.value) {
            let fault = Fault::new(
                "everyone on the way could read the records",
                "write an https URL, or accept that by `allow_http = true`",
            );
            let at = table.endpoint.as_ref().map_or(place.at, |said| said.at);
            self.fault("sink.endpoint", at, fault);
            return None;
        }
        let retention = match &table.retention {
            None => None,
            Some(said) => match &said.value {
                OrFalse::False => None,
                OrFalse::Set(text) => {
                    let said = Said {
                        value: text.clone(),
                        at: said.at,
                    };
                    Some(self.read(&said, "sink.retention", above_nought)?)
                }
            },
        };
        let every = match &table.every {
            Some(said) => self.read(said, "sink.every", above_nought)?,
            None => S3::EVERY,
        };
        let mode = table.retention_mode.as_ref();
        Some(Sink::S3(S3 {
            bucket,
            prefix,
            endpoint,
            region: table.region.as_ref().map(|said| said.value.clone()),
            ca: table.ca.as_ref().map(|path| self.path(path).value),
            every,
            retention,
            mode: mode.map(|said| said.value).unwrap_or_default(),
        }))
    }

    fn read<T>(
        &mut self,
        said: &Said<String>,
        name: &str,
        read: impl FnOnce(&str) -> Result<T, Fault>,
    ) -> Option<T> {
        let value = read(&said.value);
        value.map_err(|fault| self.fault(name, said.at, fault)).ok()
    }
}

impl SinkTable {
    /// A key that belongs to another kind of sink.
    fn stray(&self, kind: &str) -> Option<(&'static str, At)> {
        let of = |name, kinds: &[&str], at: Option<At>| {
            at.filter(|_| !kinds.contains(&kind)).map(|at| (name, at))
        };
        fn at<T>(said: &Option<Said<T>>) -> Option<At> {
            said.as_ref().map(|said| said.at)
        }
        [
            of("ca", &["otlp", "s3"], at(&self.ca)),
            of("token_file", &["otlp"], at(&self.token_file)),
            of("endpoint", &["s3"], at(&self.endpoint)),
            of("region", &["s3"], at(&self.region)),
            of("allow_http", &["s3"], at(&self.allow_http)),
            of("retention", &["s3"], at(&self.retention)),
            of("retention_mode", &["s3"], at(&self.retention_mode)),
            of("every", &["s3"], at(&self.every)),
        ]
        .into_iter()
        .flatten()
        .next()
    }
}

/// `s3://bucket` or `s3://bucket/prefix`; the bucket by Amazon's naming rules.
fn bucket(text: &str) -> Result<(String, String), Fault> {
    const REMEDY: &str = "write it as \"s3://bucket\" or \"s3://bucket/prefix\"";
    let Some(rest) = text.strip_prefix("s3://") else {
        return Err(Fault::new("it does not begin with `s3://`", REMEDY));
    };
    let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
    let letters = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let fits = (3..=63).contains(&bucket.len())
        && bucket
            .bytes()
            .all(|byte| letters(byte) || matches!(byte, b'.' | b'-'))
        && bucket.bytes().next().is_some_and(letters)
        && bucket.bytes().last().is_some_and(letters)
        && !bucket.contains("..");
    if !fits {
        return Err(Fault::new(
            "a bucket's name has 3 to 63 small letters, digits, `-` and `.`",
            REMEDY,
        ));
    }
    let prefix = prefix.trim_matches('/');
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./".contains(&byte);
    let empty = prefix
        .split('/')
        .any(|part| matches!(part, "" | "." | ".."));
    if prefix.len() > 512 || !prefix.bytes().all(plain) || !prefix.is_empty() && empty {
        return Err(Fault::new(
            "the prefix may hold letters, digits, `-`, `_` and `.`, parted by single slashes",
            REMEDY,
        ));
    }
    Ok((bucket.to_owned(), prefix.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets() {
        for (text, expected) in [
            ("s3://audit", Some(("audit", ""))),
            ("s3://audit/", Some(("audit", ""))),
            ("s3://my.audit-1/a/b_c/", Some(("my.audit-1", "a/b_c"))),
            ("audit", None),
            ("S3://audit", None),
            ("s3://", None),
            ("s3://ab", None),
            ("s3://Audit", None),
            ("s3://-audit", None),
            ("s3://audit.", None),
            ("s3://au..dit", None),
            ("s3://audit/a//b", None),
            ("s3://audit/../b", None),
            ("s3://audit/a b", None),
            ("s3://audit/a?b", None),
            ("s3://audit/%2e", None),
        ] {
            let read = bucket(text).ok();
            let read = read.as_ref().map(|(a, b)| (a.as_str(), b.as_str()));
            assert_eq!(read, expected, "{text}");
        }
    }
}
