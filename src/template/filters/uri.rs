//! `UriPart`: the parts of a URI as .NET's `Uri` names them.
//!
//! What went wrong is the result, in brackets, as Octopus has it; a text that begins like a URI and is none comes out
//! as it went in.

use super::uri_parse::{HostKind, Reading, Uri, read, unescape};

/// What .NET says about parts that a relative URI does not have.
const RELATIVE: &str = "This operation is not supported for a relative URI.";

pub(super) fn part(input: &str, options: &[&str]) -> Option<String> {
    let name = match options {
        [] => return Some("[UriPart error: no argument given]".to_owned()),
        [name] => *name,
        _ => return None,
    };
    let uri = match read(input) {
        Reading::Absolute(uri) => Some(uri),
        Reading::Relative => None,
        Reading::Invalid => return Some(input.to_owned()),
    };
    let lower = name.to_ascii_lowercase();
    if lower == "isabsoluteuri" {
        return Some(uri.is_some().to_string());
    }
    Some(match (find(&lower), uri) {
        (None, _) => format!("[UriPart {name} error: argument '{name}' not supported]"),
        (Some(_), None) => format!("[UriPart {name} error: {RELATIVE}]"),
        (Some(show), Some(uri)) => show(&uri),
    })
}

/// How the part of that name is shown.
fn find(name: &str) -> Option<fn(&Uri) -> String> {
    Some(match name {
        "absolutepath" => |uri| uri.path.clone(),
        "absoluteuri" => absolute_uri,
        "authority" => |uri| authority(uri),
        "dnssafehost" => |uri| uri.bare_host().to_owned(),
        "fragment" => |uri| uri.fragment.clone(),
        "host" => |uri| uri.host.clone(),
        "hostandport" => |uri| match uri.port {
            Some(port) => format!("{}:{port}", uri.host),
            None => uri.host.clone(),
        },
        "hostnametype" => |uri| format!("{:?}", uri.host_kind),
        "isdefaultport" => |uri| (uri.port == uri.default_port()).to_string(),
        "isfile" => |uri| uri.is_file().to_string(),
        "isloopback" => |uri| uri.is_loopback().to_string(),
        "isunc" => |uri| uri.is_unc().to_string(),
        "path" => local_path,
        "pathandquery" => |uri| format!("{}{}", uri.path, uri.query),
        "port" => |uri| uri.port.map_or_else(|| "-1".to_owned(), |port| port.to_string()),
        "query" => |uri| uri.query.clone(),
        "scheme" => |uri| uri.scheme.clone(),
        "schemeandserver" => |uri| format!("{}{}{}", uri.scheme, delimiter(uri), authority(uri)),
        "userinfo" => |uri| uri.user.clone(),
        _ => return None,
    })
}

fn delimiter(uri: &Uri) -> &'static str {
    if uri.has_authority { "://" } else { ":" }
}

/// The host, and its port unless it goes without saying.
fn authority(uri: &Uri) -> String {
    match uri.port.filter(|_| uri.port != uri.default_port()) {
        Some(port) => format!("{}:{port}", uri.host),
        None => uri.host.clone(),
    }
}

fn absolute_uri(uri: &Uri) -> String {
    let at = if uri.user.is_empty() { "" } else { "@" };
    format!(
        "{}{}{}{at}{}{}{}{}",
        uri.scheme,
        delimiter(uri),
        uri.user,
        authority(uri),
        uri.path,
        uri.query,
        uri.fragment
    )
}

/// The path as the file system of Windows has it when it names a file there; else just not encoded.
fn local_path(uri: &Uri) -> String {
    let path = unescape(&uri.path);
    if uri.is_unc() {
        return format!(r"\\{}{}", uri.host, path.replace('/', "\\"));
    }
    let bytes = path.as_bytes();
    let has_drive = bytes.get(1).is_some_and(u8::is_ascii_alphabetic) && bytes.get(2) == Some(&b':');
    if uri.is_file() && uri.host_kind == HostKind::Basic && has_drive {
        return path[1..].replace('/', "\\");
    }
    path
}

#[cfg(test)]
mod tests {
    use super::super::tests::check;

    #[test]
    fn every_part() {
        let uri = "HTTPS://me:pw@Octopus.com:8443/a/../docs%20x/é y?q=1&r=ä#Top";
        check(&[
            ("UriPart|AbsolutePath", uri, Some("/docs%20x/%C3%A9%20y")),
            (
                "UriPart|AbsoluteUri",
                uri,
                Some("https://me:pw@octopus.com:8443/docs%20x/%C3%A9%20y?q=1&r=%C3%A4#Top"),
            ),
            ("UriPart|Authority", uri, Some("octopus.com:8443")),
            ("UriPart|DnsSafeHost", uri, Some("octopus.com")),
            ("UriPart|Fragment", uri, Some("#Top")),
            ("UriPart|HOST", uri, Some("octopus.com")),
            ("UriPart|HostAndPort", uri, Some("octopus.com:8443")),
            ("UriPart|HostNameType", uri, Some("Dns")),
            ("UriPart|IsAbsoluteUri", uri, Some("true")),
            ("UriPart|IsDefaultPort", uri, Some("false")),
            ("UriPart|IsFile", uri, Some("false")),
            ("UriPart|IsLoopback", uri, Some("false")),
            ("UriPart|IsUnc", uri, Some("false")),
            ("UriPart|Path", uri, Some("/docs x/é y")),
            ("UriPart|PathAndQuery", uri, Some("/docs%20x/%C3%A9%20y?q=1&r=%C3%A4")),
            ("UriPart|Port", uri, Some("8443")),
            ("UriPart|Query", uri, Some("?q=1&r=%C3%A4")),
            ("UriPart|Scheme", uri, Some("https")),
            ("UriPart|SchemeAndServer", uri, Some("https://octopus.com:8443")),
            ("UriPart|UserInfo", uri, Some("me:pw")),
        ]);
    }

    #[test]
    fn parts_that_go_without_saying() {
        let uri = "https://octopus.com";
        check(&[
            ("UriPart|AbsoluteUri", uri, Some("https://octopus.com/")),
            ("UriPart|Authority", uri, Some("octopus.com")),
            ("UriPart|HostAndPort", uri, Some("octopus.com:443")),
            ("UriPart|SchemeAndServer", "https://octopus.com:443/x", Some("https://octopus.com")),
            ("UriPart|IsDefaultPort", uri, Some("true")),
            ("UriPart|Port", "ws://h", Some("80")),
            ("UriPart|Port", "foo://h", Some("-1")),
            ("UriPart|HostAndPort", "foo://h/x", Some("h")),
            ("UriPart|Path", uri, Some("/")),
            ("UriPart|Query", uri, Some("")),
            ("UriPart|Fragment", uri, Some("")),
            ("UriPart|UserInfo", uri, Some("")),
            ("UriPart|AbsolutePath", "http://h/a/./b/..", Some("/a/")),
            ("UriPart|AbsolutePath", r"http://h\a\50%", Some("/a/50%25")),
        ]);
    }

    #[test]
    fn hosts_of_every_kind() {
        check(&[
            ("UriPart|HostNameType", "http://127.0.0.1:80/", Some("IPv4")),
            ("UriPart|IsLoopback", "http://127.0.0.1/", Some("true")),
            ("UriPart|HostNameType", "http://[::1]:8080/", Some("IPv6")),
            ("UriPart|Host", "http://[0:0::1]:8080/", Some("[::1]")),
            ("UriPart|DnsSafeHost", "http://[::1]:8080/", Some("::1")),
            ("UriPart|Port", "http://[::1]:8080/", Some("8080")),
            ("UriPart|IsLoopback", "http://[::1]/", Some("true")),
            ("UriPart|IsLoopback", "http://localhost/", Some("true")),
            ("UriPart|HostNameType", "file:///etc/hosts", Some("Basic")),
            ("UriPart|HostNameType", "urn:a:b", Some("Unknown")),
            ("UriPart|AbsolutePath", "urn:a:b", Some("a:b")),
            ("UriPart|AbsoluteUri", "urn:a:b", Some("urn:a:b")),
            ("UriPart|Host", "mailto:me@octopus.com", Some("octopus.com")),
            ("UriPart|UserInfo", "mailto:me@octopus.com", Some("me")),
            (
                "UriPart|AbsoluteUri",
                "mailto:me@octopus.com?subject=x",
                Some("mailto:me@octopus.com?subject=x"),
            ),
        ]);
    }

    #[test]
    fn files() {
        check(&[
            ("UriPart|IsFile", "file:///etc/hosts", Some("true")),
            ("UriPart|Path", "file:///etc/a%20b", Some("/etc/a b")),
            ("UriPart|Path", r"C:\temp\a b.txt", Some(r"C:\temp\a b.txt")),
            ("UriPart|AbsoluteUri", r"C:\temp\a b.txt", Some("file:///C:/temp/a%20b.txt")),
            ("UriPart|IsUnc", r"C:\temp", Some("false")),
            ("UriPart|IsLoopback", r"C:\temp", Some("true")),
            ("UriPart|IsUnc", r"\\server\share\x", Some("true")),
            ("UriPart|Path", r"\\server\share\x", Some(r"\\server\share\x")),
            ("UriPart|AbsoluteUri", r"\\server\share\x", Some("file://server/share/x")),
        ]);
    }

    #[test]
    fn errors_are_text() {
        let relative = "This operation is not supported for a relative URI.";
        check(&[
            ("UriPart", "https://octopus.com", Some("[UriPart error: no argument given]")),
            ("UriPart|bar", "https://octopus.com", Some("[UriPart bar error: argument 'bar' not supported]")),
            ("UriPart|bar", "/docs", Some("[UriPart bar error: argument 'bar' not supported]")),
            ("UriPart|Host", "/docs", Some(&format!("[UriPart Host error: {relative}]"))),
            ("UriPart|query", "", Some(&format!("[UriPart query error: {relative}]"))),
            ("UriPart|Host", "1x://h", Some(&format!("[UriPart Host error: {relative}]"))),
            ("UriPart|IsAbsoluteUri", "/docs", Some("false")),
            ("UriPart|Host", "http://", Some("http://")),
            ("UriPart|Host", "http:x", Some("http:x")),
            ("UriPart|Host", "http://h:99999/", Some("http://h:99999/")),
            ("UriPart|Host", "http://h:x/", Some("http://h:x/")),
            ("UriPart|Host", "http://[::1/", Some("http://[::1/")),
            ("UriPart|Host", "http://a b/", Some("http://a b/")),
            ("UriPart|Host|Port", "http://h", None),
        ]);
    }
}
