//! Reading a bzImage (Documentation/x86/boot.rst): the release in its header, the vmlinux in its payload,
//! and the banner in that. The bytes come from outside: every offset is checked and sizes are bounded.

use std::io::Read;

use xz2::stream::{Action, Status, Stream};

/// Largest bzImage that is read, in bytes (Debian's are 8 to 14 MB).
pub(crate) const IMAGE_MAX: u64 = 64 << 20;
/// Largest vmlinux that is unpacked, in bytes (Debian's are 50 to 70 MB).
pub(crate) const VMLINUX_MAX: u64 = 256 << 20;

const SETUP_SECTORS: usize = 0x1f1;
const MAGIC: usize = 0x202;
const PROTOCOL: usize = 0x206;
const VERSION_POINTER: usize = 0x20e;
const PAYLOAD_OFFSET: usize = 0x248;
const PAYLOAD_LENGTH: usize = 0x24c;
/// The payload's place is told since boot protocol 2.08.
const PROTOCOL_MIN: u16 = 0x208;
const SECTOR: usize = 512;
/// Room for so many bytes is made at a time while unpacking xz.
const XZ_CHUNK: usize = 4 << 20;
/// Blocks of the legacy LZ4 format hold at most this much, unpacked.
const LZ4_BLOCK: usize = 8 << 20;

/// A bzImage in memory.
pub(crate) struct Image<'a> {
    bytes: &'a [u8],
}

/// What a kernel says about itself in `linux_banner`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Banner {
    /// The whole line.
    pub(crate) text: String,
    /// Release, as `uname -r` prints it.
    pub(crate) release: String,
    /// Version of Debian's source package.
    pub(crate) package_version: String,
}

impl<'a> Image<'a> {
    /// Accepts bytes that carry a setup header of protocol 2.08 or later.
    pub(crate) fn parse(bytes: &'a [u8]) -> Result<Self, String> {
        let image = Self { bytes };
        if image.slice(MAGIC, 4)? != b"HdrS" {
            return Err("there is no `HdrS` at 0x202, so this is no bzImage".to_owned());
        }
        let protocol = image.u16(PROTOCOL)?;
        if protocol < PROTOCOL_MIN {
            return Err(format!("boot protocol {protocol:#x} is older than 2.08"));
        }
        Ok(image)
    }

    /// The version string of the header: release, builder, version.
    pub(crate) fn version(&self) -> Result<String, String> {
        let start = usize::from(self.u16(VERSION_POINTER)?) + 0x200;
        let tail = self
            .bytes
            .get(start..)
            .ok_or("the version string lies outside of the file")?;
        let line = tail.iter().take(256).position(|byte| *byte == 0);
        let end = line.ok_or("the version string has no end")?;
        Ok(String::from_utf8_lossy(tail.get(..end).unwrap_or_default()).into_owned())
    }

    /// Unpacks the vmlinux.
    pub(crate) fn vmlinux(&self) -> Result<Vec<u8>, String> {
        let sectors = match self.slice(SETUP_SECTORS, 1)? {
            [0] => 4,
            [sectors] => usize::from(*sectors),
            _ => return Err("the header is cut short".to_owned()),
        };
        let setup = (sectors + 1) * SECTOR;
        let offset = setup
            .checked_add(self.u32(PAYLOAD_OFFSET)?)
            .ok_or("the payload lies outside of the file")?;
        let payload = self.slice(offset, self.u32(PAYLOAD_LENGTH)?)?;
        let vmlinux = unpack(payload)?;
        if !vmlinux.starts_with(b"\x7fELF") {
            return Err("the payload is no ELF file".to_owned());
        }
        Ok(vmlinux)
    }

    fn slice(&self, offset: usize, length: usize) -> Result<&'a [u8], String> {
        offset
            .checked_add(length)
            .and_then(|end| self.bytes.get(offset..end))
            .ok_or_else(|| format!("{length} bytes at {offset:#x} lie outside of the file"))
    }

    fn u16(&self, offset: usize) -> Result<u16, String> {
        let bytes = self.slice(offset, 2)?;
        Ok(bytes
            .iter()
            .rev()
            .fold(0, |value, byte| value << 8 | u16::from(*byte)))
    }

    fn u32(&self, offset: usize) -> Result<usize, String> {
        let bytes = self.slice(offset, 4)?;
        Ok(bytes
            .iter()
            .rev()
            .fold(0, |value, byte| value << 8 | usize::from(*byte)))
    }
}

/// Unpacks by the payload's magic. What follows the first stream (the size that kbuild appends) is ignored.
fn unpack(payload: &[u8]) -> Result<Vec<u8>, String> {
    match payload {
        [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => unpack_xz(payload),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => match zstd::Decoder::with_buffer(payload) {
            Ok(decoder) => bounded("zstd", decoder.single_frame()),
            Err(error) => Err(format!("zstd: {error}")),
        },
        [0x02, 0x21, 0x4c, 0x18, blocks @ ..] => unpack_lz4(blocks),
        _ => {
            let magic = hex::encode(payload.get(..4).unwrap_or(payload));
            Err(format!(
                "the payload's compression is not known (it begins with {magic}; xz, lz4 and zstd are)"
            ))
        }
    }
}

fn bounded(format: &str, reader: impl Read) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    reader
        .take(VMLINUX_MAX + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| format!("{format}: {error}"))?;
    check_size(bytes)
}

fn check_size(bytes: Vec<u8>) -> Result<Vec<u8>, String> {
    match bytes.len() as u64 {
        0..=VMLINUX_MAX => Ok(bytes),
        _ => Err(format!(
            "the payload unpacks to more than {VMLINUX_MAX} bytes"
        )),
    }
}

/// xz2's reader takes what follows the stream for damage, so the stream is driven by hand.
fn unpack_xz(payload: &[u8]) -> Result<Vec<u8>, String> {
    let failed = |error: xz2::stream::Error| format!("xz: {error}");
    let mut stream = Stream::new_stream_decoder(VMLINUX_MAX, 0).map_err(failed)?;
    let mut bytes = Vec::new();
    loop {
        bytes.reserve(XZ_CHUNK);
        let (taken, made) = (stream.total_in(), stream.total_out());
        let rest = usize::try_from(taken)
            .ok()
            .and_then(|taken| payload.get(taken..))
            .unwrap_or_default();
        let status = stream
            .process_vec(rest, &mut bytes, Action::Run)
            .map_err(failed)?;
        bytes = check_size(bytes)?;
        if status == Status::StreamEnd {
            return Ok(bytes);
        }
        if (stream.total_in(), stream.total_out()) == (taken, made) {
            return Err("xz: the payload is cut short".to_owned());
        }
    }
}

/// The legacy LZ4 format: blocks of a 32-bit length and so many packed bytes. kbuild appends the unpacked size,
/// which is told from a block by being the last four bytes.
fn unpack_lz4(mut rest: &[u8]) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    while rest.len() > 4 {
        let (length, tail) = rest.split_at(4);
        let length = length
            .iter()
            .rev()
            .fold(0, |value, byte| value << 8 | usize::from(*byte));
        if length > tail.len() {
            return Err(format!(
                "lz4: a block of {length} bytes does not fit the {} left",
                tail.len()
            ));
        }
        let (block, next) = tail.split_at(length);
        let unpacked = lz4_flex::block::decompress(block, LZ4_BLOCK)
            .map_err(|error| format!("lz4: {error}"))?;
        bytes.extend_from_slice(&unpacked);
        bytes = check_size(bytes)?;
        rest = next;
    }
    Ok(bytes)
}

/// Finds the banner in a vmlinux. The format string `Linux version %s` does not count.
pub(crate) fn banner(vmlinux: &[u8]) -> Result<Banner, String> {
    let prefix = b"Linux version ";
    for start in memchr::memmem::find_iter(vmlinux, prefix) {
        let tail = vmlinux.get(start..).unwrap_or_default();
        let end = tail
            .iter()
            .take(512)
            .position(|byte| matches!(byte, 0 | b'\n'));
        let Some(line) = end.and_then(|end| tail.get(..end)) else {
            continue;
        };
        if let Some(banner) = parse_banner(&String::from_utf8_lossy(line)) {
            return Ok(banner);
        }
    }
    Err("it holds no Debian kernel's banner (`Linux version … Debian VERSION (DATE)`)".to_owned())
}

fn parse_banner(line: &str) -> Option<Banner> {
    let release = line.strip_prefix("Linux version ")?.split_once(' ')?.0;
    let (_, tail) = line.rsplit_once(" Debian ")?;
    let (package_version, date) = tail.split_once(' ')?;
    let plausible = release.starts_with(|first: char| first.is_ascii_digit())
        && package_version.starts_with(|first: char| first.is_ascii_digit())
        && date.starts_with('(');
    plausible.then(|| Banner {
        text: line.to_owned(),
        release: release.to_owned(),
        package_version: package_version.to_owned(),
    })
}

#[cfg(test)]
#[path = "image_tests.rs"]
mod tests;
