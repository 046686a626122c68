//! A database as the library reaches it.

use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use lance_namespace::models::ListNamespacesRequest;
use lancedb::{Connection, ObjectStoreRegistry, Session, Table};
use tokio::runtime::Runtime;

use crate::args::Named;

/// For each answer of the library.
pub(super) const DEADLINE: Duration = Duration::from_secs(30);
/// What the library may keep in memory; its own defaults are gigabytes.
const INDEX_CACHE: usize = 32 << 20;
const METADATA_CACHE: usize = 16 << 20;
/// Namespaces within namespaces are followed so far.
const DEPTH: usize = 8;

/// The library, with the threads and caches of one timer.
pub(super) struct Client {
    runtime: Runtime,
    session: Arc<Session>,
}

/// Where a database is.
#[derive(Clone, Debug)]
pub(super) struct Store {
    pub(super) name: String,
    prefix: String,
    address: String,
    /// Must be there before the library is asked.
    folder: Option<PathBuf>,
}

/// A table, and how it is called here.
pub(super) struct Place {
    pub(super) label: String,
    name: String,
    namespace: Vec<String>,
}

impl Client {
    pub(super) fn new() -> anyhow::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .context("start the library's threads")?;
        let session = Session::new(
            INDEX_CACHE,
            METADATA_CACHE,
            Arc::new(ObjectStoreRegistry::default()),
        );
        Ok(Self {
            runtime,
            session: Arc::new(session),
        })
    }

    pub(super) fn run<T>(&self, future: impl Future<Output = T>) -> T {
        self.runtime.block_on(future)
    }
}

/// The library did not answer; asking it for more of the same database would only take as long again.
#[derive(Debug, thiserror::Error)]
#[error("no answer within {} s", DEADLINE.as_secs())]
pub(super) struct NoAnswer;

/// Gives up after the deadline.
pub(super) async fn in_time<T, E>(answer: impl Future<Output = Result<T, E>>) -> anyhow::Result<T>
where
    anyhow::Error: From<E>,
{
    match tokio::time::timeout(DEADLINE, answer).await {
        Ok(answer) => Ok(answer?),
        Err(_) => Err(NoAnswer.into()),
    }
}

impl Store {
    pub(super) fn at_address(named: &Named<String>) -> Self {
        let folder = named.place.strip_prefix("file://").map(PathBuf::from);
        Self::new(named, named.place.clone(), folder)
    }

    pub(super) fn in_folder(named: &Named<PathBuf>) -> Self {
        // Without a scheme, and absolute: the library takes what begins with `db` for its cloud.
        let folder = std::path::absolute(&named.place).unwrap_or_else(|_| named.place.clone());
        Self::new(named, folder.to_string_lossy().into_owned(), Some(folder))
    }

    fn new<Place>(named: &Named<Place>, address: String, folder: Option<PathBuf>) -> Self {
        Self {
            name: named.name.clone(),
            prefix: named.prefix.clone(),
            address,
            folder,
        }
    }

    /// Connects anew, so that what was created or changed elsewhere is seen.
    pub(super) async fn connect(&self, client: &Client) -> anyhow::Result<Connection> {
        if let Some(folder) = &self.folder {
            ensure!(folder.is_dir(), "no such folder");
        }
        let connecting = lancedb::connect(&self.address).session(Arc::clone(&client.session));
        in_time(connecting.execute()).await
    }

    /// All tables, those in namespaces too.
    pub(super) async fn tables(&self, connection: &Connection) -> anyhow::Result<Vec<Place>> {
        let mut places = Vec::new();
        let mut ahead = vec![Vec::new()];
        while let Some(namespace) = ahead.pop() {
            let names = connection.table_names().namespace(namespace.clone()).execute();
            let names = in_time(names).await.context("list its tables")?;
            places.extend(names.into_iter().map(|name| self.place(name, &namespace)));
            if namespace.len() < DEPTH {
                ahead.extend(children(connection, &namespace).await?);
            }
        }
        Ok(places)
    }

    fn place(&self, name: String, namespace: &[String]) -> Place {
        let parts = namespace.iter().chain([&name]).map(String::as_str);
        let path = parts.collect::<Vec<_>>().join("/");
        Place {
            label: format!("{}{path}", self.prefix),
            name,
            namespace: namespace.to_vec(),
        }
    }
}

async fn children(connection: &Connection, namespace: &[String]) -> anyhow::Result<Vec<Vec<String>>> {
    let mut children = Vec::new();
    let mut page_token = None;
    loop {
        let request = ListNamespacesRequest {
            id: Some(namespace.to_vec()),
            page_token,
            ..ListNamespacesRequest::default()
        };
        let page = in_time(connection.list_namespaces(request))
            .await
            .context("list its namespaces")?;
        children.extend(
            page.namespaces
                .into_iter()
                .map(|name| [namespace, &[name]].concat()),
        );
        page_token = page.page_token.filter(|token| !token.is_empty());
        if page_token.is_none() {
            return Ok(children);
        }
    }
}

impl Place {
    /// The table's newest version; `None` when it is gone, or only half made.
    pub(super) async fn open(&self, connection: &Connection) -> anyhow::Result<Option<Table>> {
        let opening = connection
            .open_table(&self.name)
            .namespace(self.namespace.clone())
            .execute();
        in_time(async {
            match opening.await {
                Err(lancedb::Error::TableNotFound { .. }) => Ok(None),
                opened => opened.map(Some),
            }
        })
        .await
    }
}
