//! Addresses that stand for names. A child that looks a name up gets one of them; when it connects
//! there, the name is known, and is looked up by the guard. No question of a child goes out.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};

use crate::name::Name;

/// 198.18.0.0/15, for measurements between networks (RFC 2544); no host has such an address.
const FIRST: u32 = u32::from_be_bytes([198, 18, 0, 0]);
const SIZE: u32 = 1 << 17;

/// Most names of one child. The oldest makes room.
const MOST: u32 = 8192;

/// The names of one child.
#[derive(Debug, Default)]
pub(super) struct Names {
    /// By the address's number in the range, less one.
    names: Vec<Name>,
    numbers: HashMap<Name, u32>,
    /// Where the next goes once all are taken.
    next: u32,
}

impl Names {
    /// The address that stands for a name.
    pub(super) fn address(&mut self, name: &Name) -> Ipv4Addr {
        let number = match self.numbers.get(name) {
            Some(number) => *number,
            None => self.enter(name),
        };
        Ipv4Addr::from(FIRST + 1 + number)
    }

    /// The name that an address stands for.
    pub(super) fn name(&self, address: IpAddr) -> Option<&Name> {
        let IpAddr::V4(address) = address else {
            return None;
        };
        let number = u32::from(address).checked_sub(FIRST + 1)?;
        self.names.get(usize::try_from(number).ok()?)
    }

    fn enter(&mut self, name: &Name) -> u32 {
        let number = self.next;
        self.next = (self.next + 1) % MOST;
        match usize::try_from(number)
            .ok()
            .and_then(|at| self.names.get_mut(at))
        {
            Some(old) => {
                self.numbers.remove(old);
                *old = name.clone();
            }
            None => self.names.push(name.clone()),
        }
        self.numbers.insert(name.clone(), number);
        number
    }
}

const _: () = assert!(MOST < SIZE, "the range is larger");

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Name {
        Name::from_ascii(text).expect("a name")
    }

    // REQ: E-3
    #[test]
    fn a_name_keeps_its_address() {
        let mut names = Names::default();
        let one = names.address(&name("a.example"));
        let two = names.address(&name("b.example"));
        assert_eq!(one, Ipv4Addr::new(198, 18, 0, 1));
        assert_ne!(one, two);
        assert_eq!(names.address(&name("A.example.")), one);
        assert_eq!(names.name(two.into()), Some(&name("b.example")));
        for other in [
            "198.18.0.0",
            "198.18.0.3",
            "198.17.255.255",
            "::1",
            "255.255.255.255",
        ] {
            assert_eq!(names.name(other.parse().expect("an address")), None);
        }
    }

    #[test]
    fn the_oldest_makes_room() {
        let mut names = Names::default();
        let first = names.address(&name("n0.example"));
        for number in 1..=MOST {
            names.address(&name(&format!("n{number}.example")));
        }
        assert_eq!(
            names.name(first.into()),
            Some(&name(&format!("n{MOST}.example")))
        );
        assert_ne!(names.address(&name("n0.example")), first);
        assert_eq!(names.names.len(), usize::try_from(MOST).expect("small"));
        assert_eq!(names.numbers.len(), names.names.len());
    }
}
