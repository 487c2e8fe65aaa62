//! The program as a whole: exit statuses, messages, signals.
#![allow(clippy::unwrap_used)] // Helpers of tests may end a test.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

fn crosspoint(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_crosspoint"));
    command
        .args(arguments)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

fn run(arguments: &[&str]) -> (i32, String, String) {
    let Output {
        status,
        stdout,
        stderr,
    } = crosspoint(arguments).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code().unwrap(), text(stdout), text(stderr))
}

/// A running router on a port of its own, killed when dropped.
struct Router {
    process: Child,
    log: BufReader<std::process::ChildStderr>,
    address: SocketAddr,
    /// What it logged until it had started.
    started: String,
}

impl Router {
    fn start() -> Self {
        Self::start_on("127.0.0.1:0")
    }

    fn start_on(address: &str) -> Self {
        let mut process = crosspoint(&["start", "--listen", address, "--log-format", "json"])
            .spawn()
            .unwrap();
        let mut log = BufReader::new(process.stderr.take().unwrap());
        let line = next_line(&mut log, "listening");
        let line: serde_json::Value = serde_json::from_str(&line).unwrap();
        let address = line["address"].as_str().unwrap().parse().unwrap();
        let mut started = String::new();
        while !started.contains("router started") {
            assert!(log.read_line(&mut started).unwrap() > 0, "{started}");
        }
        Self {
            process,
            log,
            address,
            started,
        }
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.process), signal).unwrap();
    }

    /// What one request for `path` is answered with.
    fn get(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(self.address).unwrap();
        write!(
            stream,
            "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }
}

impl Drop for Router {
    fn drop(&mut self) {
        // It may have ended already, as most tests want it to.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn next_line(log: &mut impl BufRead, what: &str) -> String {
    for line in log.lines() {
        let line = line.unwrap();
        if line.contains(what) {
            return line;
        }
    }
    panic!("the log ends without {what:?}");
}

#[test]
fn sigterm_and_sigint_end_it_in_order() {
    for signal in [Signal::TERM, Signal::INT] {
        let mut router = Router::start();
        let mut idle = TcpStream::connect(router.address).unwrap();
        let start = Instant::now();
        router.signal(signal);
        assert_eq!(router.process.wait().unwrap().code(), Some(0), "{signal:?}");
        assert!(start.elapsed() < Duration::from_secs(3), "{:?}", start.elapsed());
        assert_eq!(idle.read(&mut [0]).unwrap_or(0), 0, "the connection is closed");
    }
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let mut router = Router::start();
    // A session that never answers GOODBYE keeps the first signal from being done with.
    let mut session = TcpStream::connect(router.address).unwrap();
    session.write_all(b"\x7f\xf1\0\0").unwrap();
    session.read_exact(&mut [0; 4]).unwrap();
    let hello = br#"[1,"realm1",{"roles":{"caller":{}}}]"#;
    session.write_all(&[0, 0, 0, hello.len() as u8]).unwrap();
    session.write_all(hello).unwrap();
    let mut head = [0; 4];
    session.read_exact(&mut head).unwrap();
    let start = Instant::now();
    router.signal(Signal::TERM);
    next_line(&mut router.log, "stopping");
    router.signal(Signal::TERM);
    assert_eq!(router.process.wait().unwrap().code(), Some(143));
    assert!(start.elapsed() < Duration::from_secs(1), "{:?}", start.elapsed());
}

#[test]
fn the_demo_and_the_page_at_the_websocket_are_served_on_the_one_port() {
    let router = Router::start();
    for (path, status, content) in [
        ("/", "200 OK", "<title>Crosspoint: live demo</title>"),
        ("/wamp.js", "200 OK", "export class Connection"),
        ("/ws", "200 OK", "A WAMP router is listening here"),
        ("/nothing", "404 Not Found", "There is nothing at this address"),
    ] {
        let answer = router.get(path);
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status}\r\n")),
            "{path}: {answer}"
        );
        assert!(answer.contains(content), "{path}: {answer}");
    }
}

/// As behind a reverse proxy, which uses its connections for all that its clients ask.
#[test]
fn a_connection_that_carried_requests_becomes_a_websocket() {
    let router = Router::start();
    let mut stream = TcpStream::connect(router.address).unwrap();
    let mut answer = Vec::new();
    for path in ["/demo.css", "/nothing"] {
        write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
        read_until(
            &mut stream,
            &mut answer,
            if path == "/nothing" { "</html>\n" } else { "}\n" },
        );
    }
    write!(
        stream,
        "GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: wamp.2.json\r\n\r\n"
    )
    .unwrap();
    answer.clear();
    read_until(&mut stream, &mut answer, "\r\n\r\n");
    let answer = String::from_utf8(answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 101 "), "{answer}");
    // A masked HELLO, with a mask of zeros.
    let hello = br#"[1,"realm1",{"roles":{"caller":{}}}]"#;
    stream
        .write_all(&[0x81, 0x80 | hello.len() as u8, 0, 0, 0, 0])
        .unwrap();
    stream.write_all(hello).unwrap();
    let mut welcome = Vec::new();
    read_until(&mut stream, &mut welcome, "}]");
    assert!(welcome[4..].starts_with(b"[2,"), "{}", welcome.escape_ascii());
}

/// Appends to `read` what comes, until it ends so.
fn read_until(stream: &mut TcpStream, read: &mut Vec<u8>, end: &str) {
    while !read.ends_with(end.as_bytes()) {
        let mut octet = [0];
        stream.read_exact(&mut octet).unwrap();
        read.extend(octet);
    }
}

#[test]
fn the_built_in_configuration_warns_where_others_can_reach_it() {
    let router = Router::start_on("0.0.0.0:0");
    assert!(
        router.started.contains("whoever can reach this machine may join"),
        "{}",
        router.started
    );
    let router = Router::start();
    assert!(!router.started.contains("WARN"), "{}", router.started);
}

#[test]
fn what_cannot_be_started_is_said_in_a_line_with_status_1() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for (arguments, expected) in [
        (
            &["start", "--listen", &address][..],
            "the port is in use by another program; stop that one or choose another port, such as --listen 127.0.0.1:8081",
        ),
        (
            &["start", "--config", "/no/such/file.json"],
            "there is no file /no/such/file.json",
        ),
        (&["start", "--config", "/"], "/ is a directory"),
        (&["start", "--listen", "192.0.2.1:0"], "no such address"),
    ] {
        let (status, output, log) = run(arguments);
        assert_eq!((status, output.as_str()), (1, ""), "{log}");
        assert!(log.contains(expected), "{log}");
        assert_eq!(log.lines().count(), 1, "{log}");
    }
}

#[test]
fn with_json_logs_everything_is_an_object() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("config.yaml");
    let name = file.to_str().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let config = |extra: &str| {
        format!(
            "{{version: 2, workers: [{{type: router, realms: [{{name: realm1, roles: [{{name: anonymous}}]}}], \
             transports: [{{type: websocket, {extra}endpoint: {{type: tcp, interface: 127.0.0.1, port: {port}}}}}]}}]}}"
        )
    };
    for (extra, expected) in [
        // Without effect, as there are no pings.
        ("options: {auto_ping_timeout: 5000}, ", &["WARN", "ERROR"][..]),
        ("nonsense: 1, ", &["ERROR"]),
    ] {
        std::fs::write(&file, config(extra)).unwrap();
        let (status, _, log) = run(&["start", "--log-format", "json", "--config", name]);
        assert_eq!(status, 1, "{log}");
        let objects: Vec<serde_json::Value> = log
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        let levels: Vec<_> = objects
            .iter()
            .map(|object| object["level"].as_str().unwrap())
            .collect();
        assert_eq!(levels, expected, "{log}");
        assert!(
            log.contains(&format!("{name}:1:")) || log.contains("cannot listen"),
            "{log}"
        );
    }
    let directory = directory.path().join(".crossbar");
    std::fs::create_dir(&directory).unwrap();
    std::fs::write(directory.join("config.json"), "").unwrap();
    let listen = format!("127.0.0.1:{port}");
    let mut start = crosspoint(&["start", "--log-format", "json", "--listen", &listen]);
    let output = start.current_dir(directory.parent().unwrap()).output().unwrap();
    let log = String::from_utf8(output.stderr).unwrap();
    let note: serde_json::Value = serde_json::from_str(log.lines().next().unwrap()).unwrap();
    assert!(
        note["message"]
            .as_str()
            .unwrap()
            .contains("--config .crossbar/config.json"),
        "{log}"
    );
}

#[test]
fn what_the_configuration_says_and_cannot_be_had_is_said_with_its_key() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("config.yaml");
    let name = file.to_str().unwrap();
    std::fs::create_dir(directory.path().join("db")).unwrap();
    std::fs::write(directory.path().join("db/history.redb"), "of another program").unwrap();
    for (store, expected) in [
        (
            "",
            "error: workers[0].transports[1].endpoint: cannot listen on 127.0.0.1:",
        ),
        (
            "store: {type: cfxdb, path: db}, ",
            "error: workers[0].realms[0].store: cannot use the store of realm \"realm1\"",
        ),
    ] {
        let text = format!(
            "{{version: 2, workers: [{{type: router, realms: [{{name: realm1, {store}roles: [{{name: anonymous}}]}}], \
             transports: [{{type: rawsocket, endpoint: {{type: unix, path: x}}}}, \
             {{type: rawsocket, endpoint: {{type: tcp, interface: 127.0.0.1, port: {port}}}}}]}}]}}"
        );
        std::fs::write(&file, text).unwrap();
        let (status, _, log) = run(&["start", "--config", name]);
        assert_eq!(status, 1, "{log}");
        assert!(log.lines().any(|line| line.starts_with(expected)), "{log}");
    }
}

#[test]
fn check_names_every_error_and_version_the_version() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("config.yaml");
    std::fs::write(
        &file,
        "version: 2\nworkers:\n- type: router\n  realms: [{name: realm1}]\n  transprots: []\n",
    )
    .unwrap();
    let name = file.to_str().unwrap();
    let (status, _, log) = run(&["check", "--config", name]);
    assert_eq!(status, 1, "{log}");
    assert!(
        log.contains(&format!(
            "{name}:3:3: workers[0]: the key \"transports\" is missing"
        )),
        "{log}"
    );
    assert!(
        log.contains(&format!("{name}:5:3: workers[0].transprots: unknown key")),
        "{log}"
    );
    assert!(log.contains("2 errors"), "{log}");

    std::fs::write(&file, "{version: 2, workers: [{type: router, realms: [{name: realm1, roles: [{name: anonymous}]}], transports: [{type: rawsocket, endpoint: {type: unix, path: x}}]}]}").unwrap();
    let (status, output, log) = run(&["check", "--config", name]);
    assert_eq!((status, log.as_str()), (0, ""));
    assert!(output.contains("in order"), "{output}");

    let (status, output, _) = run(&["version"]);
    assert_eq!(
        (status, output),
        (0, format!("crosspoint {}\n", env!("CARGO_PKG_VERSION")))
    );
}
