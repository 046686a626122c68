//! Writes the XML of a call.

use base64::Engine as _;
use quick_xml::escape::escape;

use crate::value::Value;

/// Writes a method call.
pub(crate) fn write(method: &str, params: &[Value]) -> String {
    let mut xml = String::with_capacity(256);
    xml.push_str("<?xml version=\"1.0\"?><methodCall><methodName>");
    xml.push_str(&escape(method));
    xml.push_str("</methodName><params>");
    for param in params {
        xml.push_str("<param>");
        write_value(&mut xml, param);
        xml.push_str("</param>");
    }
    xml.push_str("</params></methodCall>");
    xml
}

fn write_value(xml: &mut String, value: &Value) {
    xml.push_str("<value>");
    match value {
        Value::Int(number) => element(xml, "int", &number.to_string()),
        Value::Bool(flag) => element(xml, "boolean", if *flag { "1" } else { "0" }),
        Value::Double(number) => element(xml, "double", &number.to_string()),
        Value::String(text) => element(xml, "string", &escape(text.as_str())),
        Value::Bytes(bytes) => {
            element(
                xml,
                "base64",
                &base64::engine::general_purpose::STANDARD.encode(bytes),
            );
        }
        Value::Array(values) => {
            xml.push_str("<array><data>");
            for value in values {
                write_value(xml, value);
            }
            xml.push_str("</data></array>");
        }
        Value::Struct(members) => {
            xml.push_str("<struct>");
            for (name, value) in members {
                xml.push_str("<member>");
                element(xml, "name", &escape(name.as_str()));
                write_value(xml, value);
                xml.push_str("</member>");
            }
            xml.push_str("</struct>");
        }
    }
    xml.push_str("</value>");
}

fn element(xml: &mut String, name: &str, content: &str) {
    for part in ["<", name, ">", content, "</", name, ">"] {
        xml.push_str(part);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn any_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            any::<i64>().prop_map(Value::Int),
            any::<bool>().prop_map(Value::Bool),
            any::<f64>()
                .prop_filter("NaN equals nothing", |number| !number.is_nan())
                .prop_map(Value::Double),
            // XML parsers read \r as \n: supervisord's answers have the same limit.
            "[^\r]*".prop_map(Value::String),
            any::<Vec<u8>>().prop_map(Value::Bytes),
        ];
        leaf.prop_recursive(5, 64, 8, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..8).prop_map(Value::Array),
                prop::collection::btree_map("[^\r]*", inner, 0..8).prop_map(Value::Struct),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back_the_same(value in any_value()) {
            let call = write("m", std::slice::from_ref(&value));
            let params = &call[call.find("<params>").unwrap()..call.find("</methodCall>").unwrap()];
            let answer = format!("<methodResponse>{params}</methodResponse>");
            prop_assert_eq!(crate::parse_answer(answer.as_bytes()), Ok(Ok(value)));
        }
    }

    #[test]
    fn markup_in_names_stays_text() {
        let call = write(
            "supervisor.startProcess",
            &[Value::from("</string><x>&"), Value::from(true)],
        );
        assert!(
            call.contains("<string>&lt;/string&gt;&lt;x&gt;&amp;</string>"),
            "{call}"
        );
        assert!(call.contains("<boolean>1</boolean>"), "{call}");
    }
}
