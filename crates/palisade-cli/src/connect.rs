//! `palisade connect`.

use std::process::ExitCode;

use palisade_gateway::connect::{Ended, Options, TokenSource, run as carry};

use crate::arguments::Connect;
use crate::{UNREACHED, serve, signals};

pub(crate) fn run(connect: &Connect) -> anyhow::Result<ExitCode> {
    let options = Options {
        url: connect.url.clone(),
        token: token(connect),
        ca: connect.ca.clone(),
        accept_plaintext: connect.i_accept_plaintext,
    };
    let stop = signals::stop()?;
    let ended = carry(&options, std::io::stdin(), std::io::stdout(), stop)?;
    Ok(match ended {
        Ended::Done => ExitCode::SUCCESS,
        Ended::Interrupted => ExitCode::from(serve::INTERRUPTED),
        Ended::Unreached => ExitCode::from(UNREACHED),
    })
}

/// What is named on the command line comes before the environment.
fn token(connect: &Connect) -> TokenSource {
    if let Some(file) = &connect.token_file {
        return TokenSource::File(file.clone());
    }
    match std::env::var_os("PALISADE_TOKEN").map(std::ffi::OsString::into_string) {
        // An empty variable is how some clients say that there is none.
        Some(Ok(value)) if !value.is_empty() => TokenSource::Value(value),
        // What is not UTF-8 is refused as no token, not passed over.
        Some(Err(_)) => TokenSource::Value("\u{fffd}".to_owned()),
        Some(Ok(_)) | None => TokenSource::None,
    }
}
