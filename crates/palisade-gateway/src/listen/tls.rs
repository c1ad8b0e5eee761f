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
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{Accepted, Acceptor, NoServerSessionStorage, ProducesTickets};
use rustls::{
    AlertDescription, HandshakeKind, NamedGroup, ProtocolVersion, ServerConfig,
    SupportedCipherSuite, SupportedProtocolVersion,
};
use rustls_pki_types::UnixTime;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio_rustls::StartHandshake;
pub use tokio_rustls::server::TlsStream;

use crate::certs::client::{ClientTrust, ClientTrustError};
use crate::certs::resolver::{CertificateResolver, NameError};
use crate::certs::revocation;

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
    /// Whose client certificates are taken; `None`: no client is asked for one.
    pub clients: Option<ClientTrust>,
}

impl Default for TlsSettings {
    fn default() -> Self {
        Self {
            profile: Profile::default(),
            handshake_timeout: Duration::from_secs(10),
            clients: None,
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
    /// Judges the certificates of clients.
    clients: Option<Arc<dyn ClientCertVerifier>>,
    handshake_timeout: Duration,
}

impl TlsAcceptor {
    /// Makes an acceptor that serves the certificates of `resolver`, with new ticket keys. These live
    /// in memory alone, are replaced every 6 hours, and open tickets for 6 hours more.
    ///
    /// # Errors
    ///
    /// If the system's random source fails, or a file of client certificates cannot be used.
    pub fn new(
        settings: &TlsSettings,
        resolver: Arc<CertificateResolver>,
    ) -> Result<Self, TlsError> {
        let ticketer = Ticketer::new()?;
        let clients = settings.clients.as_ref();
        let clients = clients.map(|clients| clients.verifier(Arc::new(default_provider())));
        let clients = clients.transpose()?;
        let config = |groups: &[&'static dyn SupportedKxGroup]| {
            let clients = clients.clone();
            configuration(settings, groups, &resolver, &ticketer, clients).map(Arc::new)
        };
        Ok(Self {
            general: config(GENERAL_GROUPS)?,
            post_quantum: config(POST_QUANTUM_GROUPS)?,
            resolver,
            clients,
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
    /// The list that would tell whether the client's certificate is revoked is over.
    #[error(
        "the revocation list of the client's authority in `tls.client_crl` has ended; put the authority's current list there"
    )]
    RevocationList,
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
    fn of_tls(error: rustls::Error) -> Self {
        match revocation::is_over(&error) {
            true => Self::RevocationList,
            false => Self::Tls(error),
        }
    }

    /// A fixed word for metrics and logs.
    #[must_use]
    pub fn label(&self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Io(_) => "io",
            Self::Name { .. } => "name",
            Self::PlainHttp => "plain_http",
            Self::RevocationList => "revocation_list",
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
                Ok(tls) => Self::of_tls(tls),
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
    let session = stream.get_ref().1;
    // A ticket vouches for the certificate of the handshake that it came from, which may be over or
    // revoked by now: rustls does not judge it again.
    if session.handshake_kind() == Some(HandshakeKind::Resumed)
        && let Some(clients) = &acceptor.clients
        && let Some([own, others @ ..]) = session.peer_certificates()
    {
        clients
            .verify_client_cert(own, others, UnixTime::now())
            .map_err(HandshakeError::of_tls)?;
    }
    let alpn = match session.alpn_protocol() {
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

/// Why TLS cannot be set up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// A file of client certificates.
    #[error(transparent)]
    Clients(#[from] ClientTrustError),
    /// rustls refused.
    #[error(transparent)]
    Tls(#[from] rustls::Error),
}

fn configuration(
    settings: &TlsSettings,
    groups: &[&'static dyn SupportedKxGroup],
    resolver: &Arc<CertificateResolver>,
    ticketer: &Arc<dyn ProducesTickets>,
    clients: Option<Arc<dyn ClientCertVerifier>>,
) -> Result<ServerConfig, TlsError> {
    let (versions, suites) = match settings.profile {
        Profile::Intermediate => (INTERMEDIATE_VERSIONS, INTERMEDIATE_SUITES),
        Profile::Modern => (MODERN_VERSIONS, MODERN_SUITES),
    };
    let provider = CryptoProvider {
        cipher_suites: suites.to_vec(),
        kx_groups: groups.to_vec(),
        ..default_provider()
    };
    let provider = Arc::new(provider);
    let builder = ServerConfig::builder_with_provider(provider);
    let builder = builder.with_protocol_versions(versions)?;
    let mut config = match clients {
        Some(clients) => builder.with_client_cert_verifier(clients),
        None => builder.with_no_client_auth(),
    }
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
mod tests;
