//! Numbers of persons that are known by their shape and their check digits. Those that are nothing but digits are
//! found by the name they stand under: too many innocent numbers look the same.

use crate::redact::{Finding, Mask};

/// A number of a person or an account at the beginning of the word at `at`.
#[inline(never)]
pub(super) fn id(text: &[u8], at: usize) -> Option<Finding> {
    if let [.., before, b'-' | b'.' | b'/'] = text[..at]
        && before.is_ascii_alphanumeric()
    {
        return None;
    }
    let rest = &text[at..];
    let length = if rest[0].is_ascii_digit() {
        let group = rest
            .iter()
            .take(20)
            .take_while(|byte| byte.is_ascii_digit())
            .count();
        let sign = rest.get(group).copied().unwrap_or_default();
        SHAPES
            .iter()
            .filter(|shape| shape.group == group && shape.may_go_on(sign))
            .find_map(|shape| shape.length(rest))
    } else {
        LETTERED
            .iter()
            .find_map(|shape| shape.length(rest))
            .or_else(|| iban(rest))
    }?;
    Some(Finding {
        start: at,
        end: at + length,
        mask: Mask::Plain,
    })
}

/// `9` is a digit, `A` a capital, `X` either, `?` a digit or `X`, `_` a space or nothing; everything else itself.
struct Shape {
    form: &'static str,
    /// The digits it begins with.
    group: usize,
    check: fn(&[u8]) -> bool,
}

const fn shape(form: &'static str, check: fn(&[u8]) -> bool) -> Shape {
    let mut group = 0;
    while group < form.len() && form.as_bytes()[group] == b'9' {
        group += 1;
    }
    Shape { form, group, check }
}

impl Shape {
    /// Whether `sign` may stand behind the digits that it begins with: dates and times are done with here.
    fn may_go_on(&self, sign: u8) -> bool {
        match self.form.as_bytes().get(self.group) {
            Some(b'_' | b'A' | b'X' | b'?') | None => true,
            Some(other) => *other == sign,
        }
    }

    fn length(&self, text: &[u8]) -> Option<usize> {
        let mut found = [0; 24];
        let (mut count, mut at) = (0, 0);
        for sign in self.form.bytes() {
            if sign == b'_' {
                at += usize::from(text.get(at) == Some(&b' '));
                continue;
            }
            let byte = *text.get(at)?;
            let fits = match sign {
                b'9' => byte.is_ascii_digit(),
                b'A' => byte.is_ascii_uppercase(),
                b'X' => byte.is_ascii_digit() || byte.is_ascii_uppercase(),
                b'?' => byte.is_ascii_digit() || matches!(byte, b'X' | b'x' | b'K' | b'k'),
                other => {
                    at += 1;
                    if byte != other {
                        return None;
                    }
                    continue;
                }
            };
            if !fits {
                return None;
            }
            found[count] = byte;
            count += 1;
            at += 1;
        }
        let ends = match text.get(at) {
            Some(b'-' | b'.' | b'/') => !text.get(at + 1).is_some_and(u8::is_ascii_alphanumeric),
            Some(byte) => !byte.is_ascii_alphanumeric() && *byte != b'_',
            None => true,
        };
        (ends && (self.check)(&found[..count])).then_some(at)
    }
}

static SHAPES: &[Shape] = &[
    shape("999.999.999-99", cpf),
    shape("999.9999.9999.99", ean13),
    shape("999999999999999", nir),
    shape("9_99_99_99_999_999_99", nir),
    shape("99999999999999999?", resident),
    shape("999999999999999999", resident),
    shape("9999 9999 9999", aadhaar),
    shape("9999-9999-9999", aadhaar),
    shape("999-999-999", sin),
    shape("999999-9999999", korean),
    shape("999999-999X", hetu),
    shape("999999+999X", hetu),
    shape("999999A999X", hetu),
    shape("99999999A", dni),
    shape("99999999-A", dni),
    shape("99.999.999-?", rut),
    shape("9.999.999-?", rut),
    shape("99-99999999-9", cuit),
    shape("999-99-9999", itin),
    shape("99.999.999/9999-99", cnpj),
    shape("999999-9999", personnummer),
    shape("99999999-9999", personnummer),
];

static LETTERED: &[Shape] = &[
    shape("AA_99_99_99_A", nino),
    shape("A9999999A", with_letter),
    shape("A-9999999-A", with_letter),
    shape("AAAAAA99A99A999A", codice_fiscale),
    shape("AAAA999999AAAAAAX9", curp),
    shape("A999999(X)", hong_kong),
    shape("AAAPA9999A", |_| true),
];

fn digit(byte: u8) -> u32 {
    u32::from(byte.wrapping_sub(b'0'))
}

fn number(digits: &[u8]) -> u64 {
    digits
        .iter()
        .fold(0, |value, byte| value * 10 + u64::from(digit(*byte)))
}

fn all_same(digits: &[u8]) -> bool {
    digits.iter().all(|byte| *byte == digits[0])
}

/// Brazil: two check digits, modulo 11.
fn cpf(digits: &[u8]) -> bool {
    let check = |count: usize| {
        let sum: u32 = digits[..count]
            .iter()
            .enumerate()
            .map(|(at, byte)| digit(*byte) * (count + 1 - at) as u32)
            .sum();
        sum * 10 % 11 % 10 == digit(digits[count])
    };
    !all_same(digits) && check(9) && check(10)
}

/// Brazil's of companies: two check digits, modulo 11.
fn cnpj(digits: &[u8]) -> bool {
    let check = |count: usize| {
        let sum: u32 = digits[..count]
            .iter()
            .rev()
            .enumerate()
            .map(|(at, byte)| digit(*byte) * (2 + at as u32 % 8))
            .sum();
        (11 - sum % 11) % 11 % 10 == digit(digits[count])
    };
    !all_same(digits) && check(12) && check(13)
}

/// Sweden: a date of birth, and Luhn; not a day with a time of the day, as builds and files are called.
fn personnummer(digits: &[u8]) -> bool {
    let (century, short) = digits.split_at(digits.len() - 10);
    let year = if century.is_empty() {
        1900
    } else {
        number(century) * 100
    };
    let time = number(&short[6..8]) < 24 && number(&short[8..]) < 60;
    (1900..=2000).contains(&year)
        && date(1900, number(&short[2..4]), number(&short[4..6]))
        && super::number::luhn(short)
        && !time
}

/// Switzerland: as an EAN-13, the country's prefix included.
fn ean13(digits: &[u8]) -> bool {
    let sum: u32 = digits
        .iter()
        .enumerate()
        .map(|(at, byte)| digit(*byte) * if at % 2 == 0 { 1 } else { 3 })
        .sum();
    digits.starts_with(b"756") && sum.is_multiple_of(10)
}

/// France: sex, year, month, department, commune, order, and a key modulo 97.
fn nir(digits: &[u8]) -> bool {
    let month = number(&digits[3..5]);
    matches!(digits[0], b'1' | b'2')
        && (1..=12).contains(&month)
        && number(&digits[13..15]) == 97 - number(&digits[..13]) % 97
}

/// China: GB 11643, a date of birth, and ISO 7064 MOD 11-2.
fn resident(digits: &[u8]) -> bool {
    if digits[..17].iter().any(|byte| !byte.is_ascii_digit()) {
        return false;
    }
    let date = date(
        number(&digits[6..10]),
        number(&digits[10..12]),
        number(&digits[12..14]),
    );
    let sum: u32 = digits[..17]
        .iter()
        .enumerate()
        .map(|(at, byte)| digit(*byte) << (17 - at))
        .sum();
    let check = b"10X98765432"[(sum % 11) as usize];
    date && digits[0] != b'0' && check == digits[17].to_ascii_uppercase()
}

fn date(year: u64, month: u64, day: u64) -> bool {
    (1900..=2100).contains(&year) && (1..=12).contains(&month) && (1..=31).contains(&day)
}

/// India: Verhoeff.
fn aadhaar(digits: &[u8]) -> bool {
    const PERMUTE: [u8; 10] = [1, 5, 7, 6, 2, 8, 3, 0, 9, 4];
    let check = digits
        .iter()
        .rev()
        .enumerate()
        .fold(0, |check, (at, byte)| {
            let permuted = (0..at).fold(byte - b'0', |digit, _| PERMUTE[usize::from(digit)]);
            multiply(check, permuted)
        });
    digits[0] >= b'2' && check == 0 && !all_same(digits)
}

/// In the group of the symmetries of a pentagon.
fn multiply(a: u8, b: u8) -> u8 {
    match (a < 5, b < 5) {
        (true, true) => (a + b) % 5,
        (true, false) => 5 + (a + b) % 5,
        (false, true) => 5 + (a - b) % 5,
        (false, false) => (a + 5 - b) % 5,
    }
}

/// Canada: Luhn.
fn sin(digits: &[u8]) -> bool {
    super::number::luhn(digits) && !all_same(digits) && digits[0] != b'8'
}

/// Korea: a date of birth, and the sex with the century.
fn korean(digits: &[u8]) -> bool {
    date(1900, number(&digits[2..4]), number(&digits[4..6])) && matches!(digits[6], b'1'..=b'4')
}

/// Finland: a date of birth, and a check sign modulo 31.
fn hetu(signs: &[u8]) -> bool {
    // The century's letter is among the signs, its hyphen or plus is not.
    let (birth, rest) = signs.split_at(6);
    let (century, rest) = rest.split_at(rest.len() - 4);
    let (day, month) = (number(&birth[..2]), number(&birth[2..4]));
    let value = number(birth) * 1000 + number(&rest[..3]);
    century.iter().all(|letter| b"ABCDEFUVWXY".contains(letter))
        && date(1900, month, day)
        && b"0123456789ABCDEFHJKLMNPRSTUVWXY"[(value % 31) as usize] == rest[3]
}

const DNI: &[u8; 23] = b"TRWAGMYFPDXBNJZSQVHLCKE";

/// Spain: a letter modulo 23.
fn dni(signs: &[u8]) -> bool {
    DNI[(number(&signs[..8]) % 23) as usize] == signs[8] && !all_same(&signs[..8])
}

/// Spain's for foreigners, Singapore's.
fn with_letter(signs: &[u8]) -> bool {
    let digits = &signs[1..8];
    let last = signs[8];
    match signs[0] {
        first @ b'X'..=b'Z' => {
            let value = u64::from(first - b'X') * 10_000_000 + number(digits);
            DNI[(value % 23) as usize] == last
        }
        first @ (b'S' | b'T' | b'F' | b'G' | b'M') => {
            let weights = [2, 7, 6, 5, 4, 3, 2];
            let sum: u32 = digits
                .iter()
                .zip(weights)
                .map(|(byte, weight)| digit(*byte) * weight)
                .sum();
            let (add, letters): (u32, &[u8; 11]) = match first {
                b'S' => (0, b"JZIHGFEDCBA"),
                b'T' => (4, b"JZIHGFEDCBA"),
                b'F' => (0, b"XWUTRQPNMLK"),
                b'G' => (4, b"XWUTRQPNMLK"),
                _ => (3, b"XWUTRQPNJLK"),
            };
            letters[((sum + add) % 11) as usize] == last
        }
        _ => false,
    }
}

/// Chile: modulo 11.
fn rut(signs: &[u8]) -> bool {
    let (digits, check) = signs.split_at(signs.len() - 1);
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(at, byte)| digit(*byte) * (2 + at as u32 % 6))
        .sum();
    b"0K987654321"[(sum % 11) as usize] == check[0].to_ascii_uppercase()
}

/// Argentina: modulo 11.
fn cuit(digits: &[u8]) -> bool {
    let weights = [5, 4, 3, 2, 7, 6, 5, 4, 3, 2];
    let sum: u32 = digits
        .iter()
        .zip(weights)
        .map(|(byte, weight)| digit(*byte) * weight)
        .sum();
    matches!(
        &digits[..2],
        b"20" | b"23" | b"24" | b"27" | b"30" | b"33" | b"34"
    ) && (11 - sum % 11) % 11 == digit(digits[10])
}

/// The USA's for those without a social security number.
fn itin(digits: &[u8]) -> bool {
    digits[0] == b'9' && matches!(digits[3], b'5'..=b'9')
}

/// The United Kingdom's national insurance: prefixes that are given out.
fn nino(signs: &[u8]) -> bool {
    let (first, second) = (signs[0], signs[1]);
    !b"DFIQUV".contains(&first)
        && !b"DFIOQUV".contains(&second)
        && !matches!(
            &signs[..2],
            b"BG" | b"GB" | b"NK" | b"KN" | b"TN" | b"NT" | b"ZZ"
        )
        && matches!(signs[8], b'A'..=b'D')
        || &signs[..2] == b"QQ" && matches!(signs[8], b'A'..=b'D')
}

/// Italy: a check letter over odd and even places.
fn codice_fiscale(signs: &[u8]) -> bool {
    const ODD: [u8; 26] = [
        1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24,
        23,
    ];
    let sum: u32 = signs[..15]
        .iter()
        .enumerate()
        .map(|(at, byte)| {
            let value = if byte.is_ascii_digit() {
                byte - b'0'
            } else {
                byte - b'A'
            };
            u32::from(if at % 2 == 0 {
                ODD[usize::from(value)]
            } else {
                value
            })
        })
        .sum();
    sum % 26 == u32::from(signs[15] - b'A')
}

/// Mexico: a date of birth and the sex.
fn curp(signs: &[u8]) -> bool {
    date(1900, number(&signs[6..8]), number(&signs[8..10])) && matches!(signs[10], b'H' | b'M')
}

/// Hong Kong: modulo 11, the letter counted from 10.
fn hong_kong(signs: &[u8]) -> bool {
    let mut sum = 36 * 9 + u32::from(signs[0] - b'A' + 10) * 8;
    for (byte, weight) in signs[1..7].iter().zip([7, 6, 5, 4, 3, 2]) {
        sum += digit(*byte) * weight;
    }
    let check = match signs[7] {
        b'A' => 10,
        byte if byte.is_ascii_digit() => digit(byte),
        _ => return false,
    };
    (sum + check) % 11 == 0
}

/// ISO 13616: a country, its length, and modulo 97; bare, or in groups of four.
fn iban(text: &[u8]) -> Option<usize> {
    let [a, b, c, d, ..] = *text else { return None };
    if !(a.is_ascii_uppercase()
        && b.is_ascii_uppercase()
        && c.is_ascii_digit()
        && d.is_ascii_digit())
    {
        return None;
    }
    let (_, length) = LENGTHS.iter().find(|(country, _)| *country == [a, b])?;
    let mut signs = [0; 34];
    let (mut count, mut at) = (0, 0);
    while count < *length {
        let byte = *text.get(at)?;
        if matches!(byte, b' ' | b'-')
            && count % 4 == 0
            && at > 0
            && text[at - 1].is_ascii_alphanumeric()
        {
            at += 1;
            continue;
        }
        if !byte.is_ascii_digit() && !byte.is_ascii_uppercase() {
            return None;
        }
        signs[count] = byte;
        count += 1;
        at += 1;
    }
    if text.get(at).is_some_and(u8::is_ascii_alphanumeric) {
        return None;
    }
    let rest = signs[4..count]
        .iter()
        .chain(&signs[..4])
        .fold(0_u32, |rest, byte| {
            if byte.is_ascii_digit() {
                (rest * 10 + digit(*byte)) % 97
            } else {
                (rest * 100 + u32::from(byte - b'A') + 10) % 97
            }
        });
    (rest == 1).then_some(at)
}

/// By the registry of ISO 13616.
const LENGTHS: &[([u8; 2], usize)] = &[
    (*b"AD", 24),
    (*b"AE", 23),
    (*b"AL", 28),
    (*b"AT", 20),
    (*b"AZ", 28),
    (*b"BA", 20),
    (*b"BE", 16),
    (*b"BG", 22),
    (*b"BH", 22),
    (*b"BR", 29),
    (*b"BY", 28),
    (*b"CH", 21),
    (*b"CR", 22),
    (*b"CY", 28),
    (*b"CZ", 24),
    (*b"DE", 22),
    (*b"DK", 18),
    (*b"DO", 28),
    (*b"EE", 20),
    (*b"EG", 29),
    (*b"ES", 24),
    (*b"FI", 18),
    (*b"FO", 18),
    (*b"FR", 27),
    (*b"GB", 22),
    (*b"GE", 22),
    (*b"GI", 23),
    (*b"GL", 18),
    (*b"GR", 27),
    (*b"GT", 28),
    (*b"HR", 21),
    (*b"HU", 28),
    (*b"IE", 22),
    (*b"IL", 23),
    (*b"IQ", 23),
    (*b"IS", 26),
    (*b"IT", 27),
    (*b"JO", 30),
    (*b"KW", 30),
    (*b"KZ", 20),
    (*b"LB", 28),
    (*b"LC", 32),
    (*b"LI", 21),
    (*b"LT", 20),
    (*b"LU", 20),
    (*b"LV", 21),
    (*b"MC", 27),
    (*b"MD", 24),
    (*b"ME", 22),
    (*b"MK", 19),
    (*b"MR", 27),
    (*b"MT", 31),
    (*b"MU", 30),
    (*b"NL", 18),
    (*b"NO", 15),
    (*b"PK", 24),
    (*b"PL", 28),
    (*b"PS", 29),
    (*b"PT", 25),
    (*b"QA", 29),
    (*b"RO", 24),
    (*b"RS", 22),
    (*b"SA", 24),
    (*b"SC", 31),
    (*b"SE", 24),
    (*b"SI", 19),
    (*b"SK", 24),
    (*b"SM", 27),
    (*b"SV", 28),
    (*b"TL", 23),
    (*b"TN", 24),
    (*b"TR", 26),
    (*b"UA", 29),
    (*b"VA", 22),
    (*b"VG", 24),
    (*b"XK", 20),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Option<usize> {
        id(text.as_bytes(), 0).map(|finding| finding.end)
    }

    /// Examples of the issuers, or made by their rules; the same with another check digit is none.
    // REQ: L-2
    #[test]
    fn by_check_digits() {
        for good in [
            "111.444.777-35",   // CPF
            "756.9217.0769.85", // AHV
            "255081416802538",  // NIR
            "2 55 08 14 168 025 38",
            "11010519491231002X", // GB 11643
            "046-454-286",        // SIN
            "131052-308T",        // HETU
            "12345678Z",          // DNI
            "12345678-Z",
            "X1234567L",        // NIE
            "S1234567D",        // NRIC
            "12.345.678-5",     // RUT
            "20-12345678-6",    // CUIT
            "RSSMRA85T10A562S", // codice fiscale
            "A123456(3)",       // HKID
            "DE89370400440532013000",
            "DE89 3704 0044 0532 0130 00",
            "GB82 WEST 1234 5698 7654 32",
            "NO9386011117947",
            "2341 2341 2346", // Aadhaar
        ] {
            assert_eq!(found(good), Some(good.len()), "{good}");
            assert_eq!(found(&format!("{good}, x")), Some(good.len()), "{good}");
            assert_eq!(found(&format!("{good}7")), None, "{good}7");
            let at = good.rfind(|c: char| c.is_ascii_digit()).unwrap();
            let digit = good.as_bytes()[at] - b'0';
            for other in 1..10 {
                let mut wrong = good.to_owned();
                wrong.replace_range(at..=at, &((digit + other) % 10).to_string());
                // One in thirteen of the letters of Singapore is shared.
                if found(&wrong).is_some() {
                    panic!("{wrong}");
                }
            }
        }
        for good in [
            "940101-1234567", // RRN
            "QQ 12 34 56 C",  // NINO
            "AB123456C",
            "HEGG560427MVZRRL04", // CURP
            "912-70-1234",        // ITIN
        ] {
            assert_eq!(found(good), Some(good.len()), "{good}");
        }
        for bad in [
            "941301-1234567",
            "940132-1234567",
            "940101-5234567",
            "AB123456E",
            "DF123456A",
            "GB123456A",
            "AB1234567",
            "HEGG561327MVZRRL04",
            "HEGG560427XVZRRL04",
            "812-70-1234",
            "912-40-1234",
            "111.111.111-11",
            "00000000T",
            "A123456(X)",
            "DE8937040044053201300",
            "ZZ89370400440532013000",
            "de89370400440532013000",
            "550e8400-e29b-41d4-a716-446655440000",
            "1.2.3-4",
            "2024-01-15",
            "999999999999999",
            "",
        ] {
            if !bad.is_empty() {
                assert_eq!(found(bad), None, "{bad}");
            }
        }
        // Not in the middle of something longer.
        assert_eq!(id(b"x-12345678Z", 2), None);
        assert_eq!(id(b"1.111.444.777-35", 2), None);
    }

    /// Made by an implementation of its own for each country; the same with another last sign, which all of them
    /// tell, is none.
    // REQ: L-2
    #[test]
    fn made_elsewhere() {
        for good in [
            "526.018.159-06",
            "083.016.613-05",
            "186.091.390-34",
            "996.030.824-30",
            "628.194.821-12",
            "99.351.819/0937-46",
            "86.579.754/3231-75",
            "94.875.749/1186-31",
            "25.276.018/9555-40",
            "97.971.147/1049-69",
            "756.7465.0752.93",
            "756.1703.4236.62",
            "756.7127.6842.69",
            "756.8465.6321.27",
            "756.2330.7924.42",
            "118076937962566",
            "216126697463371",
            "158117240240841",
            "250026265041150",
            "124022745216764",
            "18590119001005815X",
            "500139194803214596",
            "347117195908164129",
            "175472196601078527",
            "558084198202234859",
            "4538-8853-9336",
            "5387-5004-7436",
            "9551-3137-3532",
            "2751 1637 2651",
            "8761 2220 2977",
            "952-882-009",
            "282-633-049",
            "448-395-483",
            "720-579-861",
            "382-880-722",
            "200199-820P",
            "060360A6358",
            "040907A335E",
            "170971-496J",
            "180131+197S",
            "15663839B",
            "78144218-Q",
            "85394042X",
            "18505221-L",
            "53703122P",
            "Z4650401J",
            "Y8525445A",
            "Z8020118T",
            "Z4154974Y",
            "Z8778001X",
            "F8372616N",
            "G5136134U",
            "S2524273D",
            "S6723268B",
            "G5635515X",
            "S5877065E",
            "M9481131N",
            "S4402426H",
            "F6288975Q",
            "S4026140J",
            "2.485.889-8",
            "18.941.925-2",
            "3.041.410-1",
            "84.231.009-1",
            "5.493.940-K",
            "20-83124023-8",
            "24-48347824-7",
            "24-04000883-3",
            "30-73716786-7",
            "30-43353265-8",
            "BEACUX46F01V684X",
            "THWJBO22I70I558P",
            "KHBJGL20K61P483S",
            "HQYACI12M90M044W",
            "UHCSQY29M57E492B",
            "B868288(2)",
            "S093100(6)",
            "E516780(2)",
            "U083740(4)",
            "O188181(8)",
            "19900526-0766",
            "19591221-9994",
            "19930703-4901",
            "351021-6587",
            "19391005-3390",
        ] {
            assert_eq!(found(good), Some(good.len()), "{good}");
            assert_eq!(found(&format!("{good}.")), Some(good.len()), "{good}");
            assert_eq!(found(&format!("{good}-x")), None, "{good}");
            assert_eq!(found(&format!("{good}_")), None, "{good}");
            let at = good.trim_end_matches(')').len() - 1;
            let last = good.as_bytes()[at];
            let others: &[u8] = if last.is_ascii_digit() {
                b"0123456789"
            } else {
                b"ABCDEFGHIJKLMNOPQRSTUVWXYZ"
            };
            for other in others {
                let mut wrong = good.as_bytes().to_vec();
                wrong[at] = *other;
                let wrong = String::from_utf8(wrong).unwrap();
                assert_eq!(found(&wrong).is_some(), *other == last, "{wrong}");
            }
        }
    }

    #[test]
    fn verhoeff() {
        let table = [
            [0, 1, 2, 3, 4, 5, 6, 7, 8, 9],
            [1, 2, 3, 4, 0, 6, 7, 8, 9, 5],
            [2, 3, 4, 0, 1, 7, 8, 9, 5, 6],
            [3, 4, 0, 1, 2, 8, 9, 5, 6, 7],
            [4, 0, 1, 2, 3, 9, 5, 6, 7, 8],
            [5, 9, 8, 7, 6, 0, 4, 3, 2, 1],
            [6, 5, 9, 8, 7, 1, 0, 4, 3, 2],
            [7, 6, 5, 9, 8, 2, 1, 0, 4, 3],
            [8, 7, 6, 5, 9, 3, 2, 1, 0, 4],
            [9, 8, 7, 6, 5, 4, 3, 2, 1, 0],
        ];
        for (a, row) in table.iter().enumerate() {
            for (b, product) in row.iter().enumerate() {
                assert_eq!(multiply(a as u8, b as u8), *product, "{a} {b}");
            }
        }
    }

    #[test]
    fn parts() {
        for (year, month, day, is) in [
            (1900, 1, 1, true),
            (2100, 12, 31, true),
            (1899, 1, 1, false),
            (2101, 1, 1, false),
            (2000, 0, 1, false),
            (2000, 13, 1, false),
            (2000, 1, 0, false),
            (2000, 1, 32, false),
        ] {
            assert_eq!(date(year, month, day), is, "{year} {month} {day}");
        }
        assert_eq!(number(b"0907"), 907);
        assert!(all_same(b"111") && !all_same(b"112"));
        for (number, is) in [
            ("AB123456C", true),
            ("AB 12 34 56 C", true),
            ("AB12 3456 C", true),
            ("DB123456C", false),
            ("AO123456C", false),
            ("OA123456C", true),
            ("AB123456A", true),
            ("AB123456D", true),
            ("AB123456E", false),
            ("QQ123456A", true),
            ("QQ123456E", false),
            ("QA123456A", false),
            ("AQ123456A", false),
            ("BG123456A", false),
            ("GB123456A", false),
            ("NK123456A", false),
            ("KN123456A", false),
            ("TN123456A", false),
            ("NT123456A", false),
            ("ZZ123456A", false),
            ("940101-1234567", true),
            ("940101-4234567", true),
            ("940101-5234567", false),
            ("940101-0234567", false),
            ("940001-1234567", false),
            ("940100-1234567", false),
            ("912-50-1234", true),
            ("912-90-1234", true),
            ("912-49-1234", false),
            ("HEGG560427MVZRRL04", true),
            ("HEGG560427HVZRRLA4", true),
            ("HEGG560027HVZRRL04", false),
            ("HEGG560400HVZRRL04", false),
            ("ABCPE1234F", true),
            ("ABCDE1234F", false),
            ("ABCPE1234", false),
            // A build, not a birth: 2359 is a time of the day. 1804 is none of Luhn's.
            ("19811228-9874", true),
            ("811228-9874", true),
            ("811228-9875", false),
            ("811328-9873", false),
            ("18811228-9874", false),
            ("20011228-9871", true),
            ("21011228-9871", false),
            ("261121-0010", false),
            ("261121-2354", false),
            ("261121-2404", true),
            ("261121-0069", true),
            ("X12345678", false),
            ("H1234567A", false),
            ("756.9217.0769.84", false),
            ("755.9217.0769.86", false),
            ("355081416802538", false),
            ("255001416802538", false),
            ("2 55 08 14 168 025 38", true),
            ("2 55 08 14 168 02538", true),
            ("011.444.777-35", false),
            ("00000000T", false),
            ("111.111.111-11", false),
            ("00.000.000/0000-00", false),
            ("800-000-002", false),
            ("0000 0000 0000", false),
            ("2222 2222 2222", false),
            ("A123456(B)", false),
            ("x", false),
        ] {
            assert_eq!(found(number).is_some(), is, "{number}");
        }
        // At the edge of what stands before.
        for (text, at, is) in [
            ("x 12345678Z", 2, true),
            ("x-12345678Z", 2, false),
            ("x.12345678Z", 2, false),
            ("x/12345678Z", 2, false),
            (" -12345678Z", 2, true),
            ("-12345678Z", 1, true),
            ("x:12345678Z", 2, true),
        ] {
            assert_eq!(id(text.as_bytes(), at).is_some(), is, "{text}");
            let end = text.len();
            let found = id(text.as_bytes(), at);
            assert!(found.is_none_or(|found| found.start == at && found.end == end));
        }
        // Longer groups of digits than any number has.
        assert_eq!(id(&[b'1'; 40], 0), None);
    }

    #[test]
    fn ibans() {
        for (text, length) in [
            ("DE89370400440532013000", Some(22)),
            ("DE89370400440532013000 x", Some(22)),
            ("DE89-3704-0044-0532-0130-00", Some(27)),
            ("DE893 70400440532013000", None),
            ("DE89  370400440532013000", None),
            ("DE89370400440532013000A", None),
            ("DE8937040044053201300", None),
            ("DE88370400440532013000", None),
            ("DE8937040044053201300a", None),
            ("D889370400440532013000", None),
            ("DEA9370400440532013000", None),
            ("DE8A370400440532013000", None),
            ("QQ89370400440532013000", None),
            ("GB82WEST12345698765432", Some(22)),
            ("MT84MALT011000012345MTLCAST001S", Some(31)),
            ("NO9386011117947", Some(15)),
            ("DE8", None),
        ] {
            assert_eq!(iban(text.as_bytes()), length, "{text}");
        }
    }
}
