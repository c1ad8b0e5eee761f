//! Servers on loopback.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// A server that answers every request by `answer` and keeps the heads and bodies it got.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    got: Arc<Mutex<Vec<String>>>,
}

impl Server {
    /// Where nobody listens.
    pub(crate) fn at(address: SocketAddr) -> Self {
        Self {
            address,
            got: Arc::default(),
        }
    }

    pub(crate) fn got(&self) -> Vec<String> {
        self.got.lock().expect("no panic").clone()
    }

    pub(crate) fn url(&self, host: &str, path: &str) -> String {
        format!("http://{host}:{}{path}", self.address.port())
    }
}

pub(crate) async fn server(answer: impl Fn(&str) -> Vec<u8> + Send + Sync + 'static) -> Server {
    serve(answer, None).await
}

pub(crate) async fn serve(
    answer: impl Fn(&str) -> Vec<u8> + Send + Sync + 'static,
    tls: Option<TlsAcceptor>,
) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let got = Arc::new(Mutex::new(Vec::new()));
    let (answer, sink) = (Arc::new(answer), Arc::clone(&got));
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.expect("a connection");
            let (answer, sink, tls) = (Arc::clone(&answer), Arc::clone(&sink), tls.clone());
            tokio::spawn(async move {
                match tls {
                    None => one(stream, &*answer, &sink).await,
                    Some(tls) => {
                        if let Ok(stream) = tls.accept(stream).await {
                            let sni = stream.get_ref().1.server_name().unwrap_or("-").to_owned();
                            sink.lock().expect("no panic").push(format!("sni {sni}"));
                            one(stream, &*answer, &sink).await;
                        }
                    }
                }
            });
        }
    });
    Server { address, got }
}

async fn one(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    answer: &(dyn Fn(&str) -> Vec<u8> + Send + Sync),
    sink: &Mutex<Vec<String>>,
) {
    let mut got = Vec::new();
    let mut chunk = [0; 4096];
    while !complete(&got) {
        match stream.read(&mut chunk).await {
            Ok(0) | Err(_) => return,
            Ok(read) => got.extend_from_slice(&chunk[..read]),
        }
    }
    let got = String::from_utf8_lossy(&got).into_owned();
    sink.lock().expect("no panic").push(got.clone());
    let answer = answer(&got);
    let _ = stream.write_all(&answer).await;
    if answer.ends_with(b"HOLD") {
        tokio::time::sleep(Duration::from_secs(60)).await;
    }
    let _ = stream.shutdown().await;
}

fn complete(got: &[u8]) -> bool {
    if got.starts_with(&[0x16]) {
        return true; // a TLS handshake, to a server that speaks none
    }
    let Some(end) = got.windows(4).position(|four| four == b"\r\n\r\n") else {
        return false;
    };
    let head = String::from_utf8_lossy(&got[..end]).to_ascii_lowercase();
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "));
    let length: usize = length.map_or(0, |length| length.trim().parse().expect("a length"));
    got.len() >= end + 4 + length
}

pub(crate) fn answer(head: &str, body: &[u8]) -> Vec<u8> {
    let mut answer =
        format!("HTTP/1.1 {head}\r\nContent-Length: {}\r\n\r\n", body.len()).into_bytes();
    answer.extend_from_slice(body);
    answer
}

pub(crate) fn ok(body: &str) -> Vec<u8> {
    answer("200 OK", body.as_bytes())
}

pub(crate) fn redirect(to: &str) -> Vec<u8> {
    answer(&format!("302 Found\r\nLocation: {to}"), b"")
}

/// A CA and a server certificate of it for `name`.
pub(crate) struct Authority {
    pub(crate) file: tempfile::NamedTempFile,
    issuer: rcgen::Issuer<'static, rcgen::KeyPair>,
}

impl Authority {
    pub(crate) fn new() -> Self {
        use std::io::Write as _;
        let key = rcgen::KeyPair::generate().expect("a key");
        let mut params = rcgen::CertificateParams::new(Vec::new()).expect("parameters");
        // Clients that compare names take a leaf of the CA's own name for self-signed.
        params
            .distinguished_name
            .push(rcgen::DnType::CommonName, "Test CA");
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let certificate = params.self_signed(&key).expect("a certificate");
        let mut file = tempfile::NamedTempFile::new().expect("a file");
        file.write_all(certificate.pem().as_bytes())
            .expect("written");
        Self {
            file,
            issuer: rcgen::Issuer::new(params, key),
        }
    }

    pub(crate) fn acceptor(&self, name: &str, expired: bool) -> TlsAcceptor {
        let key = rcgen::KeyPair::generate().expect("a key");
        let mut params = rcgen::CertificateParams::new(vec![name.to_owned()]).expect("parameters");
        if expired {
            params.not_before = rcgen::date_time_ymd(2020, 1, 1);
            params.not_after = rcgen::date_time_ymd(2021, 1, 1);
        }
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)
            .expect("a certificate");
        TlsAcceptor::from(Arc::new(config))
    }
}
