//! Client certificates.

use std::path::Path;
use std::time::{Duration, SystemTime};

use aws_lc_rs::digest::{Digest, SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use e2e::wire::{Ask, BOTH, Client};
use e2e::{Palisade, Upstream, authority};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer, DnType,
    ExtendedKeyUsagePurpose, IsCa, KeyIdMethod, KeyPair, KeyUsagePurpose, RevokedCertParams,
    SanType, SerialNumber,
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use serde_json::{Value as Json, json};

use super::idp::Idp;
use super::issuer::{Issuer, encode};
use crate::peers::room;

const DAY: Duration = Duration::from_secs(86_400);

struct Authority(CertifiedIssuer<'static, KeyPair>);

/// How a client certificate differs from one that holds.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fault {
    None,
    Expired,
    NotYet,
    Revoked,
    ForServers,
}

impl Authority {
    fn new(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.distinguished_name.push(DnType::CommonName, name);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    fn issue(&self, fault: Fault) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec!["robot.example".to_owned()]).unwrap();
        let uri = "spiffe://example.org/robot".try_into().unwrap();
        params.subject_alt_names.push(SanType::URI(uri));
        params.serial_number = Some(SerialNumber::from(if fault == Fault::Revoked {
            66
        } else {
            7
        }));
        params.use_authority_key_identifier_extension = true;
        params.extended_key_usages = vec![match fault {
            Fault::ForServers => ExtendedKeyUsagePurpose::ServerAuth,
            _ => ExtendedKeyUsagePurpose::ClientAuth,
        }];
        let now = SystemTime::now();
        let (from, to) = match fault {
            Fault::Expired => (now - 3 * DAY, now - DAY),
            Fault::NotYet => (now + DAY, now + 3 * DAY),
            _ => (now - DAY, now + DAY),
        };
        (params.not_before, params.not_after) = (from.into(), to.into());
        let issued = params.signed_by(&key, &self.0).unwrap();
        let key = PrivatePkcs8KeyDer::from(key.serialize_der());
        (vec![issued.der().clone()], key.into())
    }

    /// Writes `clients.pem` and `clients.crl`.
    fn write(&self, directory: &Path) {
        std::fs::write(directory.join("clients.pem"), self.0.pem()).unwrap();
        let now = SystemTime::now();
        let list = CertificateRevocationListParams {
            this_update: (now - DAY).into(),
            next_update: (now + DAY).into(),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: vec![RevokedCertParams {
                serial_number: SerialNumber::from(66),
                revocation_time: (now - DAY).into(),
                reason_code: None,
                invalidity_date: None,
            }],
            key_identifier_method: KeyIdMethod::Sha256,
        };
        let list = list.signed_by(&self.0).unwrap();
        std::fs::write(directory.join("clients.crl"), list.pem().unwrap()).unwrap();
    }
}

fn gateway(directory: &Path, more_tls: &str, more: &str, upstream: &Upstream) -> Palisade {
    let (chain, key) = authority::certificate(directory, &authority::NAMES);
    let at = |name: &str| directory.join(name).display().to_string();
    Palisade::builder()
        .plain()
        .config(&format!(
            "{more}[tls]\ncertificate = \"{}\"\nkey = \"{}\"\nclient_ca = \"{}\"\nclient_crl = \"{}\"\n{more_tls}\n[[server]]\nname = \"test\"\npath = \"/mcp\"\nupstream = \"{}\"\ncaller_header = \"headers\"\ncertificate_header = \"xfcc\"\n",
            chain.display(),
            key.display(),
            at("clients.pem"),
            at("clients.crl"),
            upstream.url(),
        ))
        .start()
}

/// Whether any answer comes.
pub(super) async fn answers(client: &Client, alpn: &str) -> bool {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let Ok(mut stream) = client.connect(alpn).await else {
        return false;
    };
    // With TLS 1.3 the client is done before its certificate has been judged.
    let request = b"GET /mcp HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let _ = stream.write_all(request).await;
    let mut first = [0; 1];
    matches!(stream.read(&mut first).await, Ok(1))
}

// REQ: T-4, A-2, A-3
#[tokio::test]
async fn only_a_certificate_that_holds_names_a_caller() {
    let directory = tempfile::tempdir().unwrap();
    let ours = Authority::new("Clients");
    ours.write(directory.path());
    let upstream = Upstream::new();
    let palisade = gateway(directory.path(), "", "", &upstream);
    let client = palisade.client();
    let (chain, key) = ours.issue(Fault::None);
    let right = client.clone().identity(chain, key);
    for protocol in BOTH {
        let ask = Ask::call()
            .field("x-forwarded-client-cert", "Subject=root")
            .field("ssl-client-subject-dn", "CN=root");
        let answer = right.ask(protocol, &ask).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        let record = palisade.record_of(&answer);
        assert_eq!(record["actor"]["id"], "cert:spiffe://example.org/robot");
        assert_eq!(record["authMethod"], "mtls");
    }
    for arrived in upstream.arrived() {
        let caller = arrived.header("x-palisade-caller");
        assert_eq!(caller, Some("cert:spiffe://example.org/robot"));
        let certificates = arrived.all("x-forwarded-client-cert");
        assert_eq!(certificates.len(), 1, "{certificates:?}");
        assert!(certificates[0].contains("URI=\"spiffe://example.org/robot\""));
        assert!(!certificates[0].contains("root"));
        assert_eq!(arrived.header("ssl-client-subject-dn"), None);
    }
    let foreign = Authority::new("Clients");
    for (name, identity) in [
        ("no certificate", None),
        ("a foreign authority", Some(foreign.issue(Fault::None))),
        ("expired", Some(ours.issue(Fault::Expired))),
        ("not yet valid", Some(ours.issue(Fault::NotYet))),
        ("revoked", Some(ours.issue(Fault::Revoked))),
        ("for servers", Some(ours.issue(Fault::ForServers))),
    ] {
        let mut client = client.clone();
        if let Some((chain, key)) = identity {
            client = client.identity(chain, key);
        }
        for alpn in ["http/1.1", "h2"] {
            assert!(!answers(&client, alpn).await, "{name} {alpn}");
            let older = client.clone().version(&rustls::version::TLS12);
            assert!(!answers(&older, alpn).await, "{name} {alpn}");
        }
    }
    assert_eq!(upstream.arrived().len(), 2);
    // What looks whether anything is answered sees it where something is.
    for alpn in ["http/1.1", "h2"] {
        assert!(answers(&right, alpn).await, "{alpn}");
    }
}

// REQ: T-4, A-2
#[tokio::test]
async fn where_it_is_optional_other_credentials_do_too() {
    let directory = tempfile::tempdir().unwrap();
    let ours = Authority::new("Clients");
    ours.write(directory.path());
    let upstream = Upstream::new();
    let (api_key, lines) = super::keys::new_key("ci", &[]);
    let palisade = gateway(
        directory.path(),
        "client_auth = \"optional\"",
        &lines,
        &upstream,
    );
    let client = palisade.client();
    let (chain, key) = ours.issue(Fault::None);
    let known = client.clone().identity(chain, key);
    let (chain, key) = ours.issue(Fault::Revoked);
    let revoked = client.clone().identity(chain, key);
    for protocol in BOTH {
        let by_key = Ask::call().field("authorization", format!("Bearer {api_key}"));
        for (client, ask, actor) in [
            (&known, Ask::call(), "cert:spiffe://example.org/robot"),
            (&client, by_key.clone(), "key:ci"),
            // What is presented counts before what is shown.
            (&known, by_key, "key:ci"),
        ] {
            let answer = client.ask(protocol, &ask).await;
            assert_eq!(answer.status, 200, "{answer:?}");
            assert_eq!(palisade.record_of(&answer)["actor"]["id"], actor);
        }
        assert_eq!(client.ask(protocol, &Ask::call()).await.status, 401);
        let wrong = Ask::call().field("authorization", "Bearer palisade_wrong");
        assert_eq!(known.ask(protocol, &wrong).await.status, 401);
    }
    assert!(!answers(&revoked, "http/1.1").await);
}

// REQ: A-6, T-4
#[tokio::test]
async fn a_token_that_is_bound_to_a_certificate_is_good_with_it_alone() {
    let directory = tempfile::tempdir().unwrap();
    let ours = Authority::new("Clients");
    ours.write(directory.path());
    let upstream = Upstream::new();
    let issuer = Issuer::start();
    let more = format!(
        "{}[rate]\nfailed = \"100000/s\"\npeer = \"100000/s\"\nlimit = \"100000/s\"\n",
        issuer.section()
    );
    let palisade = gateway(
        directory.path(),
        "client_auth = \"optional\"",
        &more,
        &upstream,
    );
    let client = palisade.client();
    let (chain, key) = ours.issue(Fault::None);
    let own = chain[0].clone();
    let thumbprint = encode(digest(&SHA256, &own));
    let right = client.clone().identity(chain, key);
    let (chain, key) = ours.issue(Fault::None);
    let other = client.clone().identity(chain, key);
    let bearing = |confirmation: &Json| {
        let token = issuer.token(match confirmation {
            Json::Null => json!({}),
            confirmation => json!({ "cnf": confirmation }),
        });
        Ask::call().field("authorization", format!("Bearer {token}"))
    };
    let bound = json!({ "x5t#S256": thumbprint });
    for protocol in BOTH {
        let ask = bearing(&bound);
        // The first of them is verified, so that the token is known to the others.
        let told = ask
            .clone()
            .field("ssl-client-verify", "SUCCESS")
            .field("ssl-client-cert", escaped(&own))
            .field(
                "x-forwarded-client-cert",
                format!("Cert=\"{}\"", escaped(&own)),
            );
        for (name, client, ask, status) in [
            ("its certificate", &right, &ask, 200),
            ("another", &other, &ask, 401),
            ("none", &client, &ask, 401),
            ("none, and a header that tells of it", &client, &told, 401),
            ("another, and a header that tells of it", &other, &told, 401),
            ("its certificate again", &right, &ask, 200),
            ("unbound, with one", &right, &bearing(&Json::Null), 200),
            ("unbound, without", &client, &bearing(&Json::Null), 200),
            (
                "bound to another thing too",
                &right,
                &bearing(&json!({ "x5t#S256": thumbprint, "jkt": "x" })),
                401,
            ),
            (
                "bound to what is not known",
                &right,
                &bearing(&json!({ "kid": "x" })),
                401,
            ),
            ("bound to nothing", &right, &bearing(&json!({})), 401),
            (
                "the thumbprint in hexadecimal",
                &right,
                &bearing(&json!({ "x5t#S256": hex(&digest(&SHA256, &own)) })),
                401,
            ),
        ] {
            let answer = client.ask(protocol, ask).await;
            assert_eq!(answer.status, status, "{name} {protocol:?} {answer:?}");
            if status == 401 {
                assert_eq!(answer.reason().as_deref(), Some("auth.invalid"), "{name}");
                continue;
            }
            let record = palisade.record_of(&answer);
            assert_eq!(record["actor"]["id"], "alice", "{name} {record}");
            assert_eq!(record["authMethod"], "jwt", "{name} {record}");
        }
    }
}

// REQ: A-6, T-4
#[tokio::test]
async fn what_a_real_issuer_binds_to_a_certificate_is_good_with_it_alone() {
    let _room = room().await;
    let directory = tempfile::tempdir().unwrap();
    let ours = Authority::new("Clients");
    ours.write(directory.path());
    let upstream = Upstream::new();
    let idp = Idp::start();
    let more = format!("{}[rate]\nfailed = \"100000/s\"\n", idp.section());
    let palisade = gateway(
        directory.path(),
        "client_auth = \"optional\"",
        &more,
        &upstream,
    );
    let client = palisade.client();
    let (chain, key) = ours.issue(Fault::None);
    let own = STANDARD.encode(&chain[0]);
    let right = client.clone().identity(chain, key);
    let (chain, key) = ours.issue(Fault::None);
    let other = client.clone().identity(chain, key);
    let token = idp.token(json!({ "certificate": own })).await;
    let ask = Ask::call().field("authorization", format!("Bearer {token}"));
    for protocol in BOTH {
        for (name, client, ask, status) in [
            ("its certificate", &right, ask.clone(), 200),
            ("another", &other, ask.clone(), 401),
            ("none", &client, ask.clone(), 401),
            (
                "as a token of another scheme",
                &right,
                Ask::call().field("authorization", format!("DPoP {token}")),
                401,
            ),
        ] {
            let answer = client.ask(protocol, &ask).await;
            assert_eq!(answer.status, status, "{name} {protocol:?} {answer:?}");
        }
    }
    // The certificate alone is its own caller, not the token's.
    let answer = right.ask(BOTH[0], &Ask::call()).await;
    let record = palisade.record_of(&answer);
    assert_eq!(record["actor"]["id"], "cert:spiffe://example.org/robot");
}

fn hex(digest: &Digest) -> String {
    let bytes = digest.as_ref().iter();
    bytes.map(|byte| format!("{byte:02x}")).collect()
}

/// As nginx writes `$ssl_client_escaped_cert`.
fn escaped(certificate: &[u8]) -> String {
    let base64 = STANDARD.encode(certificate).replace('+', "%2B");
    format!("-----BEGIN%20CERTIFICATE-----%0A{base64}%0A-----END%20CERTIFICATE-----%0A")
}
