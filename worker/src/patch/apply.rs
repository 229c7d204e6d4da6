//! Applying a patch to copies of the files that it touches.

use super::{
    Patch, PatchError, line_changes, shadow::Shadows, with_line_directives, without_effect,
};
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
        if let Some(reason) = without_effect(file) {
            build.log.line(&format!("{file} has no effect: {reason}"));
        }
        if patch.added().contains(file) {
            if source.join(file).exists() && !patch.deleted().contains(file) {
                return Err(Error::Patch(PatchError::Refused {
                    code: "new-file",
                    path: file.clone(),
                    reason: "this kernel's source has that file already".to_owned(),
                }));
            }
            continue;
        }
        let bytes = read_source(&source, file)?;
        workspace.write_owned(&format!("tree/{file}"), &bytes)?;
    }
    workspace.write("in/update.patch", patch.text().as_bytes())?;
    workspace.write("in/patch.sh", script(patch)?.as_bytes())?;
    let step = workspace.patch_step("patch", vec!["sh".to_owned(), format!("{IN}/patch.sh")]);
    build
        .run(&step, "the patch does not apply to this kernel's source")
        .await?;
    let mut shadows = Shadows::default();
    let mut files = Vec::new();
    let mut texts = Vec::new();
    for (index, file) in patch.sources().enumerate() {
        let there = workspace.has_output(&format!("{index}.post"));
        if !there {
            shadows.remove(file);
            continue;
        }
        let text = workspace.read("out", &format!("{index}.post"))?;
        if patch.added().contains(file) {
            shadows.add(file, &text);
            texts.push(text);
            continue;
        }
        let diff = workspace.read("out", &format!("{index}.diff"))?;
        let changes = line_changes(&diff)
            .map_err(|header| Error::internal(format!("read the differences of {file}"), header))?;
        if changes.is_empty() {
            return Err(Error::Nothing(format!("the patch leaves {file} as it is")));
        }
        let name = format!("post/{index}");
        workspace.write(&name, &with_line_directives(&text, &changes))?;
        files.push(Bind::read_only(
            workspace.path(&name),
            format!("{SANDBOX_SOURCE}/{file}"),
        ));
        texts.push(text);
    }
    for file in patch.added() {
        check_added(file, &texts)?;
    }
    let mut binds = shadows.binds(workspace, &source)?;
    binds.extend(files);
    Ok(binds)
}

/// Only a makefile can have a new unit compiled; what another file includes
/// needs none.
fn check_added(file: &str, texts: &[Vec<u8>]) -> Result<(), Error> {
    let name = file.rsplit('/').next().unwrap_or(file);
    let unit = without_effect(file).is_none() && !file.ends_with(".h");
    let included = |text: &Vec<u8>| {
        let text = String::from_utf8_lossy(text);
        text.lines().any(|line| {
            let line = line.trim_start();
            line.starts_with('#')
                && line.contains("include")
                && (line.contains(&format!("{name}\"")) || line.contains(&format!("{name}>")))
        })
    };
    if unit && !texts.iter().any(included) {
        return Err(Error::Patch(PatchError::Refused {
            code: "new-file",
            path: file.to_owned(),
            reason: "a new unit needs a changed makefile; put its code into an existing file, \
                     or include it from one"
                .to_owned(),
        }));
    }
    Ok(())
}

/// The text of a unit with the patch that [`apply`] has applied.
///
/// # Errors
/// If it can't be read.
pub fn post_text(build: &Build<'_>, patch: &Patch, unit: &str) -> Result<String, Error> {
    let bytes = match patch.sources().position(|file| file == unit) {
        Some(index) => build.workspace.read("out", &format!("{index}.post"))?,
        None => read_source(&build.target.source_dir(), unit)?,
    };
    Ok(String::from_utf8_lossy(&bytes).into_owned())
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
            "if [ -f {quoted} ]; then cp {quoted} {OUT}/{index}.post || exit 98; \
             if [ -f {SANDBOX_SOURCE}/{quoted} ]; then \
             diff -U0 {SANDBOX_SOURCE}/{quoted} {quoted} > {OUT}/{index}.diff || [ $? -eq 1 ] || exit 97; \
             fi; fi"
        );
    }
    Ok(script)
}

/// Reads a file of the kernel's source; no link may lead out of it.
pub(super) fn read_source(source: &Path, file: &str) -> Result<Vec<u8>, Error> {
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
