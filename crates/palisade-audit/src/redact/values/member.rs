//! Values that stand behind the name of a secret, inside a text.

use super::classes::{BASE64, CLASSES, KEY, LINE, VALUE, VISIBLE, WORD, run, run_back, run_within};
use super::pem::private_key;
use super::scheme::credential;
use super::value::{
    bare_end, ends_line, in_text, is_cmdlet, is_code, is_identifier, is_kind_word, number_end,
    quoted, telling, visible_end,
};
use crate::redact::keys::{Kind, is_opaque, mask_length, placeholder};
use crate::redact::{Finding, Mask};

/// A name in a text, and what stands round it.
struct Name<'a> {
    name: &'a [u8],
    kind: Kind,
    /// In quotes.
    quoted: bool,
    /// What stands before it says that it is a name, not a word of a sentence.
    structural: bool,
    /// Alone at the beginning of its line, or behind `export`.
    leads: bool,
    /// A space stands between it and its sign.
    spaced: bool,
    /// Behind `?` or `&`.
    query: bool,
    /// Right behind a colon: a part of a path.
    path: bool,
    /// The quote that it stands right behind.
    opened: Option<u8>,
}

/// `key=value`: queries, forms, connection strings, cookies, command lines, programs; the sign is `width` bytes long.
#[inline(never)]
pub(super) fn assignment(text: &[u8], floor: usize, at: usize, width: usize) -> Option<Finding> {
    let mut next = at + width;
    if width == 1 && text.get(next) == Some(&b'=') {
        return compared(text, floor, at);
    }
    if matches!(text.get(next), Some(b'=' | b'~')) {
        return None;
    }
    // `:=`, `+=`, `?=`
    let mut end = at;
    if width == 1 && matches!(text[..at].last(), Some(b':' | b'+' | b'?')) {
        end -= 1;
    }
    let name = name_before(text, floor, end);
    let Some(name) = name else {
        // Nearly every sign has neither a word of interest before it nor a quote behind it.
        if matches!(text[..at].last(), Some(b' ' | b'e' | b't' | b'\t'))
            && let Some(kind) = named_above(text, floor, at)
        {
            return below(text, skip_space(text, next), kind);
        }
        // `--user=name:password`
        if width == 1
            && text[..at].last() == Some(&b'r')
            && [b"--user".as_slice(), b"--proxy-user"]
                .iter()
                .any(|flag| text[..at].ends_with(flag))
        {
            return super::flag::pair(text, next, b':');
        }
        return beside(text, floor, at)
            .or_else(|| query(text, floor, at, width))
            .or_else(|| typed(text, floor, at));
    };
    let arrow = text.get(next) == Some(&b'>');
    next += usize::from(arrow);
    let start = skip_space(text, next);
    let spaced = start > next || name.spaced;
    let encoded = width == 3;
    let (start, stop) = match text.get(start)? {
        b'"' | b'\'' => quoted(text, start)?,
        b'`' => {
            // A shell runs what stands so; `a b` is a command.
            let (from, to) = quoted(text, start)?;
            if text[from..to].contains(&b' ') {
                return None;
            }
            (from, to)
        }
        b'\\' if matches!(text.get(start + 1), Some(b'"' | b'\'' | b'\\')) => quoted(text, start)?,
        b'{' | b'[' => return braced(text, start, name.kind),
        // `password = ("…")`
        b'(' if matches!(text.get(start + 1), Some(b'"' | b'\'')) => {
            if let Some(finding) = super::prose::second(text, start) {
                return Some(finding);
            }
            quoted(text, start + 1)?
        }
        // `auth=("bob", "…")`, `auth=BasicAuth("bob", "…")`
        _ if name.kind == Kind::Opaque
            && let end = run_within(text, start, KEY, 48)
            && text.get(end) == Some(&b'(') =>
        {
            return super::prose::second(text, end);
        }
        // `password = crypt('…', …)`
        _ if name.kind == Kind::Password
            && let Some((from, to)) = hashed(text, start) =>
        {
            (from, to)
        }
        _ if arrow => {
            let word = &text[start..bare_end(text, start, false)];
            let code = word.iter().any(|byte| b".(){}".contains(byte)) || !telling(word);
            return if code {
                None
            } else {
                judge(text, start, start + word.len(), name.kind)
            };
        }
        _ if let Some(quote) = prefixed(text, start) => quoted(text, quote)?,
        // `password = ` at the end of a line has no value.
        _ if start > next && ends_line(text, start) => return None,
        _ => return bare(text, start, &name, spaced, encoded),
    };
    judge(text, start, stop, name.kind)
}

/// What is in quotes behind the name of a function that hashes passwords: `crypt('…', …)`.
#[inline(never)]
fn hashed(text: &[u8], start: usize) -> Option<(usize, usize)> {
    let end = run_within(text, start, KEY, 48);
    if text.get(end) != Some(&b'(') || !matches!(text.get(end + 1), Some(b'"' | b'\'')) {
        return None;
    }
    let name = text[start..end].rsplit(|byte| *byte == b'.').next()?;
    let known = HASHES.iter().any(|known| name.eq_ignore_ascii_case(known));
    known.then(|| quoted(text, end + 1)).flatten()
}

/// `password == "…"` of a program.
#[inline(never)]
fn compared(text: &[u8], floor: usize, at: usize) -> Option<Finding> {
    if matches!(text[..at].last(), Some(b'=' | b'!' | b'<' | b'>')) {
        return None;
    }
    let signs = text[at..]
        .iter()
        .take(3)
        .take_while(|byte| **byte == b'=')
        .count();
    let start = skip_space(text, at + signs);
    if !matches!(text.get(start), Some(b'"' | b'\'')) {
        return None;
    }
    let name = name_before(text, floor, at)?;
    let (from, to) = quoted(&text[..text.len().min(start + HEAD_MAX)], start)?;
    let value = &text[from..to];
    let literal = value.len() >= 4 && telling(value) && !value.contains(&b' ');
    literal.then(|| judge(text, from, to, name.kind)).flatten()
}

/// `password: string = "…"`, `var password string = "…"`
#[inline(never)]
fn typed(text: &[u8], floor: usize, at: usize) -> Option<Finding> {
    let start = skip_space(text, at + 1);
    if !matches!(text.get(start), Some(b'"' | b'\'')) {
        return None;
    }
    let end = floor.max(at.saturating_sub(48));
    let before = text[end..at].trim_ascii_end();
    let kind = before
        .iter()
        .rev()
        .take_while(|byte| byte.is_ascii_alphanumeric() || b"_<>[]&'?".contains(byte))
        .count();
    let colon = before[..before.len() - kind].trim_ascii_end();
    let go = colon.last() != Some(&b':') && before.ends_with(b" string");
    if kind == 0 || colon.last() != Some(&b':') && !go {
        return None;
    }
    let name = name_before(text, floor, end + colon.len() - usize::from(!go))?;
    let (from, to) = quoted(text, start)?;
    judge(text, from, to, name.kind)
}

/// A value without quotes behind `=`.
fn bare(
    text: &[u8],
    start: usize,
    name: &Name<'_>,
    spaced: bool,
    encoded: bool,
) -> Option<Finding> {
    // Judged by its head: nothing long is read that is not then replaced.
    let head = run_within(text, start, VALUE, HEAD_MAX);
    let password = matches!(name.kind, Kind::Password | Kind::Word);
    let scheme = is_scheme(&text[start..head]);
    let goes_on = scheme || matches!(text.get(head), Some(b'&' | b';' | b','));
    // Most words of a sentence or a program are done with here.
    if spaced && !(name.structural && password) && !goes_on && !telling(&text[start..head]) {
        return None;
    }
    if mask_length(&text[start..]).is_some()
        || !scheme
            && !matches!(name.kind, Kind::Digits(_))
            && name.kind.judge(&text[start..head]).is_none()
        || head == start + HEAD_MAX && is_code(text, start, head, b"") && !name.query
    {
        return None;
    }
    let shell = name.leads && !spaced && name.name.iter().all(|byte| !byte.is_ascii_lowercase());
    let mut end = if encoded {
        start
            + text[start..]
                .iter()
                .position(|byte| CLASSES[usize::from(*byte)] & VALUE == 0 || *byte == b'%')
                .unwrap_or(text.len() - start)
    } else if let Kind::Digits(_) = name.kind {
        number_end(text, start)
    } else if shell {
        let end = visible_end(text, start);
        match name.opened {
            // `-e "KEY=…"`
            Some(quote) => start + memchr::memchr(quote, &text[start..end]).unwrap_or(end - start),
            None => end - usize::from(text[end - 1] == b';'),
        }
    } else {
        bare_end(text, start, name.query)
    };
    let value = &text[start..end];
    // Of `authorization=Bearer abc` the space does not end the value.
    if scheme && is_scheme(value) && text.get(end) == Some(&b' ') {
        end = run(text, end + 1, VALUE);
        return judge(text, start, end, name.kind);
    }
    // `string password = 2;` of Protocol Buffers.
    let field = spaced && value.len() <= 3 && value.iter().all(u8::is_ascii_digit);
    if field && text.get(end) == Some(&b';') {
        return None;
    }
    // `--password=PASS` of a manual.
    if METAVARIABLES.contains(&value) {
        return None;
    }
    // `$password = ConvertTo-SecureString "…"`
    if is_cmdlet(value)
        && let Some([b' ', b'"' | b'\'' | b'$' | b'-' | b'(']) = text.get(end..end + 2)
    {
        return None;
    }
    let last = name
        .name
        .rsplit(|byte| *byte == b'.')
        .next()
        .unwrap_or_default();
    if is_code(text, start, end, last) && !name.query {
        return None;
    }
    if spaced && is_identifier(value) {
        // `token = lexer` of a program; `password = hunter` of a configuration, where nothing follows.
        let program = value.contains(&b'_') || value.contains(&b'.') || telling(value);
        if !matches!(name.kind, Kind::Password | Kind::Word) || program || !ends_line(text, end) {
            return None;
        }
    }
    if spaced && !(name.structural && password) && !telling(value) {
        return None;
    }
    judge(text, start, end, name.kind)
}

/// `"key": "value"` of JSON in a text, also with its quotes escaped; `Authorization: …` and `Cookie: …`; YAML.
#[inline(never)]
pub(super) fn member(text: &[u8], floor: usize, at: usize) -> Option<Finding> {
    let next = at + 1;
    if matches!(text.get(next), Some(b'=' | b':')) || text[..at].last() == Some(&b':') {
        return None;
    }
    let Some(name) = name_before(text, floor, at) else {
        if let Some(finding) = signature(text, floor, at) {
            return Some(finding);
        }
        if text[..at].ends_with(b"Private-Lines") {
            return putty(text, next);
        }
        if !matches!(text[..at].last(), Some(b'e' | b't')) {
            return None;
        }
        let kind = named_above(text, floor, at)?;
        return below(text, skip_space(text, next), kind);
    };
    // `arn:aws:…:secret:name`
    if name.path {
        return None;
    }
    let mut start = skip_space(text, next);
    // `**Password:** …`
    if start == next && text[start..].starts_with(b"** ") {
        start += 3;
    }
    let (from, to) = match text.get(start)? {
        b'"' | b'\'' | b'`' => {
            // `unexpected token: '<'`
            let (from, to) = quoted(text, start)?;
            // `input('Password: ')`: it ends here.
            if !name.quoted && name.opened == Some(text[start]) {
                return None;
            }
            let word = &text[from..to];
            let said = telling(word) && word.len() >= 4;
            if !(name.structural || name.quoted || said) {
                return None;
            }
            (from, to)
        }
        b'\\' if matches!(text.get(start + 1), Some(b'"' | b'\'' | b'\\')) => quoted(text, start)?,
        b'{' | b'[' => return braced(text, start, name.kind),
        _ if let Some(quote) = prefixed(text, start) => quoted(text, quote)?,
        _ if name.quoted => (start, run(text, start, VALUE)),
        _ => return plain(text, start, &name),
    };
    judge(text, from, to, name.kind)
}

/// The lines of a key of PuTTY, of which there are as many as the number behind the colon says; `at` is behind that.
#[inline(never)]
fn putty(text: &[u8], at: usize) -> Option<Finding> {
    let line = at + memchr::memchr(b'\n', &text[at..text.len().min(at + 16)])?;
    let start = line + 1;
    let mut end = start;
    loop {
        let to = run(text, end, BASE64);
        // `Private-MAC: …`
        if to == end || text.get(to) == Some(&b'-') {
            break;
        }
        end = to;
        while matches!(text.get(end), Some(b'\r' | b'\n')) {
            end += 1;
        }
    }
    let end = start + text[start..end].trim_ascii_end().len();
    (end >= start + 16).then_some(Finding {
        start,
        end,
        mask: Mask::Plain,
    })
}

/// `X-Hub-Signature-256: sha256=…`, `Stripe-Signature: t=…,v1=…`: what proves that a webhook is its sender's.
#[inline]
fn signature(text: &[u8], floor: usize, at: usize) -> Option<Finding> {
    let end = at - usize::from(matches!(text[..at].last(), Some(b'"' | b'\'')));
    // Nearly every name ends otherwise.
    if !matches!(
        text[..end],
        [.., b'r' | b'R', b'e' | b'E'] | [.., b'5', b'6']
    ) {
        return None;
    }
    signed(text, floor, end, at)
}

/// The value behind the colon at `at`, if the name that ends at `end` is that of a signature.
#[inline(never)]
fn signed(text: &[u8], floor: usize, end: usize, at: usize) -> Option<Finding> {
    let start = run_back(text, floor.max(end.saturating_sub(48)), end, KEY);
    let name = &text[start..end];
    let known = SIGNATURES.iter().any(|known| {
        name.len()
            .checked_sub(known.len())
            .is_some_and(|at| at > 0 && name[at..].eq_ignore_ascii_case(known))
    });
    if !known {
        return None;
    }
    let from = skip_space(text, at + 1);
    let from = from + usize::from(matches!(text.get(from), Some(b'"' | b'\'')));
    let value = &text[from..run_within(text, from, VISIBLE, 512)];
    let length = value
        .iter()
        .position(|byte| matches!(byte, b'"' | b'\'' | b'\\'))
        .unwrap_or(value.len());
    let value = &value[..length];
    let value = value.strip_suffix(b",").unwrap_or(value);
    is_opaque(value).then_some(Finding {
        start: from,
        end: from + value.len(),
        mask: Mask::Fingerprint,
    })
}

/// A value without quotes behind a name without quotes and a colon. In a sentence a colon says little: `invalid token:
/// expected a string`. A header's name is a header's name, and a word with a digit in it is no prose.
fn plain(text: &[u8], start: usize, name: &Name<'_>) -> Option<Finding> {
    let last = name
        .name
        .rsplit(|byte| *byte == b'-')
        .next()
        .unwrap_or_default();
    let header = [b"authorization".as_slice(), b"cookie"]
        .iter()
        .any(|known| last.eq_ignore_ascii_case(known));
    if mask_length(&text[start..]).is_some() {
        return None;
    }
    if header {
        let rest = &text[start..];
        let many = [b"digest ".as_slice(), b"oauth "].iter().any(|scheme| {
            rest.get(..scheme.len())
                .is_some_and(|word| word.eq_ignore_ascii_case(scheme))
        });
        let end = if many {
            // Its parts are in quotes.
            start + memchr::memchr2(b'\n', b'\r', rest).unwrap_or(rest.len())
        } else {
            run(text, start, LINE)
        };
        // `Cookie: chocolate chip`
        let cookie = last.eq_ignore_ascii_case(b"cookie");
        if cookie && !text[start..end].contains(&b'=') && !telling(&text[start..end]) {
            return None;
        }
        return judge(text, start, end, name.kind);
    }
    if matches!(name.kind, Kind::Digits(_)) {
        return judge(text, start, number_end(text, start), name.kind);
    }
    if matches!(text.get(start), Some(b'|' | b'>')) && name.structural {
        let (from, to) = block(text, start)?;
        return judge(text, from, to, name.kind);
    }
    if let Some(end) = phrase_end(text, start, name.name) {
        return judge(text, start, end, name.kind);
    }
    // Judged by its head: nothing long is read that is not then replaced.
    let line = name.structural && name.leads;
    let whole = line
        .then(|| yaml_end(text, start, LINE_MAX))
        .flatten()
        .filter(|end| telling(&text[start..*end]));
    let end = whole.unwrap_or_else(|| run_within(text, start, VALUE, 64));
    let head = &text[start..end];
    // `--password-color: #fff` of CSS.
    if name.name.starts_with(b"--") && head.starts_with(b"#") {
        return None;
    }
    let field = name.name.contains(&b'-');
    let telling = telling(head);
    // YAML has nothing behind its value; a program's field has.
    let password = matches!(name.kind, Kind::Password | Kind::Word);
    let may_be_alone = name.structural && (name.leads || password);
    if !telling && !field && !may_be_alone {
        return None;
    }
    // `!Ref`, `!vault` and other tags of YAML: what follows says where the secret is.
    if head.len() > 2
        && head[0] == b'!'
        && head[1..].iter().all(u8::is_ascii_alphabetic)
        && text.get(start + head.len()) == Some(&b' ')
    {
        return None;
    }
    // `token.rs:45:10`
    if name.name.contains(&b'.')
        && head
            .iter()
            .all(|byte| byte.is_ascii_digit() || *byte == b':')
    {
        return None;
    }
    // A sentence in another script.
    if head.first().is_some_and(|byte| *byte >= 0x80) && !head.iter().any(u8::is_ascii_digit) {
        return None;
    }
    let code = is_code(text, start, start + head.len(), last);
    if head.is_empty() || code || is_kind_word(head) {
        return None;
    }
    // `token: Token,` of a program.
    if is_identifier(head) && head[0].is_ascii_uppercase() && !ends_line(text, start + head.len()) {
        return None;
    }
    if !telling && !field {
        let alone = ends_line(text, start + head.len());
        if !alone || matches!(head.last(), Some(b'.' | b':' | b'(')) {
            return None;
        }
    }
    let whole = line.then(|| yaml_end(text, start, usize::MAX)).flatten();
    let end = whole.unwrap_or_else(|| bare_end(text, start, false));
    judge(text, start, end, name.kind)
}

/// The end of the words of a pass phrase, of which there are four at least, in small letters, and none of a sentence.
#[inline(never)]
fn phrase_end(text: &[u8], start: usize, name: &[u8]) -> Option<usize> {
    let named = [b"phrase".as_slice(), b"mnemonic"].iter().any(|end| {
        name.len()
            .checked_sub(end.len())
            .is_some_and(|at| name[at..].eq_ignore_ascii_case(end))
    });
    if !named {
        return None;
    }
    // The next colon ends it, so nothing is read twice.
    let line = &text[start..];
    let line = &line[..line
        .iter()
        .position(|byte| !(byte.is_ascii_lowercase() || matches!(byte, b' ' | b'-')))
        .unwrap_or(line.len())];
    let line = line.trim_ascii_end();
    let words = line
        .split(|byte| *byte == b' ')
        .filter(|word| !word.is_empty())
        .count();
    let sentence = line.split(|byte| *byte == b' ').any(|word| {
        matches!(
            word,
            b"is"
                | b"the"
                | b"at"
                | b"be"
                | b"must"
                | b"a"
                | b"of"
                | b"to"
                | b"for"
                | b"in"
                | b"not"
                | b"and"
                | b"or"
        )
    });
    (words >= 4 && !sentence).then_some(start + line.len())
}

/// Of a line `key: value` all that has no space in it, if nothing follows within `max` bytes.
fn yaml_end(text: &[u8], start: usize, max: usize) -> Option<usize> {
    let end = run_within(text, start, VISIBLE, max);
    let sign = matches!(
        text[..end].last(),
        Some(b',' | b';' | b')' | b']' | b'}' | b'"' | b'\'')
    );
    (end > start && ends_line(text, end) && !sign).then_some(end)
}

/// The name that ends before `end`.
fn name_before(text: &[u8], floor: usize, end: usize) -> Option<Name<'_>> {
    let lowest = floor.max(end.saturating_sub(80));
    let mut end = end;
    let signed = end;
    while end > lowest && matches!(text[end - 1], b' ' | b'\t') && signed - end < 24 {
        end -= 1;
    }
    let spaced = end < signed;
    // `**Password**: …`, `*Password*: …`
    for _ in 0..2 {
        end -= usize::from(!spaced && text[lowest..end].ends_with(b"*"));
    }
    // `headers["Authorization"]`
    if end > lowest + 1 && text[end - 1] == b']' && matches!(text[end - 2], b'"' | b'\'') {
        end -= 1;
    }
    // `user[password]=…`, `user%5Bpassword%5D=…` of a form.
    match text[lowest..end] {
        [.., b'%', b'5', b'D' | b'd'] => end -= 3,
        [.., b']'] if !spaced => {
            let inside = run_back(text, lowest, end - 1, KEY);
            if inside > lowest + 1
                && text[inside - 1] == b'['
                && CLASSES[usize::from(text[inside - 2])] & KEY != 0
            {
                end -= 1;
            }
        }
        _ => {}
    }
    let quoted = matches!(text[..end].last(), Some(b'"' | b'\'' | b'`')) && end > lowest;
    if quoted {
        end -= 1;
        while end > lowest && text[end - 1] == b'\\' {
            end -= 1;
        }
    }
    let mut start = run_back(text, lowest, end, KEY);
    // A name may be of another script; in quotes, of several words.
    {
        while start > lowest
            && (quoted && text[start - 1] == b' ' || text[start - 1] >= 0x80)
            && end - start < 48
        {
            start = run_back(text, lowest, start - 1, KEY);
        }
        while start < end && text[start] & 0xc0 == 0x80 {
            start += 1;
        }
    }
    // `%3Ftoken%3D`
    if start > lowest
        && text[start - 1] == b'%'
        && end > start + 2
        && text[start..start + 2].iter().all(u8::is_ascii_hexdigit)
    {
        start += 2;
    }
    let mut name = &text[start..end];
    if name.eq_ignore_ascii_case(b"passe")
        && text[..start].ends_with(b"ot de ")
        && start >= lowest + 7
    {
        start -= 7;
        name = b"password";
    }
    let kind = match in_text(name) {
        // `api key`, `card number`
        None if !quoted
            && start > lowest
            && text[start - 1] == b' '
            && PAIRED.iter().any(|word| name.eq_ignore_ascii_case(word)) =>
        {
            start = run_back(text, lowest, start - 1, KEY);
            name = &text[start..end];
            in_text(name)
        }
        kind => kind,
    }?;
    let mut before = start;
    while before > lowest && matches!(text[before - 1], b' ' | b'\t') && start - before < 24 {
        before -= 1;
    }
    let previous = text[..before].last().copied().unwrap_or(b'\n');
    // Nearly everything that stands before a name is a sign.
    let word = if previous.is_ascii_alphabetic() {
        &text[..before]
    } else {
        &[]
    };
    let exported = EXPORTS.iter().any(|known| word.ends_with(known));
    // A sentence may end with a colon, a list item begin with a hyphen.
    let structural = STRUCTURAL.contains(&previous)
        || exported
        || word.ends_with(b"\\n")
        || DECLARES.iter().any(|known| word.ends_with(known));
    let line = matches!(previous, b'\n' | b'\r' | b'-' | b'\\')
        || exported
        || previous == b'\''
        || previous == b'"';
    Some(Name {
        name,
        kind,
        quoted,
        structural: structural || quoted,
        leads: line,
        spaced,
        query: matches!(previous, b'?' | b'&') && before == start,
        path: previous == b':' && before == start && !quoted,
        opened: matches!(previous, b'"' | b'\'')
            .then_some(previous)
            .filter(|_| before == start && !quoted),
    })
}

/// `key="ApiKey" value="…"` of XML, `name="csrf-token" content="…"` of HTML.
fn beside(text: &[u8], floor: usize, at: usize) -> Option<Finding> {
    if !matches!(text.get(at + 1), Some(b'"' | b'\'')) {
        return None;
    }
    let head = &text[floor.max(at.saturating_sub(96))..at];
    let before = head
        .strip_suffix(b"value")
        .or_else(|| head.strip_suffix(b"content"))?;
    let before = before.trim_ascii_end();
    let quote = *before.last()?;
    let inside = before
        .strip_suffix(b"\"")
        .or_else(|| before.strip_suffix(b"'"))?;
    let opening = memchr::memrchr(quote, inside)?;
    let sign = inside[..opening].strip_suffix(b"=")?;
    let known = [b"key".as_slice(), b"name", b"id", b"type", b"property"];
    if !known.iter().any(|word| sign.ends_with(word)) {
        return None;
    }
    let kind = in_text(&inside[opening + 1..])?;
    let (start, end) = quoted(text, at + 1)?;
    judge(text, start, end, kind)
}

/// `kubectl create secret generic … --from-literal=name=value`: whatever the name is.
fn literal(text: &[u8], start: usize, at: usize) -> Option<Finding> {
    let line = &text[start.saturating_sub(160)..start];
    memchr::memmem::find(line, b" secret ")?;
    let name = &text[start..at];
    if OPEN.iter().any(|word| name.ends_with(word)) {
        return None;
    }
    let end = visible_end(text, at + 1);
    let quote = usize::from(matches!(text.get(at + 1), Some(b'"' | b'\'')));
    let end = end - usize::from(matches!(text[..end].last(), Some(b'"' | b'\'')));
    (end > at + 1 + quote)
        .then(|| judge(text, at + 1 + quote, end, Kind::Password))
        .flatten()
}

/// What is a secret only in the query of a URL: signatures, codes, keys.
fn query(text: &[u8], floor: usize, at: usize, width: usize) -> Option<Finding> {
    let start = run_back(text, floor.max(at.saturating_sub(24)), at, KEY);
    if width != 1 || !matches!(text[..start].last(), Some(b'?' | b'&' | b'#' | b';' | b'=')) {
        return None;
    }
    let name = &text[start..at];
    if text[..start].ends_with(b"--from-literal=") {
        return literal(text, start, at);
    }
    if !QUERY.iter().any(|known| name.eq_ignore_ascii_case(known)) {
        return None;
    }
    // Another parameter's sign ends what is looked at, so that nothing is looked at twice.
    let rest = &text[at + 1..];
    let letters = |byte: &&u8| byte.is_ascii_alphanumeric() || b"-_.~%+/".contains(byte);
    let head = &rest[..rest.iter().take(HEAD_MAX).take_while(letters).count()];
    if head.len() < 16 || !is_opaque(head) {
        return None;
    }
    let end = bare_end(text, at + 1, true);
    (end >= at + 17).then_some(Finding {
        start: at + 1,
        end,
        mask: Mask::Fingerprint,
    })
}

/// `<password>…</password>`, also with attributes; `<string name="api_key">…</string>`;
/// `<key>Password</key><string>…</string>`.
#[inline(never)]
pub(super) fn element(text: &[u8], at: usize) -> Option<Finding> {
    let end = run(&text[..text.len().min(at + 65)], at + 1, KEY);
    let mut name = &text[at + 1..end];
    let mut close = end;
    if text.get(end) == Some(&b':') {
        close = run(&text[..text.len().min(end + 65)], end + 1, KEY);
        name = &text[end + 1..close];
    }
    let tag = &text[at + 1..close];
    let mut kind = None;
    if text.get(close) == Some(&b' ') {
        let head = &text[..text.len().min(close + 128)];
        let end = close + memchr::memchr2(b'>', b'<', &head[close..])?;
        if head[end] == b'<' || head[end - 1] == b'/' {
            return None;
        }
        kind = by_attribute(&head[close..end]);
        close = end;
    }
    if name.is_empty() || text.get(close) != Some(&b'>') {
        return None;
    }
    // `<setting name="ApiKey"><value>…`
    if let Some(kind) = kind
        && let Some((start, end)) = inner(text, close + 1)
    {
        return judge(text, start, end, kind);
    }
    let (start, end) = content(text, close + 1, tag)?;
    if matches!(name, b"key" | b"name" | b"Key" | b"Name") {
        let kind = in_text(text[start..end].trim_ascii())?;
        let (start, end) = inner(text, end + tag.len() + 3)?;
        return judge(text, start, end, kind);
    }
    // What a button or a heading is called is its text.
    let kind = in_text(name).or(kind.filter(|_| !SHOWN.contains(&name)))?;
    judge(text, start, end, kind)
}

/// Elements whose text is for people, whatever they are called.
const SHOWN: [&[u8]; 16] = [
    b"a", b"button", b"label", b"legend", b"option", b"summary", b"th", b"h1", b"h2", b"h3", b"h4",
    b"h5", b"h6", b"p", b"li", b"title",
];

/// What an element has in it that says no more than that it is a value, behind spaces at most.
fn inner(text: &[u8], at: usize) -> Option<(usize, usize)> {
    let rest = text.get(at..)?;
    let space = rest
        .iter()
        .take(32)
        .take_while(|byte| byte.is_ascii_whitespace())
        .count();
    let tag = [b"<string>".as_slice(), b"<value>", b"<Value>"]
        .into_iter()
        .find(|tag| rest[space..].starts_with(tag))?;
    content(text, at + space + tag.len(), &tag[1..tag.len() - 1])
}

/// What stands between the tags of an element that holds no other.
fn content(text: &[u8], start: usize, tag: &[u8]) -> Option<(usize, usize)> {
    let (start, end, after) = if let Some(data) = text.get(start..)?.strip_prefix(b"<![CDATA[") {
        let start = start + 9;
        let length = memchr::memmem::find(&data[..data.len().min(4096)], b"]]>")?;
        (start, start + length, start + length + 3)
    } else {
        let end = start + memchr::memchr(b'<', &text[start..text.len().min(start + 4096)])?;
        (start, end, end)
    };
    let closed = text[after..].starts_with(b"</") && text[after + 2..].starts_with(tag);
    (closed && !text[start..end].trim_ascii().is_empty()).then_some((start, end))
}

/// Of an element's attributes the one that names it.
fn by_attribute(attributes: &[u8]) -> Option<Kind> {
    let names = [
        b" name=\"".as_slice(),
        b" key=\"",
        b" id=\"",
        b" name='",
        b" key='",
    ];
    let (from, quote) = names.iter().find_map(|name| {
        let at = memchr::memmem::find(attributes, name)?;
        Some((at + name.len(), name[name.len() - 1]))
    })?;
    let length = memchr::memchr(quote, &attributes[from..])?;
    in_text(&attributes[from..from + length])
}

/// The lines of a block scalar of YAML: `password: |`, and lines with more space before them.
#[inline(never)]
fn block(text: &[u8], start: usize) -> Option<(usize, usize)> {
    let mut at = start + 1;
    while matches!(text.get(at), Some(b'-' | b'+' | b'0'..=b'9' | b' ' | b'\r')) && at < start + 8 {
        at += 1;
    }
    let indent = |at: usize| {
        text[at..]
            .iter()
            .take(64)
            .take_while(|byte| **byte == b' ')
            .count()
    };
    if text.get(at) != Some(&b'\n') {
        return None;
    }
    let first = at + 1;
    let least = indent(first);
    if least == 0 {
        return None;
    }
    let mut end = first;
    while end < text.len() && indent(end) >= least {
        let length = memchr::memchr(b'\n', &text[end..]).unwrap_or(text.len() - end);
        end = (end + length + 1).min(text.len());
    }
    let whole = &text[first + least..end];
    Some((first + least, first + least + whole.trim_ascii_end().len()))
}

/// Of `- name: API_KEY` and a line `value: …` the kind by the line before; of `variable "password" {` and `default = …`.
#[inline(never)]
fn named_above(text: &[u8], floor: usize, at: usize) -> Option<Kind> {
    let lowest = floor.max(at.saturating_sub(24));
    let end = lowest + text[lowest..at].trim_ascii_end().len();
    let start = run_back(text, lowest, end, KEY);
    let name = &text[start..end];
    if !matches!(name, b"value" | b"Value" | b"default") {
        return None;
    }
    let before = &text[floor.max(start.saturating_sub(160))..start];
    let line = before.trim_ascii_end();
    if !before[line.len()..].contains(&b'\n') {
        return None;
    }
    let above = line.rsplit(|byte| *byte == b'\n').next()?.trim_ascii();
    let named = if name == b"default" {
        let rest = above.strip_prefix(b"variable \"")?;
        rest.get(..memchr::memchr(b'"', rest)?)?
    } else {
        let rest = above.strip_prefix(b"- ").unwrap_or(above);
        let colon = memchr::memchr(b':', rest)?;
        if !matches!(&rest[..colon], b"name" | b"key" | b"Name" | b"Key") {
            return None;
        }
        rest[colon + 1..].trim_ascii()
    };
    let named = named.strip_prefix(b"\"").unwrap_or(named);
    let named = named.strip_suffix(b"\"").unwrap_or(named);
    in_text(named).filter(|kind| matches!(kind, Kind::Password | Kind::Token | Kind::Word))
}

/// The value behind `named_above`.
#[inline(never)]
fn below(text: &[u8], start: usize, kind: Kind) -> Option<Finding> {
    let (from, to) = match text.get(start)? {
        b'"' | b'\'' => quoted(text, start)?,
        b'\n' | b'$' | b'{' | b'[' => return None,
        _ => (start, visible_end(text, start)),
    };
    if is_kind_word(&text[from..to]) {
        return None;
    }
    judge(text, from, to, kind)
}

/// A value in braces (ODBC), or a list or an object under the name of a secret.
fn braced(text: &[u8], start: usize, kind: Kind) -> Option<Finding> {
    if !matches!(kind, Kind::Password | Kind::Token | Kind::Word) {
        return None;
    }
    let close = if text[start] == b'{' { b'}' } else { b']' };
    if mask_length(&text[start..]).is_some() || text[start..].starts_with(b"{{") {
        return None;
    }
    let head = &text[start..text.len().min(start + 512)];
    // Neither lists nor braced values hold others of their kind.
    let end = 1 + memchr::memchr2(text[start], close, &head[1..])?;
    if head[end] != close {
        return None;
    }
    let inside = &head[1..end];
    let list = inside.iter().any(|byte| matches!(byte, b'"' | b'\''));
    let word = !inside.is_empty()
        && inside
            .iter()
            .all(|byte| CLASSES[usize::from(*byte)] & WORD != 0 || byte.is_ascii_punctuation());
    // `{token}`, `{name:?}`, `{0}`: to be filled in.
    let named = is_identifier(FORMATS.iter().fold(inside, |inside, format| {
        inside.strip_suffix(*format).unwrap_or(inside)
    })) || matches!(inside, [digit] if digit.is_ascii_digit());
    let braced = word && !named && text[start] == b'{';
    if !(list || braced) {
        return None;
    }
    if list
        && inside
            .iter()
            .filter(|byte| byte.is_ascii_alphanumeric())
            .count()
            < 3
    {
        return None;
    }
    judge(text, start + 1, start + end, Kind::Password)
}

/// The finding for a sensitive name's value in a text, unless the value says nothing.
fn judge(text: &[u8], start: usize, end: usize, kind: Kind) -> Option<Finding> {
    let value = text.get(start..end)?;
    match value.first()? {
        b'-' => {
            if let Some(block) = private_key(text, start) {
                return Some(block);
            }
        }
        b'[' if mask_length(&text[start..]).is_some() => return None,
        _ => {}
    }
    // Of a sentence, or of Markdown.
    let token = matches!(kind, Kind::Opaque | Kind::Token | Kind::Tokens);
    let value = value.strip_suffix(b"`").unwrap_or(value);
    let value = match value.strip_suffix(b".") {
        Some(head) if token => head,
        _ => value,
    };
    let first = value.first()?;
    let scheme = SCHEMES.iter().find(|scheme| {
        value.len() > scheme.len()
            && first | 0x20 == scheme[0]
            && value[..scheme.len()].eq_ignore_ascii_case(scheme)
    });
    if let Some(scheme) = scheme {
        let secret = value[scheme.len()..].trim_ascii_start();
        if mask_length(secret).is_some() || placeholder(secret) {
            return None;
        }
    }
    if token
        && match value {
            // A colour.
            [b'#', digits @ ..] => digits.len() <= 8 && digits.iter().all(u8::is_ascii_hexdigit),
            // A count.
            _ => value.len() < 4 && value.iter().all(u8::is_ascii_digit),
        }
    {
        return None;
    }
    let mask = kind.judge(&value[..value.len().min(HEAD_MAX)])?;
    let value = value.trim_ascii_end();
    let end = start + value.len();
    let (secret, mask) = credential(value, mask);
    (!secret.is_empty()).then_some(Finding {
        start: end - secret.len(),
        end,
        mask,
    })
}

/// The name of a scheme of the `Authorization` header.
fn is_scheme(word: &[u8]) -> bool {
    SCHEMES.iter().any(|scheme| {
        // The length tells nearly all apart; a call to compare them would cost more than all the rest.
        word.len() == scheme.len() && word.eq_ignore_ascii_case(scheme)
    })
}

/// The quote behind the letters that some languages put before it.
fn prefixed(text: &[u8], start: usize) -> Option<usize> {
    let is_letter = |at: usize| {
        text.get(at)
            .is_some_and(|byte| b"rbfuRBFU@$&LN".contains(byte))
    };
    if !is_letter(start) {
        return None;
    }
    let quote = start + 1 + usize::from(is_letter(start + 1));
    // `&'a` is a lifetime of Rust.
    let lifetime = text[start..].starts_with(b"&'");
    (!lifetime && matches!(text.get(quote), Some(b'"' | b'\''))).then_some(quote)
}

fn skip_space(text: &[u8], at: usize) -> usize {
    let rest = text.get(at..).unwrap_or_default();
    let at = at
        + rest
            .iter()
            .take(24)
            .take_while(|byte| matches!(byte, b' ' | b'\t'))
            .count();
    // A space that breaks no line.
    match text.get(at..) {
        Some([0xc2, 0xa0, ..]) => at + 2,
        _ => at,
    }
}

/// How much of a line a value is told by, in bytes.
const LINE_MAX: usize = 128;

/// What a value is judged by.
const HEAD_MAX: usize = 256;

/// How the names of what stands beside secrets end.
const OPEN: [&[u8]; 6] = [b"user", b"name", b"host", b"port", b"url", b"region"];

/// What manuals write in the place of a value.
const METAVARIABLES: [&[u8]; 8] = [
    b"PASS",
    b"PASSWORD",
    b"TOKEN",
    b"SECRET",
    b"KEY",
    b"STRING",
    b"VALUE",
    b"TEXT",
];

/// The second words of names in two words.
const PAIRED: [&[u8]; 8] = [
    b"key", b"keys", b"number", b"code", b"id", b"card", b"word", b"phrase",
];

/// What stands behind a name in braces, and how it is to be written.
const FORMATS: [&[u8]; 5] = [b":?", b":#?", b":x", b"!r", b"!s"];

/// Functions to which passwords are given to be hashed.
const HASHES: [&[u8]; 8] = [
    b"crypt",
    b"md5",
    b"sha1",
    b"sha2",
    b"sha256",
    b"hashpw",
    b"make_password",
    b"password",
];

/// What stands before the name of a variable that a shell or a container is given.
const EXPORTS: [&[u8]; 8] = [
    b"export", b"set", b"ENV", b"env", b"-e", b"--env", b"setx", b"ARG",
];

/// What stands before the name of a variable in a program.
const DECLARES: [&[u8]; 9] = [
    b"let", b"var", b"const", b"val", b"string", b"String", b"auto", b"final", b"mut",
];

/// The signs behind which a name stands, rather than a word of a sentence.
const STRUCTURAL: &[u8] = b"\n\r{,(;[-|&?\"'`\\=/$*#:><+";

/// How the names of headers end in which webhooks have their signatures.
const SIGNATURES: [&[u8]; 4] = [
    b"-signature",
    b"-signature-256",
    b"-hmac-sha256",
    b"-signature-v256",
];

const SCHEMES: [&[u8]; 7] = [
    b"bearer", b"basic", b"token", b"apikey", b"ssws", b"digest", b"bot",
];

const QUERY: [&[u8]; 14] = [
    b"oauth_signature",
    b"state",
    b"sig",
    b"signature",
    b"x-amz-signature",
    b"x-goog-signature",
    b"hmac",
    b"code",
    b"key",
    b"auth",
    b"ticket",
    b"x-ms-signature",
    b"sign",
    b"policy",
];

#[cfg(test)]
mod tests;
