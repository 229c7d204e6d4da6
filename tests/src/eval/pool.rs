//! Work on many things, some at a time, with a progress bar; where nobody
//! watches, a line for each.

use anyhow::Result;
use indicatif::{ProgressBar, ProgressStyle};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Calls `work` for each item on `jobs` threads. After an error nothing new is
/// begun; the first one comes back.
///
/// # Errors
/// What the work gives.
pub fn each<T: Sync>(
    jobs: usize,
    what: &str,
    items: &[T],
    name: impl Fn(&T) -> String + Sync,
    work: impl Fn(&T) -> Result<()> + Sync,
) -> Result<()> {
    let bar = bar(items.len() as u64, what);
    let (next, failed) = (AtomicUsize::new(0), Mutex::new(None));
    let fail = |error| {
        let mut first = failed
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        first.get_or_insert(error);
        next.store(items.len(), Ordering::Relaxed);
    };
    std::thread::scope(|scope| {
        for _ in 0..jobs.clamp(1, items.len().max(1)) {
            scope.spawn(|| {
                while let Some(item) = items.get(next.fetch_add(1, Ordering::Relaxed)) {
                    bar.set_message(name(item));
                    if let Err(error) = work(item) {
                        fail(error);
                    }
                    bar.inc(1);
                    if bar.is_hidden() {
                        eprintln!("{what} {}/{} {}", bar.position(), items.len(), name(item));
                    }
                }
            });
        }
    });
    bar.finish_and_clear();
    let failed = failed
        .into_inner()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    failed.map_or(Ok(()), Err)
}

fn bar(length: u64, what: &str) -> ProgressBar {
    let style = "{prefix} {bar:40} {pos}/{len}  {elapsed_precise}, {eta} left  {wide_msg}";
    let bar = ProgressBar::new(length).with_prefix(what.to_owned());
    bar.set_style(
        ProgressStyle::with_template(style).unwrap_or_else(|_| ProgressStyle::default_bar()),
    );
    bar
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_ends_the_work_and_comes_back() {
        let done = AtomicUsize::new(0);
        let result = each(1, "trying", &[1, 2, 3, 4], ToString::to_string, |item| {
            done.fetch_add(1, Ordering::Relaxed);
            anyhow::ensure!(*item != 2, "two");
            Ok(())
        });
        assert_eq!(
            result.map_err(|error| error.to_string()),
            Err("two".to_owned())
        );
        assert_eq!(done.into_inner(), 2);
    }
}
