//! Signing kernel modules, for hosts that load no others.
//!
//! With Secure Boot, a kernel is locked down and takes only modules that are
//! signed by a key it knows: one of its build, of the firmware's `db`, or a
//! machine owner's key (MOK). The target's own `sign-file` signs, as for the
//! kernel's modules, outside of the sandbox: no build step sees the key.

use crate::{Error, build::blocking};
use resplice_target::Target;
use std::{
    fs,
    io::Read,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// What names a key that stays in a hardware module.
const HARDWARE: &str = "pkcs11:";
/// The passphrase, as `sign-file` wants it.
const PIN: &str = "KBUILD_SIGN_PIN";
/// Most bytes of the signer's complaint that are kept.
const MAX_COMPLAINT_BYTES: u64 = 2000;

/// The key that signs modules, and the certificate that hosts know it by.
#[derive(Debug, Clone)]
pub struct ModuleKey {
    key: String,
    certificate: PathBuf,
}

impl ModuleKey {
    /// A key: a PEM file that only its owner may read, or a `pkcs11:` URI; and
    /// its X.509 certificate, PEM or DER. A passphrase comes by the environment
    /// variable `KBUILD_SIGN_PIN`.
    ///
    /// # Errors
    /// If a file can't be read, or others can read the key.
    pub fn open(key: &str, certificate: &Path) -> Result<Self, Error> {
        let fault = |what: &str, path: &Path, reason: &dyn ToString| {
            Error::internal(
                format!("open the {what} {}", path.display()),
                reason.to_string(),
            )
        };
        // sign-file runs in a directory of its own.
        let absolute = |what: &str, path: &Path| {
            path.canonicalize()
                .map_err(|error| fault(what, path, &error))
        };
        let certificate = absolute("module certificate", certificate)?;
        if key.starts_with(HARDWARE) {
            return Ok(Self {
                key: key.to_owned(),
                certificate,
            });
        }
        let path = absolute("module key", Path::new(key))?;
        let mode = fs::metadata(&path)
            .map_err(|error| fault("module key", &path, &error))?
            .permissions()
            .mode()
            & 0o7777;
        if mode & 0o077 != 0 {
            let reason =
                format!("its mode is {mode:04o}: others can read it; run `chmod 600` on it");
            return Err(fault("module key", &path, &reason));
        }
        let Some(key) = path.to_str().map(str::to_owned) else {
            return Err(fault("module key", &path, &"its path is not UTF-8"));
        };
        Ok(Self { key, certificate })
    }

    /// Appends a signature to a module: PKCS#7, with the hash that the target's
    /// configuration names.
    ///
    /// # Errors
    /// If the target has no `sign-file`, or that can't use the key.
    pub async fn sign(
        &self,
        target: &Target,
        name: &str,
        module: Vec<u8>,
    ) -> Result<Vec<u8>, Error> {
        let tool = target.kbuild_dir().join("scripts/sign-file");
        let config = target.headers_dir().join(".config");
        let (key, operation) = (self.clone(), format!("sign the module {name}"));
        blocking("sign a module", move || {
            key.run(&tool, &hash(&config)?, &module)
                .map_err(|reason| Error::internal(operation, reason))
        })
        .await
    }

    fn run(&self, tool: &Path, hash: &str, module: &[u8]) -> Result<Vec<u8>, String> {
        let work = tempfile::tempdir().map_err(|error| error.to_string())?;
        let file = work.path().join("module.ko");
        fs::write(&file, module).map_err(|error| error.to_string())?;
        let mut command = Command::new(tool);
        command
            .args([hash, &self.key])
            .arg(&self.certificate)
            .arg(&file)
            .current_dir(work.path())
            .env_clear()
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        for name in [PIN, "PKCS11_MODULE_PATH", "OPENSSL_CONF"] {
            command.envs(std::env::var_os(name).map(|value| (name, value)));
        }
        let mut child = command
            .spawn()
            .map_err(|error| format!("start {}: {error}", tool.display()))?;
        let mut complaint = Vec::new();
        if let Some(stderr) = child.stderr.take() {
            // What it says beyond that is read by nobody; it must not block either.
            let mut stderr = stderr;
            let _ = Read::by_ref(&mut stderr)
                .take(MAX_COMPLAINT_BYTES)
                .read_to_end(&mut complaint);
            let _ = std::io::copy(&mut stderr, &mut std::io::sink());
        }
        let status = child.wait().map_err(|error| error.to_string())?;
        if !status.success() {
            let complaint = String::from_utf8_lossy(&complaint);
            return Err(format!("sign-file: {status}: {}", complaint.trim()));
        }
        fs::read(&file).map_err(|error| error.to_string())
    }
}

/// The hash that the kernel's configuration signs modules with.
fn hash(config: &Path) -> Result<String, Error> {
    let reading = || format!("read the module signatures' hash from {}", config.display());
    let text = fs::read_to_string(config).map_err(|error| Error::internal(reading(), error))?;
    text.lines()
        .find_map(|line| {
            line.strip_prefix("CONFIG_MODULE_SIG_HASH=\"")?
                .strip_suffix('"')
        })
        .filter(|hash| {
            hash.bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        })
        .map(str::to_owned)
        .ok_or_else(|| {
            Error::internal(
                reading(),
                "this kernel knows no signed modules (CONFIG_MODULE_SIG)",
            )
        })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_key_that_others_can_read_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let (key, certificate) = (directory.path().join("key"), directory.path().join("cert"));
        fs::write(&key, "key").unwrap();
        fs::write(&certificate, "certificate").unwrap();
        let open = |mode| {
            fs::set_permissions(&key, fs::Permissions::from_mode(mode)).unwrap();
            ModuleKey::open(key.to_str().unwrap(), &certificate)
        };
        assert!(open(0o600).is_ok());
        let error = open(0o640).unwrap_err().to_string();
        assert!(
            error.contains("0640") && error.contains("chmod 600"),
            "{error}"
        );
    }

    #[test]
    fn a_kernel_without_module_signatures_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let config = directory.path().join(".config");
        fs::write(&config, "CONFIG_MODULE_SIG_HASH=\"sha256\"\n").unwrap();
        assert_eq!(hash(&config).unwrap(), "sha256");
        fs::write(&config, "CONFIG_SMP=y\n").unwrap();
        let error = hash(&config).unwrap_err().to_string();
        assert!(error.contains("CONFIG_MODULE_SIG"), "{error}");
    }
}
