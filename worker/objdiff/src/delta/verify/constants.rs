//! Constants of the code that boot fills in: each that post.o's tables name must be the
//! core's to fill in, by the same variable.

use super::{Check, NONE, Ref, wrong};
use crate::error::DiffError;
use crate::sites::{RuntimeConstant, runtime_constants};

impl<'a> Check<'a> {
    /// Checks those of an atom's code; where they are in it.
    pub(super) fn constants(
        &mut self,
        at: Ref,
        index: usize,
    ) -> Result<Vec<RuntimeConstant<'a>>, DiffError> {
        let post = &self.set.units[at.0].post;
        let atom = &post.atoms[at.1];
        let found = runtime_constants(&post.object, atom.section, atom.start..atom.end());
        let found = found.ok_or_else(|| wrong("a table of constants leads nowhere".into()))?;
        for constant in &found {
            self.filled_in(index, constant)?;
        }
        self.seen += found.len();
        Ok(found)
    }

    fn filled_in(&self, index: usize, constant: &RuntimeConstant<'_>) -> Result<(), DiffError> {
        let section = self.section(index)?;
        let place = &constant.place;
        let fail = |what: &str| wrong(format!("{}+{:#x}: {what}", section.name, place.start));
        let late = self
            .late
            .get(&(section.id, place.start))
            .ok_or_else(|| fail("nothing fills in a constant"))?;
        let bytes = section.bytes_in(place.start, place.end);
        if bytes.is_none_or(|bytes| bytes.iter().any(|byte| *byte != 0)) {
            return Err(fail("a constant's place that is not empty"));
        }
        let name = self.names.get(late.symbol as usize);
        if (late.kind, late.addend, late.feature) != (constant.late_kind(), 0, NONE)
            || name.is_none_or(|name| name != constant.variable)
        {
            return Err(fail("a constant is filled in by something else"));
        }
        Ok(())
    }
}
