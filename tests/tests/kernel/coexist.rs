//! The jump beside the kernel's own tracer.

use crate::{Shipped, Updated, seg6_check, seg6_guest};
use resplice_tests::guest::{Guest, machine};
use resplice_tests::seg6::Text;
use resplice_tests::{CLOUD, jump_offset, livepatch, target, updates};

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
    assert_eq!(seg6_check(&guest), Updated);
    trace_on(&guest);
    assert!(is_recorded(&guest), "tracing cannot be turned on again");
    assert_eq!(seg6_check(&guest), Updated);
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
    assert_eq!(seg6_check(&guest), Updated);
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
    assert_eq!(seg6_check(&guest), Updated);
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

/// How often the BPF programs have run by now, at the entry and at the exit.
fn counts(guest: &Guest) -> (u64, u64) {
    let text = guest.ok("/root/trampoline counts").unwrap();
    let (entries, exits) = text.split_once(' ').unwrap();
    (entries.parse().unwrap(), exits.parse().unwrap())
}

/// Calls of the function, each of which both programs see.
fn sees_each_call(guest: &Guest, text: Text) {
    let before = counts(guest);
    assert_eq!(seg6_check(guest), text);
    let after = counts(guest);
    assert!(
        after.0 > before.0 && after.0 - before.0 == after.1 - before.1,
        "{before:?} {after:?}"
    );
}

#[test]
fn bpf_programs_at_a_replaced_functions_entry_and_exit_see_each_call() {
    let (guest, package) = seg6_guest("max");
    let on = "/root/trampoline on seg6_validate_srh";
    guest
        .bring_program("tests/guest/trampoline.c", "trampoline")
        .unwrap();
    guest.ok(on).unwrap();
    sees_each_call(&guest, Shipped);
    guest.apply(&package).unwrap();
    sees_each_call(&guest, Updated);
    guest.ok("/root/trampoline off").unwrap();
    assert_eq!(seg6_check(&guest), Updated);
    guest.ok(on).unwrap();
    sees_each_call(&guest, Updated);
    guest.undo(&package).unwrap();
    sees_each_call(&guest, Shipped);
    guest.ok("/root/trampoline off").unwrap();
    guest.log_is_clean().unwrap();
}

/// Puts a probe at the first instruction of a function from this byte on; its place.
fn probe(guest: &Guest, function: &str, from: u32) -> String {
    let end = from + 16;
    guest
        .ok(&format!(
            "cd {TRACING}; for i in $(seq {from} {end}); do \
             echo \"p:probe/it {function}+$i\" > kprobe_events 2>/dev/null || continue; \
             echo 1 > events/probe/enable && echo 1 > tracing_on && echo > trace && \
             printf '%s+0x%x' {function} $i && exit; done; exit 1"
        ))
        .unwrap()
}

fn unprobe(guest: &Guest) {
    guest
        .ok(&format!(
            "cd {TRACING}; echo 0 > events/probe/enable; echo > kprobe_events"
        ))
        .unwrap();
}

#[test]
fn a_probe_inside_of_a_function_keeps_its_update_out() {
    let (guest, package) = seg6_guest("max");
    let id = &package.manifest().id;
    let jump = jump_offset(&target(CLOUD).unwrap());
    // On the very bytes of the jump, and behind them.
    for from in [jump, 24] {
        let place = probe(&guest, "seg6_validate_srh", from);
        let (loaded, report) = guest.load(&package).unwrap();
        let sentence = format!("a kprobe sits at {place}: remove it first");
        assert!(!loaded && report.contains(&sentence), "{report}");
        seg6_check(&guest);
        let trace = guest.ok(&format!("cat {TRACING}/trace")).unwrap();
        assert!(trace.contains(" it: "), "the probe was lost: {trace}");
        unprobe(&guest);
    }
    guest.apply(&package).unwrap();
    // On the jump: it sees each call, and has to go before the jump does.
    let place = probe(&guest, "seg6_validate_srh", jump);
    assert_eq!(seg6_check(&guest), Updated);
    let trace = guest.ok(&format!("cat {TRACING}/trace")).unwrap();
    assert!(trace.contains(" it: "), "{trace}");
    let undo = format!("echo 0 > /sys/kernel/resplice/updates/{id}/enabled");
    assert!(!guest.run(&undo).unwrap().success());
    let report = guest.report().unwrap();
    assert!(
        report.contains(&format!("a kprobe sits at {place}")),
        "{report}"
    );
    assert_eq!(guest.state(&package).unwrap(), "applied");
    unprobe(&guest);
    guest.undo(&package).unwrap();
    guest.log_is_clean().unwrap();
}

#[test]
fn probes_in_other_functions_of_the_unit_are_in_nobodys_way() {
    let (guest, package) = seg6_guest("max");
    // A breakpoint at first; the kernel makes a jump of it if it can.
    let place = probe(&guest, "seg6_genl_get_tunsrc", 24);
    guest.apply(&package).unwrap();
    assert_eq!(seg6_check(&guest), Updated);
    guest.undo(&package).unwrap();
    let optimised = guest.run(
        "for i in $(seq 100); do grep OPTIMIZED /sys/kernel/debug/kprobes/list && exit; sleep 0.1; done; exit 1",
    );
    assert!(optimised.unwrap().success(), "no jump at {place}");
    guest.apply(&package).unwrap();
    assert_eq!(seg6_check(&guest), Updated);
    guest.undo(&package).unwrap();
    unprobe(&guest);
    guest.log_is_clean().unwrap();
}
