//! The client: users and tokens from files, TLS with an authority of one's own, a proxy, and errors without secrets.

use std::io::{BufRead as _, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use pushgateway_bridge::http::{Client, Settings, check};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

const PATIENCE: Duration = Duration::from_secs(90);

fn settings() -> Settings {
    Settings {
        timeout: PATIENCE,
        ..Settings::default()
    }
}

/// Answers every request with 200, and hands on its head.
fn serve(wrap: impl Fn(TcpStream) -> Box<dyn ReadWrite> + Send + 'static) -> (u16, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let (sender, heads) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let mut stream = BufReader::new(wrap(stream));
            let mut head = String::new();
            while !head.ends_with("\r\n\r\n") && stream.read_line(&mut head).is_ok_and(|read| read > 0) {}
            let answer = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello";
            if stream
                .get_mut()
                .write_all(answer.as_bytes())
                .and_then(|()| stream.get_mut().flush())
                .is_ok()
            {
                let _ = sender.send(head);
            }
        }
    });
    (port, heads)
}

trait ReadWrite: std::io::Read + Write {}
impl<T: std::io::Read + Write> ReadWrite for T {}

fn plain() -> (u16, Receiver<String>) {
    serve(|stream| Box::new(stream))
}

fn authorization(heads: &Receiver<String>) -> String {
    let head = heads.recv_timeout(PATIENCE).expect("a request");
    let header = head
        .lines()
        .find(|line| line.to_lowercase().starts_with("authorization:"));
    header.map_or_else(String::new, |line| {
        line.split_once(": ").expect("a value").1.to_owned()
    })
}

#[test]
fn secrets_are_read_again_when_they_change() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("secret");
    std::fs::write(&file, "open sesame\n").expect("written");
    let (port, heads) = plain();
    let url = format!("http://127.0.0.1:{port}/");
    let basic = Client::new(Settings {
        user: Some("ali".to_owned()),
        password_file: Some(file.clone()),
        ..settings()
    });
    let basic = basic.expect("a client");
    basic.get(&url, &[]).expect("an answer");
    assert_eq!(authorization(&heads), "Basic YWxpOm9wZW4gc2VzYW1l");
    std::fs::write(&file, "changed").expect("written");
    basic.get(&url, &[]).expect("an answer");
    assert_eq!(authorization(&heads), "Basic YWxpOmNoYW5nZWQ=");

    let bearer = Client::new(Settings {
        token_file: Some(file.clone()),
        ..settings()
    })
    .expect("a client");
    bearer.get(&url, &[]).expect("an answer");
    assert_eq!(authorization(&heads), "Bearer changed");
    std::fs::remove_file(&file).expect("removed");
    let error = bearer.get(&url, &[]).expect_err("no file");
    assert!(error.to_string().contains("secret"), "{error}: the file's name");
}

#[test]
fn settings_that_cannot_work_are_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).expect("written");
        path
    };
    let refused = |settings: Settings| Client::new(settings).expect_err("refused").to_string();
    let file = || Some(write("one", "hunter2"));
    assert!(
        refused(Settings {
            user: Some("a".to_owned()),
            ..settings()
        })
        .contains("password_file")
    );
    assert!(
        refused(Settings {
            password_file: file(),
            ..settings()
        })
        .contains("user")
    );
    let both = Settings {
        user: Some("a".to_owned()),
        password_file: file(),
        token_file: file(),
        ..settings()
    };
    assert!(refused(both).contains("not both"));
    for (name, text) in [("empty", "\n"), ("lines", "hunter2\nhunter3\n")] {
        let said = refused(Settings {
            token_file: Some(write(name, text)),
            ..settings()
        });
        assert!(said.contains(name) && !said.contains("hunter"), "{said}");
    }
    let said = refused(Settings {
        ca_file: Some(write("ca", "no certificate")),
        ..settings()
    });
    assert!(said.contains("no certificate"), "{said}");
    let said = refused(Settings {
        proxy: Some("ftp://me:hunter2@proxy".to_owned()),
        ..settings()
    });
    assert!(said.contains("proxy") && !said.contains("hunter"), "{said}");
    for (url, word) in [
        ("ftp://host/", "http://"),
        ("http://me:hunter2@host/", "password_file"),
        ("http:///path", "address"),
        ("http://a b/", "address"),
    ] {
        let said = check(url).expect_err(url).to_string();
        assert!(said.contains(word) && !said.contains("hunter"), "{said}");
    }
}

/// An authority, and a server's certificate from it.
fn authority(folder: &std::path::Path) -> (PathBuf, Arc<ServerConfig>) {
    let authority_key = rcgen::KeyPair::generate().expect("a key");
    let mut parameters = rcgen::CertificateParams::new(Vec::new()).expect("parameters");
    parameters.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let authority = parameters.self_signed(&authority_key).expect("a certificate");
    let file = folder.join("ca.pem");
    std::fs::write(&file, authority.pem()).expect("written");
    let issuer = rcgen::Issuer::new(parameters, authority_key);
    let key = rcgen::KeyPair::generate().expect("a key");
    let parameters = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).expect("parameters");
    let certificate = parameters.signed_by(&key, &issuer).expect("a certificate");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate.der().clone()],
            PrivatePkcs8KeyDer::from(key.serialize_der()).into(),
        );
    (file, Arc::new(config.expect("a server")))
}

#[test]
fn tls_asks_for_the_authority_that_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let (ca, config) = authority(folder.path());
    let (port, heads) = serve(move |stream| {
        let connection = ServerConnection::new(Arc::clone(&config)).expect("a connection");
        Box::new(StreamOwned::new(connection, stream))
    });
    let url = format!("https://localhost:{port}/");
    let ask = |settings: Settings| Client::new(settings).expect("a client").get(&url, &[]);
    let answer = ask(Settings {
        ca_file: Some(ca),
        ..settings()
    })
    .expect("an answer");
    assert_eq!(answer.body(100).expect("a body"), b"hello");
    heads.recv_timeout(PATIENCE).expect("a request");
    let error = ask(settings()).expect_err("an unknown authority").to_string();
    assert!(error.contains("UnknownIssuer"), "{error}");
    assert_eq!(
        ask(Settings {
            insecure_skip_verify: true,
            ..settings()
        })
        .expect("an answer")
        .status,
        200
    );
    let (other, _) = authority(folder.path());
    assert!(
        ask(Settings {
            ca_file: Some(other),
            ..settings()
        })
        .is_err()
    );
}

#[test]
fn the_proxy_that_is_named_is_asked() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let proxy = listener.local_addr().expect("an address");
    let (target, heads) = plain();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let mut reader = BufReader::new(stream.try_clone().expect("the stream"));
            let mut head = String::new();
            while !head.ends_with("\r\n\r\n") && reader.read_line(&mut head).is_ok_and(|read| read > 0) {}
            let mut stream = stream;
            assert!(
                head.to_lowercase()
                    .contains("proxy-authorization: basic bwu6ahvudgvyma=="),
                "{head}"
            );
            assert!(head.starts_with("CONNECT somewhere.invalid:80 "), "{head}");
            stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").expect("sent");
            let mut behind = TcpStream::connect(("127.0.0.1", target)).expect("connected");
            let mut back = behind.try_clone().expect("the stream");
            let mut out = stream.try_clone().expect("the stream");
            std::thread::spawn(move || std::io::copy(&mut back, &mut out));
            let _ = std::io::copy(&mut reader, &mut behind);
        }
    });
    let client = Client::new(Settings {
        proxy: Some(format!("http://me:hunter0@{proxy}")),
        ..settings()
    });
    let answer = client
        .expect("a client")
        .get("http://somewhere.invalid/metrics", &[])
        .expect("an answer");
    assert_eq!(answer.status, 200);
    assert!(
        heads
            .recv_timeout(PATIENCE)
            .expect("a request")
            .contains("/metrics")
    );
}

#[test]
fn errors_say_where_and_hold_no_secret() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("token");
    std::fs::write(&file, "hunter2").expect("written");
    let port = exporter::testing::free_port();
    let client = Client::new(Settings {
        token_file: Some(file),
        ..settings()
    })
    .expect("a client");
    let error = client
        .get(&format!("http://127.0.0.1:{port}/api"), &[])
        .expect_err("nobody is there")
        .to_string();
    assert!(
        error.contains(&format!("127.0.0.1:{port}/api")) && error.contains("refused"),
        "{error}"
    );
    assert!(!format!("{error:?} {client:?}").contains("hunter2"), "{client:?}");
}
