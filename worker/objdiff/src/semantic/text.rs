//! The report as text, for a reviewer at a terminal or in a file.

use std::collections::BTreeSet;
use std::fmt::Write;

use owo_colors::{OwoColorize, Style};

use crate::plan::Plan;

use super::finding::{Finding, FunctionFacts, SemanticReport, Severity};

/// Whether text is coloured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Palette {
    /// Plain bytes, for files and pipes.
    Plain,
    /// ANSI colours, for a terminal.
    Colour,
}

impl Palette {
    fn paint(self, text: &str, style: Style) -> String {
        match self {
            Self::Plain => text.to_owned(),
            Self::Colour => text.style(style).to_string(),
        }
    }
}

/// Columns of a line.
const WIDTH: usize = 100;

/// Writes what an update replaces, and what was found about it.
#[must_use]
pub fn render(plans: &[Plan], report: &SemanticReport, palette: Palette) -> String {
    let mut page = Page {
        out: String::new(),
        palette,
    };
    page.summary(plans, report);
    // A unit of several modules is the same in each of them.
    let mut seen = BTreeSet::new();
    let units = plans.iter().flat_map(|plan| &plan.units);
    for unit in units.filter(|unit| seen.insert(unit.name.as_str())) {
        let functions: Vec<&FunctionFacts> = report
            .functions
            .iter()
            .filter(|function| function.unit == unit.name)
            .collect();
        let quiet = functions.is_empty()
            && unit.added.is_empty()
            && unit.removed.is_empty()
            && unit.data_added.is_empty();
        if quiet {
            continue;
        }
        page.heading(&unit.name);
        page.functions(&functions);
        let data: Vec<String> = unit
            .data_added
            .iter()
            .map(|data| format!("{} ({} bytes)", data.name, data.size))
            .collect();
        page.list("adds", &unit.added);
        page.list("adds data", &data);
        page.list("leaves behind", &unit.removed);
    }
    page.findings(&report.findings);
    let refused: BTreeSet<String> = plans
        .iter()
        .flat_map(Plan::refused)
        .filter(|refusal| {
            let told = |f: &Finding| f.code == refusal.code && f.object == refusal.object;
            !report.findings.iter().any(told)
        })
        .map(ToString::to_string)
        .collect();
    if !refused.is_empty() {
        page.heading("Refused");
        for sentence in refused {
            page.paragraph(&sentence, 2);
        }
    }
    page.out
}

struct Page {
    out: String,
    palette: Palette,
}

impl Page {
    fn line(&mut self, text: &str) {
        self.out.push_str(text.trim_end());
        self.out.push('\n');
    }

    fn heading(&mut self, text: &str) {
        let text = self.palette.paint(text, Style::new().bold());
        self.line("");
        self.line(&text);
    }

    fn summary(&mut self, plans: &[Plan], report: &SemanticReport) {
        let count = |severity| {
            let found = report.findings.iter().filter(|f| f.severity == severity);
            found.count()
        };
        let objects: Vec<&str> = plans.iter().map(|plan| plan.object.as_str()).collect();
        let units: BTreeSet<&str> = plans
            .iter()
            .flat_map(|plan| plan.units.iter().map(|unit| unit.name.as_str()))
            .collect();
        let text = format!(
            "{}: {} of {} replaced; {} needs-code, {} review, {} info",
            objects.join(", "),
            plural(report.functions.len(), "function"),
            plural(units.len(), "unit"),
            count(Severity::NeedsCode),
            count(Severity::Review),
            count(Severity::Info),
        );
        let text = self.palette.paint(&text, Style::new().bold());
        self.line(&text);
    }

    fn functions(&mut self, functions: &[&FunctionFacts]) {
        let widest = |text: &dyn Fn(&FunctionFacts) -> String| {
            let widths = functions.iter().map(|f| text(f).chars().count());
            widths.max().unwrap_or(0).min(44)
        };
        let size = |f: &FunctionFacts| format!("{} -> {} bytes", f.old_size, f.new_size);
        let (names, sizes) = (widest(&|f| f.name.clone()), widest(&size));
        for function in functions {
            let pad = names.saturating_sub(function.name.chars().count());
            let name = self.palette.paint(&function.name, Style::new().green());
            let place = match function.line {
                0 => function.file.clone(),
                line => format!("{}:{line}", function.file),
            };
            let scope = match function.is_address_taken {
                true => format!("{}, address taken", function.scope.word()),
                false => function.scope.word().to_owned(),
            };
            let text = format!(
                "  {name}{}  {:<sizes$}  {scope}  {place}",
                " ".repeat(pad),
                size(function)
            );
            self.line(&text);
            self.paragraph(&function.reason, 6);
            self.list_at("contains", &function.absorbs, 6);
            self.list_at("inlined into", &function.inlined_into, 6);
            self.list_at("used by", &function.callers, 6);
        }
    }

    fn list(&mut self, word: &str, names: &[String]) {
        self.list_at(word, names, 2);
    }

    fn list_at(&mut self, word: &str, names: &[String], indent: usize) {
        if !names.is_empty() {
            self.paragraph(&format!("{word} {}", names.join(", ")), indent);
        }
    }

    fn findings(&mut self, findings: &[Finding]) {
        if findings.is_empty() {
            return;
        }
        self.heading("Findings");
        for finding in findings {
            let style = match finding.severity {
                Severity::NeedsCode => Style::new().red().bold(),
                Severity::Review => Style::new().yellow(),
                Severity::Info => Style::new().dimmed(),
            };
            let word = self
                .palette
                .paint(&format!("{:<10}", finding.severity.word()), style);
            let place = match finding.line {
                0 => finding.unit.clone(),
                line => format!("{}:{line}", finding.file),
            };
            self.line(&format!(
                "  {word}  {}  {}  {place}",
                finding.code, finding.object
            ));
            self.paragraph(&finding.sentence, 14);
        }
    }

    /// Text in lines of at most [`WIDTH`] columns, where its words allow it.
    fn paragraph(&mut self, text: &str, indent: usize) {
        let margin = " ".repeat(indent);
        let mut line = String::new();
        for word in text.split_whitespace() {
            let is_full = indent + line.chars().count() + 1 + word.chars().count() > WIDTH;
            if is_full && !line.is_empty() {
                self.line(&format!("{margin}{line}"));
                line.clear();
            }
            let gap = if line.is_empty() { "" } else { " " };
            // Writing to a string can't fail.
            let _ = write!(line, "{gap}{word}");
        }
        if !line.is_empty() {
            self.line(&format!("{margin}{line}"));
        }
    }
}

fn plural(count: usize, what: &str) -> String {
    match count {
        1 => format!("1 {what}"),
        _ => format!("{count} {what}s"),
    }
}
