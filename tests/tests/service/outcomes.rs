//! Patches that become no update: how their jobs end, and that all goes on.

use crate::{LEASE, LOADAVG};
use resplice_api::{Job, JobStatus, Update};
use resplice_tests::service::Resplice;
use resplice_tests::{CLOUD, target};

/// A patch of `tests/patches`, and how its job must end.
struct Case {
    patch: &'static str,
    status: JobStatus,
    exit_code: Option<i32>,
    reason: &'static str,
    /// Words in the log, in this order.
    log: &'static [&'static str],
}

const CASES: [Case; 8] = [
    Case {
        patch: "does-not-apply",
        status: JobStatus::Failed,
        exit_code: Some(1),
        reason: "the patch does not apply to this kernel's source",
        log: &["patching file net/ipv6/seg6.c", "Hunk #1 FAILED at 49"],
    },
    Case {
        patch: "syntax-error",
        status: JobStatus::Failed,
        // make's.
        exit_code: Some(2),
        reason: "post failed with exit code 2: the patched source does not compile",
        log: &[
            "/net/ipv6/seg6.c:",
            ": error: expected ",
            "if (trailing < 0",
        ],
    },
    Case {
        patch: "comment-only",
        status: JobStatus::Nothing,
        exit_code: Some(1),
        reason: "the patch changes no object code of this kernel",
        log: &["the patch changes no object code of this kernel"],
    },
    Case {
        patch: "data-change",
        status: JobStatus::NeedsCode,
        exit_code: Some(1),
        reason: "changed-data",
        log: &["changed-data", "pipe_max_size"],
    },
    Case {
        patch: "declared-elsewhere",
        status: JobStatus::Refused,
        exit_code: Some(1),
        reason: "unneeded-declaration: init_pipe_fs: Resplice-Declare names fs/pipe.c",
        log: &["fs/pipe.c, which is no unit that the patch changes"],
    },
    Case {
        patch: "init-only",
        status: JobStatus::NeedsCode,
        exit_code: Some(1),
        reason: "init-changed: ",
        log: &["init-changed", "fs/proc/loadavg.c"],
    },
    Case {
        patch: "declared-init-only",
        status: JobStatus::Nothing,
        exit_code: Some(1),
        reason: "the patch changes initialisation alone, which has run: proc_loadavg_init",
        log: &["proc_loadavg_init"],
    },
    Case {
        patch: "makefile-change",
        status: JobStatus::Refused,
        exit_code: None,
        reason: "refused: build-system: fs/Makefile",
        log: &["fs/Makefile"],
    },
];

fn job(update: &Update) -> &Job {
    let [job] = update.jobs.as_slice() else {
        panic!("not one job: {update:?}");
    };
    job
}

#[test]
fn each_patch_that_gives_no_update_says_why_and_the_next_one_is_built() {
    let target = target(CLOUD).unwrap();
    let mut resplice = Resplice::start(LEASE).unwrap();
    let mut worker = resplice.worker("worker").unwrap();
    // All of them wait in one queue, the good one last.
    let updates = CASES.map(|case| {
        let patch = format!("tests/patches/{}.patch", case.patch);
        (case, resplice.upload(&target, &patch).unwrap())
    });
    let good = resplice.upload(&target, LOADAVG).unwrap();

    for (case, update) in &updates {
        let update = resplice.ended(update).unwrap();
        let log = resplice.log(&update).unwrap();
        let job = job(&update);
        let reason = job.reason.as_deref().unwrap_or_default();
        let told = format!(
            "{}: {} ({:?}): {reason}\n{log}",
            case.patch, job.status, job.exit_code
        );
        assert_eq!(job.status, case.status, "{told}");
        assert_eq!(job.exit_code, case.exit_code, "{told}");
        assert!(reason.contains(case.reason), "{told}");
        assert!(job.package.is_none(), "{told}");
        let mut rest = log.as_str();
        for words in case.log {
            let at = rest
                .find(words)
                .unwrap_or_else(|| panic!("no {words:?} in {told}"));
            rest = &rest[at..];
        }
    }

    let good = resplice.ended(&good).unwrap();
    assert_eq!(
        job(&good).status,
        JobStatus::Built,
        "{}",
        resplice.log(&good).unwrap()
    );
    assert!(job(&good).package.is_some());
    assert!(job(&good).listing.is_some());
    // Neither has ended, nor did another attempt have to help.
    worker.check().unwrap();
    assert_eq!(job(&good).attempt, 1);
}
