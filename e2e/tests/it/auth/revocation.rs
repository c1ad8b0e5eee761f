//! Revocation lists as OpenSSL makes them.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use e2e::palisade::Builder;
use e2e::wire::{Ask, BOTH, Client};
use e2e::{PATIENCE, Palisade, Upstream, authority};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use super::certificates::answers;

/// An authority of `openssl ca`, in a directory of its own.
struct Openssl(tempfile::TempDir);

const CONFIG: &str = "
[ca]
default_ca = us
[us]
database = index.txt
serial = serial
crlnumber = crlnumber
new_certs_dir = .
certificate = ca.pem
private_key = ca.key
default_md = sha256
default_days = 2
default_crl_days = 2
policy = any
x509_extensions = client
unique_subject = no
[any]
commonName = supplied
[client]
basicConstraints = critical,CA:FALSE
extendedKeyUsage = clientAuth
subjectAltName = DNS:robot.example
authorityKeyIdentifier = keyid
[authority]
basicConstraints = critical,CA:TRUE
keyUsage = critical,keyCertSign,cRLSign
subjectKeyIdentifier = hash
[list]
authorityKeyIdentifier = keyid
[req]
distinguished_name = name
[name]
";

const KEY: [&str; 5] = [
    "-newkey",
    "ec",
    "-pkeyopt",
    "ec_paramgen_curve:P-256",
    "-nodes",
];

impl Openssl {
    /// All of them have one name.
    fn new() -> Self {
        let authority = Self(tempfile::tempdir().unwrap());
        for (name, content) in [
            ("ca.cnf", CONFIG),
            ("index.txt", ""),
            ("serial", "1000\n"),
            ("crlnumber", "01\n"),
        ] {
            std::fs::write(authority.path(name), content).unwrap();
        }
        authority.run(
            &["req", "-x509", "-subj", "/CN=Clients", "-days", "2"],
            &KEY,
        );
        authority
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn run(&self, what: &[&str], more: &[&str]) {
        let mut command = Command::new("openssl");
        command.current_dir(self.0.path()).args(what).args(more);
        match what {
            ["req", "-x509", ..] => command
                .args(["-extensions", "authority"])
                .args(["-keyout", "ca.key", "-out", "ca.pem"]),
            _ => &mut command,
        };
        let output = command.args(["-config", "ca.cnf"]).output().unwrap();
        assert!(output.status.success(), "{what:?} {output:?}");
    }

    fn issue(&self, name: &str) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
        let file = |ending: &str| format!("{name}.{ending}");
        let (key, request, certificate) = (file("key"), file("csr"), file("pem"));
        let subject = format!("/CN={name}");
        let out = ["-subj", &subject, "-keyout", &key, "-out", &request];
        self.run(&["req"], &[&KEY[..], &out].concat());
        let out = ["-in", &request, "-out", &certificate];
        self.run(&["ca", "-batch", "-notext"], &out);
        (
            vec![CertificateDer::from_pem_file(self.path(&certificate)).unwrap()],
            PrivateKeyDer::from_pem_file(self.path(&key)).unwrap(),
        )
    }

    fn revoke(&self, name: &str) {
        self.run(&["ca"], &["-revoke", &format!("{name}.pem")]);
    }

    /// Publishes its list as `file`, at once as who renews a file should.
    fn publish(&self, more: &[&str], file: &Path) {
        let out = ["-gencrl", "-crlexts", "list", "-out", "list.pem"];
        self.run(&["ca"], &[&out[..], more].concat());
        let new = file.with_extension("new");
        std::fs::copy(self.path("list.pem"), &new).unwrap();
        std::fs::rename(&new, file).unwrap();
    }
}

/// A list that was to be replaced long ago.
const OVER: [&str; 4] = [
    "-crl_lastupdate",
    "20200101000000Z",
    "-crl_nextupdate",
    "20200102000000Z",
];

fn builder(ours: &Openssl, list: &Path, upstream: &Upstream) -> Builder {
    let (chain, key) = authority::certificate(ours.0.path(), &authority::NAMES);
    Palisade::builder().plain().config(&format!(
        "[tls]\ncertificate = \"{}\"\nkey = \"{}\"\nclient_ca = \"{}\"\nclient_crl = \"{}\"\n[[server]]\nname = \"test\"\npath = \"/mcp\"\nupstream = \"{}\"\n",
        chain.display(),
        key.display(),
        ours.path("ca.pem").display(),
        list.display(),
        upstream.url(),
    ))
}

/// Whether nobody answers `client`, by any protocol or version.
async fn refuses(client: &Client) -> bool {
    for alpn in ["http/1.1", "h2"] {
        let older = client.clone().version(&rustls::version::TLS12);
        if answers(client, alpn).await || answers(&older, alpn).await {
            return false;
        }
    }
    true
}

async fn admits(client: &Client) {
    for protocol in BOTH {
        let answer = client.ask(protocol, &Ask::call()).await;
        assert_eq!(answer.status, 200, "{answer:?}");
    }
}

// REQ: T-4
#[tokio::test]
async fn a_list_counts_while_it_lasts_and_is_read_again() {
    let ours = Openssl::new();
    let list = ours.path("clients.crl");
    let ((own, key), (other, other_key)) = (ours.issue("robot"), ours.issue("other"));
    ours.publish(&[], &list);
    let upstream = Upstream::new();
    let mut palisade = builder(&ours, &list, &upstream).start();
    let client = palisade.client();
    let robot = client.clone().identity(own, key);
    let other = client.identity(other, other_key);
    admits(&robot).await;
    admits(&other).await;
    let becomes = async |client: &Client, what: &str| {
        let begun = Instant::now();
        while !refuses(client).await {
            assert!(begun.elapsed() < PATIENCE, "{what}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    // Revoked while the gateway runs; the other goes on.
    ours.revoke("robot");
    ours.publish(&[], &list);
    becomes(&robot, "revoked").await;
    admits(&other).await;
    // A file that is no list takes nothing away, and gives nothing back.
    std::fs::write(&list, "no list").unwrap();
    let begun = Instant::now();
    while !palisade.stderr().contains("cannot be read again") {
        // It is looked at where somebody comes.
        admits(&other).await;
        assert!(begun.elapsed() < PATIENCE, "{}", palisade.stderr());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(refuses(&robot).await);
    admits(&other).await;
    // Over: nobody can be told from who was revoked since.
    ours.publish(&OVER, &list);
    becomes(&other, "over").await;
    palisade.wait_for_stderr("has ended (nextUpdate)");
    ours.publish(&[], &list);
    let begun = Instant::now();
    while !answers(&other, "h2").await {
        assert!(begun.elapsed() < PATIENCE, "the new list is not read");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    admits(&other).await;
    assert!(refuses(&robot).await);
    palisade.stop();
    let told = palisade.audit_where(1, |record| record["reason"] == "connection.handshake");
    assert!(told[0]["count"].as_u64().unwrap() > 4, "{told:?}");
}

// REQ: T-4
#[tokio::test]
async fn what_a_foreign_list_says_does_not_count() {
    let (ours, foreign) = (Openssl::new(), Openssl::new());
    let upstream = Upstream::new();
    let (own, key) = ours.issue("robot");
    let (theirs, their_key) = foreign.issue("robot");
    let list = ours.path("clients.crl");
    // The name of the authority is the same; the key that signed the list is another.
    foreign.publish(&[], &list);
    let palisade = builder(&ours, &list, &upstream).start();
    let client = palisade.client();
    assert!(refuses(&client.clone().identity(own, key)).await);
    assert!(refuses(&client.clone().identity(theirs, their_key)).await);
    assert!(refuses(&client).await);
    assert_eq!(upstream.arrived().len(), 0);
}

// REQ: T-4
#[test]
fn nothing_starts_with_a_list_that_is_over() {
    let ours = Openssl::new();
    let list = ours.path("clients.crl");
    let upstream = Upstream::new();
    ours.publish(&OVER, &list);
    let name = list.display().to_string();
    for ended in [
        builder(&ours, &list, &upstream).fail(),
        builder(&ours, &list, &upstream).check(),
    ] {
        let said = format!("{}{}", ended.stdout, ended.stderr);
        assert_ne!(ended.code, Some(0), "{said}");
        for word in [
            "tls.client_crl",
            &name,
            "2020-01-02",
            "CN=Clients",
            "current list",
        ] {
            assert!(said.contains(word), "{word}: {said}");
        }
    }
    // In time, the same configuration is sound.
    ours.publish(&[], &list);
    let ended = builder(&ours, &list, &upstream).check();
    assert_eq!(ended.code, Some(0), "{}{}", ended.stdout, ended.stderr);
}
