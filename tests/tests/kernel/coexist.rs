//! The jump beside the kernel's own tracer.

use crate::{FIXED, seg6_check, seg6_guest};
use resplice_tests::guest::{Guest, machine};
use resplice_tests::{CLOUD, livepatch, target, updates};

const TRACING: &str = "/sys/kernel/tracing";

fn trace_on(guest: &Guest) {
    guest
        .ok(&format!(
            "cd {TRACING}; echo > trace; echo seg6_validate_srh > set_ftrace_filter; \
             echo function > current_tracer; echo 1 > tracing_on"
        ))
        .unwrap();
}

fn trace_off(guest: &Guest) {
    guest
        .ok(&format!(
            "cd {TRACING}; echo nop > current_tracer; echo > set_ftrace_filter"
        ))
        .unwrap();
}

/// Whether a call of the function is recorded.
fn is_recorded(guest: &Guest) -> bool {
    guest.ok(&format!("echo > {TRACING}/trace")).unwrap();
    seg6_check(guest);
    guest
        .ok(&format!("cat {TRACING}/trace"))
        .unwrap()
        .contains(": seg6_validate_srh <-")
}

#[test]
fn traced_before_and_after_and_not_in_between() {
    let (guest, package) = seg6_guest("max");
    trace_on(&guest);
    assert!(is_recorded(&guest));
    guest.apply(&package).unwrap();
    assert!(is_recorded(&guest), "tracing was lost by applying");
    trace_off(&guest);
    assert_eq!(seg6_check(&guest), FIXED);
    trace_on(&guest);
    assert!(is_recorded(&guest), "tracing cannot be turned on again");
    assert_eq!(seg6_check(&guest), FIXED);
    guest.undo(&package).unwrap();
    assert!(is_recorded(&guest), "tracing was lost by undoing");
    trace_off(&guest);
    guest.log_is_clean().unwrap();
}

#[test]
fn traced_only_after() {
    let (guest, package) = seg6_guest("EPYC");
    guest.apply(&package).unwrap();
    trace_on(&guest);
    assert!(is_recorded(&guest));
    assert_eq!(seg6_check(&guest), FIXED);
    guest.undo(&package).unwrap();
    trace_off(&guest);
    guest.log_is_clean().unwrap();
}

#[test]
fn probes_by_name_see_each_call_of_a_replaced_function() {
    let (guest, package) = seg6_guest("max");
    guest.apply(&package).unwrap();
    guest
        .ok(&format!(
            "cd {TRACING}; echo 'p:comes seg6_validate_srh' > kprobe_events && \
             echo 'r:goes seg6_validate_srh' >> kprobe_events && \
             echo 1 > events/kprobes/enable && echo 1 > tracing_on && echo > trace"
        ))
        .unwrap();
    assert_eq!(seg6_check(&guest), FIXED);
    let trace = guest.ok(&format!("cat {TRACING}/trace")).unwrap();
    let times = |event: &str| trace.matches(event).count();
    assert!(times(" comes: ") > 0, "{trace}");
    assert_eq!(times(" comes: "), times(" goes: "), "{trace}");
    guest.undo(&package).unwrap();
    guest
        .ok(&format!(
            "cd {TRACING}; echo 0 > events/kprobes/enable; echo > kprobe_events"
        ))
        .unwrap();
    guest.log_is_clean().unwrap();
}

#[test]
fn a_function_under_a_kernel_livepatch_is_left_to_it() {
    let target = target(CLOUD).unwrap();
    let update = updates::build(&target, "tests/patches/lib-int-sqrt.patch").unwrap();
    let package = update.open().unwrap();
    let guest = Guest::start(&machine(&target, "max"), &package).unwrap();
    guest.bring(&package).unwrap();
    livepatch::bring(&guest, &target).unwrap();

    livepatch::on(&guest).unwrap();
    let (loaded, report) = guest.load(&package).unwrap();
    assert!(!loaded);
    assert!(
        report.contains("livepatch: int_sqrt is replaced by the kernel livepatch rt_livepatch"),
        "{report}"
    );
    livepatch::off(&guest).unwrap();
    // One that comes later is the newer one, and goes as it came.
    guest.apply(&package).unwrap();
    livepatch::on(&guest).unwrap();
    guest.undo(&package).unwrap();
    livepatch::off(&guest).unwrap();
    guest.apply(&package).unwrap();
    guest.undo(&package).unwrap();
    guest.log_is_clean().unwrap();
}
