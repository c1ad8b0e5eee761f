//! `palisade audit`: what an audit log answers, whether it holds, and what may be shown of it.

mod redact;
mod table;

use std::io::{self, IsTerminal as _, Write as _};
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, anyhow};
use palisade_audit::query::{
    self, Answers, Destructive, Frequent, Questions, Source, parse_span, parse_time,
};
use palisade_audit::{CheckpointKey, PublicKey, Verifier};
use palisade_gateway::audit::key_directory;
use palisade_gateway::config::{self, Flags};

use crate::arguments::{
    Around, Audit, AuditCommand, AuditKey, Format, LogFiles, Query, Question, TableFormat, Verify,
};
use crate::{USAGE, serve};
use table::Table;

/// The exit code for a file that could not be read.
const UNREADABLE: u8 = 3;

pub(crate) fn run(arguments: &Audit) -> anyhow::Result<ExitCode> {
    let result = match &arguments.command {
        AuditCommand::Around(around) => self::around(around),
        AuditCommand::Key(key) => self::key(key),
        AuditCommand::Query(query) => self::query(query),
        AuditCommand::Redact(redact) => redact::run(redact),
        AuditCommand::Verify(verify) => self::verify(verify),
    };
    // Whoever reads the output may leave when he has seen enough.
    match result {
        Err(error) if is_broken_pipe(&error) => Ok(ExitCode::SUCCESS),
        result => result,
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error
        .downcast_ref::<io::Error>()
        .is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

fn query(arguments: &Query) -> anyhow::Result<ExitCode> {
    let mut questions = Questions {
        limit: arguments.question.files().limit,
        ..Questions::default()
    };
    let all = matches!(arguments.question, Question::Review(_));
    match &arguments.question {
        Question::Destructive(asked) => {
            questions.destructive = Some(destructive(&asked.tools));
        }
        Question::Errors(asked) => questions.errors = Some(share(&asked.over)?),
        Question::Frequent(asked) => {
            questions.frequent = Some(Frequent {
                over: asked.over,
                per: span(&asked.per)?,
            });
        }
        Question::Review(asked) => {
            questions.destructive = Some(destructive(&asked.tools));
            questions.errors = Some(share(&asked.over_errors)?);
            questions.frequent = Some(Frequent {
                over: asked.over_calls,
                per: span(&asked.per)?,
            });
        }
    }
    let files = arguments.question.files();
    let since = files.since.as_deref().map(moment).transpose()?;
    let until = files.until.as_deref().map(moment).transpose()?;
    questions.range = Some(since.unwrap_or(i64::MIN)..until.unwrap_or(i64::MAX));
    let answers = match ask(files, &questions) {
        Ok(answers) => answers,
        Err(code) => return Ok(code),
    };
    let mut tables = Vec::new();
    if questions.destructive.is_some() {
        let left = answers.destructive_total - answers.destructive.len() as u64;
        tables.push(table::calls("destructive", &answers.destructive, left));
    }
    if questions.frequent.is_some() {
        tables.push(table::actors(&answers.frequent));
    }
    if questions.errors.is_some() {
        tables.push(table::tools(&answers.errors));
    }
    print(&tables, files.format, all, &answers)?;
    Ok(ExitCode::SUCCESS)
}

fn around(arguments: &Around) -> anyhow::Result<ExitCode> {
    let at = moment(&arguments.time)?;
    let questions = Questions {
        around: Some(at - span(&arguments.before)?..at + span(&arguments.after)? + 1),
        limit: arguments.files.limit,
        ..Questions::default()
    };
    let answers = match ask(&arguments.files, &questions) {
        Ok(answers) => answers,
        Err(code) => return Ok(code),
    };
    let left = answers.around_total - answers.around.len() as u64;
    let tables = [table::calls("around", &answers.around, left)];
    print(&tables, arguments.files.format, false, &answers)?;
    Ok(ExitCode::SUCCESS)
}

fn verify(arguments: &Verify) -> anyhow::Result<ExitCode> {
    let key = arguments.key.as_deref().map(public_key).transpose()?;
    let Some(sources) = sources(&arguments.files) else {
        return Ok(ExitCode::from(UNREADABLE));
    };
    let mut verifier = Verifier::new(key);
    let progress = Progress::over(&sources);
    let mut done = 0;
    for source in &sources {
        let name = source.path().display().to_string();
        let read = source.open().map_err(anyhow::Error::from).and_then(|file| {
            let file = io::BufReader::with_capacity(1 << 18, progress.watch(done, file));
            Ok(verifier.segment(&name, file)?)
        });
        if let Err(error) = read {
            progress.end();
            anstream::eprintln!("error: {error}");
            return Ok(ExitCode::from(UNREADABLE));
        }
        done += source.size();
    }
    progress.end();
    let report = verifier.finish();
    let mut out = io::stdout().lock();
    match arguments.format {
        Format::Json => {
            let faults: Vec<_> = report
                .faults
                .iter()
                .map(|fault| serde_json::json!({"file": fault.file, "line": fault.line, "kind": fault.damage.code(), "text": fault.damage.to_string()}))
                .collect();
            let keys: Vec<_> = report.keys.iter().map(ToString::to_string).collect();
            let value = serde_json::json!({"lines": report.lines, "from": report.range.map(|range| range.0), "to": report.range.map(|range| range.1),
                "runs": report.runs, "checkpoints": report.checkpoints, "unsealed": report.unsealed, "keys": keys, "faults": faults});
            writeln!(out, "{}", serde_json::to_string_pretty(&value)?)?;
        }
        Format::Text => {
            for fault in &report.faults {
                writeln!(out, "{fault}")?;
            }
            let lines = counted(report.lines, "line");
            let checkpoints = counted(report.checkpoints, "checkpoint");
            match report.range {
                Some(_) if report.runs > 1 => writeln!(
                    out,
                    "{lines} in {} chains, one for each run, {checkpoints}",
                    report.runs
                )?,
                Some((from, to)) => {
                    writeln!(out, "{lines}, {from} to {to} of the chain, {checkpoints}")?;
                }
                None => writeln!(out, "{lines}, none of them chained")?,
            }
            for known in &report.keys {
                let whose = if key.is_some() {
                    "as given"
                } else {
                    "not compared: give it with --key"
                };
                writeln!(out, "signed with {known} ({whose})")?;
            }
            if report.unsealed > 0 {
                let unsealed = counted(report.unsealed, "line");
                let are = if report.unsealed == 1 { "is" } else { "are" };
                writeln!(
                    out,
                    "{unsealed} behind the last checkpoint {are} chained, not sealed"
                )?;
            }
            let verdict = match report.faults.len() {
                0 => String::from("the chain holds"),
                1 => String::from("the chain does not hold: 1 place"),
                count => format!("the chain does not hold: {count} places"),
            };
            writeln!(out, "{verdict}")?;
        }
    }
    let holds = report.faults.is_empty() && report.range.is_some();
    Ok(ExitCode::from(u8::from(!holds)))
}

/// So many of them, in words.
fn counted(count: u64, what: &str) -> String {
    let s = if count == 1 { "" } else { "s" };
    format!("{count} {what}{s}")
}

fn key(arguments: &AuditKey) -> anyhow::Result<ExitCode> {
    let environment = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    let flags = Flags {
        without_servers: true,
        ..Flags::default()
    };
    let loaded = config::load(arguments.config.as_deref(), environment, &flags);
    let Some(settings) = serve::told(loaded) else {
        return Ok(ExitCode::from(USAGE));
    };
    let place = key_directory(&settings, serve::data_directory().as_deref());
    let place = place.context("there is no data directory: set HOME or XDG_DATA_HOME")?;
    let Some(key) = CheckpointKey::load(&place)? else {
        let place = place.display();
        anstream::eprintln!(
            "error: there is no key in {place} yet: `palisade serve` makes it at its first start"
        );
        return Ok(ExitCode::from(UNREADABLE));
    };
    writeln!(io::stdout(), "{}", key.public())?;
    Ok(ExitCode::SUCCESS)
}

fn public_key(text: &str) -> anyhow::Result<PublicKey> {
    if text.starts_with("ed25519:") {
        return Ok(text.parse()?);
    }
    let text = std::fs::read_to_string(text).with_context(|| {
        format!("{text}: neither a public key (ed25519:…) nor a file that holds one")
    })?;
    Ok(text.parse()?)
}

/// The files, or the code to exit with, the reason told.
fn sources(names: &[String]) -> Option<Vec<Source>> {
    let names: Vec<String> = names
        .iter()
        .map(|name| if name == "-" { "/dev/stdin" } else { name }.to_owned())
        .collect();
    match query::sources(&names) {
        Ok(sources) => Some(sources),
        Err(error) => {
            anstream::eprintln!("error: {error}");
            None
        }
    }
}

fn ask(files: &LogFiles, questions: &Questions) -> Result<Answers, ExitCode> {
    let sources = sources(&files.files).ok_or_else(|| ExitCode::from(UNREADABLE))?;
    let progress = Progress::over(&sources);
    let answers = query::ask(&sources, questions, &|bytes| progress.tell(bytes));
    progress.end();
    answers.map_err(|error| {
        anstream::eprintln!("error: {error}");
        ExitCode::from(UNREADABLE)
    })
}

fn print(
    tables: &[Table],
    format: TableFormat,
    several: bool,
    answers: &Answers,
) -> anyhow::Result<()> {
    let mut out = io::BufWriter::new(io::stdout().lock());
    match format {
        TableFormat::Csv => {
            for (at, table) in tables.iter().enumerate() {
                if at > 0 {
                    writeln!(out)?;
                }
                table.csv(&mut out)?;
            }
        }
        TableFormat::Json => {
            let value = if several {
                let tables: serde_json::Map<_, _> = tables
                    .iter()
                    .map(|table| (table.name.to_owned(), table.json()))
                    .collect();
                tables.into()
            } else {
                tables
                    .iter()
                    .map(Table::json)
                    .collect::<Vec<_>>()
                    .swap_remove(0)
            };
            writeln!(out, "{}", serde_json::to_string_pretty(&value)?)?;
        }
        TableFormat::Text => {
            for (at, table) in tables.iter().enumerate() {
                if several {
                    writeln!(out, "{}{}", if at > 0 { "\n" } else { "" }, table.name)?;
                }
                table.text(&mut out)?;
            }
        }
    }
    out.flush()?;
    for table in tables {
        if table.left > 0 {
            anstream::eprintln!(
                "{} more {} records, older ones, are not listed; raise --limit",
                table.left,
                table.name
            );
        }
    }
    if answers.unreadable > 0 {
        anstream::eprintln!(
            "warning: {} of {} lines are no records and were passed over",
            answers.unreadable,
            answers.lines
        );
    }
    Ok(())
}

fn destructive(tools: &[String]) -> Destructive {
    if tools.is_empty() {
        Destructive::default()
    } else {
        Destructive {
            tools: tools.to_vec(),
        }
    }
}

/// `24h` before now, or a moment.
fn moment(text: &str) -> anyhow::Result<i64> {
    if let Some(span) = parse_span(text) {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        return Ok(millis(now) - millis(span));
    }
    parse_time(text.as_bytes()).ok_or_else(|| {
        anyhow!("`{text}` is neither a moment such as 2026-11-21T08:10:00Z nor a span such as 90s, 15m, 24h or 7d")
    })
}

fn span(text: &str) -> anyhow::Result<i64> {
    parse_span(text)
        .map(millis)
        .ok_or_else(|| anyhow!("`{text}` is no span; write 90s, 15m, 1h or 7d"))
}

fn millis(span: Duration) -> i64 {
    // Ten thousand years, so that sums stay in bounds.
    i64::try_from(span.as_millis())
        .unwrap_or(i64::MAX)
        .min(315_360_000_000_000)
}

/// `5%` or `0.05`.
fn share(text: &str) -> anyhow::Result<f64> {
    let (number, scale) = match text.strip_suffix('%') {
        Some(number) => (number, 100.0),
        None => (text, 1.0),
    };
    number
        .trim()
        .parse::<f64>()
        .ok()
        .map(|number| number / scale)
        .filter(|share| (0.0..=1.0).contains(share))
        .ok_or_else(|| anyhow!("`{text}` is no share; write 5% or 0.05"))
}

/// A bar on standard error, if that is a terminal and there is more than a second's work.
struct Progress {
    total: u64,
    begun: Instant,
    /// Milliseconds after `begun` when it was last drawn.
    drawn: AtomicU64,
    terminal: bool,
}

impl Progress {
    fn over(sources: &[Source]) -> Self {
        Self {
            total: sources.iter().map(Source::size).sum(),
            begun: Instant::now(),
            drawn: AtomicU64::new(0),
            terminal: io::stderr().is_terminal(),
        }
    }

    fn tell(&self, bytes: u64) {
        if !self.terminal || self.total == 0 {
            return;
        }
        let now = u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        if now < 1_000 || now < self.drawn.load(Ordering::Relaxed) + 100 {
            return;
        }
        self.drawn.store(now, Ordering::Relaxed);
        let share = (bytes.min(self.total) as f64 / self.total as f64).min(1.0);
        let full = (share * 30.0) as usize;
        let bar = format!("{}{}", "█".repeat(full), "░".repeat(30 - full));
        let _ = write!(
            io::stderr(),
            "\r{bar} {:3.0} % of {} MB",
            share * 100.0,
            self.total / 1_000_000
        );
    }

    /// Takes the bar away.
    fn end(&self) {
        if self.drawn.load(Ordering::Relaxed) > 0 {
            let _ = write!(io::stderr(), "\r\x1b[K");
        }
    }

    /// Tells of what is read from a file that begins at `done` of all bytes.
    fn watch<'a>(&'a self, done: u64, file: query::Reading) -> Watched<'a> {
        Watched {
            progress: self,
            done,
            file,
        }
    }
}

struct Watched<'a> {
    progress: &'a Progress,
    done: u64,
    file: query::Reading,
}

impl io::Read for Watched<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.file.read(buffer)?;
        self.progress.tell(self.done + self.file.position());
        Ok(length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_one() {
        for (count, said) in [
            (0, "0 checkpoints"),
            (1, "1 checkpoint"),
            (2, "2 checkpoints"),
        ] {
            assert_eq!(counted(count, "checkpoint"), said);
        }
    }
}
