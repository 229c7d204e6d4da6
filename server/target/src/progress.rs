//! How an import tells what it is doing.

use std::io::IsTerminal;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

/// Receives the steps of an import. One step is under way at a time.
pub trait Progress: Send + Sync {
    /// A step begins; `total_bytes` is given where its size is known.
    fn begin(&self, step: &str, total_bytes: Option<u64>);
    /// So many bytes of the step are done.
    fn advance(&self, done_bytes: u64);
    /// The step has ended well.
    fn end(&self);
    /// Something worth a line that is no step.
    fn note(&self, text: &str);
}

/// Says nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Quiet;

impl Progress for Quiet {
    fn begin(&self, _step: &str, _total_bytes: Option<u64>) {}
    fn advance(&self, _done_bytes: u64) {}
    fn end(&self) {}
    fn note(&self, _text: &str) {}
}

/// Bars on a terminal; elsewhere one line per finished step. Both on standard error.
#[derive(Debug, Default)]
pub struct Bars {
    current: Mutex<Option<Step>>,
}

#[derive(Debug)]
struct Step {
    name: String,
    bar: ProgressBar,
    started: Instant,
}

impl Bars {
    /// Nothing is shown before the first step.
    pub fn new() -> Self {
        Self::default()
    }
}

impl Progress for Bars {
    fn begin(&self, step: &str, total_bytes: Option<u64>) {
        let bar = match total_bytes {
            Some(total) => styled(
                ProgressBar::new(total),
                "{spinner} {msg}  {bar:28} {bytes}/{total_bytes}",
            ),
            None => styled(ProgressBar::new_spinner(), "{spinner} {msg}  {elapsed}"),
        };
        bar.set_message(step.to_owned());
        bar.enable_steady_tick(Duration::from_millis(120));
        let step = Step {
            name: step.to_owned(),
            bar,
            started: Instant::now(),
        };
        *self.current.lock().unwrap_or_else(PoisonError::into_inner) = Some(step);
    }

    fn advance(&self, done_bytes: u64) {
        if let Some(step) = &*self.current.lock().unwrap_or_else(PoisonError::into_inner) {
            step.bar.set_position(done_bytes);
        }
    }

    fn end(&self) {
        if let Some(step) = self
            .current
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
        {
            step.bar.finish_and_clear();
            self.note(&format!(
                "{} ({:.1} s)",
                step.name,
                step.started.elapsed().as_secs_f32()
            ));
        }
    }

    fn note(&self, text: &str) {
        if std::io::stderr().is_terminal() {
            eprintln!("\u{2713} {text}");
        } else {
            eprintln!("{text}");
        }
    }
}

fn styled(bar: ProgressBar, template: &str) -> ProgressBar {
    match ProgressStyle::with_template(template) {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}
