//! Unpacking an answer's body, bounded in size and in what it may grow to.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use brotli_decompressor::DecompressorWriter;
use flate2::write::MultiGzDecoder;
use flate2::{Decompress, FlushDecompress, Status};
use http::HeaderMap;
use http::header::CONTENT_ENCODING;

use super::error::FetchError;

/// What is offered in `Accept-Encoding`.
pub(super) const OFFERED: &str = "gzip, deflate, br, zstd";

/// Growth up to this size is not judged: small bodies may be very regular.
const FREE: u64 = 1 << 20;

/// RFC 9659 section 3: a zstd window over HTTP is 8 MiB at most.
const ZSTD_WINDOW_LOG: u32 = 23;

/// Bounds of a body.
#[derive(Clone, Copy)]
pub(super) struct Bounds {
    /// Most bytes after unpacking.
    pub(super) size: usize,
    /// Most growth, beyond the first MiB.
    pub(super) ratio: u32,
}

/// A body as it arrives.
pub(super) struct Body {
    decoder: Decoder,
    coding: &'static str,
    bounds: Bounds,
    read: Arc<AtomicU64>,
}

enum Decoder {
    Identity(Sink),
    Gzip(Box<MultiGzDecoder<Sink>>),
    /// The first byte tells zlib (RFC 9110 section 8.4.1.2) from the bare deflate some send.
    Undecided(Sink),
    Deflate(Box<Inflate>),
    Brotli(Box<DecompressorWriter<Sink>>),
    Zstd(Box<zstd::stream::write::Decoder<'static, Sink>>),
    /// Between two states, and after a failure.
    Spent,
}

impl Body {
    /// For an answer with these headers.
    pub(super) fn new(headers: &HeaderMap, bounds: Bounds) -> Result<Self, FetchError> {
        let read = Arc::new(AtomicU64::new(0));
        let sink = Sink {
            out: Vec::new(),
            bounds,
            read: Arc::clone(&read),
        };
        let (coding, decoder) = match coding(headers)? {
            Coding::Identity => ("identity", Decoder::Identity(sink)),
            Coding::Gzip => ("gzip", Decoder::Gzip(Box::new(MultiGzDecoder::new(sink)))),
            Coding::Deflate => ("deflate", Decoder::Undecided(sink)),
            Coding::Brotli => {
                let decoder = DecompressorWriter::new(sink, 16 * 1024);
                ("br", Decoder::Brotli(Box::new(decoder)))
            }
            Coding::Zstd => {
                let malformed = |_| FetchError::Encoding("zstd".to_owned());
                let mut raw = zstd::stream::raw::Decoder::new().map_err(malformed)?;
                let window = zstd::stream::raw::DParameter::WindowLogMax(ZSTD_WINDOW_LOG);
                raw.set_parameter(window).map_err(malformed)?;
                let decoder = zstd::stream::write::Decoder::with_decoder(sink, raw);
                ("zstd", Decoder::Zstd(Box::new(decoder)))
            }
        };
        Ok(Self {
            decoder,
            coding,
            bounds,
            read,
        })
    }

    /// Takes what arrived.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Result<(), FetchError> {
        let Some(first) = bytes.first() else {
            return Ok(());
        };
        let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        self.read.fetch_add(length, Ordering::Relaxed);
        if matches!(self.decoder, Decoder::Undecided(_))
            && let Decoder::Undecided(sink) = std::mem::replace(&mut self.decoder, Decoder::Spent)
        {
            // CM 8 with a window of 32 KiB or less; as bare deflate it would be a stored block,
            // which encoders do not begin with.
            let zlib = first & 0x8f == 8;
            self.decoder = Decoder::Deflate(Box::new(Inflate {
                state: Decompress::new(zlib),
                ended: false,
                sink,
            }));
        }
        let written = match &mut self.decoder {
            Decoder::Identity(sink) | Decoder::Undecided(sink) => sink.write_all(bytes),
            Decoder::Gzip(decoder) => decoder.write_all(bytes),
            Decoder::Deflate(decoder) => decoder.write_all(bytes),
            Decoder::Brotli(decoder) => decoder.write_all(bytes),
            Decoder::Zstd(decoder) => decoder.write_all(bytes),
            Decoder::Spent => Err(io::ErrorKind::InvalidData.into()),
        };
        written.map_err(|error| self.failed(&error))
    }

    /// The unpacked body, once all has arrived.
    pub(super) fn finish(mut self) -> Result<Vec<u8>, FetchError> {
        if self.read.load(Ordering::Relaxed) == 0 {
            // No body at all, as after HEAD.
            return Ok(Vec::new());
        }
        let decoder = std::mem::replace(&mut self.decoder, Decoder::Spent);
        let finished = match decoder {
            Decoder::Identity(sink) | Decoder::Undecided(sink) => Ok(sink),
            Decoder::Gzip(decoder) => decoder.finish(),
            Decoder::Deflate(decoder) => decoder.finish(),
            Decoder::Brotli(decoder) => decoder
                .into_inner()
                .map_err(|_| io::ErrorKind::UnexpectedEof.into()),
            Decoder::Zstd(decoder) => decoder.finish(),
            Decoder::Spent => Err(io::ErrorKind::InvalidData.into()),
        };
        finished
            .map(|sink| sink.out)
            .map_err(|error| self.failed(&error))
    }

    fn failed(&self, error: &io::Error) -> FetchError {
        let overflow = error.get_ref().and_then(|inner| inner.downcast_ref());
        match overflow {
            Some(Overflow::Size) => FetchError::TooLarge {
                what: "the answer's body",
                limit: self.bounds.size,
            },
            Some(Overflow::Ratio) => FetchError::Bomb(self.bounds.ratio),
            None => FetchError::Encoding(self.coding.to_owned()),
        }
    }
}

/// zlib and deflate; flate2's own writers do not tell a body that was cut off.
struct Inflate {
    state: Decompress,
    ended: bool,
    sink: Sink,
}

impl Inflate {
    fn write_all(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        let mut out = [0; 16 * 1024];
        while !self.ended {
            let (read, written) = (self.state.total_in(), self.state.total_out());
            let status = self
                .state
                .decompress(bytes, &mut out, FlushDecompress::None)?;
            let count = |now: u64, before: u64| usize::try_from(now - before).unwrap_or(usize::MAX);
            let (read, written) = (
                count(self.state.total_in(), read),
                count(self.state.total_out(), written),
            );
            self.sink
                .write_all(out.get(..written).unwrap_or_default())?;
            bytes = bytes.get(read..).unwrap_or_default();
            self.ended = status == Status::StreamEnd;
            if read == 0 && written == 0 {
                break;
            }
        }
        Ok(())
    }

    fn finish(self) -> io::Result<Sink> {
        if self.ended {
            Ok(self.sink)
        } else {
            Err(io::ErrorKind::UnexpectedEof.into())
        }
    }
}

enum Coding {
    Identity,
    Gzip,
    Deflate,
    Brotli,
    Zstd,
}

/// The one coding of an answer; a stack of codings serves bombs alone.
fn coding(headers: &HeaderMap) -> Result<Coding, FetchError> {
    let mut coding = None;
    for value in headers.get_all(CONTENT_ENCODING) {
        let text = String::from_utf8_lossy(value.as_bytes());
        for name in text.split(',').map(|name| name.trim().to_ascii_lowercase()) {
            let read = match name.as_str() {
                "" | "identity" => continue,
                "gzip" | "x-gzip" => Coding::Gzip,
                "deflate" => Coding::Deflate,
                "br" => Coding::Brotli,
                "zstd" => Coding::Zstd,
                _ => {
                    return Err(FetchError::Encoding(
                        "content (an unknown coding)".to_owned(),
                    ));
                }
            };
            if coding.replace(read).is_some() {
                return Err(FetchError::Encoding("content (several codings)".to_owned()));
            }
        }
    }
    Ok(coding.unwrap_or(Coding::Identity))
}

/// Where unpacked bytes go; refuses what is beyond the bounds before it is kept.
struct Sink {
    out: Vec<u8>,
    bounds: Bounds,
    /// Packed bytes so far.
    read: Arc<AtomicU64>,
}

#[derive(Debug, thiserror::Error)]
enum Overflow {
    #[error("too large")]
    Size,
    #[error("grows too much")]
    Ratio,
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let size = self.out.len().saturating_add(bytes.len());
        if size > self.bounds.size {
            return Err(io::Error::other(Overflow::Size));
        }
        let read = self.read.load(Ordering::Relaxed);
        let most = read.saturating_mul(self.bounds.ratio.into()).max(FREE);
        if u64::try_from(size).unwrap_or(u64::MAX) > most {
            return Err(io::Error::other(Overflow::Ratio));
        }
        self.out.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    const BOUNDS: Bounds = Bounds {
        size: 8 << 20,
        ratio: 100,
    };

    fn headers(coding: &str) -> HeaderMap {
        let value = HeaderValue::from_str(coding).expect("a value");
        HeaderMap::from_iter([(CONTENT_ENCODING, value)])
    }

    fn unpack(
        coding: &str,
        packed: &[u8],
        chunk: usize,
        bounds: Bounds,
    ) -> Result<Vec<u8>, String> {
        let mut body =
            Body::new(&headers(coding), bounds).map_err(|error| error.code().to_owned())?;
        for chunk in packed.chunks(chunk) {
            body.push(chunk).map_err(|error| error.code().to_owned())?;
        }
        body.finish().map_err(|error| error.code().to_owned())
    }

    fn pack(coding: &str, plain: &[u8]) -> Vec<u8> {
        use flate2::Compression;
        use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
        let best = Compression::best();
        match coding {
            "gzip" => {
                let mut encoder = GzEncoder::new(Vec::new(), best);
                encoder.write_all(plain).expect("in memory");
                encoder.finish().expect("in memory")
            }
            "deflate" => {
                let mut encoder = ZlibEncoder::new(Vec::new(), best);
                encoder.write_all(plain).expect("in memory");
                encoder.finish().expect("in memory")
            }
            "bare deflate" => {
                let mut encoder = DeflateEncoder::new(Vec::new(), best);
                encoder.write_all(plain).expect("in memory");
                encoder.finish().expect("in memory")
            }
            "zstd" => zstd::stream::encode_all(plain, 19).expect("in memory"),
            _ => plain.to_vec(),
        }
    }

    /// "hello hello hello hello\n" twenty times, packed by Node.
    const BROTLI: &[u8] = include_bytes!("../../tests/data/hello.br");

    // REQ: E-1
    #[test]
    fn codings_in_chunks_of_any_size() {
        let plain = "hello hello hello hello\n".repeat(20).into_bytes();
        for chunk in [1, 2, 3, 7, 4096] {
            for coding in [
                "identity",
                "",
                "gzip",
                "x-gzip",
                "GZIP",
                "deflate",
                "zstd",
                "identity, gzip",
            ] {
                let kind = if coding.to_ascii_lowercase().contains("gzip") {
                    "gzip"
                } else {
                    coding
                };
                let packed = pack(kind, &plain);
                assert_eq!(
                    unpack(coding, &packed, chunk, BOUNDS),
                    Ok(plain.clone()),
                    "{coding} {chunk}"
                );
            }
            let bare = pack("bare deflate", &plain);
            assert_eq!(
                unpack("deflate", &bare, chunk, BOUNDS),
                Ok(plain.clone()),
                "bare {chunk}"
            );
            assert_eq!(
                unpack("br", BROTLI, chunk, BOUNDS),
                Ok(plain.clone()),
                "br {chunk}"
            );
        }
    }

    #[test]
    fn an_empty_body_is_empty_in_any_coding() {
        for coding in ["gzip", "deflate", "br", "zstd", "identity"] {
            assert_eq!(unpack(coding, &[], 1, BOUNDS), Ok(Vec::new()));
        }
    }

    // REQ: E-1
    #[test]
    fn bombs_are_refused() {
        let zeros = vec![0; 9 << 20];
        for coding in ["gzip", "deflate", "zstd"] {
            let packed = pack(coding, &zeros);
            let grows = unpack(coding, &packed, 1024, BOUNDS);
            assert_eq!(grows, Err("egress.fetch.bomb".to_owned()), "{coding}");
            let wide = Bounds {
                ratio: u32::MAX,
                ..BOUNDS
            };
            let large = unpack(coding, &packed, 1024, wide);
            assert_eq!(large, Err("egress.fetch.too_large".to_owned()), "{coding}");
        }
        let tight = Bounds {
            size: 100,
            ..BOUNDS
        };
        assert_eq!(
            unpack("br", BROTLI, 1024, tight),
            Err("egress.fetch.too_large".to_owned())
        );
        assert_eq!(
            unpack("identity", &[1; 101], 7, tight),
            Err("egress.fetch.too_large".to_owned())
        );
        assert_eq!(unpack("identity", &[1; 100], 7, tight), Ok(vec![1; 100]));
    }

    #[test]
    fn what_grows_little_or_is_small_passes() {
        let zeros = vec![0; 1 << 20];
        let packed = pack("gzip", &zeros);
        assert_eq!(
            unpack("gzip", &packed, 1024, BOUNDS).map(|body| body.len()),
            Ok(1 << 20)
        );
    }

    #[test]
    fn broken_bodies_and_stacked_codings_are_refused() {
        let plain = b"hello hello hello hello".repeat(50);
        for coding in ["gzip", "deflate", "zstd"] {
            let packed = pack(coding, &plain);
            let cut = unpack(coding, &packed[..packed.len() - 6], 16, BOUNDS);
            assert_eq!(cut, Err("egress.fetch.encoding".to_owned()), "{coding}");
        }
        assert_eq!(
            unpack("br", &BROTLI[..BROTLI.len() - 4], 16, BOUNDS),
            Err("egress.fetch.encoding".to_owned())
        );
        for (coding, body) in [
            ("gzip", b"no gzip".as_slice()),
            ("zstd", b"no zstd"),
            ("br", b"\xff\xff\xff\xff"),
            ("gzip, gzip", b""),
            ("br, gzip", b""),
            ("compress", b""),
            ("gzip;q=1", b""),
        ] {
            assert_eq!(
                unpack(coding, body, 16, BOUNDS),
                Err("egress.fetch.encoding".to_owned()),
                "{coding}"
            );
        }
        let mut twice = headers("gzip");
        twice.append(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        assert!(Body::new(&twice, BOUNDS).is_err());
    }

    #[test]
    fn a_zstd_window_beyond_8_mib_is_refused() {
        let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 1).expect("in memory");
        encoder.window_log(27).expect("a window");
        let plain: Vec<u8> = (0..9 << 20)
            .map(|i: u32| (i.wrapping_mul(2_654_435_761) >> 13) as u8)
            .collect();
        encoder.write_all(&plain).expect("in memory");
        let packed = encoder.finish().expect("in memory");
        let wide = Bounds {
            size: 16 << 20,
            ..BOUNDS
        };
        assert_eq!(
            unpack("zstd", &packed, 4096, wide),
            Err("egress.fetch.encoding".to_owned())
        );
    }
}
