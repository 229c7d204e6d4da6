//! A sound unit for the targets that need more than one object: whatever the
//! fuzzer makes takes the place of one of its parts.

use std::path::Path;
use std::sync::OnceLock;

use resplice_objdiff::delta::{Identity, UnitInput, write_delta};
use resplice_objdiff::plan::Plan;
use resplice_objdiff::symvers::Symvers;

/// The id of all updates here.
pub const ID: &str = "rsp_fuzz";

/// A unit's objects, what came of them, and what the kernel exports.
pub struct Sound {
    /// The update's.
    pub identity: Identity,
    /// Compiled as the kernel was.
    pub reference: Vec<u8>,
    /// Before the change.
    pub pre: Vec<u8>,
    /// After it.
    pub post: Vec<u8>,
    /// The kernel's exports.
    pub symvers: Symvers,
    /// What differencing says.
    pub plan: Plan,
}

/// Reads the unit that `make fuzz` compiled into `$RESPLICE_FUZZ_UNIT`.
pub fn sound() -> &'static Sound {
    static SOUND: OnceLock<Sound> = OnceLock::new();
    SOUND.get_or_init(|| {
        let directory = std::env::var_os("RESPLICE_FUZZ_UNIT").expect("run this by make fuzz");
        let read = |name: &str| std::fs::read(Path::new(&directory).join(name)).expect(name);
        let text = String::from_utf8(read("symvers")).expect("symvers");
        let mut sound = Sound {
            identity: Identity::new(ID).expect("a good id"),
            reference: read("ref.o"),
            pre: read("pre.o"),
            post: read("post.o"),
            symvers: Symvers::parse(&text).expect("symvers"),
            plan: Plan::default(),
        };
        let delta = write_delta(ID, "vmlinux", &[sound.unit()], &sound.symvers).expect("a delta");
        assert!(delta.bytes.is_some(), "{:?}", delta.plan);
        sound.plan = delta.plan;
        sound
    })
}

impl Sound {
    /// As differencing takes it.
    pub fn unit(&self) -> UnitInput<'_> {
        UnitInput {
            name: "unit.c",
            reference: &self.reference,
            pre: &self.pre,
            post: &self.post,
            ..UnitInput::default()
        }
    }
}
