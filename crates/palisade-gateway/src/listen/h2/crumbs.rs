//! Cookies in crumbs.
//!
//! HTTP/2 lets a client send the pairs of its cookie as fields of their own, since they compress
//! better. Whoever passes them on as HTTP/1.1 must join them first (RFC 9113 section 8.2.3): of
//! several `Cookie` fields each reader would take those it likes.

use http::header::COOKIE;
use http::{HeaderMap, HeaderValue};

/// Makes one `Cookie` of several.
pub(crate) fn join(headers: &mut HeaderMap) {
    let mut crumbs = headers.get_all(COOKIE).iter();
    let (Some(first), Some(second)) = (crumbs.next(), crumbs.next()) else {
        return;
    };
    let mut whole = first.as_bytes().to_vec();
    for crumb in std::iter::once(second).chain(crumbs) {
        whole.extend(b"; ");
        whole.extend(crumb.as_bytes());
    }
    // Of values and a separator that both may stand in one.
    if let Ok(whole) = HeaderValue::from_maybe_shared(bytes::Bytes::from(whole)) {
        headers.insert(COOKIE, whole);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crumbs_become_one() {
        for (crumbs, whole) in [
            (&[][..], &[][..]),
            (&["a=1"], &["a=1"]),
            (&["a=1", "b=2", "c=3"], &["a=1; b=2; c=3"]),
            (&["a=1; b=2", "c=3"], &["a=1; b=2; c=3"]),
        ] {
            let mut headers = HeaderMap::new();
            for crumb in crumbs {
                headers.append(COOKIE, HeaderValue::from_static(crumb));
            }
            join(&mut headers);
            let left: Vec<_> = headers.get_all(COOKIE).iter().collect();
            assert_eq!(left, whole);
        }
    }
}
