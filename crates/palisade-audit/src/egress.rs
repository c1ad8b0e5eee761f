//! The member `egress` of a record: a decision about the way out.

use std::io::Write as _;
use std::net::SocketAddr;
use std::time::SystemTime;

use crate::record::{push_foreign, push_number, push_own};
use crate::redact::Aim;
use crate::stamp::Stamp;

/// Where somebody wanted to go, and what was decided. Written as the member `egress`, each name only where it
/// says something.
#[derive(Debug, Clone, Copy, Default)]
#[non_exhaustive]
pub struct Egress<'a> {
    /// `decision`: the stable code, such as `egress.allow.public`; empty where a connection ended.
    pub decision: &'a str,
    /// `form`: how it was asked for, such as `connect`; empty where the record stands for several.
    pub form: &'a str,
    /// `level`: how firmly the policy holds for whoever asked; empty where that is not known.
    pub level: &'a str,
    /// `host`: in canonical form; 256 bytes at most.
    pub host: &'a str,
    /// `port`; 0 where none could be read.
    pub port: u16,
    /// `addresses`: the checked ones, or the one that was dialed; the first 16.
    pub addresses: &'a [SocketAddr],
    /// `hop`: which redirect it is; 0 for none.
    pub hop: u8,
    /// `child`: which of the server's processes asked.
    pub child: Option<u64>,
    /// `calls`: the request ids of the calls that were under way there, where it is more than one; the first 16.
    pub calls: &'a [&'a str],
    /// `revoked`: a new policy ended the connection.
    pub revoked: bool,
    /// `destinations`: how many there were, where the record stands for several decisions.
    pub destinations: u64,
    /// `first` and `last`: when the first and the last of these decisions were made.
    pub between: Option<(SystemTime, SystemTime)>,
}

/// No list has more entries.
const MOST: usize = 16;

impl Egress<'_> {
    pub(crate) fn push(&self, stamp: &mut Stamp, out: &mut Vec<u8>) {
        out.extend_from_slice(b",\"egress\":{");
        let begin = out.len();
        for (name, value) in [
            ("form", self.form),
            ("decision", self.decision),
            ("level", self.level),
        ] {
            if !value.is_empty() {
                push_name(out, name);
                push_own(out, value);
            }
        }
        if !self.host.is_empty() {
            push_name(out, "host");
            push_foreign(out, self.host, 256, Aim::Secrets);
        }
        if self.port != 0 {
            push_name(out, "port");
            push_number(out, self.port.into());
        }
        if !self.addresses.is_empty() {
            push_name(out, "addresses");
            for (at, address) in self.addresses.iter().take(MOST).enumerate() {
                out.push(if at == 0 { b'[' } else { b',' });
                // Writing to a `Vec` cannot fail, and an address needs no escape.
                let _ = write!(out, "\"{address}\"");
            }
            out.push(b']');
        }
        if self.hop != 0 {
            push_name(out, "hop");
            push_number(out, self.hop.into());
        }
        if let Some(child) = self.child {
            push_name(out, "child");
            push_number(out, child);
        }
        if !self.calls.is_empty() {
            push_name(out, "calls");
            for (at, call) in self.calls.iter().take(MOST).enumerate() {
                out.push(if at == 0 { b'[' } else { b',' });
                push_own(out, call);
            }
            out.push(b']');
        }
        if self.revoked {
            push_name(out, "revoked");
            out.extend_from_slice(b"true");
        }
        if self.destinations != 0 {
            push_name(out, "destinations");
            push_number(out, self.destinations);
        }
        if let Some((first, last)) = self.between {
            for (name, time) in [("first", first), ("last", last)] {
                push_name(out, name);
                out.push(b'"');
                stamp.push(out, time);
                out.push(b'"');
            }
        }
        // Each name brought its comma.
        if out.len() > begin {
            out.remove(begin);
        }
        out.push(b'}');
    }
}

fn push_name(out: &mut Vec<u8>, name: &str) {
    out.extend_from_slice(b",\"");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\":");
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{Encoder, Record};

    fn written(egress: Egress<'_>) -> serde_json::Value {
        let mut record = Record::new(SystemTime::UNIX_EPOCH, "r-1");
        record.egress = Some(egress);
        let mut out = Vec::new();
        record.encode(&mut Encoder::default(), &mut out);
        let line: serde_json::Value = serde_json::from_slice(&out).expect("JSON");
        line["egress"].clone()
    }

    // REQ: L-1
    #[test]
    fn a_decision_is_told_whole() {
        let addresses = ["93.184.216.34:443".parse().expect("an address")];
        let told = written(Egress {
            decision: "egress.allow.public",
            form: "connect",
            level: "advisory",
            host: "a.example",
            port: 443,
            addresses: &addresses,
            hop: 1,
            child: Some(7),
            calls: &["r-1", "r-2"],
            revoked: true,
            destinations: 3,
            between: Some((
                SystemTime::UNIX_EPOCH,
                SystemTime::UNIX_EPOCH + Duration::from_millis(1500),
            )),
        });
        assert_eq!(
            told,
            serde_json::json!({
                "form": "connect",
                "decision": "egress.allow.public",
                "level": "advisory",
                "host": "a.example",
                "port": 443,
                "addresses": ["93.184.216.34:443"],
                "hop": 1,
                "child": 7,
                "calls": ["r-1", "r-2"],
                "revoked": true,
                "destinations": 3,
                "first": "1970-01-01T00:00:00.000Z",
                "last": "1970-01-01T00:00:01.500Z",
            })
        );
    }

    #[test]
    fn what_says_nothing_is_left_out() {
        let told = written(Egress {
            form: "socks",
            ..Egress::default()
        });
        assert_eq!(told.to_string(), r#"{"form":"socks"}"#);
        assert_eq!(written(Egress::default()).to_string(), "{}");
    }

    #[test]
    fn what_a_peer_wrote_is_bounded_and_escaped() {
        let host = format!("a\"\n{}", "x".repeat(1000));
        let told = written(Egress {
            form: "connect",
            host: &host,
            ..Egress::default()
        });
        let host = told["host"].as_str().expect("a host");
        assert!(host.starts_with("a\"\n") && host.len() <= 256);
    }
}
