//! Which lines of a kernel log tell of a problem.

/// Beginnings of the kernel's own complaints, after the time stamp. They are
/// anchored: "Spectre V2 : WARNING: …" is a remark, not a warning's report.
const BEGINNINGS: [&str; 18] = [
    "WARNING: ",
    "BUG: ",
    "BUG ",
    "kernel BUG at ",
    "Kernel panic",
    "Oops",
    "general protection fault",
    "double fault",
    "invalid opcode",
    "int3: ",
    "divide error",
    "stack segment",
    "traps: PANIC",
    "UBSAN: ",
    "INFO: task ",
    "INFO: rcu_",
    "INFO: trying to register non-static key",
    "unregister_netdevice: waiting",
];
/// Words that mean trouble anywhere in a line.
const ANYWHERE: [&str; 9] = [
    "rcu: INFO: rcu",
    "ftrace bug",
    "ftrace failed to modify",
    "soft lockup",
    "hard LOCKUP",
    "Unpatched return thunk",
    "detected stalls on CPUs",
    "end Kernel panic",
    "new suspected memory leaks",
];

/// The lines of `log` (console or `dmesg`) that report an oops, a warning, a
/// bug, a stall or a panic, in order.
#[must_use]
pub fn kernel_problems(log: &str) -> Vec<String> {
    log.lines()
        .filter(|line| {
            let message = message(line);
            BEGINNINGS
                .iter()
                .any(|beginning| message.starts_with(beginning))
                || ANYWHERE.iter().any(|words| message.contains(words))
        })
        .map(|line| line.trim_end().to_owned())
        .collect()
}

/// A log line without `<level>` and `[time]`.
fn message(line: &str) -> &str {
    let mut rest = line.trim_start();
    if let Some((level, after)) = rest.strip_prefix('<').and_then(|text| text.split_once('>'))
        && level.bytes().all(|byte| byte.is_ascii_digit())
    {
        rest = after;
    }
    if let Some((time, after)) = rest.strip_prefix('[').and_then(|text| text.split_once(']'))
        && time
            .trim()
            .bytes()
            .all(|byte| byte.is_ascii_digit() || byte == b'.')
    {
        rest = after.trim_start();
    }
    rest
}

/// Whether the log shows that the kernel gave up.
pub(crate) fn panicked(log: &str) -> bool {
    log.lines()
        .any(|line| message(line).starts_with("Kernel panic"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_of_every_kind_are_found() {
        for line in [
            "[    3.100000] WARNING: CPU: 1 PID: 71 at kernel/trace/ftrace.c:2085 x+0x1/0x2",
            "[    5.1] BUG: kernel NULL pointer dereference, address: 0000000000000000",
            "<4>[  5.1] Oops: 0002 [#1] PREEMPT SMP PTI",
            "general protection fault, probably for non-canonical address 0xdead: 0000 [#1]",
            "[1.0] kernel BUG at mm/slub.c:379!",
            "[   9.000001] Kernel panic - not syncing: sysrq triggered crash",
            "[ 60.1] watchdog: BUG: soft lockup - CPU#0 stuck for 22s!",
            "[ 60.1] rcu: INFO: rcu_preempt detected stalls on CPUs/tasks:",
            "[  7.0] ------------[ ftrace bug ]------------",
            "[  7.1] BUG: KASAN: slab-out-of-bounds in x+0x1/0x2",
            "[  7.2] WARNING: possible circular locking dependency detected",
            "[  7.3] INFO: trying to register non-static key.",
            "[  7.4] kmemleak: 3 new suspected memory leaks (see /sys/kernel/debug/kmemleak)",
        ] {
            assert_eq!(kernel_problems(line), [line], "{line}");
        }
    }

    #[test]
    fn remarks_of_a_healthy_boot_are_not() {
        let log = "[    0.1] Spectre V2 : WARNING: Unprivileged eBPF is enabled\n\
            [    0.2] [Firmware Bug]: TSC doesn't count\n\
            [    0.3] RETBleed: WARNING: Spectre v2 mitigation leaves CPU vulnerable\n\
            [    0.3] kmemleak: Kernel memory leak detector initialized\n\
            [    0.4] Debug: BUG: is a word\n[    0.5] x86/mm: Checked W+X mappings: passed\n";
        assert_eq!(kernel_problems(log), Vec::<String>::new());
        assert!(!panicked(log));
    }
}
