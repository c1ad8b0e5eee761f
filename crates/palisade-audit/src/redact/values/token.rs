//! Tokens that are known by the prefix their issuer gives them.

use super::classes::{BASE64, CLASSES, DIGIT, DOTTED, HEX, TOKEN68, UPPER, URL_SAFE, WORD, run};
use super::prose::WORDS;
use crate::redact::{Finding, Mask};

/// A token by the prefix that its issuer gives it.
#[inline(never)]
pub(super) fn token(text: &[u8], at: usize, runs: &mut Runs) -> Option<Finding> {
    let rest = &text[at..];
    // No token is as short.
    let head = *rest.first_chunk()?;
    let (from, to) = BY_PAIR[pair(head[0], head[1])];
    let head = u32::from_le_bytes(head);
    for shape in &ORDER[usize::from(from)..usize::from(to)] {
        let shape = &SHAPES[usize::from(*shape)];
        // Four bytes tell most of them apart; a call to compare them would cost more than all the rest.
        if head & shape.mask != shape.head || !rest.starts_with(shape.prefix) {
            continue;
        }
        if let Some(end) = shape.end(text, at + shape.prefix.len(), runs) {
            return Some(Finding {
                start: at,
                end: with_check(text, shape.prefix, end),
                mask: Mask::Fingerprint,
            });
        }
    }
    None
}

/// A token that begins with a digit: a refresh token of Google, a token of Asana, Bitwarden or Salesforce.
#[inline]
pub(super) fn numbered(text: &[u8], at: usize) -> Option<Finding> {
    let rest = &text[at..];
    let length = match *rest {
        [b'1', b'/', b'/', b'0', ..] => {
            let end = run(rest, 4, URL_SAFE);
            (end >= 24).then_some(end)
        }
        [b'1' | b'2', b'/', b'0'..=b'9', ..] => asana(rest),
        [b'0', b'.', ..] if is_uuid(&rest[2..]) => bitwarden(rest),
        [b'0', b'0', b'D', ..] => salesforce(rest),
        _ => None,
    }?;
    Some(Finding {
        start: at,
        end: at + length,
        mask: Mask::Fingerprint,
    })
}

/// `1/1204567890123456:…`, `2/1204567890123456/1204567890123457:…`, with 32 hexadecimal digits.
fn asana(rest: &[u8]) -> Option<usize> {
    let mut end = run(&rest[..rest.len().min(22)], 2, DIGIT);
    if rest[0] == b'2' && rest.get(end) == Some(&b'/') {
        end = run(&rest[..rest.len().min(end + 21)], end + 1, DIGIT);
    }
    let last = run(&rest[..rest.len().min(end + 34)], end + 1, WORD);
    let hex = rest.get(end + 1..last)?;
    (end >= 12 && rest[end] == b':' && hex.len() == 32 && hex.iter().all(u8::is_ascii_hexdigit))
        .then_some(last)
}

/// `0.`, a UUID, a secret and a key.
fn bitwarden(rest: &[u8]) -> Option<usize> {
    let secret = run(rest, 39, WORD);
    (rest.get(38) == Some(&b'.') && secret >= 59 && rest.get(secret) == Some(&b':'))
        .then(|| run(rest, secret + 1, BASE64))
}

/// `00D`, the rest of an organisation's id, and a session.
fn salesforce(rest: &[u8]) -> Option<usize> {
    let id = run(&rest[..rest.len().min(19)], 3, WORD);
    let end = run(rest, id + 1, DOTTED);
    (matches!(id, 15 | 18) && rest.get(id) == Some(&b'!') && end >= id + 40).then_some(end)
}

/// The end of a token with what some issuers put behind a sign that tokens do not have: Atlassian a check sum, Sentry
/// a signature, Databricks a number.
fn with_check(text: &[u8], prefix: &[u8], end: usize) -> usize {
    match prefix {
        b"ATATT3" | b"ATCTT3" | b"ATSTT3" => {
            let check = run(&text[..text.len().min(end + 10)], end + 1, HEX);
            if text.get(end) == Some(&b'=') && check == end + 9 {
                return check;
            }
        }
        b"dapi" => {
            if let Some([b'-', digit]) = text.get(end..end + 2)
                && digit.is_ascii_digit()
                && run(&text[..text.len().min(end + 3)], end + 1, WORD) == end + 2
            {
                return end + 2;
            }
        }
        b"sntrys_" => {
            let padding = end
                + text[end..]
                    .iter()
                    .take(2)
                    .take_while(|byte| **byte == b'=')
                    .count();
            if text.get(padding) == Some(&b'_') {
                return run(text, padding + 1, TOKEN68);
            }
        }
        _ => {}
    }
    end
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Look {
    /// So many letters at least.
    Any,
    /// So many, neither more nor less.
    Exact,
    /// As [`Look::Exact`], with digits, small letters and capitals.
    ExactMixed,
    /// With a digit, or both small letters and capitals.
    Mixed,
    /// The prefix is also a word's beginning, so the rest must look random.
    Opaque,
    /// Two parts with an underscore between.
    Two,
    /// Neither small letters nor underscores, and a digit.
    Upper,
    /// RFC 9562, section 4.
    Uuid,
}

pub(super) struct Shape {
    pub(super) prefix: &'static [u8],
    /// The first four bytes of the prefix, and which of them it has.
    head: u32,
    mask: u32,
    letters: u16,
    /// How many letters behind the prefix.
    min: usize,
    look: Look,
}

impl Shape {
    /// Where the token whose letters begin at `start` ends.
    fn end(&self, text: &[u8], start: usize, runs: &mut Runs) -> Option<usize> {
        let rest = text.get(start..)?;
        match self.look {
            Look::Two => {
                let first = run(&rest[..rest.len().min(16)], 0, WORD);
                let second = run(rest, first + 1, WORD);
                let parts =
                    first >= 6 && rest.get(first) == Some(&b'_') && second > first + self.min;
                return (parts && is_mixed(&rest[..second])).then_some(start + second);
            }
            Look::Uuid => return is_uuid(rest).then_some(start + 36),
            Look::Any
            | Look::Exact
            | Look::ExactMixed
            | Look::Mixed
            | Look::Opaque
            | Look::Upper => {}
        }
        let end = runs.end(text, start, self.letters, self.min + 48);
        let letters = &text[start..end];
        if letters.len() < self.min || is_example(letters) {
            return None;
        }
        let fits = match self.look {
            Look::Exact | Look::ExactMixed => {
                letters.len() == self.min
                    && (self.look == Look::Exact || is_thoroughly_mixed(letters))
                    && text
                        .get(end)
                        .is_none_or(|byte| CLASSES[usize::from(*byte)] & (WORD | self.letters) == 0)
            }
            Look::Mixed => is_mixed(letters),
            Look::Upper => {
                letters.iter().any(u8::is_ascii_digit)
                    && letters
                        .iter()
                        .all(|byte| CLASSES[usize::from(*byte)] & UPPER != 0 || *byte == b'-')
            }
            // Random letters rather than words with hyphens between.
            Look::Opaque => {
                runs.random(text, start) < end || memchr::memchr(b'-', letters).is_none()
            }
            Look::Any | Look::Two | Look::Uuid => true,
        };
        if !fits {
            return None;
        }
        // What was looked at may be only the head; a dot at the end is the sentence's.
        let mut end = run(text, end, self.letters);
        while self.letters == DOTTED && text[end - 1] == b'.' {
            end -= 1;
        }
        Some(end)
    }
}

/// Where runs of letters end: remembered, since a run of many beginnings would else be read for each of them.
#[derive(Default)]
pub(super) struct Runs {
    url_safe: (usize, usize),
    dotted: (usize, usize),
    random: (usize, usize),
}

impl Runs {
    /// Where the run of the class at `start` ends; for some classes only as far as `most` letters.
    fn end(&mut self, text: &[u8], start: usize, class: u16, most: usize) -> usize {
        let known = match class {
            URL_SAFE => &mut self.url_safe,
            DOTTED => &mut self.dotted,
            _ => return run(&text[..text.len().min(start + most)], start, class),
        };
        if !(known.0..known.1).contains(&start) {
            *known = (start, run(text, start, class));
        }
        known.1
    }

    /// Where the next digit or capital is.
    fn random(&mut self, text: &[u8], start: usize) -> usize {
        if !(self.random.0..=self.random.1).contains(&start) || self.random.1 == 0 {
            let rest = &text[start..];
            let length = rest
                .iter()
                .position(|byte| byte.is_ascii_digit() || byte.is_ascii_uppercase());
            self.random = (start, start + length.unwrap_or(rest.len()));
        }
        self.random.1
    }
}

/// With a digit and a letter, or letters of both sizes, in its beginning.
fn is_mixed(letters: &[u8]) -> bool {
    let (mut digit, mut lower, mut upper) = (false, false, false);
    for byte in letters.iter().take(64) {
        digit |= byte.is_ascii_digit();
        lower |= byte.is_ascii_lowercase();
        upper |= byte.is_ascii_uppercase();
    }
    digit && (lower || upper) || lower && upper
}

/// With digits, small letters and capitals.
fn is_thoroughly_mixed(letters: &[u8]) -> bool {
    letters.iter().any(u8::is_ascii_digit)
        && letters.iter().any(u8::is_ascii_lowercase)
        && letters.iter().any(u8::is_ascii_uppercase)
}

/// `xxxxxxxx`, as documentation has it.
fn is_example(letters: &[u8]) -> bool {
    !letters.is_empty()
        && letters
            .iter()
            .all(|byte| matches!(byte, b'x' | b'X' | b'.'))
}

fn is_uuid(text: &[u8]) -> bool {
    let Some(text) = text.get(..36) else {
        return false;
    };
    text.iter().enumerate().all(|(at, byte)| match at {
        8 | 13 | 18 | 23 => *byte == b'-',
        _ => byte.is_ascii_hexdigit(),
    })
}

const fn shape(prefix: &'static str, letters: u16, min: usize, look: Look) -> Shape {
    let (mut head, mut mask) = ([0; 4], [0; 4]);
    let mut at = 0;
    while at < prefix.len() && at < 4 {
        head[at] = prefix.as_bytes()[at];
        mask[at] = 0xff;
        at += 1;
    }
    Shape {
        prefix: prefix.as_bytes(),
        head: u32::from_le_bytes(head),
        mask: u32::from_le_bytes(mask),
        letters,
        min,
        look,
    }
}

/// By their issuers' documentation; lengths are lower bounds, for issuers lengthen them. Longer prefixes come first.
pub(super) static SHAPES: &[Shape] = &[
    shape("AAAAAAAAAAAAAAAAAAAA", TOKEN68, 60, Look::Mixed),
    shape("A3-", URL_SAFE, 32, Look::Upper),
    shape("AGE-SECRET-KEY-1", URL_SAFE, 20, Look::Any),
    shape("ATATT3", URL_SAFE, 20, Look::Any),
    shape("ATCTT3", URL_SAFE, 20, Look::Any),
    shape("ATSTT3", URL_SAFE, 20, Look::Any),
    shape("ABIA", UPPER, 16, Look::Any),
    shape("ABSK", BASE64, 40, Look::Any),
    shape("ACCA", UPPER, 16, Look::Any),
    shape("AIza", URL_SAFE, 30, Look::Any),
    shape("AKCp", WORD, 60, Look::Mixed),
    shape("AKIA", UPPER, 16, Look::Any),
    shape("AKID", WORD, 32, Look::Any),
    shape("AQVN", DOTTED, 20, Look::Mixed),
    shape("ASIA", UPPER, 16, Look::Any),
    shape("ATBB", URL_SAFE, 20, Look::Mixed),
    shape("ATTA", HEX, 64, Look::Exact),
    shape("BSA", URL_SAFE, 28, Look::ExactMixed),
    shape("CCDB1_", URL_SAFE, 20, Look::Any),
    shape("CCIPAT_", URL_SAFE, 20, Look::Any),
    shape("CCIPRJ_", URL_SAFE, 20, Look::Any),
    shape("CLOJARS_", WORD, 40, Look::Any),
    shape("CFPAT-", WORD, 20, Look::Any),
    shape("EZAK", WORD, 20, Look::Mixed),
    shape("EZTK", WORD, 20, Look::Mixed),
    shape("EAACEdEose0cBA", WORD, 10, Look::Any),
    shape("EAA", DOTTED, 60, Look::Mixed),
    shape("FLWSECK_TEST-", URL_SAFE, 20, Look::Any),
    shape("FwoGZXIvYXdz", BASE64, 40, Look::Any),
    shape("FLWSECK-", URL_SAFE, 20, Look::Any),
    shape("GOCSPX-", URL_SAFE, 20, Look::Any),
    shape("GR1348941", URL_SAFE, 20, Look::Any),
    shape("HRKU-", URL_SAFE, 20, Look::Mixed),
    shape("IQoJb3JpZ2lu", BASE64, 40, Look::Any),
    shape("KGAT_", WORD, 20, Look::Any),
    shape("LTAI", WORD, 12, Look::Mixed),
    shape("NRAK-", URL_SAFE, 20, Look::Any),
    shape("NRII-", URL_SAFE, 20, Look::Any),
    shape("NRJS-", URL_SAFE, 20, Look::Any),
    shape("NRRA-", URL_SAFE, 20, Look::Any),
    shape("PMAK-", URL_SAFE, 20, Look::Any),
    shape("SG.", DOTTED, 30, Look::Any),
    shape("SK", HEX, 32, Look::Exact),
    shape("access-development-", HEX, 0, Look::Uuid),
    shape("access-production-", HEX, 0, Look::Uuid),
    shape("access-sandbox-", HEX, 0, Look::Uuid),
    shape("amzn.mws.", HEX, 0, Look::Uuid),
    shape("atlasv1.", URL_SAFE, 40, Look::Any),
    shape("api-", HEX, 0, Look::Uuid),
    shape("apify_api_", URL_SAFE, 20, Look::Any),
    shape("api_org_", WORD, 20, Look::Any),
    shape("aio_", WORD, 20, Look::Mixed),
    shape("bb_live_", URL_SAFE, 20, Look::Any),
    shape("bb_test_", URL_SAFE, 20, Look::Any),
    shape("bkua_", WORD, 20, Look::Any),
    shape("cio", WORD, 32, Look::ExactMixed),
    shape("cal_live_", WORD, 20, Look::Any),
    shape("cflt", BASE64, 56, Look::Mixed),
    shape("cnvca", URL_SAFE, 40, Look::Mixed),
    shape("ctx7sk-", URL_SAFE, 20, Look::Any),
    shape("cmVmdGtu", WORD, 60, Look::Mixed),
    shape("cfat_", URL_SAFE, 20, Look::Any),
    shape("cfut_", URL_SAFE, 20, Look::Any),
    shape("cfk_", URL_SAFE, 20, Look::Any),
    shape("csk-", WORD, 20, Look::Mixed),
    shape("duffel_live_", WORD, 20, Look::Any),
    shape("dckr_oat_", URL_SAFE, 20, Look::Any),
    shape("dckr_pat_", URL_SAFE, 20, Look::Any),
    shape("dp.audit.", URL_SAFE, 20, Look::Any),
    shape("dp.scim.", URL_SAFE, 20, Look::Any),
    shape("doo_v1_", HEX, 32, Look::Any),
    shape("dop_v1_", HEX, 32, Look::Any),
    shape("dor_v1_", HEX, 32, Look::Any),
    shape("dt0c01.", DOTTED, 20, Look::Any),
    shape("dt0s01.", DOTTED, 20, Look::Any),
    shape("dp.ct.", URL_SAFE, 20, Look::Any),
    shape("dp.pt.", URL_SAFE, 20, Look::Any),
    shape("dp.sa.", URL_SAFE, 20, Look::Any),
    shape("dp.st.", DOTTED, 20, Look::Any),
    shape("dbtc_", WORD, 20, Look::Any),
    shape("dbtu_", WORD, 20, Look::Any),
    shape("dapi", HEX, 32, Look::Any),
    shape("dkea", HEX, 32, Look::Mixed),
    shape("dose", HEX, 32, Look::Mixed),
    shape("e2b_", WORD, 20, Look::Mixed),
    shape("esecret_", WORD, 20, Look::Any),
    shape("essu_", BASE64, 20, Look::Any),
    shape("eyJrIjoi", BASE64, 60, Look::Any),
    shape("figd_", URL_SAFE, 20, Look::Any),
    shape("figo_", URL_SAFE, 20, Look::Any),
    shape("figu_", URL_SAFE, 20, Look::Any),
    shape("fm1r_", URL_SAFE, 20, Look::Any),
    shape("fm2_", URL_SAFE, 20, Look::Any),
    shape("fo1_", URL_SAFE, 20, Look::Any),
    shape("fc-", HEX, 24, Look::Mixed),
    shape("fw_", WORD, 20, Look::Mixed),
    shape("github_pat_", URL_SAFE, 16, Look::Any),
    shape("glagent-", DOTTED, 16, Look::Any),
    shape("glffct-", DOTTED, 16, Look::Any),
    shape("glsoat-", DOTTED, 16, Look::Any),
    shape("glcbt-", DOTTED, 16, Look::Any),
    shape("glimt-", DOTTED, 16, Look::Any),
    shape("gloas-", DOTTED, 16, Look::Any),
    shape("glpat-", DOTTED, 16, Look::Any),
    shape("glptt-", DOTTED, 16, Look::Any),
    shape("glrtr-", DOTTED, 16, Look::Any),
    shape("gldt-", DOTTED, 16, Look::Any),
    shape("glft-", DOTTED, 16, Look::Any),
    shape("glrt-", DOTTED, 16, Look::Any),
    shape("glsa_", URL_SAFE, 20, Look::Any),
    shape("glwt-", DOTTED, 16, Look::Any),
    shape("gho_", URL_SAFE, 16, Look::Any),
    shape("ghp_", URL_SAFE, 16, Look::Any),
    shape("ghr_", URL_SAFE, 16, Look::Any),
    shape("ghs_", DOTTED, 16, Look::Any),
    shape("ghu_", URL_SAFE, 16, Look::Any),
    shape("glc_", URL_SAFE, 20, Look::Mixed),
    shape("gsk-", URL_SAFE, 20, Look::Mixed),
    shape("gsk_", URL_SAFE, 20, Look::Any),
    shape("hvb.", URL_SAFE, 20, Look::Any),
    shape("hvr.", URL_SAFE, 20, Look::Any),
    shape("hvs.", URL_SAFE, 20, Look::Any),
    shape("hf_", WORD, 20, Look::Any),
    shape("hbp_", WORD, 20, Look::Mixed),
    shape("hcaik_", WORD, 20, Look::Any),
    shape("hcxik_", WORD, 20, Look::Any),
    shape("jina_", WORD, 20, Look::Any),
    shape("key-", HEX, 32, Look::Exact),
    shape("lin_oauth_", WORD, 20, Look::Any),
    shape("lin_api_", WORD, 20, Look::Any),
    shape("lsv2_pt_", URL_SAFE, 20, Look::Any),
    shape("lsv2_sk_", URL_SAFE, 20, Look::Any),
    shape("lin_wh_", WORD, 20, Look::Any),
    shape("mdb_sa_sk_", URL_SAFE, 20, Look::Any),
    shape("lip_", WORD, 20, Look::Mixed),
    shape("mfa.", URL_SAFE, 80, Look::Any),
    shape("mob-", HEX, 0, Look::Uuid),
    shape("n8n_api_", DOTTED, 20, Look::Any),
    shape("nvapi-", URL_SAFE, 20, Look::Any),
    shape("napi_", WORD, 20, Look::Any),
    shape("nfp_", WORD, 20, Look::Any),
    shape("npm_", WORD, 20, Look::Any),
    shape("ntn_", WORD, 20, Look::Any),
    shape("oy2", WORD, 43, Look::Exact),
    shape("ops_eyJ", WORD, 20, Look::Any),
    shape("packagist_ack_", WORD, 20, Look::Any),
    shape("pdl_live_", URL_SAFE, 20, Look::Any),
    shape("pdl_sdbx_", URL_SAFE, 20, Look::Any),
    shape("polar_oat_", WORD, 20, Look::Any),
    shape("pscale_oauth_", URL_SAFE, 20, Look::Any),
    shape("pscale_tkn_", URL_SAFE, 20, Look::Any),
    shape("pscale_pw_", URL_SAFE, 20, Look::Any),
    shape("pat-ap1-", HEX, 0, Look::Uuid),
    shape("pat-eu1-", HEX, 0, Look::Uuid),
    shape("pat-na1-", HEX, 0, Look::Uuid),
    shape("pat-na2-", HEX, 0, Look::Uuid),
    shape("pcsk_", URL_SAFE, 20, Look::Any),
    shape("pa-", URL_SAFE, 40, Look::Mixed),
    shape("pk_", WORD, 30, Look::Two),
    shape("pplx-", WORD, 20, Look::Mixed),
    shape("pypi-", URL_SAFE, 16, Look::Opaque),
    shape("phx_", WORD, 20, Look::Any),
    shape("pnb_", WORD, 20, Look::Any),
    shape("pnu_", WORD, 20, Look::Any),
    shape("pul-", URL_SAFE, 20, Look::Mixed),
    shape("pat", DOTTED, 60, Look::Mixed),
    shape("retool_", WORD, 20, Look::Any),
    shape("rpa_", WORD, 20, Look::Mixed),
    shape("rubygems_", WORD, 20, Look::Any),
    shape("rzp_live_", WORD, 20, Look::Any),
    shape("rzp_test_", WORD, 20, Look::Any),
    shape("rk_live_", WORD, 10, Look::Any),
    shape("rk_test_", WORD, 10, Look::Any),
    shape("rdme_", WORD, 20, Look::Any),
    shape("rnd_", WORD, 20, Look::Mixed),
    shape("r8_", WORD, 20, Look::Any),
    shape("re_", WORD, 16, Look::Two),
    shape("secret-token:", URL_SAFE, 10, Look::Any),
    shape("sha256~", URL_SAFE, 40, Look::Mixed),
    shape("shippo_live_", WORD, 20, Look::Any),
    shape("sb_secret_", URL_SAFE, 16, Look::Any),
    shape("sk_live_", WORD, 10, Look::Any),
    shape("sk_test_", WORD, 10, Look::Any),
    shape("secret_", WORD, 32, Look::Any),
    shape("shptka_", HEX, 20, Look::Any),
    shape("sk_org_", WORD, 10, Look::Any),
    shape("sm_pat_", URL_SAFE, 20, Look::Any),
    shape("sntrys_", DOTTED, 20, Look::Any),
    shape("sntryu_", DOTTED, 20, Look::Any),
    shape("sq0atp-", URL_SAFE, 20, Look::Any),
    shape("sq0csp-", URL_SAFE, 20, Look::Any),
    shape("shpat_", HEX, 20, Look::Any),
    shape("shpca_", HEX, 20, Look::Any),
    shape("shppa_", HEX, 20, Look::Any),
    shape("shpua_", HEX, 20, Look::Any),
    shape("shpss_", HEX, 20, Look::Any),
    shape("sk-lf-", HEX, 0, Look::Uuid),
    shape("sk.eyJ", DOTTED, 20, Look::Any),
    shape("sess-", URL_SAFE, 16, Look::Opaque),
    shape("sbp_", WORD, 20, Look::Any),
    shape("sdk-", HEX, 0, Look::Uuid),
    shape("sgp_", URL_SAFE, 20, Look::Any),
    shape("slk_", WORD, 20, Look::Any),
    shape("sqa_", HEX, 40, Look::Exact),
    shape("sqp_", HEX, 40, Look::Exact),
    shape("squ_", HEX, 40, Look::Exact),
    shape("sk-", URL_SAFE, 16, Look::Opaque),
    shape("sk_", HEX, 48, Look::Exact),
    shape("s.", WORD, 24, Look::ExactMixed),
    shape("sl.", DOTTED, 60, Look::Mixed),
    shape("t1.9euel", DOTTED, 20, Look::Any),
    shape("tgp_v1_", WORD, 20, Look::Any),
    shape("tskey-", URL_SAFE, 20, Look::Any),
    shape("tvly-", URL_SAFE, 20, Look::Any),
    shape("tfp_", URL_SAFE, 20, Look::Mixed),
    shape("v1.0-", URL_SAFE, 150, Look::Any),
    shape("vca_", WORD, 20, Look::Any),
    shape("vci_", WORD, 20, Look::Any),
    shape("vck_", WORD, 20, Look::Any),
    shape("vcp_", WORD, 20, Look::Any),
    shape("vcr_", WORD, 20, Look::Any),
    shape("wandb_v1_", WORD, 20, Look::Any),
    shape("whsec_", BASE64, 16, Look::Any),
    shape("xau_", WORD, 20, Look::Any),
    shape("xsmtpsib-", URL_SAFE, 20, Look::Any),
    shape("xkeysib-", URL_SAFE, 20, Look::Any),
    shape("xapp-", URL_SAFE, 10, Look::Opaque),
    shape("xoxa-", URL_SAFE, 10, Look::Opaque),
    shape("xoxb-", URL_SAFE, 10, Look::Opaque),
    shape("xoxc-", URL_SAFE, 10, Look::Opaque),
    shape("xoxd-", URL_SAFE, 10, Look::Opaque),
    shape("xoxe-", URL_SAFE, 10, Look::Opaque),
    shape("xoxe.", DOTTED, 10, Look::Opaque),
    shape("xoxo-", URL_SAFE, 10, Look::Opaque),
    shape("xoxp-", URL_SAFE, 10, Look::Opaque),
    shape("xoxr-", URL_SAFE, 10, Look::Opaque),
    shape("xoxs-", URL_SAFE, 10, Look::Opaque),
    shape("xai-", URL_SAFE, 20, Look::Mixed),
    shape("ya29.", DOTTED, 20, Look::Any),
    shape("y0_", DOTTED, 20, Look::Any),
];

/// By the first two letters, of any size: where their shapes stand in [`ORDER`].
static BY_PAIR: [(u16, u16); 1024] = {
    let mut places = [(0, 0); 1024];
    let mut at = 0;
    while at < SHAPES.len() {
        places[pair(SHAPES[at].prefix[0], SHAPES[at].prefix[1])].1 += 1;
        at += 1;
    }
    let mut end = 0;
    at = 0;
    while at < places.len() {
        places[at].0 = end;
        end += places[at].1;
        places[at].1 = end;
        at += 1;
    }
    places
};

/// The numbers of [`SHAPES`], those with the same first two letters together, and among these as they stand there.
static ORDER: [u16; SHAPES.len()] = {
    let mut order = [0; SHAPES.len()];
    let mut next = BY_PAIR;
    let mut at = 0;
    while at < SHAPES.len() {
        let place = &mut next[pair(SHAPES[at].prefix[0], SHAPES[at].prefix[1])].0;
        order[*place as usize] = at as u16;
        *place += 1;
        at += 1;
    }
    order
};

/// By first letter of a word: one bit for each second letter that anything we look for has.
static SECONDS: [u128; 256] = {
    let mut seconds = [0; 256];
    let mut at = 0;
    while at < SHAPES.len() {
        let prefix = SHAPES[at].prefix;
        seconds[prefix[0] as usize] |= 1 << prefix[1];
        at += 1;
    }
    at = 0;
    while at < WORDS.len() {
        let word = WORDS[at].as_bytes();
        let second = 1 << word[1] | 1 << word[1].to_ascii_uppercase();
        seconds[word[0] as usize] |= second;
        seconds[word[0].to_ascii_uppercase() as usize] |= second;
        at += 1;
    }
    seconds[b'e' as usize] |= 1 << b'y';
    seconds
};

/// By the first two letters of a word, of any size: one bit for each third one that anything we look for has.
static THIRDS: [u32; 1024] = {
    let mut thirds = [0; 1024];
    let mut at = 0;
    while at < SHAPES.len() {
        let prefix = SHAPES[at].prefix;
        thirds[pair(prefix[0], prefix[1])] |= if prefix.len() > 2 {
            1 << (prefix[2] & 31)
        } else {
            u32::MAX
        };
        at += 1;
    }
    at = 0;
    while at < WORDS.len() {
        let word = WORDS[at].as_bytes();
        thirds[pair(word[0], word[1])] |= if word.len() > 2 {
            1 << (word[2] & 31)
        } else {
            u32::MAX
        };
        at += 1;
    }
    thirds[pair(b'e', b'y')] |= 1 << (b'J' & 31);
    thirds
};

const fn pair(first: u8, second: u8) -> usize {
    ((first & 31) as usize) << 5 | (second & 31) as usize
}

/// Whether something we look for begins with these three letters: nearly every word of a sentence is told apart here.
#[inline]
pub(super) fn may_begin(first: u8, second: u8, third: u8) -> bool {
    SECONDS[usize::from(first)] & 1 << second != 0
        && THIRDS[pair(first, second)] & 1 << (third & 31) != 0
}

#[cfg(test)]
mod tests;
