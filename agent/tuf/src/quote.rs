//! Names in addresses and in file names.

/// Percent-encodes all but letters, digits and `-._~`.
pub(crate) fn quote(text: &str) -> String {
    quote_but(text, |byte| matches!(byte, b'-' | b'.' | b'_' | b'~'))
}

/// Percent-encodes what can't stand in an address's path; slashes stay.
pub(crate) fn quote_path(text: &str) -> String {
    quote_but(text, |byte| b"-._~!$&'()*+,;=:@/".contains(&byte))
}

fn quote_but(text: &str, plain: impl Fn(u8) -> bool) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || plain(byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}
