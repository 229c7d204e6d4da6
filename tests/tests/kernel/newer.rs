//! The next series of kernels through the same code: its functions begin with an endbr,
//! which boot may seal, and its alternatives have flags and do paravirt's work.

use crate::apply::shows_on;
use resplice_tests::NEWER;

#[test]
fn a_string_that_changes() {
    shows_on(
        (NEWER, "max"),
        "fs-loadavg",
        "cat /proc/loadavg",
        |text| !text.contains("live"),
        |text| text.ends_with(" live"),
    );
}

#[test]
fn a_constant_that_changes_under_return_thunks() {
    shows_on(
        (NEWER, "EPYC"),
        "mm-tmpfs-namelen",
        "stat -f -c %l /tmp",
        |text| text == "255",
        |text| text == "200",
    );
}

#[test]
fn a_function_with_a_tracepoint_under_its_thunks() {
    shows_on(
        (NEWER, "Skylake-Server-v4"),
        "fs-task-name",
        "sh -c 'printf abc >/proc/self/comm; read n </proc/self/comm; echo $n'",
        |text| text == "abc",
        |text| text == "Abc",
    );
}
