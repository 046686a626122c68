//! Queries that come with the exporter, in the format of the user's own.

/// Names and texts.
const PACKS: [(&str, &str); 3] = [
    ("litellm", include_str!("../packs/litellm.toml")),
    ("signal-queue", include_str!("../packs/signal-queue.toml")),
    ("business", include_str!("../packs/business.toml")),
];

/// The text of a pack.
pub(crate) fn text(name: &str) -> Option<&'static str> {
    PACKS
        .iter()
        .find(|(pack, _)| *pack == name)
        .map(|(_, text)| *text)
}

/// All names, for errors.
pub(crate) fn names() -> String {
    PACKS.map(|(name, _)| name).join(", ")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use crate::dsn::Dialect;
    use crate::queries;

    #[test]
    fn every_pack_reads_and_serves_postgres() {
        for (name, text) in super::PACKS {
            let queries = queries::parse(text, name, Dialect::Postgres, &BTreeMap::new())
                .unwrap_or_else(|error| panic!("{name}: {error:#}"));
            assert!(!queries.is_empty(), "{name}");
        }
    }
}
