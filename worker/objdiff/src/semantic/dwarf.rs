//! From DWARF 4 or 5 to a [`Model`].
//!
//! Entries refer to each other by offset, also forwards: while they are read
//! an id holds the offset that is meant, and `Links` replaces it in the end.

mod attributes;
mod files;
mod links;

use std::collections::HashMap;
use std::rc::Rc;

use gimli::{DebuggingInformationEntry, DwTag, EndianSlice, LittleEndian, Unit};

use attributes::{Attributes, bit_offset};
use links::{Links, dangling};

use super::error::SemanticError;
use super::model::{
    Aggregate, Enum, Function, FunctionId, Member, Model, Signature, Type, TypeId, Variable,
};
use super::sections::{LIMITS, Sections, limit};

type Slice<'d> = EndianSlice<'d, LittleEndian>;
type Entry<'d> = DebuggingInformationEntry<Slice<'d>>;

/// Nesting of entries; more is nonsense.
const MAX_DEPTH: isize = 256;

/// Reads all units of an object into one model. `name` is the unit's path from
/// the tree's root; positions are given from there.
pub(super) fn read<'d>(sections: &'d Sections, name: &str) -> Result<Model<'d>, SemanticError> {
    let load = |id: gimli::SectionId| {
        Ok::<_, SemanticError>(EndianSlice::new(sections.get(id.name()), LittleEndian))
    };
    let dwarf = gimli::Dwarf::load(load)?;
    let mut reader = Reader {
        sections,
        dwarf: &dwarf,
        model: Model::default(),
        types: HashMap::new(),
        functions: HashMap::new(),
        variables: HashMap::new(),
        pending: Vec::new(),
        files: Vec::new(),
        root: String::new(),
        entries: 0,
    };
    let mut units = dwarf.units();
    while let Some(header) = units.next()? {
        let unit = dwarf.unit(header)?;
        reader.unit(&unit, name)?;
    }
    reader.finish()
}

/// What the entries below an entry belong to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Context {
    Outside,
    Type(TypeId),
    /// Directly below a function.
    Function(FunctionId),
    /// Deeper below a function.
    Body(FunctionId),
}

struct Reader<'r, 'd> {
    sections: &'d Sections,
    dwarf: &'r gimli::Dwarf<Slice<'d>>,
    model: Model<'d>,
    /// By offset in `.debug_info`.
    types: HashMap<usize, TypeId>,
    functions: HashMap<usize, FunctionId>,
    variables: HashMap<usize, (&'d str, Option<usize>, bool)>,
    /// Variables that complete an entry elsewhere: index and that one's offset.
    pending: Vec<(usize, usize)>,
    files: Vec<Rc<str>>,
    root: String,
    entries: u64,
}

impl<'d> Reader<'_, 'd> {
    fn unit(&mut self, unit: &Unit<Slice<'d>>, name: &str) -> Result<(), SemanticError> {
        let base = match unit.header.debug_info_offset() {
            Some(offset) => offset.0,
            None => return Err(SemanticError::Unsupported("a type unit".to_owned())),
        };
        self.name_unit(unit, name)?;
        self.read_files(unit)?;
        let mut contexts: Vec<Context> = Vec::new();
        let mut raw = unit.entries_raw(None)?;
        let mut entry = Entry::null();
        while !raw.is_empty() {
            let depth = raw.next_depth();
            if !raw.read_entry(&mut entry)? {
                continue;
            }
            self.entries += 1;
            limit("entries", self.entries, LIMITS.entries)?;
            if !(0..MAX_DEPTH).contains(&depth) {
                return Err(SemanticError::Malformed(format!("depth {depth}")));
            }
            // Not below 0 and below MAX_DEPTH, as checked.
            let depth = depth.unsigned_abs();
            contexts.truncate(depth);
            let outer = contexts.last().copied().unwrap_or(Context::Outside);
            let offset = base.saturating_add(entry.offset().0);
            let inner = self.entry(unit, base, offset, &entry, outer)?;
            contexts.resize(depth, Context::Outside);
            contexts.push(inner);
        }
        Ok(())
    }

    fn entry(
        &mut self,
        unit: &Unit<Slice<'d>>,
        base: usize,
        offset: usize,
        entry: &Entry<'d>,
        outer: Context,
    ) -> Result<Context, SemanticError> {
        let tag = entry.tag();
        if is_without_meaning(tag) {
            return Ok(match outer {
                Context::Function(id) | Context::Body(id) => Context::Body(id),
                _ => Context::Outside,
            });
        }
        let found = self.attributes(unit, base, entry)?;
        match tag {
            gimli::DW_TAG_subprogram => Ok(self.function(offset, &found)),
            gimli::DW_TAG_inlined_subroutine => Ok(self.inlined(&found, outer)),
            gimli::DW_TAG_variable => {
                self.variable(offset, &found, outer);
                Ok(Context::Outside)
            }
            gimli::DW_TAG_formal_parameter | gimli::DW_TAG_unspecified_parameters => {
                self.parameter(tag, &found, outer);
                Ok(Context::Outside)
            }
            gimli::DW_TAG_member | gimli::DW_TAG_enumerator | gimli::DW_TAG_subrange_type => {
                self.part(tag, &found, outer)?;
                Ok(Context::Outside)
            }
            _ => {
                let of = self.new_type(tag, &found)?;
                let id = self.model.types.len();
                self.model.types.push(of);
                self.types.insert(offset, id);
                Ok(Context::Type(id))
            }
        }
    }

    fn new_type(&self, tag: DwTag, found: &Attributes<'d>) -> Result<Type<'d>, SemanticError> {
        let name = found.name.unwrap_or_default();
        let to = found.of;
        let qualified = |word| Type::Qualified { word, to };
        Ok(match tag {
            gimli::DW_TAG_unspecified_type => Type::Void,
            gimli::DW_TAG_base_type => Type::Base {
                name,
                size: found.size.unwrap_or_default(),
                encoding: found.encoding,
            },
            gimli::DW_TAG_pointer_type => Type::Pointer { to },
            gimli::DW_TAG_structure_type | gimli::DW_TAG_union_type => Type::Aggregate(Aggregate {
                name: found.name,
                is_union: tag == gimli::DW_TAG_union_type,
                is_declaration: found.is_declaration,
                size: found.size.unwrap_or_default(),
                members: Vec::new(),
                position: self.position(found),
            }),
            gimli::DW_TAG_enumeration_type => Type::Enum(Enum {
                name: found.name,
                size: found.size.unwrap_or_default(),
                is_declaration: found.is_declaration,
                constants: Vec::new(),
                position: self.position(found),
            }),
            gimli::DW_TAG_array_type => Type::Array {
                of: to,
                counts: Vec::new(),
            },
            gimli::DW_TAG_typedef => Type::Alias { name, to },
            gimli::DW_TAG_const_type => qualified("const"),
            gimli::DW_TAG_volatile_type => qualified("volatile"),
            gimli::DW_TAG_restrict_type => qualified("restrict"),
            gimli::DW_TAG_atomic_type => qualified("_Atomic"),
            gimli::DW_TAG_subroutine_type => Type::Function(Signature {
                returns: to,
                ..Signature::default()
            }),
            _ => return Err(SemanticError::Unsupported(format!("entry {tag}"))),
        })
    }

    fn function(&mut self, offset: usize, found: &Attributes<'d>) -> Context {
        let symbol = found
            .symbol
            .or_else(|| self.sections.symbol(found.address?));
        let id = self.model.functions.len();
        self.model.functions.push(Function {
            name: found.name,
            symbol: symbol.map(str::to_owned),
            position: self.position(found),
            is_external: found.is_external,
            is_declaration: found.is_declaration,
            signature: Signature {
                returns: found.of,
                ..Signature::default()
            },
            uses: found.of.into_iter().collect(),
            inlined: Vec::new(),
            origin: found.origin,
        });
        self.functions.insert(offset, id);
        Context::Function(id)
    }

    fn inlined(&mut self, found: &Attributes<'d>, outer: Context) -> Context {
        let (Context::Function(id) | Context::Body(id)) = outer else {
            return Context::Outside;
        };
        self.model.functions[id].inlined.extend(found.origin);
        Context::Body(id)
    }

    fn parameter(&mut self, tag: DwTag, found: &Attributes<'d>, outer: Context) {
        let variadic = tag == gimli::DW_TAG_unspecified_parameters;
        let signature = match outer {
            Context::Function(id) => &mut self.model.functions[id].signature,
            Context::Type(id) => match &mut self.model.types[id] {
                Type::Function(signature) => signature,
                _ => return,
            },
            Context::Body(_) | Context::Outside => return,
        };
        signature.is_variadic |= variadic;
        if !variadic {
            signature.parameters.push(found.of);
        }
        if let Context::Function(id) = outer {
            self.model.functions[id].uses.extend(found.of);
        }
    }

    fn variable(&mut self, offset: usize, found: &Attributes<'d>, outer: Context) {
        let scope = match outer {
            Context::Function(id) | Context::Body(id) => {
                self.model.functions[id].uses.extend(found.of);
                Some(id)
            }
            _ => None,
        };
        if let Some(name) = found.name {
            self.variables
                .insert(offset, (name, found.of, found.is_external));
        }
        if scope.is_some() && found.address.is_none() {
            return;
        }
        let id = self.model.variables.len();
        if let (None, Some(origin)) = (found.name, found.origin) {
            self.pending.push((id, origin));
        }
        self.model.variables.push(Variable {
            name: found.name.unwrap_or_default(),
            of: found.of,
            scope,
            symbol: found
                .address
                .and_then(|at| self.sections.symbol(at))
                .map(str::to_owned),
            position: self.position(found),
            is_external: found.is_external,
        });
    }

    /// A member, enumerator or dimension.
    fn part(
        &mut self,
        tag: DwTag,
        found: &Attributes<'d>,
        outer: Context,
    ) -> Result<(), SemanticError> {
        let Context::Type(id) = outer else {
            return Err(SemanticError::Malformed(format!("{tag} outside of a type")));
        };
        match (&mut self.model.types[id], tag) {
            (Type::Aggregate(aggregate), gimli::DW_TAG_member) => {
                aggregate.members.push(Member {
                    name: found.name,
                    of: found.of,
                    bit_offset: bit_offset(found)?,
                    bits: found.bit_size,
                });
            }
            (Type::Enum(of), gimli::DW_TAG_enumerator) => {
                let name = found.name.unwrap_or_default();
                let value = found.value.ok_or_else(|| {
                    SemanticError::Malformed(format!("enumerator {name} has no value"))
                })?;
                of.constants.push((name, value));
            }
            (Type::Array { counts, .. }, gimli::DW_TAG_subrange_type) => {
                // The bound of an empty array is all ones.
                let count = found
                    .count
                    .or_else(|| found.upper_bound.map(|bound| bound.wrapping_add(1)));
                counts.push(count);
            }
            _ => return Err(SemanticError::Malformed(format!("{tag} in another type"))),
        }
        Ok(())
    }

    /// Replaces offsets by ids.
    fn finish(self) -> Result<Model<'d>, SemanticError> {
        let mut model = self.model;
        let links = Links {
            types: &self.types,
            functions: &self.functions,
        };
        for of in &mut model.types {
            links.of_type(of)?;
        }
        for function in &mut model.functions {
            links.signature(&mut function.signature)?;
            for id in &mut function.uses {
                *id = links.one(*id)?;
            }
            function.uses.sort_unstable();
            function.uses.dedup();
            for id in function.inlined.iter_mut().chain(&mut function.origin) {
                *id = *links.functions.get(id).ok_or_else(|| dangling(*id))?;
            }
            function.inlined.sort_unstable();
            function.inlined.dedup();
        }
        for (id, offset) in self.pending {
            let (name, of, external) = self
                .variables
                .get(&offset)
                .ok_or_else(|| dangling(offset))?;
            let variable = &mut model.variables[id];
            variable.name = name;
            variable.of = variable.of.or(*of);
            variable.is_external |= external;
        }
        for variable in &mut model.variables {
            links.maybe(&mut variable.of)?;
        }
        Ok(model)
    }
}

/// Entries of which only the place counts, or nothing at all.
fn is_without_meaning(tag: DwTag) -> bool {
    matches!(
        tag,
        gimli::DW_TAG_compile_unit
            | gimli::DW_TAG_lexical_block
            | gimli::DW_TAG_label
            | gimli::DW_TAG_call_site
            | gimli::DW_TAG_call_site_parameter
            | gimli::DW_TAG_GNU_call_site
            | gimli::DW_TAG_GNU_call_site_parameter
            | gimli::DW_TAG_dwarf_procedure
    )
}
