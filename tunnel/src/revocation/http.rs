//! Just enough of HTTP/1.1 to get a file (RFC 9110, RFC 9112): one request a connection, everything bounded.

use super::FetchError;
use super::uri::Uri;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// All of one file may take this long, whatever happens on the way.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);
/// No file is longer.
pub const LONGEST: usize = 4 << 20;

/// One address of a server may take this long to be there.
const CONNECTING: Duration = Duration::from_secs(3);
const MOST_ADDRESSES: usize = 4;
const MOST_REDIRECTS: usize = 3;
const LONGEST_HEAD: usize = 16 << 10;
const LONGEST_LINE: usize = 4 << 10;

/// What a server answers.
#[derive(Debug, PartialEq, Eq)]
pub enum Answer {
    /// The file.
    File(Vec<u8>),
    /// That it is elsewhere.
    Elsewhere(String),
}

/// Gets a file.
pub(super) async fn get(uri: &str) -> Result<Vec<u8>, FetchError> {
    timeout(PATIENCE, follow(uri)).await.unwrap_or(Err(FetchError::Slow))
}

async fn follow(uri: &str) -> Result<Vec<u8>, FetchError> {
    let mut uri = Uri::parse(uri)?;
    for _ in 0..=MOST_REDIRECTS {
        let mut stream = connect(&uri).await?;
        stream.write_all(request(&uri).as_bytes()).await.map_err(FetchError::io)?;
        match answer(stream).await? {
            Answer::File(bytes) => return Ok(bytes),
            Answer::Elsewhere(location) => uri = uri.follow(&location)?,
        }
    }
    Err(FetchError::Redirects)
}

async fn connect(uri: &Uri) -> Result<TcpStream, FetchError> {
    let found = tokio::net::lookup_host((uri.host.as_str(), uri.port)).await.map_err(FetchError::io)?;
    let addresses: Vec<SocketAddr> = found.take(MOST_ADDRESSES).collect();
    let mut failure = FetchError::Slow;
    for address in addresses {
        match timeout(CONNECTING, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => failure = FetchError::io(error),
            Err(_) => {}
        }
    }
    Err(failure)
}

fn request(uri: &Uri) -> String {
    format!(
        "GET {} HTTP/1.1\r\nHost: {}\r\nUser-Agent: tidegate\r\nAccept: */*\r\nConnection: close\r\n\r\n",
        uri.path, uri.authority
    )
}

/// Reads what a server answers to a request for a file.
pub async fn answer(stream: impl AsyncRead + Unpin) -> Result<Answer, FetchError> {
    let mut reader = Reader { stream, buffer: Vec::new(), head_left: LONGEST_HEAD };
    let head = Head::read(&mut reader).await?;
    match (head.status, head.location) {
        (200, _) => {}
        (301 | 302 | 303 | 307 | 308, Some(location)) => return Ok(Answer::Elsewhere(location)),
        (status, _) => return Err(FetchError::Status(status)),
    }
    let bytes = match head.body {
        Body::Chunks => reader.chunks().await?,
        Body::Length(length) if length > LONGEST => return Err(FetchError::TooLong),
        Body::Length(length) => reader.exactly(length).await?,
        Body::UntilTheEnd => reader.rest().await?,
    };
    Ok(Answer::File(bytes))
}

/// What the head of an answer says.
struct Head {
    status: u16,
    location: Option<String>,
    body: Body,
}

/// How the end of a body is told (RFC 9112 §6.3).
#[derive(Clone, Copy, PartialEq, Eq)]
enum Body {
    Chunks,
    Length(usize),
    UntilTheEnd,
}

impl Head {
    async fn read(reader: &mut Reader<impl AsyncRead + Unpin>) -> Result<Self, FetchError> {
        let line = reader.line().await?;
        let status = line.strip_prefix("HTTP/1.").and_then(|rest| rest.split(' ').nth(1));
        let status = status.and_then(|status| status.parse().ok()).ok_or(FetchError::NoHttp)?;
        let mut head = Self { status, location: None, body: Body::UntilTheEnd };
        loop {
            let line = reader.line().await?;
            if line.is_empty() {
                return Ok(head);
            }
            let (name, value) = line.split_once(':').ok_or(FetchError::NoHttp)?;
            head.take(&name.to_ascii_lowercase(), value.trim())?;
        }
    }

    fn take(&mut self, name: &str, value: &str) -> Result<(), FetchError> {
        match name {
            "location" => self.location = Some(value.to_owned()),
            "transfer-encoding" if value.eq_ignore_ascii_case("chunked") => self.body = Body::Chunks,
            "transfer-encoding" | "content-encoding" if !value.eq_ignore_ascii_case("identity") => {
                return Err(FetchError::Encoding(value.escape_debug().to_string()));
            }
            // Chunks say more than a length.
            "content-length" if self.body != Body::Chunks => {
                let length = value.parse().map_err(|_| FetchError::NoHttp)?;
                match self.body {
                    Body::Length(other) if other != length => return Err(FetchError::NoHttp),
                    _ => self.body = Body::Length(length),
                }
            }
            _ => {}
        }
        Ok(())
    }
}

/// Reads lines and pieces.
struct Reader<S> {
    stream: S,
    /// What was read and not looked at yet.
    buffer: Vec<u8>,
    /// How much may still come that is no content.
    head_left: usize,
}

impl<S: AsyncRead + Unpin> Reader<S> {
    /// A line without its end.
    async fn line(&mut self) -> Result<String, FetchError> {
        loop {
            if let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.buffer.drain(..=end).collect();
                self.head_left = self.head_left.checked_sub(line.len()).ok_or(FetchError::NoHttp)?;
                let line = line.strip_suffix(b"\n").unwrap_or(&line);
                let line = line.strip_suffix(b"\r").unwrap_or(line);
                return String::from_utf8(line.to_vec()).map_err(|_| FetchError::NoHttp);
            }
            if self.buffer.len() > LONGEST_LINE {
                return Err(FetchError::NoHttp);
            }
            if self.more().await? == 0 {
                return Err(FetchError::Cut);
            }
        }
    }

    async fn exactly(&mut self, length: usize) -> Result<Vec<u8>, FetchError> {
        while self.buffer.len() < length {
            if self.more().await? == 0 {
                return Err(FetchError::Cut);
            }
        }
        Ok(self.buffer.drain(..length).collect())
    }

    async fn rest(&mut self) -> Result<Vec<u8>, FetchError> {
        while self.more().await? > 0 {
            if self.buffer.len() > LONGEST {
                return Err(FetchError::TooLong);
            }
        }
        Ok(std::mem::take(&mut self.buffer))
    }

    /// RFC 9112 §7.1
    async fn chunks(&mut self) -> Result<Vec<u8>, FetchError> {
        // Each chunk has a line of its own.
        self.head_left = LONGEST;
        let mut bytes = Vec::new();
        loop {
            let line = self.line().await?;
            let size = line.split(';').next().unwrap_or_default().trim();
            let size = usize::from_str_radix(size, 16).map_err(|_| FetchError::NoHttp)?;
            if size > LONGEST.saturating_sub(bytes.len()) {
                return Err(FetchError::TooLong);
            }
            if size == 0 {
                return Ok(bytes);
            }
            bytes.extend(self.exactly(size).await?);
            if !self.line().await?.is_empty() {
                return Err(FetchError::NoHttp);
            }
        }
    }

    async fn more(&mut self) -> Result<usize, FetchError> {
        self.buffer.reserve(8 << 10);
        self.stream.read_buf(&mut self.buffer).await.map_err(FetchError::io)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    async fn read(text: &str) -> Result<Answer, FetchError> {
        answer(text.as_bytes()).await
    }

    fn file(text: &str) -> Result<Answer, FetchError> {
        Ok(Answer::File(text.as_bytes().to_vec()))
    }

    #[tokio::test]
    async fn files_come_by_length_in_chunks_or_until_the_end() {
        let long = read("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nlist and more").await;
        assert_eq!(long, file("list"));
        let chunks = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n\
                      2;x=y\r\nli\r\n2\r\nst\r\n0\r\n\r\n";
        assert_eq!(read(chunks).await, file("list"));
        assert_eq!(read("HTTP/1.0 200\r\n\r\nlist").await, file("list"));
        assert_eq!(read("HTTP/1.1 200 OK\n\nlist").await, file("list"));
    }

    #[tokio::test]
    async fn an_answer_may_lead_elsewhere() {
        let moved = read("HTTP/1.1 301 Moved\r\nLocation: http://b/\r\n\r\n").await;
        assert_eq!(moved, Ok(Answer::Elsewhere("http://b/".into())));
        assert_eq!(read("HTTP/1.1 302 Found\r\n\r\n").await, Err(FetchError::Status(302)));
        assert_eq!(read("HTTP/1.1 404 Not Found\r\n\r\n").await, Err(FetchError::Status(404)));
    }

    #[tokio::test]
    async fn what_is_cut_or_no_http_is_told() {
        for (text, error) in [
            ("", FetchError::Cut),
            ("HTTP/1.1 200 OK\r\n", FetchError::Cut),
            ("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nlist", FetchError::Cut),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nlist", FetchError::Cut),
            ("SSH-2.0-server\r\n", FetchError::NoHttp),
            ("HTTP/1.1 OK\r\n\r\n", FetchError::NoHttp),
            ("HTTP/1.1 200 OK\r\nno colon\r\n\r\n", FetchError::NoHttp),
            ("HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", FetchError::NoHttp),
            ("HTTP/1.1 200 OK\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\nlists", FetchError::NoHttp),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", FetchError::NoHttp),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nlist\r\n", FetchError::NoHttp),
            ("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n", FetchError::Encoding("gzip".into())),
        ] {
            assert_eq!(read(text).await, Err(error), "{text}");
        }
    }

    #[tokio::test]
    async fn nothing_grows_without_end() {
        let length = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", LONGEST + 1);
        assert_eq!(read(&length).await, Err(FetchError::TooLong));
        let body = "x".repeat(LONGEST + 1);
        assert_eq!(read(&format!("HTTP/1.1 200 OK\r\n\r\n{body}")).await, Err(FetchError::TooLong));
        let chunks = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n";
        assert_eq!(read(chunks).await, Err(FetchError::TooLong));
        let tiny = "1\r\nx\r\n".repeat(LONGEST);
        let tiny = format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{tiny}");
        assert_eq!(read(&tiny).await, Err(FetchError::NoHttp), "more lines than content");
        let line = format!("HTTP/1.1 200 OK\r\nX: {}", "y".repeat(1 << 20));
        assert_eq!(read(&line).await, Err(FetchError::NoHttp));
        let head = format!("HTTP/1.1 200 OK\r\n{}", "X: y\r\n".repeat(1 << 16));
        assert_eq!(read(&head).await, Err(FetchError::NoHttp));
    }
}
