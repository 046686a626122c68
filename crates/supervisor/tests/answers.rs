//! Answers as supervisord writes them, and everything else that a socket may deliver.

use proptest::prelude::*;
use supervisor::{FaultKind, MAX_DEPTH, Value, parse_answer};

const INFO: &str = "<?xml version='1.0'?>\n<methodResponse>\n<params>\n<param>\n<value><array><data>\n\
    <value><struct>\n<member>\n<name>name</name>\n<value><string>worker &amp; co</string></value>\n</member>\n\
    <member>\n<name>pid</name>\n<value><int>4242</int></value>\n</member>\n</struct></value>\n\
    </data></array></value>\n</param>\n</params>\n</methodResponse>\n";

#[test]
fn reads_an_array_of_structs() {
    let Ok(Ok(Value::Array(processes))) = parse_answer(INFO.as_bytes()) else {
        panic!("an array")
    };
    let Value::Struct(process) = &processes[0] else {
        panic!("a struct")
    };
    assert_eq!(process["name"], Value::String("worker & co".to_owned()));
    assert_eq!(process["pid"], Value::Int(4242));
}

#[test]
fn reads_every_kind_of_value() {
    for (xml, expected) in [
        ("<i4>-1</i4>", Value::Int(-1)),
        ("<int> 7 </int>", Value::Int(7)),
        ("<boolean>1</boolean>", Value::Bool(true)),
        ("<double>2.5</double>", Value::Double(2.5)),
        ("<string/>", Value::String(String::new())),
        (
            "<string> a&#x41;&lt;<![CDATA[<b>]]> </string>",
            Value::String(" aA<<b> ".to_owned()),
        ),
        ("untyped", Value::String("untyped".to_owned())),
        ("", Value::String(String::new())),
        ("<base64>aGk=\n</base64>", Value::Bytes(b"hi".to_vec())),
        (
            "<dateTime.iso8601>20260101T00:00:00</dateTime.iso8601>",
            Value::String("20260101T00:00:00".into()),
        ),
        ("<array><data/></array>", Value::Array(Vec::new())),
        (
            "<struct></struct>",
            Value::Struct(std::collections::BTreeMap::new()),
        ),
    ] {
        let answer = parse_answer(response(xml).as_bytes());
        assert_eq!(answer, Ok(Ok(expected)), "{xml}");
    }
}

#[test]
fn reads_a_fault() {
    let xml = "<methodResponse><fault><value><struct>\
        <member><name>faultCode</name><value><int>10</int></value></member>\
        <member><name>faultString</name><value><string>BAD_NAME: nosuch</string></value></member>\
        </struct></value></fault></methodResponse>";
    let fault = parse_answer(xml.as_bytes())
        .expect("an answer")
        .expect_err("a fault");
    assert_eq!(fault.kind(), FaultKind::BadName);
    assert_eq!(fault.to_string(), "BAD_NAME: nosuch (fault 10)");
}

#[test]
fn refuses_what_is_not_an_answer() {
    for xml in [
        "",
        "<html><body>Supervisor Status</body></html>",
        "<methodResponse><params/></methodResponse>",
        "<!DOCTYPE x [<!ENTITY a \"b\">]><methodResponse/>",
        "<methodResponse><fault><value>what</value></fault></methodResponse>",
        &response("<int>many</int>"),
        &response("<boolean>yes</boolean>"),
        &response("<base64>!</base64>"),
        &response("<string>&unknown;</string>"),
        &response("<string>&#x110000;</string>"),
        &response("text<int>1</int>"),
        &response("<int>1</int><int>2</int>"),
        &response("<struct><name>a</name></struct>"),
    ] {
        assert!(parse_answer(xml.as_bytes()).is_err(), "{xml}");
    }
}

#[test]
fn an_error_quotes_no_more_of_an_answer_than_fits_a_log_line() {
    let long = "x".repeat(1 << 20);
    let error = parse_answer(response(&format!("<int>{long}</int>")).as_bytes()).expect_err("no integer");
    assert!(error.to_string().len() < 400, "{} bytes", error.to_string().len());
    let fault = format!(
        "<methodResponse><fault><value><struct>\
         <member><name>faultCode</name><value><int>30</int></value></member>\
         <member><name>faultString</name><value><string>{long}</string></value></member>\
         </struct></value></fault></methodResponse>"
    );
    let fault = parse_answer(fault.as_bytes())
        .expect("an answer")
        .expect_err("a fault");
    assert_eq!(fault.kind(), FaultKind::Failed);
    assert!(fault.to_string().len() < 400, "{} bytes", fault.to_string().len());
}

#[test]
fn nesting_is_bounded() {
    let nested = |levels: usize| {
        let inner = "<array><data><value>".repeat(levels) + &"</value></data></array>".repeat(levels);
        parse_answer(response(&inner).as_bytes())
    };
    assert!(nested(MAX_DEPTH).is_ok());
    let error = nested(100_000).expect_err("too deep");
    assert!(error.to_string().contains("levels"), "{error}");
}

#[test]
fn a_torn_answer_is_an_error_wherever_it_tears() {
    let end = INFO.trim_end().len();
    for length in 0..end {
        assert!(
            parse_answer(&INFO.as_bytes()[..length]).is_err(),
            "{}",
            &INFO[..length]
        );
    }
}

fn response(value: &str) -> String {
    format!("<methodResponse><params><param><value>{value}</value></param></params></methodResponse>")
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in any::<Vec<u8>>()) {
        let _ = parse_answer(&bytes);
    }

    #[test]
    fn damaged_answers_never_panic(at in 0..INFO.len(), bytes in prop::collection::vec(any::<u8>(), 0..4)) {
        let mut damaged = INFO.as_bytes().to_vec();
        let end = (at + bytes.len()).min(damaged.len());
        damaged.splice(at..end, bytes);
        let _ = parse_answer(&damaged);
    }

    #[test]
    fn arbitrary_markup_never_panics(
        parts in prop::collection::vec(
            prop::sample::select(vec![
                "<methodResponse>", "</methodResponse>", "<params>", "<param>", "<value>", "</value>", "<array>",
                "<data>", "<struct>", "<member>", "<name>", "<int>", "1", "&lt;", "&#0;", "<", ">", "/>", "&", "<!--",
                "<![CDATA[", "]]>", "<?xml", "?>", "<fault>",
            ]),
            0..40,
        )
    ) {
        let _ = parse_answer(parts.concat().as_bytes());
    }
}
