use super::group::Group;
use super::groups::groups_of;
use super::render::{Rendered, render};
use crate::delivery::Source;
use crate::sample::{Kind, Metadata, NAME, Page, stale};

fn group() -> Group {
    Group(vec![
        ("job".to_owned(), "node".to_owned()),
        ("machine".to_owned(), "pc".to_owned()),
    ])
}

/// Name, further labels, value and kind.
type Given<'a> = (&'a str, &'a [(&'a str, &'a str)], f64, Kind);

fn page(samples: &[Given<'_>]) -> Page {
    let mut page = Page::new();
    for (time, (name, labels, value, kind)) in samples.iter().enumerate() {
        let own = [(NAME, *name), ("job", "node"), ("machine", "pc")];
        let metadata = Metadata {
            kind: *kind,
            help: "A \\ \"help\"\n.",
            unit: "",
        };
        let time = i64::try_from(time).expect("a few");
        page.push(
            own.into_iter().chain(labels.iter().copied()),
            *value,
            time,
            metadata,
        )
        .expect("good");
    }
    page
}

fn rendered(page: &Page, elsewhere: impl Fn(&str) -> Option<Kind>) -> (String, Rendered) {
    let rendered = render(page.iter(), &group(), elsewhere);
    let text = rendered
        .families
        .iter()
        .map(|family| family.written.as_str())
        .collect();
    (text, rendered)
}

const HELP: &str = "A \\\\ \"help\"\\n.";

#[test]
fn families_are_whole_and_typed_and_without_times() {
    let page = page(&[
        ("temp", &[("zone", "a\"\\\n")], f64::NAN, Kind::Gauge),
        ("h_bucket", &[("le", "1")], 1.0, Kind::Histogram),
        ("jobs_total", &[], 1e21, Kind::Counter),
        ("h_sum", &[], f64::INFINITY, Kind::Histogram),
        ("temp", &[("zone", "b")], 0.1, Kind::Gauge),
        ("temp", &[("zone", "b")], 0.2, Kind::Gauge),
        ("gone", &[], stale(), Kind::Gauge),
        ("s", &[("quantile", "0.5")], -1.0, Kind::Summary),
        ("s_count", &[], 2.0, Kind::Summary),
        ("x_count", &[], 3.0, Kind::Unknown),
    ]);
    let expected = format!(
        "# HELP temp {HELP}\n# TYPE temp gauge\ntemp{{zone=\"a\\\"\\\\\\n\"}} NaN\ntemp{{zone=\"b\"}} 0.2\n\
         # HELP h {HELP}\n# TYPE h histogram\nh_bucket{{le=\"1\"}} 1.0\nh_sum +Inf\n\
         # HELP jobs_total {HELP}\n# TYPE jobs_total counter\njobs_total 1e21\n\
         # HELP s {HELP}\n# TYPE s summary\ns{{quantile=\"0.5\"}} -1.0\ns_count 2.0\n\
         # HELP x_count {HELP}\n# TYPE x_count untyped\nx_count 3.0\n"
    );
    assert_eq!(rendered(&page, |_| None).0, expected);
}

#[test]
fn what_another_group_calls_otherwise_is_called_so_too() {
    let page = page(&[
        ("a", &[], 1.0, Kind::Gauge),
        ("h_count", &[], 1.0, Kind::Histogram),
        ("b", &[], 2.0, Kind::Gauge),
    ]);
    let elsewhere = |family: &str| match family {
        "a" => Some(Kind::Counter),
        "h" => Some(Kind::Gauge),
        _ => None,
    };
    let (text, rendered) = rendered(&page, elsewhere);
    assert!(text.contains("# TYPE a counter\n"), "{text}");
    assert!(!text.contains("h_count"), "{text}");
    assert_eq!(rendered.conflicts, 1);
    let kinds: Vec<_> = rendered
        .families
        .iter()
        .map(|family| (family.name.as_str(), family.kind))
        .collect();
    assert_eq!(kinds, [("a", Kind::Counter), ("b", Kind::Gauge)]);
}

#[test]
fn two_types_on_one_page_become_one() {
    let page = page(&[
        ("a", &[("x", "1")], 1.0, Kind::Gauge),
        ("a", &[("x", "2")], 1.0, Kind::Counter),
        ("a_sum", &[], 1.0, Kind::Summary),
    ]);
    let (text, rendered) = rendered(&page, |_| None);
    assert_eq!(text.matches("# TYPE").count(), 1, "{text}");
    assert_eq!(rendered.conflicts, 1);
}

#[test]
fn labels_of_the_page_that_win_make_further_groups() {
    let source = Source {
        labels: group().0,
        is_lasting: false,
    };
    let mut page = page(&[("a", &[], 1.0, Kind::Gauge)]);
    let other = [(NAME, "a"), ("job", "other"), ("machine", "pc")];
    page.push(other, 1.0, 0, Metadata::default()).expect("good");
    let groups: Vec<_> = groups_of(&source, &page).iter().map(Group::path).collect();
    assert_eq!(
        groups,
        ["/metrics/job/node/machine/pc", "/metrics/job/other/machine/pc"]
    );
}
