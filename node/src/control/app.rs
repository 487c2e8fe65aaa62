//! The web application of one transport, from its routes.

use std::fmt::Display;
use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::extract::{OriginalUri, Request};
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use tower_http::set_header::SetResponseHeaderLayer;
use tracing::{debug, info};

use super::give_back::ForShard;
use super::{Surroundings, files, longpoll, page};
use crate::boot;
use crate::config::{Http, JsonValue, Route, Service};

/// What the log shows in the place of a request's URI, in the extensions of its response.
#[derive(Clone)]
pub(super) struct Shown(pub(super) String);

/// Builds the application of a transport.
pub(super) fn app(http: &Http, surroundings: &Surroundings) -> Router {
    let mut app = Router::new().fallback(async || page::not_found());
    for route in &http.routes {
        let service = service(route, surroundings);
        app = match route.path.as_str() {
            "/" => app.fallback_service(service),
            path => app.nest_service(path, service),
        };
    }
    let nosniff = SetResponseHeaderLayer::if_not_present(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    let access_log = http.access_log;
    app.layer(nosniff)
        .layer(from_fn(move |request, next| log(access_log, request, next)))
}

fn service(route: &Route, surroundings: &Surroundings) -> Router {
    match &route.service {
        Service::Demo => {
            let mount = Arc::<str>::from(route.path.as_str());
            Router::new()
                .fallback(async move |request: Request| match readable(&request) {
                    true => page::demo(&mount, request.uri().path()),
                    false => page::method_not_allowed(),
                })
                .layer(from_fn(with_slash))
        }
        Service::Json(value) => {
            let value = value.clone();
            Router::new().fallback(async move |request: Request| json(&request, &value))
        }
        Service::LongPoll(longpoll) => {
            let path = Arc::<str>::from(route.path.trim_end_matches('/'));
            let router = longpoll::router(
                longpoll,
                boot::access(&longpoll.access),
                boot::decode_limits(&surroundings.limits),
                Arc::clone(&surroundings.connect),
            );
            router.layer(from_fn(move |request, next| {
                show_no_id(Arc::clone(&path), request, next)
            }))
        }
        Service::Nothing => Router::new().fallback(async || page::not_found()),
        Service::Redirect(url) => {
            // The URL has been checked to consist of characters that a header can hold.
            let url = HeaderValue::from_str(url).unwrap_or_else(|_| HeaderValue::from_static("/"));
            Router::new().fallback(async move || (StatusCode::FOUND, [(header::LOCATION, url)]))
        }
        Service::Static(files) => files::router(&route.path, files).layer(from_fn(with_slash)),
        Service::Testee(_) => Router::new().fallback(async |request: Request| upgrade(&request)),
        Service::WebSocket(websocket) => {
            let webstatus = websocket.webstatus;
            Router::new().fallback(async move |request: Request| {
                let asks = request.headers().contains_key(header::UPGRADE);
                if webstatus && !asks && readable(&request) {
                    page::websocket_status()
                } else {
                    upgrade(&request)
                }
            })
        }
    }
}

/// WebSocket is for the shards to speak.
fn upgrade(request: &Request) -> Response {
    let mut response = page::upgrade_required();
    if let Some(request) = ForShard::of(request) {
        response.extensions_mut().insert(request);
    }
    response
}

fn readable(request: &Request) -> bool {
    matches!(*request.method(), Method::GET | Method::HEAD)
}

fn json(request: &Request, value: &JsonValue) -> Response {
    if !readable(request) {
        return page::method_not_allowed();
    }
    let mut response = value.body.clone().into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if value.allow_cross_origin {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    }
    if value.discourage_caching {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    response
}

/// Sends `/files` on to `/files/`, without which relative links of the page would miss.
async fn with_slash(OriginalUri(uri): OriginalUri, request: Request, next: Next) -> Response {
    if request.uri().path() != "/" || uri.path().ends_with('/') {
        return next.run(request).await;
    }
    let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    match HeaderValue::try_from(format!("{}/{query}", uri.path())) {
        Ok(url) => (StatusCode::PERMANENT_REDIRECT, [(header::LOCATION, url)]).into_response(),
        Err(_) => page::not_found(),
    }
}

/// Keeps ids of transports of the service at `path` out of the log.
async fn show_no_id(path: Arc<str>, request: Request, next: Next) -> Response {
    let shown = format!("{path}{}", longpoll::shown_path(request.uri().path()));
    let mut response = next.run(request).await;
    response.extensions_mut().insert(Shown(shown));
    response
}

async fn log(access_log: bool, request: Request, next: Next) -> Response {
    let (method, uri, start) = (request.method().clone(), request.uri().clone(), Instant::now());
    let response = next.run(request).await;
    if response.extensions().get::<ForShard>().is_some() {
        debug!(%method, %uri, "WebSocket is asked for: the connection goes back to its shard");
        return response;
    }
    let (status, elapsed) = (response.status().as_u16(), start.elapsed());
    let shown = response.extensions().get::<Shown>();
    let uri: &dyn Display = shown.map_or(&uri, |Shown(shown)| shown);
    if access_log {
        info!(%method, %uri, status, ?elapsed, "HTTP request");
    } else {
        debug!(%method, %uri, status, ?elapsed, "HTTP request");
    }
    response
}
