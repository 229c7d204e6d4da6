//! Applying a patch to copies of the files that it touches.

use super::{Patch, PatchError, line_changes, with_line_directives};
use crate::{
    Error,
    build::Build,
    sandbox::Bind,
    workspace::{IN, OUT, TREE},
};
use resplice_target::SANDBOX_SOURCE;
use std::{fmt::Write, fs, path::Path};

/// Applies the patch with `patch --fuzz=0` in the sandbox and gives what has to
/// be bound on top of the source for the post compile. In those files `#line`
/// directives keep the numbers of the lines after each change.
///
/// # Errors
/// If a file does not exist, or the patch does not apply; its words are in the log.
pub async fn apply(build: &Build<'_>, patch: &Patch) -> Result<Vec<Bind>, Error> {
    let workspace = &build.workspace;
    let source = build.target.source_dir();
    for file in patch.files() {
        let bytes = read_source(&source, file)?;
        workspace.write_owned(&format!("tree/{file}"), &bytes)?;
    }
    workspace.write("in/update.patch", patch.text().as_bytes())?;
    workspace.write("in/patch.sh", script(patch)?.as_bytes())?;
    let step = workspace.patch_step("patch", vec!["sh".to_owned(), format!("{IN}/patch.sh")]);
    build
        .run(&step, "the patch does not apply to this kernel's source")
        .await?;
    let mut binds = Vec::new();
    for (index, file) in patch.sources().enumerate() {
        let text = workspace.read("out", &format!("{index}.post.c"))?;
        let diff = workspace.read("out", &format!("{index}.diff"))?;
        let changes = line_changes(&diff)
            .map_err(|header| Error::internal(format!("read the differences of {file}"), header))?;
        if changes.is_empty() {
            return Err(Error::Nothing(format!("the patch leaves {file} as it is")));
        }
        let name = format!("post/{index}.c");
        workspace.write(&name, &with_line_directives(&text, &changes))?;
        binds.push(Bind::read_only(
            workspace.path(&name),
            format!("{SANDBOX_SOURCE}/{file}"),
        ));
    }
    Ok(binds)
}

/// `--forward` keeps `patch` from taking a patch that is in already out again.
fn script(patch: &Patch) -> Result<String, Error> {
    let mut script = format!(
        "cd {TREE} || exit 99\n\
         patch -p1 -u --fuzz=0 --batch --forward --no-backup-if-mismatch --reject-file=- \
         -i {IN}/update.patch || exit $?\n"
    );
    for (index, file) in patch.sources().enumerate() {
        let quoted =
            shlex::try_quote(file).map_err(|error| Error::internal("quote a path", error))?;
        // Writing to a string can't fail. diff says 1 for "different".
        let _ = writeln!(
            script,
            "cp {quoted} {OUT}/{index}.post.c || exit 98\n\
             diff -U0 {SANDBOX_SOURCE}/{quoted} {quoted} > {OUT}/{index}.diff || [ $? -eq 1 ] || exit 97"
        );
    }
    Ok(script)
}

/// Reads a file of the kernel's source; no link may lead out of it.
fn read_source(source: &Path, file: &str) -> Result<Vec<u8>, Error> {
    let missing = || {
        Error::Patch(PatchError::NoSuchFile {
            path: file.to_owned(),
        })
    };
    let root = source.canonicalize().map_err(Error::file("find", source))?;
    let path = root.join(file).canonicalize().map_err(|_| missing())?;
    if !path.starts_with(&root) || !path.is_file() {
        return Err(missing());
    }
    fs::read(&path).map_err(Error::file("read", &path))
}
