//! What came of a folder of patches, in sums and tables.

use super::attempt::{Attempt, Status};
use super::table::Table;
use std::collections::BTreeMap;

/// All attempts of an evaluation.
pub struct Summary<'a> {
    /// The target's id.
    pub target: String,
    /// By name.
    pub attempts: &'a [Attempt],
}

/// A part of a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Share {
    /// How many are as wanted.
    pub part: usize,
    /// Of how many.
    pub of: usize,
}

impl Share {
    /// In percent; nothing of nothing is nothing.
    pub fn percent(self) -> f64 {
        match self.of {
            0 => 0.0,
            of => self.part as f64 * 100.0 / of as f64,
        }
    }

    fn text(self) -> String {
        format!("{} of {} ({:.1} %)", self.part, self.of, self.percent())
    }
}

impl Summary<'_> {
    /// How many attempts are so.
    pub fn count(&self, wanted: impl Fn(&Attempt) -> bool) -> usize {
        self.attempts.iter().filter(|a| wanted(a)).count()
    }

    /// Of the patches that change compiled code, those that build by themselves.
    /// What failed or was refused counts as changing code.
    pub fn built(&self) -> Share {
        Share {
            part: self.count(Attempt::is_built),
            of: self.count(|a| a.result.status != Status::Nothing),
        }
    }

    /// Of the updates that were tried, those that went in and out cleanly.
    pub fn clean(&self) -> Share {
        Share {
            part: self.count(Attempt::is_clean),
            of: self.count(|a| a.result.applied.is_some()),
        }
    }

    /// The sums, a sentence each.
    pub fn sentences(&self) -> Vec<String> {
        let counts: Vec<String> = Status::ALL
            .iter()
            .map(|status| {
                let count = self.count(|a| a.result.status == *status);
                format!("{count} {}", status.word())
            })
            .collect();
        let mut sentences = vec![
            format!(
                "{} patches for {}: {}.",
                self.attempts.len(),
                self.target,
                counts.join(", ")
            ),
            format!(
                "{} of those that change compiled code build without code of one's own.",
                self.built().text()
            ),
        ];
        let declared = self.count(|a| a.is_built() && !a.result.declared.is_empty());
        if declared > 0 {
            sentences.push(format!(
                "{declared} of these after a declaration of what their code can't show."
            ));
        }
        let tried = self.count(|a| a.tried);
        if tried > 0 {
            sentences.push(format!(
                "{} of the updates that were tried went in and out again with a clean kernel log.",
                self.clean().text()
            ));
            let idle = self.count(|a| !a.idle.is_empty());
            if idle > 0 {
                sentences.push(format!(
                    "{idle} of them patch a module that was loaded without its init, for want of its hardware."
                ));
            }
            let open = self.count(|a| a.tried && a.result.applied.is_none());
            if open > 0 {
                sentences.push(format!(
                    "{open} more could not be tried: a module that they patch does not load in a guest."
                ));
            }
        }
        let mut times: Vec<f64> = self.attempts.iter().map(Attempt::build_seconds).collect();
        times.sort_by(f64::total_cmp);
        if let (Some(median), Some(longest)) = (times.get(times.len() / 2), times.last()) {
            sentences.push(format!(
                "A build takes {median:.1} s in the median, {longest:.1} s at most."
            ));
        }
        sentences
    }

    /// Why patches have no update or one that did not do, by how many.
    pub fn classes(&self) -> Table {
        let mut counts: BTreeMap<(Status, &str), Vec<&str>> = BTreeMap::new();
        for attempt in self.attempts.iter().filter(|a| a.is_miss()) {
            let key = (attempt.result.status, attempt.class());
            counts.entry(key).or_default().push(&attempt.result.patch);
        }
        let mut counts: Vec<_> = counts.into_iter().collect();
        counts.sort_by_key(|(_, patches)| std::cmp::Reverse(patches.len()));
        let mut table = Table::new(["status", "cause", "patches", "count"], 3);
        for ((status, class), patches) in counts {
            table.row([
                status.word(),
                class,
                &patches.join(" "),
                &patches.len().to_string(),
            ]);
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
        for attempt in self.attempts {
            table.row(row(attempt));
        }
        table
    }

    /// As Markdown.
    pub fn markdown(&self) -> String {
        format!(
            "# Patches to updates\n\n{}\n\n## Misses, by cause\n\n{}\n## Every patch\n\n{}",
            self.sentences().join("\n"),
            self.classes().markdown(),
            self.patches().markdown()
        )
    }
}

fn row(attempt: &Attempt) -> [String; 9] {
    let answer = |answer: Option<bool>| match answer {
        Some(true) => "yes",
        Some(false) => "no",
        None => "",
    };
    let result = &attempt.result;
    let mut what = String::new();
    if attempt.is_built() {
        what = format!(
            "{}: {}",
            attempt.objects.join(", "),
            result.functions.join(", ")
        );
    }
    if !result.reason.is_empty() {
        if !what.is_empty() {
            what.push_str(" — ");
        }
        what.push_str(&result.reason);
    }
    for line in &result.declared {
        what.push_str(&format!(" [{line}]"));
    }
    if !attempt.idle.is_empty() {
        what.push_str(&format!(" (without its init: {})", attempt.idle.join(", ")));
    }
    [
        result.patch.clone(),
        attempt.reaches.clone(),
        result.status.word().to_owned(),
        answer(result.applied).to_owned(),
        answer(result.undone).to_owned(),
        answer(result.log_clean).to_owned(),
        what,
        format!("{:.1}", attempt.build_seconds()),
        attempt
            .pause_ns
            .map_or(String::new(), |ns| (ns / 1000).to_string()),
    ]
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// One of each kind.
    pub fn attempts() -> Vec<Attempt> {
        let mut clean = Attempt::new("clean", "vmlinux", Status::Built, String::new());
        clean.tried = true;
        clean.result.applied = Some(true);
        clean.result.undone = Some(true);
        clean.result.log_clean = Some(true);
        let mut stuck = clean.clone();
        stuck.result.patch = "stuck".to_owned();
        stuck.result.undone = Some(false);
        stuck.result.log_clean = Some(false);
        stuck.result.reason = "verification failed: busy: <x>".to_owned();
        let mut untried = Attempt::new(
            "untried",
            "module",
            Status::Built,
            "not tried: x".to_owned(),
        );
        untried.tried = true;
        untried.result.declared = vec!["Resplice-Declare: init-done a.c:b (it ran)".to_owned()];
        let nothing = Attempt::new("nothing", "", Status::Nothing, "nothing: docs".to_owned());
        let code = Attempt::new(
            "code",
            "",
            Status::NeedsCode,
            "needs code: changed-data: a".to_owned(),
        );
        vec![clean, stuck, untried, nothing, code]
    }

    #[test]
    fn shares_are_of_what_changes_code_and_of_what_was_applied() {
        let attempts = attempts();
        let summary = Summary {
            target: "t".to_owned(),
            attempts: &attempts,
        };
        assert_eq!(summary.built(), Share { part: 3, of: 4 });
        assert_eq!(summary.clean(), Share { part: 1, of: 2 });
        let text = summary.sentences().join("\n");
        assert!(
            text.contains("3 of 4 (75.0 %)") && text.contains("1 more could not"),
            "{text}"
        );
        assert!(text.contains("\n1 of these after a declaration"), "{text}");
        assert!(summary.markdown().contains("[Resplice-Declare: init-done"));
    }

    #[test]
    fn every_miss_has_its_cause_in_the_table() {
        let attempts = attempts();
        let summary = Summary {
            target: "t".to_owned(),
            attempts: &attempts,
        };
        let classes = summary.classes().text();
        for cause in ["busy", "not tried", "docs", "changed-data"] {
            assert!(classes.contains(cause), "{classes}");
        }
        assert!(!classes.contains("clean"), "{classes}");
    }
}
