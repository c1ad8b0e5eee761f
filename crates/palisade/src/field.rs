//! A header field that a layer wants on an answer, and how it meets one already there.

use http::HeaderMap;
use http::header::{HeaderName, HeaderValue};

/// One field for an answer.
#[derive(Clone, Debug)]
pub(crate) struct Field {
    pub(crate) name: HeaderName,
    pub(crate) value: HeaderValue,
    pub(crate) meet: Meet,
}

/// What happens to a field of the same name that the answer already has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Meet {
    /// Both stay: the field is a list (RFC 9110 section 5.3).
    Append,
    /// The one that is there stays.
    Keep,
    /// This one takes its place.
    Replace,
}

impl Field {
    pub(crate) fn apply(self, headers: &mut HeaderMap) {
        match self.meet {
            Meet::Append => {
                headers.append(self.name, self.value);
            }
            Meet::Keep => {
                headers.entry(self.name).or_insert(self.value);
            }
            Meet::Replace => {
                headers.insert(self.name, self.value);
            }
        }
    }
}
