//! How a URL is shown, and how near to this machine it leads.

use std::net::{IpAddr, Ipv4Addr, ToSocketAddrs};

use reqwest::Url;

use crate::text::Printable;

/// The host and port of a URL: no path, query or password, which may be secret.
pub(super) fn address(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    let port = url.port_or_known_default().map(|port| format!(":{port}")).unwrap_or_default();
    Printable::new(&format!("{host}{port}")).to_string()
}

/// A URL without its query, fragment and login, which may be secret.
pub(super) fn shown(url: &Url) -> String {
    let mut url = url.clone();
    url.set_query(None);
    url.set_fragment(None);
    // Only a URL that can have neither refuses.
    let _ = url.set_username("").and_then(|()| url.set_password(None));
    url.to_string()
}

/// How near a host is, nearest last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Reach {
    /// Anywhere in the internet, as far as can be told.
    Public,
    /// In a network that is not the internet's (RFC 1918, RFC 4193, RFC 6598).
    Private,
    /// This machine, or what only its own link reaches, as the metadata of a cloud.
    Local,
}

impl Reach {
    /// Of the host of a URL. A name is as near as the nearest of its addresses; one that has none here, as behind a
    /// proxy, is taken for public.
    pub(super) fn of(url: &Url) -> Self {
        let port = url.port_or_known_default().unwrap_or_default();
        let host = url.host_str().unwrap_or_default();
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        let addresses = (host, port).to_socket_addrs().map(|found| found.map(|one| one.ip()).collect());
        let addresses: Vec<IpAddr> = addresses.unwrap_or_default();
        addresses.into_iter().map(Reach::of_address).max().unwrap_or(Reach::Public)
    }

    fn of_address(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(address) => Reach::of_v4(address),
            IpAddr::V6(address) => {
                let segments = address.segments();
                if let Some(inner) = address.to_ipv4_mapped() {
                    return Reach::of_v4(inner);
                }
                match segments[0] {
                    _ if address.is_loopback() || address.is_unspecified() => Reach::Local,
                    0xfe80..=0xfebf => Reach::Local,
                    0xfc00..=0xfdff | 0xfec0..=0xfeff => Reach::Private,
                    // An IPv4 address behind a translator (RFC 6052).
                    0x64 if segments[1] == 0xff9b => {
                        let [.., high, low] = segments;
                        Reach::of_v4(Ipv4Addr::from((u32::from(high) << 16) | u32::from(low)))
                    }
                    _ => Reach::Public,
                }
            }
        }
    }

    fn of_v4(address: Ipv4Addr) -> Self {
        let [first, second, ..] = address.octets();
        if address.is_loopback() || address.is_link_local() || first == 0 {
            Reach::Local
        } else if address.is_private() || (first == 100 && second & 0xc0 == 64) {
            Reach::Private
        } else {
            Reach::Public
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_secret_of_a_url_is_shown() {
        let url: Url = "https://user:SECRET@host.x:444/v2/a/blobs/uploads/1?_state=SECRET#SECRET".parse().unwrap();
        assert_eq!(shown(&url), "https://host.x:444/v2/a/blobs/uploads/1");
        assert_eq!(address(&url), "host.x:444");
        assert_eq!(address(&"http://[::1]/x".parse().unwrap()), "[::1]:80");
    }

    #[test]
    fn tells_near_from_far() {
        for (host, reach) in [
            ("127.0.0.1", Reach::Local),
            ("127.8.9.1:99", Reach::Local),
            ("2130706433", Reach::Local),
            ("0.0.0.0", Reach::Local),
            ("localhost", Reach::Local),
            ("169.254.169.254", Reach::Local),
            ("[::1]:5000", Reach::Local),
            ("[fe80::1]", Reach::Local),
            ("[::ffff:127.0.0.1]", Reach::Local),
            ("[64:ff9b::7f00:1]", Reach::Local),
            ("10.0.0.1", Reach::Private),
            ("172.31.255.1", Reach::Private),
            ("192.168.1.1", Reach::Private),
            ("100.64.0.1", Reach::Private),
            ("[fd00::1]", Reach::Private),
            ("172.32.0.1", Reach::Public),
            ("100.128.0.1", Reach::Public),
            ("8.8.8.8", Reach::Public),
            ("[2001:db8::1]", Reach::Public),
            ("registry.invalid", Reach::Public),
        ] {
            assert_eq!(Reach::of(&format!("http://{host}/").parse().unwrap()), reach, "{host}");
        }
    }
}
