//! What the address of a listener makes of the settings.

use std::net::SocketAddr;

use super::names::{HostEntry, loopback};
use super::settings::{LOOPBACK_HOSTS, Settings, Value};

impl Settings {
    /// Whether the listeners speak TLS.
    #[must_use]
    pub const fn is_tls(&self) -> bool {
        self.tls.is_some()
    }

    /// The `Host` names that a listener bound to `address` accepts: those that were named and, on
    /// a loopback address alone, the loopback names (row H-1).
    #[must_use]
    pub fn hosts_on(&self, address: SocketAddr) -> Vec<Value<HostEntry>> {
        let mut hosts = self.hosts.value.clone();
        if loopback(address.ip()) {
            for name in LOOPBACK_HOSTS {
                let entry = HostEntry {
                    host: name.to_owned(),
                    port: None,
                };
                if !hosts.iter().any(|known| known.value == entry) {
                    hosts.push(Value::from(entry));
                }
            }
        }
        hosts
    }

    /// The gateway's own public origins as seen through a listener bound to `address` (its real
    /// port, when port 0 was asked for). Row H-3 allows them without their being listed.
    ///
    /// Where `public_url` has another scheme than the listener, another proxy ends TLS: the named
    /// hosts then have the origin of that scheme alone, so that a plain-HTTP page of the same name
    /// is not let in.
    #[must_use]
    pub fn own_origins_on(&self, address: SocketAddr) -> Vec<String> {
        let is_tls = self.is_tls();
        let fronted = self.public_url.as_ref().filter(|url| url.https != is_tls);
        let mut origins: Vec<String> = Vec::new();
        let mut add = |https: bool, host: &str, port: u16| {
            let (scheme, default_port) = if https { ("https", 443) } else { ("http", 80) };
            let origin = if port == default_port {
                format!("{scheme}://{host}")
            } else {
                format!("{scheme}://{host}:{port}")
            };
            if !origins.contains(&origin) {
                origins.push(origin);
            }
        };
        if let Some(url) = &self.public_url {
            add(url.https, &url.host, url.port_or_default());
        }
        for entry in self.hosts_on(address) {
            let is_local = loopback(address.ip()) && LOOPBACK_HOSTS.contains(&entry.host.as_str());
            match (entry.port, fronted) {
                (None, _) if is_local => add(is_tls, &entry.host, address.port()),
                (Some(port), None) => add(is_tls, &entry.host, port),
                (Some(port), Some(url)) => add(url.https, &entry.host, port),
                (None, Some(url)) => add(url.https, &entry.host, if url.https { 443 } else { 80 }),
                // The Host guard ignores the port of such an entry; clients come by the
                // listener's own port or by a redirection of the default one.
                (None, None) => {
                    add(is_tls, &entry.host, if is_tls { 443 } else { 80 });
                    add(is_tls, &entry.host, address.port());
                }
            }
        }
        origins
    }
}
