//! What names and texts inside a package may look like. They end up as file
//! names, module names and on terminals, so the sets are small.

/// Longest member name in bytes: what the name field of a ustar header holds.
pub(crate) const MAX_NAME_BYTES: usize = 100;
/// Longest update id in bytes: the kernel's MODULE_NAME_LEN less the NUL.
pub(crate) const MAX_ID_BYTES: usize = 55;

/// Whether `name` may name a member: `a-z 0-9 . _ -` in parts split by `/`, no
/// part empty or beginning with a dot.
pub(crate) fn is_member(name: &str) -> bool {
    name.len() <= MAX_NAME_BYTES
        && name.split('/').all(|part| {
            !part.is_empty()
                && !part.starts_with('.')
                && part
                    .bytes()
                    .all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'-'))
        })
}

/// Whether `id` may be an update's id: it names a kernel module.
pub(crate) fn is_id(id: &str) -> bool {
    (1..=MAX_ID_BYTES).contains(&id.len())
        && id.starts_with(|c: char| c.is_ascii_lowercase())
        && id != "resplice"
        && id
            .bytes()
            .all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_'))
}

/// Whether `text` is printable ASCII without spaces, of 1 to `limit` bytes.
pub(crate) fn is_word(text: &str, limit: usize) -> bool {
    (1..=limit).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic())
}

/// Whether `text` is 1 to `limit` bytes of one line without control characters.
pub(crate) fn is_line(text: &str, limit: usize) -> bool {
    (1..=limit).contains(&text.len()) && !text.chars().any(is_unprintable)
}

/// Control characters, and the marks that turn the direction of text around.
fn is_unprintable(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Whether `text` is a sha256 in lower-case hex.
pub(crate) fn is_sha256(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

/// Whether `text` is a CVE id such as CVE-2026-72400.
pub(crate) fn is_cve(text: &str) -> bool {
    let Some((year, number)) = text.strip_prefix("CVE-").and_then(|t| t.split_once('-')) else {
        return false;
    };
    let digits = |t: &str| t.bytes().all(|b| b.is_ascii_digit());
    year.len() == 4 && (4..=12).contains(&number.len()) && digits(year) && digits(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn member_names_stay_inside_the_package() {
        for good in ["manifest.json", "modules/rsp_0a.ko", "a/b/c"] {
            assert!(is_member(good), "{good}");
        }
        let long = "a".repeat(101);
        for bad in [
            "",
            "/",
            "/etc/passwd",
            "../a",
            "a/../b",
            "a//b",
            "a/",
            ".hidden",
            "a/.b",
            "A",
            "a b",
            "a\0",
            "a\n",
            "a\\b",
            "é",
            &long,
        ] {
            assert!(!is_member(bad), "{bad:?}");
        }
    }

    #[test]
    fn an_id_is_a_module_name_other_than_the_core() {
        assert!(is_id("rsp_00112233aabb"));
        for bad in ["", "resplice", "a-b", "A", "1a", "a/b", &"a".repeat(56)] {
            assert!(!is_id(bad), "{bad:?}");
        }
    }

    #[test]
    fn text_can_not_drive_a_terminal() {
        assert!(is_line("Länge geprüft", 100));
        for bad in ["", "a\nb", "\u{1b}[2J", "\u{202e}abc", "a\u{85}"] {
            assert!(!is_line(bad, 100), "{bad:?}");
        }
    }

    #[test]
    fn cve_ids_have_a_year_and_a_number() {
        assert!(is_cve("CVE-2026-72400"));
        for bad in [
            "CVE-2026-1",
            "cve-2026-72400",
            "CVE-26-72400",
            "CVE-2026-7240x",
            "CVE-2026",
        ] {
            assert!(!is_cve(bad), "{bad:?}");
        }
    }
}
