//! Static directories.
//!
//! `tower-http` finds and sends the files (GET and HEAD, ranges, conditional requests, ETags); this adds what
//! Crossbar.io has besides: listings, content types by configuration, cache times and a default file.
//!
//! Invariant: what is hidden is not there, neither in a listing nor by its name. It is hardly ever meant to be served
//! (`.git`, `.env`), and easily forgotten in a directory.

use std::fs::{DirEntry, read_dir};
use std::io;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use axum::Router;
use axum::extract::{OriginalUri, Request};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn};
use axum::response::{Html, IntoResponse, Response};
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use tower::ServiceExt;
use tower_http::services::{ServeDir, ServeFile};

use super::page;
use crate::config::StaticFiles;

/// Most entries of a listing.
const LONGEST_LISTING: usize = 10_000;

/// The only name with a dot in front that is not hidden: it is there to be found (RFC 8615).
const WELL_KNOWN: &str = ".well-known";

/// What is added to every file that is sent.
struct Extras {
    mime_types: Vec<(String, HeaderValue)>,
    cache: Option<HeaderValue>,
}

/// In the extensions of a response: there is no file at the request's path, and this was sent in its place, which another
/// request may find otherwise.
#[derive(Clone)]
struct InPlace {
    /// That of the file, if it is one.
    extension: Option<String>,
}

/// The files of a directory that is served at `path`.
pub(super) fn router(path: &str, files: &StaticFiles) -> Router {
    let extras = Arc::new(extras(files));
    let fallback = Fallback {
        directory: files.directory.clone(),
        listing: files.listing,
        default_file: files.default_file.as_ref().map(|name| {
            (
                ServeFile::new(files.directory.join(name)),
                extension_of(name.as_ref()),
            )
        }),
    };
    let hidden = fallback.clone();
    let missing = Router::new().fallback(async move |request: Request| fallback.answer(request).await);
    let found = ServeDir::new(&files.directory)
        .redirect_path_prefix(path.trim_end_matches('/'))
        .fallback(missing);
    Router::new()
        .fallback_service(found)
        .layer(from_fn(move |request, next| {
            leave_hidden(hidden.clone(), request, next)
        }))
        .layer(from_fn(move |request, next| {
            add_extras(Arc::clone(&extras), request, next)
        }))
}

fn extras(files: &StaticFiles) -> Extras {
    let mime_types = files.mime_types.iter();
    let mime_types = mime_types.filter_map(|(extension, mime)| Some((extension.clone(), mime.parse().ok()?)));
    let cache = files
        .cache_timeout
        .map(|time| format!("max-age={}, public", time.as_secs()));
    Extras {
        mime_types: mime_types.collect(),
        cache: cache.and_then(|value| value.try_into().ok()),
    }
}

async fn add_extras(extras: Arc<Extras>, request: Request, next: Next) -> Response {
    let extension = extension_at(request.uri().path());
    let mut response = next.run(request).await;
    let in_place = response.extensions_mut().remove::<InPlace>();
    if matches!(
        response.status(),
        StatusCode::OK | StatusCode::PARTIAL_CONTENT | StatusCode::NOT_MODIFIED
    ) {
        let headers: &mut HeaderMap = response.headers_mut();
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
        if let Some(cache) = &extras.cache {
            let cache = match in_place {
                Some(_) => HeaderValue::from_static("no-cache"),
                None => cache.clone(),
            };
            headers.insert(header::CACHE_CONTROL, cache);
        }
        let extension = in_place.map_or(extension, |in_place| in_place.extension);
        let mut mime_types = extras.mime_types.iter();
        if let Some((_, mime)) = mime_types.find(|(known, _)| Some(known) == extension.as_ref()) {
            headers.insert(header::CONTENT_TYPE, mime.clone());
        }
    }
    response
}

/// The extension of the file at a request's path, in lower case.
fn extension_at(path: &str) -> Option<String> {
    if path.ends_with('/') {
        // What is sent of a directory is its `index.html`.
        return Some("html".to_owned());
    }
    extension_of(Path::new(&*percent_decode_str(path).decode_utf8_lossy()))
}

fn extension_of(file: &Path) -> Option<String> {
    Some(file.extension()?.to_str()?.to_lowercase())
}

/// Answers requests for what is hidden as those for what does not exist.
async fn leave_hidden(fallback: Fallback, request: Request, next: Next) -> Response {
    if is_hidden(request.uri().path()) {
        fallback.answer(request).await
    } else {
        next.run(request).await
    }
}

/// What answers where there is no file.
#[derive(Clone)]
struct Fallback {
    directory: PathBuf,
    listing: bool,
    /// And its extension.
    default_file: Option<(ServeFile, Option<String>)>,
}

impl Fallback {
    async fn answer(self, request: Request) -> Response {
        if self.listing
            && let Some(directory) = below(&self.directory, request.uri().path())
            && directory.is_dir()
        {
            let shown = request
                .extensions()
                .get::<OriginalUri>()
                .map_or_else(|| request.uri().path(), |uri| uri.path());
            let title = percent_decode_str(shown).decode_utf8_lossy().into_owned();
            let listing = tokio::task::spawn_blocking(move || listing(&directory, &title)).await;
            return match listing {
                Ok(Ok(page)) => in_place(Html(page), None),
                _ => page::not_found(),
            };
        }
        match self.default_file {
            Some((file, extension)) => match file.oneshot(request).await {
                Ok(response) => in_place(response, extension),
                Err(never) => match never {},
            },
            None => page::not_found(),
        }
    }
}

fn in_place(response: impl IntoResponse, extension: Option<String>) -> Response {
    let mut response = response.into_response();
    response.extensions_mut().insert(InPlace { extension });
    response
}

/// The place of a request's path below `directory`, unless it tries to leave it or names hidden files.
fn below(directory: &Path, path: &str) -> Option<PathBuf> {
    let decoded = percent_decode_str(path.trim_start_matches('/'))
        .decode_utf8()
        .ok()?;
    let relative = Path::new(&*decoded);
    let stays = relative
        .components()
        .all(|component| matches!(component, Component::Normal(_)));
    (stays && !is_hidden(path) && !decoded.contains('\0')).then(|| directory.join(relative))
}

/// Whether a request's path names something hidden, or below it.
fn is_hidden(path: &str) -> bool {
    let decoded = percent_decode_str(path).decode_utf8_lossy();
    Path::new(&*decoded)
        .components()
        .any(|component| match component {
            Component::Normal(name) => name.as_encoded_bytes().starts_with(b".") && name != WELL_KNOWN,
            _ => false,
        })
}

fn listing(directory: &Path, title: &str) -> io::Result<String> {
    let mut names: Vec<String> = read_dir(directory)?
        .take(LONGEST_LISTING)
        .filter_map(|entry| shown_name(&entry.ok()?))
        .collect();
    names.sort();
    let mut items = if title == "/" {
        String::new()
    } else {
        "<li><a href=\"../\">../</a></li>".to_owned()
    };
    for name in names {
        let (stem, slash) = name
            .strip_suffix('/')
            .map_or((name.as_str(), ""), |stem| (stem, "/"));
        let link = utf8_percent_encode(stem, NON_ALPHANUMERIC);
        items += &format!("<li><a href=\"{link}{slash}\">{}</a></li>", page::escape(&name));
    }
    Ok(page::page(
        &format!("Files in {title}"),
        &format!("<ul>{items}</ul>"),
    ))
}

/// The name of an entry, with a slash if it is a directory; hidden files are not shown.
fn shown_name(entry: &DirEntry) -> Option<String> {
    let name = entry
        .file_name()
        .into_string()
        .ok()
        .filter(|name| !name.starts_with('.'))?;
    Some(if entry.path().is_dir() { name + "/" } else { name })
}
