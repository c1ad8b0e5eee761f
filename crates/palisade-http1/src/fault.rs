use std::fmt;

/// What is wrong with a message.
///
/// The first fault in the order of the bytes counts, however they came in pieces.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Fault {
    /// The first byte begins no method.
    NotHttp,
    /// Not `method SP target SP version` (RFC 9112 section 3).
    StartLine,
    /// A method that is no token, or a long one.
    Method,
    /// A target of none of the four forms, or with bytes that no URI has (RFC 9112 section 3.2).
    Target,
    /// A version other than HTTP/1.0 and HTTP/1.1.
    Version,
    /// A line that ends with LF alone (RFC 9112 section 2.2 lets a server refuse it).
    BareLf,
    /// A CR without its LF (RFC 9112 section 2.2).
    BareCr,
    /// A line that begins with white space: a folded value (RFC 9112 section 5.2), or one before
    /// the first field.
    ObsFold,
    /// A line without a colon.
    NoColon,
    /// A field name that is no token, white space before the colon included (RFC 9112 section 5.1).
    FieldName,
    /// A control in a field value (RFC 9110 section 5.5).
    FieldValue,
    /// More fields than the limit.
    TooManyFields,
    /// A head of more bytes than the limit.
    HeadTooLarge,
    /// The same, where `Authorization` takes up more of it than any other field: who asks for
    /// credentials may want to answer this one.
    AuthorizationTooLarge,
    /// The head did not come to its end in time.
    HeadTimeout,
    /// A Content-Length that is doubled, listed, signed or too long (RFC 9112 section 6.3).
    ContentLength,
    /// A Transfer-Encoding that is not exactly `chunked`, or one with HTTP/1.0 (RFC 9112
    /// section 6.1).
    TransferEncoding,
    /// A Content-Length beside a Transfer-Encoding (RFC 9112 section 6.1).
    LengthAndCoding,
    /// A chunk size that is no hexadecimal number, or a long one (RFC 9112 section 7.1).
    ChunkSize,
    /// Chunk extensions that are malformed or too many (RFC 9112 section 7.1.1).
    ChunkExtension,
    /// Chunk data without CRLF behind it.
    ChunkEnd,
    /// A malformed trailer, one that frames or routes (RFC 9110 section 6.5.1), or trailers over
    /// the limit (RFC 9112 section 7.1.2).
    Trailer,
    /// The connection ended within the body.
    BodyIncomplete,
    /// The body made no progress in time.
    BodyTimeout,
}

/// What kind of answer a [`Fault`] wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// 400.
    Malformed,
    /// 431.
    TooLarge,
    /// 408.
    Timeout,
}

impl Fault {
    /// Which kind of answer it wants.
    #[must_use]
    pub const fn kind(self) -> FaultKind {
        match self {
            Self::TooManyFields | Self::HeadTooLarge | Self::AuthorizationTooLarge => {
                FaultKind::TooLarge
            }
            Self::HeadTimeout | Self::BodyTimeout => FaultKind::Timeout,
            _ => FaultKind::Malformed,
        }
    }

    /// What it is, in words that quote nothing.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::NotHttp => "the first byte begins no HTTP request",
            Self::StartLine => "the start line is not HTTP/1.1",
            Self::Method => "the method is no token, or too long",
            Self::Target => "the request target is no URI of its form",
            Self::Version => "an HTTP version other than 1.0 and 1.1",
            Self::BareLf => "a line ends with LF alone",
            Self::BareCr => "a CR without LF",
            Self::ObsFold => "a line of the head begins with white space",
            Self::NoColon => "a header line without a colon",
            Self::FieldName => "a header name that is no token",
            Self::FieldValue => "a control character in a header value",
            Self::TooManyFields => "too many header fields",
            Self::HeadTooLarge => "the head is too large",
            Self::AuthorizationTooLarge => "the head is too large, most of it in Authorization",
            Self::HeadTimeout => "the head did not arrive in time",
            Self::ContentLength => "Content-Length is not one number",
            Self::TransferEncoding => "Transfer-Encoding is not `chunked`",
            Self::LengthAndCoding => "Content-Length beside Transfer-Encoding",
            Self::ChunkSize => "a chunk size that is no hexadecimal number",
            Self::ChunkExtension => "malformed chunk extensions, or too many",
            Self::ChunkEnd => "chunk data without CRLF behind it",
            Self::Trailer => "a malformed trailer, or too many",
            Self::BodyIncomplete => "the connection ended within the body",
            Self::BodyTimeout => "the body did not arrive in time",
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

impl std::error::Error for Fault {}
