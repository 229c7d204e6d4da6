//! Holding what runs against what the journal says and what was signed.

use super::Agent;
use crate::{
    journal::{Record, State},
    kernel::{LivePart, LiveUpdate},
};
use anyhow::Result;
use resplice_package::Package;
use serde::Serialize;

/// Bytes of a list of functions from which on the kernel may have cut it off.
const FULL_PAGE_BYTES: usize = 3900;

/// Something that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The update, by its id in the kernel if that is known.
    pub update: String,
    /// `unknown`, `unexpected`, `removed`, `pending`, `unfinished`: the kernel and
    /// the journal differ. `missing`, `module`, `functions` and the codes of a
    /// refusal: the kernel and the package differ.
    pub code: &'static str,
    /// For people.
    pub sentence: String,
}

/// An update that is in effect, held against its package.
#[derive(Debug, Clone, Serialize)]
pub struct Held {
    /// Id in the kernel.
    pub id: String,
    /// sha256 of the package that it was applied from.
    pub package: Option<String>,
    /// The key that signed it.
    pub signed_by: Option<String>,
}

impl Agent {
    /// Where the kernel and the journal say different things. Nothing is changed.
    ///
    /// # Errors
    /// If the kernel can't be asked.
    pub fn differences(&self) -> Result<Vec<Finding>> {
        let live = self.kernel.updates()?;
        let mut findings = Vec::new();
        for update in live.iter().filter(|update| update.is_applied()) {
            let found = match self.record_of(&update.id) {
                None => Some((
                    "unknown",
                    "it is in effect, but the journal does not know it".to_owned(),
                )),
                Some((_, record)) => against_live(&record),
            };
            findings.extend(found.map(|(code, sentence)| finding(&update.id, code, sentence)));
        }
        for (update, record) in self.journal.records() {
            let id = record
                .info
                .as_ref()
                .map_or(update.as_str(), |info| &info.id);
            if live.iter().any(|live| live.id == id && live.is_applied()) {
                continue;
            }
            let this_boot = record.last.boot == self.journal.boot();
            let found = match record.last.state {
                State::Applied if this_boot => (
                    "removed",
                    "the journal says that it is in effect, the kernel does not",
                ),
                State::Applied => (
                    "pending",
                    "it was in effect before the restart, and is not any more",
                ),
                State::Applying | State::Undoing => UNFINISHED,
                _ => continue,
            };
            findings.push(finding(id, found.0, found.1.to_owned()));
        }
        Ok(findings)
    }

    /// Holds every update that is in effect against the package on disk that it was
    /// applied from: signature, host, modules, functions.
    ///
    /// # Errors
    /// If the kernel can't be asked.
    pub fn hold_against_packages(&self) -> Result<(Vec<Held>, Vec<Finding>)> {
        let mut held = Vec::new();
        let mut findings = Vec::new();
        for live in self.kernel.updates()? {
            // What the journal does not know is a finding already.
            let Some((_, record)) = self.record_of(&live.id).filter(|_| live.is_applied()) else {
                continue;
            };
            let sha256 = record.applied_package.or(record.package);
            let package = self.signed_package(sha256.as_deref());
            held.push(Held {
                id: live.id.clone(),
                signed_by: package.as_ref().ok().map(|p| p.signer().to_string()),
                package: sha256,
            });
            match package {
                Ok(package) => findings.extend(self.hold(&live, &package)?),
                Err((code, sentence)) => findings.push(finding(&live.id, code, sentence)),
            }
        }
        Ok((held, findings))
    }

    fn signed_package(&self, sha256: Option<&str>) -> Result<Package, (&'static str, String)> {
        let missing = |sentence: &str| ("missing", sentence.to_owned());
        let sha256 = sha256.ok_or_else(|| missing("the journal does not name its package"))?;
        let bytes = self
            .cached_package(sha256)
            .map_err(|error| missing(&format!("{error:#}")))?
            .ok_or_else(|| missing("its package is not on disk any more, or damaged"))?;
        self.verify(&bytes, None)
            .map_err(|refusal| (refusal.code, refusal.sentence))
    }

    fn hold(&self, live: &LiveUpdate, package: &Package) -> Result<Vec<Finding>> {
        let mut findings = Vec::new();
        let mut add = |code, sentence: String| findings.push(finding(&live.id, code, sentence));
        let parts = package.parts()?;
        for part in live.parts.iter().filter(|part| part.is_applied()) {
            let LivePart { name, object, .. } = part;
            let signed = parts
                .iter()
                .find(|signed| signed.name == *name && signed.object == object);
            match signed {
                None => add(
                    "module",
                    format!("the module {name} for {object} is no part of its package"),
                ),
                Some(signed) if !self.is_built_as(name, signed.bytes)? => add(
                    "module",
                    format!("the module {name} that is loaded is not the one in its package"),
                ),
                Some(_) => {}
            }
        }
        let replaced: Vec<[&str; 2]> = package
            .manifest()
            .functions()
            .map(|function| [function.name.as_str(), function.unit.as_str()])
            .collect();
        for words in whole_lines(&live.functions) {
            if !replaced.contains(&words) {
                let [name, unit] = words;
                add(
                    "functions",
                    format!("it replaces {name} ({unit}), which its package does not"),
                );
            }
        }
        Ok(findings)
    }

    /// Whether a loaded module has the build id of that file.
    fn is_built_as(&self, name: &str, file: &[u8]) -> Result<bool> {
        let contains = |part: &[u8]| file.windows(part.len()).any(|window| window == part);
        Ok(match self.kernel.build_id(name)? {
            Some(note) => !note.is_empty() && contains(&note),
            None => !contains(b".note.gnu.build-id"),
        })
    }
}

const UNFINISHED: (&str, &str) = (
    "unfinished",
    "a step is under way, or was cut off: the next command that changes something settles it",
);

fn against_live(record: &Record) -> Option<(&'static str, String)> {
    match record.last.state {
        State::Applied => None,
        State::Applying | State::Undoing => Some((UNFINISHED.0, UNFINISHED.1.to_owned())),
        state => Some((
            "unexpected",
            format!("it is in effect, but the journal says {}", state.word()),
        )),
    }
}

/// Name and unit of each function; a list of a page's size may end in half a line.
fn whole_lines(functions: &[String]) -> Vec<[&str; 2]> {
    let bytes: usize = functions.iter().map(|line| line.len() + 1).sum();
    let whole = functions.len() - usize::from(bytes > FULL_PAGE_BYTES);
    let words = |line: &'_ String| -> Option<[usize; 2]> {
        let first = line.find(' ')?;
        let second = line[first + 1..].find(' ')? + first + 1;
        Some([first, second])
    };
    functions[..whole]
        .iter()
        .filter_map(|line| words(line).map(|[a, b]| [&line[..a], &line[a + 1..b]]))
        .collect()
}

fn finding(update: &str, code: &'static str, sentence: String) -> Finding {
    Finding {
        update: update.to_owned(),
        code,
        sentence,
    }
}
