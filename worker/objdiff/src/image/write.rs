//! The image as bytes: `struct resplice_match` and its tables, little endian.

use super::records::{FORMAT, MAGIC, limits};
use super::{Image, ImageError};

/// sizeof(struct resplice_match).
const HEADER: usize = 16 + 9 * 8;

struct Writer {
    out: Vec<u8>,
    tables: Vec<(u32, u32)>,
}

impl Writer {
    fn u32s(&mut self, values: &[u32]) {
        for value in values {
            self.out.extend_from_slice(&value.to_le_bytes());
        }
    }

    fn table<T>(&mut self, records: &[T], mut write: impl FnMut(&mut Self, &T)) {
        self.start(records.len());
        for record in records {
            write(self, record);
        }
    }

    fn pool(&mut self, bytes: &[u8]) {
        self.start(bytes.len());
        self.out.extend_from_slice(bytes);
    }

    fn start(&mut self, count: usize) {
        self.out.resize(self.out.len().next_multiple_of(8), 0);
        self.tables.push((self.out.len() as u32, count as u32));
    }
}

fn check(what: &'static str, count: usize, limit: usize) -> Result<(), ImageError> {
    if count > limit {
        return Err(ImageError::Limit { what, count, limit });
    }
    Ok(())
}

pub(super) fn write(image: &Image) -> Result<Vec<u8>, ImageError> {
    check("units", image.units.len(), limits::UNITS)?;
    check("sections", image.sections.len(), limits::SECTIONS)?;
    check("symbols", image.symbols.len(), limits::SYMBOLS)?;
    check("relocations", image.relocs.len(), limits::RELOCS)?;
    let pools = image.bytes.len() + image.strings.len();
    check("bytes", pools, limits::IMAGE)?;
    let mut w = Writer {
        out: vec![0; HEADER],
        tables: Vec::new(),
    };
    w.table(&image.units, |w, name| w.u32s(&[*name, 0]));
    w.table(&image.sections, |w, s| {
        w.u32s(&[
            s.unit,
            s.name,
            s.role as u32,
            s.size,
            s.bytes,
            s.relocs.first,
            s.relocs.count,
            s.sites.first,
            s.sites.count,
            s.functions.first,
            s.functions.count,
            s.align,
        ]);
    });
    w.table(&image.symbols, |w, s| {
        w.u32s(&[s.name, s.section, s.value, s.size, s.flags, s.unit])
    });
    w.table(&image.functions, |w, f| {
        w.u32s(&[f.symbol, f.section, f.offset, f.size, f.parent, f.flags]);
    });
    w.table(&image.relocs, |w, r| {
        w.u32s(&[r.offset, r.kind, r.symbol, 0]);
        w.out.extend_from_slice(&r.addend.to_le_bytes());
    });
    w.table(&image.sites, |w, s| {
        w.u32s(&[s.offset]);
        w.out.extend_from_slice(&(s.kind as u16).to_le_bytes());
        w.out.extend_from_slice(&s.len.to_le_bytes());
        w.u32s(&[s.a, s.b]);
    });
    w.table(&image.variants, |w, v| {
        w.u32s(&[
            v.bytes,
            v.len,
            v.relocs.first,
            v.relocs.count,
            v.section,
            v.offset,
            v.feature,
            0,
        ]);
    });
    w.pool(&image.strings);
    w.pool(&image.bytes);
    w.out.resize(w.out.len().next_multiple_of(8), 0);
    check("bytes", w.out.len(), limits::IMAGE)?;
    let tables = std::mem::take(&mut w.tables);
    let mut out = w.out;
    let mut header = vec![MAGIC, FORMAT, out.len() as u32, image.object];
    header.extend(tables.iter().flat_map(|(offset, count)| [*offset, *count]));
    for (field, value) in out.chunks_exact_mut(4).zip(header) {
        field.copy_from_slice(&value.to_le_bytes());
    }
    Ok(out)
}
