//! The cookie of a session, for browsers. Scripts can't read it, other sites
//! can't send it; and since old browsers may, a change also needs a header that
//! a form can't set.

use crate::error::Failure;
use axum::http::{HeaderMap, HeaderValue, Method, header};
use resplice_api::SESSION_HEADER;

/// Its name over https, where the browser then lets nobody else set it.
const SECURE: &str = "__Host-resplice-session";
/// Its name on a plain connection, as on loopback.
const PLAIN: &str = "resplice-session";

/// The same of a sign-in that goes by way of an identity provider.
const SIGN_IN_SECURE: &str = "__Host-resplice-sign-in";
const SIGN_IN_PLAIN: &str = "resplice-sign-in";

/// Whether the browser came by https: a proxy says so. Whoever lies about it
/// only makes the own cookie useless.
fn is_https(headers: &HeaderMap) -> bool {
    let proto = headers.get("x-forwarded-proto");
    proto.is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"https"))
}

/// The session's secret in a request.
#[must_use]
pub fn from_cookie(headers: &HeaderMap) -> Option<&str> {
    let name = if is_https(headers) { SECURE } else { PLAIN };
    cookie(headers, name)
}

/// What a browser holds that was sent to the identity provider.
#[must_use]
pub fn sign_in_cookie(headers: &HeaderMap) -> Option<&str> {
    let secure = is_https(headers);
    cookie(
        headers,
        if secure {
            SIGN_IN_SECURE
        } else {
            SIGN_IN_PLAIN
        },
    )
}

fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|text| text.split(';'))
        .find_map(|pair| pair.trim().strip_prefix(name)?.strip_prefix('='))
}

/// The cookie that a browser takes to the identity provider and back, or with
/// nothing in it loses: Lax, for it comes back from another site.
///
/// # Errors
/// If the value can't be in a header.
pub fn set_sign_in_cookie(headers: &HeaderMap, value: &str) -> Result<HeaderValue, Failure> {
    let (name, secure) = if is_https(headers) {
        (SIGN_IN_SECURE, "; Secure")
    } else {
        (SIGN_IN_PLAIN, "")
    };
    let age = if value.is_empty() { 0 } else { 600 };
    format!("{name}={value}; Path=/; HttpOnly; SameSite=Lax{secure}; Max-Age={age}")
        .parse()
        .map_err(Failure::internal("set a cookie"))
}

/// The cookie that begins a session, or with nothing in it ends it.
///
/// # Errors
/// If the value can't be in a header.
pub fn set_cookie(headers: &HeaderMap, value: &str) -> Result<HeaderValue, Failure> {
    let (name, secure) = if is_https(headers) {
        (SECURE, "; Secure")
    } else {
        (PLAIN, "")
    };
    let age = if value.is_empty() { "; Max-Age=0" } else { "" };
    format!("{name}={value}; Path=/; HttpOnly; SameSite=Strict{secure}{age}")
        .parse()
        .map_err(Failure::internal("set a cookie"))
}

/// Refuses a change that another site may have made a browser send.
///
/// # Errors
/// 403 without the header, or from another site.
pub fn check_origin(method: &Method, headers: &HeaderMap) -> Result<(), Failure> {
    if method == Method::GET || method == Method::HEAD {
        return Ok(());
    }
    let site = headers.get("sec-fetch-site");
    let foreign = site.is_some_and(|site| site != "same-origin" && site != "none");
    if foreign || !headers.contains_key(SESSION_HEADER) {
        return Err(Failure::forbidden(format!(
            "a change made with a session needs the header `{SESSION_HEADER}: 1` and must come from this site"
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in pairs {
            map.append(*name, value.parse().unwrap());
        }
        map
    }

    #[test]
    fn the_cookie_is_found_by_its_whole_name() {
        let found = |cookie| from_cookie(&headers(&[("cookie", cookie)])).map(str::to_owned);
        assert_eq!(found("a=1; resplice-session=x; b=2").as_deref(), Some("x"));
        assert_eq!(found("my-resplice-session=x"), None);
        assert_eq!(found("resplice-session-2=x"), None);
        assert_eq!(found("__Host-resplice-session=x"), None);
    }

    #[test]
    fn over_https_only_the_guarded_cookie_counts() {
        let https = ("x-forwarded-proto", "https");
        let map = headers(&[https, ("cookie", "resplice-session=planted")]);
        assert_eq!(from_cookie(&map), None);
        let map = headers(&[https, ("cookie", "__Host-resplice-session=x")]);
        assert_eq!(from_cookie(&map), Some("x"));
        let cookie = set_cookie(&headers(&[https]), "x").unwrap();
        assert_eq!(
            cookie,
            "__Host-resplice-session=x; Path=/; HttpOnly; SameSite=Strict; Secure"
        );
    }

    #[test]
    fn a_form_of_another_site_changes_nothing() {
        let check = |method: Method, pairs: &[(&'static str, &str)]| {
            check_origin(&method, &headers(pairs)).is_ok()
        };
        let ours = (SESSION_HEADER, "1");
        assert!(check(Method::GET, &[]));
        assert!(!check(Method::POST, &[]));
        assert!(check(Method::POST, &[ours]));
        assert!(check(
            Method::POST,
            &[ours, ("sec-fetch-site", "same-origin")]
        ));
        assert!(!check(
            Method::DELETE,
            &[ours, ("sec-fetch-site", "same-site")]
        ));
        assert!(!check(
            Method::PUT,
            &[ours, ("sec-fetch-site", "cross-site")]
        ));
    }
}
