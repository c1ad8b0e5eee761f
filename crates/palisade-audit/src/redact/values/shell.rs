//! Secrets that commands take from a pipe, a here-string, or as a word of their own.

use super::classes::{VISIBLE, WORD, run_within};
use super::flag::words;
use super::value::{self, skip_space, telling, visible_end};
use crate::redact::keys::{Kind, mask_length, placeholder};
use crate::redact::words::Words;
use crate::redact::{Finding, Mask};

/// `echo secret | sudo -S …`, `echo user:secret | chpasswd`.
#[inline(never)]
pub(super) fn piped(text: &[u8], at: usize) -> Option<Finding> {
    let word = run_within(text, at, WORD, 8);
    let name = &text[at..word];
    if !matches!(name, b"echo" | b"printf") || text.get(word) != Some(&b' ') {
        return None;
    }
    let limit = text.len().min(at + PIPE_MAX);
    let line = &text[..limit];
    let pipe = word + memchr::memchr2(b'|', b'\n', &line[word..])?;
    let reader = Reader::of(&text[pipe..].strip_prefix(b"|")?.trim_ascii_start())?;
    let mut start = skip_space(line, word);
    // Flags, and the format of `printf`.
    while line.get(start) == Some(&b'-') && start < pipe {
        start = skip_space(line, visible_end(line, start));
    }
    if name == b"printf" {
        let (_, end) = argument(line, start, pipe)?;
        let format = &line[start..end];
        if memchr::memchr(b'%', format).is_some() {
            start = skip_space(line, quote_end(line, end));
        }
    }
    let (mut from, to) = argument(line, start, pipe)?;
    if reader == Reader::Pairs {
        from += 1 + memchr::memchr(b':', &line[from..to])?;
    }
    judge(text, from, to)
}

/// `sudo -S … <<< secret`; `floor`: what lies before was looked at.
#[inline(never)]
pub(super) fn here(text: &[u8], floor: usize, at: usize) -> Option<Finding> {
    let lowest = floor.max(at.saturating_sub(96)).min(at);
    let line = &text[lowest..at];
    let line = match memchr::memrchr3(b'\n', b';', b'|', line) {
        Some(sign) => &line[sign + 1..],
        None => line,
    };
    let after = skip_space(text, at + 3);
    if matches!(text.get(after), None | Some(b'<' | b'$' | b'\n')) {
        return None;
    }
    let (mut from, to) = argument(text, after, text.len().min(after + PIPE_MAX))?;
    let rest = &text[to..text.len().min(to + 32)];
    let command = [line.trim_ascii(), rest].concat();
    let reader = Reader::of(&command.as_slice())?;
    if reader == Reader::Pairs {
        from += 1 + memchr::memchr(b':', &text[from..to])?;
    }
    judge(text, from, to)
}

/// `htpasswd -b file user secret` and its kin, where the secret is known by its place.
#[inline(never)]
pub(super) fn placed(text: &[u8], at: usize) -> Option<Finding> {
    let before = text[..at].last();
    if !matches!(
        before,
        None | Some(
            b' ' | b'\n'
                | b'/'
                | b'"'
                | b'\''
                | b'`'
                | b'('
                | b';'
                | b'|'
                | b'$'
                | b'&'
                | b'\t'
                | b'#'
        )
    ) {
        return None;
    }
    let end = at
        + text[at..]
            .iter()
            .take(24)
            .take_while(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
            .count();
    // Nearly every word is done with here.
    if !matches!(text.get(end), Some(b' ' | b'\t')) {
        return None;
    }
    let name = &text[at..end];
    let line = &text[..text.len().min(end + PIPE_MAX)];
    match name {
        b"setx" | b"setenv" | b"ENV" => return variable(text, line, end),
        // `#define API_KEY "…"` of C.
        b"define" if before == Some(&b'#') => return variable(text, line, end),
        // Of a shell without a flag it sets no variable that others see.
        b"set" if line[end..].starts_with(b" -") => {
            let flag = visible_end(line, end + 1);
            return variable(text, line, flag);
        }
        b"sqlplus" => return slashed(text, line, end),
        _ => {}
    }
    PLACES
        .iter()
        .filter(|place| {
            // One letter tells most of them apart; a call to compare them would cost more than all the rest.
            text[at] | 0x20 == place.name[0] && name.eq_ignore_ascii_case(place.name)
        })
        .find_map(|place| place.find(text, line, end))
}

/// `setx API_KEY …`, `ENV API_KEY …` of a Dockerfile, `set -x API_KEY …` of fish.
fn variable(text: &[u8], line: &[u8], end: usize) -> Option<Finding> {
    let start = skip_space(line, end);
    let (from, to) = argument(line, start, line.len())?;
    let name = &line[from..to];
    if memchr::memchr(b'=', name).is_some() {
        return None;
    }
    let kind = value::in_text(name)?;
    let next = skip_space(line, quote_end(line, to));
    let (from, to) = argument(line, next, line.len())?;
    kind.judge(&line[from..to])?;
    judge(text, from, to)
}

/// `sqlplus scott/tiger@db`
fn slashed(text: &[u8], line: &[u8], end: usize) -> Option<Finding> {
    let start = skip_space(line, end);
    let (from, to) = argument(line, start, line.len())?;
    let word = &line[from..to];
    let slash = memchr::memchr(b'/', word)?;
    let sign = memchr::memchr(b'@', &word[slash..]).map_or(word.len(), |length| slash + length);
    (slash > 0)
        .then(|| judge(text, from + slash + 1, from + sign))
        .flatten()
}

impl Place {
    fn find(&self, text: &[u8], line: &[u8], end: usize) -> Option<Finding> {
        let mut rest = end;
        for word in self.then {
            rest = skip_space(line, rest);
            let (from, to) = argument(line, rest, line.len())?;
            let holds = &line[from..to];
            let fits = match word.strip_prefix('~') {
                Some(part) => memchr::memmem::find(holds, part.as_bytes()).is_some(),
                None => holds.eq_ignore_ascii_case(word.as_bytes()),
            };
            if !fits {
                return None;
            }
            rest = to;
        }
        let mut skip = self.skip;
        // `htpasswd` asks, unless it is told otherwise.
        let mut told = self.name != b"htpasswd";
        loop {
            rest = skip_space(line, quote_end(line, rest));
            if matches!(
                line.get(rest),
                None | Some(b'\n' | b'|' | b';' | b'<' | b'>')
            ) {
                return None;
            }
            let (from, to) = argument(line, rest, line.len())?;
            if to == from {
                return None;
            }
            let word = &line[from..to];
            rest = to;
            if word.starts_with(b"-") || self.slashes && word.starts_with(b"/") {
                if self.name == b"htpasswd" {
                    told |= word.contains(&b'b');
                    // `htpasswd -nb user secret` has no file.
                    skip -= usize::from(word.contains(&b'n')).min(skip);
                }
                continue;
            }
            // `net use Z: \\\\host\\share …`
            if self.slashes
                && matches!(word, [_, b':'])
                && line[skip_space(line, rest)..].starts_with(b"\\")
            {
                continue;
            }
            if skip > 0 {
                skip -= 1;
                continue;
            }
            let bare = !matches!(line[from - 1], b'"' | b'\'');
            // `vault login token=…` and `vault login hvs.…` are found by what they are.
            let named = self.name == b"vault" && memchr::memchr2(b'=', b'.', word).is_some();
            if !told || named || bare && !telling(word) || word.len() < 3 {
                return None;
            }
            return judge(text, from, to);
        }
    }
}

/// Whether a command of this name may be told to keep a value under a name.
#[inline]
pub(super) fn keeps(command: &[u8]) -> bool {
    KEEPERS.contains(command)
}

/// `aws configure set aws_secret_access_key …`, `rclone config create r s3 secret_access_key …`: what stands behind the
/// names of secrets in the rest of the line, the last one first; and where that ends.
pub(super) fn kept(text: &[u8], at: usize, end: usize) -> (usize, Vec<Finding>) {
    let limit = text.len().min(end + PIPE_MAX);
    let length = memchr::memchr3(b'\n', b'|', b';', &text[end..limit]).unwrap_or(limit - end);
    let line = &text[..end + length];
    let mut found = Vec::new();
    let mut verb = false;
    let mut name: Option<(Kind, bool)> = None;
    let mut at = if text[at..].starts_with(b"redis-cli") {
        end + 4
    } else {
        end
    };
    loop {
        at = skip_space(line, quote_end(line, at));
        let Some((from, to)) = argument(line, at, line.len()) else {
            break;
        };
        if to == from {
            break;
        }
        let word = &line[from..to];
        at = to;
        if !verb {
            verb = VERBS.contains(word);
            // Flags may stand between, and one word: `kv put`, `dev wifi`.
            continue;
        }
        let known = std::mem::take(&mut name);
        if word.starts_with(b"-") {
            continue;
        }
        if let Some((kind, compound)) = known {
            // In a sentence about it a word follows.
            let prose = !telling(word) && (!compound || super::flag::is_prose(word));
            let elsewhere = matches!(word[0], b'$' | b'`' | b'%' | b'<');
            if !prose
                && !elsewhere
                && let Some(mask) = kind.judge(word)
            {
                found.push(Finding {
                    start: from,
                    end: to,
                    mask,
                });
            }
            continue;
        }
        if memchr::memchr(b'=', word).is_some() {
            continue;
        }
        let last = word
            .rsplit(|byte| matches!(byte, b'/' | b':' | b'.'))
            .next()
            .unwrap_or_default();
        let compound = word.iter().any(|byte| b"/:._-".contains(byte));
        name = value::in_text(last)
            .filter(|kind| {
                matches!(kind, Kind::Password | Kind::Token | Kind::Word)
                    // The id of a key of GPG.
                    && !last.eq_ignore_ascii_case(b"signingkey")
            })
            .map(|kind| (kind, compound));
    }
    found.reverse();
    (line.len(), found)
}

/// Commands that keep values under names.
static KEEPERS: Words<17> = Words::new([
    "rclone", "netlify", "pdftk", "aws", "git", "consul", "etcdctl", "redis", "nmcli", "bundle",
    "dotnet", "cf", "yarn", "pnpm", "pip", "conda", "gcloud",
]);

/// What they are told.
static VERBS: Words<14> = Words::new([
    "env:set",
    "output",
    "config",
    "configure",
    "put",
    "set",
    "set-env",
    "user-secrets",
    "connect",
    "create",
    "update",
    "modify",
    "add",
    "hset",
]);

/// `AUTH secret`, `AUTH user secret`: of Redis, as a line of its own or behind `redis-cli`.
pub(super) fn auth(text: &[u8], at: usize) -> Option<Finding> {
    if !text[at..].starts_with(b"AUTH ") {
        return None;
    }
    let head = &text[at.saturating_sub(64)..at];
    let begins =
        matches!(head.last(), None | Some(b'\n' | b'"' | b'\'' | b'`')) || head.ends_with(b"> ");
    let cli = memchr::memchr(b'r', head)
        .is_some_and(|from| memchr::memmem::find(&head[from..], b"redis-cli").is_some());
    if !cli && !begins {
        return None;
    }
    let (mut from, mut to) = argument(text, at + 5, text.len().min(at + 261))?;
    let next = skip_space(text, quote_end(text, to));
    if let Some((start, end)) = argument(text, next, text.len().min(next + 256))
        && end > start
        && !matches!(text[start], b'-' | b'|' | b';' | b'#')
    {
        let after = skip_space(text, quote_end(text, end));
        if !cli
            && text
                .get(after)
                .is_some_and(|byte| *byte != b'\n' && *byte != b'\r')
        {
            return None;
        }
        (from, to) = (start, end);
    }
    let word = text.get(from..to)?;
    (telling(word) || cli && word.len() >= 4)
        .then(|| judge(text, from, to))
        .flatten()
}

/// Who reads a secret from standard input.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reader {
    /// `user:secret`
    Pairs,
    Secret,
}

impl Reader {
    fn of(command: &&[u8]) -> Option<Self> {
        let command = &command[..command.len().min(128)];
        let end = command
            .iter()
            .position(|byte| matches!(byte, b'|' | b'\n' | b';'))
            .unwrap_or(command.len());
        let command = &command[..end];
        let has = |part: &str| memchr::memmem::find(command, part.as_bytes()).is_some();
        let first = words(command).next()?.0;
        match first {
            b"sudo" => {
                if has("chpasswd") {
                    Some(Self::Pairs)
                } else if has(" -S") || has("--stdin") || has(" passwd") || has("cryptsetup") {
                    Some(Self::Secret)
                } else {
                    None
                }
            }
            b"chpasswd" => Some(Self::Pairs),
            b"passwd" | b"kinit" | b"vncpasswd" | b"smbpasswd" | b"cryptsetup" | b"su" => {
                Some(Self::Secret)
            }
            b"gpg" | b"gpg2" => has("--passphrase-fd").then_some(Self::Secret),
            b"openssl" => has("stdin").then_some(Self::Secret),
            b"docker" | b"podman" | b"helm" | b"nerdctl" | b"oras" | b"crane" | b"skopeo"
            | b"buildah" | b"gh" | b"glab" | b"gcloud" | b"kubectl" | b"vercel" | b"wrangler"
            | b"flyctl" | b"fly" | b"npx" | b"op" | b"vault" | b"az" => {
                (has("-stdin") || has("--with-token") || has(" secret") || has("--data-file=-"))
                    .then_some(Self::Secret)
            }
            _ => None,
        }
    }
}

/// Where the secret of a command stands.
struct Place {
    name: &'static [u8],
    /// The words that must follow; `~` for a part of one.
    then: &'static [&'static str],
    /// Words before the secret, flags not counted.
    skip: usize,
    /// What begins with a slash is a flag.
    slashes: bool,
}

const fn place(name: &'static str, then: &'static [&'static str], skip: usize) -> Place {
    Place {
        name: name.as_bytes(),
        then,
        skip,
        slashes: false,
    }
}

const PLACES: &[Place] = &[
    place("rabbitmqctl", &["~_user"], 1),
    place("rabbitmqctl", &["change_password"], 1),
    place("htpasswd", &[], 2),
    place("wpa_passphrase", &[], 1),
    place("cargo", &["login"], 0),
    place("ngrok", &["authtoken"], 0),
    place("ngrok", &["config", "add-authtoken"], 0),
    place("poetry", &["config", "~pypi-token"], 0),
    place("poetry", &["config", "~http-basic"], 1),
    place("mc", &["alias", "set"], 3),
    Place {
        slashes: true,
        ..place("net", &["user"], 1)
    },
    Place {
        slashes: true,
        ..place("net", &["use"], 1)
    },
    place("npm", &["config", "set", "~_auth"], 0),
    place("pulumi", &["config", "set", "--secret"], 1),
    place("gcloud", &["auth", "activate-refresh-token"], 0),
    place("convertto-securestring", &[], 0),
    place("snyk", &["auth"], 0),
    place("vault", &["login"], 0),
    place("openssl", &["passwd"], 0),
    place("bw", &["unlock"], 0),
    place("bw", &["login"], 1),
];

/// A word, or what stands in quotes: from and to, without the quotes.
fn argument(text: &[u8], start: usize, limit: usize) -> Option<(usize, usize)> {
    let (from, to) = match text.get(start)? {
        b'"' | b'\'' => value::quoted(&text[..limit.max(start)], start)?,
        b'\\' => value::quoted(text, start).unwrap_or_else(|| (start, visible_end(text, start))),
        _ => {
            let end = run_within(text, start, VISIBLE, limit.saturating_sub(start));
            let word = &text[start..end];
            let length = word
                .iter()
                .position(|byte| matches!(byte, b';' | b')' | b'|' | b'"' | b'\'' | b'`'))
                .unwrap_or(word.len());
            (start, start + length)
        }
    };
    (to <= limit.max(start)).then_some((from, to))
}

/// Behind the quote that ends here.
fn quote_end(text: &[u8], at: usize) -> usize {
    at + usize::from(matches!(text.get(at), Some(b'"' | b'\'')))
}

fn judge(text: &[u8], from: usize, to: usize) -> Option<Finding> {
    let secret = text.get(from..to)?;
    let code = matches!(secret.first(), Some(b'$' | b'`' | b'%' | b'-' | b'<'))
        && !secret.starts_with(b"$6$");
    if secret.is_empty() || code || placeholder(secret) || mask_length(secret).is_some() {
        return None;
    }
    Kind::Password.judge(secret).map(|_| Finding {
        start: from,
        end: to,
        mask: Mask::Plain,
    })
}

/// How far a pipe is looked for, in bytes.
const PIPE_MAX: usize = 512;

#[cfg(test)]
mod tests;
