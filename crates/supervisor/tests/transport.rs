//! Against servers that misbehave: every error names the address and says what to do.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use supervisor::{Client, Endpoint, Error, ServerState};

const RUNNING: &str = "<methodResponse><params><param><value><struct><member><name>statecode</name>\
    <value><int>1</int></value></member></struct></value></param></params></methodResponse>";

fn response(status: &str, content_type: &str, body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\nContent-Length: {length}\r\n\r\n{body}")
}

/// Answers every request with the same bytes; closes after each when told to. Counts connections.
struct Server {
    url: String,
    connections: Arc<AtomicUsize>,
}

impl Server {
    fn start(answer: String, close: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
        let url = format!("http://user:secret@{}", listener.local_addr().expect("address"));
        let connections = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&connections);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                counter.fetch_add(1, Ordering::SeqCst);
                serve(stream, &answer, close);
            }
        });
        Self { url, connections }
    }

    fn client(&self) -> Client {
        Client::new(self.url.parse().expect("endpoint")).with_timeout(Duration::from_secs(30))
    }
}

fn serve(mut stream: TcpStream, answer: &str, close: bool) {
    let mut request = Vec::new();
    let mut chunk = [0; 4096];
    while let Ok(read @ 1..) = stream.read(&mut chunk) {
        request.extend_from_slice(&chunk[..read]);
        if request.ends_with(b"</methodCall>") {
            assert!(String::from_utf8_lossy(&request).contains("Basic dXNlcjpzZWNyZXQ="));
            request.clear();
            stream.write_all(answer.as_bytes()).expect("answer");
            if close {
                let _ = stream.shutdown(Shutdown::Both);
                return;
            }
        }
    }
}

async fn refusal(answer: String, close: bool) -> Error {
    let server = Server::start(answer, close);
    let error = server.client().state().await.expect_err("an error");
    let text = error.to_string();
    assert!(
        text.contains("http://127.0.0.1:") && !text.contains("secret"),
        "{text}"
    );
    error
}

#[tokio::test]
async fn one_connection_serves_many_calls() {
    let server = Server::start(response("200 OK", "text/xml", RUNNING), false);
    let client = server.client();
    for _ in 0..20 {
        assert_eq!(client.state().await.expect("state"), ServerState::Running);
    }
    assert_eq!(server.connections.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_server_that_hangs_up_after_each_answer_is_asked_again() {
    let server = Server::start(
        response("200 OK", "text/xml", RUNNING).replace("Content-Type", "Connection: close\r\nContent-Type"),
        true,
    );
    let client = server.client();
    for _ in 0..20 {
        assert_eq!(client.state().await.expect("state"), ServerState::Running);
    }
    assert_eq!(server.connections.load(Ordering::SeqCst), 20);
}

#[tokio::test]
async fn a_web_page_is_not_xml_rpc() {
    let error = refusal(response("200 OK", "text/html", "<html></html>"), false).await;
    assert!(matches!(error, Error::NotXmlRpc { .. }), "{error}");
    assert!(error.to_string().contains("/RPC2"), "{error}");
}

#[tokio::test]
async fn wrong_credentials_and_paths() {
    let error = refusal(response("401 Unauthorized", "text/html", "no"), false).await;
    assert!(matches!(error, Error::Unauthorized { .. }), "{error}");
    let error = refusal(response("404 Not Found", "text/html", "no"), false).await;
    assert!(matches!(error, Error::Status { status: 404, .. }), "{error}");
}

#[tokio::test]
async fn torn_answers() {
    let torn = response("200 OK", "text/xml", &RUNNING[..RUNNING.len() / 2]);
    assert!(matches!(refusal(torn, false).await, Error::Answer { .. }));
    let whole = response("200 OK", "text/xml", RUNNING);
    let cut = whole[..whole.len() - 10].to_owned();
    assert!(matches!(refusal(cut, true).await, Error::Broken { .. }));
    assert!(matches!(
        refusal("\0\0\0\0".to_owned(), true).await,
        Error::Broken { .. }
    ));
    let other = response("200 OK", "text/xml", &RUNNING.replace("statecode", "other"));
    assert!(matches!(refusal(other, false).await, Error::Unexpected { .. }));
}

#[tokio::test]
async fn an_endless_answer_is_cut_off() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
    let url = format!("http://{}", listener.local_addr().expect("address"));
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("accept");
        stream.read_exact(&mut [0; 64]).expect("request");
        let head = "HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nContent-Length: 99999999999\r\n\r\n";
        stream.write_all(head.as_bytes()).expect("head");
        // Until the client hangs up.
        while stream.write_all(&[b' '; 8192]).is_ok() {}
    });
    let client = Client::new(url.parse().expect("endpoint")).with_timeout(Duration::from_secs(30));
    let error = client.state().await.expect_err("too large");
    assert!(matches!(error, Error::TooLarge { .. }), "{error}");
}

#[tokio::test]
async fn a_silent_server_runs_into_the_timeout_and_the_next_call_gets_its_own_answer() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
    let url = format!("http://{}", listener.local_addr().expect("address"));
    let client = Client::new(url.parse().expect("endpoint")).with_timeout(Duration::from_millis(200));
    let error = client.state().await.expect_err("a timeout");
    assert!(matches!(error, Error::Timeout { .. }), "{error}");

    let (mut silent, _) = listener.accept().expect("accept");
    let _ = silent.write_all(response("200 OK", "text/xml", "late").as_bytes());
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("accept");
        let mut chunk = [0; 4096];
        let _ = stream.read(&mut chunk);
        let _ = stream.write_all(response("200 OK", "text/xml", RUNNING).as_bytes());
        let _ = stream.read(&mut chunk);
    });
    let client = client.with_timeout(Duration::from_secs(30));
    assert_eq!(client.state().await.expect("state"), ServerState::Running);
}

#[tokio::test]
async fn sockets_that_cannot_be_used() {
    let folder = tempfile::tempdir().expect("folder");
    let missing = Client::new(Endpoint::unix(folder.path().join("no.sock")))
        .state()
        .await;
    let text = missing.expect_err("missing").to_string();
    assert!(text.contains("no.sock") && text.contains("not running"), "{text}");

    let left = folder.path().join("left.sock");
    drop(std::os::unix::net::UnixListener::bind(&left).expect("bind"));
    let text = Client::new(Endpoint::unix(&left))
        .state()
        .await
        .expect_err("refused")
        .to_string();
    assert!(text.contains("left over"), "{text}");

    let locked = folder.path().join("locked.sock");
    let _listener = std::os::unix::net::UnixListener::bind(&locked).expect("bind");
    std::fs::set_permissions(&locked, std::fs::Permissions::from_mode(0o000)).expect("chmod");
    let refused = std::os::unix::net::UnixStream::connect(&locked).is_err();
    let result = Client::new(Endpoint::unix(&locked))
        .with_timeout(Duration::from_millis(200))
        .state()
        .await;
    let error = result.expect_err("no answer");
    // Root may connect all the same; then the call runs into its timeout.
    assert_eq!(matches!(error, Error::Connect { .. }), refused, "{error}");
    assert_eq!(error.to_string().contains("mode 0700"), refused, "{error}");
}
