//! The recording end of the wire: an HTTP/1.1 server on raw sockets that keeps every byte it
//! gets and answers by script.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value as Json;
use socket2::SockRef;

use crate::PATIENCE;

/// A server on a loopback port that records requests and answers each as it is told to.
///
/// Every connection has a thread; all end when it is dropped.
pub struct Upstream {
    address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    answer: Box<dyn Fn(&Arrived) -> Reply + Send + Sync>,
    arrived: Mutex<Vec<Arrived>>,
    change: Condvar,
    connections: AtomicUsize,
    /// Connections that the other end closed while an answer was due or under way.
    left: AtomicUsize,
    /// Bytes that were no request.
    broken: AtomicUsize,
    over: AtomicBool,
}

/// One request as it arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arrived {
    /// The number of its connection, from 0.
    pub connection: usize,
    /// The request line, without its line end.
    pub line: String,
    /// Names as they were written, and values, in order.
    pub headers: Vec<(String, String)>,
    /// Everything up to and with the empty line.
    pub head: Vec<u8>,
    /// The content, its framing removed.
    pub body: Vec<u8>,
}

impl Arrived {
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

    /// The method.
    #[must_use]
    pub fn method(&self) -> &str {
        self.line.split(' ').next().unwrap_or_default()
    }

    /// The request target.
    #[must_use]
    pub fn target(&self) -> &str {
        self.line.split(' ').nth(1).unwrap_or_default()
    }

    /// The content as JSON; `null` where it is none.
    #[must_use]
    pub fn json(&self) -> Json {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}

impl Upstream {
    /// Answers every request with an empty JSON-RPC result.
    #[must_use]
    pub fn new() -> Self {
        Self::answering(|request| Reply::result(request, &Json::Object(serde_json::Map::new())))
    }

    /// Answers as `answer` says.
    ///
    /// # Panics
    /// Where the system has no port.
    #[must_use]
    pub fn answering(answer: impl Fn(&Arrived) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            answer: Box::new(answer),
            arrived: Mutex::default(),
            change: Condvar::new(),
            connections: AtomicUsize::new(0),
            left: AtomicUsize::new(0),
            broken: AtomicUsize::new(0),
            over: AtomicBool::new(false),
        });
        let accepting = Arc::clone(&shared);
        thread::spawn(move || accepting.accept(&listener));
        Self { address, shared }
    }

    /// The same answer to every request.
    #[must_use]
    pub fn always(reply: Reply) -> Self {
        Self::answering(move |_| reply.clone())
    }

    /// An address that nobody listens on.
    ///
    /// # Panics
    /// Where the system has no port.
    #[must_use]
    pub fn nobody() -> SocketAddr {
        // Its number is free again once the listener is dropped, and the system does not give it
        // to the next that asks for any port.
        TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its URL, with the path `/mcp`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}/mcp", self.address)
    }

    /// Every request so far.
    #[must_use]
    pub fn arrived(&self) -> Vec<Arrived> {
        self.shared.lock().clone()
    }

    /// The requests whose header `X-Case` says `case`; see [`crate::wire::Ask`].
    #[must_use]
    pub fn of_case(&self, case: &str) -> Vec<Arrived> {
        let mut arrived = self.arrived();
        arrived.retain(|request| request.all("x-case") == [case]);
        arrived
    }

    /// Waits until `count` requests have arrived.
    ///
    /// # Panics
    /// When they do not in time.
    pub fn wait_for(&self, count: usize) -> Vec<Arrived> {
        let until = Instant::now() + PATIENCE;
        let mut arrived = self.shared.lock();
        while arrived.len() < count {
            let left = until.checked_duration_since(Instant::now());
            let left = left.unwrap_or_else(|| panic!("{} of {count} requests", arrived.len()));
            let waited = self.shared.change.wait_timeout(arrived, left);
            arrived = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        arrived.clone()
    }

    /// Connections that have been accepted.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::SeqCst)
    }

    /// Connections that the other end closed while an answer was due or under way.
    #[must_use]
    pub fn left(&self) -> usize {
        self.shared.left.load(Ordering::SeqCst)
    }

    /// Connections that brought bytes which were no whole request.
    #[must_use]
    pub fn broken(&self) -> usize {
        self.shared.broken.load(Ordering::SeqCst)
    }

    /// Waits until `count` connections have been [left](Self::left).
    ///
    /// # Panics
    /// When they are not in time.
    pub fn wait_for_left(&self, count: usize) {
        let until = Instant::now() + PATIENCE;
        while self.left() < count {
            assert!(Instant::now() < until, "{} of {count} left", self.left());
            thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Default for Upstream {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::SeqCst);
        // Wakes the thread that accepts.
        #[expect(clippy::disallowed_methods, reason = "a test's own server")]
        let _ = TcpStream::connect(self.address);
    }
}

/// What is answered to a request: steps, one after the other. After the last the connection
/// waits for the next request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reply(pub Vec<Step>);

/// A step of a [`Reply`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Writes these bytes.
    Bytes(Vec<u8>),
    /// Closes the connection in order.
    Close,
    /// Nothing more, until the other end closes.
    Never,
    /// Waits.
    Pause(Duration),
    /// Resets the connection (TCP RST).
    Reset,
}

impl Reply {
    /// Exactly these bytes.
    #[must_use]
    pub fn raw(bytes: impl Into<Vec<u8>>) -> Self {
        Self(vec![Step::Bytes(bytes.into())])
    }

    /// A head with these fields, `Content-Length` and `body`.
    #[must_use]
    pub fn new(status: u16, fields: &[(&str, &str)], body: impl AsRef<[u8]>) -> Self {
        let body = body.as_ref();
        let mut bytes = head(status, fields);
        // RFC 9110 section 8.6: a 204 has no such field.
        if status != 204 && status >= 200 {
            bytes.extend(format!("Content-Length: {}\r\n", body.len()).bytes());
        }
        bytes.extend(b"\r\n");
        bytes.extend(body);
        Self::raw(bytes)
    }

    /// A status without content: 202, 404, 405.
    #[must_use]
    pub fn status(status: u16) -> Self {
        Self::new(status, &[], "")
    }

    /// 200 with JSON.
    #[must_use]
    pub fn json(json: &Json) -> Self {
        Self::json_with(&[], json)
    }

    /// 200 with JSON and more fields.
    #[must_use]
    pub fn json_with(fields: &[(&str, &str)], json: &Json) -> Self {
        let mut all = vec![("Content-Type", "application/json")];
        all.extend(fields);
        Self::new(200, &all, json.to_string())
    }

    /// A JSON-RPC result with the request's id.
    #[must_use]
    pub fn result(request: &Arrived, result: &Json) -> Self {
        let id = &request.json()["id"];
        Self::json(&serde_json::json!({ "jsonrpc": "2.0", "id": id, "result": result }))
    }

    /// A chunked event stream: each event after its pause, in a chunk of its own.
    #[must_use]
    pub fn events(events: &[(Duration, &str)]) -> Self {
        let mut bytes = head(200, &[("Content-Type", "text/event-stream")]);
        bytes.extend(b"Transfer-Encoding: chunked\r\n\r\n");
        let mut steps = vec![Step::Bytes(bytes)];
        for (pause, event) in events {
            steps.push(Step::Pause(*pause));
            steps.push(Step::Bytes(
                format!("{:x}\r\n{event}\r\n", event.len()).into_bytes(),
            ));
        }
        steps.push(Step::Bytes(b"0\r\n\r\n".to_vec()));
        Self(steps)
    }

    /// An event stream that stays open behind these events.
    #[must_use]
    pub fn open_events(events: &[(Duration, &str)]) -> Self {
        let mut reply = Self::events(events);
        reply.0.pop();
        reply.then(Step::Never)
    }

    /// 200 with a body of `length` bytes.
    #[must_use]
    pub fn big(length: usize) -> Self {
        Self::new(
            200,
            &[("Content-Type", "application/json")],
            vec![b' '; length],
        )
    }

    /// 200 whose body comes in pieces of one byte, with `pause` before each.
    #[must_use]
    pub fn slow(body: &str, pause: Duration) -> Self {
        let mut bytes = head(200, &[("Content-Type", "application/json")]);
        bytes.extend(format!("Content-Length: {}\r\n\r\n", body.len()).bytes());
        let mut steps = vec![Step::Bytes(bytes)];
        for byte in body.bytes() {
            steps.push(Step::Pause(pause));
            steps.push(Step::Bytes(vec![byte]));
        }
        Self(steps)
    }

    /// Bytes that are no HTTP.
    #[must_use]
    pub fn garbage() -> Self {
        Self::raw("\u{1}\u{2}not HTTP at all\r\n\r\n").then(Step::Close)
    }

    /// Never an answer.
    #[must_use]
    pub fn never() -> Self {
        Self(vec![Step::Never])
    }

    /// A reset in place of an answer.
    #[must_use]
    pub fn reset() -> Self {
        Self(vec![Step::Reset])
    }

    /// The end of the connection in place of an answer.
    #[must_use]
    pub fn close() -> Self {
        Self(vec![Step::Close])
    }

    /// One more step.
    #[must_use]
    pub fn then(mut self, step: Step) -> Self {
        self.0.push(step);
        self
    }

    /// Waits before everything else.
    #[must_use]
    pub fn after(mut self, pause: Duration) -> Self {
        self.0.insert(0, Step::Pause(pause));
        self
    }
}

fn head(status: u16, fields: &[(&str, &str)]) -> Vec<u8> {
    let mut head = format!("HTTP/1.1 {status} Said So\r\n");
    for (name, value) in fields {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.into_bytes()
}

impl Shared {
    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Arrived>> {
        self.arrived.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn accept(self: Arc<Self>, listener: &TcpListener) {
        for stream in listener.incoming() {
            if self.over.load(Ordering::SeqCst) {
                return;
            }
            let Ok(stream) = stream else { continue };
            let number = self.connections.fetch_add(1, Ordering::SeqCst);
            let shared = Arc::clone(&self);
            thread::spawn(move || shared.serve(stream, number));
        }
    }

    fn serve(&self, mut stream: TcpStream, connection: usize) {
        // Short, so that the thread sees when all is over.
        let _ = stream.set_read_timeout(Some(Duration::from_millis(100)));
        let _ = stream.set_nodelay(true);
        let mut buffer = Vec::new();
        loop {
            let request = match self.request(&mut stream, &mut buffer, connection) {
                Ok(Some(request)) => request,
                Ok(None) => return,
                Err(()) => {
                    self.broken.fetch_add(1, Ordering::SeqCst);
                    return;
                }
            };
            let reply = (self.answer)(&request);
            self.lock().push(request);
            self.change.notify_all();
            if !self.play(&mut stream, &reply) {
                return;
            }
        }
    }

    /// Whether the connection goes on.
    fn play(&self, stream: &mut TcpStream, reply: &Reply) -> bool {
        for step in &reply.0 {
            match step {
                Step::Bytes(bytes) => {
                    if stream.write_all(bytes).is_err() {
                        self.left.fetch_add(1, Ordering::SeqCst);
                        return false;
                    }
                }
                Step::Close => return false,
                Step::Never => {
                    if self.gone(stream, PATIENCE * 10) {
                        self.left.fetch_add(1, Ordering::SeqCst);
                    }
                    return false;
                }
                Step::Pause(pause) => {
                    if self.gone(stream, *pause) {
                        self.left.fetch_add(1, Ordering::SeqCst);
                        return false;
                    }
                }
                Step::Reset => {
                    let _ = SockRef::from(&*stream).set_linger(Some(Duration::ZERO));
                    return false;
                }
            }
        }
        true
    }

    /// Waits; whether the other end closed in the meantime.
    fn gone(&self, stream: &TcpStream, pause: Duration) -> bool {
        let until = Instant::now() + pause;
        while let Some(left) = until.checked_duration_since(Instant::now()) {
            if self.over.load(Ordering::SeqCst) {
                return false;
            }
            let step = left.clamp(Duration::from_millis(1), Duration::from_millis(100));
            let _ = stream.set_read_timeout(Some(step));
            match stream.peek(&mut [0]) {
                Ok(0) => return true,
                // The next request; it is read in its turn.
                Ok(_) => thread::sleep(step),
                Err(error) if waits(&error) => {}
                Err(_) => return true,
            }
        }
        false
    }

    /// The next request; `None` where the connection ends before its first byte.
    fn request(
        &self,
        stream: &mut TcpStream,
        buffer: &mut Vec<u8>,
        connection: usize,
    ) -> Result<Option<Arrived>, ()> {
        let end = loop {
            if let Some(at) = find(buffer, b"\r\n\r\n") {
                break at + 4;
            }
            if !self.read(stream, buffer) {
                return if buffer.is_empty() { Ok(None) } else { Err(()) };
            }
        };
        let head: Vec<u8> = buffer.drain(..end).collect();
        let text = String::from_utf8_lossy(&head).into_owned();
        let mut lines = text.trim_end_matches("\r\n").split("\r\n");
        let line = lines.next().unwrap_or_default().to_owned();
        let mut headers = Vec::new();
        for line in lines {
            let (name, value) = line.split_once(':').ok_or(())?;
            headers.push((name.to_owned(), value.trim().to_owned()));
        }
        let mut request = Arrived {
            connection,
            line,
            headers,
            head,
            body: Vec::new(),
        };
        if request.all("transfer-encoding") == ["chunked"] {
            self.chunks(stream, buffer, &mut request.body)?;
        } else if let Some(length) = request.header("content-length") {
            let length = length.parse().map_err(drop)?;
            request.body = self.exactly(stream, buffer, length)?;
        }
        Ok(Some(request))
    }

    fn chunks(
        &self,
        stream: &mut TcpStream,
        buffer: &mut Vec<u8>,
        body: &mut Vec<u8>,
    ) -> Result<(), ()> {
        loop {
            let line = loop {
                if let Some(at) = find(buffer, b"\r\n") {
                    break at;
                }
                if !self.read(stream, buffer) {
                    return Err(());
                }
            };
            let size: Vec<u8> = buffer.drain(..line + 2).collect();
            let size = String::from_utf8_lossy(&size[..line]).into_owned();
            let size = usize::from_str_radix(&size, 16).map_err(drop)?;
            // With the line end behind it.
            let chunk = self.exactly(stream, buffer, size + 2)?;
            body.extend(&chunk[..size]);
            if size == 0 {
                return Ok(());
            }
        }
    }

    fn exactly(
        &self,
        stream: &mut TcpStream,
        buffer: &mut Vec<u8>,
        length: usize,
    ) -> Result<Vec<u8>, ()> {
        while buffer.len() < length {
            if !self.read(stream, buffer) {
                return Err(());
            }
        }
        Ok(buffer.drain(..length).collect())
    }

    /// Whether more has come.
    fn read(&self, stream: &mut TcpStream, buffer: &mut Vec<u8>) -> bool {
        let _ = stream.set_read_timeout(Some(Duration::from_millis(100)));
        let mut piece = [0; 16 * 1024];
        loop {
            match stream.read(&mut piece) {
                Ok(0) => return false,
                Ok(length) => {
                    buffer.extend(&piece[..length]);
                    return true;
                }
                Err(error) if waits(&error) => {
                    if self.over.load(Ordering::SeqCst) {
                        return false;
                    }
                }
                Err(_) => return false,
            }
        }
    }
}

fn waits(error: &std::io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted
    )
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes
        .windows(wanted.len())
        .position(|window| window == wanted)
}
