//! Constants of the code that boot fills in: the module's are the core's to fill in.

use super::region::Region;
use super::{Check, Result};
use crate::sites::{RuntimeConstant, runtime_constants};

impl Check<'_> {
    /// Those of a range of post.
    pub(super) fn constants_of(&self, region: &Region) -> Result<Vec<RuntimeConstant<'_>>> {
        let post = &self.units[region.unit].post.object;
        let range = region.start..region.start.saturating_add(region.size);
        runtime_constants(post, region.section, range)
            .ok_or_else(|| format!("{}: a table of constants leads nowhere", region.name))
    }

    /// Checks them; where in the range they are.
    pub(super) fn constants(&mut self, region: &Region) -> Result<Vec<u64>> {
        let section = region.place.section;
        let mut found = Vec::new();
        for constant in self.constants_of(region)? {
            self.constant(region, &constant)
                .map_err(|what| format!("{}+{:#x}: {what}", region.name, constant.place.start))?;
            found.push(constant.place.start);
        }
        let places = found.iter().map(|at| (section, region.place.offset + at));
        self.late_seen.extend(places);
        Ok(found)
    }

    fn constant(&self, region: &Region, constant: &RuntimeConstant<'_>) -> Result<()> {
        let start = region.place.offset + constant.place.start;
        let end = region.place.offset + constant.place.end;
        let late = self
            .module
            .late
            .get(&(region.place.section, start))
            .ok_or("nothing fills in a constant")?;
        let section = self.module.side.object.section(region.place.section);
        let bytes = section.bytes_in(start, end);
        if bytes.is_none_or(|bytes| bytes.iter().any(|byte| *byte != 0)) {
            return Err("a constant's place that is not empty".into());
        }
        let symbol = &self.module.symbols[late.symbol as usize];
        if symbol.name != constant.variable
            || (late.kind, late.addend, late.feature) != (constant.late_kind(), 0, u32::MAX)
        {
            return Err("a constant is filled in by something else".into());
        }
        Ok(())
    }
}
