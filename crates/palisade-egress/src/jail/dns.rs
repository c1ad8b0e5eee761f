//! Answers a child's questions of names: sans-I/O, one message in, one out (RFC 1035).

use std::net::Ipv4Addr;

use crate::name::Name;

/// Most bytes of a question that are looked at; one name and an option fit many times.
pub(super) const MOST: usize = 1232;

/// Seconds that an answer may be kept: the address stands for the name as long as there is room.
const TTL: u32 = 5;

const HEADER: usize = 12;
const A: u16 = 1;
const PTR: u16 = 12;
const AAAA: u16 = 28;
const SVCB: u16 = 64;
const HTTPS: u16 = 65;
const INTERNET: u16 = 1;

/// Response codes.
const NO_ERROR: u8 = 0;
const FORMAT: u8 = 1;
const NO_NAME: u8 = 3;
const NOT_IMPLEMENTED: u8 = 4;
const REFUSED: u8 = 5;

/// The answer to one message; `None`: to say nothing, as it is no question. `address` gives what
/// stands for a name that may be reached.
pub(super) fn answer(
    message: &[u8],
    mut address: impl FnMut(&Name) -> Option<Ipv4Addr>,
) -> Option<Vec<u8>> {
    let header: &[u8; HEADER] = message.first_chunk()?;
    let [id1, id2, flags, _, q1, q2, ..] = *header;
    // An answer, perhaps one of ours sent back.
    if flags & 0x80 != 0 {
        return None;
    }
    let reply = |code: u8, question: &[u8], answer: Option<Ipv4Addr>| {
        let questions = u8::from(!question.is_empty());
        let answers = u8::from(answer.is_some());
        let mut out = vec![id1, id2];
        // An answer; opcode and RD as asked; RA.
        out.extend([0x80 | (flags & 0x79), 0x80 | code]);
        out.extend([0, questions, 0, answers, 0, 0, 0, 0]);
        out.extend(question);
        if let Some(address) = answer {
            // The name is the question's.
            out.extend([0xc0, 12, 0, 1, 0, 1]);
            out.extend(TTL.to_be_bytes());
            out.extend([0, 4]);
            out.extend(address.octets());
        }
        Some(out)
    };
    if flags & 0x78 != 0 {
        return reply(NOT_IMPLEMENTED, &[], None);
    }
    let Some(question) = Question::read(message).filter(|_| (q1, q2) == (0, 1)) else {
        return reply(FORMAT, &[], None);
    };
    let (code, answer) = match question.kind {
        _ if question.class != INTERNET => (REFUSED, None),
        // Other records could carry anything out and in.
        A | AAAA | HTTPS | SVCB => match question.name.and_then(|name| address(&name)) {
            None => (NO_NAME, None),
            Some(address) if question.kind == A => (NO_ERROR, Some(address)),
            // Of IPv6, and of keys and hints, there is nothing.
            Some(_) => (NO_ERROR, None),
        },
        PTR => (NO_NAME, None),
        _ => (REFUSED, None),
    };
    reply(code, question.bytes, answer)
}

struct Question<'a> {
    bytes: &'a [u8],
    /// `None`: no name of a host.
    name: Option<Name>,
    kind: u16,
    class: u16,
}

impl<'a> Question<'a> {
    fn read(message: &'a [u8]) -> Option<Self> {
        let section = message.get(HEADER..)?;
        let mut name = Vec::new();
        let mut rest = section;
        loop {
            let (length, after) = rest.split_first()?;
            if *length == 0 {
                rest = after;
                break;
            }
            // More would be a pointer, which a question has no use for.
            if *length > 63 {
                return None;
            }
            let (label, after) = after.split_at_checked((*length).into())?;
            if !name.is_empty() {
                name.push(b'.');
            }
            // A dot within a label would make two of it.
            if label.contains(&b'.') {
                return None;
            }
            name.extend(label);
            if name.len() > 253 {
                return None;
            }
            rest = after;
        }
        let (kind, after) = rest.split_first_chunk()?;
        let (class, after) = after.split_first_chunk()?;
        let name = String::from_utf8(name).ok();
        Some(Self {
            bytes: section.get(..section.len() - after.len())?,
            name: name.and_then(|name| Name::from_ascii(&name).ok()),
            kind: u16::from_be_bytes(*kind),
            class: u16::from_be_bytes(*class),
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn query(name: &str, kind: u16) -> Vec<u8> {
        let mut out = vec![7, 9, 1, 0x20, 0, 1, 0, 0, 0, 0, 0, 1];
        for label in name.split('.').filter(|label| !label.is_empty()) {
            out.push(u8::try_from(label.len()).expect("a label"));
            out.extend(label.bytes());
        }
        out.push(0);
        out.extend(kind.to_be_bytes());
        out.extend([0, 1]);
        // EDNS, as every resolver adds it.
        out.extend([0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 0]);
        out
    }

    fn ask(message: &[u8]) -> Option<Vec<u8>> {
        answer(message, |name| {
            (name.as_str() == "good.example").then_some(Ipv4Addr::new(198, 18, 0, 1))
        })
    }

    // REQ: E-3
    #[test]
    fn names_that_may_be_reached_have_an_address() {
        let query = query("gOOd.example", A);
        let reply = ask(&query).expect("an answer");
        assert_eq!(&reply[..12], [7, 9, 0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0]);
        // The letter case of the question is kept (0x20 in resolvers).
        assert_eq!(&reply[12..30], &query[12..30]);
        assert_eq!(
            &reply[30..],
            [0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 5, 0, 4, 198, 18, 0, 1]
        );
    }

    #[test]
    fn codes() {
        for (name, kind, code, answers) in [
            ("good.example", A, NO_ERROR, 1),
            ("good.example.", AAAA, NO_ERROR, 0),
            ("good.example", HTTPS, NO_ERROR, 0),
            ("good.example", 16, REFUSED, 0),
            ("good.example", 255, REFUSED, 0),
            ("1.0.18.198.in-addr.arpa", PTR, NO_NAME, 0),
            ("bad.example", A, NO_NAME, 0),
            ("bad.example", AAAA, NO_NAME, 0),
            ("a b", A, NO_NAME, 0),
            ("", A, NO_NAME, 0),
        ] {
            let reply = ask(&query(name, kind)).expect("an answer");
            assert_eq!((reply[3] & 15, reply[7]), (code, answers), "{name} {kind}");
        }
    }

    #[test]
    fn what_is_no_question() {
        let good = query("good.example", A);
        let with = |at: usize, byte: u8| {
            let mut message = good.clone();
            message[at] = byte;
            ask(&message)
        };
        assert_eq!(with(2, 0x81), None, "an answer");
        assert_eq!(with(2, 0x28).expect("told")[3] & 15, NOT_IMPLEMENTED);
        for (at, byte) in [(5, 0), (5, 2), (12, 0xc0), (12, 64), (13, b'.')] {
            assert_eq!(with(at, byte).expect("told")[3] & 15, FORMAT, "{at} {byte}");
        }
        assert_eq!(ask(&good[..11]), None);
        assert_eq!(ask(&good[..20]).expect("told")[3] & 15, FORMAT);
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
            if let Some(reply) = ask(&bytes) {
                prop_assert!(reply.len() <= bytes.len() + 28);
                prop_assert_eq!(&reply[..2], &bytes[..2]);
            }
        }
    }
}
