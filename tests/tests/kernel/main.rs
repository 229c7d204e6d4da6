//! Updates on stock kernels in QEMU: what `resplice.ko` does, and refuses.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod apply;
mod await_module;
mod bounds;
mod busy;
mod coexist;
mod data;
mod debug;
mod faults;
mod hooks;
mod hostile;
mod labels;
mod lockdown;
mod machines;
mod matching;
mod newer;
mod parts;
mod refuse;
mod supersede;
mod tables;

use resplice_tests::guest::{Guest, machine};
use resplice_tests::seg6::Text::{Shipped, Updated};
use resplice_tests::seg6::{self, PATCH as SEG6, Text};

/// A guest of the cloud kernel with the fix at hand.
fn seg6_guest(cpu: &str) -> (Guest, resplice_package::Package) {
    let target = resplice_tests::target(resplice_tests::CLOUD).unwrap();
    let update = resplice_tests::updates::build(&target, SEG6).unwrap();
    let package = update.open().unwrap();
    let guest = Guest::start(&machine(&target, cpu), &package).unwrap();
    guest.bring(&package).unwrap();
    guest.bring_seg6_check().unwrap();
    (guest, package)
}

/// Runs the reproducer.
fn seg6_check(guest: &Guest) -> Text {
    seg6::check(guest).unwrap()
}
