//! What a byte may be part of.

use super::prose::WORDS;
use super::token::SHAPES;

/// Where the bytes stop being of the class, from `at` on.
#[inline]
pub(super) fn run(text: &[u8], at: usize, class: u16) -> usize {
    let rest = text.get(at..).unwrap_or_default();
    let length = rest
        .iter()
        .position(|byte| CLASSES[usize::from(*byte)] & class == 0);
    at + length.unwrap_or(rest.len())
}

/// Where the bytes of the class before `at` begin, not below `floor`.
#[inline]
pub(super) fn run_back(text: &[u8], floor: usize, at: usize, class: u16) -> usize {
    let before = text.get(floor..at).unwrap_or_default();
    let length = before
        .iter()
        .rev()
        .position(|byte| CLASSES[usize::from(*byte)] & class == 0);
    at - length.unwrap_or(before.len())
}

/// As [`run`], looking at `max` bytes at most.
#[inline]
pub(super) fn run_within(text: &[u8], at: usize, class: u16, max: usize) -> usize {
    let end = text.len().min(at.saturating_add(max));
    run(&text[..end], at.min(end), class)
}

/// Letters and digits.
pub(super) const WORD: u16 = 1;
pub(super) const DIGIT: u16 = 1 << 1;
pub(super) const HEX: u16 = 1 << 2;
pub(super) const UPPER: u16 = 1 << 3;
/// Base64url and underscore words.
pub(super) const URL_SAFE: u16 = 1 << 4;
pub(super) const DOTTED: u16 = 1 << 5;
pub(super) const BASE64: u16 = 1 << 6;
/// RFC 9110, section 11.2.
pub(super) const TOKEN68: u16 = 1 << 7;
/// An e-mail address before its `@`, as addresses are in practice.
pub(super) const LOCAL: u16 = 1 << 8;
pub(super) const DOMAIN: u16 = 1 << 9;
/// A key in a text.
pub(super) const KEY: u16 = 1 << 10;
/// A value in a text: up to what separates.
pub(super) const VALUE: u16 = 1 << 11;
pub(super) const LINE: u16 = 1 << 12;
/// A word that begins so is looked at.
pub(super) const STARTS: u16 = 1 << 13;
/// Looked at wherever it stands.
pub(super) const MARK: u16 = 1 << 14;
/// Neither a space nor a control.
pub(super) const VISIBLE: u16 = 1 << 15;

pub(super) static CLASSES: [u16; 256] = {
    let mut classes = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let b = byte as u8;
        let mut class = 0;
        if b.is_ascii_alphanumeric() {
            class |= WORD | URL_SAFE | DOTTED | BASE64 | TOKEN68 | LOCAL | DOMAIN | KEY;
        }
        if b.is_ascii_digit() {
            class |= DIGIT | STARTS;
        }
        if b.is_ascii_hexdigit() {
            class |= HEX;
        }
        if b.is_ascii_uppercase() || b.is_ascii_digit() {
            class |= UPPER;
        }
        if matches!(b, b'-' | b'_') {
            class |= URL_SAFE | DOTTED | TOKEN68 | LOCAL | KEY;
        }
        if b == b'-' {
            class |= DOMAIN | MARK;
        }
        if b == b'.' {
            class |= DOTTED | TOKEN68 | LOCAL | DOMAIN | KEY;
        }
        if matches!(b, b'+' | b'/' | b'=') {
            class |= BASE64 | TOKEN68;
        }
        if matches!(b, b'~') {
            class |= TOKEN68;
        }
        if matches!(b, b'%' | b'+' | b'\'') {
            class |= LOCAL;
        }
        if matches!(
            b,
            b'@' | b'=' | b':' | b'_' | b'~' | b'%' | b'<' | b'{' | b'[' | b'$'
        ) {
            class |= MARK;
        }
        if !matches!(
            b,
            0..=b' '
                | b'&'
                | b';'
                | b','
                | b'"'
                | b'\''
                | b'<'
                | b'>'
                | b')'
                | b']'
                | b'}'
                | b'|'
                | b'\\'
        ) {
            class |= VALUE;
        }
        if !matches!(b, b'\r' | b'\n' | b'"' | b'\'' | b'\\') {
            class |= LINE;
        }
        if !matches!(b, 0..=b' ' | 0x7f) {
            class |= VISIBLE;
        }
        classes[byte] = class;
        byte += 1;
    }
    let mut at = 0;
    while at < SHAPES.len() {
        classes[SHAPES[at].prefix[0] as usize] |= STARTS;
        at += 1;
    }
    at = 0;
    while at < WORDS.len() {
        let first = WORDS[at].as_bytes()[0];
        classes[first as usize] |= STARTS;
        classes[first.to_ascii_uppercase() as usize] |= STARTS;
        at += 1;
    }
    classes[b'e' as usize] |= STARTS;
    // Numbers of persons and accounts begin with capitals.
    let mut capital = b'A';
    while capital <= b'Z' {
        classes[capital as usize] |= STARTS;
        capital += 1;
    }
    classes
};
