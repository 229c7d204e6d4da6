//! Feeds and advisories for vendors: Atom, OSV, CSAF.

use super::Access;
use crate::{App, db::advisories, error::Failure, store::sha256_hex};
use axum::{
    Router,
    extract::{Path, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    middleware,
    response::{IntoResponse, Response},
    routing::get,
};
use jiff::{Timestamp, fmt::rfc2822};
use resplice_api::{Channel, Role, UpdateId};
use resplice_feeds::{Update, atom, csaf, osv};
use sha2::{Digest, Sha512};

/// Who may read them, unless anyone may.
const READERS: &[Role] = &[Role::Vendor, Role::Team, Role::Engineer, Role::Admin];
const JSON: &str = "application/json";
const TEXT: &str = "text/plain; charset=utf-8";

/// The paths. They lie where those who read these formats look for them, not
/// behind the API's path.
pub(super) fn router(app: &App) -> Router<App> {
    let access = if app.config.feeds.public {
        Access::Anyone
    } else {
        Access::Roles(READERS)
    };
    let rule = super::guard::Rule {
        once: None,
        body_bytes: 0,
        access,
        audit: super::Audit::Reads,
    };
    let guard = middleware::from_fn_with_state((app.clone(), rule), super::guard::guard);
    Router::new()
        .route("/feeds/{file}", get(atom_feed))
        .route("/feeds/osv/{file}", get(osv_file))
        .route("/csaf/{*path}", get(csaf_file))
        .route(
            "/.well-known/csaf/provider-metadata.json",
            get(provider_metadata),
        )
        .route_layer(guard)
}

/// A file that is made when it is asked for.
struct File {
    media: &'static str,
    changed: Timestamp,
    bytes: Vec<u8>,
}

async fn atom_feed(
    State(app): State<App>,
    Path(file): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let channel = file
        .strip_suffix(".atom")
        .and_then(|word| word.parse::<Channel>().ok());
    let channel = channel.ok_or_else(|| missing(&file))?;
    let updates = advisories::released(&app.db, None).await?;
    let changed = atom::changed(channel, &updates);
    let found = File {
        media: atom::MEDIA_TYPE,
        changed: changed.unwrap_or(Timestamp::UNIX_EPOCH),
        bytes: atom::feed(&app.publisher(), channel, &updates),
    };
    Ok(answer(&app, &headers, found))
}

async fn osv_file(
    State(app): State<App>,
    Path(file): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    if file == "modified_id.csv" {
        let updates = advisories::released(&app.db, None).await?;
        let found = File {
            media: "text/csv; charset=utf-8",
            changed: last(&updates),
            bytes: osv::index(&updates),
        };
        return Ok(answer(&app, &headers, found));
    }
    let id = file.strip_suffix(".json").and_then(advisory);
    let update = find(&app, id, &file).await?;
    let found = File {
        media: JSON,
        changed: update.changed(),
        bytes: osv::record(&app.publisher(), &update),
    };
    Ok(answer(&app, &headers, found))
}

async fn csaf_file(
    State(app): State<App>,
    Path(path): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let publisher = app.publisher();
    if path == publisher.rolie_file() {
        let updates = advisories::released(&app.db, None).await?;
        let found = File {
            media: JSON,
            changed: last(&updates),
            bytes: csaf::rolie(&publisher, &updates),
        };
        return Ok(answer(&app, &headers, found));
    }
    if path == format!("openpgp/{}.asc", app.feed_key.fingerprint()) {
        let found = File {
            media: "application/pgp-keys",
            changed: app.feed_key.created(),
            bytes: app.feed_key.public(&publisher.name).into(),
        };
        return Ok(answer(&app, &headers, found));
    }
    let (document, kind) = match path.split_once(".json") {
        Some((document, kind)) => (document, kind),
        None => return Err(missing(&path)),
    };
    let id = document
        .split_once('/')
        .and_then(|(_, name)| advisory(name));
    let update = find(&app, id, &path).await?;
    let own = csaf::path(&update);
    if own.strip_suffix(".json") != Some(document) {
        return Err(missing(&path));
    }
    let name = own.rsplit('/').next().unwrap_or_default();
    let bytes = csaf::document(&publisher, &update);
    // As sha256sum writes them.
    let sum = |digest: String| format!("{digest}  {name}\n").into_bytes();
    let changed = update.changed();
    let (media, bytes) = match kind {
        "" => (JSON, bytes),
        ".sha256" => (TEXT, sum(sha256_hex(&bytes))),
        ".sha512" => (TEXT, sum(hex::encode(Sha512::digest(&bytes)))),
        ".asc" => {
            let signature = app.feed_key.sign(&bytes, changed);
            ("application/pgp-signature", signature.into_bytes())
        }
        _ => return Err(missing(&path)),
    };
    let found = File {
        media,
        changed,
        bytes,
    };
    Ok(answer(&app, &headers, found))
}

async fn provider_metadata(
    State(app): State<App>,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let updates = advisories::released(&app.db, None).await?;
    let fingerprint = app.feed_key.fingerprint();
    let found = File {
        media: JSON,
        changed: last(&updates),
        bytes: csaf::provider_metadata(&app.publisher(), &fingerprint, &updates),
    };
    Ok(answer(&app, &headers, found))
}

fn missing(file: &str) -> Failure {
    Failure::not_found("file", file)
}

/// The update that an advisory's id names, in whatever case.
fn advisory(name: &str) -> Option<UpdateId> {
    let (prefix, id) = name.split_once('-')?;
    let id = Some(id).filter(|_| prefix.eq_ignore_ascii_case(osv::PREFIX))?;
    // One file, one name.
    id.parse::<UpdateId>()
        .ok()
        .filter(|found| found.to_string() == id)
}

async fn find(app: &App, id: Option<UpdateId>, file: &str) -> Result<Update, Failure> {
    let id = id.ok_or_else(|| missing(file))?;
    let found = advisories::released(&app.db, Some(id)).await?;
    found.into_iter().next().ok_or_else(|| missing(file))
}

fn last(updates: &[Update]) -> Timestamp {
    let last = updates.iter().map(Update::changed).max();
    last.unwrap_or(Timestamp::UNIX_EPOCH)
}

fn answer(app: &App, headers: &HeaderMap, file: File) -> Response {
    let etag = format!("\"{}\"", sha256_hex(&file.bytes));
    let cache = if app.config.feeds.public {
        "public, no-cache"
    } else {
        "private, no-cache"
    };
    let mut common = HeaderMap::new();
    let printer = rfc2822::DateTimePrinter::new();
    let changed = printer.timestamp_to_rfc9110_string(&file.changed);
    for (name, value) in [
        (header::CACHE_CONTROL, cache),
        (header::ETAG, etag.as_str()),
        (
            header::LAST_MODIFIED,
            changed.as_deref().unwrap_or_default(),
        ),
    ] {
        if let Ok(value) = HeaderValue::from_str(value) {
            common.insert(name, value);
        }
    }
    if is_known(headers, &etag, file.changed) {
        return (StatusCode::NOT_MODIFIED, common).into_response();
    }
    let media = [(header::CONTENT_TYPE, file.media)];
    (common, media, file.bytes).into_response()
}

/// Whether the caller has it already (RFC 9110, sections 13.1.2 and 13.1.3).
fn is_known(headers: &HeaderMap, etag: &str, changed: Timestamp) -> bool {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    if let Some(known) = text(header::IF_NONE_MATCH) {
        let same = |tag: &str| {
            let tag = tag.trim();
            tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == etag
        };
        return known.split(',').any(same);
    }
    let since = text(header::IF_MODIFIED_SINCE);
    let since = since.and_then(|date| rfc2822::DateTimeParser::new().parse_timestamp(date).ok());
    since.is_some_and(|since| changed.as_second() <= since.as_second())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_caller_knows_it_by_its_tag_or_else_by_its_date() {
        let changed = Timestamp::from_second(784_111_777).unwrap();
        let known = |name: header::HeaderName, value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(name, value.parse().unwrap());
            is_known(&headers, "\"a\"", changed)
        };
        for tags in ["\"a\"", "W/\"a\"", "\"b\", \"a\"", "*"] {
            assert!(known(header::IF_NONE_MATCH, tags), "{tags}");
        }
        assert!(!known(header::IF_NONE_MATCH, "\"b\""));
        let date = |date| known(header::IF_MODIFIED_SINCE, date);
        assert!(date("Sun, 06 Nov 1994 08:49:37 GMT"));
        assert!(!date("Sun, 06 Nov 1994 08:49:36 GMT"));
        assert!(!date("yesterday"));
    }

    #[test]
    fn an_advisory_has_one_name() {
        let id = UpdateId::new();
        assert_eq!(advisory(&format!("RESPLICE-{id}")), Some(id));
        assert_eq!(advisory(&format!("resplice-{id}")), Some(id));
        for bad in [
            format!("resplice-{{{id}}}"),
            id.to_string(),
            format!("resplice-{}", id.to_string().to_uppercase()),
            String::new(),
        ] {
            assert_eq!(advisory(&bad), None, "{bad}");
        }
    }
}
