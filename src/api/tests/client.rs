//! A client that speaks HTTP by hand.

use std::{
    io::{
        ErrorKind::{BrokenPipe, ConnectionReset},
        Read as _, Write as _,
    },
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use tokio::task::spawn_blocking;

use super::support::{PATIENCE, Server};

pub(super) struct Answer {
    pub(super) status: u16,
    /// The head's lines, in lower case names as hyper writes them.
    pub(super) head: String,
    pub(super) body: String,
}

impl Answer {
    pub(super) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).expect("JSON")
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(known, _)| *known == name).map(|(_, value)| value)
    }
}

impl Server {
    pub(super) async fn get(&self, target: &str) -> Answer {
        self.ask("GET", target, "").await
    }

    /// One request on a connection of its own; `headers` are whole lines.
    pub(super) async fn ask(&self, method: &str, target: &str, headers: &str) -> Answer {
        let request = format!("{method} {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{headers}\r\n");
        self.send(request.as_bytes()).await
    }

    /// Sends bytes and reads to the end.
    pub(super) async fn send(&self, request: &[u8]) -> Answer {
        let (address, request) = (self.address, request.to_owned());
        let exchange = spawn_blocking(move || {
            let mut stream = connect(address);
            stream.write_all(&request).expect("it reads");
            let mut answer = Vec::new();
            stream.read_to_end(&mut answer).expect("an answer in time");
            answer
        });
        let answer = exchange.await.expect("it does not panic");
        let answer = String::from_utf8(answer).expect("text");
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
        let status = head
            .split(' ')
            .nth(1)
            .and_then(|status| status.parse().ok())
            .unwrap_or(0);
        let body = if head.contains("transfer-encoding: chunked") {
            unchunk(body)
        } else {
            body.to_owned()
        };
        Answer {
            status,
            head: head.replace("\r\n", "\n"),
            body,
        }
    }
}

impl Server {
    /// Asks again and again and reads nothing, until the server takes no more because it has closed the connection.
    pub(super) async fn ask_until_cut_off(&self, target: &str) {
        let (address, request) = (
            self.address,
            format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n"),
        );
        let asking = spawn_blocking(move || {
            let mut stream = connect(address);
            stream.set_write_timeout(Some(PATIENCE)).expect("a socket");
            loop {
                if let Err(fault) = stream.write_all(request.as_bytes()) {
                    return fault.kind();
                }
            }
        });
        let fault = asking.await.expect("it does not panic");
        assert!([ConnectionReset, BrokenPipe].contains(&fault), "{fault}");
    }
}

impl Server {
    /// Asks `n` times at once and reads 400 kB/s for four seconds, then all the rest.
    pub(super) async fn read_slowly(&self, target: &str, n: usize) -> String {
        let address = self.address;
        let asked = format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n").repeat(n - 1);
        let last = format!("GET {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        let reading = spawn_blocking(move || {
            let mut stream = connect(address);
            stream.write_all((asked + &last).as_bytes()).expect("it reads");
            let mut answers = Vec::new();
            for _ in 0..100 {
                std::thread::sleep(Duration::from_millis(40));
                let mut some = (&stream).take(16 * 1_024);
                some.read_to_end(&mut answers).expect("it is not cut off");
            }
            stream.read_to_end(&mut answers).expect("it is not cut off");
            answers
        });
        String::from_utf8(reading.await.expect("it does not panic")).expect("text")
    }
}

fn unchunk(mut rest: &str) -> String {
    let mut body = String::new();
    while let Some((size, after)) = rest.split_once("\r\n") {
        let size = usize::from_str_radix(size, 16).expect("a size");
        body.push_str(&after[..size]);
        rest = after[size..].trim_start_matches("\r\n");
    }
    body
}

/// A client of a stream: reads until what it has holds `wanted`.
pub(super) struct Follower {
    stream: TcpStream,
    pub(super) text: String,
}

impl Follower {
    pub(super) async fn connect(server: &Server) -> Self {
        let address = server.address;
        let connected = spawn_blocking(move || {
            let mut stream = connect(address);
            let request = b"GET /v1/decisions HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n";
            stream.write_all(request).expect("it reads");
            stream
        });
        Self {
            stream: connected.await.expect("it does not panic"),
            text: String::new(),
        }
    }

    pub(super) async fn read_until(&mut self, wanted: &str) {
        while !self.text.contains(wanted) {
            let mut stream = self.stream.try_clone().expect("a socket");
            let read = spawn_blocking(move || {
                let mut bytes = [0; 4_096];
                let n = stream.read(&mut bytes).expect("something in time");
                bytes[..n].to_vec()
            });
            let bytes = read.await.expect("it does not panic");
            assert!(!bytes.is_empty(), "it ended before `{wanted}`: {}", self.text);
            self.text.push_str(std::str::from_utf8(&bytes).expect("text"));
        }
    }

    /// Reads to the end.
    pub(super) async fn read_out(&mut self) {
        let mut stream = self.stream.try_clone().expect("a socket");
        let rest = spawn_blocking(move || std::io::read_to_string(&mut stream).expect("an end in time"));
        self.text.push_str(&rest.await.expect("it does not panic"));
    }
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).expect("it listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a socket");
    stream
}
