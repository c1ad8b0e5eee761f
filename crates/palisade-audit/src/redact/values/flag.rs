//! Secrets on command lines: `--password …`, `mysql -p…`, `curl -u user:…`.

use super::classes::{KEY, VISIBLE, run_within};
use super::value::{self, in_text, is_code};
use crate::redact::keys::{Kind, mask_length};
use crate::redact::{Finding, Mask};

/// What the argument behind this one is, if this is a flag that names it.
pub(crate) fn names_value(argument: &[u8]) -> Option<Kind> {
    let name = argument.strip_prefix(b"-")?;
    let name = name.strip_prefix(b"-").unwrap_or(name);
    let known =
        name.len() > 1 && name.len() <= 64 && super::classes::run(name, 0, KEY) == name.len();
    if known { in_text(name) } else { None }
}

/// As [`names_value`], of a flag of one letter, by the commands that are named before it.
pub(crate) fn short_names_value(before: &[u8], letter: u8) -> Option<Kind> {
    words(before)
        .filter(|(word, after)| is_command(word, *after))
        .any(|(word, _)| {
            of(word, letter)
                .any(|command| !matches!(command.how, How::Glued) && command.fits(before))
        })
        .then_some(Kind::Password)
}

/// Where the secret of an argument begins that is a flag of one letter with its value behind it, by the commands named
/// round it.
pub(crate) fn glued(round: &[u8], argument: &[u8]) -> Option<usize> {
    let [b'-', letter, first, ..] = *argument else {
        return None;
    };
    if first == b'-'
        || first == b'='
        || first == b'$'
        || !LETTERS.contains(&letter)
        || keys_say(argument, 0)
    {
        return None;
    }
    let secret = &argument[2..];
    let ports = secret
        .iter()
        .all(|byte| byte.is_ascii_digit() || matches!(byte, b':' | b'.'))
        && secret.contains(&b':');
    let named = !ports
        && words(round)
            .filter(|(word, after)| is_command(word, *after))
            .any(|(word, _)| {
                of(word, letter).any(|command| {
                    matches!(command.how, How::Any | How::Glued) && command.fits(round)
                })
            });
    (named && Kind::Password.judge(secret).is_some()).then_some(2)
}

/// The one command of a line that is being read: found once for each line.
#[derive(Default)]
pub(super) struct Commands {
    start: usize,
    end: usize,
    /// The first program of the line that is known, by its name.
    command: Option<&'static [u8]>,
}

/// A program whose short flags are known to carry secrets.
struct Command {
    name: &'static [u8],
    /// A second word that must be there.
    and: &'static [u8],
    flag: u8,
    how: How,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum How {
    /// In the next argument, or right behind the letter.
    Any,
    /// In the next argument.
    Apart,
    /// Behind the letter only.
    Glued,
    /// `user:password`.
    Pair,
    /// `user%password`.
    Percent,
    /// `user,password`.
    Comma,
    /// `name=value; name=value`
    Cookie,
}

/// A flag at `at`, which is a hyphen with nothing or a space before it.
#[inline(never)]
pub(super) fn flag(text: &[u8], at: usize, commands: &mut Commands) -> Option<Finding> {
    let dashes = if text.get(at + 1) == Some(&b'-') {
        2
    } else {
        1
    };
    let start = at + dashes;
    let end = run_within(text, start, KEY, 65);
    let name = &text[start..end];
    if dashes == 1
        && let Some(finding) = short(text, at, commands)
    {
        return Some(finding);
    }
    if name.len() < 2 || name.len() > 64 || !matches!(text.get(end), Some(b' ' | b'\t')) {
        return None;
    }
    let mut from = end + 1;
    while matches!(text.get(from), Some(b' ' | b'\t')) && from < end + 9 {
        from += 1;
    }
    // `-password = "…"`, a line that a patch takes away.
    if matches!(text.get(from), Some(b'=' | b':')) {
        return None;
    }
    if name.starts_with(b"pass") && text[from..].starts_with(b"pass:") {
        return passphrase_argument(text, from);
    }
    let kind = match in_text(name) {
        Some(Kind::Opaque) if name == b"auth" => {
            return pair(text, from, b':').or_else(|| argument(text, from, name, Kind::Opaque));
        }
        // Of pulumi it says what the next but one is.
        Some(_) if name == b"secret" && text[..at].ends_with(b"config set ") => return None,
        Some(kind) => kind,
        // `--user name:password`
        None if matches!(name, b"user" | b"proxy-user" | b"auth") => return pair(text, from, b':'),
        None if name.starts_with(b"pass") => return passphrase_argument(text, from),
        // Of `aws ssm put-parameter`, `az keyvault secret set`, `gh secret set`.
        None if matches!(name, b"value" | b"body" | b"upw" | b"opw") => {
            let line = &text[at.saturating_sub(160)..at];
            let line = line
                .rsplit(|byte| *byte == b'\n')
                .next()
                .unwrap_or_default();
            let secret = [b"secret ".as_slice(), b"put-parameter", b"pdf"]
                .iter()
                .any(|word| memchr::memmem::find(line, word).is_some());
            if !secret {
                return None;
            }
            Kind::Password
        }
        None => return None,
    };
    argument(text, from, name, kind)
}

/// `-passin pass:…` of openssl.
fn passphrase_argument(text: &[u8], from: usize) -> Option<Finding> {
    let start = from + text.get(from..)?.strip_prefix(b"pass:").map(|_| 5)?;
    let end = value::visible_end(text, start);
    (end > start).then_some(plain(start, end))
}

fn argument(text: &[u8], from: usize, name: &[u8], kind: Kind) -> Option<Finding> {
    let (start, end) = match text.get(from)? {
        b'"' | b'\'' | b'`' | b'\\' => value::quoted(text, from)?,
        b'-' => return None,
        _ => {
            let mut end = value::visible_end(text, from);
            // At the latest the space before it is none of these.
            while matches!(
                text[end - 1],
                b'"' | b'\'' | b'`' | b';' | b',' | b')' | b']' | b'}'
            ) {
                end -= 1;
            }
            (from, end)
        }
    };
    let secret = text.get(start..end)?;
    let word = secret.strip_suffix(b".").unwrap_or(secret);
    let prose = from == start && is_prose(word);
    if secret.is_empty() || prose || is_code(text, start, end, name) {
        return None;
    }
    let mask = kind.judge(secret)?;
    Some(Finding { start, end, mask })
}

/// Whether a sentence about a flag or a name goes on so.
pub(super) fn is_prose(word: &[u8]) -> bool {
    PROSE.iter().any(|known| word.eq_ignore_ascii_case(known))
}

fn short(text: &[u8], at: usize, commands: &mut Commands) -> Option<Finding> {
    let letter = *text.get(at + 1)?;
    if !LETTERS.contains(&letter) {
        return None;
    }
    let name = commands.of(text, at)?;
    let line = &text[commands.start..commands.end.min(text.len())];
    let command = of(name, letter).find(|command| command.fits(line))?;
    let glued = at + 2;
    let from = match text.get(glued) {
        Some(b' ') => glued + 1,
        _ => glued,
    };
    match command.how {
        How::Pair => return pair(text, from, b':'),
        How::Percent => return pair(text, from, b'%'),
        How::Comma => return pair(text, from, b','),
        How::Cookie => {
            let (start, end) = match text.get(from)? {
                b'"' | b'\'' | b'\\' => value::quoted(text, from)?,
                _ => (from, value::visible_end(text, from)),
            };
            let jar = memchr::memchr(b'=', text.get(start..end)?).is_some();
            return jar.then_some(plain(start, end));
        }
        // `mysql -p name` asks for the password; yet people write it so.
        How::Glued if from > glued => {
            let end = value::visible_end(text, from);
            if !value::telling(&text[from..end]) {
                return None;
            }
        }
        How::Apart if from == glued => return None,
        How::Any | How::Apart | How::Glued => {}
    }
    let (start, end) = match text.get(from)? {
        b'"' | b'\'' | b'\\' => value::quoted(text, from)?,
        b'-' | b' ' | b'=' | b'$' | b'`' => return None,
        _ => {
            let mut end = value::visible_end(text, from);
            // The quote that the whole command stands in.
            while end > from + 1 && matches!(text[end - 1], b'"' | b'\'' | b';' | b')' | b'`') {
                end -= 1;
            }
            (from, end)
        }
    };
    // `-port`, `-password`: words of their own; `-p 8080:80` is no password, whoever's flag it is.
    let secret = text.get(start..end)?;
    let ports = secret
        .iter()
        .all(|byte| byte.is_ascii_digit() || matches!(byte, b':' | b'.'))
        && secret.contains(&b':');
    if secret.is_empty()
        || ports
        || keys_say(text, at)
        || is_code(text, start, end, b"") && secret[0] == b'$'
    {
        return None;
    }
    Kind::Password
        .judge(secret)
        .map(|mask| Finding { start, end, mask })
}

/// Whether the letters behind the hyphen are a long flag's.
fn keys_say(text: &[u8], at: usize) -> bool {
    let end = run_within(text, at + 1, KEY, 32);
    let name = &text[at + 1..end];
    matches!(
        name,
        b"port" | b"password" | b"path" | b"pid" | b"protocol" | b"pw" | b"pass"
    )
}

/// Of `name:secret` the secret.
pub(super) fn pair(text: &[u8], from: usize, sign: u8) -> Option<Finding> {
    // What was redacted before is no pair.
    if mask_length(text.get(from..)?).is_some() {
        return None;
    }
    let (start, end) = match text.get(from)? {
        b'"' | b'\'' | b'\\' => value::quoted(text, from)?,
        _ => {
            let end = run_within(text, from, VISIBLE, 512);
            // The quote of Markdown that the whole command stands in.
            (from, end - usize::from(text[from..end].ends_with(b"`")))
        }
    };
    let at = memchr::memchr(sign, text.get(start..end)?)?;
    let start = start + at + 1;
    let code = matches!(text.get(start..start + 2), Some(b"//" | b"$("));
    (end > start && !code && text[start] != b'$').then_some(plain(start, end))
}

const fn plain(start: usize, end: usize) -> Finding {
    Finding {
        start,
        end,
        mask: Mask::Plain,
    }
}

impl Commands {
    /// The command that the flag at `at` is one of.
    fn of(&mut self, text: &[u8], at: usize) -> Option<&'static [u8]> {
        if at >= self.end {
            self.start = self.end;
            // The line that `at` is in, or what lies between two signs that end a command.
            let mut end = self.end;
            while end <= at {
                self.start = end;
                end += memchr::memchr3(b'\n', b'|', b';', &text[end..])
                    .map_or(text.len() - end + 1, |length| length + 1);
            }
            self.end = end;
            let line = &text[self.start..self.end.min(text.len())];
            self.command = words(line)
                .filter(|(word, after)| is_command(word, *after))
                .find_map(|(word, _)| {
                    COMMANDS
                        .iter()
                        .find(|command| command.name == word && command.fits(line))
                })
                .map(|command| command.name);
        }
        self.command
    }
}

/// The words of a line, each with the byte behind it.
pub(super) fn words(line: &[u8]) -> impl Iterator<Item = (&[u8], u8)> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let is_word = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        at += line.get(at..)?.iter().position(is_word)?;
        let rest = &line[at..];
        let length = rest
            .iter()
            .position(|byte| !is_word(byte))
            .unwrap_or(rest.len());
        at += length;
        Some((&rest[..length], line.get(at).copied().unwrap_or_default()))
    })
}

/// Whether a program has this name: nearly every word is told apart by its length and first letter.
fn is_command(word: &[u8], after: u8) -> bool {
    let Some(first) = word.first().filter(|_| word.len() <= NAME_MAX) else {
        return false;
    };
    matches!(after, b' ' | b'.' | b'"' | b'\'')
        && FIRST_LETTERS[word.len()] >> (first & 31) & 1 == 1
        && COMMANDS.iter().any(|command| command.name == word)
}

fn of(name: &[u8], letter: u8) -> impl Iterator<Item = &'static Command> {
    COMMANDS
        .iter()
        .filter(move |command| command.flag == letter && command.name == name)
}

impl Command {
    /// Whether the words round it hold the one that must be there.
    fn fits(&self, line: &[u8]) -> bool {
        self.and.is_empty() || memchr::memmem::find(line, self.and).is_some()
    }
}

const NAME_MAX: usize = 16;

/// By length: one bit for each letter that a name of [`COMMANDS`] begins with.
static FIRST_LETTERS: [u32; NAME_MAX + 1] = {
    let mut letters = [0; NAME_MAX + 1];
    let mut at = 0;
    while at < COMMANDS.len() {
        let name = COMMANDS[at].name;
        letters[name.len()] |= 1 << (name[0] & 31);
        at += 1;
    }
    letters
};

/// The flags of [`COMMANDS`].
const LETTERS: &[u8] = b"pPaAuUwbkXNsct";

const fn command(name: &'static str, and: &'static str, flag: u8, how: How) -> Command {
    Command {
        name: name.as_bytes(),
        and: and.as_bytes(),
        flag,
        how,
    }
}

static COMMANDS: &[Command] = &[
    command("sshpass", "", b'p', How::Any),
    command("mysql", "", b'p', How::Glued),
    command("mysqldump", "", b'p', How::Glued),
    command("mysqladmin", "", b'p', How::Glued),
    command("mysqlimport", "", b'p', How::Glued),
    command("mariadb", "", b'p', How::Glued),
    command("mariadb-dump", "", b'p', How::Glued),
    command("docker", "login", b'p', How::Any),
    command("podman", "login", b'p', How::Any),
    command("helm", "login", b'p', How::Any),
    command("az", "login", b'p', How::Any),
    command("oc", "login", b'p', How::Any),
    command("mongo", "", b'p', How::Any),
    command("mongosh", "", b'p', How::Any),
    command("mongodump", "", b'p', How::Any),
    command("mongorestore", "", b'p', How::Any),
    command("cqlsh", "", b'p', How::Any),
    command("evil-winrm", "", b'p', How::Any),
    command("rdesktop", "", b'p', How::Any),
    command("7z", "", b'p', How::Glued),
    command("7za", "", b'p', How::Glued),
    command("redis-cli", "", b'a', How::Any),
    command("sqlcmd", "", b'P', How::Any),
    command("bcp", "", b'P', How::Any),
    command("isql", "", b'P', How::Any),
    command("tsql", "", b'P', How::Any),
    command("osql", "", b'P', How::Any),
    command("zip", "", b'P', How::Any),
    command("unzip", "", b'P', How::Any),
    command("mosquitto_pub", "", b'P', How::Any),
    command("mosquitto_sub", "", b'P', How::Any),
    command("ldapsearch", "", b'w', How::Any),
    command("ldapadd", "", b'w', How::Any),
    command("ldapmodify", "", b'w', How::Any),
    command("ldapwhoami", "", b'w', How::Any),
    command("smbclient", "", b'U', How::Percent),
    command("curl", "", b'u', How::Pair),
    command("curl", "", b'U', How::Pair),
    command("curl", "", b'b', How::Cookie),
    command("http", "", b'a', How::Pair),
    command("https", "", b'a', How::Pair),
    command("httpie", "", b'a', How::Pair),
    command("xh", "", b'a', How::Pair),
    command("lftp", "", b'u', How::Comma),
    command("ncftpput", "", b'p', How::Apart),
    command("ncftpget", "", b'p', How::Apart),
    command("unrar", "", b'p', How::Glued),
    command("rar", "", b'p', How::Glued),
    command("openssl", " enc", b'k', How::Apart),
    command("ssh-keygen", "", b'N', How::Apart),
    command("ssh-keygen", "", b'P', How::Apart),
    command("certutil", "", b'p', How::Apart),
    command("rabbitmqadmin", "", b'p', How::Apart),
    command("crackmapexec", "", b'p', How::Apart),
    command("netexec", "", b'p', How::Apart),
    command("nxc", "", b'p', How::Apart),
    command("ldappasswd", "", b's', How::Apart),
    command("ldappasswd", "", b'w', How::Any),
    command("hydra", "", b'p', How::Apart),
    command("twine", "upload", b'p', How::Apart),
    command("gh", "secret", b'b', How::Apart),
    command("useradd", "", b'p', How::Apart),
    command("usermod", "", b'p', How::Apart),
    command("snmpwalk", "", b'A', How::Apart),
    command("snmpwalk", "", b'X', How::Apart),
    command("snmpget", "", b'A', How::Apart),
    command("snmpget", "", b'X', How::Apart),
    command("snmpwalk", "", b'c', How::Apart),
    command("snmpget", "", b'c', How::Apart),
    command("snmpset", "", b'c', How::Apart),
    command("doctl", "auth", b't', How::Apart),
    command("ipmitool", "", b'P', How::Apart),
    command("psexec", "", b'p', How::Apart),
    command("PsExec", "", b'p', How::Apart),
    command("cypher-shell", "", b'p', How::Apart),
    command("beeline", "", b'p', How::Apart),
    command("security", "-password", b'w', How::Apart),
    command("security", "-password", b'p', How::Apart),
    command("wget", "", b'u', How::Pair),
];

/// What follows a flag in a sentence about it.
const PROSE: &[&[u8]] = &[
    b"option",
    b"options",
    b"flag",
    b"flags",
    b"argument",
    b"arguments",
    b"parameter",
    b"is",
    b"was",
    b"to",
    b"and",
    b"or",
    b"for",
    b"with",
    b"in",
    b"from",
    b"as",
    b"the",
    b"a",
    b"an",
    b"on",
    b"must",
    b"requires",
    b"value",
    b"has",
    b"can",
    b"cannot",
    b"instead",
    b"when",
    b"if",
    b"of",
    b"by",
    b"at",
    b"it",
    b"this",
    b"that",
    b"not",
    b"are",
    b"will",
    b"should",
    b"may",
    b"but",
    b"which",
    b"does",
    b"given",
    b"only",
    b"|",
    b"||",
    b"&&",
    b">",
    b"<",
    b"\\",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_of_arrays() {
        for (argument, expected) in [
            ("--password", Some(Kind::Password)),
            ("-password", Some(Kind::Password)),
            ("--api-key", Some(Kind::Token)),
            ("--pin", Some(Kind::Digits(4))),
            ("--password-file", None),
            ("--max-tokens", Some(Kind::Tokens)),
            ("--verbose", None),
            ("-p", None),
            ("--", None),
            ("password", None),
            ("--token=abc", None),
            ("--password and more", None),
        ] {
            assert_eq!(names_value(argument.as_bytes()), expected, "{argument}");
        }
    }

    /// Lines with their secrets between `‹` and `›`, of what follows a hyphen.
    fn check(lines: &[&str]) {
        let mut faults = Vec::new();
        for line in lines {
            let text = line.replace(['‹', '›'], "");
            let mut commands = Commands::default();
            let mut shown = String::new();
            let mut from = 0;
            for at in 0..text.len() {
                let flags = text.as_bytes()[at] == b'-'
                    && (at == 0 || b" \n\"'(".contains(&text.as_bytes()[at - 1]));
                if at >= from
                    && flags
                    && let Some(found) = flag(text.as_bytes(), at, &mut commands)
                {
                    shown += &format!(
                        "{}‹{}›",
                        &text[from..found.start],
                        &text[found.start..found.end]
                    );
                    from = found.end;
                }
            }
            shown += &text[from..];
            if shown != *line {
                faults.push(format!("{line}\n  -> {shown}"));
            }
        }
        assert!(faults.is_empty(), "{}", faults.join("\n"));
    }

    // REQ: L-2
    #[test]
    fn long_flags() {
        let name = "x".repeat(55);
        check(&[
            "--password ‹hunter2›",
            "-password ‹hunter2›",
            "--password  \t ‹hunter2› x",
            "--password        ‹hunter2›",
            "--password          hunter2",
            "--password\nhunter2",
            "--password",
            "--password ",
            "--p hunter2",
            &format!("--{name}-password ‹hunter2›"),
            &format!("--{name}x-password hunter2"),
            "--password \"‹hunter 2›\"",
            "--password '‹hunter 2›' x",
            "--password `‹hunter2›`",
            "--password \\\"‹hunter2›\\\"",
            "(--password ‹hunter2›)",
            "'--password ‹hunter2›'",
            "--password ‹hunter2›;",
            "--password ‹hunter2›,",
            "--password ‹hunter2›]}",
            "--password --verbose",
            "--password ;",
            "--password option",
            "--password is.",
            "--password \"‹option›\"",
            "--password \"\"",
            "--password $PASSWORD",
            "--password ${X}",
            "--password $(cat x)",
            "--token getToken()",
            "--max-tokens 512",
            "--token-file x1",
            "--auth bob:‹hunter2›",
            "--auth ‹k7Qz3xZ9mN2p›",
            "--auth oauth2",
            "--x-auth bob:x1y",
            "--user bob:‹hunter2›",
            "--proxy-user bob:‹hunter2›",
            "--user bob",
            "--users bob:hunter2",
            "--user \"bob:‹hunter 2›\"",
            "--user bob:$PW",
            "--user bob:$(cat x)",
            "--user http://x",
            "--user bob:",
            "-passin pass:‹hunter2›",
            "-passout pass:‹hunter2› x",
            "-pass pass:‹hunter2›",
            "--passphrase pass:‹hunter2›",
            "-passin pass:",
            "-passin file:x1",
            "pulumi config set --secret name hunter2",
            "pulumi set --secret ‹hunter2›",
            "secret set --value ‹hunter2›",
            "put-parameter --value ‹hunter2›",
            "secret set\n--value hunter2",
            "x --value hunter2",
            "pdftk --upw ‹hunter2›",
            "pdftk --opw ‹hunter2›",
            "gh secret set X --body ‹hunter2›",
            &format!("secret {}--value ‹hunter2›", " ".repeat(150)),
            &format!("secret {}--value hunter2", " ".repeat(160)),
        ]);
    }

    // REQ: L-2
    #[test]
    fn short_flags() {
        check(&[
            "sshpass -p ‹hunter2› ssh",
            "sshpass -p‹hunter2› ssh",
            "sshpass -p '‹hunter 2›' ssh",
            "sshpass -p  hunter2",
            "sshpass -p",
            "sshpass -p ",
            "sshpass -p -v",
            "sshpass -p=x1",
            "sshpass -p $PW",
            "sshpass -p$PW",
            "sshpass -p \"$PW\"",
            "sshpass -p \"$(cat x)\"",
            "'sshpass -p ‹hunter2›'",
            "sshpass -p ‹hunter2›;",
            "sshpass -p ‹hunter2›)",
            "sshpass -p ‹hunter2›`",
            "sshpass -p ‹;›",
            "sshpass -p 8080:80",
            "sshpass -p 10.0.0.1:80",
            "sshpass -p ‹8080›",
            "sshpass -p ‹10.0.0.1›",
            "sshpass -port 2",
            "sshpass -path x",
            "sshpass -pid 2",
            "sshpass -protocol x",
            "sshpass -pw ‹x›".replace("‹x›", "x").as_str(),
            "sshpass -x hunter2",
            "mysql -p‹hunter2›",
            "mysql -p ‹hunter2›",
            "mysql -p name",
            "mysql -px",
            "mysqlx -phunter2",
            "mysql\n-phunter2",
            "mysql | x -phunter2",
            "mysql; x -phunter2",
            "x; mysql -p‹hunter2›; y -phunter3\nmysql -p‹hunter4›",
            "x.mysql -p‹hunter2›",
            "mysql, -phunter2",
            "mysql.exe -p‹hunter2›",
            "\"mysql\" -p‹hunter2›",
            "'mysql' -p‹hunter2›",
            "docker login -p ‹hunter2›",
            "docker run -p hunter2",
            "docker run -p x; docker login -p ‹hunter2›",
            "openssl enc -k ‹hunter2›",
            "openssl enc -khunter2",
            "openssl x -k hunter2",
            "ldappasswd -s ‹hunter2› -w ‹hunter3›",
            "curl -u bob:‹hunter2› h",
            "curl -ubob:‹hunter2› h",
            "curl -U bob:‹hunter2› h",
            "curl -u bob h",
            "curl -b '‹a=b›'",
            "curl -b ‹a=b› h",
            "curl -b jar",
            "curl -b 'jar'",
            "curl -b",
            "smbclient -U bob%‹hunter2› h",
            "smbclient -U bob:hunter2 h",
            "lftp -u bob,‹hunter2› h",
            "lftp -u bob:hunter2 h",
            "curl -X POST x; snmpwalk -X ‹hunter2›",
        ]);
    }

    // REQ: L-2
    #[test]
    fn glued_and_apart() {
        for (round, argument, at) in [
            ("mysql", "-phunter2", Some(2)),
            ("mysql", "-p", None),
            ("mysql", "-p-x", None),
            ("mysql", "-p=x", None),
            ("mysql", "-p$x", None),
            ("mysql", "-port", None),
            ("mysql", "-x1y", None),
            ("mysql", "--phunter2", None),
            ("mysql", "p1hunter2", None),
            ("mysql", "-p80:80", None),
            ("mysql", "-p80.80", Some(2)),
            ("mysql", "-p8080", Some(2)),
            ("mysql", "-p:a1", Some(2)),
            ("mysql", "-pxxxx", None),
            ("mysqlx", "-phunter2", None),
            ("docker login", "-phunter2", Some(2)),
            ("docker run", "-phunter2", None),
            ("ncftpput", "-phunter2", None),
            ("curl", "-uhunter2", None),
        ] {
            let round = format!("[\"{}\"]", round.replace(' ', "\",\""));
            assert_eq!(
                glued(round.as_bytes(), argument.as_bytes()),
                at,
                "{round} {argument}"
            );
        }
        for (before, letter, is) in [
            ("sshpass", b'p', true),
            ("sshpass", b'q', false),
            ("mysql", b'p', false),
            ("docker login", b'p', true),
            ("docker run", b'p', false),
            ("ncftpput", b'p', true),
            ("x", b'p', false),
        ] {
            let before = format!("[\"{}\",", before.replace(' ', "\",\""));
            assert_eq!(
                short_names_value(before.as_bytes(), letter),
                is.then_some(Kind::Password),
                "{before}"
            );
        }
        for (argument, is) in [
            ("--token", true),
            ("-token", true),
            ("--t", false),
            (&format!("--{}-token", "x".repeat(58)), true),
            (&format!("--{}-token", "x".repeat(59)), false),
            ("token", false),
            ("--token!", false),
        ] {
            assert_eq!(names_value(argument.as_bytes()).is_some(), is, "{argument}");
        }
    }

    #[test]
    fn words_of_lines() {
        let all: Vec<_> = words(b"  ab-c_1 d.e \"f\"g")
            .map(|(word, after)| (String::from_utf8_lossy(word).into_owned(), after))
            .collect();
        let expected = [
            ("ab-c_1", b' '),
            ("d", b'.'),
            ("e", b' '),
            ("f", b'"'),
            ("g", 0),
        ];
        assert_eq!(all.len(), expected.len());
        for ((word, after), (known, sign)) in all.iter().zip(expected) {
            assert_eq!((word.as_str(), *after), (known, sign));
        }
        for (word, after, is) in [
            ("mysql", b' ', true),
            ("mysql", b'.', true),
            ("mysql", b'"', true),
            ("mysql", b'\'', true),
            ("mysql", b',', false),
            ("mysqm", b' ', false),
            ("nysql", b' ', false),
            ("", b' ', false),
            ("a-very-long-word-it-is", b' ', false),
        ] {
            assert_eq!(is_command(word.as_bytes(), after), is, "{word}");
        }
        // Every program is found by its name, and by its flag.
        for command in COMMANDS {
            assert!(is_command(command.name, b' '));
            assert!(LETTERS.contains(&command.flag));
            assert!(of(command.name, command.flag).next().is_some());
        }
    }
}
