//! The container: a canonical ustar archive.
//!
//! Only regular files, names in ascending byte order, mode 0644, owner 0:0,
//! time 0, no user names, two zero blocks at the end. The reader knows nothing
//! else: headers are rebuilt from name and size and must come out the same.

use crate::{Error, name};
use std::collections::BTreeMap;
use tar::Header;

/// Largest package in bytes.
pub const MAX_PACKAGE_BYTES: usize = 64 << 20;
/// Most members in a package, manifest and signature included.
pub const MAX_MEMBERS: usize = 96;

const BLOCK: usize = 512;
/// Two zero blocks end a tar archive.
const END: usize = 2 * BLOCK;

/// Encodes members; their order in the archive is that of their names.
///
/// # Errors
/// Forbidden names, too many members, too many bytes.
pub(crate) fn encode<B: AsRef<[u8]>>(members: &BTreeMap<String, B>) -> Result<Vec<u8>, Error> {
    if members.len() > MAX_MEMBERS {
        return Err(too_many(members.len()));
    }
    let total = members
        .values()
        .map(|bytes| BLOCK + padded(bytes.as_ref().len()))
        .sum::<usize>()
        + END;
    check_size(total)?;
    let mut archive = Vec::with_capacity(total);
    for (name, bytes) in members {
        let bytes = bytes.as_ref();
        archive.extend_from_slice(header(name, bytes.len())?.as_bytes());
        archive.extend_from_slice(bytes);
        archive.resize(archive.len().next_multiple_of(BLOCK), 0);
    }
    archive.resize(archive.len() + END, 0);
    Ok(archive)
}

/// Splits an archive into its members, borrowing their bytes.
///
/// # Errors
/// Anything that [`encode`] would not have written.
pub(crate) fn decode(archive: &[u8]) -> Result<BTreeMap<String, &[u8]>, Error> {
    check_size(archive.len())?;
    let mut members: BTreeMap<String, &[u8]> = BTreeMap::new();
    let mut offset = 0;
    loop {
        let block = slice(archive, offset, BLOCK)?;
        if block.iter().all(|&b| b == 0) {
            break;
        }
        if members.len() == MAX_MEMBERS {
            return Err(too_many(members.len() + 1));
        }
        let (name, size) = read_header(block, offset)?;
        let bytes = slice(archive, offset + BLOCK, size)?;
        if members
            .last_key_value()
            .is_some_and(|(last, _)| *last >= name)
        {
            return Err(damaged(
                offset,
                format!("member {name} is out of order or there twice"),
            ));
        }
        members.insert(name, bytes);
        offset += BLOCK + padded(size);
    }
    let again = encode(&members)?;
    if again != archive {
        let offset = again
            .iter()
            .zip(archive)
            .take_while(|(a, b)| a == b)
            .count();
        return Err(Error::NotCanonical { offset });
    }
    Ok(members)
}

/// Name and size from a header block.
fn read_header(block: &[u8], offset: usize) -> Result<(String, usize), Error> {
    let header = Header::from_byte_slice(block);
    let raw = header.path_bytes();
    let name = String::from_utf8_lossy(&raw).into_owned();
    if !name::is_member(&name) {
        return Err(Error::BadName { name });
    }
    let size = header
        .entry_size()
        .ok()
        .and_then(|size| usize::try_from(size).ok())
        .filter(|&size| size <= MAX_PACKAGE_BYTES)
        .ok_or_else(|| damaged(offset, format!("member {name} has no valid size")))?;
    let expected = self::header(&name, size)?;
    let wrong = expected
        .as_bytes()
        .iter()
        .zip(block)
        .position(|(a, b)| a != b);
    match wrong {
        None => Ok((name, size)),
        Some(at) => Err(Error::NotCanonical {
            offset: offset + at,
        }),
    }
}

/// The one header that a member of this name and size has.
fn header(name: &str, size: usize) -> Result<Header, Error> {
    let forbidden = || Error::BadName {
        name: name.to_owned(),
    };
    if !name::is_member(name) {
        return Err(forbidden());
    }
    let mut header = Header::new_ustar();
    header.set_path(name).map_err(|_| forbidden())?;
    header.set_size(size as u64);
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_entry_type(tar::EntryType::Regular);
    header.set_cksum();
    Ok(header)
}

fn slice(archive: &[u8], offset: usize, bytes: usize) -> Result<&[u8], Error> {
    offset
        .checked_add(bytes)
        .and_then(|end| archive.get(offset..end))
        .ok_or_else(|| damaged(archive.len(), "it is cut off here".to_owned()))
}

fn check_size(bytes: usize) -> Result<(), Error> {
    if bytes <= MAX_PACKAGE_BYTES {
        return Ok(());
    }
    Err(Error::TooLarge {
        what: "the package".to_owned(),
        bytes: bytes as u64,
        limit: MAX_PACKAGE_BYTES as u64,
    })
}

fn too_many(count: usize) -> Error {
    Error::Manifest {
        reason: format!("{count} members, the limit is {MAX_MEMBERS}"),
    }
}

fn damaged(offset: usize, reason: String) -> Error {
    Error::Archive { offset, reason }
}

fn padded(bytes: usize) -> usize {
    bytes.next_multiple_of(BLOCK)
}
