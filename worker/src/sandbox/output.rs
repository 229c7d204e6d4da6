//! A step's output on its way into the log.

use super::SandboxError;
use crate::log::Log;

/// Passes output on until the limit.
pub(super) struct Output<'a> {
    log: &'a Log,
    step: &'a str,
    left: u64,
    limit: u64,
}

impl<'a> Output<'a> {
    pub(super) fn new(log: &'a Log, step: &'a str, limit: u64) -> Self {
        Self {
            log,
            step,
            left: limit,
            limit,
        }
    }

    /// Logs as many of the bytes as the limit allows.
    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<(), SandboxError> {
        let take = usize::try_from(self.left).map_or(bytes.len(), |left| left.min(bytes.len()));
        self.log.write(bytes.get(..take).unwrap_or_default());
        self.left -= take as u64;
        if take < bytes.len() {
            return Err(SandboxError::OutputLimit {
                step: self.step.to_owned(),
                limit: self.limit,
            });
        }
        Ok(())
    }
}
