//! `palisade audit redact`: NDJSON in, NDJSON out, without secrets.

use std::io::{self, BufRead, Read, Write};
use std::process::ExitCode;

use anyhow::{Context as _, anyhow};
use palisade_audit::{PSEUDONYM_KEY_LEN, Redactor, ToolPolicy};

use super::{UNREADABLE, sources};
use crate::arguments::Redact;

/// A longer line is not read into memory.
const LINE_MAX: usize = 64 * 1024 * 1024;

pub(super) fn run(arguments: &Redact) -> anyhow::Result<ExitCode> {
    let mut redactor = Redactor::new();
    if !arguments.allow.is_empty() {
        let paths = arguments.allow.iter().map(String::as_str);
        redactor = redactor.everywhere(ToolPolicy::allow(paths)?);
    }
    if let Some(file) = &arguments.pseudonym_key {
        let text = std::fs::read_to_string(file)
            .with_context(|| format!("{}: the key of pseudonyms", file.display()))?;
        redactor = redactor.pseudonyms(&key(text.trim())?);
    }
    let names = if arguments.files.is_empty() {
        vec![String::from("-")]
    } else {
        arguments.files.clone()
    };
    let mut out = io::BufWriter::with_capacity(1 << 16, io::stdout().lock());
    let mut bad = 0_u64;
    for name in &names {
        if name == "-" {
            bad += lines("standard input", io::stdin().lock(), &redactor, &mut out)?;
            continue;
        }
        let Some(sources) = sources(std::slice::from_ref(name)) else {
            out.flush()?;
            return Ok(ExitCode::from(UNREADABLE));
        };
        for source in sources {
            let file = match source.open() {
                Ok(file) => io::BufReader::with_capacity(1 << 16, file),
                Err(error) => {
                    out.flush()?;
                    anstream::eprintln!("error: {error}");
                    return Ok(ExitCode::from(UNREADABLE));
                }
            };
            bad += lines(
                &source.path().display().to_string(),
                file,
                &redactor,
                &mut out,
            )?;
        }
    }
    out.flush()?;
    Ok(ExitCode::from(u8::from(bad > 0)))
}

/// Redacts each line; says how many were none. Of those nothing is shown.
fn lines(
    name: &str,
    mut input: impl BufRead,
    redactor: &Redactor,
    out: &mut impl Write,
) -> anyhow::Result<u64> {
    let (mut line, mut shown) = (Vec::new(), Vec::new());
    let (mut number, mut bad) = (0_u64, 0);
    loop {
        line.clear();
        shown.clear();
        let length = input
            .by_ref()
            .take(LINE_MAX as u64)
            .read_until(b'\n', &mut line)
            .with_context(|| format!("{name} cannot be read"))?;
        if length == 0 {
            return Ok(bad);
        }
        number += 1;
        let ends = line.last() == Some(&b'\n');
        if ends {
            line.pop();
        }
        let too_long = !ends && length == LINE_MAX;
        if too_long {
            skip_line(&mut input)?;
        }
        if line.trim_ascii().is_empty() {
            writeln!(out)?;
            continue;
        }
        if too_long || redactor.json_strictly(None, &line, &mut shown).is_err() {
            bad += 1;
            shown.clear();
            write!(shown, "{{\"omitted\":true,\"line\":{number}}}")?;
            let why = if too_long {
                "longer than 64 MiB"
            } else {
                "not one JSON value in UTF-8"
            };
            anstream::eprintln!(
                "error: {name}: line {number} is {why}; {{\"omitted\":true}} stands in its place"
            );
        }
        shown.push(b'\n');
        out.write_all(&shown)?;
    }
}

/// Passes over what is left of a line.
fn skip_line(input: &mut impl BufRead) -> io::Result<()> {
    loop {
        let held = input.fill_buf()?;
        if held.is_empty() {
            return Ok(());
        }
        let end = held.iter().position(|byte| *byte == b'\n');
        let length = end.map_or(held.len(), |end| end + 1);
        input.consume(length);
        if end.is_some() {
            return Ok(());
        }
    }
}

fn key(text: &str) -> anyhow::Result<[u8; PSEUDONYM_KEY_LEN]> {
    let wrong = || {
        anyhow!(
            "the key of pseudonyms must be 64 hexadecimal digits; make one with `openssl rand -hex 32`"
        )
    };
    let mut key = [0; PSEUDONYM_KEY_LEN];
    if text.len() != 2 * PSEUDONYM_KEY_LEN || !text.is_ascii() {
        return Err(wrong());
    }
    for (at, byte) in key.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[2 * at..2 * at + 2], 16).map_err(|_| wrong())?;
    }
    Ok(key)
}
