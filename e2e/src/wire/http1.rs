//! HTTP/1.1 by literal bytes.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::{Answer, Ask, Stream, bounded, case};

/// A connection on which literal bytes are sent and answers read.
#[derive(Debug)]
pub struct Http1 {
    stream: Stream,
    buffer: Vec<u8>,
    over: bool,
}

impl Http1 {
    /// Takes over a connection.
    #[must_use]
    pub fn new(stream: Stream) -> Self {
        Self {
            stream,
            buffer: Vec::new(),
            over: false,
        }
    }

    /// Sends exactly these bytes. That the server has closed by then is no error here: its
    /// answer may still be read.
    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        let sent = async {
            self.stream.write_all(bytes.as_ref()).await?;
            self.stream.flush().await
        };
        let _ = bounded("the end of a write", sent).await;
    }

    /// Sends exactly these bytes and reads one answer to a request that is not HEAD.
    ///
    /// # Panics
    /// Where no answer comes.
    pub async fn exchange(&mut self, bytes: impl AsRef<[u8]>) -> Answer {
        self.send(bytes).await;
        self.answer().await
    }

    /// Sends a request and reads the whole answer.
    ///
    /// # Panics
    /// Where no answer comes.
    pub async fn ask(&mut self, ask: &Ask) -> Answer {
        let case = self.start(ask).await;
        let mut answer = self.answer_to(ask.method == "HEAD").await;
        answer.case = case;
        answer
    }

    /// Sends a request and reads nothing: the value of its `X-Case`.
    pub async fn start(&mut self, ask: &Ask) -> String {
        let case = case();
        self.send(render(ask, &case)).await;
        case
    }

    /// Sends a request and reads the head of the answer; [`Http1::chunk`] reads on.
    ///
    /// # Panics
    /// Where no answer comes.
    pub async fn open(&mut self, ask: &Ask) -> Answer {
        let case = self.start(ask).await;
        let mut answer = self.head().await;
        answer.case = case;
        answer
    }

    /// Reads the whole answer to a request that is not HEAD.
    ///
    /// # Panics
    /// Where no answer comes.
    pub async fn answer(&mut self) -> Answer {
        self.answer_to(false).await
    }

    /// Reads the head of an answer; interim ones (100 to 199) are read over.
    ///
    /// # Panics
    /// Where none comes, or what comes is none.
    pub async fn head(&mut self) -> Answer {
        loop {
            let head = self.any_head().await;
            if head.status >= 200 {
                return head;
            }
        }
    }

    /// Reads the next chunk of a chunked answer; `None` at its end or the connection's.
    ///
    /// # Panics
    /// Where what comes is no chunk.
    pub async fn chunk(&mut self) -> Option<Vec<u8>> {
        let line = self.until(b"\r\n").await?;
        let size = String::from_utf8_lossy(&line[..line.len() - 2]).into_owned();
        let size =
            usize::from_str_radix(&size, 16).unwrap_or_else(|_| panic!("chunk size {size:?}"));
        if size == 0 {
            self.until(b"\r\n").await?;
            return None;
        }
        let mut chunk = self.exactly(size + 2).await?;
        chunk.truncate(size);
        Some(chunk)
    }

    /// Reads until the server closes, and gives back what came.
    pub async fn rest(&mut self) -> Vec<u8> {
        while self.read().await {}
        std::mem::take(&mut self.buffer)
    }

    /// Whether the server closes without another byte.
    pub async fn is_closed(&mut self) -> bool {
        self.buffer.is_empty() && !self.read().await
    }

    /// The connection.
    pub fn stream(&mut self) -> &mut Stream {
        &mut self.stream
    }

    async fn any_head(&mut self) -> Answer {
        let Some(head) = self.until(b"\r\n\r\n").await else {
            let came = String::from_utf8_lossy(&self.buffer).into_owned();
            panic!("the connection ended before an answer: {came:?}");
        };
        let head = String::from_utf8_lossy(&head).into_owned();
        let mut lines = head.trim_end_matches("\r\n").split("\r\n");
        let line = lines.next().unwrap_or_default().to_owned();
        let status = line.strip_prefix("HTTP/1.").and_then(|rest| rest.get(2..5));
        let status = status.and_then(|status| status.parse().ok());
        let field = |line: &str| match line.split_once(':') {
            Some((name, value)) => (name.to_owned(), value.trim().to_owned()),
            None => panic!("not a field: {line:?}"),
        };
        Answer {
            status: status.unwrap_or_else(|| panic!("not a status line: {line:?}")),
            headers: lines.map(field).collect(),
            line,
            ..Answer::default()
        }
    }

    async fn answer_to(&mut self, head_only: bool) -> Answer {
        let mut answer = self.head().await;
        if head_only || matches!(answer.status, 204 | 304) {
            return answer;
        }
        if answer.lists("transfer-encoding", "chunked") {
            while let Some(chunk) = self.chunk().await {
                answer.body.extend(chunk);
            }
            answer.cut = self.over;
        } else if let Some(length) = answer.header("content-length") {
            let length = length.parse().unwrap();
            match self.exactly(length).await {
                Some(body) => answer.body = body,
                None => {
                    answer.body = std::mem::take(&mut self.buffer);
                    answer.cut = true;
                }
            }
        } else {
            answer.body = self.rest().await;
        }
        answer
    }

    /// Everything up to and with `end`; `None` where the connection ends before.
    async fn until(&mut self, end: &[u8]) -> Option<Vec<u8>> {
        loop {
            let mut windows = self.buffer.windows(end.len());
            if let Some(at) = windows.position(|window| window == end) {
                return Some(self.buffer.drain(..at + end.len()).collect());
            }
            if !self.read().await {
                return None;
            }
        }
    }

    async fn exactly(&mut self, length: usize) -> Option<Vec<u8>> {
        while self.buffer.len() < length {
            if !self.read().await {
                return None;
            }
        }
        Some(self.buffer.drain(..length).collect())
    }

    /// Whether more has come. A reset and an end without TLS's goodbye are ends too.
    async fn read(&mut self) -> bool {
        if self.over {
            return false;
        }
        self.buffer.reserve(16 * 1024);
        let read = bounded("an answer", self.stream.read_buf(&mut self.buffer)).await;
        let length = read.unwrap_or(0);
        self.over = length == 0;
        !self.over
    }
}

/// The bytes of a request.
#[must_use]
fn render(ask: &Ask, case: &str) -> Vec<u8> {
    let mut bytes = format!("{} {} HTTP/1.1\r\n", ask.method, ask.target).into_bytes();
    let mut field = |name: &str, value: &[u8]| {
        bytes.extend(name.bytes());
        bytes.extend(b": ");
        bytes.extend(value);
        bytes.extend(b"\r\n");
    };
    if let Some(host) = &ask.host {
        field("Host", host.as_bytes());
    }
    for (name, value) in &ask.fields {
        field(name, value);
    }
    field("X-Case", case.as_bytes());
    let says = |name: &str| {
        ask.fields
            .iter()
            .any(|(key, _)| key.eq_ignore_ascii_case(name))
    };
    if !ask.body.is_empty() && !says("content-length") && !says("transfer-encoding") {
        let missing = if ask.unfinished { 1000 } else { 0 };
        let length = ask.body.len() + missing;
        field("Content-Length", length.to_string().as_bytes());
    }
    bytes.extend(b"\r\n");
    bytes.extend(&ask.body);
    bytes
}
