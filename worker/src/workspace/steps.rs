//! What each kind of step sees of the directory, and where it may write.

use super::{IN, INCLUDE, OBJECTS, OUT, TREE, Workspace};
use crate::{
    Error,
    sandbox::{Bind, Limits, Step},
};
use resplice_target::{SANDBOX_BUILD, SANDBOX_MODULE, SANDBOX_SOURCE};

impl Workspace {
    /// A step over source and build tree, to which callers add.
    #[must_use]
    pub fn step(&self, name: &str, argv: Vec<String>) -> Step {
        Step {
            name: name.to_owned(),
            argv,
            cwd: SANDBOX_BUILD.to_owned(),
            env: vec![
                ("KBUILD_BUILD_USER".to_owned(), "resplice".to_owned()),
                ("KBUILD_BUILD_HOST".to_owned(), "resplice".to_owned()),
                ("SOURCE_DATE_EPOCH".to_owned(), "0".to_owned()),
            ],
            binds: vec![
                Bind::read_only(&self.source, SANDBOX_SOURCE),
                Bind::read_only(self.build(), SANDBOX_BUILD),
                Bind::read_only(self.path("in"), IN),
                Bind::writable(self.path("out"), OUT),
            ],
            limits: Limits::default(),
        }
    }

    /// A step that changes copies of source files in `tree/`.
    #[must_use]
    pub fn patch_step(&self, name: &str, argv: Vec<String>) -> Step {
        let mut step = self.step(name, argv);
        step.binds.push(Bind::writable(self.path("tree"), TREE));
        step
    }

    /// A step that leaves files in `objects/`, which is emptied for it.
    ///
    /// # Errors
    /// If that fails.
    pub fn object_step(&self, name: &str, argv: Vec<String>) -> Result<Step, Error> {
        self.clear("objects")?;
        let mut step = self.step(name, argv);
        step.binds
            .push(Bind::writable(self.path("objects"), OBJECTS));
        Ok(step)
    }

    /// A step in which kbuild writes to the job's own copy of the build tree.
    ///
    /// # Errors
    /// If the copy can't be made.
    pub fn kbuild_step(&self, name: &str, argv: Vec<String>) -> Result<Step, Error> {
        self.copy_build()?;
        let mut step = self.step(name, argv);
        for bind in &mut step.binds {
            bind.writable |= bind.guest == SANDBOX_BUILD;
        }
        Ok(step)
    }

    /// A step that builds an external module in `module/`.
    #[must_use]
    pub fn module_step(&self, name: &str, argv: Vec<String>) -> Step {
        let mut step = self.step(name, argv);
        step.binds
            .push(Bind::writable(self.path("module"), SANDBOX_MODULE));
        step.binds
            .push(Bind::read_only(self.path("include"), INCLUDE));
        step
    }
}
