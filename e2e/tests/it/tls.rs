//! TLS as the tools judge it that operators and auditors use: `sslyze` against Mozilla's
//! guideline, `testssl.sh`, `sslscan`, and Node 24 as a client that knows X25519MLKEM768.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use e2e::{Palisade, Upstream, authority};
use serde_json::Value as Json;
use tokio::process::Command;

use crate::peers::{e2e, node24, python};

/// What a tool may take on a busy machine; alone, `testssl.sh` takes 20 s and the others one.
const LIMIT: Duration = Duration::from_secs(160);

/// A gateway with this profile, and the authority's certificate in a file.
struct Scanned {
    palisade: Palisade,
    ca: PathBuf,
    _upstream: Upstream,
}

impl Scanned {
    fn new(tls: &str) -> Self {
        let upstream = Upstream::new();
        let palisade = Palisade::builder()
            .server(&upstream)
            .config(&format!("[tls]\n{tls}"))
            .start();
        let ca = palisade.path("ca.pem");
        fs::write(&ca, authority::root_pem()).unwrap();
        Self {
            palisade,
            ca,
            _upstream: upstream,
        }
    }

    /// As the tools want it: by name, so that they send SNI.
    fn target(&self) -> String {
        format!("localhost:{}", self.palisade.port())
    }

    /// What `sslyze` says of it by Mozilla's guideline: whether it complies, and all it said.
    async fn sslyze(&self, profile: &str) -> (bool, String) {
        let mut sslyze = Command::new(python("venv-sslyze"));
        sslyze
            .args(["-W", "ignore", "-m", "sslyze"])
            .arg(format!("--mozilla_config={profile}"))
            .arg("--certinfo_ca_file")
            .args([self.ca.as_os_str(), self.target().as_ref()]);
        let ran = run(&mut sslyze).await;
        (ran.code == Some(0), ran.text)
    }
}

/// How a tool ended, and what it wrote.
struct Ran {
    code: Option<i32>,
    text: String,
}

/// Runs a tool to its end; `timeout` ends what it starts with it.
async fn run(command: &mut Command) -> Ran {
    let inner = command.as_std();
    let mut bounded = Command::new("timeout");
    bounded
        .args(["--kill-after=5", &LIMIT.as_secs().to_string()])
        .arg(inner.get_program())
        .args(inner.get_args())
        .stdin(std::process::Stdio::null());
    let output = bounded.output().await.unwrap();
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text).into_owned();
    let code = output.status.code();
    assert!(
        code != Some(127) && code != Some(124),
        "{inner:?} is missing or took too long; run e2e/setup.sh: {text}"
    );
    Ran { code, text }
}

// REQ: T-1
#[tokio::test]
async fn sslyze_finds_the_default_to_be_mozillas_intermediate() {
    let scanned = Scanned::new("");
    let (compliant, text) = scanned.sslyze("intermediate").await;
    assert!(compliant && text.contains("OK - Compliant."), "{text}");
    // The judge can say no as well: TLS 1.2 is not `modern`.
    let (compliant, text) = scanned.sslyze("modern").await;
    assert!(
        !compliant && text.contains("FAILED - Not compliant."),
        "{text}"
    );
}

/// The suites of TLS 1.2 differ by the kind of key.
// REQ: T-1
#[tokio::test]
async fn sslyze_finds_the_same_of_an_rsa_key() {
    let directory = tempfile::tempdir().unwrap();
    let (chain, key) = authority::rsa_certificate(directory.path(), &authority::NAMES);
    let files = format!(
        "certificate = \"{}\"\nkey = \"{}\"",
        chain.display(),
        key.display()
    );
    let (compliant, text) = Scanned::new(&files).sslyze("intermediate").await;
    assert!(compliant && text.contains("OK - Compliant."), "{text}");
    for suite in [
        "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
        "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
        "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
    ] {
        assert!(text.contains(suite), "{suite}: {text}");
    }
}

// REQ: T-1
#[tokio::test]
async fn sslyze_finds_modern_to_be_mozillas_modern() {
    let scanned = Scanned::new("profile = \"modern\"");
    let (compliant, text) = scanned.sslyze("modern").await;
    assert!(compliant && text.contains("OK - Compliant."), "{text}");
}

// REQ: T-1
#[tokio::test]
async fn testssl_finds_nothing_by_default() {
    testssl(&Scanned::new("")).await;
}

// REQ: T-1
#[tokio::test]
async fn testssl_finds_nothing_with_modern() {
    testssl(&Scanned::new("profile = \"modern\"")).await;
}

/// Findings of `WARN` that say nothing of the server: what its own OpenSSL cannot do, and a
/// resumption that it may not try because its client left before the tickets of TLS 1.3 came.
const OWN_TROUBLE: [&str; 3] = ["engine_problem", "RC4", "sessionresumption_ticket"];

/// Protocols, cipher categories, forward secrecy, preferences, certificate and every vulnerability
/// it knows; without look-ups in the DNS.
async fn testssl(scanned: &Scanned) {
    let report = scanned.palisade.path("testssl.json");
    let mut command = Command::new("testssl");
    command
        .args(["--quiet", "--warnings", "off", "--color", "0", "--fast"])
        .args(["--nodns", "none", "--ip", "127.0.0.1"])
        .args(["-p", "-s", "-f", "-P", "-S", "-U"])
        .arg("--add-ca")
        .arg(&scanned.ca)
        .arg("--jsonfile")
        .arg(&report)
        .arg(scanned.target());
    let ran = run(&mut command).await;
    let findings: Json = serde_json::from_str(&fs::read_to_string(&report).unwrap()).unwrap();
    let findings = findings.as_array().unwrap();
    let field = |finding: &Json, name: &str| finding[name].as_str().unwrap_or("").to_owned();
    // It got to the end, and looked at what it was asked to.
    for id in [
        "TLS1_3",
        "cipherlist_STRONG",
        "PFS",
        "cipher_order",
        "cert_chain_of_trust",
        "heartbleed",
        "ROBOT",
        "LUCKY13",
        "scanTime",
    ] {
        let there = findings.iter().any(|finding| finding["id"] == id);
        assert!(there, "no {id}: {}", ran.text);
    }
    let bad: Vec<String> = findings
        .iter()
        .filter(|finding| match field(finding, "severity").as_str() {
            "OK" | "INFO" | "LOW" => false,
            "WARN" => !OWN_TROUBLE.contains(&&*field(finding, "id")),
            _ => true,
        })
        .map(Json::to_string)
        .collect();
    assert!(bad.is_empty(), "{bad:#?}\n{}", ran.text);
}

/// The classical groups of the guideline, by their numbers: P-256, P-384, X25519.
const CLASSICAL: [&str; 3] = ["0x0017", "0x0018", "0x001d"];

/// Debian's `sslscan` does not know X25519MLKEM768 yet; Node 24 does, below.
const HYBRID: &str = "0x11ec";

// REQ: T-1
#[tokio::test]
async fn sslscan_finds_no_other_group_and_no_old_version() {
    for (profile, versions) in [
        ("intermediate", &["1.2", "1.3"][..]),
        ("modern", &["1.3"][..]),
    ] {
        let scanned = Scanned::new(&format!("profile = \"{profile}\""));
        let ran = run(Command::new("sslscan").args(["--xml=-", &scanned.target()])).await;
        let mut groups = attributes(&ran.text, "<group ", "id");
        groups.sort();
        groups.dedup();
        groups.retain(|id| id != HYBRID);
        assert_eq!(groups, CLASSICAL, "{profile}: {}", ran.text);

        let enabled: Vec<String> = elements(&ran.text, "<protocol ")
            .filter(|element| element.contains(" enabled=\"1\""))
            .filter_map(|element| attribute(element, "version"))
            .collect();
        assert_eq!(enabled, versions, "{profile}: {}", ran.text);
    }
}

/// What stands between `start` and the end of each element that begins so.
fn elements<'a>(xml: &'a str, start: &'a str) -> impl Iterator<Item = &'a str> {
    xml.split(start)
        .skip(1)
        .map(|rest| rest.split('>').next().unwrap_or_default())
}

fn attributes(xml: &str, start: &str, name: &str) -> Vec<String> {
    elements(xml, start)
        .filter_map(|element| attribute(element, name))
        .collect()
}

fn attribute(element: &str, name: &str) -> Option<String> {
    // The element's name is gone, so its first attribute has no space before it.
    let element = format!(" {element}");
    let (_, rest) = element.split_once(&format!(" {name}=\""))?;
    rest.split('"').next().map(str::to_owned)
}

// REQ: T-1
#[tokio::test]
async fn node_that_leads_with_x25519_ends_on_the_hybrid_group() {
    for profile in ["intermediate", "modern"] {
        let scanned = Scanned::new(&format!("profile = \"{profile}\""));
        for (groups, wanted) in [
            ("X25519:X25519MLKEM768", "X25519MLKEM768"),
            ("X25519:prime256v1:X25519MLKEM768", "X25519MLKEM768"),
            // Who does not offer it is served as before.
            ("X25519:prime256v1", "X25519"),
        ] {
            let (led, told) = node(&scanned.ca, scanned.palisade.port(), groups).await;
            assert_eq!(led, "ecdh_x25519", "{groups}: {told}");
            assert_eq!(told["group"], wanted, "{profile}, {groups}");
            assert_eq!(told["protocol"], "TLSv1.3");
        }
    }
}

/// The group of its first key share, and what was agreed on.
async fn node(ca: &Path, port: u16, groups: &str) -> (String, Json) {
    let mut node = Command::new(node24());
    node.arg(e2e().join("clients/tls-group.mjs"))
        .arg(port.to_string())
        .arg(ca)
        .arg(groups);
    let ran = run(&mut node).await;
    let line = ran.text.lines().find(|line| line.starts_with('{'));
    let told = serde_json::from_str(line.unwrap_or_else(|| panic!("{}", ran.text))).unwrap();
    let (_, led) = ran.text.split_once("NamedGroup: ").unwrap();
    let led = led.split_whitespace().next().unwrap();
    (led.to_owned(), told)
}
