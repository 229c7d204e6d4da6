//! The client as the conformance suite of The Update Framework runs it.
//!
//! ```text
//! tuf-shim --metadata-dir D init ROOT
//! tuf-shim --metadata-dir D --metadata-url U refresh
//! tuf-shim --metadata-dir D --metadata-url U --target-name N --target-base-url B --target-dir T download
//! ```
#![forbid(unsafe_code)]

use resplice_tuf::{Client, Error, Store, client, http::Http};
use std::{
    collections::BTreeMap,
    error::Error as StdError,
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

type Outcome = Result<(), Box<dyn StdError>>;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("tuf-shim: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Outcome {
    let mut options = BTreeMap::new();
    let mut words = Vec::new();
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.strip_prefix("--") {
            Some(name) => {
                let value = arguments.next().ok_or(format!("--{name} needs a value"))?;
                options.insert(name.to_owned(), value);
            }
            None => words.push(argument),
        }
    }
    let option = |name: &str| options.get(name).ok_or(format!("--{name} is needed"));
    let store = Store::open(Path::new(option("metadata-dir")?))?;
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["init", root] => Ok(client::begin(&store, &fs::read(root)?)?),
        ["refresh"] => {
            let url = option("metadata-url")?;
            Client::new(store, Http::new(url, url)?).refresh()?;
            Ok(())
        }
        ["download"] => {
            let fetch = Http::new(option("metadata-url")?, option("target-base-url")?)?;
            let client = Client::new(store, fetch);
            download(
                client,
                option("target-name")?,
                Path::new(option("target-dir")?),
            )
        }
        _ => Err("init ROOT, refresh or download".into()),
    }
}

/// Downloads a target, unless it lies there already.
fn download(mut client: Client<Http>, name: &str, directory: &Path) -> Outcome {
    let trusted = client.refresh()?;
    let target = client.find(&trusted, name)?;
    let path = directory.join(file_name(name)?);
    if fs::read(&path).is_ok_and(|bytes| target.check(&bytes).is_ok()) {
        return Ok(());
    }
    let bytes = client.download(&trusted, &target)?;
    let new = path.with_extension("new");
    fs::write(&new, bytes)?;
    fs::rename(&new, &path)?;
    Ok(())
}

/// One flat name for each target.
fn file_name(name: &str) -> Result<PathBuf, Error> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    let mut flat = String::from("target-");
    for c in name.chars() {
        match plain(c) {
            true => flat.push(c),
            false => flat.push_str(&format!("%{:x}%", u32::from(c))),
        }
    }
    match flat.len() {
        0..=240 => Ok(PathBuf::from(flat)),
        _ => Err(Error::Name {
            name: name.to_owned(),
        }),
    }
}
