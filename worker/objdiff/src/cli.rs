//! Commands of `resplice-objdiff`.

mod diff;
mod semantic;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::str::FromStr;

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};
use resplice_objdiff::elf::Object;
use resplice_objdiff::filematch::{KernelFile, ModuleFile, Target, match_file};
use resplice_objdiff::image::ImageBuilder;

#[derive(Parser)]
#[command(
    name = "resplice-objdiff",
    version,
    about = "Differencing and matching of kernel objects"
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Write the match image of one kernel object from its reference objects.
    Image {
        /// "vmlinux" or the module's name.
        #[arg(long, default_value = "vmlinux")]
        object: String,
        /// Where to write the image.
        #[arg(long, short)]
        out: PathBuf,
        /// Reference objects, NAME=FILE or FILE.
        #[arg(required = true)]
        units: Vec<UnitArg>,
    },
    /// Compare a unit before and after a change: what is replaced, added, refused.
    Diff(diff::DiffArgs),
    /// Write the delta object of one kernel object, for an update module.
    Delta(diff::DeltaArgs),
    /// Tell what a change means: layouts, signatures, locks (from -g objects).
    Semantic(semantic::SemanticArgs),
    /// Match reference objects against the shipped kernel file.
    Match {
        /// The vmlinux out of the kernel's bzImage.
        #[arg(long, required_unless_present = "module", conflicts_with = "module")]
        vmlinux: Option<PathBuf>,
        /// A module's .ko, uncompressed.
        #[arg(long)]
        module: Option<PathBuf>,
        /// Machine-readable report.
        #[arg(long)]
        json: bool,
        /// Reference objects, NAME=FILE or FILE.
        #[arg(required = true)]
        units: Vec<UnitArg>,
    },
}

/// A unit's name and object file.
#[derive(Clone)]
struct UnitArg {
    name: String,
    file: PathBuf,
}

impl FromStr for UnitArg {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, file) = text.split_once('=').unwrap_or((text, text));
        Ok(Self {
            name: name.to_owned(),
            file: PathBuf::from(file),
        })
    }
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("read {}", path.display()))
}

fn builder(object: &str, units: &[UnitArg]) -> Result<ImageBuilder> {
    let mut builder = ImageBuilder::new(object);
    for unit in units {
        let parsed = Object::parse(&read(&unit.file)?)
            .with_context(|| format!("read object {}", unit.file.display()))?;
        builder.add_unit(&unit.name, &parsed)?;
    }
    Ok(builder)
}

/// Runs the command line.
pub fn run() -> Result<ExitCode> {
    match Cli::parse().command {
        Command::Diff(args) => diff::diff(&args),
        Command::Delta(args) => diff::delta(&args),
        Command::Semantic(args) => semantic::semantic(&args),
        Command::Image { object, out, units } => {
            let builder = builder(&object, &units)?;
            let image = builder.image();
            println!(
                "{} units, {} sections, {} symbols, {} functions, {} relocations, {} sites, {} variants",
                image.units.len(),
                image.sections.len(),
                image.symbols.len(),
                image.functions.len(),
                image.relocs.len(),
                image.sites.len(),
                image.variants.len()
            );
            let bytes = builder.finish()?;
            fs::write(&out, &bytes).with_context(|| format!("write {}", out.display()))?;
            println!("{}: {} bytes", out.display(), bytes.len());
            Ok(ExitCode::SUCCESS)
        }
        Command::Match {
            vmlinux,
            module,
            json,
            units,
        } => {
            let file = vmlinux
                .as_ref()
                .or(module.as_ref())
                .context("no file to match against")?;
            let name = file
                .file_stem()
                .unwrap_or_default()
                .to_string_lossy()
                .replace('-', "_");
            let builder = builder(&name, &units)?;
            let target: Box<dyn Target> = match vmlinux {
                Some(_) => Box::new(KernelFile::parse(&read(file)?)?),
                None => Box::new(ModuleFile::parse(&read(file)?)?),
            };
            let report = match_file(builder.image(), target.as_ref());
            if json {
                println!("{}", serde_json::to_string_pretty(&report)?);
            } else {
                print!("{report}");
            }
            Ok(if report.summary.is_clean() {
                ExitCode::SUCCESS
            } else {
                ExitCode::FAILURE
            })
        }
    }
}
