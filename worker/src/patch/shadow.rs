//! Directories in which a patch adds or removes files.
//!
//! A file can be bound over another, but not where there is none. So the whole
//! directory is copied, changed, and bound over the original; what lies in
//! directories below stays where it is.

use crate::{Error, sandbox::Bind, workspace::Workspace};
use resplice_target::SANDBOX_SOURCE;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

/// What is added and removed.
#[derive(Debug, Default)]
pub struct Shadows {
    added: BTreeMap<String, Vec<u8>>,
    removed: BTreeSet<String>,
}

impl Shadows {
    /// A file that is new.
    pub fn add(&mut self, file: &str, text: &[u8]) {
        self.added.insert(file.to_owned(), text.to_vec());
    }

    /// A file that is gone.
    pub fn remove(&mut self, file: &str) {
        self.removed.insert(file.to_owned());
    }

    /// Makes the directories, below `post/` of the workspace.
    ///
    /// # Errors
    /// If files can't be copied.
    pub fn binds(&self, workspace: &Workspace, source: &Path) -> Result<Vec<Bind>, Error> {
        let directories: BTreeSet<&str> = self
            .added
            .keys()
            .chain(&self.removed)
            .map(|file| existing(source, file))
            .collect();
        let mut binds = Vec::new();
        for (index, directory) in directories.into_iter().enumerate() {
            let name = format!("post/shadow-{index}");
            let copy = workspace.path(&name);
            fs::create_dir(&copy).map_err(Error::file("make", &copy))?;
            let guest = format!("{SANDBOX_SOURCE}/{directory}");
            binds.push(Bind::read_only(&copy, guest.trim_end_matches('/')));
            let original = source.join(directory);
            for entry in fs::read_dir(&original).map_err(Error::file("list", &original))? {
                let entry = entry.map_err(Error::file("list", &original))?;
                let (from, to) = (entry.path(), copy.join(entry.file_name()));
                let kind = entry.file_type().map_err(Error::file("inspect", &from))?;
                if kind.is_dir() {
                    fs::create_dir(&to).map_err(Error::file("make", &to))?;
                    let below = format!("{guest}/{}", entry.file_name().to_string_lossy());
                    binds.push(Bind::read_only(from, below));
                } else if kind.is_symlink() {
                    let target = fs::read_link(&from).map_err(Error::file("read", &from))?;
                    std::os::unix::fs::symlink(target, &to).map_err(Error::file("link", &to))?;
                } else {
                    fs::copy(&from, &to).map_err(Error::file("copy", &from))?;
                }
            }
            for file in &self.removed {
                if existing(source, file) == directory {
                    let gone = copy.join(below(directory, file));
                    fs::remove_file(&gone).map_err(Error::file("remove", &gone))?;
                }
            }
            for (file, text) in &self.added {
                if existing(source, file) == directory {
                    workspace.write(&format!("{name}/{}", below(directory, file)), text)?;
                }
            }
        }
        Ok(binds)
    }
}

/// The nearest directory above a file that the source has.
fn existing<'a>(source: &Path, file: &'a str) -> &'a str {
    let mut path = file;
    while let Some((directory, _)) = path.rsplit_once('/') {
        if source.join(directory).is_dir() {
            return directory;
        }
        path = directory;
    }
    ""
}

fn below<'a>(directory: &str, file: &'a str) -> &'a str {
    file.strip_prefix(directory)
        .unwrap_or(file)
        .trim_start_matches('/')
}
