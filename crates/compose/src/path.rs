//! Where in a document: keys joined by dots, items of lists by their number from 0.

/// The path of `key` in the map at `path`.
pub(crate) fn key(path: &str, key: &str) -> String {
    if path.is_empty() {
        key.to_owned()
    } else {
        format!("{path}.{key}")
    }
}

/// The path of the item number `index` of the list at `path`.
pub(crate) fn item(path: &str, index: usize) -> String {
    format!("{path}[{index}]")
}
