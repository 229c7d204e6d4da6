//! One build: its target, sandbox, log, steps and directory, held together.

use crate::{
    Error,
    log::Log,
    sandbox::{Sandbox, Step},
    step::{Steps, parse_times},
    workspace::{OUT, Workspace},
};
use resplice_target::Target;
use std::path::Path;

/// Where a step's shell leaves its CPU time, in `out/`.
const TIMES: &str = "times";

/// What every stage of a build works with.
pub struct Build<'a> {
    /// The kernel that it is for.
    pub target: &'a Target,
    /// Where commands run.
    pub sandbox: &'a dyn Sandbox,
    /// Where their words go.
    pub log: &'a Log,
    /// What was done so far.
    pub steps: &'a Steps,
    /// Where their files are.
    pub workspace: Workspace,
}

impl<'a> Build<'a> {
    /// Makes the build's directory below `parent`.
    ///
    /// # Errors
    /// If files can't be made or copied.
    pub fn new(
        target: &'a Target,
        sandbox: &'a dyn Sandbox,
        log: &'a Log,
        steps: &'a Steps,
        parent: &Path,
    ) -> Result<Self, Error> {
        let workspace = Workspace::new(parent, target, sandbox.owner())?;
        Ok(Self {
            target,
            sandbox,
            log,
            steps,
            workspace,
        })
    }

    /// Runs a step that must succeed; `failure` says what it means if it doesn't.
    ///
    /// # Errors
    /// [`Error::Command`] if the command fails; what the sandbox says.
    pub async fn run(&self, step: &Step, failure: &str) -> Result<(), Error> {
        self.log.step(&step.name);
        let running = Steps::begin(&step.name);
        let outcome = self.sandbox.run(&timed(step), self.log).await;
        let times = self.workspace.read("out", TIMES).unwrap_or_default();
        let cpu_millis = parse_times(&String::from_utf8_lossy(&times));
        self.steps
            .end(running, outcome.as_ref().ok().copied(), cpu_millis);
        match outcome? {
            0 => Ok(()),
            exit_code => Err(Error::Command {
                step: step.name.clone(),
                exit_code,
                reason: failure.to_owned(),
            }),
        }
    }

    /// Runs work of the worker's own as a step.
    ///
    /// # Errors
    /// What the work gives.
    pub async fn stage<T>(
        &self,
        name: &str,
        work: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        self.log.step(name);
        let running = Steps::begin(name);
        let outcome = work.await;
        let exit_code = match &outcome {
            Ok(_) => Some(0),
            Err(error) => error.exit_code().or(Some(1)),
        };
        self.steps.end(running, exit_code, None);
        outcome
    }
}

/// The step, with a shell around its command that writes down its CPU time, and
/// makes one stream of its two, so that their lines keep their order. The
/// worker's own umask is no input.
fn timed(step: &Step) -> Step {
    let script = format!(
        r#"umask 022; exec 2>&1; rm -f {OUT}/{TIMES}; "$@"; code=$?; times > {OUT}/{TIMES}; exit $code"#
    );
    let mut timed = step.clone();
    let shell = ["sh", "-c", &script, "sh"].map(str::to_owned);
    timed.argv.splice(0..0, shell);
    timed
}

/// Runs long work of the worker's own on a thread for such. Not in place: a
/// runtime's thread that blocked may end later on, and the kernel would then
/// take it for the death of the sandboxes that it had started.
///
/// # Errors
/// What the work gives; [`Error::Internal`] if it panics.
pub async fn blocking<T: Send + 'static>(
    operation: &str,
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| Error::internal(operation, error))?
}
