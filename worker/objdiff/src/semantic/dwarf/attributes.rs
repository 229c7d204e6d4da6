//! The attributes of one entry.

use gimli::{Attribute, AttributeValue, DwAt, Operation, Unit};

use super::{Entry, Reader, Slice};
use crate::semantic::error::SemanticError;

/// Ranges of one function that are looked at for its symbol.
const MAX_RANGES: usize = 16;

/// The attributes of an entry that matter here.
#[derive(Default)]
pub(super) struct Attributes<'d> {
    pub name: Option<&'d str>,
    pub of: Option<usize>,
    pub origin: Option<usize>,
    pub size: Option<u64>,
    pub encoding: u8,
    pub is_declaration: bool,
    pub is_external: bool,
    pub file: u64,
    pub line: u64,
    pub address: Option<u64>,
    pub value: Option<i128>,
    pub count: Option<u64>,
    pub upper_bound: Option<u64>,
    pub member_location: u64,
    pub data_bit_offset: Option<u64>,
    pub bit_size: Option<u64>,
    /// DWARF 4's, from the most significant bit.
    pub bit_offset: Option<u64>,
    pub symbol: Option<&'d str>,
}

impl<'d> Reader<'_, 'd> {
    pub(super) fn attributes(
        &self,
        unit: &Unit<Slice<'d>>,
        base: usize,
        entry: &Entry<'d>,
    ) -> Result<Attributes<'d>, SemanticError> {
        let mut found = Attributes::default();
        for attribute in entry.attrs() {
            self.attribute(&mut found, unit, base, attribute)?;
        }
        Ok(found)
    }

    fn attribute(
        &self,
        found: &mut Attributes<'d>,
        unit: &Unit<Slice<'d>>,
        base: usize,
        attribute: &Attribute<Slice<'d>>,
    ) -> Result<(), SemanticError> {
        let value = attribute.value();
        let number = attribute.udata_value();
        match attribute.name() {
            gimli::DW_AT_name => found.name = Some(text(self.dwarf.attr_string(unit, value)?)?),
            gimli::DW_AT_type => found.of = reference(base, &value)?,
            gimli::DW_AT_abstract_origin | gimli::DW_AT_specification => {
                found.origin = reference(base, &value)?;
            }
            gimli::DW_AT_byte_size => found.size = number,
            gimli::DW_AT_encoding => {
                if let AttributeValue::Encoding(encoding) = value {
                    found.encoding = encoding.0;
                }
            }
            gimli::DW_AT_declaration => found.is_declaration = flag(&value),
            gimli::DW_AT_external => found.is_external = flag(&value),
            gimli::DW_AT_decl_file => {
                found.file = match value {
                    AttributeValue::FileIndex(index) => index,
                    _ => number.unwrap_or_default(),
                }
            }
            gimli::DW_AT_decl_line => found.line = number.unwrap_or_default(),
            gimli::DW_AT_low_pc => {
                found.address = self.dwarf.attr_address(unit, value)?.or(found.address);
            }
            gimli::DW_AT_ranges => found.symbol = self.symbol_of_ranges(unit, value)?,
            gimli::DW_AT_const_value => {
                found.value = match value {
                    AttributeValue::Sdata(value) => Some(i128::from(value)),
                    _ => number.map(i128::from),
                }
            }
            gimli::DW_AT_count => found.count = number,
            gimli::DW_AT_upper_bound => found.upper_bound = number,
            gimli::DW_AT_data_member_location => {
                found.member_location = number.ok_or_else(|| unknown(attribute.name()))?;
            }
            gimli::DW_AT_data_bit_offset => {
                found.data_bit_offset = Some(number.ok_or_else(|| unknown(attribute.name()))?);
            }
            gimli::DW_AT_bit_size => {
                found.bit_size = Some(number.ok_or_else(|| unknown(attribute.name()))?);
            }
            gimli::DW_AT_bit_offset => {
                found.bit_offset = Some(number.ok_or_else(|| unknown(attribute.name()))?);
            }
            gimli::DW_AT_location => {
                if let AttributeValue::Exprloc(expression) = value {
                    found.address = fixed_address(expression, unit)?.or(found.address);
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// A function with a cold part has ranges; the first symbol is its own.
    fn symbol_of_ranges(
        &self,
        unit: &Unit<Slice<'d>>,
        value: AttributeValue<Slice<'d>>,
    ) -> Result<Option<&'d str>, SemanticError> {
        let Some(mut ranges) = self.dwarf.attr_ranges(unit, value)? else {
            return Ok(None);
        };
        let mut first = None;
        for _ in 0..MAX_RANGES {
            let Some(range) = ranges.next()? else { break };
            if let Some(symbol) = self.sections.symbol(range.begin) {
                if !symbol.contains(".cold") {
                    return Ok(Some(symbol));
                }
                first = first.or(Some(symbol));
            }
        }
        Ok(first)
    }
}

fn unknown(name: DwAt) -> SemanticError {
    SemanticError::Unsupported(format!("{name} that is not a number"))
}

pub(super) fn text<'d>(slice: Slice<'d>) -> Result<&'d str, SemanticError> {
    std::str::from_utf8(slice.slice())
        .map_err(|error| SemanticError::Malformed(format!("a name is not UTF-8: {error}")))
}

fn flag(value: &AttributeValue<Slice<'_>>) -> bool {
    matches!(value, AttributeValue::Flag(true))
}

/// An offset in `.debug_info`.
fn reference(
    base: usize,
    value: &AttributeValue<Slice<'_>>,
) -> Result<Option<usize>, SemanticError> {
    match value {
        AttributeValue::UnitRef(offset) => Ok(base.checked_add(offset.0)),
        AttributeValue::DebugInfoRef(offset) => Ok(Some(offset.0)),
        _ => Err(SemanticError::Unsupported(
            "a reference into another file or a type unit".to_owned(),
        )),
    }
}

/// The address that an expression stands for, if it is nothing but one.
fn fixed_address(
    expression: gimli::Expression<Slice<'_>>,
    unit: &Unit<Slice<'_>>,
) -> Result<Option<u64>, SemanticError> {
    let mut operations = expression.operations(unit.encoding());
    match operations.next()? {
        Some(Operation::Address { address }) => Ok(Some(address)),
        _ => Ok(None),
    }
}

/// Where a member begins, in bits from the aggregate's start.
pub(super) fn bit_offset(found: &Attributes<'_>) -> Result<u64, SemanticError> {
    let bad = || SemanticError::Malformed("a bit field lies outside of its type".to_owned());
    let bits = |bytes: u64| bytes.checked_mul(8).ok_or_else(bad);
    let start = bits(found.member_location)?;
    if let Some(offset) = found.data_bit_offset {
        return start.checked_add(offset).ok_or_else(bad);
    }
    let (Some(from_top), Some(width)) = (found.bit_offset, found.bit_size) else {
        return Ok(start);
    };
    // DWARF 4 counts from the top of a storage unit, which lies little endian.
    let storage = bits(found.size.ok_or_else(bad)?)?;
    start
        .checked_add(storage)
        .and_then(|end| end.checked_sub(from_top))
        .and_then(|end| end.checked_sub(width))
        .ok_or_else(bad)
}
