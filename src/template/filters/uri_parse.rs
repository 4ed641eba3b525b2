//! Taking a URI apart as .NET's `Uri` does: schemes with their ports, hosts, paths in normal form.

use std::net::{Ipv4Addr, Ipv6Addr};

use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};

use crate::model::letters::is_letter_or_digit;

/// What a path, a query or a fragment may not hold as it is. `%` is looked at apart.
const UNSAFE: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'<')
    .add(b'>')
    .add(b'\\')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

/// The ports that a scheme's name stands for.
const PORTS: [(&str, u16); 11] = [
    ("http", 80),
    ("https", 443),
    ("ws", 80),
    ("wss", 443),
    ("ftp", 21),
    ("telnet", 23),
    ("mailto", 25),
    ("gopher", 70),
    ("nntp", 119),
    ("ldap", 389),
    ("net.tcp", 808),
];

/// What a text is when it is read as a URI.
#[derive(Debug)]
pub(super) enum Reading {
    Absolute(Uri),
    Relative,
    /// It begins like a URI and cannot be one.
    Invalid,
}

/// What kind of name a host has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum HostKind {
    /// No host where there could be one.
    Basic,
    /// A kind of URI that knows no host.
    Unknown,
    Dns,
    IPv4,
    IPv6,
}

/// An absolute URI in its parts, each in normal form.
#[derive(Debug)]
pub(super) struct Uri {
    pub(super) scheme: String,
    /// Whether `//` stands after the scheme.
    pub(super) has_authority: bool,
    pub(super) user: String,
    pub(super) host: String,
    pub(super) host_kind: HostKind,
    pub(super) port: Option<u16>,
    pub(super) path: String,
    /// With its `?`, or empty.
    pub(super) query: String,
    /// With its `#`, or empty.
    pub(super) fragment: String,
}

impl Uri {
    pub(super) fn default_port(&self) -> Option<u16> {
        PORTS.iter().find(|(scheme, _)| *scheme == self.scheme).map(|(_, port)| *port)
    }

    pub(super) fn is_file(&self) -> bool {
        self.scheme == "file"
    }

    /// A file on another computer.
    pub(super) fn is_unc(&self) -> bool {
        self.is_file() && !self.host.is_empty()
    }

    pub(super) fn is_loopback(&self) -> bool {
        match self.host_kind {
            HostKind::IPv4 => self.host.parse::<Ipv4Addr>().is_ok_and(|address| address.is_loopback()),
            HostKind::IPv6 => self.bare_host().parse::<Ipv6Addr>().is_ok_and(|address| address.is_loopback()),
            HostKind::Dns => matches!(self.host.as_str(), "localhost" | "loopback"),
            HostKind::Basic => self.is_file(),
            HostKind::Unknown => false,
        }
    }

    /// The host without the brackets of an IPv6 address.
    pub(super) fn bare_host(&self) -> &str {
        self.host.trim_start_matches('[').trim_end_matches(']')
    }
}

pub(super) fn read(text: &str) -> Reading {
    let text = text.trim();
    if let Some(share) = text.strip_prefix(r"\\") {
        return absolute("file", &format!("//{}", share.replace('\\', "/")));
    }
    let Some((scheme, rest)) = text.split_once(':') else { return Reading::Relative };
    if scheme.len() == 1
        && scheme.bytes().all(|byte| byte.is_ascii_alphabetic())
        && rest.starts_with(['\\', '/'])
    {
        return absolute("file", &format!("///{scheme}:{}", rest.replace('\\', "/")));
    }
    let is_scheme = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
    if is_scheme { absolute(&scheme.to_ascii_lowercase(), rest) } else { Reading::Relative }
}

/// Whether a scheme always has a host.
fn needs_host(scheme: &str) -> bool {
    matches!(scheme, "http" | "https" | "ws" | "wss" | "ftp" | "gopher" | "nntp" | "telnet" | "net.tcp")
}

fn absolute(scheme: &str, rest: &str) -> Reading {
    let (rest, fragment) = cut(rest, '#');
    let (rest, query) = cut(rest, '?');
    let rest = if needs_host(scheme) || scheme == "file" { rest.replace('\\', "/") } else { rest.to_owned() };
    let mut uri = Uri {
        scheme: scheme.to_owned(),
        has_authority: false,
        user: String::new(),
        host: String::new(),
        host_kind: HostKind::Unknown,
        port: None,
        path: escape(&rest),
        query: escape(query),
        fragment: escape(fragment),
    };
    uri.port = uri.default_port();
    let authority_is_good = if let Some(rest) = rest.strip_prefix("//") {
        let end = rest.find('/').unwrap_or(rest.len());
        uri.has_authority = true;
        uri.path = without_dots(&escape(&rest[end..]));
        if uri.path.is_empty() && (needs_host(scheme) || scheme == "file") {
            uri.path.push('/');
        }
        read_authority(&mut uri, &rest[..end])
    } else if scheme == "mailto" {
        // The address is user and host; there is no path.
        uri.path.clear();
        read_authority(&mut uri, &rest)
    } else {
        !needs_host(scheme)
    };
    if authority_is_good { Reading::Absolute(uri) } else { Reading::Invalid }
}

/// `text` up to `separator`, and from it.
fn cut(text: &str, separator: char) -> (&str, &str) {
    text.split_at(text.find(separator).unwrap_or(text.len()))
}

/// Reads `user@host:port`; whether it can be one.
fn read_authority(uri: &mut Uri, authority: &str) -> bool {
    let (user, server) = authority.rsplit_once('@').unwrap_or(("", authority));
    uri.user = escape(user);
    let after_brackets = server.rfind(']').map_or(0, |at| at + 1);
    let (host, port) = match server[after_brackets..].rfind(':') {
        Some(at) => (&server[..after_brackets + at], &server[after_brackets + at + 1..]),
        None => (server, ""),
    };
    if !port.is_empty() {
        let number = port.bytes().all(|byte| byte.is_ascii_digit()).then(|| port.parse().ok()).flatten();
        if number.is_none() {
            return false;
        }
        uri.port = number;
    }
    match read_host(host) {
        Some((host, kind)) => {
            uri.host = host;
            uri.host_kind = kind;
            kind != HostKind::Basic || !needs_host(&uri.scheme)
        }
        None => false,
    }
}

fn read_host(host: &str) -> Option<(String, HostKind)> {
    if host.is_empty() {
        return Some((String::new(), HostKind::Basic));
    }
    if let Some(inside) = host.strip_prefix('[') {
        let address: Ipv6Addr = inside.strip_suffix(']')?.parse().ok()?;
        return Some((format!("[{address}]"), HostKind::IPv6));
    }
    if let Ok(address) = host.parse::<Ipv4Addr>() {
        return Some((address.to_string(), HostKind::IPv4));
    }
    let host = host.to_lowercase();
    let is_name = host.split('.').enumerate().all(|(index, label)| {
        // A dot may end a name.
        (!label.is_empty() || (index > 0 && host.ends_with('.')))
            && label.chars().all(|c| is_letter_or_digit(c) || matches!(c, '-' | '_'))
    });
    is_name.then_some((host, HostKind::Dns))
}

/// Percent-encodes what must be, and leaves what is encoded already; a lone `%` is encoded too.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('%') {
        out.extend(utf8_percent_encode(&rest[..at], UNSAFE));
        rest = &rest[at + 1..];
        let is_encoded = rest.len() >= 2 && rest.bytes().take(2).all(|byte| byte.is_ascii_hexdigit());
        out.push_str(if is_encoded { "%" } else { "%25" });
    }
    out.extend(utf8_percent_encode(rest, UNSAFE));
    out
}

pub(super) fn unescape(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

/// A path without its `.` and `..`.
fn without_dots(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    let mut parts = path.split('/').skip(1).peekable();
    while let Some(part) = parts.next() {
        let is_last = parts.peek().is_none();
        match part {
            "." => {}
            ".." => drop(kept.pop()),
            part => {
                kept.push(part);
                continue;
            }
        }
        // What ends in a dot segment is a folder.
        if is_last {
            kept.push("");
        }
    }
    kept.iter().flat_map(|part| ["/", part]).collect()
}
