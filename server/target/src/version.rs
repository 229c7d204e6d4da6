//! Debian package versions and their order (Debian Policy 5.6.12).

use std::cmp::Ordering;

/// Compares two package versions as dpkg does.
pub(crate) fn compare(left: &str, right: &str) -> Ordering {
    let (left_epoch, left_rest) = epoch(left);
    let (right_epoch, right_rest) = epoch(right);
    let (left_upstream, left_revision) = revision(left_rest);
    let (right_upstream, right_revision) = revision(right_rest);
    left_epoch
        .cmp(&right_epoch)
        .then_with(|| compare_part(left_upstream, right_upstream))
        .then_with(|| compare_part(left_revision, right_revision))
}

fn epoch(version: &str) -> (u64, &str) {
    match version.split_once(':') {
        Some((epoch, rest)) => (epoch.parse().unwrap_or(0), rest),
        None => (0, version),
    }
}

fn revision(version: &str) -> (&str, &str) {
    version.rsplit_once('-').unwrap_or((version, ""))
}

/// Alternates between runs of non-digits, in dpkg's letter order, and runs of digits, by value.
fn compare_part(left: &str, right: &str) -> Ordering {
    let (mut left, mut right) = (left.as_bytes(), right.as_bytes());
    while !left.is_empty() || !right.is_empty() {
        let (left_text, left_rest) = take_while(left, |byte| !byte.is_ascii_digit());
        let (right_text, right_rest) = take_while(right, |byte| !byte.is_ascii_digit());
        let text = compare_text(left_text, right_text);
        if text != Ordering::Equal {
            return text;
        }
        let (left_number, left_rest) = take_while(left_rest, u8::is_ascii_digit);
        let (right_number, right_rest) = take_while(right_rest, u8::is_ascii_digit);
        let number = compare_number(left_number, right_number);
        if number != Ordering::Equal {
            return number;
        }
        (left, right) = (left_rest, right_rest);
    }
    Ordering::Equal
}

fn take_while(bytes: &[u8], accept: impl Fn(&u8) -> bool) -> (&[u8], &[u8]) {
    let length = bytes.iter().take_while(|byte| accept(byte)).count();
    bytes.split_at(length)
}

fn compare_text(left: &[u8], right: &[u8]) -> Ordering {
    // `~` sorts before the end of the part, letters before everything else.
    let weight = |bytes: &[u8], index: usize| match bytes.get(index) {
        None => 0,
        Some(b'~') => -1,
        Some(byte) if byte.is_ascii_alphabetic() => i32::from(*byte),
        Some(byte) => i32::from(*byte) + 256,
    };
    (0..left.len().max(right.len()))
        .map(|index| weight(left, index).cmp(&weight(right, index)))
        .find(|order| *order != Ordering::Equal)
        .unwrap_or(Ordering::Equal)
}

fn compare_number(left: &[u8], right: &[u8]) -> Ordering {
    let trim = |digits: &[u8]| {
        let zeros = digits.iter().take_while(|digit| **digit == b'0').count();
        digits.get(zeros..).unwrap_or_default().to_vec()
    };
    let (left, right) = (trim(left), trim(right));
    left.len().cmp(&right.len()).then_with(|| left.cmp(&right))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_kernel_versions_as_dpkg_does() {
        let ascending = [
            "6.1.99-1",
            "6.1.170-3",
            "6.1.176-1~bpo11+1",
            "6.1.176-1",
            "6.1.192-1",
            "6.1.192-2",
            "6.1.192-10",
            "6.12.9-1",
            "1:6.1.0-1",
        ];
        for (index, left) in ascending.iter().enumerate() {
            for (other, right) in ascending.iter().enumerate() {
                assert_eq!(
                    compare(left, right),
                    index.cmp(&other),
                    "{left} and {right}"
                );
            }
        }
    }

    #[test]
    fn treats_leading_zeros_as_equal() {
        assert_eq!(compare("1.05-1", "1.5-1"), Ordering::Equal);
    }
}
