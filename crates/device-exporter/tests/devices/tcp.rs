//! Devices behind a TCP server, as ser2net is one.

use std::io::Write as _;
use std::net::{TcpListener, TcpStream};

use exporter::testing::{free_port, value};

use crate::lab::{Lab, connected, eventually, eventually_is, of, status};

const HELLO: &str = "{\"type\":\"hello\",\"id\":\"esp-1\",\"platform\":\"esp32\"}\n";

struct Server {
    listener: TcpListener,
    address: String,
}

impl Server {
    fn on(port: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", port)).expect("bind");
        let address = listener.local_addr().expect("an address").to_string();
        Self { listener, address }
    }

    fn accept(&self) -> TcpStream {
        self.listener.accept().expect("a connection").0
    }
}

#[test]
fn a_server_that_goes_away_is_found_again() {
    let port = free_port();
    let server = Server::on(port);
    let address = server.address.clone();
    let lab = Lab::new("");
    lab.configure(&format!("[[device]]\nport = \"tcp://{address}\"\n"));
    let running = lab.start();
    let mut stream = server.accept();
    stream.write_all(HELLO.as_bytes()).expect("say");
    stream.write_all(b"{\"power_mw\":5}\n").expect("say");
    let power = "device_power_consumption_mw{device_id=\"esp-1\",platform=\"esp32\"}";
    let page = eventually_is(&running, power, 5.0);
    assert!(page.contains(&format!("port=\"{address}\"")), "{page}");
    // The server restarts.
    drop((stream, server));
    let blocked = format!("device_port_blocked{{port=\"{address}\",reason=\"refused\"}}");
    let page = eventually_is(&running, &blocked, 1.0);
    assert_eq!(status(&page, "esp-1"), Some(0.0));
    assert_eq!(value(&page, power), None);
    let server = Server::on(port);
    let mut stream = server.accept();
    stream.write_all(HELLO.as_bytes()).expect("say");
    let page = connected(&running, "esp-1");
    assert_eq!(value(&page, &of("device_reconnects_total", "esp-1")), Some(1.0));
    assert_eq!(value(&page, &blocked), None);
    assert_eq!(status(&page, &address), None, "one device, one name:\n{page}");
}

#[test]
fn a_session_outlives_a_moment_without_a_connection() {
    let server = Server::on(0);
    let lab = Lab::new("");
    lab.configure(&format!("[[device]]\nport = \"tcp://{}\"\n", server.address));
    let running = lab.start();
    let mut stream = server.accept();
    stream.write_all(HELLO.as_bytes()).expect("say");
    stream
        .write_all(b"{\"type\":\"session_start\",\"session\":\"s1\",\"model_type\":\"llama\"}\n")
        .expect("say");
    eventually_is(&running, "profiling_sessions_active", 1.0);
    drop(stream);
    eventually(&running, "it is gone", |page| status(page, "esp-1") == Some(0.0));
    let mut stream = server.accept();
    stream.write_all(HELLO.as_bytes()).expect("say");
    let page = connected(&running, "esp-1");
    assert_eq!(value(&page, "profiling_sessions_active"), Some(1.0));
    stream
        .write_all(b"{\"type\":\"session_end\",\"session\":\"s1\",\"ok\":true}\n")
        .expect("say");
    let sessions =
        "profiling_sessions_total{platform=\"esp32\",model_type=\"llama\",quantization=\"unknown\"}";
    let page = eventually_is(&running, sessions, 1.0);
    assert_eq!(value(&page, "profiling_sessions_active"), Some(0.0));
    assert_eq!(
        value(&page, "profiling_errors_total{platform=\"esp32\"}"),
        Some(0.0)
    );
}

#[test]
fn a_server_that_sends_us_away_is_said() {
    let server = Server::on(0);
    let lab = Lab::new("");
    lab.configure(&format!("[[device]]\nport = \"tcp://{}\"\n", server.address));
    let running = lab.start();
    let blocked = format!(
        "device_port_blocked{{port=\"{}\",reason=\"refused\"}}",
        server.address
    );
    drop(server.accept());
    eventually_is(&running, &blocked, 1.0);
    let mut stream = server.accept();
    stream.write_all(HELLO.as_bytes()).expect("say");
    let page = connected(&running, "esp-1");
    assert_eq!(value(&page, &blocked), None, "{page}");
}

#[test]
fn a_server_that_is_not_there_is_missed() {
    let lab = Lab::new("");
    let port = free_port();
    lab.configure(&format!(
        "[[device]]\nport = \"tcp://127.0.0.1:{port}\"\nid = \"bench\"\nplatform = \"stm32\"\n"
    ));
    let running = lab.start();
    let blocked = format!("device_port_blocked{{port=\"127.0.0.1:{port}\",reason=\"refused\"}}");
    eventually_is(&running, &blocked, 1.0);
    let series = format!(
        "device_connection_status{{device_id=\"bench\",platform=\"stm32\",port=\"127.0.0.1:{port}\"}}"
    );
    eventually_is(&running, &series, 0.0);
}
