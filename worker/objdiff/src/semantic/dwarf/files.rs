//! Where an entry stands in the source: the line table's files, from the tree's root.

use std::rc::Rc;

use gimli::Unit;

use super::attributes::{Attributes, text};
use super::{Reader, Slice};
use crate::semantic::error::SemanticError;
use crate::semantic::model::Position;
use crate::semantic::sections::{LIMITS, limit};

impl<'d> Reader<'_, 'd> {
    pub(super) fn name_unit(
        &mut self,
        unit: &Unit<Slice<'d>>,
        name: &str,
    ) -> Result<(), SemanticError> {
        let Some(source) = unit.name else {
            return Ok(());
        };
        let source = text(source)?;
        if let Some(root) = source.strip_suffix(name) {
            root.clone_into(&mut self.root);
        }
        if self.model.source.is_empty() {
            source
                .strip_prefix(self.root.as_str())
                .unwrap_or(source)
                .clone_into(&mut self.model.source);
        }
        Ok(())
    }

    pub(super) fn read_files(&mut self, unit: &Unit<Slice<'d>>) -> Result<(), SemanticError> {
        self.files.clear();
        let Some(program) = &unit.line_program else {
            return Ok(());
        };
        let header = program.header();
        limit(
            "source files",
            header.file_names().len() as u64,
            LIMITS.entries,
        )?;
        for index in 0..=header.file_names().len() as u64 {
            let Some(file) = header.file(index) else {
                self.files.push(Rc::from(""));
                continue;
            };
            let name = text(self.dwarf.attr_string(unit, file.path_name())?)?;
            let path = match file.directory(header) {
                Some(directory) if !name.starts_with('/') => {
                    let directory = text(self.dwarf.attr_string(unit, directory)?)?;
                    format!("{directory}/{name}")
                }
                _ => name.to_owned(),
            };
            let path = path.strip_prefix(self.root.as_str()).unwrap_or(&path);
            self.files.push(Rc::from(path));
        }
        Ok(())
    }

    pub(super) fn position(&self, found: &Attributes<'_>) -> Position {
        let file = usize::try_from(found.file)
            .ok()
            .and_then(|at| self.files.get(at));
        Position {
            file: file.cloned().unwrap_or_else(|| Rc::from("")),
            line: found.line,
        }
    }
}
