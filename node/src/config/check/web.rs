//! `web` transports: what is served on which path.

use std::time::Duration;

use super::section::{Field, Section};
use super::{Scope, longpoll, websocket};
use crate::config::model::{Http, JsonValue, Route, Service, StaticFiles};

/// How long a connection may stay without a request where `client_timeout` is not set.
const DEFAULT_IDLE_TIMEOUT: Duration = Duration::from_secs(60);

/// How long clients may keep a static file where `cache_timeout` is not set: 12 hours, as in Crossbar.io.
const DEFAULT_CACHE_TIMEOUT: Duration = Duration::from_secs(43_200);

/// Services of Crossbar.io that are not built yet.
const LATER: [&str; 14] = [
    "archive",
    "caller",
    "catalog",
    "cgi",
    "nodeinfo",
    "pairme",
    "publisher",
    "resource",
    "reverseproxy",
    "upload",
    "wap",
    "webhook",
    "websocket-reverseproxy",
    "wsgi",
];

/// HTTP with these routes and default options.
pub(super) fn with_routes(routes: Vec<Route>) -> Http {
    Http {
        routes,
        access_log: false,
        idle_timeout: DEFAULT_IDLE_TIMEOUT,
    }
}

/// Reads a web transport, whose `type` and endpoint have been taken.
pub(super) fn web(mut section: Section<'_>, scope: &Scope<'_>) -> Http {
    let mut routes = Vec::new();
    let paths = section.need("paths", "an object with paths and their services");
    if let Some(paths) = paths.and_then(|field| field.section("paths and their services")) {
        services(&paths, "", scope, &mut routes);
    }
    let mut http = with_routes(routes);
    if let Some(mut options) = section
        .get("options")
        .and_then(|field| field.section("options of a web transport"))
    {
        http.access_log = options.or("access_log", false, Field::boolean);
        http.idle_timeout = options.or("client_timeout", DEFAULT_IDLE_TIMEOUT, |field| {
            if field.is_null() {
                return None;
            }
            field
                .integer("null or seconds", 1..=86_400)
                .map(Duration::from_secs)
        });
        options.not_yet(&["hsts", "hsts_max_age", "display_tracebacks"]);
        options.finish();
    }
    section.finish();
    http
}

/// Reads an object of paths; `parent` is the path that they lie below, "" for the root.
fn services(paths: &Section<'_>, parent: &str, scope: &Scope<'_>, routes: &mut Vec<Route>) {
    for (key, field) in paths.entries() {
        if let Some(path) = path_below(paths, parent, key) {
            service(&field, path, scope, routes);
        }
    }
}

/// The whole path of a key of `paths`, after a complaint `None`.
pub(super) fn path_below(paths: &Section<'_>, parent: &str, key: &str) -> Option<String> {
    let component = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    match key {
        "/" if parent.is_empty() => Some("/".to_owned()),
        "/" => Some(parent.to_owned()),
        key if !key.is_empty() && key.chars().all(component) => Some(format!("{parent}/{key}")),
        key => {
            paths.wrong_key(
                key,
                format!(
                    "found the path {key:?}; expected \"/\" or one component of letters, digits, \"_\" and \"-\" \
                     without slashes (nest with a service of type \"path\")"
                ),
            );
            None
        }
    }
}

#[derive(Clone, Copy)]
enum Kind {
    Demo,
    Json,
    LongPoll,
    Nothing,
    Path,
    Redirect,
    Static,
    WebSocket,
}

fn service(field: &Field<'_>, path: String, scope: &Scope<'_>, routes: &mut Vec<Route>) {
    let kinds = [
        ("websocket", Kind::WebSocket),
        ("longpoll", Kind::LongPoll),
        ("static", Kind::Static),
        ("json", Kind::Json),
        ("redirect", Kind::Redirect),
        ("path", Kind::Path),
        ("none", Kind::Nothing),
        ("demo", Kind::Demo),
    ];
    let Some(mut section) = field.section("a web service") else {
        return;
    };
    let Some(kind) = section.need(
        "type",
        "the type of the service, such as \"websocket\" or \"static\"",
    ) else {
        return;
    };
    let Some(kind) = kind.choice(&kinds, &LATER) else {
        return;
    };
    section.or("id", (), |field| super::identifier(field).map(drop));
    let service = match kind {
        Kind::WebSocket => Service::WebSocket(websocket::websocket(section, scope)),
        Kind::LongPoll => Service::LongPoll(longpoll::longpoll(section, scope)),
        Kind::Static => {
            let Some(files) = static_files(section, scope) else {
                return;
            };
            Service::Static(files)
        }
        Kind::Json => {
            let Some(value) = json_value(section) else { return };
            Service::Json(value)
        }
        Kind::Redirect => {
            let Some(url) = redirect(section) else { return };
            Service::Redirect(url)
        }
        Kind::Nothing | Kind::Demo => {
            section.finish();
            if matches!(kind, Kind::Demo) {
                Service::Demo
            } else {
                Service::Nothing
            }
        }
        Kind::Path => return nested(section, path, scope, routes),
    };
    if routes.iter().any(|route| route.path == path) {
        field.error(format!(
            "found a second service for {path:?}; expected one for each path"
        ));
        return;
    }
    routes.push(Route { path, service });
}

/// A service of type `path`: what it does not name is nothing, not what stands on the path above.
fn nested(mut section: Section<'_>, path: String, scope: &Scope<'_>, routes: &mut Vec<Route>) {
    let parent = if path == "/" { "" } else { path.as_str() };
    let paths = section.need("paths", "an object with paths and their services");
    if let Some(paths) = paths.and_then(|field| field.section("paths and their services")) {
        services(&paths, parent, scope, routes);
    }
    section.finish();
    if routes.iter().all(|route| route.path != path) {
        routes.push(Route {
            path,
            service: Service::Nothing,
        });
    }
}

fn static_files(mut section: Section<'_>, scope: &Scope<'_>) -> Option<StaticFiles> {
    for key in ["package", "resource"] {
        if let Some(field) = section.get(key) {
            field.error(format!(
                "{key:?} is not supported: there are no Python packages; set \"directory\""
            ));
        }
    }
    let directory = section
        .need("directory", "the directory to serve")
        .and_then(|field| {
            let path = scope
                .surroundings
                .directory
                .join(field.text("the directory to serve, as text")?);
            if !path.is_dir() {
                field.error(format!(
                    "there is no directory {}; expected one to serve",
                    path.display()
                ));
            }
            Some(path)
        });
    let mut files = StaticFiles {
        directory: directory.unwrap_or_default(),
        listing: false,
        mime_types: Vec::new(),
        cache_timeout: Some(DEFAULT_CACHE_TIMEOUT),
        default_file: None,
    };
    if let Some(mut options) = section
        .get("options")
        .and_then(|field| field.section("options of a static service"))
    {
        files.listing = options.or("enable_directory_listing", false, Field::boolean);
        files.mime_types = options.or("mime_types", Vec::new(), mime_types);
        files.cache_timeout = options.or("cache_timeout", files.cache_timeout, |field| {
            if field.is_null() {
                return Some(None);
            }
            field
                .integer("null or seconds", 0..=31_536_000)
                .map(|seconds| Some(Duration::from_secs(seconds)))
        });
        files.default_file = options.get("default_file").and_then(|field| {
            let name = field.text("the name of a file in the directory")?;
            if !files.directory.join(name).is_file() {
                field.wrong("the name of a file in the directory");
            }
            Some(name.to_owned())
        });
        options.finish();
    }
    section.finish();
    Some(files)
}

/// Content types by extension. Crossbar.io writes extensions with their dot; both ways are understood.
fn mime_types(field: &Field<'_>) -> Option<Vec<(String, String)>> {
    let section = field.section("content types by file name extension")?;
    let mut types = Vec::new();
    for (extension, field) in section.entries() {
        let Some(mime) = field.text("a content type, such as \"text/plain\"") else {
            continue;
        };
        let header_safe = |c: char| c.is_ascii_graphic() || c == ' ';
        if !mime.contains('/') || !mime.chars().all(header_safe) {
            field.wrong("a content type, such as \"text/plain\"");
        }
        types.push((extension.trim_start_matches('.').to_lowercase(), mime.to_owned()));
    }
    Some(types)
}

fn json_value(mut section: Section<'_>) -> Option<JsonValue> {
    let value = section
        .need("value", "the value to serve")
        .map(|field| field.node.to_json());
    let (mut pretty, mut allow_cross_origin, mut discourage_caching) = (false, true, false);
    if let Some(mut options) = section
        .get("options")
        .and_then(|field| field.section("options of a JSON service"))
    {
        pretty = options.or("prettify", false, Field::boolean);
        allow_cross_origin = options.or("allow_cross_origin", true, Field::boolean);
        discourage_caching = options.or("discourage_caching", false, Field::boolean);
        options.finish();
    }
    section.finish();
    let value = value?;
    let body = if pretty {
        format!("{value:#}\n")
    } else {
        value.to_string()
    };
    Some(JsonValue {
        body,
        allow_cross_origin,
        discourage_caching,
    })
}

fn redirect(mut section: Section<'_>) -> Option<String> {
    let url = section.need("url", "the URL to redirect to").and_then(|field| {
        let url = field.text("a URL or a path, as text")?;
        if url.is_empty() || !url.chars().all(|c| c.is_ascii_graphic()) {
            field.wrong("a URL or a path of printable ASCII characters");
        }
        Some(url.to_owned())
    });
    section.finish();
    url
}
