//! `own TARGET CONFIG`: builds the kernel of a configuration's fragment from a target's source, unless the cache has it,
//! and prints its name.

use std::path::Path;
use std::process::ExitCode;

use resplice_target::{Bars, Cache, Target, resolve};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [spec, config] = arguments.as_slice() else {
        eprintln!("usage: own TARGET CONFIG");
        return ExitCode::from(2);
    };
    match run(spec, Path::new(config)) {
        Ok(target) => {
            println!("{}", target.id());
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("own: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(spec: &str, config: &Path) -> Result<Target, Box<dyn std::error::Error>> {
    let base = Target::import(&Cache::from_env(), &resolve(&spec.parse()?)?, &Bars::new())?;
    Ok(base.build_own(config, &Bars::new())?)
}
