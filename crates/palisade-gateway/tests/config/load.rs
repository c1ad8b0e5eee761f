//! Files: the configuration itself, and the certificate and key it names.

use std::fs;
use std::path::{Path, PathBuf};

use palisade_gateway::config::{Flags, Problems, Severity, load};
use rcgen::generate_simple_self_signed;

const SERVER: &str = "\n[[server]]\nname = \"files\"\nupstream = \"http://127.0.0.1:3000/mcp\"\n";

fn in_directory(directory: &Path, text: &str) -> Result<Problems, Problems> {
    let file = directory.join("palisade.toml");
    fs::write(&file, format!("{text}{SERVER}")).unwrap();
    load(Some(&file), [], &Flags::default()).map(|(_, problems)| problems)
}

fn causes(problems: &Problems, directory: &Path) -> Vec<String> {
    let shown = format!("{}/", directory.display());
    problems
        .iter()
        .map(|problem| format!("{}: {}", problem.key, problem.cause.replace(&shown, "")))
        .collect()
}

fn directory_with_certificate() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let made = generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let certificate = directory.path().join("cert.pem");
    fs::write(certificate, made.cert.pem()).unwrap();
    let key = directory.path().join("key.pem");
    fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    only_for_the_owner(&key);
    directory
}

#[cfg(unix)]
fn only_for_the_owner(path: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

#[cfg(not(unix))]
fn only_for_the_owner(_: &Path) {}

// REQ: G-8
#[test]
fn a_missing_configuration_file_is_named() {
    let file = PathBuf::from("no/such/palisade.toml");
    let problems = load(Some(&file), [], &Flags::default()).unwrap_err();
    insta::assert_snapshot!(problems.render(false), @r"
    error[config.file]: no/such/palisade.toml cannot be read: there is no such file
     |
     = help: check the path given with --config, and that this user may read it

    1 error
    ");
}

// REQ: G-8
#[test]
fn a_configuration_must_be_small_text() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("palisade.toml");
    for (bytes, wanted) in [
        (
            vec![b'#'; (1 << 20) + 1],
            "cannot be read: it is larger than 1 MB",
        ),
        (vec![b'#', 0xff, 0xfe], "is not UTF-8"),
    ] {
        fs::write(&file, bytes).unwrap();
        let problems = load(Some(&file), [], &Flags::default()).unwrap_err();
        let cause = &problems.iter().next().unwrap().cause;
        assert!(cause.ends_with(wanted), "{cause}");
    }
    let problems = load(Some(directory.path()), [], &Flags::default()).unwrap_err();
    assert!(
        problems
            .iter()
            .next()
            .unwrap()
            .cause
            .ends_with("it is a directory")
    );
}

// REQ: T-2
#[test]
fn certificate_and_key_files() {
    let directory = directory_with_certificate();
    let at = directory.path();
    fs::write(at.join("empty.pem"), "").unwrap();
    fs::write(
        at.join("damaged.pem"),
        "-----BEGIN CERTIFICATE-----\n!!!!\n-----END CERTIFICATE-----\n",
    )
    .unwrap();
    fs::write(
        at.join("locked.pem"),
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n",
    )
    .unwrap();
    let none: &[&str] = &[];
    for (certificate, key, wanted) in [
        ("cert.pem", "key.pem", none),
        (
            "none.pem",
            "none.pem",
            &[
                "tls.certificate: none.pem cannot be read: there is no such file",
                "tls.key: none.pem cannot be read: there is no such file",
            ],
        ),
        (
            "key.pem",
            "cert.pem",
            &[
                "tls.certificate: key.pem holds a private key and no certificate",
                "tls.key: cert.pem holds a certificate and no private key",
            ],
        ),
        (
            "empty.pem",
            "empty.pem",
            &[
                "tls.certificate: empty.pem holds no certificate in PEM form",
                "tls.key: empty.pem holds no private key in PEM form",
            ],
        ),
        (
            "damaged.pem",
            "locked.pem",
            &[
                "tls.certificate: damaged.pem is damaged: its PEM form cannot be read",
                "tls.key: locked.pem holds a key that is locked with a passphrase",
            ],
        ),
    ] {
        let outcome = in_directory(
            at,
            &format!("[tls]\ncertificate = \"{certificate}\"\nkey = \"{key}\"\n"),
        );
        let problems = match outcome {
            Ok(problems) => {
                assert!(wanted.is_empty());
                problems
            }
            Err(problems) => problems,
        };
        assert_eq!(causes(&problems, at), wanted);
    }
}

#[cfg(unix)]
#[test]
fn a_key_that_everyone_may_read_is_warned_of() {
    use std::os::unix::fs::PermissionsExt as _;
    let directory = directory_with_certificate();
    fs::set_permissions(
        directory.path().join("key.pem"),
        fs::Permissions::from_mode(0o644),
    )
    .unwrap();
    let problems = in_directory(
        directory.path(),
        "[tls]\ncertificate = \"cert.pem\"\nkey = \"key.pem\"\n",
    )
    .unwrap();
    let problem = problems.iter().next().unwrap();
    assert_eq!(problem.severity, Severity::Warning);
    assert_eq!(problem.key, "tls.key");
}

// REQ: L-1
#[test]
fn an_audit_file_needs_its_directory() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    let problems =
        in_directory(at, "[audit]\nsink = { file = \"log/audit.ndjson\" }\n").unwrap_err();
    assert!(
        problems
            .iter()
            .next()
            .unwrap()
            .cause
            .ends_with("log does not exist")
    );
    fs::create_dir(at.join("log")).unwrap();
    assert!(
        in_directory(at, "[audit]\nsink = { file = \"log/audit.ndjson\" }\n")
            .unwrap()
            .is_empty()
    );
    let problems = in_directory(at, "[audit]\nsink = { file = \"log\" }\n").unwrap_err();
    assert!(
        problems
            .iter()
            .next()
            .unwrap()
            .cause
            .ends_with("is a directory")
    );
}

// REQ: G-8, L-3
#[test]
fn what_a_sink_over_the_network_needs_is_looked_at() {
    let directory = directory_with_certificate();
    let at = directory.path();
    fs::write(at.join("empty"), "\n").unwrap();
    fs::write(at.join("token"), "abc\n").unwrap();
    let sink = |more: &str| {
        let sink = format!("[audit]\nsink = {{ otlp = \"https://otlp.example.com\"{more} }}\n");
        match in_directory(at, &sink) {
            Ok(problems) | Err(problems) => causes(&problems, at),
        }
    };
    for (more, expected) in [
        (", ca = \"cert.pem\", token_file = \"token\"", &[][..]),
        (
            ", ca = \"key.pem\", token_file = \"empty\"",
            &[
                "audit.sink.ca: key.pem holds no certificate in PEM form",
                "audit.sink.token_file: empty holds no token on one line",
            ],
        ),
        (
            ", ca = \"missing\", token_file = \"missing\"",
            &[
                "audit.sink.ca: missing cannot be read: there is no such file",
                "audit.sink.token_file: missing cannot be read: there is no such file",
            ],
        ),
    ] {
        assert_eq!(sink(more), expected);
    }
}
