//! Compiling translation units: as the kernel was shipped, before and after.
//!
//! kbuild says once for each target how every unit is compiled ([`Index`]); from
//! then on the compiler is called directly, since `make X.o` costs 1.3 s of make
//! around each. What does not depend on the patch is kept ([`Objects`]).

mod declarations;
mod difference;
mod includes;
mod index;
mod jobs;
mod kbuild;
mod objects;
mod opened;
mod replay;
mod tokens;
mod units;

pub use index::{Index, Unit};
pub(crate) use jobs::quote;
pub use objects::Objects;
pub use replay::{KernelObject, Replay, ReplayError};
pub use units::units;

use crate::{Error, build::Build, sandbox::Bind};
use jobs::{Job, kept, patched_objects};
use resplice_objdiff::elf::loads_alike;

/// Why there is no update if no object differs.
pub(crate) const NO_CODE: &str = "the patch changes no object code of this kernel";

/// A unit, compiled just as the kernel was.
#[derive(Debug, Clone)]
pub struct Reference {
    /// The source file, relative to the source tree.
    pub unit: String,
    /// The kernel objects that the unit is linked into; seldom more than one.
    pub kernel_objects: Vec<KernelObject>,
    /// The object file's bytes.
    pub object: Vec<u8>,
    /// How it was compiled.
    pub replay: Replay,
}

/// Which source a unit is compiled from again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The untouched source.
    Pre,
    /// The patched source.
    Post,
}

impl Side {
    /// `pre` or `post`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pre => "pre",
            Self::Post => "post",
        }
    }
}

/// Compiles units as the kernel was, or takes them from the cache.
///
/// # Errors
/// If this kernel has no such unit, or one does not compile, or is compiled in
/// a way that can't be repeated.
pub async fn reference(build: &Build<'_>, units: &[String]) -> Result<Vec<Reference>, Error> {
    let index = Index::load(build).await?;
    let mut replays = Vec::new();
    for unit in units {
        replays.push((unit, linked(&index, unit)?));
    }
    let jobs: Vec<Job<'_>> = replays
        .iter()
        .map(|(unit, (replay, _))| Job { unit, replay })
        .collect();
    let objects = kept(build, &jobs, true).await?;
    Ok(replays
        .into_iter()
        .zip(objects)
        .map(|((unit, (replay, kernel_objects)), object)| Reference {
            unit: unit.clone(),
            kernel_objects,
            object,
            replay,
        })
        .collect())
}

/// How a unit is compiled, and the kernel objects that it is linked into.
fn linked(index: &Index, unit: &str) -> Result<(Replay, Vec<KernelObject>), Error> {
    let mut linked = index
        .of_source(unit)
        .filter(|object| !object.links.is_empty());
    let (Some(object), None) = (linked.next(), linked.next()) else {
        return Err(Error::Refused(format!(
            "not-built: {unit} is not compiled into exactly one object of this kernel"
        )));
    };
    let replay = index
        .replay(object)
        .map_err(|error| Error::internal(format!("compile {unit}"), error))?;
    let mut linked: Vec<KernelObject> = object
        .links
        .iter()
        .map(|link| match link.strip_prefix("module ") {
            Some(name) => KernelObject::Module(name.to_owned()),
            None => KernelObject::Vmlinux,
        })
        .collect();
    linked.sort();
    let mut compiled = replay.kernel_objects().to_vec();
    compiled.sort();
    if compiled != linked {
        let names = |objects: &[KernelObject]| {
            let names: Vec<&str> = objects.iter().map(KernelObject::name).collect();
            names.join(" and ")
        };
        return Err(Error::internal(
            format!("compile {unit}"),
            format!(
                "it is compiled for {} but linked into {}",
                names(&compiled),
                names(&linked)
            ),
        ));
    }
    Ok((replay, linked))
}

/// Compiles units again, each function and each variable in a section of its
/// own. `patched` lies on top of the source, and may use the headers for patch
/// authors. What comes before the patch is
/// taken from the cache if it is there.
///
/// # Errors
/// If one does not compile; the compiler's words are in the log.
pub async fn again(
    build: &Build<'_>,
    side: Side,
    references: &[Reference],
    patched: &[Bind],
) -> Result<Vec<Vec<u8>>, Error> {
    let jobs: Vec<Job<'_>> = references
        .iter()
        .map(|reference| Job {
            unit: &reference.unit,
            replay: &reference.replay,
        })
        .collect();
    if side == Side::Pre {
        return kept(build, &jobs, false).await;
    }
    patched_objects(build, &jobs, patched).await
}

/// Units whose objects a patch changes.
#[derive(Debug, Clone, Default)]
pub struct Changed {
    /// As the kernel was shipped.
    pub references: Vec<Reference>,
    /// Before the patch, for each of the references.
    pub pre: Vec<Vec<u8>>,
    /// After it.
    pub post: Vec<Vec<u8>>,
    /// Units of which only the debug information is different: what they do
    /// with a type counts.
    pub witnesses: Vec<Witness>,
}

/// A unit that knows what changed, but whose code does not.
#[derive(Debug, Clone)]
pub struct Witness {
    /// The source file, relative to the source tree.
    pub unit: String,
    /// Before the patch.
    pub pre: Vec<u8>,
    /// After it.
    pub post: Vec<u8>,
}

/// Compiles units before and after, and leaves out those whose code does not
/// change: nobody has to match or to replace anything in them.
///
/// # Errors
/// [`Error::Nothing`] if none is left; see [`reference`] and [`again`].
pub async fn changed(
    build: &Build<'_>,
    units: &[String],
    patched: &[Bind],
) -> Result<Changed, Error> {
    let index = Index::load(build).await?;
    let mut replays = Vec::new();
    for unit in units {
        replays.push((unit, linked(&index, unit)?));
    }
    let jobs: Vec<Job<'_>> = replays
        .iter()
        .map(|(unit, (replay, _))| Job { unit, replay })
        .collect();
    let pre = kept(build, &jobs, false).await?;
    let post = patched_objects(build, &jobs, patched).await?;
    let mut left = Vec::new();
    let mut changed = Changed::default();
    for (job, (pre, post)) in jobs.into_iter().zip(pre.into_iter().zip(post)) {
        let alike = loads_alike(&pre, &post)
            .map_err(|error| Error::internal(format!("compare {}", job.unit), error))?;
        if alike {
            build
                .log
                .line(&format!("{} compiles to the same code", job.unit));
            if pre != post {
                let unit = job.unit.to_owned();
                changed.witnesses.push(Witness { unit, pre, post });
            }
        } else {
            left.push((job, pre, post));
        }
    }
    if left.is_empty() {
        // That pre loads as post does is what differencing has found.
        let nothing = async { Err(Error::Nothing(NO_CODE.to_owned())) };
        return build.stage("diff", nothing).await;
    }
    let jobs: Vec<Job<'_>> = left.iter().map(|(job, ..)| Job { ..*job }).collect();
    let objects = kept(build, &jobs, true).await?;
    for ((job, pre, post), object) in left.into_iter().zip(objects) {
        let (replay, kernel_objects) = linked(&index, job.unit)?;
        changed.references.push(Reference {
            unit: job.unit.to_owned(),
            kernel_objects,
            object,
            replay,
        });
        changed.pre.push(pre);
        changed.post.push(post);
    }
    Ok(changed)
}
