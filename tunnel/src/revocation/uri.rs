//! Where something is on the web: `http` and nothing else.

use super::FetchError;

/// The address of something that can be had by HTTP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Uri {
    /// A name or an address, without brackets.
    pub host: String,
    /// 80 where none was written.
    pub port: u16,
    /// Host and port as they were written.
    pub authority: String,
    /// Path and query.
    pub path: String,
}

impl Uri {
    /// What stands in it goes into a request, so that nothing which could end a line or a word is taken.
    pub fn parse(text: &str) -> Result<Self, FetchError> {
        let bad = || FetchError::Uri(text.escape_debug().to_string());
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(bad());
        }
        let (scheme, rest) = text.split_once("://").ok_or_else(bad)?;
        if !scheme.eq_ignore_ascii_case("http") {
            return Err(FetchError::Scheme(scheme.to_owned()));
        }
        let rest = rest.split('#').next().unwrap_or_default();
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        let (host, port) = host_and_port(authority).ok_or_else(bad)?;
        let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
        Ok(Self { host: host.to_owned(), port, authority: authority.to_owned(), path })
    }

    /// Where an answer from here says to look instead.
    pub fn follow(&self, location: &str) -> Result<Self, FetchError> {
        match location.strip_prefix("//") {
            Some(rest) => Self::parse(&format!("http://{rest}")),
            None if location.starts_with('/') => Self::parse(&format!("http://{}{location}", self.authority)),
            None => Self::parse(location),
        }
    }
}

/// No name and password before an `@`: whoever wants one is not public.
fn host_and_port(authority: &str) -> Option<(&str, u16)> {
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest.split_once(']')?;
            host.parse::<std::net::Ipv6Addr>().ok()?;
            (host, port.strip_prefix(':').or(port.is_empty().then_some(""))?)
        }
        None => {
            let (host, port) = authority.split_once(':').unwrap_or((authority, ""));
            let named = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
            (Some(host).filter(|host| !host.is_empty() && host.bytes().all(named))?, port)
        }
    };
    match port {
        "" => Some((host, 80)),
        _ => Some((host, port.parse().ok().filter(|port| *port != 0)?)),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_taken_apart() {
        for (text, host, port, path) in [
            ("http://crl.example.org/a.crl", "crl.example.org", 80, "/a.crl"),
            ("HTTP://192.0.2.1:8080", "192.0.2.1", 8080, "/"),
            ("http://[2001:db8::1]:81/x?y=z#w", "2001:db8::1", 81, "/x?y=z"),
            ("http://[::1]", "::1", 80, "/"),
            ("http://host?q", "host", 80, "/?q"),
        ] {
            let uri = Uri::parse(text).unwrap();
            assert_eq!((uri.host.as_str(), uri.port, uri.path.as_str()), (host, port, path), "{text}");
        }
    }

    #[test]
    fn what_could_break_a_request_is_not_taken() {
        for text in [
            "http://a/\r\nHost: b",
            "http://a/ b",
            "http://a/ü",
            "http://user:secret@a/",
            "http://a:0/",
            "http://a:65536/",
            "http://a:b/",
            "http:///a",
            "http://[::1/a",
            "http://[a]/a",
            "http://[::1]x/a",
            "a.crl",
            "",
        ] {
            assert!(matches!(Uri::parse(text), Err(FetchError::Uri(_))), "{text:?}");
        }
        for text in ["https://a/", "ldap://a/", "file:///etc/passwd"] {
            assert!(matches!(Uri::parse(text), Err(FetchError::Scheme(_))), "{text:?}");
        }
    }

    #[test]
    fn answers_lead_on_to_http_alone() {
        let here = Uri::parse("http://a:81/b").unwrap();
        assert_eq!(here.follow("/c").unwrap(), Uri::parse("http://a:81/c").unwrap());
        assert_eq!(here.follow("//b/c").unwrap(), Uri::parse("http://b/c").unwrap());
        assert_eq!(here.follow("http://b/").unwrap(), Uri::parse("http://b/").unwrap());
        assert!(matches!(here.follow("https://b/"), Err(FetchError::Scheme(_))));
        assert!(matches!(here.follow("file:///etc/passwd"), Err(FetchError::Scheme(_))));
        assert!(here.follow("/\r\nx").is_err());
    }
}
