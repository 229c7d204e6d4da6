//! The least of an HTTP client: one connection that is kept, and nothing between it
//! and the clock.

use anyhow::{Context, Result, ensure};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

/// How long they are used.
const ASKING: Duration = Duration::from_secs(10);
const MAX_HEAD: usize = 16 << 10;

pub struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

/// What came back.
pub struct Answer<'a> {
    pub head: &'a str,
    pub body: &'a [u8],
}

impl Answer<'_> {
    pub fn status(&self) -> &str {
        self.head.split(' ').nth(1).unwrap_or_default()
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        let fields = self.head.lines().filter_map(|line| line.split_once(": "));
        let mut of_name = fields.filter(|(field, _)| field.eq_ignore_ascii_case(name));
        of_name.next().map(|(_, value)| value.trim())
    }
}

impl Connection {
    pub fn open(port: u16) -> Result<Self> {
        let stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            buffer: Vec::new(),
        })
    }

    /// Sends a request and reads its answer, whose length must be said.
    pub fn ask(&mut self, request: &[u8]) -> Result<Answer<'_>> {
        self.stream.write_all(request)?;
        self.buffer.clear();
        let head = loop {
            if let Some(at) = self.buffer.windows(4).position(|four| four == b"\r\n\r\n") {
                break at + 4;
            }
            ensure!(self.buffer.len() < MAX_HEAD, "the answer's head has no end");
            self.read()?;
        };
        let text = std::str::from_utf8(&self.buffer[..head])?;
        let answer = Answer {
            head: text,
            body: &[],
        };
        let bytes = match (answer.status(), answer.header("content-length")) {
            ("304" | "204", _) => 0,
            (_, length) => length.context("the answer has no length")?.parse()?,
        };
        while self.buffer.len() < head + bytes {
            self.read()?;
        }
        Ok(Answer {
            head: std::str::from_utf8(&self.buffer[..head])?,
            body: &self.buffer[head..],
        })
    }

    fn read(&mut self) -> Result<()> {
        let mut piece = [0; 16 << 10];
        let read = self.stream.read(&mut piece)?;
        ensure!(read > 0, "the server has closed the connection");
        self.buffer.extend(&piece[..read]);
        Ok(())
    }
}

pub fn get(path: &str, token: &str, more: &str) -> Vec<u8> {
    let token = match token {
        "" => String::new(),
        token => format!("Authorization: Bearer {token}\r\n"),
    };
    format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{token}{more}\r\n").into_bytes()
}

/// How often a second requests are answered with 304. Each connection has its own,
/// one after the other, again and again.
pub fn unchanged_per_second(port: u16, requests: &[Vec<Vec<u8>>]) -> Result<f64> {
    let end = Instant::now() + ASKING;
    answered(port, requests, |_, _| Instant::now() < end)
}

/// The same, each of them once.
pub fn unchanged_once(port: u16, requests: &[Vec<Vec<u8>>]) -> Result<f64> {
    answered(port, requests, |asked, own| asked < own)
}

/// Asks as long as `goes_on` says so of how many were asked, and how many there are.
fn answered(
    port: u16,
    requests: &[Vec<Vec<u8>>],
    goes_on: impl Fn(usize, usize) -> bool + Sync,
) -> Result<f64> {
    let ask = |requests: &Vec<Vec<u8>>| -> Result<usize> {
        let mut connection = Connection::open(port)?;
        let mut asked = 0;
        while goes_on(asked, requests.len()) {
            let answer = connection.ask(&requests[asked % requests.len()])?;
            ensure!(answer.status() == "304", "{}", answer.head);
            asked += 1;
        }
        Ok(asked)
    };
    let start = Instant::now();
    let counts = thread::scope(|scope| {
        let threads: Vec<_> = requests
            .iter()
            .map(|own| scope.spawn(|| ask(own)))
            .collect();
        let joined = threads.into_iter().map(|thread| thread.join());
        joined
            .map(|count| count.unwrap_or_else(|_| anyhow::bail!("a connection panicked")))
            .collect::<Result<Vec<usize>>>()
    })?;
    Ok(counts.iter().sum::<usize>() as f64 / start.elapsed().as_secs_f64())
}
