//! What the demo tells the one who watches.

use owo_colors::{OwoColorize, Style};
use std::io::IsTerminal;

fn styled(text: &str, style: Style) -> String {
    let colour = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    if colour {
        text.style(style).to_string()
    } else {
        text.to_owned()
    }
}

/// The heading of the next part.
pub fn chapter(title: &str) {
    println!(
        "\n{}",
        styled(&format!("── {title}"), Style::new().bold().cyan())
    );
}

/// A plain statement.
pub fn line(text: &str) {
    println!("   {text}");
}

/// A command that somebody types.
pub fn command(words: &str, note: &str) {
    println!(
        "   {} {}",
        styled(&format!("$ {words}"), Style::new().bold()),
        styled(note, Style::new().dimmed())
    );
}

/// What a command printed.
pub fn printed(text: &str) {
    for line in text.lines() {
        println!("     {line}");
    }
}

/// The reproducer's verdict.
pub fn verdict(text: &str, good: bool) {
    let style = Style::new().bold();
    let style = if good { style.green() } else { style.red() };
    println!("   {}", styled(text, style));
}

/// Where to look.
pub fn address(url: &str) {
    println!("\n   {}", styled(url, Style::new().bold().underline()));
}

/// Why the demo ends early.
pub fn failure(text: &str) {
    eprintln!("demo: {text}");
}
