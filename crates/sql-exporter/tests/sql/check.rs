//! `--config.check`: whether a start would take the configuration.

use std::net::TcpListener;

use crate::lab::Lab;

const QUERY: &str = "[[query]]\nname = \"q\"\nsql = \"SELECT count(*) AS n FROM ${orders}\"\n\
     [[query.metric]]\nname = \"own_count\"\nhelp = \"X.\"\ntype = \"gauge\"\nvalue = \"n\"\n";

/// A server that is not there to be asked, a pack and a file with parameters, and an address in a file.
fn lab(address: &str) -> Lab {
    let lab = Lab::new();
    lab.write("shop.dsn", &format!("postgres://me:hunter2@{address}/shop\n"));
    lab.write("own.toml", &format!("{QUERY}[parameters]\norders = \"orders\"\n"));
    lab.write(
        "sql.toml",
        "[[database]]\nname = \"shop\"\ndsn_file = \"shop.dsn\"\npack = \"business\"\n\
         parameters = { payments = \"invoices\" }\n\
         [[database]]\nname = \"own\"\ndsn_file = \"shop.dsn\"\nqueries = \"own.toml\"\n\
         parameters = { orders = \"purchases\" }\n",
    );
    lab
}

#[test]
fn a_good_configuration_is_passed_over_in_silence_and_nobody_is_asked() {
    let database = TcpListener::bind(("127.0.0.1", 0)).expect("bind");
    database.set_nonblocking(true).expect("no waiting");
    let lab = lab(&database.local_addr().expect("an address").to_string());
    // It opens no port: this one is taken.
    let listen = format!(
        "--web.listen-address={}",
        database.local_addr().expect("an address")
    );
    let output = lab.run(&["--config.check", &listen]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(output.stdout.is_empty() && output.stderr.is_empty(), "{output:?}");
    assert!(database.accept().is_err(), "the database was asked");
}

#[test]
fn a_bad_one_is_refused_with_the_words_of_a_start() {
    for (file, text, expected) in [
        ("sql.toml", "nonsense", "sql.toml:1"),
        ("own.toml", QUERY, "parameter"),
        ("shop.dsn", "postgres://me:hunter2@db:port/x", "shop.dsn"),
    ] {
        let lab = lab("127.0.0.1:1");
        lab.write(file, text);
        let error = |flags: &[&str]| {
            let output = lab.run(flags);
            assert_eq!(output.status.code(), Some(1), "{output:?}");
            assert!(output.stdout.is_empty(), "{output:?}");
            let log = String::from_utf8(output.stderr).expect("UTF-8");
            let (_, error) = log.split_once("cannot go on").expect("an error");
            error.to_owned()
        };
        let refused = error(&["--config.check"]);
        assert!(refused.contains(expected), "{refused}");
        assert!(!refused.contains("hunter2"), "{refused}");
        assert_eq!(refused, error(&[]));
    }
    let lab = Lab::new();
    assert_eq!(lab.run(&["--config.check"]).status.code(), Some(1), "no file");
}
