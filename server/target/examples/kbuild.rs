//! `kbuild TARGET DIRECTORY [MAKE-ARGUMENT…]`: runs `make` in a directory with `KDIR` at a target's build tree, inside
//! the sandbox that its builds get. The target is imported if it is not in the cache.

use std::path::{Path, absolute};
use std::process::{Command, ExitCode};

use resplice_target::{Bars, Cache, SANDBOX_BUILD, SANDBOX_MODULE, Target, base_system, resolve};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [spec, directory, make @ ..] = arguments.as_slice() else {
        eprintln!("usage: kbuild TARGET DIRECTORY [MAKE-ARGUMENT…]");
        return ExitCode::from(2);
    };
    match run(spec, Path::new(directory), make) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("kbuild: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(spec: &str, directory: &Path, make: &[String]) -> Result<u8, Box<dyn std::error::Error>> {
    let target = Target::import(&Cache::from_env(), &resolve(&spec.parse()?)?, &Bars::new())?;
    let mut recipe = target.module_build(&absolute(directory)?);
    recipe.argv = vec![
        "make".into(),
        "-C".into(),
        SANDBOX_MODULE.into(),
        format!("KDIR={SANDBOX_BUILD}"),
    ];
    recipe.argv.extend_from_slice(make);
    let status = Command::new("bwrap")
        .args(base_system())
        .args(recipe.bwrap_arguments(None))
        .status()?;
    Ok(status
        .code()
        .and_then(|code| u8::try_from(code).ok())
        .unwrap_or(1))
}
