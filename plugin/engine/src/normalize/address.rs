//! From where: the client's address among `sourceIPs`, and what kind of address it is.
//!
//! kube-apiserver writes into `sourceIPs` what the request's `X-Forwarded-For` says, then its `X-Real-Ip`,
//! then the address of the peer (k8s.io/apimachinery/pkg/util/net, `SourceIPs`). All but the last come from
//! headers that the client may have written itself; only proxies that one trusts make them worth anything.
//! A trusted proxy has to set or remove `X-Real-Ip` as well, else a client says there what it likes.

use super::networks::Networks;
use super::{Settings, word_of};
use crate::json::Text;
use crate::recent::Recent;
use crate::record::{Event, Member};
use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What kind of address an event came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Reachable from everywhere.
    Public,
    /// Not globally reachable.
    Private,
    /// The machine itself.
    Loopback,
    /// The same link.
    LinkLocal,
    /// One of the user's own public ranges, as configured.
    Internal,
}

impl Scope {
    /// The value of `source_scope`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        word_of(self.as_member())
    }

    /// The member that says it, after a comma.
    pub(super) fn as_member(self) -> &'static str {
        match self {
            Self::Public => r#","source_scope":"public""#,
            Self::Private => r#","source_scope":"private""#,
            Self::Loopback => r#","source_scope":"loopback""#,
            Self::LinkLocal => r#","source_scope":"link-local""#,
            Self::Internal => r#","source_scope":"internal""#,
        }
    }
}

/// The client's address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Client<'a> {
    pub(super) ip: IpAddr,
    /// The canonical form: IPv4 in dots even where it was mapped into IPv6, IPv6 after RFC 5952; no port, no zone.
    pub(super) text: Cow<'a, [u8]>,
}

/// What an event's `sourceIPs` say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Origin<'a> {
    /// The client's address in canonical form.
    pub(super) client: Option<Cow<'a, [u8]>>,
    /// All entries as delivered, comma-separated.
    pub(super) all: Option<Cow<'a, [u8]>>,
    /// What kind of address the client's is.
    pub(super) scope: Option<Scope>,
    /// Whether the list of bad addresses has it.
    pub(super) high_risk: bool,
}

impl<'a> Origin<'a> {
    fn new(event: &Event<'a>, settings: &Settings) -> Self {
        let client = client(event.source_ips(), &settings.trusted_proxies);
        let ip = client.as_ref().map(|client| client.ip);
        Self {
            client: client.map(|client| client.text),
            all: joined(event.source_ips()),
            scope: ip.map(|ip| scope(ip, &settings.internal)),
            high_risk: ip.is_some_and(|ip| listed(&settings.high_risk, ip)),
        }
    }
}

/// For how many values of `sourceIPs` it is remembered what they say. A power of two.
const ORIGINS: usize = 512;

/// What values of `sourceIPs` say that have come before, for one [`Settings`].
#[derive(Debug)]
pub(super) struct Origins(Recent<Known>);

/// What [`Origin`] has, the texts as places in the value.
#[derive(Debug, Clone, Copy)]
struct Known {
    client: Option<(u16, u16)>,
    all: Option<(u16, u16)>,
    scope: Option<Scope>,
    high_risk: bool,
}

impl Default for Origins {
    fn default() -> Self {
        Self(Recent::new(ORIGINS))
    }
}

impl Origins {
    /// What an event's `sourceIPs` say.
    pub(super) fn of<'a>(&mut self, event: &Event<'a>, settings: &Settings) -> Origin<'a> {
        let (Some(number), Some(value)) = (event.number(Member::SourceIps), event.get(Member::SourceIps))
        else {
            return Origin::new(event, settings);
        };
        let number = number.to_le_bytes();
        if let Some(Known { client, all, scope, high_risk }) = self.0.get(0, &number) {
            let text = |place: Option<(u16, u16)>| {
                let (start, end) = place?;
                value.0.get(usize::from(start)..usize::from(end)).map(Cow::Borrowed)
            };
            return Origin { client: text(client), all: text(all), scope, high_risk };
        }
        let origin = Origin::new(event, settings);
        // What is not written in the value as it is cannot be found in it.
        let place = |text: &Option<Cow<'a, [u8]>>| match text {
            None => Some(None),
            Some(Cow::Borrowed(text)) => value.place_of(text).map(Some),
            Some(Cow::Owned(_)) => None,
        };
        if let (Some(client), Some(all)) = (place(&origin.client), place(&origin.all)) {
            let known = Known { client, all, scope: origin.scope, high_risk: origin.high_risk };
            self.0.put(0, &number, known);
        }
        origin
    }
}

/// The client's address: from the right, the first that is no trusted proxy; the leftmost where all are.
///
/// An entry that is no address ends the walk, since nobody knows who wrote what stands left of it: an
/// attacker could otherwise have it walked over to an address of their choice. The answer then is the
/// leftmost of the trusted proxies passed so far, or none. An entry that is no address left of the client's
/// changes nothing.
pub(super) fn client<'a>(entries: impl Iterator<Item = Text<'a>>, trusted: &Networks) -> Option<Client<'a>> {
    // After each entry this holds the answer for the entries so far, as if they were all.
    let mut answer = None;
    for entry in entries {
        answer = match parse(&entry.decode()) {
            None => None,
            Some(ip) if trusted.contains(ip) => answer.or(Some((ip, entry))),
            Some(ip) => Some((ip, entry)),
        };
    }
    let (ip, entry) = answer?;
    Some(Client { ip, text: canonical(ip, entry) })
}

/// All entries as delivered, comma-separated; none where there are none.
pub(super) fn joined<'a>(mut entries: impl Iterator<Item = Text<'a>>) -> Option<Cow<'a, [u8]>> {
    let mut all = entries.next()?.decode();
    for entry in entries {
        let all = all.to_mut();
        all.push(b',');
        all.extend_from_slice(&entry.decode());
    }
    Some(all)
}

/// Whether a list has the address, or the IPv4 address that it stands for.
pub(super) fn listed(list: &Networks, ip: IpAddr) -> bool {
    list.contains(ip) || translated(ip).is_some_and(|ip| list.contains(ip))
}

/// The IPv4 address behind an address of NAT64's well-known prefix (RFC 6052): the client is an IPv4 host.
fn translated(ip: IpAddr) -> Option<IpAddr> {
    match ip {
        IpAddr::V6(ip) if ip.to_bits() >> 32 == 0x64_ff9b << 64 => {
            Some(IpAddr::V4(Ipv4Addr::from_bits(ip.to_bits() as u32)))
        }
        _ => None,
    }
}

/// The address that an entry says. kube-apiserver writes plain addresses; others add brackets, ports, zones.
fn parse(entry: &[u8]) -> Option<IpAddr> {
    let host = std::str::from_utf8(host(entry)?).ok()?;
    if let Ok(ip) = host.parse::<Ipv4Addr>() {
        return Some(IpAddr::V4(ip));
    }
    let without_zone = host.split_once('%').map_or(host, |(address, _)| address);
    Some(IpAddr::V6(without_zone.parse().ok()?).to_canonical())
}

/// What stands before a port, without brackets and the spaces of a list that somebody split.
fn host(entry: &[u8]) -> Option<&[u8]> {
    let entry = entry.trim_ascii();
    let is_port = |text: &[u8]| !text.is_empty() && text.len() <= 5 && text.iter().all(u8::is_ascii_digit);
    if let Some(inside) = entry.strip_prefix(b"[") {
        let close = inside.iter().position(|&byte| byte == b']')?;
        let (host, rest) = inside.split_at_checked(close)?;
        return match rest.strip_prefix(b"]")? {
            b"" => Some(host),
            port => port.strip_prefix(b":").is_some_and(is_port).then_some(host),
        };
    }
    let mut parts = entry.split(|&byte| byte == b':');
    match (parts.next(), parts.next(), parts.next()) {
        (Some(host), Some(port), None) => is_port(port).then_some(host),
        _ => Some(entry),
    }
}

/// Borrowed where the entry already is in canonical form, as kube-apiserver's entries are.
fn canonical<'a>(ip: IpAddr, entry: Text<'a>) -> Cow<'a, [u8]> {
    match ip {
        // No other text than the canonical one parses as an IPv4 address.
        IpAddr::V4(_) => match host(entry.raw()) {
            Some(host) if !host.contains(&b':') && !host.contains(&b'\\') => Cow::Borrowed(host),
            _ => Cow::Owned(ip.to_string().into_bytes()),
        },
        IpAddr::V6(Ipv6Addr::LOCALHOST) => Cow::Borrowed(b"::1"),
        IpAddr::V6(_) => Cow::Owned(ip.to_string().into_bytes()),
    }
}

/// What kind of address it is. `internal` are the user's own public ranges.
pub(super) fn scope(ip: IpAddr, internal: &Networks) -> Scope {
    if listed(internal, ip) {
        return Scope::Internal;
    }
    match translated(ip).unwrap_or(ip) {
        IpAddr::V4(ip) => ipv4_scope(ip),
        IpAddr::V6(ip) => ipv6_scope(ip),
    }
}

fn ipv4_scope(ip: Ipv4Addr) -> Scope {
    IPV4.iter()
        .find(|&&(network, prefix, _)| {
            let differing = ip.to_bits() ^ network.to_bits();
            differing.checked_shr(32 - u32::from(prefix)).unwrap_or(0) == 0
        })
        .map_or(Scope::Public, |&(_, _, scope)| scope)
}

fn ipv6_scope(ip: Ipv6Addr) -> Scope {
    IPV6.iter()
        .find(|&&(network, prefix, _)| {
            let differing = ip.to_bits() ^ network.to_bits();
            differing.checked_shr(128 - u32::from(prefix)).unwrap_or(0) == 0
        })
        .map_or(Scope::Public, |&(_, _, scope)| scope)
}

use Scope::{LinkLocal, Loopback, Private, Public};

/// The IANA IPv4 special-purpose address registry, the narrower of two rows first. What no row has is
/// public: a doubtful address is rather reported than not.
///
/// Against the registry, the documentation ranges are public, so that examples behave.
#[rustfmt::skip]
const IPV4: &[(Ipv4Addr, u8, Scope)] = &[
    (Ipv4Addr::new(10, 0, 0, 0), 8, Private),       // private use, RFC 1918
    (Ipv4Addr::new(172, 16, 0, 0), 12, Private),    // private use, RFC 1918
    (Ipv4Addr::new(192, 168, 0, 0), 16, Private),   // private use, RFC 1918
    (Ipv4Addr::new(127, 0, 0, 0), 8, Loopback),     // loopback, RFC 1122
    (Ipv4Addr::new(169, 254, 0, 0), 16, LinkLocal), // link local, RFC 3927
    (Ipv4Addr::new(100, 64, 0, 0), 10, Private),    // shared address space, RFC 6598
    (Ipv4Addr::new(0, 0, 0, 0), 8, Private),        // this network, RFC 791
    (Ipv4Addr::new(192, 0, 0, 9), 32, Public),      // port control protocol anycast, RFC 7723
    (Ipv4Addr::new(192, 0, 0, 10), 32, Public),     // traversal using relays around NAT anycast, RFC 8155
    (Ipv4Addr::new(192, 0, 0, 0), 24, Private),     // IETF protocol assignments, RFC 6890; RFC 7335, 7600, 8880
    (Ipv4Addr::new(192, 0, 2, 0), 24, Public),      // documentation, RFC 5737
    (Ipv4Addr::new(192, 31, 196, 0), 24, Public),   // AS112, RFC 7535
    (Ipv4Addr::new(192, 52, 193, 0), 24, Public),   // automatic multicast tunneling, RFC 7450
    (Ipv4Addr::new(192, 88, 99, 2), 32, Private),   // 6a44 relay anycast, RFC 6751
    (Ipv4Addr::new(192, 175, 48, 0), 24, Public),   // direct delegation AS112, RFC 7534
    (Ipv4Addr::new(198, 18, 0, 0), 15, Private),    // benchmarking, RFC 2544
    (Ipv4Addr::new(198, 51, 100, 0), 24, Public),   // documentation, RFC 5737
    (Ipv4Addr::new(203, 0, 113, 0), 24, Public),    // documentation, RFC 5737
    (Ipv4Addr::new(240, 0, 0, 0), 4, Private),      // reserved, RFC 1112; limited broadcast, RFC 8190
];

/// The IANA IPv6 special-purpose address registry, the narrower of two rows first; see [`IPV4`].
///
/// Where the registry does not say whether a range is globally reachable (Teredo, 6to4), it is not: such
/// addresses come through a tunnel that somebody set up. IPv4-mapped addresses have become IPv4 before, and
/// those of NAT64's 64:ff9b::/96 (RFC 6052) are judged by the IPv4 address inside.
#[rustfmt::skip]
const IPV6: &[(Ipv6Addr, u8, Scope)] = &[
    (Ipv6Addr::new(0, 0, 0, 0, 0, 0, 0, 1), 128, Loopback),           // loopback, RFC 4291
    (Ipv6Addr::new(0xfc00, 0, 0, 0, 0, 0, 0, 0), 7, Private),         // unique local, RFC 4193
    (Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0), 10, LinkLocal),      // link-local unicast, RFC 4291
    (Ipv6Addr::new(0, 0, 0, 0, 0, 0, 0, 0), 128, Private),            // unspecified, RFC 4291
    (Ipv6Addr::new(0x64, 0xff9b, 1, 0, 0, 0, 0, 0), 48, Private),     // IPv4-IPv6 translation, RFC 8215
    (Ipv6Addr::new(0x100, 0, 0, 0, 0, 0, 0, 0), 64, Private),         // discard only, RFC 6666
    (Ipv6Addr::new(0x100, 0, 0, 1, 0, 0, 0, 0), 64, Private),         // dummy prefix, RFC 9780
    (Ipv6Addr::new(0x2001, 1, 0, 0, 0, 0, 0, 1), 128, Public),        // port control protocol anycast, RFC 7723
    (Ipv6Addr::new(0x2001, 1, 0, 0, 0, 0, 0, 2), 128, Public),        // relays around NAT anycast, RFC 8155
    (Ipv6Addr::new(0x2001, 1, 0, 0, 0, 0, 0, 3), 128, Public),        // DNS-SD registration anycast, RFC 9665
    (Ipv6Addr::new(0x2001, 3, 0, 0, 0, 0, 0, 0), 32, Public),         // automatic multicast tunneling, RFC 7450
    (Ipv6Addr::new(0x2001, 4, 0x112, 0, 0, 0, 0, 0), 48, Public),     // AS112, RFC 7535
    (Ipv6Addr::new(0x2001, 0x20, 0, 0, 0, 0, 0, 0), 28, Public),      // ORCHIDv2, RFC 7343
    (Ipv6Addr::new(0x2001, 0x30, 0, 0, 0, 0, 0, 0), 28, Public),      // drone remote id, RFC 9374
    // IETF protocol assignments, RFC 2928, with Teredo (RFC 4380), benchmarking (RFC 5180), ORCHID (RFC 4843)
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23, Private),
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32, Public),     // documentation, RFC 3849
    (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16, Private),        // 6to4, RFC 3056
    (Ipv6Addr::new(0x2620, 0x4f, 0x8000, 0, 0, 0, 0, 0), 48, Public), // direct delegation AS112, RFC 7534
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20, Public),         // documentation, RFC 9637
    (Ipv6Addr::new(0x5f00, 0, 0, 0, 0, 0, 0, 0), 16, Private),        // segment routing identifiers, RFC 9602
];

#[cfg(test)]
mod tests {
    use super::super::networks::Network;
    use super::*;

    fn networks(list: &[&str]) -> Networks {
        list.iter().map(|entry| entry.parse::<Network>().unwrap()).collect()
    }

    fn client_of(entries: &[&str], trusted: &[&str]) -> Option<String> {
        let entries = entries.iter().map(|entry| Text::new(entry.as_bytes()));
        let client = client(entries, &networks(trusted))?;
        assert_eq!(client.text, client.ip.to_string().as_bytes());
        Some(String::from_utf8(client.text.into_owned()).unwrap())
    }

    #[test]
    fn the_client_is_the_first_from_the_right_that_is_no_trusted_proxy() {
        const NOBODY: &[&str] = &[];
        const PROXIES: &[&str] = &["10.0.0.0/8", "fd00::/8"];
        for (entries, trusted, expected) in [
            (&[][..], PROXIES, None),
            (&["203.0.113.7"], NOBODY, Some("203.0.113.7")),
            // A header of the client's own counts for nothing.
            (&["198.51.100.1", "203.0.113.7"], NOBODY, Some("203.0.113.7")),
            (&["198.51.100.1", "203.0.113.7"], PROXIES, Some("203.0.113.7")),
            // Behind a proxy that adds what it saw.
            (&["203.0.113.7", "10.0.0.1"], PROXIES, Some("203.0.113.7")),
            (&["203.0.113.7", "10.0.0.1"], NOBODY, Some("10.0.0.1")),
            (&["198.51.100.1", "203.0.113.7", "10.9.9.9", "10.0.0.1"], PROXIES, Some("203.0.113.7")),
            (&["203.0.113.7", "fd00::1", "10.0.0.1"], PROXIES, Some("203.0.113.7")),
            // All are trusted: the leftmost.
            (&["10.3.3.3", "10.2.2.2", "10.1.1.1"], PROXIES, Some("10.3.3.3")),
            // The client hides behind an address that looks like a proxy's; what it wrote left of it is as good.
            (&["203.0.113.7", "10.2.2.2", "10.1.1.1"], PROXIES, Some("203.0.113.7")),
            // What is no address does no harm left of the client's …
            (&["garbage", "203.0.113.7"], PROXIES, Some("203.0.113.7")),
            (&["garbage", "203.0.113.7", "10.0.0.1"], PROXIES, Some("203.0.113.7")),
            (&["", "203.0.113.7", "10.0.0.1"], PROXIES, Some("203.0.113.7")),
            // … and is not walked over.
            (&["198.51.100.1", "garbage", "10.0.0.1"], PROXIES, Some("10.0.0.1")),
            (&["198.51.100.1", "garbage", "10.2.2.2", "10.1.1.1"], PROXIES, Some("10.2.2.2")),
            (&["198.51.100.1", "garbage"], PROXIES, None),
            (&["198.51.100.1", "@"], NOBODY, None),
        ] {
            assert_eq!(client_of(entries, trusted).as_deref(), expected, "{entries:?} behind {trusted:?}");
        }
    }

    #[test]
    fn an_address_is_read_in_every_form_and_written_in_one() {
        for (entry, canonical) in [
            ("203.0.113.7", Some("203.0.113.7")),
            ("203.0.113.7:443", Some("203.0.113.7")),
            ("::ffff:203.0.113.7", Some("203.0.113.7")),
            ("::FFFF:cb00:7107", Some("203.0.113.7")),
            ("[::ffff:203.0.113.7]:443", Some("203.0.113.7")),
            ("::1", Some("::1")),
            ("0:0:0:0:0:0:0:1", Some("::1")),
            ("[::1]", Some("::1")),
            ("[::1]:443", Some("::1")),
            ("2001:DB8:0:0:0:0:0:1", Some("2001:db8::1")),
            ("fe80::1%eth0", Some("fe80::1")),
            ("[fe80::1%eth0]:443", Some("fe80::1")),
            ("203.0.113.7:", None),
            ("203.0.113.7:https", None),
            ("203.0.113.7%eth0", None),
            ("203.0.113.07", None),
            ("203.0.113", None),
            (" 203.0.113.7 ", Some("203.0.113.7")),
            ("203.0.113. 7", None),
            ("[::1", None),
            ("[::1]x", None),
            ("[::1]:", None),
            ("::1]", None),
            ("localhost", None),
            ("", None),
        ] {
            assert_eq!(client_of(&[entry], &[]).as_deref(), canonical, "{entry}");
        }
        // Escapes of the record are not part of the address.
        assert_eq!(client_of(&[r"203.0.113\u002e7"], &[]).as_deref(), Some("203.0.113.7"));
    }

    #[test]
    fn all_addresses_are_joined_as_delivered() {
        for (entries, expected) in [
            (&[][..], None),
            (&["203.0.113.7"], Some("203.0.113.7")),
            (&["garbage", "203.0.113.7", "::ffff:10.0.0.1"], Some("garbage,203.0.113.7,::ffff:10.0.0.1")),
        ] {
            let joined = joined(entries.iter().map(|entry| Text::new(entry.as_bytes())));
            assert_eq!(joined.as_deref(), expected.map(str::as_bytes));
        }
    }

    #[test]
    fn every_special_range_has_its_scope_from_the_first_address_to_the_last() {
        for (first, last, expected) in [
            ("0.0.0.0", "0.255.255.255", Private),
            ("10.0.0.0", "10.255.255.255", Private),
            ("100.64.0.0", "100.127.255.255", Private),
            ("127.0.0.0", "127.255.255.255", Loopback),
            ("169.254.0.0", "169.254.255.255", LinkLocal),
            ("172.16.0.0", "172.31.255.255", Private),
            ("192.0.0.0", "192.0.0.8", Private),
            ("192.0.0.9", "192.0.0.10", Public),
            ("192.0.0.11", "192.0.0.255", Private),
            ("192.0.0.170", "192.0.0.171", Private),
            ("192.0.2.0", "192.0.2.255", Public),
            ("192.31.196.0", "192.31.196.255", Public),
            ("192.52.193.0", "192.52.193.255", Public),
            ("192.88.99.2", "192.88.99.2", Private),
            ("192.88.99.3", "192.88.99.255", Public),
            ("192.168.0.0", "192.168.255.255", Private),
            ("192.175.48.0", "192.175.48.255", Public),
            ("198.18.0.0", "198.19.255.255", Private),
            ("198.51.100.0", "198.51.100.255", Public),
            ("203.0.113.0", "203.0.113.255", Public),
            ("240.0.0.0", "255.255.255.255", Private),
            // Neighbours of special ranges.
            ("1.0.0.0", "9.255.255.255", Public),
            ("11.0.0.0", "100.63.255.255", Public),
            ("100.128.0.0", "126.255.255.255", Public),
            ("172.15.255.255", "172.15.255.255", Public),
            ("172.32.0.0", "191.255.255.255", Public),
            ("198.17.255.255", "198.17.255.255", Public),
            ("198.20.0.0", "198.20.0.0", Public),
            ("::", "::", Private),
            ("::1", "::1", Loopback),
            ("::2", "::2", Public),
            ("64:ff9b:1::", "64:ff9b:1:ffff:ffff:ffff:ffff:ffff", Private),
            ("64:ff9b::8.8.8.8", "64:ff9b::8.8.8.8", Public),
            ("64:ff9b::10.0.0.0", "64:ff9b::10.255.255.255", Private),
            ("64:ff9b::127.0.0.1", "64:ff9b::127.0.0.1", Loopback),
            ("100::", "100::ffff:ffff:ffff:ffff", Private),
            ("100:0:0:1::", "100:0:0:1:ffff:ffff:ffff:ffff", Private),
            ("2001::", "2001:0:ffff:ffff:ffff:ffff:ffff:ffff", Private),
            ("2001:1::", "2001:1::", Private),
            ("2001:1::1", "2001:1::3", Public),
            ("2001:1::4", "2001:1::4", Private),
            ("2001:2::", "2001:2:0:ffff:ffff:ffff:ffff:ffff", Private),
            ("2001:3::", "2001:3:ffff:ffff:ffff:ffff:ffff:ffff", Public),
            ("2001:4:112::", "2001:4:112:ffff:ffff:ffff:ffff:ffff", Public),
            ("2001:4:113::", "2001:4:113::", Private),
            ("2001:10::", "2001:1f:ffff:ffff:ffff:ffff:ffff:ffff", Private),
            ("2001:20::", "2001:2f:ffff:ffff:ffff:ffff:ffff:ffff", Public),
            ("2001:30::", "2001:3f:ffff:ffff:ffff:ffff:ffff:ffff", Public),
            ("2001:40::", "2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff", Private),
            ("2001:200::", "2001:200::", Public),
            ("2001:db8::", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", Public),
            ("2002::", "2002:ffff:ffff:ffff:ffff:ffff:ffff:ffff", Private),
            ("2620:4f:8000::", "2620:4f:8000:ffff:ffff:ffff:ffff:ffff", Public),
            ("3fff::", "3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff", Public),
            ("5f00::", "5f00:ffff:ffff:ffff:ffff:ffff:ffff:ffff", Private),
            ("fbff::", "fbff::", Public),
            ("fc00::", "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", Private),
            ("fe80::", "febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff", LinkLocal),
            ("2400:3200::1", "2606:4700:4700::1111", Public),
        ] {
            for ip in [first, last] {
                assert_eq!(scope(ip.parse().unwrap(), &Networks::default()), expected, "{ip}");
            }
        }
    }

    /// A row behind a wider one would never be reached.
    #[test]
    fn no_row_hides_a_later_one() {
        for (index, &(later, _, _)) in IPV4.iter().enumerate() {
            let hidden = IPV4[..index].iter().find(|&&(network, prefix, _)| {
                (later.to_bits() ^ network.to_bits()).checked_shr(32 - u32::from(prefix)).unwrap_or(0) == 0
            });
            assert_eq!(hidden, None, "{later}");
        }
        for (index, &(later, _, _)) in IPV6.iter().enumerate() {
            let hidden = IPV6[..index].iter().find(|&&(network, prefix, _)| {
                (later.to_bits() ^ network.to_bits()).checked_shr(128 - u32::from(prefix)).unwrap_or(0) == 0
            });
            assert_eq!(hidden, None, "{later}");
        }
    }

    #[test]
    fn the_users_own_ranges_are_internal_whatever_else_they_are() {
        let internal = networks(&["203.0.113.0/24", "10.1.0.0/16", "2001:db8::/32"]);
        for (ip, expected) in [
            ("203.0.113.7", Scope::Internal),
            ("64:ff9b::203.0.113.7", Scope::Internal),
            ("10.1.2.3", Scope::Internal),
            ("2001:db8::1", Scope::Internal),
            ("10.2.0.0", Private),
            ("198.51.100.1", Public),
        ] {
            assert_eq!(scope(ip.parse().unwrap(), &internal), expected, "{ip}");
        }
    }

    #[test]
    fn a_list_of_ipv4_addresses_also_has_them_behind_nat64() {
        let list = networks(&["198.51.100.0/24"]);
        for (ip, expected) in
            [("198.51.100.9", true), ("64:ff9b::198.51.100.9", true), ("64:ff9b::9", false), ("::1", false)]
        {
            assert_eq!(listed(&list, ip.parse().unwrap()), expected, "{ip}");
        }
    }
}
