//! Static content.

use super::*;

#[tokio::test]
async fn files_come_with_ranges_conditions_and_the_configured_headers() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("a.wasm2"), "0123456789").unwrap();
    let routes = || vec![route("/files", Service::Static(files(directory.path())))];
    let whole = ask(routes(), "GET", "/files/a.wasm2", "").await;
    assert!(whole.ends_with("\r\n\r\n0123456789"), "{whole}");
    assert_eq!(header(&whole, "content-type"), Some("application/x-two"));
    assert_eq!(header(&whole, "cache-control"), Some("max-age=60, public"));
    let part = ask(routes(), "GET", "/files/a.wasm2", "Range: bytes=2-4\r\n").await;
    assert_eq!(status(&part), 206);
    assert!(part.ends_with("\r\n\r\n234"), "{part}");
    let since = format!(
        "If-Modified-Since: {}\r\n",
        header(&whole, "last-modified").unwrap()
    );
    assert_eq!(status(&ask(routes(), "GET", "/files/a.wasm2", &since).await), 304);
    let same = format!("If-None-Match: {}\r\n", header(&whole, "etag").unwrap());
    assert_eq!(status(&ask(routes(), "GET", "/files/a.wasm2", &same).await), 304);
    let head = ask(routes(), "HEAD", "/files/a.wasm2", "").await;
    assert_eq!(
        (status(&head), header(&head, "content-length")),
        (200, Some("10"))
    );
    assert!(head.ends_with("\r\n\r\n"), "{head}");
}

#[tokio::test]
async fn a_listing_shows_what_is_there_and_leads_nowhere_else() {
    let directory = tempfile::tempdir().unwrap();
    let served = directory.path().join("served");
    std::fs::create_dir_all(served.join("sub dir")).unwrap();
    std::fs::write(directory.path().join("secret"), "secret").unwrap();
    std::fs::write(served.join("<b>.txt"), "").unwrap();
    std::fs::write(served.join(".hidden"), "").unwrap();
    let routes = || vec![route("/files", Service::Static(files(&served)))];
    let moved = ask(routes(), "GET", "/files", "").await;
    assert_eq!(
        (status(&moved), header(&moved, "location")),
        (308, Some("/files/"))
    );
    let list = ask(routes(), "GET", "/files/", "").await;
    assert_eq!(status(&list), 200);
    assert!(
        list.contains("<a href=\"%3Cb%3E%2Etxt\">&lt;b&gt;.txt</a>"),
        "{list}"
    );
    assert!(list.contains("<a href=\"sub%20dir/\">sub dir/</a>"), "{list}");
    assert!(!list.contains("hidden") && !list.contains("<b>"), "{list}");
    let moved = ask(routes(), "GET", "/files/sub%20dir", "").await;
    assert_eq!(header(&moved, "location"), Some("/files/sub%20dir/"), "{moved}");
    assert_eq!(status(&ask(routes(), "GET", "/files/sub%20dir/", "").await), 200);
    for path in [
        "/files/../secret",
        "/files/%2e%2e/secret",
        "/files/..%2fsecret",
        "/files//etc/passwd",
        "/files/../",
    ] {
        let answer = ask(routes(), "GET", path, "").await;
        assert_eq!(status(&answer), 404, "{path}: {answer}");
    }
    let mut closed = files(&served);
    closed.listing = false;
    let closed = vec![route("/files", Service::Static(closed))];
    assert_eq!(status(&ask(closed, "GET", "/files/", "").await), 404);
}

#[tokio::test]
async fn what_is_hidden_is_not_there() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    for (directory, file) in [
        (".git", ".git/config"),
        ("a/.b", "a/.b/c"),
        (".well-known", ".well-known/security.txt"),
        (".well-known", ".well-known/.env"),
        ("..a", "..a/b"),
    ] {
        std::fs::create_dir_all(path(directory)).unwrap();
        std::fs::write(path(file), "secret").unwrap();
    }
    std::fs::write(path(".env"), "secret").unwrap();
    let routes = || vec![route("/files", Service::Static(files(directory.path())))];
    for hidden in [
        ".git",
        ".git/",
        ".git/config",
        "%2egit/config",
        "/.git/config",
        "./.git/config",
        "a/.b/",
        "a/.b/c",
        "a%2f.b%2fc",
        ".well-known/.env",
        "..a/b",
        ".env",
        ".ENV/../.env",
    ] {
        let answer = ask(routes(), "GET", &format!("/files/{hidden}"), "").await;
        assert_eq!(status(&answer), 404, "{hidden}: {answer}");
    }
    let known = ask(routes(), "GET", "/files/.well-known/security.txt", "").await;
    assert_eq!(status(&known), 200);
    assert_eq!(
        status(&ask(routes(), "GET", "/files/.well-known/", "").await),
        200
    );
    // As where there is no file.
    let mut service = files(directory.path());
    service.default_file = Some("app.html".to_owned());
    std::fs::write(path("app.html"), "<app>").unwrap();
    let answer = ask(
        vec![route("/", Service::Static(service))],
        "GET",
        "/.git/config",
        "",
    )
    .await;
    assert!(answer.ends_with("<app>"), "{answer}");
}

#[tokio::test]
async fn types_are_those_of_what_is_sent_and_only_files_at_their_paths_are_kept() {
    let directory = tempfile::tempdir().unwrap();
    for name in ["index.html", "a.wasm2"] {
        std::fs::write(directory.path().join(name), "").unwrap();
    }
    std::fs::create_dir(directory.path().join("empty.wasm2")).unwrap();
    let mut service = files(directory.path());
    service
        .mime_types
        .push(("html".to_owned(), "text/x-html".parse().unwrap()));
    let mut with_default = service.clone();
    with_default.default_file = Some("index.html".to_owned());
    with_default.listing = false;
    let (kept, asked) = (Some("max-age=60, public"), Some("no-cache"));
    for (service, path, mime, cache) in [
        (&service, "/a.wasm%32", "application/x-two", kept),
        (&service, "/", "text/x-html", kept),
        (&service, "/empty.wasm2/", "text/html; charset=utf-8", asked),
        (&with_default, "/missing.wasm2", "text/x-html", asked),
        (&with_default, "/.hidden.wasm2", "text/x-html", asked),
        (&with_default, "/index.html", "text/x-html", kept),
    ] {
        let answer = ask(
            vec![route("/", Service::Static(service.clone()))],
            "GET",
            path,
            "",
        )
        .await;
        let found = ["content-type", "cache-control"].map(|name| header(&answer, name));
        assert_eq!((status(&answer), found), (200, [Some(mime), cache]), "{path}");
    }
}

#[tokio::test]
async fn a_default_file_answers_where_there_is_no_other() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("app.html"), "<app>").unwrap();
    let mut service = files(directory.path());
    service.default_file = Some("app.html".to_owned());
    let answer = ask(
        vec![route("/", Service::Static(service))],
        "GET",
        "/some/view",
        "",
    )
    .await;
    assert_eq!(status(&answer), 200);
    assert!(answer.ends_with("<app>"), "{answer}");
}
