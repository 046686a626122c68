//! Single values from a page in the Prometheus text format; enough for the services' own counters.

/// The value of the series without labels.
pub(crate) fn value(page: &str, name: &str) -> Option<f64> {
    page.lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.trim().parse().ok())
}

/// The sum over all series of a metric that have the label value; 0 when there are none.
pub(crate) fn sum(page: &str, name: &str, label: &str) -> f64 {
    page.lines()
        .filter_map(|line| line.strip_prefix(name)?.strip_prefix('{')?.rsplit_once("} "))
        .filter(|(labels, _)| labels.contains(label))
        .filter_map(|(_, value)| value.trim().parse::<f64>().ok())
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "# HELP a_total Things.\na_total{integration=\"slack\",reason=\"x\"} 2\n\
                        a_total{integration=\"slack\",reason=\"y\"} 3\na_total{integration=\"webhook\"} 7\n\
                        a_total_more{integration=\"slack\"} 100\nready 1\nready_at 1.5e+09\n";

    #[test]
    fn sums_the_series_of_one_label_value_and_of_no_other_metric() {
        assert!((sum(PAGE, "a_total", "integration=\"slack\"") - 5.0).abs() < f64::EPSILON);
        assert!(sum(PAGE, "a_total", "integration=\"email\"").abs() < f64::EPSILON);
    }

    #[test]
    fn a_name_that_begins_the_same_is_another_metric() {
        assert_eq!(value(PAGE, "ready"), Some(1.0));
        assert_eq!(value(PAGE, "ready_at"), Some(1.5e9));
        assert_eq!(value(PAGE, "absent"), None);
    }
}
