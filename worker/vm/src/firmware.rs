//! UEFI firmware, for guests that know Secure Boot.

use crate::error::{Error, Result};
use crate::scratch::Scratch;
use std::ffi::OsString;
use std::path::PathBuf;

/// The guest's own copy of the variables, in the scratch directory.
const VARIABLES: &str = "variables.fd";

/// Firmware (OVMF) in flash, with its variables.
#[derive(Debug, Clone)]
pub struct Firmware {
    /// The code, such as Debian's `OVMF_CODE_4M.fd`.
    pub code: PathBuf,
    /// The variables: keys, and whether Secure Boot is on. A guest has a copy.
    pub variables: PathBuf,
}

impl Firmware {
    pub(crate) fn copy_variables(&self, scratch: &Scratch) -> Result<()> {
        let copy = scratch.join(VARIABLES);
        std::fs::copy(&self.variables, &copy)
            .map(drop)
            .map_err(Error::io("copy", &self.variables))
    }

    /// QEMU's arguments; file names are relative to the scratch directory.
    pub(crate) fn arguments(&self) -> Result<Vec<OsString>> {
        let code = self
            .code
            .canonicalize()
            .map_err(Error::io("find firmware", &self.code))?;
        let mut code_drive = OsString::from("if=pflash,format=raw,unit=0,readonly=on,file=");
        code_drive.push(code.to_string_lossy().replace(',', ",,"));
        let variables = format!("if=pflash,format=raw,unit=1,file={VARIABLES},file.locking=off");
        Ok(vec![
            "-drive".into(),
            code_drive,
            "-drive".into(),
            variables.into(),
        ])
    }
}
