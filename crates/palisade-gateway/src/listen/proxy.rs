//! What a terminator in front says of the client, believed from trusted addresses alone.
//!
//! One source is configured, and no other is looked at. From an address that is not trusted nothing
//! is believed, and what the terminator's fields would say is dropped with them.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use http::HeaderMap;
use http::header::{FORWARDED, HeaderName};
use ipnet::IpNet;
use palisade::Connection;
use palisade::auth::ClientCertificate;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;

use super::xfcc;
use crate::certs::client;
use crate::config::{CertificateHeader, ClientAddress};

/// Who is trusted, and with what.
#[derive(Clone, Debug)]
pub struct Proxies {
    /// Addresses of terminators.
    pub trusted: Vec<IpNet>,
    /// Where they say who the client is.
    pub client_address: ClientAddress,
    /// How they hand on a client's certificate that they have validated.
    pub certificate: Option<CertificateHeader>,
}

/// The most hops that are walked.
const MAX_HOPS: usize = 32;

static X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
static X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
static X_REAL_IP: HeaderName = HeaderName::from_static("x-real-ip");
static XFCC: HeaderName = HeaderName::from_static("x-forwarded-client-cert");
static SSL_VERIFY: HeaderName = HeaderName::from_static("ssl-client-verify");
static SSL_CERT: HeaderName = HeaderName::from_static("ssl-client-cert");

impl Proxies {
    /// Whether `address` is a terminator's.
    #[must_use]
    pub fn trusts(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.trusted.iter().any(|range| range.contains(&address))
    }

    /// The client behind `connection`, as a trusted terminator tells it in `headers`; `None` where
    /// the connection is the client's own.
    #[must_use]
    pub fn client(&self, connection: &Connection, headers: &HeaderMap) -> Option<Connection> {
        // With the PROXY protocol the address has been told already, by a peer that was trusted then.
        let told = self.client_address == ClientAddress::ProxyProtocol;
        let peer = connection.peer?;
        if !told && !self.trusts(peer.ip()) {
            return None;
        }
        let (address, secure) = match self.client_address {
            ClientAddress::ProxyProtocol => return None,
            ClientAddress::XForwardedFor => (self.nearest(forwarded_for(headers)), proto(headers)),
            ClientAddress::XRealIp => (single(headers, &X_REAL_IP), proto(headers)),
            ClientAddress::Forwarded => self.forwarded(headers),
        };
        // What cannot be read is not guessed at: the terminator itself is the client then.
        let address = address.unwrap_or_else(|| peer.ip());
        let secure = secure.unwrap_or(connection.tls);
        let mut client = Connection::new(SocketAddr::new(address, 0), secure);
        client.certificate.clone_from(&connection.certificate);
        if let Some(form) = self.certificate
            && let Some(certificate) = certificate(form, headers)
        {
            client.certificate = Some(Arc::new(certificate));
        }
        Some(client)
    }

    /// Walks hops from the nearest to the farthest: the first that is not trusted is the client. A
    /// hop that cannot be read ends the walk at the one before it.
    fn nearest(&self, hops: Option<Vec<Option<IpAddr>>>) -> Option<IpAddr> {
        let mut last = None;
        for hop in hops?.into_iter().rev() {
            let Some(address) = hop else { return last };
            last = Some(address);
            if !self.trusts(address) {
                break;
            }
        }
        last
    }

    fn forwarded(&self, headers: &HeaderMap) -> (Option<IpAddr>, Option<bool>) {
        let Some(elements) = elements(headers, &FORWARDED) else {
            return (None, None);
        };
        let parameter = |element: &str, wanted: &str| {
            element.split(';').find_map(|pair| {
                let (name, value) = pair.split_once('=')?;
                let named = name.trim().eq_ignore_ascii_case(wanted);
                named.then(|| value.trim().trim_matches('"').to_owned())
            })
        };
        let hops: Vec<Option<IpAddr>> = elements
            .iter()
            .map(|element| address(&parameter(element, "for")?))
            .collect();
        let found = self.nearest(Some(hops.clone()));
        let at = hops.iter().rposition(|hop| *hop == found && hop.is_some());
        let scheme = at.and_then(|at| parameter(&elements[at], "proto"));
        (
            found,
            scheme.map(|scheme| scheme.eq_ignore_ascii_case("https")),
        )
    }
}

/// The elements of a list in all its lines; `None` where there is none, or too many.
fn elements(headers: &HeaderMap, name: &HeaderName) -> Option<Vec<String>> {
    let mut all = Vec::new();
    for line in headers.get_all(name) {
        // A comma inside quotes would be a node that is no address.
        for element in line.to_str().ok()?.split(',') {
            all.push(element.trim().to_owned());
        }
        if all.len() > MAX_HOPS {
            return None;
        }
    }
    (!all.is_empty()).then_some(all)
}

fn forwarded_for(headers: &HeaderMap) -> Option<Vec<Option<IpAddr>>> {
    let elements = elements(headers, &X_FORWARDED_FOR)?;
    Some(elements.iter().map(|element| address(element)).collect())
}

/// The only value of a field that holds one address.
fn single(headers: &HeaderMap, name: &HeaderName) -> Option<IpAddr> {
    let mut values = headers.get_all(name).iter();
    let (value, None) = (values.next()?, values.next()) else {
        return None;
    };
    address(value.to_str().ok()?.trim())
}

fn proto(headers: &HeaderMap) -> Option<bool> {
    let elements = elements(headers, &X_FORWARDED_PROTO)?;
    // The nearest hop is the one that is trusted.
    match elements.last()?.as_str() {
        "https" => Some(true),
        "http" => Some(false),
        _ => None,
    }
}

/// `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1`, `[2001:db8::1]`, `[2001:db8::1]:80`; no zone, no
/// `unknown`, no obfuscated name.
fn address(text: &str) -> Option<IpAddr> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Some(address);
    }
    if let Ok(address) = text.parse::<SocketAddr>() {
        return Some(address.ip());
    }
    let inside = text.strip_prefix('[')?.strip_suffix(']')?;
    inside.parse().ok().map(IpAddr::V6)
}

/// The certificate that a terminator hands on.
fn certificate(form: CertificateHeader, headers: &HeaderMap) -> Option<ClientCertificate> {
    let one = |name: &HeaderName| {
        let mut values = headers.get_all(name).iter();
        match (values.next(), values.next()) {
            (Some(value), None) => value.to_str().ok(),
            _ => None,
        }
    };
    let escaped = match form {
        CertificateHeader::Nginx => {
            if one(&SSL_VERIFY)? != "SUCCESS" {
                return None;
            }
            one(&SSL_CERT)?.to_owned()
        }
        CertificateHeader::Xfcc => xfcc::certificate(one(&XFCC)?)?,
    };
    if escaped.len() > MAX_CERTIFICATE {
        return None;
    }
    let pem = unescaped(&escaped)?;
    let der = CertificateDer::from_pem_slice(&pem).ok()?;
    client::certificate(&der)
}

/// The longest certificate that is read, percent-encoded.
const MAX_CERTIFICATE: usize = 16 << 10;

fn unescaped(text: &str) -> Option<Vec<u8>> {
    let mut bytes = text.bytes();
    let mut out = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            out.push(byte);
            continue;
        }
        let mut digit = || char::from(bytes.next()?).to_digit(16);
        let value = digit()? << 4 | digit()?;
        out.push(u8::try_from(value).ok()?);
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxies(client_address: ClientAddress) -> Proxies {
        Proxies {
            trusted: vec![
                "10.0.0.0/8".parse().unwrap(),
                "2001:db8::/32".parse().unwrap(),
            ],
            client_address,
            certificate: None,
        }
    }

    fn headers(lines: &[(&str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            let name = HeaderName::try_from(*name).unwrap();
            headers.append(name, value.parse().unwrap());
        }
        headers
    }

    // REQ: T-6
    #[test]
    fn the_first_address_that_is_not_trusted_is_the_client() {
        use ClientAddress::{Forwarded, XForwardedFor, XRealIp};
        let xff = "x-forwarded-for";
        for (source, lines, expected) in [
            (XForwardedFor, &[(xff, "203.0.113.7")][..], "203.0.113.7"),
            (
                XForwardedFor,
                &[(xff, "6.6.6.6, 203.0.113.7")],
                "203.0.113.7",
            ),
            (
                XForwardedFor,
                &[(xff, "6.6.6.6, 203.0.113.7, 10.1.1.1")],
                "203.0.113.7",
            ),
            (
                XForwardedFor,
                &[(xff, "6.6.6.6"), (xff, "203.0.113.7")],
                "203.0.113.7",
            ),
            (XForwardedFor, &[(xff, "10.2.2.2, 10.1.1.1")], "10.2.2.2"),
            (XForwardedFor, &[(xff, "[2001:db9::1]:443")], "2001:db9::1"),
            (XForwardedFor, &[(xff, "203.0.113.7:1234")], "203.0.113.7"),
            (XForwardedFor, &[(xff, "6.6.6.6, unknown")], "10.0.0.1"),
            (
                XForwardedFor,
                &[(xff, "6.6.6.6, fe80::1%eth0, 10.1.1.1")],
                "10.1.1.1",
            ),
            (XForwardedFor, &[(xff, "")], "10.0.0.1"),
            (XForwardedFor, &[], "10.0.0.1"),
            // What is not configured is not looked at.
            (
                XForwardedFor,
                &[("x-real-ip", "6.6.6.6"), ("forwarded", "for=6.6.6.6")],
                "10.0.0.1",
            ),
            (
                XRealIp,
                &[("x-real-ip", "203.0.113.7"), (xff, "6.6.6.6")],
                "203.0.113.7",
            ),
            (
                XRealIp,
                &[("x-real-ip", "203.0.113.7"), ("x-real-ip", "6.6.6.6")],
                "10.0.0.1",
            ),
            (
                XRealIp,
                &[("x-real-ip", "203.0.113.7, 6.6.6.6")],
                "10.0.0.1",
            ),
            (
                Forwarded,
                &[("forwarded", "for=6.6.6.6, for=203.0.113.7;proto=https")],
                "203.0.113.7",
            ),
            (
                Forwarded,
                &[("forwarded", "For=\"[2001:db9::1]:80\"")],
                "2001:db9::1",
            ),
            (
                Forwarded,
                &[("forwarded", "for=6.6.6.6, for=_hidden")],
                "10.0.0.1",
            ),
            (Forwarded, &[("forwarded", "by=6.6.6.6")], "10.0.0.1"),
        ] {
            let connection = Connection::new("10.0.0.1:9".parse().unwrap(), false);
            let client = proxies(source)
                .client(&connection, &headers(lines))
                .unwrap();
            assert_eq!(
                client.peer_ip().unwrap().to_string(),
                expected,
                "{source:?} {lines:?}"
            );
            let stranger = Connection::new("192.0.2.1:9".parse().unwrap(), false);
            assert!(proxies(source).client(&stranger, &headers(lines)).is_none());
        }
        let many = vec!["1.1.1.1"; 40].join(",");
        let connection = Connection::new("[2001:db8::9]:9".parse().unwrap(), false);
        let client = proxies(XForwardedFor).client(&connection, &headers(&[(xff, &many)]));
        assert_eq!(
            client.unwrap().peer_ip().unwrap().to_string(),
            "2001:db8::9"
        );
    }

    // REQ: T-6
    #[test]
    fn the_scheme_is_that_of_the_nearest_hop() {
        let connection = Connection::new("10.0.0.1:9".parse().unwrap(), false);
        for (lines, tls) in [
            (&[("x-forwarded-proto", "https")][..], true),
            (&[("x-forwarded-proto", "https, http")], false),
            (&[("x-forwarded-proto", "HTTPS\u{2c}x")], false),
            (&[], false),
        ] {
            let client = proxies(ClientAddress::XForwardedFor).client(&connection, &headers(lines));
            assert_eq!(client.unwrap().tls, tls, "{lines:?}");
        }
    }

    // REQ: T-6, T-4
    #[test]
    fn a_verified_client_is_told_by_one_header_alone() {
        let params = rcgen::CertificateParams::new(vec!["robot.example".to_owned()]).unwrap();
        let issued = params
            .self_signed(&rcgen::KeyPair::generate().unwrap())
            .unwrap();
        let read = client::certificate(issued.der()).unwrap();
        let pem = client::escaped_pem(&read);
        let xfcc = format!("Hash=x;Cert=\"{pem}\";Subject=\"CN=x\"");
        let appended = format!("{xfcc},Hash=y;Subject=\"CN=y\"");
        for (form, lines, found) in [
            (
                CertificateHeader::Nginx,
                &[("ssl-client-verify", "SUCCESS"), ("ssl-client-cert", &*pem)][..],
                true,
            ),
            (
                CertificateHeader::Nginx,
                &[("ssl-client-verify", "FAILED"), ("ssl-client-cert", &*pem)],
                false,
            ),
            (
                CertificateHeader::Nginx,
                &[("ssl-client-cert", &*pem)],
                false,
            ),
            (
                CertificateHeader::Nginx,
                &[
                    ("ssl-client-verify", "SUCCESS"),
                    ("ssl-client-cert", &*pem),
                    ("ssl-client-cert", &*pem),
                ],
                false,
            ),
            (
                CertificateHeader::Nginx,
                &[("ssl-client-verify", "SUCCESS"), ("ssl-client-cert", "%zz")],
                false,
            ),
            (
                CertificateHeader::Xfcc,
                &[("x-forwarded-client-cert", &*xfcc)],
                true,
            ),
            (
                CertificateHeader::Xfcc,
                &[("x-forwarded-client-cert", &*appended)],
                false,
            ),
            (
                CertificateHeader::Xfcc,
                &[
                    ("x-forwarded-client-cert", &*xfcc),
                    ("x-forwarded-client-cert", "Hash=x"),
                ],
                false,
            ),
            (
                CertificateHeader::Xfcc,
                &[("x-forwarded-client-cert", "Subject=\"CN=root\"")],
                false,
            ),
            (
                CertificateHeader::Xfcc,
                &[("ssl-client-verify", "SUCCESS"), ("ssl-client-cert", &*pem)],
                false,
            ),
        ] {
            let mut proxies = proxies(ClientAddress::XRealIp);
            proxies.certificate = Some(form);
            let headers = headers(lines);
            let trusted = Connection::new("10.0.0.1:9".parse().unwrap(), false);
            let client = proxies.client(&trusted, &headers).unwrap();
            assert_eq!(client.certificate.is_some(), found, "{form:?} {lines:?}");
            let stranger = Connection::new("192.0.2.1:9".parse().unwrap(), false);
            assert!(proxies.client(&stranger, &headers).is_none());
        }
    }
}
