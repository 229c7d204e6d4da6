//! The results as a page that needs nothing else.

use super::attempt::Status;
use super::summary::{Share, Summary};
use super::table::escaped;

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");
/// Cells with these words get them as a class.
const CLASSES: [&str; 7] = [
    "built",
    "needs-code",
    "nothing",
    "refused",
    "failed",
    "yes",
    "no",
];

/// The page.
pub fn html(summary: &Summary<'_>) -> String {
    let sentences: String = summary
        .sentences()
        .iter()
        .map(|sentence| format!("<li>{}</li>\n", escaped(sentence)))
        .collect();
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\">\
         <title>Patches to updates: {target}</title>\n<style>\n{STYLE}</style></head>\n<body>\n\
         <h1>Patches to updates</h1>\n<p class=\"target\">{target}</p>\n\
         <div class=\"shares\">{built}{clean}</div>\n{bar}<ul>\n{sentences}</ul>\n\
         <h2>Misses, by cause</h2>\n{classes}\
         <h2>Every patch</h2>\n<p class=\"filter\">{filter}</p>\n<div id=\"patches\">{patches}</div>\n\
         <script>\n{SCRIPT}</script>\n</body>\n</html>\n",
        target = escaped(&summary.target),
        built = share("build without code of one's own", summary.built()),
        clean = share("applied and undone, clean log", summary.clean()),
        bar = bar(summary),
        classes = summary.classes().html(&CLASSES),
        filter = filter(),
        patches = summary.patches().html(&CLASSES),
    )
}

fn share(what: &str, share: Share) -> String {
    if share.of == 0 {
        return String::new();
    }
    format!(
        "<div><b>{:.1} %</b><span>{}<br>{} of {}</span></div>",
        share.percent(),
        escaped(what),
        share.part,
        share.of
    )
}

/// All patches as one bar, by status.
fn bar(summary: &Summary<'_>) -> String {
    let all = summary.attempts.len().max(1);
    let mut parts = String::new();
    let mut legend = String::new();
    for status in Status::ALL {
        let count = summary.count(|a| a.result.status == status);
        if count == 0 {
            continue;
        }
        let (word, width) = (status.word(), count as f64 * 100.0 / all as f64);
        parts.push_str(&format!(
            "<span class=\"fill-{word}\" style=\"width:{width:.3}%\" title=\"{word}: {count}\"></span>"
        ));
        legend.push_str(&format!(
            "<span><i class=\"fill-{word}\"></i>{word} {count}</span> "
        ));
    }
    format!(
        "<div class=\"bar\" role=\"img\" aria-label=\"shares by status\">{parts}</div>\n\
         <p class=\"legend\">{legend}</p>\n"
    )
}

fn filter() -> String {
    let buttons: String = Status::ALL
        .iter()
        .map(|status| {
            let word = status.word();
            format!("<label><input type=\"checkbox\" value=\"{word}\" checked> {word}</label> ")
        })
        .collect();
    format!("{buttons}<input type=\"search\" placeholder=\"search\" aria-label=\"search\">")
}

#[cfg(test)]
mod tests {
    use super::super::summary::tests::attempts;
    use super::*;

    #[test]
    fn the_page_holds_everything_and_asks_for_nothing() {
        let attempts = attempts();
        let page = html(&Summary {
            target: "a<b".to_owned(),
            attempts: &attempts,
        });
        for text in [
            "75.0 %",
            "50.0 %",
            "a&lt;b",
            "busy: &lt;x&gt;",
            "fill-needs-code",
        ] {
            assert!(page.contains(text), "{text}");
        }
        for text in ["http", "src=", "<link", "busy: <x>"] {
            assert!(!page.contains(text), "{text}");
        }
    }
}
