//! Connections that never carry a request: how each is told in the audit log (row L-1).
//!
//! They are counted by address and reason and recorded in sum, never one by one: a stranger makes
//! thousands of them a second.

use std::net::SocketAddr;

use palisade::Reason;
use palisade::audit::Recorder;

use super::h2::Ended;
use super::limits::OverCap;
use super::tls::HandshakeError;

/// Counts a handshake that came to nothing.
pub fn handshake(recorder: &Recorder, peer: SocketAddr, error: &HandshakeError) {
    tracing::debug!(%peer, %error, kind = error.label(), "no TLS");
    if let Some(reason) = reason(error) {
        recorder.connection_refused(peer.ip(), reason, error);
    }
}

/// Counts a connection that found no place.
pub fn over_cap(recorder: &Recorder, peer: SocketAddr, over: OverCap) {
    tracing::debug!(%peer, ?over, "connection refused");
    let remedy = match over {
        OverCap::Address => "limits.connections_per_peer",
        OverCap::Total => "limits.connections",
    };
    recorder.connection_refused(
        peer.ip(),
        Reason::ConnectionOverCap,
        format_args!("{over}; `{remedy}` allows more"),
    );
}

/// Counts an HTTP/2 connection that was ended for what it sent, or on which streams were refused before there was a
/// request. Those that only took their time are told by the records of their requests, and preconnections of browsers
/// by none.
pub fn http2(recorder: &Recorder, peer: SocketAddr, ended: &Ended) {
    let Ended { violation, faults } = ended;
    if let Some(violation) = violation.filter(|violation| !violation.is_timeout()) {
        let cause = format_args!("HTTP/2: {violation}");
        recorder.connection_refused(peer.ip(), Reason::ConnectionAbuse, cause);
    } else if !faults.is_empty() {
        tracing::debug!(%peer, %faults, "refused by HTTP/2");
        let cause = format_args!("HTTP/2: {faults}");
        recorder.connection_refused(peer.ip(), Reason::ConnectionMalformed, cause);
    }
}

/// `None` where nothing was refused: load balancers open connections only to see whether they can,
/// and a record a minute for each would say nothing.
fn reason(error: &HandshakeError) -> Option<Reason> {
    Some(match error {
        HandshakeError::Unused => return None,
        HandshakeError::Closed
        | HandshakeError::Io(_)
        | HandshakeError::RevocationList
        | HandshakeError::Tls(_) => Reason::ConnectionHandshake,
        HandshakeError::Name { .. } => Reason::ConnectionServerName,
        HandshakeError::PlainHttp => Reason::ConnectionPlainHttp,
        HandshakeError::Timeout => Reason::ConnectionHandshakeTimeout,
    })
}
