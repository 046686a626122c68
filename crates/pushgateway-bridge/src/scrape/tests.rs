use proptest::prelude::*;

use super::labels::unescape;
use super::page::{Format, Line, Lines, NAN, text};
use super::series::{Clash, Identity, Refused, Scraped};
use crate::sample::{Kind, Page};

fn identity(clash: Clash) -> Identity {
    let labels = [("instance", "localhost:9100"), ("job", "node"), ("machine", "pc")];
    Identity {
        labels: labels.map(|(n, v)| (n.to_owned(), v.to_owned())).to_vec(),
        clash,
    }
}

fn read(page: &str, format: Format) -> Result<Scraped, Refused> {
    identity(Clash::Rename).read(page.as_bytes(), format, 1000, 1000)
}

/// Every series as `name{labels} value @time kind`, without the target's own labels.
fn shown(page: &Page) -> Vec<String> {
    let own = identity(Clash::Rename);
    page.iter()
        .map(|sample| {
            let labels = sample
                .labels
                .iter()
                .filter(|(name, _)| !own.labels.iter().any(|(o, _)| o == name));
            let labels: Vec<_> = labels.map(|(name, value)| format!("{name}={value:?}")).collect();
            format!(
                "{} {:?} @{} {:?}",
                labels.join(","),
                sample.value,
                sample.timestamp_ms,
                sample.metadata.kind
            )
        })
        .collect()
}

#[test]
fn the_text_format_is_read_as_prometheus_reads_it() {
    let page = "# HELP a Help with \\\\ and \\n.\n# TYPE a counter\n#TYPE a gauge\n# a comment\n\n \
                a{x=\"1\", y = \"\\\"q\\\\ \\n \\d{}\" ,} 1.5e3 1234\n\ta { } NaN\na{x=\"\"} +Inf -5\nb -Inf\n\
                # TYPE h histogram\nh_bucket{le=\"+Inf\"} 2\nh_sum 3\nh_count 2\n# TYPE s summary\n\
                s{quantile=\"0.5\"} 1\ns_sum 1\ns_count 1\nh_other 1";
    let scraped = read(page, Format::Text).expect("a good page");
    assert_eq!(
        shown(&scraped.page),
        [
            r#"__name__="a",x="1",y="\"q\\ \n \\d{}" 1500.0 @1234 Counter"#,
            r#"__name__="a" NaN @1000 Counter"#,
            r#"__name__="a" inf @-5 Counter"#,
            r#"__name__="b" -inf @1000 Unknown"#,
            r#"__name__="h_bucket",le="+Inf" 2.0 @1000 Histogram"#,
            r#"__name__="h_sum" 3.0 @1000 Histogram"#,
            r#"__name__="h_count" 2.0 @1000 Histogram"#,
            r#"__name__="s",quantile="0.5" 1.0 @1000 Summary"#,
            r#"__name__="s_sum" 1.0 @1000 Summary"#,
            r#"__name__="s_count" 1.0 @1000 Summary"#,
            r#"__name__="h_other" 1.0 @1000 Unknown"#,
        ]
    );
    let nan = scraped.page.get(1).expect("the second").value;
    assert_eq!(nan.to_bits(), NAN.to_bits());
    let help = scraped.page.get(0).expect("the first").metadata.help.to_owned();
    assert_eq!(help, "Help with \\ and \n.");
}

#[test]
fn openmetrics_is_read_too() {
    let page = "# TYPE requests counter\n# UNIT requests requests\n# HELP requests All.\n\
                requests_total{code=\"200\"} 17 1520879607.789 # {trace_id=\"x # y\"} 1.0 1520879606.1\n\
                requests_created{code=\"200\"} 1520872607.1\n# TYPE build info\nbuild_info{version=\"1\"} 1\n\
                # TYPE door stateset\ndoor{door=\"open\"} 0\n# TYPE gh gaugehistogram\ngh_bucket{le=\"+Inf\"} 1\n\
                gh_gcount 1\ngh_gsum 2\n# EOF\n";
    let scraped = read(page, Format::OpenMetrics).expect("a good page");
    assert_eq!(
        shown(&scraped.page),
        [
            r#"__name__="requests_total",code="200" 17.0 @1520879607789 Counter"#,
            r#"__name__="requests_created",code="200" 1520872607.1 @1000 Unknown"#,
            r#"__name__="build_info",version="1" 1.0 @1000 Gauge"#,
            r#"__name__="door",door="open" 0.0 @1000 Gauge"#,
            r#"__name__="gh_bucket",le="+Inf" 1.0 @1000 Unknown"#,
            r#"__name__="gh_gcount" 1.0 @1000 Unknown"#,
            r#"__name__="gh_gsum" 2.0 @1000 Unknown"#,
        ]
    );
    let first = scraped.page.get(0).expect("the first");
    assert_eq!((first.metadata.help, first.metadata.unit), ("All.", "requests"));
}

#[test]
fn a_bad_page_is_refused_with_its_line() {
    let labels: Vec<_> = (0..65).map(|i| format!("l{i}=\"1\"")).collect();
    let long = format!("a{{{}}} 1", labels.join(","));
    for (page, expected) in [
        ("a 1\nb\n", "line 2: no value: \"b\""),
        (
            "a 1\n\n  9a 1",
            "line 3: it does not begin with the name of a metric",
        ),
        ("a one", "line 1: the value is no number"),
        ("a 0x10", "the value is no number"),
        ("a 1 now", "the time is no number"),
        ("a 1 1.5", "the time is no number"),
        ("a 1 2 3", "more than a value and a time"),
        (
            "a{x=\"1\"",
            "a label's value without its second quote|neither a comma nor a brace",
        ),
        ("a{x=\"1} 1", "a label's value without its second quote"),
        ("a{x=1} 1", "a label's value without quotes"),
        ("a{x} 1", "a label without a value"),
        ("a{9x=\"1\"} 1", "not the name of a label"),
        ("a{__name__=\"1\"} 1", "not the name of a label"),
        ("a{x=\"1\",x=\"2\"} 1", "a label stands twice"),
        ("a{x=\"1\"y=\"2\"} 1", "neither a comma nor a brace"),
        ("{\"a\"} 1", "it does not begin with the name of a metric"),
        ("# TYPE a speed\n", "there is no such type"),
        ("# HELP 9 x\n", "no name of a metric behind HELP"),
        (long.as_str(), "more than 64 labels"),
        ("<html><body>x</body></html>", "no value|name of a metric"),
    ] {
        let refused = read(page, Format::Text).expect_err(page).to_string();
        assert!(
            expected.split('|').any(|text| refused.contains(text)),
            "{page}\n{refused}"
        );
    }
    let torn = read("a 1\n", Format::OpenMetrics).expect_err("no end");
    assert_eq!(
        torn.to_string(),
        "line 1: the page ends without `# EOF`, so part of it is missing"
    );
    let more = read("a 1\n# EOF\nb 2\n", Format::OpenMetrics).expect_err("more");
    assert_eq!(more.to_string(), "line 2: text behind `# EOF`: \"b 2\\n\"");
    let refused = identity(Clash::Rename).read(b"a 1\nb \xff 1\n", Format::Text, 0, 10);
    assert_eq!(
        refused.expect_err("not UTF-8").to_string(),
        "line 2: it is not UTF-8"
    );
}

#[test]
fn a_page_has_so_many_samples() {
    let refused = identity(Clash::Rename).read(b"a 1\nb 1\nc 1\n", Format::Text, 0, 2);
    let refused = refused.expect_err("three").to_string();
    assert_eq!(
        refused,
        "more than 2 samples; raise `sample_limit` if that is right"
    );
}

#[test]
fn labels_of_the_target_and_the_page_meet_as_in_prometheus() {
    let page = "a{job=\"x\",exported_job=\"y\",instance=\"\"} 1\n";
    let labels = |clash| {
        let scraped = identity(clash)
            .read(page.as_bytes(), Format::Text, 0, 10)
            .expect("good");
        scraped.page.get(0).expect("one").labels.to_string()
    };
    assert_eq!(
        labels(Clash::Rename),
        r#"a{exported_exported_job="x",exported_job="y",instance="localhost:9100",job="node",machine="pc"}"#
    );
    assert_eq!(
        labels(Clash::Honor),
        r#"a{exported_job="y",instance="localhost:9100",job="x",machine="pc"}"#
    );
    assert_eq!(
        labels(Clash::Override),
        r#"a{exported_job="y",instance="localhost:9100",job="node",machine="pc"}"#
    );
}

#[test]
fn a_series_stands_there_once() {
    let page =
        "a{x=\"1\",y=\"2\"} 1\na{y=\"2\",x=\"1\"} 2\na{x=\"1\",y=\"2\",z=\"\"} 3\na{x=\"1\",y=\"2\"} 4 77\n";
    let scraped = read(page, Format::Text).expect("good");
    assert_eq!((scraped.samples, scraped.duplicates), (4, 2));
    let values: Vec<_> = scraped
        .page
        .iter()
        .map(|sample| (sample.value, sample.timestamp_ms))
        .collect();
    assert_eq!(values, [(1.0, 1000), (4.0, 77)]);
}

#[test]
fn a_label_of_the_target_without_a_value_is_none() {
    let mut identity = identity(Clash::Rename);
    identity.labels.push(("room".to_owned(), String::new()));
    let scraped = identity.read(b"a 1\na 2\n", Format::Text, 0, 10).expect("good");
    assert_eq!((scraped.page.len(), scraped.duplicates), (1, 1));
}

#[test]
fn a_scrape_is_reported_as_prometheus_reports_it() {
    let mut page = Page::new();
    let took = std::time::Duration::from_millis(250);
    identity(Clash::Rename)
        .report(&mut page, 5, true, took, 7)
        .expect("room");
    assert_eq!(
        shown(&page),
        [
            r#"__name__="up" 1.0 @5 Gauge"#,
            r#"__name__="scrape_duration_seconds" 0.25 @5 Gauge"#,
            r#"__name__="scrape_samples_scraped" 7.0 @5 Gauge"#,
        ]
    );
}

/// Name, type, help, and the samples by the value of their label.
type Given = (String, exporter::Kind, String, Vec<(String, f64)>);

/// Families as exporters have them, with what else than letters may stand in values and help texts.
fn families() -> impl Strategy<Value = Vec<Given>> {
    let kind = prop::sample::select(vec![exporter::Kind::Counter, exporter::Kind::Gauge]);
    let value = prop_oneof![any::<f64>(), Just(f64::NAN), Just(f64::INFINITY), Just(-0.0)];
    let samples = prop::collection::btree_map("[^\\p{C}]{0,6}[\\\\\"\n]{0,2}", value, 1..5);
    let family = ("[a-z_]{3,9}", kind, "[^\r\n]{0,9}[\\\\\n\"]{0,2}x", samples)
        .prop_map(|(name, kind, help, samples)| (name, kind, help, samples.into_iter().collect()));
    prop::collection::vec(family, 0..6)
}

proptest! {
    /// What the exporters of this workspace write is read back as it was meant.
    #[test]
    fn the_exporters_pages_are_read_back(families in families()) {
        let mut page = Vec::new();
        let mut expected = Vec::new();
        let mut seen = std::collections::BTreeSet::new();
        for (name, kind, help, samples) in &families {
            if !seen.insert(name) {
                continue;
            }
            let mut family = exporter::Family::new(*kind, name, help).expect("a name");
            for (value, number) in samples {
                family.push(&[("label", value)], *number).expect("a label");
                expected.push((name.clone(), value.clone(), *number, *kind, help.clone()));
            }
            exporter::encode(&[family], &mut page);
        }
        let scraped = identity(Clash::Rename).read(&page, Format::Text, 9, usize::MAX).expect("a good page");
        prop_assert_eq!(scraped.page.len(), expected.len());
        for (sample, (name, label, number, kind, help)) in scraped.page.iter().zip(&expected) {
            prop_assert_eq!(sample.labels.get("__name__"), name);
            prop_assert_eq!(sample.labels.get("label"), label);
            prop_assert!(sample.value.to_bits() == number.to_bits() || (sample.value.is_nan() && number.is_nan()));
            let known = if *kind == exporter::Kind::Counter { Kind::Counter } else { Kind::Gauge };
            prop_assert_eq!(sample.metadata.kind, known);
            prop_assert_eq!(sample.metadata.help, help);
        }
    }

    /// Any bytes are a page or a refusal that names a line of it.
    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let lines = bytes.split(|byte| *byte == b'\n').count();
        for format in [Format::Text, Format::OpenMetrics] {
            if let Err(refused) = identity(Clash::Rename).read(&bytes, format, 0, 100) {
                let shown = refused.to_string();
                let line = shown.strip_prefix("line ").and_then(|rest| rest.split(':').next());
                let line: usize = line.expect("a line").parse().expect("a number");
                prop_assert!(line <= lines, "{} of {}", line, lines);
            }
        }
    }

    /// Nearly good pages, which get further.
    #[test]
    fn torn_lines_are_read_or_refused(
        parts in prop::collection::vec(
            prop::sample::select(vec![
                "a", "b_total", "{", "}", "x", "=", "\"", "\\", "\\\"", ",", " ", "\t", "\n", "1", "-1.5", "NaN", "+Inf",
                "1e400", "9223372036854775808", "#", " HELP ", " TYPE ", "counter", "# EOF", "é",
            ]),
            0..40,
        ),
    ) {
        let page = parts.concat();
        for format in [Format::Text, Format::OpenMetrics] {
            if let Ok(scraped) = identity(Clash::Rename).read(page.as_bytes(), format, 0, 100) {
                prop_assert!(scraped.page.len() + scraped.duplicates == scraped.samples);
            }
        }
    }

    /// What is read can be written down and read again.
    #[test]
    fn labels_read_back(value in ".{0,20}") {
        let escaped = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
        prop_assert_eq!(&*unescape(&escaped), value.as_str());
        let page = format!("a{{x=\"{escaped}\"}} 1");
        let lines: Vec<_> = Lines::new(text(page.as_bytes()).expect("UTF-8"), Format::Text).collect();
        let [Ok(Line::Sample(sample))] = lines.as_slice() else {
            panic!("{lines:?}");
        };
        let read: Vec<_> = sample.labels.iter().map(|(_, value)| value.into_owned()).collect();
        prop_assert_eq!(read, vec![value]);
        prop_assert_eq!(format!("{}{} 1", sample.name, sample.labels), page);
    }
}
