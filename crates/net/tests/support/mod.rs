//! A proxy in this process, upstreams that say what a test wants byte for byte, and the log that comes of it.
#![allow(dead_code, reason = "each test file uses some of it")]

use claude_trace_core::config::Config as Recording;
use claude_trace_core::notice::Notices;
use claude_trace_core::pipeline::Pipeline;
use claude_trace_net::connect::Connector;
use claude_trace_net::{Access, Config, Proxy, Selection, Tape};
use serde_json::Value;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

pub mod tls;

/// Nothing here takes that long: what does is stuck.
pub const STUCK: Duration = Duration::from_secs(20);

pub struct Running {
    pub address: SocketAddr,
    pub tape: Tape,
    pub serving: JoinHandle<()>,
    pub folder: tempfile::TempDir,
}

/// What a test wants to be different.
pub struct Wish {
    pub listen: &'static str,
    pub access: Access,
    pub selection: Selection,
    pub roots: Vec<PathBuf>,
    pub connect_timeout: Duration,
}

impl Default for Wish {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:0",
            access: Access::Local,
            selection: Selection::All,
            roots: Vec::new(),
            connect_timeout: Duration::from_secs(10),
        }
    }
}

pub async fn proxy(upstream: &str) -> Running {
    proxy_with(upstream, Wish::default()).await
}

pub fn tape_in(folder: &tempfile::TempDir) -> Tape {
    let recording = Recording {
        spool_dir: Some(folder.path().join("spool")),
        runtime_dir: folder.path().join("runtime"),
        write_buffer_flush_ms: 1,
        ..Recording::new(folder.path().join("log"))
    };
    let pipeline = Pipeline::new(recording, Notices::silent()).unwrap();
    Tape::new(&pipeline, 2).unwrap()
}

pub async fn proxy_with(upstream: &str, wish: Wish) -> Running {
    let folder = tempfile::tempdir().unwrap();
    let tape = tape_in(&folder);
    let connector = Connector::new(&wish.roots, wish.connect_timeout).unwrap();
    let config = Config {
        listen: wish.listen.parse().unwrap(),
        upstream: upstream.parse().unwrap(),
        access: wish.access,
        selection: wish.selection,
        live: None,
    };
    let proxy = Proxy::bind(config, &connector, tape.clone()).await.unwrap();
    let address = proxy.address();
    Running {
        address,
        tape,
        serving: tokio::spawn(async move { proxy.serve(&[Handle::current()]).await }),
        folder,
    }
}

impl Running {
    pub async fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        stream
    }

    /// What is on record once `count` exchanges have ended.
    pub async fn records(&self, count: usize) -> Vec<Value> {
        let deadline = Instant::now() + STUCK;
        while Instant::now() < deadline {
            let drained = self.tape.drain(Instant::now() + Duration::from_secs(1));
            let records = self.log();
            if drained && records.len() >= count {
                return records;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        panic!("of {count} records there are {}: {:#?}", self.log().len(), self.log());
    }

    pub async fn record(&self) -> Value {
        let mut records = self.records(1).await;
        assert_eq!(records.len(), 1, "{records:#?}");
        records.remove(0)
    }

    pub fn log(&self) -> Vec<Value> {
        let log = self.tape.stats().log_file;
        let text = std::fs::read_to_string(log).unwrap_or_default();
        text.split_inclusive('\n')
            .filter(|line| line.ends_with('\n'))
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    /// All bytes of all files that were written: logs and spool.
    pub fn written(&self) -> Vec<u8> {
        let mut all = Vec::new();
        let mut folders = vec![self.folder.path().to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path)
                } else {
                    all.extend(std::fs::read(path).unwrap_or_default())
                }
            }
        }
        all
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// An upstream that a test plays by hand.
pub struct Upstream {
    listener: TcpListener,
}

impl Upstream {
    pub async fn listen() -> Self {
        Self { listener: TcpListener::bind("127.0.0.1:0").await.unwrap() }
    }

    pub fn host(&self) -> String {
        self.listener.local_addr().unwrap().to_string()
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.host())
    }

    pub async fn accept(&self) -> TcpStream {
        let (stream, _) = soon(self.listener.accept()).await.unwrap();
        stream.set_nodelay(true).unwrap();
        stream
    }

    /// Whether a connection is waiting.
    pub async fn has_visitor(&self) -> bool {
        tokio::time::timeout(Duration::from_millis(50), self.listener.accept()).await.is_ok()
    }
}

/// What `future` comes to, which must be soon.
pub async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(STUCK, future).await.expect("it is stuck")
}

/// Reads up to the empty line after a head, that one included.
pub async fn read_head(stream: &mut (impl AsyncRead + Unpin)) -> String {
    read_until(stream, b"\r\n\r\n").await
}

/// Reads byte by byte up to `end`.
pub async fn read_until(stream: &mut (impl AsyncRead + Unpin), end: &[u8]) -> String {
    let mut read = Vec::new();
    while !read.ends_with(end) {
        match soon(stream.read_u8()).await {
            Ok(byte) => read.push(byte),
            Err(error) => panic!("{error} after {:?}", String::from_utf8_lossy(&read)),
        }
    }
    String::from_utf8(read).unwrap()
}

/// Reads exactly what is expected, and says what came instead.
pub async fn expect(stream: &mut (impl AsyncRead + Unpin), expected: impl AsRef<[u8]>) {
    let expected = expected.as_ref();
    let mut read = Vec::new();
    while read.len() < expected.len() && expected.starts_with(&read) {
        match soon(stream.read_u8()).await {
            Ok(byte) => read.push(byte),
            Err(_) => break,
        }
    }
    assert_eq!(String::from_utf8_lossy(&read), String::from_utf8_lossy(expected));
}

pub async fn write(stream: &mut (impl AsyncWrite + Unpin), bytes: impl AsRef<[u8]>) {
    soon(stream.write_all(bytes.as_ref())).await.unwrap();
    soon(stream.flush()).await.unwrap();
}

/// Reads to the end of the connection; a reset ends it too.
pub async fn rest(stream: &mut (impl AsyncRead + Unpin)) -> Vec<u8> {
    let mut read = Vec::new();
    let _ = soon(stream.read_to_end(&mut read)).await;
    read
}

pub fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures").join(name)
}
