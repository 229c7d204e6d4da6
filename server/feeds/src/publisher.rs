//! Who says it, and where.

use crate::Update;
use jiff::{Timestamp, tz::TimeZone};
use resplice_api::Channel;

/// Who publishes, and under which address the files are found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Publisher {
    /// Its name; not empty.
    pub name: String,
    /// How it is reached, for people.
    pub contact: Option<String>,
    /// Address of the server, without a slash at the end.
    pub address: String,
    /// Whether anyone may read it.
    pub public: bool,
}

impl Publisher {
    /// Address of a channel's Atom feed.
    #[must_use]
    pub fn atom(&self, channel: Channel) -> String {
        format!("{}/feeds/{channel}.atom", self.address)
    }

    /// Address of an update's OSV record.
    #[must_use]
    pub fn osv(&self, update: &Update) -> String {
        format!("{}/feeds/osv/{}.json", self.address, update.advisory())
    }

    /// Address of an update's CSAF document.
    #[must_use]
    pub fn csaf(&self, update: &Update) -> String {
        format!("{}/csaf/{}", self.address, csaf_path(update))
    }

    /// Address of the ROLIE feed of all CSAF documents.
    #[must_use]
    pub fn rolie(&self) -> String {
        format!("{}/csaf/{}", self.address, self.rolie_file())
    }

    /// The ROLIE feed's file.
    #[must_use]
    pub fn rolie_file(&self) -> &'static str {
        if self.public {
            "feed-tlp-white.json"
        } else {
            "feed-tlp-amber.json"
        }
    }

    /// Who may read on: TLP 1.0, as CSAF 2.0 has it.
    pub(crate) fn tlp(&self) -> &'static str {
        if self.public { "WHITE" } else { "AMBER" }
    }

    /// Address of the key that signs CSAF documents.
    #[must_use]
    pub fn key(&self, fingerprint: &str) -> String {
        format!("{}/csaf/openpgp/{fingerprint}.asc", self.address)
    }

    /// Address of the provider's metadata.
    #[must_use]
    pub fn metadata(&self) -> String {
        format!("{}/.well-known/csaf/provider-metadata.json", self.address)
    }
}

/// Where a CSAF document lies, by the year of its first release (CSAF 2.0,
/// sections 5.1 and 7.1.11).
#[must_use]
pub fn csaf_path(update: &Update) -> String {
    let year = year(update.released());
    format!("{year}/{}.json", update.advisory().to_lowercase())
}

fn year(at: Timestamp) -> i16 {
    at.to_zoned(TimeZone::UTC).year()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn example() -> Publisher {
        Publisher {
            name: "Example & Sons".to_owned(),
            contact: Some("security@example.org".to_owned()),
            address: "https://updates.example.org".to_owned(),
            public: true,
        }
    }
}
