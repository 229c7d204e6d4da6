//! The core's report on a load.

/// The core's report on the last load.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LoadReport {
    /// The first complaint's code: `mismatch`, `busy`, …
    pub code: Option<String>,
    /// The complaints, as sentences.
    pub sentences: Vec<String>,
}

impl LoadReport {
    /// Sorts a report's lines: complaints have a code of their own, the rest is
    /// progress. A function that does not match is told with its bytes.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        const PROGRESS: [&str; 5] = ["update", "matched", "waiting", "applied", "undone"];
        const SHOWN: usize = 8;
        let mut report = Self::default();
        for line in text.lines() {
            let Some((code, sentence)) = line.split_once(": ") else {
                continue;
            };
            let is_code = code
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b == b'-' || b == b'_');
            if !is_code || PROGRESS.contains(&code) {
                continue;
            }
            let told = match code {
                "function" => sentence.contains(" mismatch "),
                "section" => true,
                _ => {
                    report.code.get_or_insert_with(|| code.to_owned());
                    true
                }
            };
            if told && report.sentences.len() < SHOWN {
                report.sentences.push(line.to_owned());
            }
        }
        report
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn a_report_gives_its_code_and_its_sentences() {
        let report = LoadReport::parse(
            "update: rsp_1\n\
             matched: net/ipv6/seg6.c .text, 100 bytes, 3 functions\n\
             function: net/ipv6/seg6.c .text a matched\n\
             function: net/ipv6/seg6.c .text b mismatch +0x12 expected 90 found cc (text)\n\
             mismatch: 1 of 2 functions do not match what runs\n",
        );
        assert_eq!(report.code.as_deref(), Some("mismatch"));
        assert_eq!(report.sentences.len(), 2);
        assert!(report.sentences[0].contains("expected 90 found cc"));
        assert_eq!(LoadReport::parse("update: rsp_1\n"), LoadReport::default());
    }
}
