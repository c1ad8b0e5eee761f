//! Tokens that are known by the prefix their issuer gives them.

use super::classes::{BASE64, DOTTED, HEX, UPPER, URL_SAFE, WORD, run};
use crate::redact::{Finding, Mask};

/// A token by the prefix that its issuer gives it.
#[inline(never)]
pub(super) fn token(text: &[u8], at: usize) -> Option<Finding> {
    let rest = &text[at..];
    let (from, to) = BY_LETTER[usize::from(rest[0])];
    for shape in &SHAPES[usize::from(from)..usize::from(to)] {
        // One byte tells most of them apart; a call to compare them would cost more than all the rest.
        if rest.get(1) != Some(&shape.second) || !rest.starts_with(shape.prefix) {
            continue;
        }
        let start = shape.prefix.len();
        // Judged by its head, so that a long run that is none costs little each time.
        let head = &rest[start..rest.len().min(start + shape.min + 48)];
        let length = run(head, 0, shape.letters);
        if length < shape.min || shape.opaque && !is_opaque(&head[..length]) {
            continue;
        }
        let end = run(text, at + start + length, shape.letters);
        return Some(Finding {
            start: at,
            end,
            mask: Mask::Fingerprint,
        });
    }
    None
}

/// Random letters rather than words with hyphens between.
fn is_opaque(letters: &[u8]) -> bool {
    letters
        .iter()
        .any(|byte| byte.is_ascii_digit() || byte.is_ascii_uppercase())
        || !letters.contains(&b'-')
}

pub(super) struct Shape {
    pub(super) prefix: &'static [u8],
    second: u8,
    letters: u16,
    /// At least so many letters behind the prefix.
    min: usize,
    /// The prefix is also a word's beginning, so the rest must look random.
    opaque: bool,
}

const fn shape(prefix: &'static str, letters: u16, min: usize) -> Shape {
    Shape {
        prefix: prefix.as_bytes(),
        second: prefix.as_bytes()[1],
        letters,
        min,
        opaque: false,
    }
}

const fn opaque(prefix: &'static str, letters: u16, min: usize) -> Shape {
    Shape {
        prefix: prefix.as_bytes(),
        second: prefix.as_bytes()[1],
        letters,
        min,
        opaque: true,
    }
}

/// By their issuers' documentation; lengths are lower bounds, for issuers lengthen them.
pub(super) static SHAPES: &[Shape] = &[
    shape("AKIA", UPPER, 16), // AWS access key ids
    shape("ASIA", UPPER, 16),
    shape("ABIA", UPPER, 16),
    shape("ACCA", UPPER, 16),
    shape("AIza", URL_SAFE, 30),    // Google API key
    shape("ATATT3", URL_SAFE, 20),  // Atlassian
    shape("GOCSPX-", URL_SAFE, 20), // Google OAuth client secret
    shape("PMAK-", URL_SAFE, 20),   // Postman
    shape("SG.", DOTTED, 30),       // SendGrid
    shape("dapi", HEX, 32),         // Databricks
    shape("dop_v1_", HEX, 32),      // DigitalOcean
    shape("doo_v1_", HEX, 32),
    shape("dor_v1_", HEX, 32),
    shape("figd_", URL_SAFE, 20), // Figma
    shape("ghp_", URL_SAFE, 16),  // GitHub
    shape("gho_", URL_SAFE, 16),
    shape("ghu_", URL_SAFE, 16),
    shape("ghs_", DOTTED, 16),
    shape("ghr_", URL_SAFE, 16),
    shape("github_pat_", URL_SAFE, 16),
    shape("glpat-", DOTTED, 16), // GitLab
    shape("gldt-", DOTTED, 16),
    shape("glrt-", DOTTED, 16),
    shape("glptt-", DOTTED, 16),
    shape("glcbt-", DOTTED, 16),
    shape("glsa_", URL_SAFE, 20), // Grafana
    shape("gsk_", URL_SAFE, 20),  // Groq
    shape("hf_", WORD, 20),       // Hugging Face
    shape("hvs.", URL_SAFE, 20),  // Vault
    shape("hvb.", URL_SAFE, 20),
    shape("lin_api_", WORD, 20), // Linear
    shape("npm_", WORD, 20),
    shape("ntn_", WORD, 20), // Notion
    opaque("pypi-", URL_SAFE, 16),
    shape("r8_", WORD, 20),      // Replicate
    shape("rk_live_", WORD, 10), // Stripe
    shape("rk_test_", WORD, 10),
    shape("sk_live_", WORD, 10),
    shape("sk_test_", WORD, 10),
    opaque("sk-", URL_SAFE, 16), // OpenAI, Anthropic and their kin
    shape("sbp_", HEX, 20),      // Supabase
    shape("secret_", WORD, 32),  // Notion, older
    shape("shpat_", HEX, 20),    // Shopify
    shape("shpca_", HEX, 20),
    shape("shppa_", HEX, 20),
    shape("shpss_", HEX, 20),
    shape("sntrys_", DOTTED, 20),  // Sentry
    shape("whsec_", BASE64, 16),   // webhook secrets
    opaque("xapp-", URL_SAFE, 10), // Slack
    opaque("xoxa-", URL_SAFE, 10),
    opaque("xoxb-", URL_SAFE, 10),
    opaque("xoxe-", URL_SAFE, 10),
    opaque("xoxe.", DOTTED, 10),
    opaque("xoxo-", URL_SAFE, 10),
    opaque("xoxp-", URL_SAFE, 10),
    opaque("xoxr-", URL_SAFE, 10),
    opaque("xoxs-", URL_SAFE, 10),
    shape("xkeysib-", URL_SAFE, 20), // Brevo
    shape("ya29.", DOTTED, 20),      // Google access token
];

/// By first letter: where its shapes stand in [`SHAPES`], in which they stand together.
static BY_LETTER: [(u8, u8); 256] = {
    let mut letters = [(0, 0); 256];
    let mut at = 0;
    while at < SHAPES.len() {
        let letter = SHAPES[at].prefix[0] as usize;
        if letters[letter].1 == 0 {
            letters[letter].0 = at as u8;
        }
        assert!(
            letters[letter].1 == 0 || letters[letter].1 as usize == at,
            "shapes go by letter"
        );
        at += 1;
        letters[letter].1 = at as u8;
    }
    letters
};

/// By first letter of a word: one bit for each second letter that anything we look for has.
pub(super) static SECONDS: [u128; 256] = {
    let mut seconds = [0; 256];
    let mut at = 0;
    while at < SHAPES.len() {
        let prefix = SHAPES[at].prefix;
        seconds[prefix[0] as usize] |= 1 << prefix[1];
        at += 1;
    }
    let ea = 1 << b'e' | 1 << b'a' | 1 << b'E' | 1 << b'A';
    seconds[b'b' as usize] |= ea;
    seconds[b'B' as usize] |= ea;
    seconds[b'e' as usize] |= 1 << b'y';
    seconds
};
