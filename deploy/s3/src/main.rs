//! `resplice-s3`: the store of a trial on one machine.

#![forbid(unsafe_code)]

use anyhow::{Context, Result};
use clap::Parser;
use resplice_s3::{Credentials, serve};
use std::{
    net::SocketAddr,
    path::{Component, Path, PathBuf},
};
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
};

/// An S3 server over a directory, for trials
#[derive(Debug, Parser)]
#[command(name = "resplice-s3", version)]
struct Cli {
    /// Directory of the buckets
    #[arg(long, value_name = "DIR")]
    root: PathBuf,
    /// The bucket to make if there is none
    #[arg(long, value_name = "NAME", value_parser = bucket)]
    bucket: String,
    /// File with access_key_id and secret_access_key as TOML, mode 0600
    #[arg(long, value_name = "FILE")]
    credentials_file: PathBuf,
    /// Address and port
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:9000")]
    listen: SocketAddr,
}

/// One name below the root, and nothing above it.
fn bucket(text: &str) -> Result<String, String> {
    let mut parts = Path::new(text).components();
    match (parts.next(), parts.next()) {
        (Some(Component::Normal(_)), None) => Ok(text.to_owned()),
        _ => Err("must be one name".to_owned()),
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    let cli = Cli::parse();
    let credentials = Credentials::from_file(&cli.credentials_file)?;
    let listener = TcpListener::bind(cli.listen)
        .await
        .with_context(|| format!("listen on {}", cli.listen))?;
    println!("listening on http://{}", listener.local_addr()?);
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        done = serve(listener, &cli.root, &cli.bucket, &credentials) => done,
        _ = terminate.recv() => Ok(()),
        interrupted = tokio::signal::ctrl_c() => interrupted.context("wait for signals"),
    }
}
