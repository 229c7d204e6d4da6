//! The feed of a channel: Atom, RFC 4287.

use crate::{Change, Publisher, Update, kernel};
use jiff::Timestamp;
use quick_xml::{
    Writer,
    events::{BytesDecl, BytesEnd, BytesStart, BytesText, Event},
};
use resplice_api::Channel;
use std::io;

const NAMESPACE: &str = "http://www.w3.org/2005/Atom";

/// The media type.
pub const MEDIA_TYPE: &str = "application/atom+xml; charset=utf-8";

/// Most entries of a feed: the ones that changed last.
pub const MAX_ENTRIES: usize = 100;

/// The feed of a channel: what has got there or further, the latest change first.
#[must_use]
pub fn feed(publisher: &Publisher, channel: Channel, updates: &[Update]) -> Vec<u8> {
    let mut entries: Vec<Entry<'_>> = updates
        .iter()
        .filter_map(|update| Entry::new(update, channel))
        .collect();
    entries.sort_by_key(|entry| (std::cmp::Reverse(entry.updated), entry.update.id));
    entries.truncate(MAX_ENTRIES);
    let mut feed = Feed(Writer::new_with_indent(Vec::new(), b' ', 1));
    // A vector takes whatever is written to it.
    let _ = feed.write(publisher, channel, &entries);
    let mut bytes = feed.0.into_inner();
    bytes.push(b'\n');
    bytes
}

/// When a channel's feed changed last.
#[must_use]
pub fn changed(channel: Channel, updates: &[Update]) -> Option<Timestamp> {
    let entries = updates.iter().filter_map(|u| Entry::new(u, channel));
    entries.map(|entry| entry.updated).max()
}

struct Entry<'a> {
    update: &'a Update,
    published: Timestamp,
    updated: Timestamp,
    changes: Vec<(Timestamp, Change<'a>)>,
}

impl<'a> Entry<'a> {
    fn new(update: &'a Update, channel: Channel) -> Option<Self> {
        let published = update.reached(channel)?;
        // How it got to narrower channels does not concern who follows this one.
        let concerns = |change: &Change<'_>| match change {
            Change::Entered(reached) => channel.gets(*reached),
            _ => true,
        };
        let changes: Vec<_> = update
            .changes()
            .into_iter()
            .filter(|(_, change)| concerns(change))
            .collect();
        let last = changes.last().map_or(published, |(at, _)| *at);
        Some(Self {
            update,
            published,
            updated: published.max(last),
            changes,
        })
    }

    fn title(&self) -> String {
        match self.update.revocation() {
            Some(_) => format!("Revoked: {}", self.update.name),
            None => self.update.name.clone(),
        }
    }

    /// All of it, as text.
    fn text(&self) -> String {
        let mut text = String::new();
        let mut line = |words: &str| {
            text.push_str(words);
            text.push('\n');
        };
        for (at, change) in &self.changes {
            line(&format!("{at:.0} {}.", change.words()));
        }
        if !self.update.cves.is_empty() {
            line(&format!("Fixes {}.", self.update.cves.join(", ")));
        }
        for package in &self.update.packages {
            let kernel = kernel::of_target(&package.target);
            let (vendor, release) = (kernel.vendor, kernel.release);
            line(&format!(
                "{vendor} {release}: {} bytes, sha256 {}",
                package.bytes, package.sha256
            ));
        }
        if !self.update.notes.is_empty() {
            line("");
            line(&self.update.notes);
        }
        text
    }
}

struct Feed(Writer<Vec<u8>>);

impl Feed {
    fn write(
        &mut self,
        publisher: &Publisher,
        channel: Channel,
        entries: &[Entry<'_>],
    ) -> io::Result<()> {
        let declaration = BytesDecl::new("1.0", Some("utf-8"), None);
        self.0.write_event(Event::Decl(declaration))?;
        self.open("feed", &[("xmlns", NAMESPACE), ("xml:lang", "en")])?;
        let own = publisher.atom(channel);
        self.text("id", &own)?;
        self.text("title", &format!("Live kernel updates: {channel}"))?;
        let newest = entries.first().map(|entry| entry.updated);
        let updated = newest.unwrap_or(Timestamp::UNIX_EPOCH);
        self.text("updated", &updated.to_string())?;
        self.open("author", &[])?;
        self.text("name", &publisher.name)?;
        self.close("author")?;
        self.text("generator", "Resplice")?;
        self.link("self", "application/atom+xml", &own)?;
        for entry in entries {
            self.entry(publisher, entry)?;
        }
        self.close("feed")
    }

    fn entry(&mut self, publisher: &Publisher, entry: &Entry<'_>) -> io::Result<()> {
        let update = entry.update;
        self.open("entry", &[])?;
        self.text("id", &format!("urn:uuid:{}", update.id))?;
        self.text("title", &entry.title())?;
        self.text("published", &entry.published.to_string())?;
        self.text("updated", &entry.updated.to_string())?;
        for id in &update.cves {
            self.empty("category", &[("term", id)])?;
        }
        self.link("alternate", "application/json", &publisher.csaf(update))?;
        self.link("related", "application/json", &publisher.osv(update))?;
        self.open("content", &[("type", "text")])?;
        self.0
            .write_event(Event::Text(BytesText::new(&clean(&entry.text()))))?;
        self.close("content")?;
        self.close("entry")
    }

    fn link(&mut self, relation: &str, media: &str, address: &str) -> io::Result<()> {
        let attributes = [("rel", relation), ("type", media), ("href", address)];
        self.empty("link", &attributes)
    }

    fn text(&mut self, name: &str, text: &str) -> io::Result<()> {
        self.open(name, &[])?;
        self.0
            .write_event(Event::Text(BytesText::new(&clean(text))))?;
        self.close(name)
    }

    fn open(&mut self, name: &str, attributes: &[(&str, &str)]) -> io::Result<()> {
        self.0.write_event(Event::Start(start(name, attributes)))
    }

    fn empty(&mut self, name: &str, attributes: &[(&str, &str)]) -> io::Result<()> {
        self.0.write_event(Event::Empty(start(name, attributes)))
    }

    fn close(&mut self, name: &str) -> io::Result<()> {
        self.0.write_event(Event::End(BytesEnd::new(name)))
    }
}

fn start<'a>(name: &'a str, attributes: &[(&str, &str)]) -> BytesStart<'a> {
    let mut start = BytesStart::new(name);
    for (key, value) in attributes {
        start.push_attribute((*key, clean(value).as_str()));
    }
    start
}

/// A text without the characters that XML 1.0 can't hold, escaped or not.
fn clean(text: &str) -> String {
    let allowed = |c: char| matches!(c, '\t' | '\n' | '\r' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..);
    let kept = |c| {
        if allowed(c) {
            c
        } else {
            char::REPLACEMENT_CHARACTER
        }
    };
    text.chars().map(kept).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::update::tests::{at, example, revoked};
    use quick_xml::{Reader, escape::unescape};

    fn publisher() -> Publisher {
        crate::publisher::tests::example()
    }

    /// The text of all elements of this name, as a reader of XML sees it.
    fn texts(feed: &[u8], name: &str) -> Vec<String> {
        let text = std::str::from_utf8(feed).unwrap();
        let mut reader = Reader::from_str(text);
        let (mut found, mut inside) = (Vec::new(), false);
        loop {
            match reader.read_event().unwrap() {
                Event::Start(start) if start.name().as_ref() == name => {
                    inside = true;
                    found.push(String::new());
                }
                Event::End(_) => inside = false,
                Event::Text(text) if inside => {
                    found.last_mut().unwrap().push_str(&text);
                }
                Event::GeneralRef(name) if inside => {
                    let text = unescape(&format!("&{};", &*name)).unwrap().into_owned();
                    found.last_mut().unwrap().push_str(&text);
                }
                Event::Eof => return found,
                _ => {}
            }
        }
    }

    #[test]
    fn names_and_notes_are_text_whatever_is_in_them() {
        let mut update = example();
        update.name = "<script>alert('1')</script> & ]]> \u{0} \u{fffe}".to_owned();
        update.notes = "</content></entry><entry><id>x</id>\u{1b}[2J".to_owned();
        update.cves = vec!["\"/><x y=\"".to_owned()];
        let feed = feed(&publisher(), Channel::Edge, &[update]);
        let titles = texts(&feed, "title");
        let clean = "<script>alert('1')</script> & ]]> \u{fffd} \u{fffd}";
        assert_eq!(titles, ["Live kernel updates: edge", clean]);
        assert_eq!(texts(&feed, "id").len(), 2);
        assert!(
            texts(&feed, "content")[0].contains("</content></entry><entry><id>x</id>\u{fffd}[2J")
        );
        assert!(texts(&feed, "x").is_empty());
    }

    #[test]
    fn a_feed_has_what_got_to_its_channel_the_latest_change_first() {
        let mut promoted = example();
        promoted.id = resplice_api::UpdateId::new();
        promoted.entered.push(crate::Entered {
            channel: Channel::Stable,
            at: at(30),
        });
        let updates = [promoted.clone(), revoked(), example()];
        let of = |channel| texts(&feed(&publisher(), channel, &updates), "id").split_off(1);
        let urn = |update: &Update| format!("urn:uuid:{}", update.id);
        let edge = [urn(&updates[1]), urn(&promoted), urn(&updates[2])];
        assert_eq!(of(Channel::Edge), edge);
        assert_eq!(of(Channel::Candidate), [urn(&promoted)]);
        assert_eq!(changed(Channel::Edge, &updates), Some(at(60)));
        assert_eq!(changed(Channel::Stable, &updates[1..]), None);
    }

    #[test]
    fn a_revoked_update_says_so_in_its_title_and_why_in_its_text() {
        let feed = feed(&publisher(), Channel::Edge, &[revoked()]);
        assert!(texts(&feed, "title")[1].starts_with("Revoked: "));
        assert!(texts(&feed, "content")[0].contains("hosts undo it. Reason: it loses packets"));
        assert_eq!(texts(&feed, "updated")[1], at(60).to_string());
    }
}
