//! An update's own check: a script that says whether the fix is in force.

use base64::{Engine, engine::general_purpose::STANDARD};
use resplice_api::limits::{MAX_CHECK_BYTES, MAX_CHECK_FILES};
use resplice_vm::GuestFile;

/// Where the check lies in the guest.
const DIRECTORY: &str = "/job/check";
/// The file that is run if there is no script.
const PROGRAM: &str = "check";

/// A check, decoded and within limits.
#[derive(Debug, Clone)]
pub struct Check {
    files: Vec<GuestFile>,
    sha256: String,
    /// What runs it.
    pub(super) command: String,
}

/// A check that can't be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the update's check can't be used: {0}")]
pub struct CheckError(String);

impl Check {
    /// Decodes a check as it was uploaded.
    ///
    /// # Errors
    /// If it is too large, has a bad file name, or nothing to run.
    pub fn new(check: &resplice_api::Check) -> Result<Self, CheckError> {
        let error = |text: String| Err(CheckError(text));
        if check.files.len() > MAX_CHECK_FILES {
            return error(format!("it has more than {MAX_CHECK_FILES} files"));
        }
        let mut bytes = check.script.as_ref().map_or(0, String::len);
        let mut files = Vec::new();
        for file in &check.files {
            let plain = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
            if file.name.is_empty() || file.name.starts_with('.') || !file.name.bytes().all(plain) {
                return error(format!("{:?} is not a plain file name", file.name));
            }
            let contents = STANDARD
                .decode(&file.base64)
                .map_err(|_| CheckError(format!("{} is not in base64", file.name)))?;
            bytes += contents.len();
            if bytes > MAX_CHECK_BYTES {
                return error(format!("it has more than {MAX_CHECK_BYTES} bytes"));
            }
            let path = format!("{DIRECTORY}/{}", file.name);
            files.push(GuestFile::new(path, file.mode & 0o777, contents));
        }
        let command = match &check.script {
            Some(script) => {
                files.push(GuestFile::new("/job/script", 0o755, script.as_bytes()));
                let program = if script.starts_with("#!") { "" } else { "sh " };
                format!("cd {DIRECTORY} && exec {program}/job/script")
            }
            None if check.files.iter().any(|file| file.name == PROGRAM) => {
                format!("cd {DIRECTORY} && exec ./{PROGRAM}")
            }
            None => {
                return error(format!(
                    "it has neither a script nor a file named {PROGRAM}"
                ));
            }
        };
        // The directory is made along with a file.
        files.push(GuestFile::new(format!("{DIRECTORY}/.check"), 0o644, ""));
        Ok(Self {
            files,
            sha256: digest(check)?,
            command,
        })
    }

    /// sha256 of the check as it was uploaded, in hex: of its JSON, as the server
    /// keeps it.
    #[must_use]
    pub fn sha256(&self) -> &str {
        &self.sha256
    }

    /// The files for the guest.
    pub(super) fn files(&self) -> &[GuestFile] {
        &self.files
    }
}

fn digest(check: &resplice_api::Check) -> Result<String, CheckError> {
    let json = serde_json::to_vec(check).map_err(|error| CheckError(error.to_string()))?;
    Ok(resplice_package::sha256_hex(&json))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use resplice_api::CheckFile;

    fn check(script: Option<&str>, name: &str, base64: &str) -> Result<Check, CheckError> {
        Check::new(&resplice_api::Check {
            script: script.map(str::to_owned),
            files: vec![CheckFile {
                name: name.to_owned(),
                mode: 0o4755,
                base64: base64.to_owned(),
            }],
        })
    }

    #[test]
    fn a_check_is_a_script_or_a_program_called_check() {
        assert_eq!(
            check(Some("true"), "a", "").unwrap().command,
            "cd /job/check && exec sh /job/script"
        );
        assert_eq!(
            check(Some("#!/bin/sh\n"), "a", "").unwrap().command,
            "cd /job/check && exec /job/script"
        );
        let program = check(None, "check", "eA==").unwrap();
        assert_eq!(program.command, "cd /job/check && exec ./check");
        assert_eq!(program.files[0].contents, b"x");
        assert_eq!(program.files[0].mode, 0o755);
        assert!(check(None, "other", "").is_err());
    }

    #[test]
    fn a_check_s_files_stay_in_their_directory() {
        for name in ["", ".x", "../x", "a/b", "a b", "a\n"] {
            assert!(check(Some("true"), name, "").is_err(), "{name:?}");
        }
        assert!(check(Some("true"), "a", "?").is_err());
    }
}
