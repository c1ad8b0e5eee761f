//! Names as people see them: without accents, in whatever form of the Latin letters, without what is invisible.

/// A name in two spellings.
pub(super) struct Folded {
    /// Small letters of its own script; empty if it has none but Latin ones.
    pub(super) lower: String,
    /// Latin letters; everything else is 0x80, which is part of no word.
    pub(super) latin: Vec<u8>,
}

/// `None` for what is no text, or longer than any name.
pub(super) fn fold(name: &[u8]) -> Option<Folded> {
    if name.len() > 256 {
        return None;
    }
    let name = std::str::from_utf8(name).ok()?;
    let mut folded = Folded {
        lower: String::new(),
        latin: Vec::with_capacity(name.len()),
    };
    let mut other = false;
    for letter in name.chars() {
        match letter {
            '\0'..='\u{7f}' => folded.latin.push(letter as u8),
            _ if is_unseen(letter) => {}
            _ => {
                let ascii = latin(letter).unwrap_or('\u{80}');
                folded.latin.push(ascii as u8);
                other |= letter > LAST_LATIN;
            }
        }
    }
    if other {
        folded.lower = name
            .chars()
            .filter(|letter| !is_unseen(*letter))
            .flat_map(char::to_lowercase)
            .collect();
    }
    Some(folded)
}

/// The last letter of the extensions of Latin.
const LAST_LATIN: char = '\u{24f}';

/// Soft hyphen, combining marks, zero-width characters and marks of direction, variation selectors.
fn is_unseen(letter: char) -> bool {
    matches!(
        letter,
        '\u{ad}'
            | '\u{300}'..='\u{36f}'
            | '\u{200b}'..='\u{200f}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{fe00}'..='\u{fe0f}'
            | '\u{feff}'
            | '\u{61c}'
    )
}

/// The Latin letter that a reader sees.
fn latin(letter: char) -> Option<char> {
    let code = u32::from(letter);
    match letter {
        // Fullwidth forms.
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(code - 0xfee0),
        '\u{3000}' | '\u{a0}' | '\u{2000}'..='\u{200a}' | '\u{202f}' => Some(' '),
        '\u{2010}'..='\u{2015}' => Some('-'),
        // Mathematical alphabets: 26 capitals, 26 small letters each.
        '\u{1d400}'..='\u{1d6a3}' => {
            // They begin at a multiple of 52.
            let at = code % 52;
            char::from_u32(if at < 26 { 65 + at } else { 71 + at })
        }
        _ => LOOKS
            .get(code as usize)
            .filter(|seen| **seen != 0)
            .map(|seen| char::from(*seen)),
    }
}

/// By the number of a letter what it is seen as; 0 for those that look like no other.
static LOOKS: [u8; 0x530] = {
    let mut looks = [0; 0x530];
    let mut at = 0;
    while at < SEEN_AS.len() {
        let (seen, letters) = SEEN_AS[at];
        let letters = letters.as_bytes();
        let mut byte = 0;
        // All of them are of two bytes in UTF-8.
        while byte < letters.len() {
            let code = (letters[byte] & 0x1f) as usize * 64 + (letters[byte + 1] & 0x3f) as usize;
            looks[code] = seen as u8;
            byte += 2;
        }
        at += 1;
    }
    looks
};

/// Letters with accents, and those of other scripts that look the same.
const SEEN_AS: &[(char, &str)] = &[
    ('a', "àáâãäåāăąǎаα"),
    ('A', "ÀÁÂÃÄÅĀĂĄАΑ"),
    ('b', "ь"),
    ('B', "ВΒ"),
    ('c', "çćĉċčс"),
    ('C', "ÇĆĈĊČС"),
    ('d', "ďđԁ"),
    ('D', "ĎĐ"),
    ('e', "èéêëēĕėęěеε"),
    ('E', "ÈÉÊËĒĔĖĘĚЕΕ"),
    ('g', "ĝğġģ"),
    ('G', "ĜĞĠĢ"),
    ('h', "ĥħһ"),
    ('H', "ĤĦНΗ"),
    ('i', "ìíîïĩīĭįıіι"),
    ('I', "ÌÍÎÏĨĪĬĮİІΙ"),
    ('j', "ĵј"),
    ('J', "ĴЈ"),
    ('k', "ķкκ"),
    ('K', "ĶКΚ"),
    ('l', "ĺļľŀł"),
    ('L', "ĹĻĽĿŁ"),
    ('m', "м"),
    ('M', "МΜ"),
    ('n', "ñńņňŉ"),
    ('N', "ÑŃŅŇΝ"),
    ('o', "òóôõöøōŏőоο"),
    ('O', "ÒÓÔÕÖØŌŎŐОΟ"),
    ('p', "рρ"),
    ('P', "РΡ"),
    ('r', "ŕŗř"),
    ('R', "ŔŖŘ"),
    ('s', "śŝşšſșѕ"),
    ('S', "ŚŜŞŠȘЅ"),
    ('t', "ţťŧțт"),
    ('T', "ŢŤŦȚТΤ"),
    ('u', "ùúûüũūŭůűų"),
    ('U', "ÙÚÛÜŨŪŬŮŰŲ"),
    ('w', "ŵѡ"),
    ('W', "Ŵ"),
    ('x', "хχ"),
    ('X', "ХΧ"),
    ('y', "ýÿŷу"),
    ('Y', "ÝŸŶУΥ"),
    ('z', "źżž"),
    ('Z', "ŹŻŽΖ"),
];

#[cfg(test)]
mod tests {
    use super::*;

    // REQ: L-2
    #[test]
    fn as_seen() {
        for (name, seen) in [
            ("Pass", "Pass"),
            ("ｐＡ！～", "pA!~"),
            (
                "a\u{ad}b\u{300}\u{36f}\u{200b}\u{200f}\u{202a}\u{202e}\u{2060}\u{206f}\u{fe00}\u{fe0f}\u{feff}\u{61c}",
                "ab",
            ),
            ("\u{3000}\u{a0}\u{2000}\u{200a}\u{202f}", "     "),
            ("\u{2010}\u{2015}", "--"),
            (
                "\u{1d400}\u{1d419}\u{1d41a}\u{1d433}\u{1d434}\u{1d6a3}",
                "AZazAz",
            ),
            ("éÉаАοΟżŻь", "eEaAoOzZb"),
            (
                "密жΩ\u{9f}\u{2016}\u{2009}\u{ff5f}\u{1d6a4}",
                "\u{80}\u{80}\u{80}\u{80}\u{80} \u{80}\u{80}",
            ),
        ] {
            let latin = fold(name.as_bytes()).unwrap().latin;
            let latin: String = latin.into_iter().map(char::from).collect();
            assert_eq!(latin, seen, "{name}");
        }
        assert_eq!(
            fold("ÄbЖ\u{200b}É".as_bytes())
                .map(|folded| folded.lower)
                .as_deref(),
            Some("äbжé")
        );
        for (name, other) in [("ÄbÉ", false), ("\u{24f}", false), ("\u{250}", true)] {
            let lower = fold(name.as_bytes()).unwrap().lower;
            assert_eq!(!lower.is_empty(), other, "{name}");
        }
        assert!(fold(&[b'a'; 256]).is_some());
        assert!(fold(&[b'a'; 257]).is_none());
        assert!(fold(b"\xff").is_none());
    }

    /// Each letter stands for the one it is listed under, and no code between them for any.
    #[test]
    fn listed() {
        let mut known = 0;
        for (seen, letters) in SEEN_AS {
            for letter in letters.chars() {
                assert_eq!(latin(letter), Some(*seen), "{letter}");
                known += 1;
            }
        }
        assert_eq!(LOOKS.iter().filter(|seen| **seen != 0).count(), known);
    }
}
