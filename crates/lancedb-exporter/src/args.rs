//! The exporter's own flags.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, ensure};

/// Where a database of `--lancedb.uri` may be.
const SCHEMES: [&str; 5] = ["s3", "gs", "az", "abfss", "file"];

/// Flags beside those that every exporter has.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Args {
    /// A folder of LanceDB tables, the one that applications connect to; may be repeated
    // As text, since an environment variable that is set to nothing names no folder.
    #[arg(long = "lancedb.path", value_name = "DIR", value_delimiter = ',')]
    paths: Vec<OsString>,

    /// How often the folders are looked at between scrapes, so that no version escapes: a number with s, m or h
    #[arg(long = "watch.interval", value_name = "TIME", default_value = "10s", value_parser = duration)]
    pub(crate) watch_interval: Duration,

    /// How often the files of all tables are measured
    #[arg(long = "disk.interval", value_name = "TIME", default_value = "5m", value_parser = duration)]
    pub(crate) disk_interval: Duration,

    /// A database in an object store (s3, gs, az, abfss) or with namespaces (file); may be repeated; feature `engine`
    #[arg(long = "lancedb.uri", value_name = "URI", value_delimiter = ',')]
    uris: Vec<String>,

    /// How often the tables of --lancedb.uri are read; feature `engine`
    #[arg(long = "lancedb.interval", value_name = "TIME", default_value = "1m", value_parser = duration)]
    pub(crate) store_interval: Duration,

    /// How often a search is timed in each table with vectors, never unless given; feature `engine`
    #[arg(long = "probe.interval", value_name = "TIME", value_parser = duration)]
    pub(crate) probe_interval: Option<Duration>,
}

/// A database, its name, and what stands in front of the names of its tables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Named<Place> {
    pub(crate) name: String,
    pub(crate) prefix: String,
    pub(crate) place: Place,
}

/// All databases.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Databases {
    pub(crate) folders: Vec<Named<PathBuf>>,
    /// Addresses that only the library can read.
    pub(crate) stores: Vec<Named<String>>,
}

impl Args {
    /// The databases. Tables of several databases carry the name of their folder.
    pub(crate) fn databases(&self) -> anyhow::Result<Databases> {
        let paths: Vec<&Path> = self
            .paths
            .iter()
            .filter(|path| !path.is_empty())
            .map(Path::new)
            .collect();
        let uris: Vec<&String> = self.uris.iter().filter(|uri| !uri.is_empty()).collect();
        let several = paths.len() + uris.len() > 1;
        let mut databases = Databases::default();
        for path in paths {
            databases.folders.push(named_folder(path, several)?);
        }
        for uri in uris {
            databases.stores.push(named_store(uri, several)?);
        }
        let names = databases.folders.iter().map(|folder| &folder.name);
        let mut names: Vec<&String> = names
            .chain(databases.stores.iter().map(|store| &store.name))
            .collect();
        names.sort_unstable();
        let twice = names.windows(2).find_map(|pair| match pair {
            [one, other] if one == other => Some(one),
            _ => None,
        });
        if let Some(name) = twice {
            anyhow::bail!(
                "--lancedb.path, --lancedb.uri: two databases are called {name}, so their tables cannot be told apart; \
                 watch one of them with a second exporter"
            );
        }
        Ok(databases)
    }
}

fn named_folder(path: &Path, several: bool) -> anyhow::Result<Named<PathBuf>> {
    ensure!(
        path.extension().is_none_or(|extension| extension != "lance"),
        "--lancedb.path {}: this is a table; give the folder that holds it",
        path.display()
    );
    let name = path
        .file_name()
        .map_or_else(|| path.display().to_string(), |name| name.display().to_string());
    Ok(named(name, path.into(), several))
}

fn named_store(uri: &str, several: bool) -> anyhow::Result<Named<String>> {
    let (scheme, rest) = uri
        .split_once("://")
        .filter(|(scheme, _)| SCHEMES.contains(scheme))
        .with_context(|| {
            format!("--lancedb.uri {uri}: not an address that begins with s3://, gs://, az://, abfss:// or file://")
        })?;
    let last = rest.trim_end_matches('/').rsplit('/').next();
    let name = last
        .filter(|name| !name.is_empty())
        .with_context(|| format!("--lancedb.uri {uri}: names no bucket and no folder"))?;
    ensure!(
        name.strip_suffix(".lance").is_none(),
        "--lancedb.uri {uri}: this is a table; give the address of what holds it"
    );
    // The library makes a folder that is missing, and looks for one whose name it has not decoded.
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-".contains(c);
    ensure!(
        scheme != "file" || (rest.starts_with('/') && rest.chars().all(is_plain)),
        "--lancedb.uri {uri}: give the absolute path, of letters, digits and . _ - only, or use --lancedb.path"
    );
    Ok(named(name.to_owned(), uri.to_owned(), several))
}

fn named<Place>(name: String, place: Place, several: bool) -> Named<Place> {
    let prefix = if several {
        format!("{name}/")
    } else {
        String::new()
    };
    Named { name, prefix, place }
}

fn duration(text: &str) -> Result<Duration, String> {
    let unit = |letter| match letter {
        's' => Some(1),
        'm' => Some(60),
        'h' => Some(3600),
        _ => None,
    };
    let seconds = text
        .chars()
        .next_back()
        .and_then(unit)
        .zip(text.get(..text.len().saturating_sub(1)))
        .and_then(|(unit, number)| number.parse::<u64>().ok()?.checked_mul(unit))
        .filter(|seconds| (1..=86_400).contains(seconds));
    seconds
        .map(Duration::from_secs)
        .ok_or_else(|| "not a time from 1s to 24h, such as 5m".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(paths: &[&str], uris: &[&str]) -> Args {
        Args {
            paths: paths.iter().map(OsString::from).collect(),
            watch_interval: Duration::from_secs(1),
            disk_interval: Duration::from_secs(1),
            uris: uris.iter().map(|uri| (*uri).to_owned()).collect(),
            store_interval: Duration::from_secs(1),
            probe_interval: None,
        }
    }

    #[test]
    fn times_have_a_unit() {
        assert_eq!(duration("90s"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("5m"), Ok(Duration::from_mins(5)));
        assert_eq!(duration("24h"), Ok(Duration::from_hours(24)));
        for wrong in [
            "",
            "5",
            "m",
            "0s",
            "25h",
            "5d",
            "-1s",
            "1.5m",
            "5µ",
            "99999999999999999h",
        ] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn several_databases_name_their_folder() {
        let only = args(&["/srv/brain"], &[""]).databases().expect("one");
        assert_eq!(only.folders[0].prefix, "");
        assert_eq!(only.folders[0].name, "brain");
        assert_eq!(args(&[""], &[]).databases().expect("none"), Databases::default());
        let both = args(&["/srv/brain"], &["s3://bucket/notes/"])
            .databases()
            .expect("two");
        assert_eq!(both.folders[0].prefix, "brain/");
        assert_eq!(both.stores[0].prefix, "notes/");
        assert_eq!(
            args(&[], &["gs://bucket"]).databases().expect("one").stores[0].name,
            "bucket"
        );
    }

    #[test]
    fn what_cannot_be_a_database_is_refused() {
        for (paths, uris, why) in [
            (
                &["/a/brain", "/b/brain"][..],
                &[][..],
                "two databases are called brain",
            ),
            (&["/a/brain"], &["s3://b/brain"], "two databases are called brain"),
            (&["/srv/brain/events.lance"], &[], "give the folder that holds it"),
            (
                &[],
                &["s3://b/brain/events.lance"],
                "give the address of what holds it",
            ),
            (&[], &["db://cloud"], "not an address that begins with s3://"),
            (&[], &["/srv/brain"], "not an address that begins with s3://"),
            (&[], &["s3://"], "names no bucket"),
            (&[], &["file:///srv/my brain"], "or use --lancedb.path"),
            (&[], &["file:///srv/br%61in"], "or use --lancedb.path"),
            (&[], &["file://srv/brain"], "give the absolute path"),
        ] {
            let error = args(paths, uris).databases().expect_err(why).to_string();
            assert!(error.contains(why), "{error}");
        }
    }
}
