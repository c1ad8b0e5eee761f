//! Cases line by line: a verdict for each, whatever it holds.

use std::io::{self, BufRead as _, Read as _};
use std::sync::Arc;

use super::{Case, CheckError, Verdict};
use crate::policy::Policy;

/// One line of a batch, judged.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Judged {
    /// The verdict's line, without a line feed. A line that is no case, or whose options make no
    /// policy, is blocked like anything else that cannot be understood.
    pub line: String,
    /// Why there was no case to judge.
    pub problem: Option<String>,
    /// Whether the verdict is the one that the case's `expect` (`"allow"`, `"block"`, or an object
    /// with `verdict` and perhaps `reason`) wants; `None` without one.
    pub as_expected: Option<bool>,
}

/// Judges one line of a batch, under `policy` where its case names no options. There is a verdict
/// for every line.
pub async fn judge(text: &str, policy: Option<&Arc<Policy>>) -> Judged {
    let whole: serde_json::Value = serde_json::from_str(text).unwrap_or_default();
    let judged = match serde_json::from_str::<Case>(text) {
        Ok(case) => {
            let given = policy.filter(|_| case.opts.is_none()).cloned();
            case.run(given).await
        }
        Err(error) => Err(CheckError::Json(error)),
    };
    let (verdict, problem) = match judged {
        Ok(verdict) => (verdict, None),
        Err(error) => {
            let reason = match &error {
                CheckError::Json(_) => "egress.case.malformed",
                CheckError::Policy(_) => "egress.case.policy",
            };
            let verdict = Verdict {
                id: whole.get("id").cloned().unwrap_or_default(),
                verdict: "block",
                reason: reason.to_owned(),
                connected: Vec::new(),
            };
            (verdict, Some(error.to_string()))
        }
    };
    let as_expected = whole.get("expect").map(|expect| {
        let wanted = |key: &str| expect.get(key).and_then(serde_json::Value::as_str);
        let verdict_wanted = wanted("verdict").or_else(|| expect.as_str());
        problem.is_none()
            && verdict_wanted.is_none_or(|wanted| wanted == verdict.verdict)
            && wanted("reason").is_none_or(|wanted| wanted == verdict.reason)
    });
    Judged {
        // A verdict has no map with other keys than strings, so this cannot fail.
        line: serde_json::to_string(&verdict).unwrap_or_default(),
        problem,
        as_expected,
    }
}

/// What came of a whole batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Batch {
    /// Lines that were judged.
    pub judged: usize,
    /// Lines that were no case, or whose options make no policy.
    pub malformed: usize,
    /// Cases with another verdict than the one they expect.
    pub unexpected: usize,
}

/// Longest line of a batch, in bytes.
const MAX_LINE: u64 = 16 << 20;

/// Judges every line that is not blank, and writes one verdict a line to `verdicts`, what is wrong
/// with a line to `words`.
///
/// # Errors
/// The cases cannot be read, or the verdicts not be written.
pub async fn batch(
    mut cases: impl io::BufRead,
    mut verdicts: impl io::Write,
    mut words: impl FnMut(&str),
    policy: Option<&Arc<Policy>>,
) -> io::Result<Batch> {
    let mut result = Batch::default();
    let mut line = Vec::new();
    for number in 1_u64.. {
        line.clear();
        if cases.by_ref().take(MAX_LINE).read_until(b'\n', &mut line)? == 0 {
            break;
        }
        if line.trim_ascii().is_empty() {
            continue;
        }
        // What is no UTF-8 is no JSON either.
        let judged = judge(&String::from_utf8_lossy(&line), policy).await;
        writeln!(verdicts, "{}", judged.line)?;
        result.judged += 1;
        if let Some(problem) = judged.problem {
            result.malformed += 1;
            words(&format!("line {number}: {problem}"));
        }
        if judged.as_expected == Some(false) {
            result.unexpected += 1;
            words(&format!("line {number}: not as expected: {}", judged.line));
        }
    }
    verdicts.flush()?;
    Ok(result)
}
