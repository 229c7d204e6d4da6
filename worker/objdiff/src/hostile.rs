//! Damaged input at every way in: an error or an answer, never a panic. `make
//! fuzz` does the same for longer.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use crate::delta::{Identity, UnitInput, write_delta};
use crate::elf::Object;
use crate::filematch::{KernelFile, ModuleFile, match_file};
use crate::image::ImageBuilder;
use crate::linked::check_module;
use crate::plan::Plan;
use crate::sites;
use crate::symvers::Symvers;
use crate::testing::{compile, link};

const FLAGS: [&str; 4] = ["-pg", "-mfentry", "-mrecord-mcount", "-fno-jump-tables"];
const EXPORTS: &str = "0x1\t__fentry__\tvmlinux\tEXPORT_SYMBOL\t\n0x1\ttake\tvmlinux\tEXPORT_SYMBOL\t\n\
    0x1\tsink\tvmlinux\tEXPORT_SYMBOL\t\n0x1\tfast\tvmlinux\tEXPORT_SYMBOL\t\n0x2\tother\tvmlinux\tEXPORT_SYMBOL\tNAMESPACE\n";

struct Sound {
    reference: Vec<u8>,
    pre: Vec<u8>,
    post: Vec<u8>,
    symvers: Symvers,
}

impl Sound {
    fn new() -> Self {
        let header = include_str!("../tests/cases/kernel.h");
        let source = format!("{header}\n{}", include_str!("../tests/mutation/tables.c"));
        let split = [&FLAGS[..], &["-ffunction-sections", "-fdata-sections"]].concat();
        Self {
            reference: compile(&source, &FLAGS),
            pre: compile(&source, &split),
            post: compile(&format!("#define POST\n{source}"), &split),
            symvers: Symvers::parse(EXPORTS).unwrap(),
        }
    }

    fn unit(&self) -> UnitInput<'_> {
        UnitInput {
            touched: None,
            declared: &[],
            name: "unit.c",
            reference: &self.reference,
            pre: &self.pre,
            post: &self.post,
        }
    }
}

/// Copies of some bytes with a few of them changed, then cut ever shorter.
fn damaged(good: &[u8], rounds: u64, mut use_it: impl FnMut(&[u8])) {
    let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = move || {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed
    };
    for round in 0..rounds {
        let mut bad = good.to_vec();
        for _ in 0..=(round % 4) {
            let at = next() as usize % bad.len();
            bad[at] = match next() % 4 {
                0 => 0,
                1 => 0xff,
                2 => bad[at].wrapping_add(1),
                _ => next() as u8,
            };
        }
        use_it(&bad);
    }
    for step in 1..64 {
        use_it(&good[..good.len() * step / 64]);
    }
}

#[test]
fn damaged_objects_are_read_or_refused() {
    let sound = Sound::new();
    damaged(&sound.post, 800, |bad| {
        let _ = KernelFile::parse(bad);
        let Ok(object) = Object::parse(bad) else {
            return;
        };
        let _ = sites::read_all(&object);
        let mut builder = ImageBuilder::new("vmlinux");
        if builder.add_unit("unit.c", &object).is_ok() {
            if let Ok(file) = ModuleFile::parse(bad) {
                let _ = match_file(builder.image(), &file);
            }
            let _ = builder.finish();
        }
    });
}

fn identity() -> Identity {
    Identity::new("rsp_test").unwrap()
}

#[test]
fn damaged_units_and_modules_are_checked_or_refused() {
    let sound = Sound::new();
    let good = write_delta("rsp_test", "vmlinux", &[sound.unit()], &sound.symvers).unwrap();
    let module = link(&[&good.bytes.expect("a delta")], &["-r"]);
    fn check(module: &[u8], plan: &Plan, unit: UnitInput<'_>, symvers: &Symvers) -> bool {
        check_module(module, &identity(), plan, &[unit], symvers).is_ok()
    }
    assert!(check(&module, &good.plan, sound.unit(), &sound.symvers));
    damaged(&module, 500, |bad| {
        let _ = check(bad, &good.plan, sound.unit(), &sound.symvers);
    });
    for part in 0..3 {
        let objects = [&sound.reference, &sound.pre, &sound.post];
        damaged(objects[part], 100, |bad| {
            let mut unit = sound.unit();
            match part {
                0 => unit.reference = bad,
                1 => unit.pre = bad,
                _ => unit.post = bad,
            }
            let _ = check(&module, &good.plan, unit, &sound.symvers);
            let _ = write_delta("rsp_test", "vmlinux", &[unit], &sound.symvers);
        });
    }
}

#[test]
fn damaged_plans_and_lists_of_exports_are_read_or_refused() {
    let sound = Sound::new();
    let good = write_delta("rsp_test", "vmlinux", &[sound.unit()], &sound.symvers).unwrap();
    let module = good.bytes.expect("a delta");
    let text = serde_json::to_vec(&good.plan).unwrap();
    damaged(&text, 1500, |bad| {
        if let Ok(plan) = serde_json::from_slice::<Plan>(bad) {
            let _ = check_module(&module, &identity(), &plan, &[sound.unit()], &sound.symvers);
        }
    });
    damaged(EXPORTS.as_bytes(), 3000, |bad| {
        let _ = Symvers::parse(&String::from_utf8_lossy(bad));
    });
}
