//! Numbers: copied as they stand, unless they are a card's, or too great for strict readers.

use super::{Copier, Refused};
use crate::redact::{Mask, values};

impl Copier<'_> {
    /// Reads a number from behind its first byte.
    pub(super) fn number(&mut self, mut first: u8) -> Result<(), Refused> {
        let start = self.at - 1;
        if first == b'-' {
            first = self.next();
        }
        let mut float = false;
        match first {
            b'0' => {}
            b'1'..=b'9' => self.digits(),
            _ => return Err(Refused::Invalid),
        }
        if self.json.get(self.at) == Some(&b'.') {
            float = true;
            self.at += 1;
            self.some_digits()?;
        }
        if matches!(self.json.get(self.at), Some(b'e' | b'E')) {
            float = true;
            self.at += 1;
            if matches!(self.json.get(self.at), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.some_digits()?;
        }
        let expected = self.expected.take();
        if self.hidden.is_some() {
            return Ok(());
        }
        let text = &self.json[start..self.at];
        let kinds = [expected, self.scalars.map(|(_, kind)| kind)];
        let named =
            kinds != [None, None] && kinds.iter().flatten().any(|kind| kind.judge_number(text));
        let whole = !float && values::is_card(text);
        if (named || whole) && self.allowed.is_none() {
            self.replace_value(start, text, Mask::Plain);
        } else if (float || text.len() > DIGITS_FINITE) && !self.inner && !is_finite(text) {
            self.flush(start);
            self.out.push(b'"');
            self.out.extend_from_slice(text);
            self.out.push(b'"');
            self.run = self.at;
        }
        Ok(())
    }

    fn digits(&mut self) {
        while matches!(self.json.get(self.at), Some(b'0'..=b'9')) {
            self.at += 1;
        }
    }

    fn some_digits(&mut self) -> Result<(), Refused> {
        let start = self.at;
        self.digits();
        if self.at == start {
            Err(Refused::Invalid)
        } else {
            Ok(())
        }
    }
}

/// A whole number that is no longer is finite as a 64-bit float, in bytes.
const DIGITS_FINITE: usize = 300;

fn is_finite(number: &[u8]) -> bool {
    std::str::from_utf8(number)
        .ok()
        .and_then(|text| text.parse::<f64>().ok())
        .is_some_and(f64::is_finite)
}
