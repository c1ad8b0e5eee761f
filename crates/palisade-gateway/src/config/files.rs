//! The files that a configuration is, and that it names.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;
use std::time::SystemTime;

use palisade::auth::{Algorithm, KeySet};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer};

use super::problem::{Problem, ProblemCode, Problems};
use super::settings::{Credential, Identity, Settings, Sink, Value};
use crate::certs::revocation;

/// No configuration, certificate or key is larger.
const LARGEST: u64 = 1 << 20;

/// The configuration file's text.
pub(super) fn read_configuration(path: &Path) -> Result<String, Box<Problem>> {
    let problem = |cause: String, remedy: &str| {
        let cause = format!("{} {cause}", path.display());
        Box::new(Problem::error(ProblemCode::File, "", cause).remedy(remedy))
    };
    let bytes = read(path).map_err(|cause| {
        problem(
            format!("cannot be read: {cause}"),
            "check the path given with --config, and that this user may read it",
        )
    })?;
    String::from_utf8(bytes)
        .map_err(|_| problem("is not UTF-8".to_owned(), "save it as UTF-8 text"))
}

/// Reports every named file that cannot be used.
pub(super) fn check(settings: &Settings, problems: &mut Problems) {
    if let Some(Identity::Files { certificate, key }) =
        settings.tls.as_ref().map(|tls| &tls.identity)
    {
        if let Some(problem) = check_certificate(certificate) {
            problems.push(problem.at_source(&certificate.source));
        }
        if let Some(problem) = check_key(key) {
            problems.push(problem.at_source(&key.source));
        }
    }
    if let Some(clients) = settings.tls.as_ref().and_then(|tls| tls.clients.as_ref()) {
        let ca = |bytes: &[u8]| matches!(CertificateDer::pem_slice_iter(bytes).next(), Some(Ok(_)));
        let crl = |bytes: &[u8]| {
            matches!(
                CertificateRevocationListDer::pem_slice_iter(bytes).next(),
                Some(Ok(_))
            )
        };
        if let Some(problem) = check_content("tls.client_ca", &clients.ca, "certificate", ca) {
            problems.push(problem);
        }
        if let Some(path) = &clients.crl
            && let Some(problem) = check_content("tls.client_crl", path, "revocation list", crl)
        {
            problems.push(problem);
        } else if let Some(path) = &clients.crl
            && let Ok(bytes) = read(path)
            && let Some(cause) = revocation::ended(&bytes, SystemTime::now())
        {
            let cause = format!("{}: {cause}", path.display());
            let problem = Problem::error(ProblemCode::File, "tls.client_crl", cause).remedy(
                "put the authority's current list there: by one that has ended nobody is let in",
            );
            problems.push(problem.at_source(&path.source));
        }
    }
    for jwt in &settings.auth.jwt {
        if let Some(path) = &jwt.keys {
            let keys = |bytes: &[u8]| KeySet::parse(bytes, Algorithm::Rs256).is_ok();
            let what = "key that can be used, as a JSON Web Key Set";
            if let Some(problem) = check_content("auth.jwt.keys", path, what, keys) {
                problems.push(problem);
            }
        }
    }
    for server in &settings.servers {
        if let Some(Credential::File(path)) = &server.auth.credential {
            let key = format!("server.{}.credential_file", server.name.value);
            let value = |bytes: &[u8]| bytes.trim_ascii().contains(&b' ');
            let what = "value of Authorization such as `Bearer TOKEN`";
            if let Some(problem) = check_content(&key, path, what, value) {
                problems.push(problem);
            }
        }
    }
    let policies = settings.servers.iter().map(|server| &server.policy);
    for policy in std::iter::once(&settings.defaults).chain(policies) {
        for sink in policy.audit.sinks.iter() {
            let file = |path: &Path| Value::new(path.to_owned(), sink.source.clone());
            let (ca, token) = match &sink.value {
                Sink::File(path) => {
                    if let Some(problem) = check_sink(path) {
                        problems.push(problem.at_source(&sink.source));
                    }
                    (None, None)
                }
                Sink::Otlp(otlp) => (otlp.ca.as_deref(), otlp.token_file.as_deref()),
                Sink::S3(s3) => (s3.ca.as_deref(), None),
                Sink::Stdout => (None, None),
            };
            let is_pem =
                |bytes: &[u8]| matches!(CertificateDer::pem_slice_iter(bytes).next(), Some(Ok(_)));
            let is_token = |bytes: &[u8]| {
                let token = bytes.trim_ascii();
                !token.is_empty() && token.iter().all(u8::is_ascii_graphic)
            };
            let ca = ca.map(file).and_then(|path| {
                let what = "certificate in PEM form";
                check_content("audit.sink.ca", &path, what, is_pem)
            });
            let token = token.map(file).and_then(|path| {
                let what = "token on one line";
                check_content("audit.sink.token_file", &path, what, is_token)
            });
            ca.into_iter()
                .chain(token)
                .for_each(|problem| problems.push(problem));
        }
    }
}

fn check_certificate(path: &Value<std::path::PathBuf>) -> Option<Problem> {
    let key = "tls.certificate";
    let bytes = match read(path) {
        Ok(bytes) => bytes,
        Err(cause) => return Some(unreadable(key, path, &cause)),
    };
    let first = CertificateDer::pem_slice_iter(&bytes).next();
    if matches!(first, Some(Ok(_))) {
        return None;
    }
    let cause = if matches!(first, Some(Err(_))) {
        format!("{} is damaged: its PEM form cannot be read", path.display())
    } else if PrivateKeyDer::from_pem_slice(&bytes).is_ok() {
        format!("{} holds a private key and no certificate", path.display())
    } else {
        format!("{} holds no certificate in PEM form", path.display())
    };
    Some(
        Problem::error(ProblemCode::File, key, cause)
            .remedy("name a file that begins with `-----BEGIN CERTIFICATE-----`, the server's own certificate first"),
    )
}

fn check_key(path: &Value<std::path::PathBuf>) -> Option<Problem> {
    let key = "tls.key";
    let bytes = match read(path) {
        Ok(bytes) => bytes,
        Err(cause) => return Some(unreadable(key, path, &cause)),
    };
    if PrivateKeyDer::from_pem_slice(&bytes).is_err() {
        let text = String::from_utf8_lossy(&bytes);
        let (cause, remedy) = if text.contains("-----BEGIN ENCRYPTED PRIVATE KEY-----")
            || text.contains("Proc-Type: 4,ENCRYPTED")
        {
            (
                "holds a key that is locked with a passphrase",
                "unlock it: `openssl pkey -in locked.pem -out key.pem`",
            )
        } else if CertificateDer::from_pem_slice(&bytes).is_ok() {
            (
                "holds a certificate and no private key",
                "name a file that begins with `-----BEGIN PRIVATE KEY-----`",
            )
        } else {
            (
                "holds no private key in PEM form",
                "name a file that begins with `-----BEGIN PRIVATE KEY-----`",
            )
        };
        let cause = format!("{} {cause}", path.display());
        return Some(Problem::error(ProblemCode::File, key, cause).remedy(remedy));
    }
    others_may_read(path).then(|| {
        Problem::error(
            ProblemCode::Risk,
            key,
            format!("every user of this machine may read {}", path.display()),
        )
        .warning()
        .remedy(format!("run `chmod o-rwx {}`", path.display()))
    })
}

/// A file that must hold a thing of some kind.
fn check_content(
    key: &str,
    path: &Value<std::path::PathBuf>,
    what: &str,
    holds: impl FnOnce(&[u8]) -> bool,
) -> Option<Problem> {
    let problem = match read(path) {
        Err(cause) => unreadable(key, path, &cause),
        Ok(bytes) if holds(&bytes) => return None,
        Ok(_) => {
            let cause = format!("{} holds no {what}", path.display());
            Problem::error(ProblemCode::File, key, cause).remedy("name another file, or mend it")
        }
    };
    Some(problem.at_source(&path.source))
}

fn check_sink(path: &Path) -> Option<Problem> {
    let problem = |cause: String, remedy: &str| {
        Some(Problem::error(ProblemCode::File, "audit.sink", cause).remedy(remedy))
    };
    if path.is_dir() {
        return problem(
            format!("{} is a directory", path.display()),
            "name a file in it",
        );
    }
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    if directory.is_dir() {
        return None;
    }
    problem(
        format!("the directory {} does not exist", directory.display()),
        "make it, and let this user write to it",
    )
}

fn unreadable(key: &str, path: &Path, cause: &str) -> Problem {
    Problem::error(
        ProblemCode::File,
        key,
        format!("{} cannot be read: {cause}", path.display()),
    )
    .remedy("check the path (relative to the configuration file), and that this user may read it")
}

/// A whole small file, or what stands against it in words that do not depend on the system.
fn read(path: &Path) -> Result<Vec<u8>, String> {
    let words = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::NotFound => "there is no such file".to_owned(),
        std::io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        std::io::ErrorKind::IsADirectory => "it is a directory".to_owned(),
        _ => error.to_string(),
    };
    let file = File::open(path).map_err(words)?;
    let mut bytes = Vec::new();
    file.take(LARGEST + 1)
        .read_to_end(&mut bytes)
        .map_err(words)?;
    if bytes.len() as u64 > LARGEST {
        return Err("it is larger than 1 MB".to_owned());
    }
    Ok(bytes)
}

#[cfg(unix)]
fn others_may_read(path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    std::fs::metadata(path).is_ok_and(|metadata| metadata.mode() & 0o004 != 0)
}

#[cfg(not(unix))]
fn others_may_read(_: &Path) -> bool {
    false
}
