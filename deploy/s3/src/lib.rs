//! An S3 server over a directory: a bucket is a directory in it. It is the crate
//! `s3s-fs` behind a listener, for trials and tests; whoever has an S3 store uses
//! that.

#![forbid(unsafe_code)]

use anyhow::{Context, Result, ensure};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto::Builder,
};
use s3s::{auth::SimpleAuth, service::S3ServiceBuilder};
use s3s_fs::FileSystem;
use serde::Deserialize;
use std::{
    fs::{self, File},
    io::Read,
    os::unix::fs::MetadataExt,
    path::Path,
    time::Duration,
};
use tokio::net::TcpListener;

/// More than credentials need.
const CREDENTIALS_MAX: u64 = 4096;
/// Before the next connection is tried when one could not be accepted.
const PAUSE: Duration = Duration::from_millis(100);

/// The one key that is let in.
#[derive(Deserialize)]
pub struct Credentials {
    /// Its name.
    pub access_key_id: String,
    /// What requests are signed with.
    pub secret_access_key: String,
}

impl Credentials {
    /// Reads the file that `resplice-server` is given, too.
    ///
    /// # Errors
    /// If it can't be read, others may read it, or it is not of that form.
    pub fn from_file(path: &Path) -> Result<Self> {
        let what = || format!("read the credentials in {}", path.display());
        let file = File::open(path).with_context(what)?;
        let mode = file.metadata().with_context(what)?.mode();
        ensure!(
            mode & 0o077 == 0,
            "{}: others may read the credentials; chmod 0600",
            path.display()
        );
        let mut text = String::new();
        file.take(CREDENTIALS_MAX)
            .read_to_string(&mut text)
            .with_context(what)?;
        // The parser's words would show what it has read.
        toml::from_str(&text).ok().with_context(|| {
            format!(
                "{}: access_key_id and secret_access_key have to be set",
                path.display()
            )
        })
    }
}

/// Serves `root` with one bucket, which is made if need be, for as long as it is polled.
///
/// # Errors
/// If the directory can't be used.
pub async fn serve(
    listener: TcpListener,
    root: &Path,
    bucket: &str,
    credentials: &Credentials,
) -> Result<()> {
    let place = root.join(bucket);
    fs::create_dir_all(&place).with_context(|| format!("make {}", place.display()))?;
    let files = FileSystem::new(root)
        .map_err(|error| anyhow::anyhow!("use {}: {error:?}", root.display()))?;
    let mut builder = S3ServiceBuilder::new(files);
    builder.set_auth(SimpleAuth::from_single(
        credentials.access_key_id.as_str(),
        credentials.secret_access_key.as_str(),
    ));
    let service = builder.build();
    loop {
        // Too many open files, say: that passes.
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(PAUSE).await;
            continue;
        };
        let service = service.clone();
        tokio::spawn(async move {
            let builder = Builder::new(TokioExecutor::new());
            let connection = builder.serve_connection(TokioIo::new(stream), service);
            let _ = connection.await;
        });
    }
}
