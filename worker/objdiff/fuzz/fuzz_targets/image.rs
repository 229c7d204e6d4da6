//! A reference object in: its match image, and that matched against the same
//! bytes as a module's file.
#![no_main]

use libfuzzer_sys::fuzz_target;
use resplice_objdiff::elf::Object;
use resplice_objdiff::filematch::{KernelFile, ModuleFile, match_file};
use resplice_objdiff::image::ImageBuilder;

fuzz_target!(|data: &[u8]| {
    let _ = KernelFile::parse(data);
    let Ok(object) = Object::parse(data) else {
        return;
    };
    let mut builder = ImageBuilder::new("vmlinux");
    if builder.add_unit("unit.c", &object).is_err() {
        return;
    }
    if let Ok(file) = ModuleFile::parse(data) {
        let _ = match_file(builder.image(), &file);
    }
    let _ = builder.finish();
});
