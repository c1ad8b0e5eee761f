use super::*;
use crate::certs::local_ca::LocalCa;
use crate::certs::{ServedCertificate, files};
use rustls::pki_types::ServerName;
use rustls::{CipherSuite, ClientConfig, RootCertStore};
use std::sync::OnceLock;
use std::time::SystemTime;
use tokio::io::{AsyncReadExt as _, DuplexStream, duplex};
use tokio_rustls::TlsConnector;

static TLS12_ALONE: &[&SupportedProtocolVersion] = &[&rustls::version::TLS12];

struct Fixture {
    roots: RootCertStore,
    acceptor: TlsAcceptor,
}

fn fixture(profile: Profile) -> Fixture {
    let directory = tempfile::tempdir().unwrap();
    let ca = LocalCa::open(directory.path(), &[]).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(ca.certificate().clone()).unwrap();
    let mut certificates = vec![ca.issue(&[]).unwrap()];

    // A second one with an RSA key, for clients that can verify nothing else.
    let key = RSA_KEY.get_or_init(|| {
        rcgen::KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, rcgen::RsaKeySize::_2048).unwrap()
    });
    let rsa = self_signed("localhost", key);
    roots.add(rsa.key.cert[0].clone()).unwrap();
    certificates.push(rsa);

    let resolver = CertificateResolver::new(certificates).unwrap();
    let settings = TlsSettings {
        profile,
        ..TlsSettings::default()
    };
    Fixture {
        roots,
        acceptor: TlsAcceptor::new(&settings, Arc::new(resolver)).unwrap(),
    }
}

fn self_signed(name: &str, key: &rcgen::KeyPair) -> ServedCertificate {
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str| directory.path().join(name);
    let params = rcgen::CertificateParams::new([name.to_owned()]).unwrap();
    let certificate = params.self_signed(key).unwrap();
    std::fs::write(file("cert.pem"), certificate.pem()).unwrap();
    std::fs::write(file("key.pem"), key.serialize_pem()).unwrap();
    let loaded = files::load(&file("cert.pem"), &file("key.pem"), SystemTime::now());
    loaded.unwrap().certificate
}

static RSA_KEY: OnceLock<rcgen::KeyPair> = OnceLock::new();

/// What a client offers; the defaults are rustls's own.
struct Offer {
    versions: &'static [&'static SupportedProtocolVersion],
    suites: Vec<SupportedCipherSuite>,
    groups: Vec<&'static dyn SupportedKxGroup>,
    alpn: &'static [&'static [u8]],
}

impl Default for Offer {
    fn default() -> Self {
        Self {
            versions: rustls::ALL_VERSIONS,
            suites: rustls::crypto::aws_lc_rs::ALL_CIPHER_SUITES.to_vec(),
            groups: rustls::crypto::aws_lc_rs::DEFAULT_KX_GROUPS.to_vec(),
            alpn: &[],
        }
    }
}

impl Offer {
    fn config(self, fixture: &Fixture) -> Arc<ClientConfig> {
        let provider = CryptoProvider {
            cipher_suites: self.suites,
            kx_groups: self.groups,
            ..default_provider()
        };
        let mut config = ClientConfig::builder_with_provider(Arc::new(provider))
            .with_protocol_versions(self.versions)
            .unwrap()
            .with_root_certificates(fixture.roots.clone())
            .with_no_client_auth();
        config.alpn_protocols = self.alpn.iter().map(|name| name.to_vec()).collect();
        Arc::new(config)
    }
}

/// What both sides say of a finished handshake.
#[derive(Debug)]
struct Agreed {
    alpn: Alpn,
    version: ProtocolVersion,
    suite: CipherSuite,
    /// `None` where no key was exchanged: a resumed session of TLS 1.2.
    group: Option<NamedGroup>,
    kind: HandshakeKind,
    client_alpn: Option<Vec<u8>>,
}

async fn shake(
    fixture: &Fixture,
    client: Arc<ClientConfig>,
) -> Result<Agreed, (HandshakeError, io::Error)> {
    shake_over(duplex(1 << 16), fixture, client).await
}

async fn shake_over(
    pipe: (DuplexStream, DuplexStream),
    fixture: &Fixture,
    client: Arc<ClientConfig>,
) -> Result<Agreed, (HandshakeError, io::Error)> {
    shake_as("localhost", pipe, &fixture.acceptor, client).await
}

/// Under a name for SNI; an address sends none.
async fn shake_as(
    name: &'static str,
    (near, far): (DuplexStream, DuplexStream),
    acceptor: &TlsAcceptor,
    client: Arc<ClientConfig>,
) -> Result<Agreed, (HandshakeError, io::Error)> {
    let name = ServerName::try_from(name).unwrap();
    let client = async {
        let mut stream = TlsConnector::from(client).connect(name, near).await?;
        // The tickets come with the first answer.
        let mut byte = [0];
        stream.read_exact(&mut byte).await?;
        let session = stream.get_ref().1;
        Ok(Agreed {
            alpn: Alpn::Http11,
            version: session.protocol_version().unwrap(),
            suite: session.negotiated_cipher_suite().unwrap().suite(),
            group: session
                .negotiated_key_exchange_group()
                .map(|group| group.name()),
            kind: session.handshake_kind().unwrap(),
            client_alpn: session.alpn_protocol().map(<[u8]>::to_vec),
        })
    };
    let server = async {
        let (mut stream, alpn) = accept(far, acceptor).await?;
        stream.write_all(b"!").await?;
        stream.flush().await?;
        let session = stream.get_ref().1;
        let group = session
            .negotiated_key_exchange_group()
            .map(|group| group.name());
        Ok((alpn, group, stream))
    };
    match tokio::join!(client, server) {
        (Ok(agreed), Ok((alpn, group, _stream))) => {
            assert_eq!(group, agreed.group);
            Ok(Agreed { alpn, ..agreed })
        }
        (Err(client), Err(server)) => Err((server, client)),
        (client, server) => panic!("one side alone failed: {client:?} {server:?}"),
    }
}

// REQ: T-1
#[tokio::test]
async fn every_suite_of_the_profile_is_served_and_no_other() {
    let intermediate = fixture(Profile::Intermediate);
    let modern = fixture(Profile::Modern);
    for suite in rustls::crypto::aws_lc_rs::ALL_CIPHER_SUITES {
        let offer = || Offer {
            suites: vec![*suite],
            versions: match suite.tls13() {
                Some(_) => MODERN_VERSIONS,
                None => TLS12_ALONE,
            },
            groups: vec![kx_group::X25519],
            ..Offer::default()
        };
        let name = format!("{:?}", suite.suite());
        let agreed = shake(&intermediate, offer().config(&intermediate)).await;
        assert_eq!(agreed.unwrap().suite, suite.suite());
        let agreed = shake(&modern, offer().config(&modern)).await;
        assert_eq!(agreed.is_ok(), suite.tls13().is_some(), "{name}");
    }
    // Mozilla's guideline 6.0, by the names it uses.
    let names = |suites: &[SupportedCipherSuite]| {
        let mut names: Vec<_> = suites.iter().map(|s| format!("{:?}", s.suite())).collect();
        names.sort();
        names
    };
    let tls13 = [
        "TLS13_AES_128_GCM_SHA256",
        "TLS13_AES_256_GCM_SHA384",
        "TLS13_CHACHA20_POLY1305_SHA256",
    ];
    let tls12 = [
        "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
        "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
        "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
        "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
        "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
        "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
    ];
    assert_eq!(names(MODERN_SUITES), tls13);
    assert_eq!(names(INTERMEDIATE_SUITES), [&tls13[..], &tls12].concat());
}

// REQ: T-1
#[tokio::test]
async fn the_modern_profile_refuses_tls_1_2_and_says_so() {
    let fixture = fixture(Profile::Modern);
    let offer = Offer {
        versions: TLS12_ALONE,
        ..Offer::default()
    };
    let (server, client) = shake(&fixture, offer.config(&fixture)).await.unwrap_err();
    assert!(matches!(server, HandshakeError::Tls(_)), "{server:?}");
    let client = client.downcast::<rustls::Error>().unwrap();
    assert_eq!(
        client,
        rustls::Error::AlertReceived(AlertDescription::ProtocolVersion)
    );
}

// REQ: T-1
#[tokio::test]
async fn who_offers_the_hybrid_group_gets_it() {
    use NamedGroup as G;
    for profile in [Profile::Intermediate, Profile::Modern] {
        let fixture = fixture(profile);
        let (hybrid, x25519) = (kx_group::X25519MLKEM768, kx_group::X25519);
        let (p256, p384) = (kx_group::SECP256R1, kx_group::SECP384R1);
        for (groups, wanted, kind) in [
            (vec![hybrid, x25519], G::X25519MLKEM768, HandshakeKind::Full),
            // Leads with X25519: one more round trip moves it over.
            (
                vec![x25519, p256, hybrid],
                G::X25519MLKEM768,
                HandshakeKind::FullWithHelloRetryRequest,
            ),
            (
                vec![p384, hybrid],
                G::X25519MLKEM768,
                HandshakeKind::FullWithHelloRetryRequest,
            ),
            (vec![x25519, p256], G::X25519, HandshakeKind::Full),
            (vec![p256, x25519], G::secp256r1, HandshakeKind::Full),
            (vec![p384], G::secp384r1, HandshakeKind::Full),
        ] {
            let offer = Offer {
                groups,
                versions: MODERN_VERSIONS,
                ..Offer::default()
            };
            let agreed = shake(&fixture, offer.config(&fixture)).await.unwrap();
            assert_eq!(
                (agreed.group, agreed.kind),
                (Some(wanted), kind),
                "{profile:?}"
            );
            assert_eq!(agreed.version, ProtocolVersion::TLSv1_3);
        }
    }
}

// REQ: T-1
#[tokio::test]
async fn the_hybrid_group_in_the_offer_does_not_harm_tls_1_2() {
    let fixture = fixture(Profile::Intermediate);
    // rustls hides the group when TLS 1.3 is off; a client of another make need not.
    static EAGER: Eager = Eager;
    let offer = Offer {
        versions: TLS12_ALONE,
        groups: vec![&EAGER, kx_group::X25519],
        ..Offer::default()
    };
    let agreed = shake(&fixture, offer.config(&fixture)).await.unwrap();
    assert_eq!(agreed.version, ProtocolVersion::TLSv1_2);
    assert_eq!(agreed.group, Some(NamedGroup::X25519));
}

/// The hybrid group, offered whatever the version.
#[derive(Debug)]
struct Eager;

impl SupportedKxGroup for Eager {
    fn start(&self) -> Result<Box<dyn ActiveKeyExchange>, rustls::Error> {
        kx_group::X25519MLKEM768.start()
    }

    fn ffdhe_group(&self) -> Option<FfdheGroup<'static>> {
        None
    }

    fn name(&self) -> NamedGroup {
        NamedGroup::X25519MLKEM768
    }
}

// REQ: T-3
#[tokio::test]
async fn alpn_chooses_the_protocol() {
    let fixture = fixture(Profile::Intermediate);
    for (alpn, wanted, client_alpn) in [
        (&[b"h2" as &[u8], b"http/1.1"][..], Alpn::Http2, Some("h2")),
        // Ours is the order of preference.
        (&[b"http/1.1", b"h2"], Alpn::Http2, Some("h2")),
        (&[b"http/1.1"], Alpn::Http11, Some("http/1.1")),
        (&[b"h3", b"http/1.1"], Alpn::Http11, Some("http/1.1")),
        (&[], Alpn::Http11, None),
    ] {
        let offer = Offer {
            alpn,
            ..Offer::default()
        };
        let agreed = shake(&fixture, offer.config(&fixture)).await.unwrap();
        assert_eq!(agreed.alpn, wanted);
        assert_eq!(
            agreed.client_alpn.as_deref(),
            client_alpn.map(str::as_bytes)
        );
    }
    // RFC 7301, section 3.2: no protocol in common is fatal.
    let offer = Offer {
        alpn: &[b"smtp"],
        ..Offer::default()
    };
    let (_, client) = shake(&fixture, offer.config(&fixture)).await.unwrap_err();
    assert_eq!(
        client.downcast::<rustls::Error>().unwrap(),
        rustls::Error::AlertReceived(AlertDescription::NoApplicationProtocol)
    );
}

// REQ: T-2
#[tokio::test]
async fn a_name_that_is_not_served_gets_the_alert_for_it() {
    let fixture = fixture(Profile::Intermediate);
    let key = rcgen::KeyPair::generate().unwrap();
    let tenants = vec![self_signed("a.test", &key), self_signed("b.test", &key)];
    let tenants = CertificateResolver::new(tenants).unwrap();
    let tenants = TlsAcceptor::new(&TlsSettings::default(), Arc::new(tenants)).unwrap();
    for versions in [MODERN_VERSIONS, TLS12_ALONE] {
        for (acceptor, name, cause, alert) in [
            (
                &fixture.acceptor,
                "evil.test",
                NameError::Unrecognized,
                AlertDescription::UnrecognisedName,
            ),
            (
                &tenants,
                "evil.test",
                NameError::Unrecognized,
                AlertDescription::UnrecognisedName,
            ),
            (
                &tenants,
                "192.0.2.1",
                NameError::Missing,
                AlertDescription::MissingExtension,
            ),
        ] {
            let offer = Offer {
                versions,
                ..Offer::default()
            };
            let shaken = shake_as(name, duplex(1 << 16), acceptor, offer.config(&fixture));
            let (server, client) = shaken.await.unwrap_err();
            match server {
                HandshakeError::Name {
                    cause: found,
                    name: asked,
                } => {
                    let sni = (cause == NameError::Unrecognized).then(|| name.to_owned());
                    assert_eq!((found, asked), (cause, sni));
                }
                other => panic!("{other:?}"),
            }
            assert_eq!(
                client.downcast::<rustls::Error>().unwrap(),
                rustls::Error::AlertReceived(alert)
            );
        }
    }
    // Who calls an address sends no name, and is served where there is nothing to be confused.
    let offer = Offer::default().config(&fixture);
    let agreed = shake_as("127.0.0.1", duplex(1 << 16), &fixture.acceptor, offer).await;
    assert_eq!(agreed.unwrap().kind, HandshakeKind::Full);
}

#[tokio::test]
async fn sessions_resume_in_both_versions_and_configurations() {
    for versions in [MODERN_VERSIONS, TLS12_ALONE] {
        let fixture = fixture(Profile::Intermediate);
        for groups in [
            vec![kx_group::X25519MLKEM768, kx_group::X25519],
            vec![kx_group::X25519],
        ] {
            let offer = Offer {
                versions,
                groups,
                ..Offer::default()
            };
            let client = offer.config(&fixture);
            let first = shake(&fixture, Arc::clone(&client)).await.unwrap();
            assert_eq!(first.kind, HandshakeKind::Full);
            let second = shake(&fixture, client).await.unwrap();
            assert_eq!(second.kind, HandshakeKind::Resumed);
            if versions == MODERN_VERSIONS {
                assert_eq!(second.group, first.group);
            }
        }
    }
}

// REQ: R-3
#[tokio::test(start_paused = true)]
async fn a_client_that_dawdles_is_dropped_at_the_deadline() {
    let fixture = fixture(Profile::Intermediate);
    // Nothing at all, and a byte of a ClientHello every second.
    for trickles in [false, true] {
        let (mut near, far) = duplex(1024);
        let begun = tokio::time::Instant::now();
        let hello = [0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01, 0xfc];
        let client = async {
            for byte in hello.iter().cycle().take(60) {
                tokio::time::sleep(Duration::from_secs(1)).await;
                if trickles && near.write_all(&[*byte]).await.is_err() {
                    break;
                }
            }
        };
        let error = tokio::select! {
            accepted = accept(far, &fixture.acceptor) => accepted.unwrap_err(),
            () = client => panic!("the client outlived the deadline"),
        };
        assert!(matches!(error, HandshakeError::Timeout), "{error:?}");
        assert_eq!(begun.elapsed().as_secs(), 10);
    }
}

#[tokio::test]
async fn what_is_no_tls_is_told_apart() {
    let fixture = fixture(Profile::Intermediate);
    for (bytes, label) in [
        (&b""[..], "unused"),
        (&b"\x16\x03\x01\x02\x00\x01"[..], "closed"),
        (
            &b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"[..],
            "plain_http",
        ),
        (&b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..], "plain_http"),
        (&b"GETAWAY"[..], "tls"),
        (&b"SSH-2.0-OpenSSH\r\n"[..], "tls"),
        (&[0xff; 4096][..], "tls"),
    ] {
        let (mut near, far): (DuplexStream, _) = duplex(1 << 16);
        near.write_all(bytes).await.unwrap();
        near.shutdown().await.unwrap();
        let error = accept(far, &fixture.acceptor).await.unwrap_err();
        assert_eq!(error.label(), label, "{bytes:?}: {error:?}");
    }
}

// REQ: S-1
#[tokio::test]
async fn plain_http_is_answered_with_words_and_headers() {
    let fixture = fixture(Profile::Intermediate);
    let (mut near, far) = duplex(1 << 16);
    // Byte by byte, as a slow network may have it.
    let client = async {
        for byte in b"POST /mcp HTTP/1.1\r\n\r\n" {
            if near.write_all(&[*byte]).await.is_err() {
                break;
            }
            tokio::task::yield_now().await;
        }
        let mut answer = String::new();
        near.read_to_string(&mut answer).await.unwrap();
        answer
    };
    let server = async { accept(far, &fixture.acceptor).await.unwrap_err() };
    let (answer, error) = tokio::join!(client, server);
    assert_eq!(error.label(), "plain_http");
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 400 "), "{head}");
    assert!(
        head.contains(&format!("\r\ncontent-length: {}\r\n", body.len())),
        "{}",
        body.len()
    );
    for (name, value) in crate::listen::redirect::SECURITY_HEADERS {
        let line = format!("\r\n{name}: {}", value.to_str().unwrap());
        assert!(
            format!("{head}\r\n").contains(&format!("{line}\r\n")),
            "{line}"
        );
    }
}

#[tokio::test]
async fn handshakes_in_small_pieces_succeed() {
    let fixture = fixture(Profile::Intermediate);
    let client = Offer::default().config(&fixture);
    let agreed = shake_over(duplex(8), &fixture, client).await.unwrap();
    assert_eq!(agreed.group, Some(NamedGroup::X25519MLKEM768));
}

/// An authority of clients, one of theirs, and a list in a file.
struct Clients {
    directory: tempfile::TempDir,
    authority: rcgen::CertifiedIssuer<'static, rcgen::KeyPair>,
    config: Arc<ClientConfig>,
    fixture: Fixture,
}

const SERIAL: u64 = 66;

impl Clients {
    fn new(versions: &'static [&'static SupportedProtocolVersion]) -> Self {
        let mut params = rcgen::CertificateParams::new(Vec::<String>::new()).unwrap();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        params.key_usages = vec![
            rcgen::KeyUsagePurpose::KeyCertSign,
            rcgen::KeyUsagePurpose::CrlSign,
        ];
        let key = rcgen::KeyPair::generate().unwrap();
        let authority = rcgen::CertifiedIssuer::self_signed(params, key).unwrap();
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("ca.pem"), authority.pem()).unwrap();

        let key = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::new(["robot.test".to_owned()]).unwrap();
        params.serial_number = Some(SERIAL.into());
        params.use_authority_key_identifier_extension = true;
        params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ClientAuth];
        let own = params.signed_by(&key, &authority).unwrap();

        let mut fixture = fixture(Profile::Intermediate);
        let key = rustls_pki_types::PrivatePkcs8KeyDer::from(key.serialize_der());
        let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_protocol_versions(versions)
            .unwrap()
            .with_root_certificates(fixture.roots.clone())
            .with_client_auth_cert(vec![own.der().clone()], key.into())
            .unwrap();
        let clients = Self {
            config: Arc::new(config),
            fixture: {
                let list = directory.path().join("crl.pem");
                std::fs::write(&list, list_of(&authority, &[], 1)).unwrap();
                let settings = TlsSettings {
                    clients: Some(ClientTrust {
                        ca: directory.path().join("ca.pem"),
                        crl: Some(list),
                        required: true,
                    }),
                    ..TlsSettings::default()
                };
                let resolver = Arc::clone(&fixture.acceptor.resolver);
                fixture.acceptor = TlsAcceptor::new(&settings, resolver).unwrap();
                fixture
            },
            directory,
            authority,
        };
        assert!(clients.fixture.acceptor.clients.is_some());
        clients
    }

    fn publish(&self, list: &str) {
        // As who renews a file should: at once.
        let (new, file) = ("new.pem", "crl.pem");
        let at = |name| self.directory.path().join(name);
        std::fs::write(at(new), list).unwrap();
        std::fs::rename(at(new), at(file)).unwrap();
    }

    async fn shake(&self) -> Result<Agreed, (HandshakeError, io::Error)> {
        shake(&self.fixture, Arc::clone(&self.config)).await
    }

    /// Until what was published last is looked at.
    async fn refused(&self) -> (HandshakeError, io::Error) {
        let begun = std::time::Instant::now();
        loop {
            match self.shake().await {
                Err(refused) => return refused,
                Ok(agreed) => assert_eq!(agreed.kind, HandshakeKind::Resumed),
            }
            assert!(begun.elapsed().as_secs() < 30, "nobody is refused");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

/// A list that is good for so many days from now.
fn list_of(
    authority: &rcgen::CertifiedIssuer<'static, rcgen::KeyPair>,
    revoked: &[u64],
    days: i64,
) -> String {
    let day = Duration::from_secs(86_400);
    let now = SystemTime::now();
    let end = match u32::try_from(days) {
        Ok(days) => now + day * days,
        Err(_) => now - day,
    };
    let list = rcgen::CertificateRevocationListParams {
        this_update: (now - 2 * day).into(),
        next_update: end.into(),
        crl_number: 1.into(),
        issuing_distribution_point: None,
        revoked_certs: revoked
            .iter()
            .map(|serial| rcgen::RevokedCertParams {
                serial_number: (*serial).into(),
                revocation_time: (now - day).into(),
                reason_code: None,
                invalidity_date: None,
            })
            .collect(),
        key_identifier_method: rcgen::KeyIdMethod::Sha256,
    };
    list.signed_by(authority).unwrap().pem().unwrap()
}

// REQ: T-4
#[tokio::test]
async fn a_ticket_ends_with_the_certificate_that_it_came_from() {
    for versions in [MODERN_VERSIONS, TLS12_ALONE] {
        let clients = Clients::new(versions);
        assert_eq!(clients.shake().await.unwrap().kind, HandshakeKind::Full);
        assert_eq!(clients.shake().await.unwrap().kind, HandshakeKind::Resumed);
        // What is no list takes nothing away.
        clients.publish("no list");
        tokio::time::sleep(Duration::from_millis(1100)).await;
        assert_eq!(clients.shake().await.unwrap().kind, HandshakeKind::Resumed);
        clients.publish(&list_of(&clients.authority, &[SERIAL + 1, SERIAL], 1));
        let (server, client) = clients.refused().await;
        assert!(
            matches!(
                server,
                HandshakeError::Tls(rustls::Error::InvalidCertificate(
                    rustls::CertificateError::Revoked
                ))
            ),
            "{server:?}"
        );
        // The session went on where it was; an alert would come of a handshake.
        assert_eq!(client.kind(), io::ErrorKind::UnexpectedEof, "{client:?}");
        clients.publish(&list_of(&clients.authority, &[], 1));
        tokio::time::sleep(Duration::from_millis(1100)).await;
        assert!(clients.shake().await.is_ok());
    }
}

// REQ: T-4
#[tokio::test]
async fn a_list_that_is_over_lets_nobody_in() {
    for versions in [MODERN_VERSIONS, TLS12_ALONE] {
        let clients = Clients::new(versions);
        clients.shake().await.unwrap();
        clients.publish(&list_of(&clients.authority, &[], -1));
        let (server, _) = clients.refused().await;
        assert_eq!(server.label(), "revocation_list");
        assert!(server.to_string().contains("tls.client_crl"), "{server}");
    }
}
