//! The web interface: a single-page application, built by web/ and embedded.

use axum::{
    http::{HeaderMap, Method, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use base64::{Engine, prelude::BASE64_STANDARD};
use rust_embed::{EmbeddedFile, RustEmbed};
use sha2::{Digest, Sha256};

#[derive(RustEmbed)]
#[folder = "../web/build"]
#[allow_missing = true]
struct Assets;

/// Pages that the application draws itself, whatever their path.
const FALLBACKS: [&str; 2] = ["200.html", "index.html"];

/// What the build leaves beside a file, best first: content coding and ending.
const CODINGS: [(&str, &str); 2] = [("br", "br"), ("gzip", "gz")];

/// Sends a file of the web interface; any other path is a page of the application.
pub async fn asset(method: Method, uri: Uri, headers: HeaderMap) -> Response {
    if method != Method::GET && method != Method::HEAD {
        return StatusCode::METHOD_NOT_ALLOWED.into_response();
    }
    let path = uri.path().trim_start_matches('/');
    if let Some(file) = Assets::get(path).filter(|_| !path.is_empty()) {
        return send(path, &file, &headers);
    }
    // A missing script must not come back as a page.
    let last = path.rsplit('/').next().unwrap_or_default();
    if last.contains('.') {
        return (StatusCode::NOT_FOUND, "not found\n").into_response();
    }
    for page in FALLBACKS {
        if let Some(file) = Assets::get(page) {
            return send(page, &file, &headers);
        }
    }
    let text = "the web interface is not part of this build; the API is under /api/v1\n";
    (StatusCode::NOT_FOUND, text).into_response()
}

fn send(path: &str, file: &EmbeddedFile, asked: &HeaderMap) -> Response {
    let immutable = path.starts_with("_app/immutable/");
    let cache = if immutable {
        "public, immutable, max-age=31536000"
    } else {
        "no-cache"
    };
    let headers = [
        (header::CONTENT_TYPE, file.metadata.mimetype().to_owned()),
        (header::CACHE_CONTROL, cache.to_owned()),
        (header::CONTENT_SECURITY_POLICY, policy(path, &file.data)),
        (header::VARY, header::ACCEPT_ENCODING.to_string()),
    ];
    for (coding, ending) in CODINGS {
        if takes(asked, coding)
            && let Some(coded) = Assets::get(&format!("{path}.{ending}"))
        {
            let coding = [(header::CONTENT_ENCODING, coding)];
            return (headers, coding, coded.data.to_vec()).into_response();
        }
    }
    (headers, file.data.to_vec()).into_response()
}

/// Whether `Accept-Encoding` names a content coding, and does not rule it out.
fn takes(asked: &HeaderMap, coding: &str) -> bool {
    let values = asked.get_all(header::ACCEPT_ENCODING).into_iter();
    values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|entry| {
            let (name, weight) = entry.split_once(';').unwrap_or((entry, "q=1"));
            let weight = weight.trim().strip_prefix("q=").map(str::parse::<f32>);
            name.trim().eq_ignore_ascii_case(coding) && matches!(weight, Some(Ok(q)) if q > 0.0)
        })
}

/// Only what the server itself sends may run. A page that the build gave a policy
/// keeps it; otherwise the scripts in the page are allowed by their digests.
fn policy(path: &str, data: &[u8]) -> String {
    let page = String::from_utf8_lossy(data);
    if path.ends_with(".html")
        && let Some(own) = own_policy(&page)
    {
        // A page can't say this one itself.
        return format!("{own}; frame-ancestors 'none'");
    }
    let mut scripts = String::from("'self'");
    if path.ends_with(".html") {
        for script in inline_scripts(&page) {
            let digest = BASE64_STANDARD.encode(Sha256::digest(script));
            scripts.push_str(&format!(" 'sha256-{digest}'"));
        }
    }
    format!(
        "default-src 'none'; script-src {scripts}; style-src 'self'; img-src 'self' data:; \
         font-src 'self'; connect-src 'self'; manifest-src 'self'; base-uri 'none'; \
         form-action 'none'; frame-ancestors 'none'"
    )
}

/// The policy in a page's own `<meta>`, if it is there and lets no foreign code in.
fn own_policy(page: &str) -> Option<&str> {
    let (_, rest) = page.split_once("<meta http-equiv=\"content-security-policy\" content=\"")?;
    let (policy, _) = rest.split_once('"')?;
    let strict = policy.starts_with("default-src 'none'")
        && !policy.contains("unsafe-inline")
        && !policy.contains("unsafe-eval")
        && !policy.contains(['\r', '\n']);
    strict.then_some(policy)
}

/// The contents of `<script>` elements without attributes.
fn inline_scripts(page: &str) -> Vec<&str> {
    page.split("<script>")
        .skip(1)
        .filter_map(|rest| rest.split_once("</script>").map(|(script, _)| script))
        .collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_coding_is_used_only_if_it_was_asked_for() {
        let asked = |value: &'static str| {
            HeaderMap::from_iter([(header::ACCEPT_ENCODING, value.parse().unwrap())])
        };
        assert!(takes(&asked("gzip, deflate, br;q=0.5"), "br"));
        assert!(takes(&asked("GZIP"), "gzip"));
        for refused in ["", "gzip", "br;q=0", "br;q=0.000", "br;level=1", "brr"] {
            assert!(!takes(&asked(refused), "br"), "{refused}");
        }
        assert!(!takes(&HeaderMap::new(), "gzip"));
    }

    #[test]
    fn a_page_may_run_its_own_script_and_no_other() {
        let page = "<html><script>start()</script><script src=\"x\"></script></html>";
        assert_eq!(inline_scripts(page), ["start()"]);
        let digest = BASE64_STANDARD.encode(Sha256::digest("start()"));
        let policy = policy("index.html", page.as_bytes());
        assert!(policy.contains(&format!("script-src 'self' 'sha256-{digest}';")));
        assert!(!policy.contains("unsafe"));
    }

    #[test]
    fn a_page_keeps_a_strict_policy_of_its_own() {
        let page = |policy: &str| {
            format!("<meta http-equiv=\"content-security-policy\" content=\"{policy}\">")
        };
        let own = page("default-src 'none'; script-src 'self'");
        let expected = "default-src 'none'; script-src 'self'; frame-ancestors 'none'";
        assert_eq!(policy("200.html", own.as_bytes()), expected);
        let lax = page("default-src 'none'; script-src 'unsafe-inline'");
        assert!(!policy("200.html", lax.as_bytes()).contains("unsafe-inline"));
    }
}
