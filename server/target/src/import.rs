//! The way of an import. Each step leaves something whole or nothing; target.json comes last.

use std::fs;
use std::io::Read;
use std::path::Path;

use sha2::{Digest, Sha256};

use crate::archive::{self, PackageFile};
use crate::cache::{Cache, create_dir, remove_tree};
use crate::command::{command, output};
use crate::deb;
use crate::error::{Context, Error, Mismatch};
use crate::id::{Flavour, TargetId};
use crate::image::{self, Banner, Image};
use crate::prepare;
use crate::progress::Progress;
use crate::target::{self, Input, Record, Role, Target};

/// Free space to begin with when the source has to be unpacked, in MiB.
const SPACE_FOR_SOURCE: u64 = 3 * 1024;
/// Free space to begin with when only a flavour is added, in MiB.
const SPACE_FOR_FLAVOUR: u64 = 1024;

pub(crate) fn import(
    cache: &Cache,
    id: &TargetId,
    progress: &dyn Progress,
) -> Result<Target, Error> {
    match Target::load(cache, id) {
        Err(Error::NotImported { .. }) => {}
        loaded => return loaded,
    }
    if id.flavour() == Flavour::Own {
        return Err(Error::NotBuilt {
            target: id.to_string(),
            cache: cache.root().to_owned(),
        });
    }
    let _lock = cache.lock(&format!("target-{}", id.release()), progress)?;
    // Another process may have finished while this one waited.
    match Target::load(cache, id) {
        Err(Error::NotImported { .. }) => {}
        loaded => return loaded,
    }
    let package_version = archive::find(id)?;
    let space = match cache.source(&package_version).exists() {
        true => SPACE_FOR_FLAVOUR,
        false => SPACE_FOR_SOURCE,
    };
    check_space(cache, space)?;
    let inputs = fetch(cache, id, &package_version, progress)?;

    let directory = cache.target(id.release());
    remove_tree(&directory)?;
    create_dir(&directory)?;
    let root = directory.join("root");
    progress.begin(&format!("unpack {}", id.release()), None);
    for input in inputs.iter().filter(|input| input.role != Role::Source) {
        deb::unpack(&cache.debs().join(&input.file), &root)?;
    }
    let depmod = format!("index the modules of {}", id.release());
    output(
        &depmod,
        command("depmod").arg("-b").arg(&root).arg(id.release()),
        "kmod",
    )?;
    progress.end();

    progress.begin(
        &format!("check {} against its compiler", id.release()),
        None,
    );
    let headers = target::headers_dir(&root, id.release());
    let cc_version_text = prepare::compiler_of_config(&headers.join(".config"))?;
    prepare::check_compiler(id.release(), &cc_version_text)?;
    let vmlinux = directory.join("vmlinux");
    let (banner, vmlinux_sha256) = extract(&target::bzimage(&root, id.release()), &vmlinux)?;
    check_banner(id, &package_version, &cc_version_text, &banner, &vmlinux)?;
    progress.end();

    unpack_source(cache, id, &package_version, &inputs, progress)?;
    prepare_tree(
        id,
        (&package_version, &cc_version_text),
        &cache.source(&package_version),
        &headers,
        &directory,
        progress,
    )?;

    Target::create(
        cache,
        Record {
            format: 0,
            id: id.clone(),
            package_version,
            arch: "x86_64".to_owned(),
            cc_version_text,
            banner: banner.text,
            vmlinux_sha256,
            inputs,
        },
    )
}

/// Prepares the build tree in a target's directory.
pub(crate) fn prepare_tree(
    id: &TargetId,
    (package_version, cc_version_text): (&str, &str),
    source: &Path,
    headers: &Path,
    directory: &Path,
    progress: &dyn Progress,
) -> Result<(), Error> {
    progress.begin(&format!("prepare the build tree of {}", id.release()), None);
    let build = directory.join("build");
    create_dir(&build)?;
    let names = (id, package_version, cc_version_text);
    prepare::prepare(names, source, headers, &build)?;
    progress.end();
    Ok(())
}

fn fetch(
    cache: &Cache,
    id: &TargetId,
    package_version: &str,
    progress: &dyn Progress,
) -> Result<Vec<Input>, Error> {
    let [image, headers, common, source] = archive::packages(id);
    let (kbuild, kbuild_version) = archive::find_kbuild(id, package_version)?;
    let wanted = [
        (Role::Image, image, package_version),
        (Role::Headers, headers, package_version),
        (Role::HeadersCommon, common, package_version),
        (Role::Kbuild, kbuild, kbuild_version.as_str()),
        (Role::Source, source, package_version),
    ];
    create_dir(&cache.debs())?;
    wanted
        .into_iter()
        .map(|(role, name, version)| {
            let file = archive::show(&name, version)?;
            let path = deb::fetch(cache, &file, progress)?;
            Ok(input(role, file, &path))
        })
        .collect()
}

fn input(role: Role, package: PackageFile, path: &Path) -> Input {
    Input {
        role,
        name: package.name,
        version: package.version,
        file: path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned(),
        sha256: package.sha256,
        bytes: package.bytes,
    }
}

/// Unpacks the source once per version: into a directory of its own, which is renamed when whole.
fn unpack_source(
    cache: &Cache,
    id: &TargetId,
    package_version: &str,
    inputs: &[Input],
    progress: &dyn Progress,
) -> Result<(), Error> {
    let source = cache.source(package_version);
    let _lock = cache.lock(&format!("source-{package_version}"), progress)?;
    if source.exists() {
        return Ok(());
    }
    progress.begin(&format!("unpack the source of {package_version}"), None);
    let partial = source.with_file_name(format!(".partial-{package_version}"));
    remove_tree(&partial)?;
    for input in inputs.iter().filter(|input| input.role == Role::Source) {
        deb::unpack_source(&cache.debs().join(&input.file), id.series(), &partial)?;
    }
    fs::rename(&partial, &source).context("rename", &partial)?;
    progress.end();
    Ok(())
}

/// Takes the vmlinux out of a bzImage; returns its banner and SHA-256.
pub(crate) fn extract(bzimage: &Path, vmlinux: &Path) -> Result<(Banner, String), Error> {
    let file = fs::File::open(bzimage).context("open", bzimage)?;
    let mut bytes = Vec::new();
    file.take(image::IMAGE_MAX + 1)
        .read_to_end(&mut bytes)
        .context("read", bzimage)?;
    if bytes.len() as u64 > image::IMAGE_MAX {
        return Err(Error::TooLarge {
            what: bzimage.display().to_string(),
            bytes: bytes.len() as u64,
            limit: image::IMAGE_MAX,
        });
    }
    let wrong = |reason: String| Error::Image {
        path: bzimage.to_owned(),
        reason,
    };
    let image = Image::parse(&bytes).map_err(wrong)?;
    let header = image.version().map_err(wrong)?;
    let unpacked = image.vmlinux().map_err(wrong)?;
    let banner = image::banner(&unpacked).map_err(wrong)?;
    let release = header.split(' ').next().unwrap_or_default();
    agree(
        "the releases",
        (format!("the header of {}", bzimage.display()), release),
        ("its vmlinux".to_owned(), &banner.release),
    )?;
    fs::write(vmlinux, &unpacked).context("write", vmlinux)?;
    Ok((banner, hex::encode(Sha256::digest(&unpacked))))
}

pub(crate) fn check_banner(
    id: &TargetId,
    package_version: &str,
    cc_version_text: &str,
    banner: &Banner,
    vmlinux: &Path,
) -> Result<(), Error> {
    let kernel = || format!("the kernel in {}", vmlinux.display());
    agree(
        "the releases",
        (id.to_string(), id.release()),
        (kernel(), &banner.release),
    )?;
    agree(
        "the package versions",
        ("the source package".to_owned(), package_version),
        (kernel(), &banner.package_version),
    )?;
    if banner.text.contains(cc_version_text) {
        return Ok(());
    }
    agree(
        "the compilers",
        ("the configuration".to_owned(), cc_version_text),
        (kernel(), &banner.text),
    )
}

fn agree(what: &'static str, left: (String, &str), right: (String, &str)) -> Result<(), Error> {
    if left.1 == right.1 {
        return Ok(());
    }
    Err(Mismatch {
        what,
        left_name: left.0,
        left: left.1.to_owned(),
        right_name: right.0,
        right: right.1.to_owned(),
        remedy: "these packages do not belong together; run `apt-get update` and import again",
    }
    .into())
}

/// Refuses to begin unless so many MiB are free.
pub(crate) fn check_space(cache: &Cache, needed: u64) -> Result<(), Error> {
    let mut df = command("df");
    let text = output(
        "look at the free space",
        df.args(["-BM", "--output=avail"]).arg(cache.root()),
        "coreutils",
    )?;
    let digits: String = text
        .lines()
        .last()
        .unwrap_or_default()
        .chars()
        .filter(char::is_ascii_digit)
        .collect();
    match digits.parse::<u64>() {
        Ok(available) if available < needed => Err(Error::DiskSpace {
            path: cache.root().to_owned(),
            available,
            needed,
        }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn banner(release: &str, package_version: &str) -> Banner {
        Banner {
            text: format!(
                "Linux version {release} (gcc-12 (Debian 1) 12.2.0) #1 SMP Debian {package_version} (x)"
            ),
            release: release.to_owned(),
            package_version: package_version.to_owned(),
        }
    }

    #[test]
    fn a_kernel_of_another_release_version_or_compiler_is_refused_with_both_values() {
        let id: TargetId = "debian:6.1.0-50-cloud-amd64".parse().unwrap();
        let check = |compiler: &str, banner: Banner| {
            check_banner(&id, "6.1.176-1", compiler, &banner, Path::new("vmlinux"))
                .map_err(|error| error.to_string())
        };
        let same = || banner("6.1.0-50-cloud-amd64", "6.1.176-1");
        assert_eq!(check("gcc-12 (Debian 1) 12.2.0", same()), Ok(()));
        let release = check(
            "gcc-12 (Debian 1) 12.2.0",
            banner("6.1.0-47-cloud-amd64", "6.1.176-1"),
        )
        .unwrap_err();
        assert!(
            release.contains("6.1.0-50-cloud") && release.contains("6.1.0-47-cloud"),
            "{release}"
        );
        let version = check(
            "gcc-12 (Debian 1) 12.2.0",
            banner("6.1.0-50-cloud-amd64", "6.1.170-3"),
        )
        .unwrap_err();
        assert!(
            version.contains("6.1.176-1") && version.contains("6.1.170-3"),
            "{version}"
        );
        let compiler = check("gcc-12 (Debian 2) 12.2.0", same()).unwrap_err();
        assert!(
            compiler.contains("(Debian 1)") && compiler.contains("(Debian 2)"),
            "{compiler}"
        );
    }
}
