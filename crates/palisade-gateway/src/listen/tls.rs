//! TLS for accepted connections: versions, cipher suites and groups as Mozilla's server-side
//! guideline 6.0 (April 2026) has them, and the handshake under a deadline.
//!
//! # Post-quantum key exchange
//!
//! rustls takes the first group of the client's list that the server knows too, so a client that
//! leads with X25519 and also offers X25519MLKEM768 would stay classical. Two configurations that
//! differ in nothing else put that right: the ClientHello is read first, and a client that offers
//! X25519MLKEM768 gets the one that for TLS 1.3 knows no other group. If the client sent no key share
//! for it, rustls asks for one with a HelloRetryRequest (RFC 8446, section 4.1.4), at the price of one
//! round trip.

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use rustls::crypto::aws_lc_rs::{Ticketer, cipher_suite, default_provider, kx_group};
use rustls::crypto::{ActiveKeyExchange, CompletedKeyExchange, CryptoProvider, SupportedKxGroup};
use rustls::ffdhe_groups::FfdheGroup;
use rustls::server::{Accepted, Acceptor, NoServerSessionStorage, ProducesTickets};
use rustls::{
    AlertDescription, NamedGroup, ProtocolVersion, ServerConfig, SupportedCipherSuite,
    SupportedProtocolVersion,
};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio_rustls::StartHandshake;
pub use tokio_rustls::server::TlsStream;

use crate::certs::resolver::{CertificateResolver, NameError};

/// Which protocol versions and cipher suites are served, after Mozilla's guideline of the same name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Profile {
    /// TLS 1.2 with the six ECDHE AEAD suites, and TLS 1.3. The default.
    #[default]
    Intermediate,
    /// TLS 1.3 alone.
    Modern,
}

/// What a [`TlsAcceptor`] is made of, beside certificates.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct TlsSettings {
    /// Versions and cipher suites.
    pub profile: Profile,
    /// How long a connection may take from its first byte to the end of the handshake. Default: 10
    /// seconds, as Caddy has it; nginx allows 60.
    pub handshake_timeout: Duration,
}

impl Default for TlsSettings {
    fn default() -> Self {
        Self {
            profile: Profile::default(),
            handshake_timeout: Duration::from_secs(10),
        }
    }
}

/// Everything a handshake needs. Cloning is cheap, and all clones share one set of ticket keys, so a
/// session begun on one worker resumes on any.
#[derive(Clone)]
pub struct TlsAcceptor {
    /// For clients that do not offer X25519MLKEM768.
    general: Arc<ServerConfig>,
    /// For clients that do.
    post_quantum: Arc<ServerConfig>,
    resolver: Arc<CertificateResolver>,
    handshake_timeout: Duration,
}

impl TlsAcceptor {
    /// Makes an acceptor that serves the certificates of `resolver`, with new ticket keys. These live
    /// in memory alone, are replaced every 6 hours, and open tickets for 6 hours more.
    ///
    /// # Errors
    ///
    /// If the system's random source fails.
    pub fn new(
        settings: &TlsSettings,
        resolver: Arc<CertificateResolver>,
    ) -> Result<Self, rustls::Error> {
        let ticketer = Ticketer::new()?;
        let config = |groups: &[&'static dyn SupportedKxGroup]| {
            configuration(settings.profile, groups, &resolver, &ticketer).map(Arc::new)
        };
        Ok(Self {
            general: config(GENERAL_GROUPS)?,
            post_quantum: config(POST_QUANTUM_GROUPS)?,
            resolver,
            handshake_timeout: settings.handshake_timeout,
        })
    }
}

impl fmt::Debug for TlsAcceptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsAcceptor")
            .field("handshake_timeout", &self.handshake_timeout)
            .finish_non_exhaustive()
    }
}

/// The protocol that the two sides agreed on (RFC 7301).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Alpn {
    /// `h2`.
    Http2,
    /// `http/1.1`, or a client that sends no ALPN extension.
    Http11,
}

/// Performs the handshake on `tcp` within the deadline.
///
/// Needs a tokio runtime with time enabled. On an error the connection is to be dropped: whatever
/// alert was due has been sent, and a client that speaks plain HTTP has been told so with a 400.
///
/// # Errors
///
/// [`HandshakeError`]. None is Palisade's fault, and scanners cause all of them; count, do not alarm.
pub async fn accept<IO>(
    tcp: IO,
    acceptor: &TlsAcceptor,
) -> Result<(TlsStream<IO>, Alpn), HandshakeError>
where
    IO: AsyncRead + AsyncWrite + Unpin,
{
    match tokio::time::timeout(acceptor.handshake_timeout, handshake(tcp, acceptor)).await {
        Ok(finished) => finished,
        Err(_elapsed) => Err(HandshakeError::Timeout),
    }
}

/// Why a connection did not get past the handshake.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HandshakeError {
    /// The client went away amid the handshake.
    #[error("the client closed the connection during the handshake")]
    Closed,
    /// The connection broke.
    #[error("the connection broke during the handshake: {0}")]
    Io(io::Error),
    /// No certificate is for the name that the client asks for, if it asks for one at all.
    #[error("{cause}{}", Asked(name.as_deref()))]
    Name {
        /// Which of the two.
        cause: NameError,
        /// The name in SNI, a DNS name in lower case.
        name: Option<String>,
    },
    /// The client speaks HTTP without TLS.
    #[error("the client sent plain HTTP to a TLS port; its URL must begin with `https://`")]
    PlainHttp,
    /// The deadline passed.
    #[error("the handshake took too long")]
    Timeout,
    /// The two sides do not speak the same TLS, or the client speaks none.
    #[error("the handshake failed: {0}")]
    Tls(rustls::Error),
    /// The client went away without a word, as the checks of load balancers do.
    #[error("the client closed the connection before it sent anything")]
    Unused,
}

/// The name and the remedy, behind the cause.
struct Asked<'a>(Option<&'a str>);

impl fmt::Display for Asked<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(name) => write!(
                f,
                ": `{name}`; if it is yours, add it to `hosts` and get a certificate for it"
            ),
            None => Ok(()),
        }
    }
}

impl HandshakeError {
    /// A fixed word for metrics and logs.
    #[must_use]
    pub fn label(&self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Io(_) => "io",
            Self::Name { .. } => "name",
            Self::PlainHttp => "plain_http",
            Self::Timeout => "timeout",
            Self::Tls(_) => "tls",
            Self::Unused => "unused",
        }
    }
}

impl From<io::Error> for HandshakeError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::UnexpectedEof
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::BrokenPipe => Self::Closed,
            _ => match error.downcast::<rustls::Error>() {
                Ok(tls) => Self::Tls(tls),
                Err(error) => Self::Io(error),
            },
        }
    }
}

async fn handshake<IO>(
    tcp: IO,
    acceptor: &TlsAcceptor,
) -> Result<(TlsStream<IO>, Alpn), HandshakeError>
where
    IO: AsyncRead + AsyncWrite + Unpin,
{
    let (accepted, tcp) = read_client_hello(tcp).await?;
    let hello = accepted.client_hello();
    let name = hello.server_name();
    if let Err(cause) = acceptor.resolver.admit(name) {
        let name = name.map(str::to_owned);
        return Err(refuse_name(tcp, cause, name).await);
    }
    let offers_post_quantum = hello
        .named_groups()
        .is_some_and(|groups| groups.contains(&NamedGroup::X25519MLKEM768));
    let config = if offers_post_quantum {
        &acceptor.post_quantum
    } else {
        &acceptor.general
    };
    let start = StartHandshake::from_parts(accepted, tcp);
    let stream = start.into_stream(Arc::clone(config)).await?;
    let alpn = match stream.get_ref().1.alpn_protocol() {
        Some(ALPN_H2) => Alpn::Http2,
        _ => Alpn::Http11,
    };
    Ok((stream, alpn))
}

/// Sends the alert that is due and closes.
async fn refuse_name<IO>(mut tcp: IO, cause: NameError, name: Option<String>) -> HandshakeError
where
    IO: AsyncRead + AsyncWrite + Unpin,
{
    let alert = match cause {
        // RFC 8446, section 9.2.
        NameError::Missing => AlertDescription::MissingExtension,
        // RFC 6066, section 3.
        NameError::Unrecognized => AlertDescription::UnrecognisedName,
    };
    // A record of type alert and of TLS 1.2, as TLS 1.3 writes it too; 2 is `fatal`. rustls has no way
    // to say this itself: it would answer `access_denied`, which explains nothing.
    let record = [21, 3, 3, 0, 2, 2, u8::from(alert)];
    // What the client still hears is a courtesy, so errors of this last write are not looked at.
    let _ = tcp.write_all(&record).await;
    let _ = tcp.shutdown().await;
    HandshakeError::Name { cause, name }
}

/// Reads a ClientHello, as [`tokio_rustls::LazyConfigAcceptor`] does, but looks at how the stream
/// begins as well: who types `http://` for `https://` gets words in place of an alert.
async fn read_client_hello<IO>(mut io: IO) -> Result<(Accepted, IO), HandshakeError>
where
    IO: AsyncRead + AsyncWrite + Unpin,
{
    let mut acceptor = Acceptor::default();
    let mut head = Head::default();
    let failed = poll_fn(|cx| {
        loop {
            let mut reader = Reader {
                io: &mut io,
                cx,
                head: &mut head,
            };
            match acceptor.read_tls(&mut reader) {
                Ok(0) => return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into())),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Poll::Pending,
                Err(error) => return Poll::Ready(Err(error)),
            }
            match acceptor.accept() {
                Ok(Some(accepted)) => return Poll::Ready(Ok(Ok(accepted))),
                Ok(None) => {}
                Err(failed) => return Poll::Ready(Ok(Err(failed))),
            }
        }
    })
    .await
    .map_err(|error| match HandshakeError::from(error) {
        HandshakeError::Closed if head.len == 0 => HandshakeError::Unused,
        error => error,
    })?;
    let (error, mut alert) = match failed {
        Ok(accepted) => return Ok((accepted, io)),
        Err(failed) => failed,
    };
    // What the client still hears is a courtesy, so errors of this last write are not looked at.
    if head.is_http() {
        let _ = io.write_all(PLAIN_HTTP_ANSWER).await;
        let _ = io.shutdown().await;
        return Err(HandshakeError::PlainHttp);
    }
    let mut bytes = Vec::new();
    if alert.write_all(&mut bytes).is_ok() {
        let _ = io.write_all(&bytes).await;
        let _ = io.shutdown().await;
    }
    Err(HandshakeError::Tls(error))
}

/// The first bytes of a connection.
#[derive(Debug, Default)]
struct Head {
    bytes: [u8; 5],
    len: usize,
}

impl Head {
    fn push(&mut self, bytes: &[u8]) {
        for (slot, byte) in self.bytes.iter_mut().skip(self.len).zip(bytes) {
            *slot = *byte;
            self.len += 1;
        }
    }

    /// Whether this is how a request of HTTP/1.1 or the preface of HTTP/2 begins. rustls refuses the
    /// stream at its first byte if that comes alone; then that one decides.
    fn is_http(&self) -> bool {
        const BEGINNINGS: [&[u8]; 9] = [
            b"GET /", b"HEAD ", b"POST ", b"PUT /", b"PATCH", b"DELET", b"OPTIO", b"CONNE",
            b"PRI *",
        ];
        match self.bytes.get(..self.len) {
            Some(seen) if !seen.is_empty() => {
                BEGINNINGS.iter().any(|method| method.starts_with(seen))
            }
            _ => false,
        }
    }
}

/// A stream of tokio as rustls reads it, within one poll.
struct Reader<'a, 'b, IO> {
    io: &'a mut IO,
    cx: &'a mut Context<'b>,
    head: &'a mut Head,
}

impl<IO: AsyncRead + Unpin> io::Read for Reader<'_, '_, IO> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut buffer = ReadBuf::new(buffer);
        match Pin::new(&mut *self.io).poll_read(self.cx, &mut buffer) {
            Poll::Ready(read) => read?,
            Poll::Pending => return Err(io::ErrorKind::WouldBlock.into()),
        }
        self.head.push(buffer.filled());
        Ok(buffer.filled().len())
    }
}

/// With the headers of every answer over plain HTTP.
const PLAIN_HTTP_ANSWER: &[u8] = b"HTTP/1.1 400 Bad Request\r\n\
    content-type: text/plain; charset=utf-8\r\n\
    content-length: 54\r\n\
    connection: close\r\n\
    cache-control: no-store\r\n\
    content-security-policy: default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'\r\n\
    cross-origin-opener-policy: same-origin\r\n\
    cross-origin-resource-policy: same-origin\r\n\
    origin-agent-cluster: ?1\r\n\
    permissions-policy: camera=(), microphone=(), geolocation=(), payment=()\r\n\
    referrer-policy: no-referrer\r\n\
    x-content-type-options: nosniff\r\n\
    x-dns-prefetch-control: off\r\n\
    x-frame-options: DENY\r\n\
    x-permitted-cross-domain-policies: none\r\n\
    \r\n\
    this port speaks https; use https:// in place of http\n";

fn configuration(
    profile: Profile,
    groups: &[&'static dyn SupportedKxGroup],
    resolver: &Arc<CertificateResolver>,
    ticketer: &Arc<dyn ProducesTickets>,
) -> Result<ServerConfig, rustls::Error> {
    let (versions, suites) = match profile {
        Profile::Intermediate => (INTERMEDIATE_VERSIONS, INTERMEDIATE_SUITES),
        Profile::Modern => (MODERN_VERSIONS, MODERN_SUITES),
    };
    let provider = CryptoProvider {
        cipher_suites: suites.to_vec(),
        kx_groups: groups.to_vec(),
        ..default_provider()
    };
    let mut config = ServerConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(versions)?
        .with_no_client_auth()
        .with_cert_resolver(Arc::<CertificateResolver>::clone(resolver));
    config.alpn_protocols = vec![ALPN_H2.to_vec(), b"http/1.1".to_vec()];
    // Ours is the order of preference: testssl rates a server without one as a finding of rank HIGH.
    config.ignore_client_order = true;
    config.max_early_data_size = 0;
    config.send_tls13_tickets = 2;
    // Stateless tickets in place of a session cache: nothing to bound, nothing to lock. Both
    // configurations admit the same clients, so a ticket of one is good for the other.
    config.ticketer = Arc::clone(ticketer);
    config.session_storage = Arc::new(NoServerSessionStorage {});
    Ok(config)
}

const ALPN_H2: &[u8] = b"h2";

static INTERMEDIATE_VERSIONS: &[&SupportedProtocolVersion] =
    &[&rustls::version::TLS13, &rustls::version::TLS12];
static MODERN_VERSIONS: &[&SupportedProtocolVersion] = &[&rustls::version::TLS13];

/// In the guideline's order.
static INTERMEDIATE_SUITES: &[SupportedCipherSuite] = &[
    cipher_suite::TLS13_AES_128_GCM_SHA256,
    cipher_suite::TLS13_AES_256_GCM_SHA384,
    cipher_suite::TLS13_CHACHA20_POLY1305_SHA256,
    cipher_suite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
    cipher_suite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
    cipher_suite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
    cipher_suite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
    cipher_suite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
    cipher_suite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
];
static MODERN_SUITES: &[SupportedCipherSuite] = &[
    cipher_suite::TLS13_AES_128_GCM_SHA256,
    cipher_suite::TLS13_AES_256_GCM_SHA384,
    cipher_suite::TLS13_CHACHA20_POLY1305_SHA256,
];

static GENERAL_GROUPS: &[&dyn SupportedKxGroup] = &[
    kx_group::X25519MLKEM768,
    kx_group::X25519,
    kx_group::SECP256R1,
    kx_group::SECP384R1,
];

/// For TLS 1.3 X25519MLKEM768 alone. A client may offer it and still speak TLS 1.2, where it does not
/// exist; then the classical groups serve.
static POST_QUANTUM_GROUPS: &[&dyn SupportedKxGroup] = &[
    kx_group::X25519MLKEM768,
    &Tls12Only(kx_group::X25519),
    &Tls12Only(kx_group::SECP256R1),
    &Tls12Only(kx_group::SECP384R1),
];

/// A group that TLS 1.3 does not see.
#[derive(Debug)]
struct Tls12Only(&'static dyn SupportedKxGroup);

impl SupportedKxGroup for Tls12Only {
    fn start(&self) -> Result<Box<dyn ActiveKeyExchange>, rustls::Error> {
        self.0.start()
    }

    fn start_and_complete(&self, peer: &[u8]) -> Result<CompletedKeyExchange, rustls::Error> {
        self.0.start_and_complete(peer)
    }

    fn ffdhe_group(&self) -> Option<FfdheGroup<'static>> {
        self.0.ffdhe_group()
    }

    fn name(&self) -> NamedGroup {
        self.0.name()
    }

    fn fips(&self) -> bool {
        self.0.fips()
    }

    fn usable_for_version(&self, version: ProtocolVersion) -> bool {
        version == ProtocolVersion::TLSv1_2 && self.0.usable_for_version(version)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::certs::local_ca::LocalCa;
    use crate::certs::{ServedCertificate, files};
    use rustls::pki_types::ServerName;
    use rustls::{CipherSuite, ClientConfig, HandshakeKind, RootCertStore};
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
            rcgen::KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, rcgen::RsaKeySize::_2048)
                .unwrap()
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
}
