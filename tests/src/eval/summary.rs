//! What came of a folder of patches, in sums and tables.

use super::attempt::{Attempt, Status};
use super::table::{Table, escaped};
use std::collections::BTreeMap;
use std::fmt::Write;

const ALL: [Status; 5] = [
    Status::Built,
    Status::NeedsCode,
    Status::Nothing,
    Status::Refused,
    Status::Failed,
];
const STYLE: &str = "
:root { color-scheme: light dark; font: 15px/1.5 system-ui, sans-serif; }
body { max-width: 90rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; width: 100%; margin: 1rem 0 2rem; }
th, td { text-align: left; vertical-align: top; padding: .25rem .6rem; border-bottom: 1px solid #8884; overflow-wrap: anywhere; }
th { position: sticky; top: 0; background: Canvas; }
.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
.built, .yes { color: #188038; } .refused, .needs-code { color: #b06000; } .failed, .no { color: #c5221f; }
";

/// All attempts of an evaluation.
pub struct Summary<'a> {
    /// The target's id.
    pub target: String,
    /// By name.
    pub attempts: &'a [Attempt],
}

impl Summary<'_> {
    fn count(&self, wanted: impl Fn(&Attempt) -> bool) -> usize {
        self.attempts.iter().filter(|a| wanted(a)).count()
    }

    /// The sums, a sentence each.
    pub fn sentences(&self) -> Vec<String> {
        let all = self.attempts.len();
        let counts: Vec<String> = ALL
            .iter()
            .map(|status| {
                let count = self.count(|a| a.status == *status);
                format!("{count} {}", status.word())
            })
            .collect();
        let built = self.count(|a| a.status == Status::Built);
        let code = self.count(|a| a.status != Status::Nothing);
        let mut sentences = vec![
            format!("{all} patches for {}: {}.", self.target, counts.join(", ")),
            format!(
                "{} of those that change code build without code of one's own.",
                share(built, code)
            ),
        ];
        let tried = self.count(|a| a.applied.is_some());
        if tried > 0 {
            let good = self.count(|a| a.log_clean == Some(true));
            sentences.push(format!(
                "{} of the updates that were tried were applied and undone with a clean kernel log.",
                share(good, tried)
            ));
        }
        let mut times: Vec<f64> = self
            .attempts
            .iter()
            .filter_map(|a| a.seconds.get("all").copied())
            .collect();
        times.sort_by(f64::total_cmp);
        if let (Some(median), Some(longest)) = (times.get(times.len() / 2), times.last()) {
            sentences.push(format!(
                "A build takes {median:.1} s in the median, {longest:.1} s at most."
            ));
        }
        sentences
    }

    /// Why patches have no update, by how many.
    pub fn classes(&self) -> Table {
        let mut counts: BTreeMap<(Status, &str), Vec<&str>> = BTreeMap::new();
        for attempt in self.attempts.iter().filter(|a| a.status != Status::Built) {
            let key = (attempt.status, attempt.class());
            counts.entry(key).or_default().push(&attempt.patch);
        }
        let mut counts: Vec<_> = counts.into_iter().collect();
        counts.sort_by_key(|(_, patches)| std::cmp::Reverse(patches.len()));
        let mut table = Table::new(["status", "cause", "for example", "patches"], 3);
        for ((status, class), patches) in counts {
            let example = patches.first().copied().unwrap_or_default();
            table.row([status.word(), class, example, &patches.len().to_string()]);
        }
        table
    }

    /// Every patch.
    pub fn patches(&self) -> Table {
        let heading = [
            "patch",
            "reaches",
            "status",
            "applied",
            "undone",
            "clean log",
            "what",
            "build s",
            "pause µs",
        ];
        let mut table = Table::new(heading, 7);
        for a in self.attempts {
            let answer = |answer: Option<bool>| match answer {
                Some(true) => "yes",
                Some(false) => "no",
                None => "",
            };
            let mut what = match a.status {
                Status::Built => format!("{}: {}", a.object, a.functions.join(", ")),
                _ => a.reason.clone(),
            };
            if !a.trouble.is_empty() {
                // Writing to a string can't fail.
                let _ = write!(what, " ({})", a.trouble);
            }
            let seconds = a.seconds.get("all").map(|s| format!("{s:.1}"));
            let pause = a.pause_ns.map(|ns| (ns / 1000).to_string());
            table.row([
                a.patch.as_str(),
                &a.reaches,
                a.status.word(),
                answer(a.applied),
                answer(a.undone),
                answer(a.log_clean),
                &what,
                &seconds.unwrap_or_default(),
                &pause.unwrap_or_default(),
            ]);
        }
        table
    }

    /// As Markdown.
    pub fn markdown(&self) -> String {
        format!(
            "# Patches to updates\n\n{}\n\n## Without an update\n\n{}\n## Every patch\n\n{}",
            self.sentences().join("\n"),
            self.classes().markdown(),
            self.patches().markdown()
        )
    }

    /// As a page that needs nothing else.
    pub fn html(&self) -> String {
        let classes = [
            "built",
            "needs-code",
            "nothing",
            "refused",
            "failed",
            "yes",
            "no",
        ];
        let sentences: String = self
            .sentences()
            .iter()
            .map(|sentence| format!("<p>{}</p>\n", escaped(sentence)))
            .collect();
        format!(
            "<!doctype html>\n<html lang=\"en\">\n<head><meta charset=\"utf-8\">\
             <meta name=\"viewport\" content=\"width=device-width\">\
             <title>Patches to updates</title><style>{STYLE}</style></head>\n<body>\n\
             <h1>Patches to updates</h1>\n{sentences}<h2>Without an update</h2>\n{}\
             <h2>Every patch</h2>\n{}</body>\n</html>\n",
            self.classes().html(&classes),
            self.patches().html(&classes)
        )
    }
}

fn share(part: usize, of: usize) -> String {
    match of {
        0 => "0 of 0".to_owned(),
        _ => format!("{part} of {of} ({:.1} %)", part as f64 * 100.0 / of as f64),
    }
}
