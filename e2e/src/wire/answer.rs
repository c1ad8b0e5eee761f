//! An answer as it came.

use serde_json::Value as Json;

/// An answer as it came over the wire.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// The status line of HTTP/1.1; empty in HTTP/2.
    pub line: String,
    /// The status.
    pub status: u16,
    /// Names as they were written, and values, in order.
    pub headers: Vec<(String, String)>,
    /// The content, its framing removed.
    pub body: Vec<u8>,
    /// Whether the connection ended before the content did (HTTP/1.1), or the stream was reset
    /// (HTTP/2).
    pub cut: bool,
    /// What `X-Case` said in the request, where [`Ask`](super::Ask) made it.
    pub case: String,
}

impl Answer {
    /// The value of a header that stands there once.
    ///
    /// # Panics
    /// Where it stands there more than once.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let all = self.all(name);
        assert!(all.len() < 2, "{name} more than once: {all:?}");
        all.first().copied()
    }

    /// Every value of a header.
    #[must_use]
    pub fn all(&self, name: &str) -> Vec<&str> {
        let fits = |(key, _): &&(String, String)| key.eq_ignore_ascii_case(name);
        let headers = self.headers.iter().filter(fits);
        headers.map(|(_, value)| value.as_str()).collect()
    }

    /// The names of the headers that begin with `prefix`, in lower case, sorted.
    #[must_use]
    pub fn names_with(&self, prefix: &str) -> Vec<String> {
        let names = self
            .headers
            .iter()
            .map(|(name, _)| name.to_ascii_lowercase());
        let mut names: Vec<String> = names.filter(|name| name.starts_with(prefix)).collect();
        names.sort();
        names
    }

    /// Whether a list header holds `item`, without regard to case.
    #[must_use]
    pub fn lists(&self, name: &str, item: &str) -> bool {
        let values = self.all(name);
        let mut items = values.iter().flat_map(|value| value.split(','));
        items.any(|found| found.trim().eq_ignore_ascii_case(item))
    }

    /// The content as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The content as JSON; `null` where it is none.
    #[must_use]
    pub fn json(&self) -> Json {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// Why Palisade refused; nothing where the answer is the upstream's.
    #[must_use]
    pub fn reason(&self) -> Option<String> {
        let json = self.json();
        let reason = json
            .pointer("/error/data/reason")
            .or_else(|| json.get("reason"));
        Some(reason?.as_str()?.to_owned())
    }
}
