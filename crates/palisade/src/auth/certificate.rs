//! Client certificates, as far as they say who calls.
//!
//! The chain has been validated before a [`ClientCertificate`] is made: by the TLS handshake, or by
//! a terminator in front that is trusted to say so.

use std::fmt;

use super::caller::{Caller, Proof};

/// A client certificate that holds. The server puts it into the [`Connection`](crate::Connection).
#[derive(Clone, PartialEq, Eq)]
pub struct ClientCertificate {
    /// The SHA-256 of the certificate.
    pub thumbprint: [u8; 32],
    /// The subject, as RFC 4514 writes it; may be empty.
    pub subject: String,
    /// URIs of the subject's alternative names (SPIFFE ids among them).
    pub uris: Vec<String>,
    /// DNS names of the subject's alternative names.
    pub dns: Vec<String>,
    /// E-mail addresses of the subject's alternative names.
    pub emails: Vec<String>,
    /// The certificate in DER; empty where a terminator did not hand it on.
    pub der: Vec<u8>,
}

impl fmt::Debug for ClientCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientCertificate")
            .field("subject", &self.subject)
            .field("uris", &self.uris)
            .field("dns", &self.dns)
            .field("emails", &self.emails)
            .finish_non_exhaustive()
    }
}

/// A part of a certificate that may be a caller's identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum IdentityField {
    /// The first DNS name.
    Dns,
    /// The first e-mail address.
    Email,
    /// The whole subject.
    Subject,
    /// The first URI.
    Uri,
}

impl ClientCertificate {
    /// The caller, by the first of `fields` that the certificate has; `None` where it has none.
    #[must_use]
    pub fn caller(&self, fields: &[IdentityField]) -> Option<Caller> {
        let name = fields.iter().find_map(|field| match field {
            IdentityField::Dns => self.dns.first(),
            IdentityField::Email => self.emails.first(),
            IdentityField::Subject => Some(&self.subject).filter(|subject| !subject.is_empty()),
            IdentityField::Uri => self.uris.first(),
        })?;
        Some(Caller::new(Proof::Certificate, "", name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // REQ: T-4
    #[test]
    fn the_first_field_that_is_there_names_the_caller() {
        let certificate = ClientCertificate {
            thumbprint: [0; 32],
            subject: "CN=robot".to_owned(),
            uris: Vec::new(),
            dns: vec!["robot.example".to_owned()],
            emails: Vec::new(),
            der: Vec::new(),
        };
        for (fields, expected) in [
            (
                &[IdentityField::Uri, IdentityField::Dns][..],
                Some("cert:robot.example"),
            ),
            (
                &[IdentityField::Subject, IdentityField::Dns],
                Some("cert:CN=robot"),
            ),
            (&[IdentityField::Email, IdentityField::Uri], None),
            (&[], None),
        ] {
            let caller = certificate.caller(fields);
            assert_eq!(caller.as_ref().map(Caller::id), expected, "{fields:?}");
        }
    }
}
