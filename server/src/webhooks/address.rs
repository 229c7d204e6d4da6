//! Which addresses a webhook may go to. Whoever subscribes must not reach, by way
//! of this server, what only this server reaches.

use crate::webhooks::Settings;
use ipnet::IpNet;
use reqwest::{
    Url,
    dns::{Addrs, Name, Resolve, Resolving},
};
use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

/// Longest address.
const MAX_URL_BYTES: usize = 2000;

/// IPv4 that is not of the public network (IANA's special-purpose registry), and
/// multicast.
const SPECIAL_V4: [&str; 15] = [
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.0.2.0/24",
    "192.88.99.0/24",
    "192.168.0.0/16",
    "198.18.0.0/15",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "224.0.0.0/4",
    "240.0.0.0/4",
];
/// All of IPv6 that is public lies in here: not what holds an IPv4 address (mapped,
/// NAT64), nor what is local or multicast.
const GLOBAL_V6: &str = "2000::/3";
/// And these in it are not: protocol assignments with Teredo, documentation, 6to4.
const SPECIAL_V6: [&str; 4] = ["2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20"];

/// Why nothing is sent to an address.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// Not of the form that it must have.
    #[error("{0}")]
    Form(&'static str),
    /// Not on the public network.
    #[error(
        "{0} is not an address of the public network, and the server's --webhook-allow does not name it"
    )]
    Private(IpAddr),
}

/// Which addresses may be reached.
#[derive(Debug, Clone)]
pub struct Policy {
    http: bool,
    allowed: Vec<IpNet>,
    special_v4: Vec<IpNet>,
    global_v6: Vec<IpNet>,
    special_v6: Vec<IpNet>,
}

impl Policy {
    /// By how the server is set up.
    #[must_use]
    pub fn new(settings: &Settings) -> Self {
        let nets = |texts: &[&str]| texts.iter().filter_map(|text| text.parse().ok()).collect();
        Self {
            http: settings.http,
            allowed: settings.allow.clone(),
            special_v4: nets(&SPECIAL_V4),
            global_v6: nets(&[GLOBAL_V6]),
            special_v6: nets(&SPECIAL_V6),
        }
    }

    /// Whether an address may be reached.
    #[must_use]
    pub fn allows(&self, address: IpAddr) -> bool {
        let within = |nets: &[IpNet]| nets.iter().any(|net| net.contains(&address));
        within(&self.allowed)
            || match address {
                IpAddr::V4(_) => !within(&self.special_v4),
                IpAddr::V6(_) => within(&self.global_v6) && !within(&self.special_v6),
            }
    }

    /// Reads the address of a subscription. What its host's name stands for is
    /// looked at when something is sent there.
    ///
    /// # Errors
    /// [`Refused`].
    pub fn url(&self, text: &str) -> Result<Url, Refused> {
        if text.len() > MAX_URL_BYTES {
            return Err(Refused::Form("the address has more than 2,000 bytes"));
        }
        let url = Url::parse(text).map_err(|_| Refused::Form("the address is no URL"))?;
        match url.scheme() {
            "https" => {}
            "http" if self.http => {}
            _ => return Err(Refused::Form("the address must begin with https://")),
        }
        let plain = url.username().is_empty() && url.password().is_none();
        if !plain || url.fragment().is_some() {
            return Err(Refused::Form(
                "the address must have no user and no fragment",
            ));
        }
        let host = url.host_str().unwrap_or_default();
        let literal = host.trim_start_matches('[').trim_end_matches(']');
        match literal.parse::<IpAddr>() {
            Ok(address) if !self.allows(address) => Err(Refused::Private(address)),
            _ if host.is_empty() => Err(Refused::Form("the address must have a host")),
            _ => Ok(url),
        }
    }
}

/// Looks names up and lets no address through that may not be reached: a connection
/// goes to one of those that were looked at, whatever the name stands for later.
#[derive(Debug, Clone)]
pub struct Resolver(pub Arc<Policy>);

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let policy = Arc::clone(&self.0);
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let found: Vec<SocketAddr> = found.collect();
            for address in &found {
                if !policy.allows(address.ip()) {
                    return Err(Refused::Private(address.ip()).into());
                }
            }
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn policy(allow: &[&str], http: bool) -> Policy {
        Policy::new(&Settings {
            http,
            allow: allow.iter().map(|net| net.parse().unwrap()).collect(),
            ..Settings::default()
        })
    }

    #[test]
    fn only_the_public_network_is_reached() {
        let policy = policy(&[], false);
        for public in [
            "1.1.1.1",
            "172.32.0.1",
            "100.128.0.1",
            "2606:4700::1111",
            "2001:200::1",
        ] {
            assert!(policy.allows(public.parse().unwrap()), "{public}");
        }
        for private in [
            "0.0.0.0",
            "10.1.2.3",
            "100.64.0.1",
            "127.0.0.1",
            "127.8.9.10",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.8",
            "192.168.1.1",
            "198.19.0.1",
            "224.0.0.1",
            "239.255.255.250",
            "255.255.255.255",
            "::",
            "::1",
            "::127.0.0.1",
            "::ffff:127.0.0.1",
            "::ffff:1.1.1.1",
            "64:ff9b::7f00:1",
            "64:ff9b:1::1",
            "fc00::1",
            "fd12::1",
            "fe80::1",
            "fec0::1",
            "ff02::1",
            "2002:7f00:1::",
            "2001::1",
            "2001:db8::1",
            "100::1",
            "5f00::1",
        ] {
            assert!(!policy.allows(private.parse().unwrap()), "{private}");
        }
    }

    #[test]
    fn what_the_server_is_told_to_allow_is_reached_and_no_more() {
        let policy = policy(&["10.1.0.0/16", "fd00::/64"], false);
        for (address, allowed) in [
            ("10.1.2.3", true),
            ("10.2.0.1", false),
            ("::ffff:10.1.2.3", false),
            ("fd00::7", true),
            ("fd00:0:0:1::7", false),
        ] {
            assert_eq!(
                policy.allows(address.parse().unwrap()),
                allowed,
                "{address}"
            );
        }
    }

    #[test]
    fn an_address_that_hides_where_it_goes_is_refused() {
        let strict = policy(&[], false);
        for bad in [
            "http://example.org/",
            "ftp://example.org/",
            "https://user@example.org/",
            "https://:pw@example.org/",
            "https://example.org/#x",
            "https://127.0.0.1/",
            "https://0x7f.1/",
            "https://2130706433/",
            "https://0177.0.0.1/",
            "https://[::1]/",
            "https://[::ffff:10.0.0.1]/",
            "https://[64:ff9b::a00:1]/",
            "//example.org/",
            "x",
            "",
        ] {
            assert!(strict.url(bad).is_err(), "{bad}");
        }
        strict
            .url("https://hooks.example.org:8443/resplice?x=1")
            .unwrap();
        strict.url("https://1.1.1.1/").unwrap();
        let long = format!("https://example.org/{}", "a".repeat(2000));
        assert!(strict.url(&long).is_err());
        policy(&["127.0.0.0/8"], true)
            .url("http://127.0.0.1:1/")
            .unwrap();
    }

    #[tokio::test]
    async fn a_name_that_stands_for_a_private_address_is_not_resolved() {
        let resolve =
            |policy: Policy| Resolver(Arc::new(policy)).resolve("localhost".parse().unwrap());
        let refused = resolve(policy(&[], false)).await.err().unwrap();
        assert!(refused.to_string().contains("--webhook-allow"), "{refused}");
        let allowed = policy(&["127.0.0.0/8", "::1/128"], false);
        assert!(resolve(allowed).await.unwrap().next().is_some());
    }
}
