#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]
use super::*;

const BANNER: &str = "Linux version 6.1.0-50-cloud-amd64 (debian-kernel@lists.debian.org) (gcc-12 (Debian 12.2.0-14+deb12u1) 12.2.0, GNU ld (GNU Binutils for Debian) 2.40) #1 SMP PREEMPT_DYNAMIC Debian 6.1.176-1 (2026-07-02)";

fn image(payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0; 1024];
    bytes[SETUP_SECTORS] = 1;
    bytes[MAGIC..MAGIC + 4].copy_from_slice(b"HdrS");
    bytes[PROTOCOL..PROTOCOL + 2].copy_from_slice(&0x20fu16.to_le_bytes());
    bytes[VERSION_POINTER..VERSION_POINTER + 2].copy_from_slice(&0x100u16.to_le_bytes());
    bytes[0x300..0x306].copy_from_slice(b"6.1.0\0");
    bytes[PAYLOAD_OFFSET..PAYLOAD_OFFSET + 4].copy_from_slice(&16u32.to_le_bytes());
    let length = u32::try_from(payload.len()).unwrap();
    bytes[PAYLOAD_LENGTH..PAYLOAD_LENGTH + 4].copy_from_slice(&length.to_le_bytes());
    bytes.extend([0xcc; 16]);
    bytes.extend_from_slice(payload);
    bytes
}

fn elf() -> Vec<u8> {
    let mut bytes = b"\x7fELF".to_vec();
    bytes.extend((0..20_000u32).flat_map(u32::to_le_bytes));
    bytes
}

fn xz(bytes: &[u8]) -> Vec<u8> {
    let mut packed = Vec::new();
    xz2::read::XzEncoder::new(bytes, 1)
        .read_to_end(&mut packed)
        .unwrap();
    packed
}

fn lz4(bytes: &[u8]) -> Vec<u8> {
    let block = lz4_flex::block::compress(bytes);
    let mut packed = vec![0x02, 0x21, 0x4c, 0x18];
    packed.extend(u32::try_from(block.len()).unwrap().to_le_bytes());
    packed.extend(block);
    packed.extend(u32::try_from(bytes.len()).unwrap().to_le_bytes());
    packed
}

#[test]
fn unpacks_xz_lz4_and_zstd_with_an_appended_size() {
    let mut zstd = zstd::encode_all(elf().as_slice(), 1).unwrap();
    zstd.extend([1, 2, 3, 4]);
    let mut xz = xz(&elf());
    xz.extend([1, 2, 3, 4]);
    for payload in [xz, lz4(&elf()), zstd] {
        let bytes = image(&payload);
        assert_eq!(Image::parse(&bytes).unwrap().vmlinux().unwrap(), elf());
    }
}

#[test]
fn reads_the_version_string() {
    assert_eq!(
        Image::parse(&image(&[])).unwrap().version().unwrap(),
        "6.1.0"
    );
}

#[test]
fn refuses_every_truncation_without_panicking() {
    for payload in [xz(&elf()), lz4(&elf())] {
        let bytes = image(&payload);
        for length in (0..bytes.len()).step_by(7) {
            let cut = &bytes[..length];
            let result = Image::parse(cut).and_then(|image| image.vmlinux());
            assert!(result.is_err(), "cut at {length}");
        }
    }
}

#[test]
fn survives_every_corrupted_header_byte() {
    let bytes = image(&lz4(&elf()));
    for offset in SETUP_SECTORS..0x250 {
        for value in [0x00, 0x7f, 0xff] {
            let mut bytes = bytes.clone();
            bytes[offset] = value;
            if let Ok(image) = Image::parse(&bytes) {
                let _ = image.version();
                let _ = image.vmlinux();
            }
        }
    }
}

#[test]
fn refuses_offsets_outside_of_the_file() {
    let mut bytes = image(&xz(&elf()));
    bytes[PAYLOAD_OFFSET..PAYLOAD_OFFSET + 4].copy_from_slice(&u32::MAX.to_le_bytes());
    assert!(
        Image::parse(&bytes)
            .unwrap()
            .vmlinux()
            .unwrap_err()
            .contains("outside")
    );
    bytes[VERSION_POINTER..VERSION_POINTER + 2].copy_from_slice(&u16::MAX.to_le_bytes());
    assert!(Image::parse(&bytes[..0x1000]).unwrap().version().is_err());
}

#[test]
fn refuses_a_payload_that_unpacks_without_end() {
    // 40 blocks of 8 MiB of zeros: 320 MiB from a few hundred kilobytes.
    let block = lz4_flex::block::compress(&vec![0; LZ4_BLOCK]);
    let mut packed = vec![0x02, 0x21, 0x4c, 0x18];
    for _ in 0..40 {
        packed.extend(u32::try_from(block.len()).unwrap().to_le_bytes());
        packed.extend_from_slice(&block);
    }
    let bytes = image(&packed);
    assert!(
        Image::parse(&bytes)
            .unwrap()
            .vmlinux()
            .unwrap_err()
            .contains("more than")
    );
}

#[test]
fn refuses_an_unknown_compression_by_its_magic() {
    let bytes = image(b"\x1f\x8b\x08\x00rest");
    assert!(
        Image::parse(&bytes)
            .unwrap()
            .vmlinux()
            .unwrap_err()
            .contains("1f8b0800")
    );
}

#[test]
fn finds_the_banner_behind_its_format_string() {
    let mut vmlinux = b"\x7fELF\0Linux version %s (%s)\0\0".to_vec();
    vmlinux.extend_from_slice(BANNER.as_bytes());
    vmlinux.extend_from_slice(b"\n\0");
    let found = banner(&vmlinux).unwrap();
    assert_eq!(
        (found.release.as_str(), found.package_version.as_str()),
        ("6.1.0-50-cloud-amd64", "6.1.176-1")
    );
    assert_eq!(found.text, BANNER);
}

#[test]
fn refuses_a_banner_of_no_debian_kernel() {
    assert!(banner(b"Linux version 6.1.176 (me@here) (gcc) #1 SMP Tue\n\0").is_err());
    assert!(banner(b"Linux version 6.1.0 Debian").is_err());
    assert!(banner(b"").is_err());
}
