//! An update as it is built, and as it stands.

use super::output::{bold, coloured, dim, safe_line, say, status};
use anyhow::Context;
use owo_colors::Style;
use resplice_api::{
    HostReport, Job, ReportEvent, Step, Update,
    client::{Client, update_page},
};
use tokio::task::JoinSet;

/// Follows all builds of an update until they have ended; their logs go to
/// standard output unless `quiet`.
pub(super) async fn follow(client: &Client, update: &Update, quiet: bool) -> anyhow::Result<()> {
    let several = update.jobs.len() > 1;
    let mut builds = JoinSet::new();
    for job in &update.jobs {
        let client = client.clone();
        let (id, target) = (job.id, job.target.clone());
        builds.spawn(async move {
            let mut lines = Lines::new(if several { Some(target) } else { None }, quiet);
            let result = client
                .follow_log(id, |attempt, bytes| lines.add(attempt, bytes))
                .await;
            lines.end();
            result.map(drop)
        });
    }
    while let Some(ended) = builds.join_next().await {
        ended.context("following a build was cut off")??;
    }
    Ok(())
}

/// Cuts a log into lines, so that several builds do not mix within one.
pub(super) struct Lines {
    prefix: Option<String>,
    quiet: bool,
    attempt: u32,
    partial: Vec<u8>,
}

impl Lines {
    /// A line is printed once it has so many bytes, whether it has ended or not.
    const MAX_LINE_BYTES: usize = 16 << 10;

    pub(super) fn new(prefix: Option<String>, quiet: bool) -> Self {
        Self {
            prefix,
            quiet,
            attempt: 1,
            partial: Vec::new(),
        }
    }

    pub(super) fn add(&mut self, attempt: u32, bytes: &[u8]) {
        if attempt != self.attempt {
            self.end();
            self.attempt = attempt;
            self.print(format!("the worker was lost; attempt {attempt}").as_bytes());
        }
        for piece in bytes.split_inclusive(|b| *b == b'\n') {
            self.partial.extend_from_slice(piece);
            if piece.ends_with(b"\n") || self.partial.len() > Self::MAX_LINE_BYTES {
                self.end();
            }
        }
    }

    pub(super) fn end(&mut self) {
        let line = std::mem::take(&mut self.partial);
        if !line.is_empty() {
            self.print(line.strip_suffix(b"\n").unwrap_or(&line));
        }
    }

    fn print(&self, line: &[u8]) {
        if self.quiet {
            return;
        }
        match &self.prefix {
            Some(prefix) => say!("{} {}", dim(prefix), safe_line(line)),
            None => say!("{}", safe_line(line)),
        }
    }
}

/// Prints all about an update.
pub(super) fn show(update: &Update, server: &str) {
    say!("{}  {}", bold(&update.name), update.cves.join(" "));
    say!(
        "  uploaded  {:.0} by {}",
        update.created_at,
        update.uploaded_by
    );
    match &update.released {
        Some(release) => say!("  released  {:.0} by {}", release.at, release.by),
        None => say!("  released  {}", dim("no")),
    }
    if let Some(rejection) = &update.rejected {
        let reason = safe_line(rejection.reason.as_bytes());
        say!(
            "  rejected  {:.0} by {}: {reason}",
            rejection.at,
            rejection.by
        );
    }
    for (what, ids) in [
        ("older   ", &update.supersedes),
        ("newer   ", &update.superseded_by),
    ] {
        for id in ids {
            say!("  {what}  {id}");
        }
    }
    say!("  files     {}", update.files.join(" "));
    for job in &update.jobs {
        show_job(job);
    }
    for report in &update.reports {
        show_report(report);
    }
    say!("{}", update_page(server, update.id));
}

fn show_job(job: &Job) {
    say!("  {} {}", status(job.status), job.target);
    if let Some(reason) = &job.reason {
        for line in reason.lines() {
            say!("             {}", safe_line(line.as_bytes()));
        }
    }
    show_steps(&job.steps);
    if let Some(package) = &job.package {
        let text = format!("package {} {} bytes", package.sha256, package.bytes);
        say!("             {}", dim(text));
    }
}

fn show_report(report: &HostReport) {
    let style = match report.event {
        ReportEvent::Applied => Style::new().green(),
        ReportEvent::Undone => Style::new().yellow(),
        ReportEvent::Refused | ReportEvent::Failed | ReportEvent::Busy => Style::new().red(),
    };
    let event = coloured(format!("{:<10}", report.event.as_str()), style);
    let pause = match report.pause_ns {
        Some(ns) => format!("  pause {}.{} µs", ns / 1000, ns / 100 % 10),
        None => String::new(),
    };
    say!(
        "  {event} {} at {:.0}{pause}",
        safe_line(report.host_name.as_bytes()),
        report.received_at
    );
    show_steps(&report.timeline);
}

fn show_steps(steps: &[Step]) {
    for step in steps {
        let failed = step.exit_code.is_some_and(|code| code != 0);
        let mark = if failed {
            coloured("✗", Style::new().red())
        } else {
            dim("·")
        };
        say!(
            "           {mark} {:<12} {:>6}.{:03} s",
            safe_line(step.name.as_bytes()),
            step.millis / 1000,
            step.millis % 1000
        );
    }
}
