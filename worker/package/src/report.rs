//! The core's report on the load of an update module: hosts and workers read it.

/// What a line begins with that is no complaint.
const PROGRESS: [&str; 11] = [
    "applied",
    "data",
    "label",
    "matched",
    "resolved",
    "sealed",
    "stays",
    "superseded",
    "undone",
    "update",
    "waiting",
];

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

    /// The sentence that the code is of: why the load ended.
    #[must_use]
    pub fn reason(&self) -> Option<&str> {
        let code = self.code.as_deref()?;
        let is_of_it = |sentence: &&String| sentence.split_once(": ").is_some_and(|s| s.0 == code);
        self.sentences.iter().find(is_of_it).map(String::as_str)
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
        assert_eq!(
            report.reason(),
            Some("mismatch: 1 of 2 functions do not match what runs")
        );
        assert!(report.sentences[0].contains("expected 90 found cc"));
        assert_eq!(LoadReport::parse("update: rsp_1\n"), LoadReport::default());
    }

    #[test]
    fn progress_before_a_complaint_is_not_taken_for_it() {
        let report = LoadReport::parse(
            "update: rsp_1\n\
             matched: kernel/audit.c .text, 15116 bytes, 50 functions\n\
             resolved: 183 symbol references\n\
             data: 2 exchanges\n\
             busy: kauditd[22] is in kauditd_thread+0x1ce/0x2d0\n",
        );
        assert_eq!(report.code.as_deref(), Some("busy"));
        assert_eq!(
            report.sentences,
            ["busy: kauditd[22] is in kauditd_thread+0x1ce/0x2d0"]
        );
    }

    /// Whoever gives the core a new word says here which of the two it is.
    #[test]
    fn all_words_of_the_core_are_known() {
        let complaints = [
            "ambiguous",
            "busy",
            "changed",
            "failed",
            "function",
            "hook",
            "memory",
            "section",
        ];
        let core = concat!(env!("CARGO_MANIFEST_DIR"), "/../../kmod/core");
        let mut words = Vec::new();
        for file in std::fs::read_dir(core).unwrap() {
            let path = file.unwrap().path();
            if path.extension().is_none_or(|extension| extension != "c") {
                continue;
            }
            let source = std::fs::read_to_string(path).unwrap();
            words.extend(source.split("rs_report(\"").skip(1).map(|rest| {
                let (word, _) = rest.split_once(':').unwrap();
                word.to_owned()
            }));
        }
        // The word of one of them follows from what was done.
        words.retain(|word| word != "%s");
        assert!(words.len() > 10, "{words:?}");
        words.retain(|word| !PROGRESS.contains(&&**word) && !complaints.contains(&&**word));
        assert_eq!(words, [""; 0]);
    }
}
