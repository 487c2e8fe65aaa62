//! The rules of the format, as tables: a good configuration, one thing changed in it, the complaint that follows.

mod documentation;

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use super::check::Surroundings;
use super::*;

/// All parameters of compression.
fn deflate() -> Value {
    json!({"deflate": {
        "request_no_context_takeover": false, "request_max_window_bits": 10,
        "no_context_takeover": true, "max_window_bits": 12, "memory_level": 4
    }})
}

/// A configuration that uses every supported key at least once.
fn good() -> Value {
    json!({
        "$schema": "https://example.com/crossbar.json",
        "version": 2,
        "controller": {"id": "node1", "options": {"title": "my node"}},
        "workers": [{
            "type": "router",
            "id": "router1",
            "options": {"title": "router", "cpu_affinity": [0, 1], "shards": 2, "spin_us": 70},
            "limits": {
                "nesting_depth": 32, "uri_length": 255, "subscriptions_per_session": 10,
                "wildcard_subscriptions_per_session": 7, "wildcard_registrations_per_session": 0,
                "registrations_per_session": 11, "registration_bytes_per_session": 1025, "pending_calls_per_session": 12, "call_bytes_per_session": 2048,
                "testaments_per_session": 13, "testament_bytes_per_session": 14, "outbox_bytes": 65536,
                "slow_consumer": "drop", "handshake_timeout": 5000
            },
            "components": [],
            "realms": [{
                "id": "realm001",
                "name": "realm1",
                "options": {"bridge_meta_api": false, "enable_meta_api": false, "uri_check": "strict", "strict_request_ids": true,
                    "allow_disclose": false, "call_timeout": 2500,
                    "event_retention": {"events": 9, "bytes": 65536, "per_topic": 2, "per_subscribe": 3, "expiry": 4000}},
                "store": {"type": "cfxdb", "path": "${RUN}/x/db", "maxsize": 200_000, "readonly": false, "sync": false,
                    "max-buffer": 7, "buffer-flush": 90, "limit": 5, "event-history": [
                    {"uri": "com.example.", "match": "prefix", "limit": 6, "bytes": 65536, "max_age": 60},
                    {"uri": "com.example"}
                ], "call-queue": [{"uri": "com.slow.", "match": "prefix", "limit": 5}, {"uri": "com.sum"}]},
                "roles": [{
                    "name": "anonymous",
                    "permissions": [{
                        "uri": "com.example.*",
                        "allow": {"call": true, "publish": true},
                        "disclose": {"caller": true},
                        "trustlevel": 3,
                        "cache": true
                    }]
                }]
            }],
            "transports": [
                {
                    "type": "universal",
                    "id": "all",
                    "endpoint": {"type": "tcp", "port": 9000, "interface": "::1", "version": 6, "backlog": 7, "shared": true},
                    "max_connections": 99,
                    "rawsocket": {"serializers": ["cbor"], "options": {"max_message_size": 1000, "ubjson_dialect": "bjdata"}},
                    "websocket": {"ws": {"type": "websocket", "auth": {
                        "anonymous": {"type": "static", "role": "anonymous", "realm": "realm1", "authid": "bob"}
                    }}},
                    "web": {
                        "options": {"access_log": true, "client_timeout": 5},
                        "paths": {
                            "/": {"type": "static", "directory": "src", "options": {
                                "enable_directory_listing": true, "mime_types": {".RS": "text/x-rust"},
                                "cache_timeout": null, "default_file": "lib.rs"
                            }},
                            "info": {"type": "json", "value": {"a": [1]}, "options": {"discourage_caching": true}},
                            "old": {"type": "redirect", "url": "/new"},
                            "poll": good_longpoll(),
                            "deep": {"type": "path", "paths": {"er": {"type": "demo"}}}
                        }
                    }
                },
                {
                    "type": "websocket",
                    "endpoint": {"type": "unix", "path": "ws.sock"},
                    "url": "ws://localhost/",
                    "serializers": ["json", "ubjson"],
                    "options": {
                        "allowed_origins": ["https://example.com"], "allow_null_origin": false,
                        "max_frame_size": 4096, "max_message_size": 2048, "open_handshake_timeout": 2000,
                        "close_handshake_timeout": 3000, "auto_ping_interval": 10000, "auto_ping_timeout": 5000,
                        "auto_ping_size": 16, "auto_ping_restart_on_any_traffic": false, "tcp_nodelay": false,
                        "enable_webstatus": false, "validate_utf8": true, "fail_by_drop": false,
                        "auto_fragment_size": 0, "batched": true, "ubjson_dialect": "ubjson12",
                        "compression": deflate()
                    }
                }
            ]
        }]
    })
}

fn good_longpoll() -> Value {
    json!({
        "type": "longpoll", "serializers": ["json"], "auth": {"anonymous": {"type": "static"}},
        "options": {
            "allowed_origins": ["http://*.example.com:80"], "allow_null_origin": false,
            "request_timeout": 4, "session_timeout": 15, "queue_limit_bytes": 70000,
            "queue_limit_messages": 71, "max_message_size": 9000, "max_transports": 8,
            "debug": false, "debug_transport_id": null, "ubjson_dialect": "bjdata"
        }
    })
}

fn check_text(text: &str, yaml: bool) -> Result<(Config, Report), Report> {
    let variable = |name: &str| match name {
        "PORT" => Some("9009".to_owned()),
        "BAD_PORT" => Some("http".to_owned()),
        "RUN" => Some("/tmp".to_owned()),
        _ => None,
    };
    let directory = Path::new(env!("CARGO_MANIFEST_DIR"));
    parse(
        "c.json",
        text,
        yaml,
        &Surroundings {
            directory,
            variable: &variable,
            usable_cpus: &|cpus| cpus.iter().copied().filter(|cpu| *cpu < 8).collect(),
        },
    )
}

/// The complaints after the value at `pointer` has been replaced (or, for `None`, removed).
fn complaints(pointer: &str, value: Option<Value>) -> Vec<String> {
    let mut document = good();
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    let key = &key.replace("~1", "/");
    let parent = document
        .pointer_mut(parent)
        .unwrap_or_else(|| panic!("no {parent}"));
    match (parent, value) {
        (Value::Object(map), Some(value)) => drop(map.insert(key.clone(), value)),
        (Value::Object(map), None) => drop(map.remove(key).unwrap()),
        (Value::Array(list), Some(value)) => match key.parse::<usize>() {
            Ok(index) => list[index] = value,
            Err(_) => list.push(value),
        },
        other => panic!("{other:?}"),
    }
    match check_text(&format!("{document:#}"), false) {
        Ok((_, report)) => report.lines().collect(),
        Err(report) => report.lines().collect(),
    }
}

#[test]
fn every_supported_key_arrives_in_the_checked_configuration() {
    let (config, report) = check_text(&format!("{:#}", good()), false).unwrap();
    assert_eq!(report.to_string(), "");
    assert_eq!(
        (config.node.as_str(), config.title.as_str()),
        ("node1", "my node")
    );
    let router = &config.router;
    assert_eq!(router.shards, Shards::Exactly(2.try_into().unwrap()));
    assert_eq!(router.cpus, [0, 1]);
    assert_eq!(router.spin.as_micros(), 70);
    assert_eq!(router.limits.slow_consumer, SlowConsumer::Drop);
    assert_eq!(router.limits.handshake_timeout.as_secs(), 5);
    let realm = &router.realms[0];
    assert_eq!(
        (realm.uri_check, realm.strict_request_ids, realm.allow_disclose),
        (UriCheck::Strict, true, false)
    );
    assert!(!realm.enable_meta_api);
    assert_eq!(realm.calls.timeout.unwrap().as_millis(), 2500);
    let queues = realm.calls.queues.iter();
    let queues: Vec<_> = queues
        .map(|queue| (&*queue.uri, queue.policy.name(), queue.limit))
        .collect();
    assert_eq!(queues, [("com.slow.", "prefix", 5), ("com.sum", "exact", 1000)]);
    let histories = realm.histories.iter();
    let histories: Vec<_> = histories
        .map(|history| (&*history.uri, history.events, history.bytes, history.durable))
        .collect();
    assert_eq!(
        histories,
        [
            ("com.example.", 6, 65_536, true),
            ("com.example", 5, 100_000, true)
        ]
    );
    let storage = Storage {
        key_path: "workers[0].realms[0].store".to_owned(),
        path: "/tmp/x/db".into(),
        readonly: false,
        sync: false,
        max_buffer: 7,
        buffer_flush: Duration::from_millis(90),
    };
    assert_eq!(realm.storage, Some(storage));
    let permission = &realm.roles[0].permissions[0];
    assert_eq!(
        (permission.uri.as_str(), permission.policy.name()),
        ("com.example.", "prefix")
    );
    assert_eq!(
        (permission.call, permission.register, permission.disclose_caller),
        (true, false, true)
    );

    let all = &router.listeners[0];
    assert_eq!(
        all.endpoint,
        Endpoint::Tcp {
            address: "[::1]:9000".parse().unwrap(),
            backlog: 7
        }
    );
    assert_eq!(all.rawsocket.as_ref().unwrap().max_message_size, 1024);
    let http = all.http.as_ref().unwrap();
    let paths: Vec<&str> = http.routes.iter().map(|route| route.path.as_str()).collect();
    assert_eq!(paths, ["/ws", "/", "/deep/er", "/deep", "/info", "/old", "/poll"]);
    let Service::WebSocket(websocket) = &http.routes[0].service else {
        panic!("{:?}", http.routes[0])
    };
    assert_eq!(websocket.access.realm.as_deref(), Some("realm1"));
    let Service::Static(files) = &http.routes[1].service else {
        panic!("{:?}", http.routes[1])
    };
    assert_eq!(
        (files.cache_timeout, files.mime_types[0].0.as_str()),
        (None, "rs")
    );
    let Service::LongPoll(poll) = &http.routes[6].service else {
        panic!("{:?}", http.routes[6])
    };
    assert_eq!(
        (poll.request_timeout.as_secs(), poll.session_timeout.as_secs()),
        (4, 15)
    );
    assert_eq!((poll.queue_limit_bytes, poll.queue_limit_messages), (70_000, 71));
    assert_eq!((poll.max_message_size, poll.max_transports), (9000, 8));
    assert_eq!((poll.allowed_origins.len(), poll.allow_null_origin), (1, false));
    assert_eq!(http.route("/deep/er/x").unwrap().path, "/deep/er");
    assert_eq!(http.route("/deeper").unwrap().path, "/");

    let Service::WebSocket(options) = &router.listeners[1].http.as_ref().unwrap().routes[0].service else {
        panic!("{:?}", router.listeners[1])
    };
    assert_eq!((options.max_message_size, options.webstatus), (2048, false));
    assert!(options.batched);
    let compression = options.compression.unwrap();
    assert_eq!(
        (compression.window.get(), compression.client_window.get()),
        (12, 10)
    );
    assert!(!compression.client_no_context_takeover);
    let ping = options.auto_ping.as_ref().unwrap();
    assert_eq!(
        (
            ping.interval.as_secs(),
            ping.timeout.unwrap().as_secs(),
            ping.size
        ),
        (10, 5, 16)
    );
}

#[test]
fn yaml_of_the_same_shape_gives_the_same_configuration() {
    // JSON is YAML but for a few corners that this document does not touch.
    let document = good().to_string();
    let (json, _) = check_text(&document, false).unwrap();
    let (yaml, _) = check_text(&document, true).unwrap();
    assert_eq!(json, yaml);
}

#[test]
fn each_mistake_is_named_with_its_place_and_its_remedy() {
    for line in include_str!("mistakes.txt")
        .lines()
        .filter(|line| !line.starts_with('#'))
    {
        let [pointer, value, expected] = line.splitn(3, " => ").collect::<Vec<_>>()[..] else {
            panic!("{line}")
        };
        let value = (value != "-").then(|| value.parse().unwrap_or_else(|error| panic!("{line}: {error}")));
        let found = complaints(pointer, value);
        assert!(
            found.iter().any(|found| found.contains(expected)),
            "{line}: found {found:#?}"
        );
        assert!(
            found.iter().all(|found| found.starts_with("c.json:")),
            "{found:#?}"
        );
    }
}

#[test]
fn all_errors_are_reported_at_once_in_the_order_of_the_file() {
    let text = "{\n \"version\": 1,\n \"workers\": [\n  {\"type\": \"router\", \"realms\": 5,\n   \"transports\": [{\"type\": \"web\"}],\n   \"x\": 1}\n ]\n}";
    let report = check_text(text, false).unwrap_err();
    let places: Vec<String> = report
        .lines()
        .map(|line| line.split(": ").take(2).collect::<Vec<_>>().join(" "))
        .collect();
    assert_eq!(
        places,
        [
            "c.json:2:13 version",
            "c.json:4:32 workers[0].realms",
            "c.json:5:19 workers[0].transports[0]",
            "c.json:5:19 workers[0].transports[0]",
            "c.json:6:4 workers[0].x",
        ]
    );
    assert_eq!(report.count(Severity::Error), 5);
    assert!(
        report.to_string().contains("  6 | \"x\": 1}\n    | ^\n"),
        "{report}"
    );
}

#[test]
fn a_testee_is_one_more_listener_with_or_without_a_router() {
    let testee = json!({
        "type": "websocket-testee", "id": "testee1", "options": {"title": "echo"},
        "transport": {
            "type": "websocket", "id": "echo", "endpoint": {"type": "tcp", "port": 9001}, "url": "ws://localhost:9001",
            "max_connections": 5, "options": {"compression": deflate()}
        }
    });
    let mut both = good();
    both["workers"].as_array_mut().unwrap().push(testee.clone());
    let alone = json!({"version": 2, "workers": [testee]});
    for (document, listeners) in [(both, 3), (alone, 1)] {
        let (config, report) = check_text(&document.to_string(), false).unwrap();
        assert_eq!(report.to_string(), "");
        assert_eq!(config.router.listeners.len(), listeners);
        let listener = &config.router.listeners[listeners - 1];
        assert_eq!((listener.id.as_str(), listener.max_connections), ("echo", 5));
        let Service::Testee(websocket) = &listener.http.as_ref().unwrap().routes[0].service else {
            panic!("{listener:?}")
        };
        assert!(websocket.compression.is_some());
    }
}

#[test]
fn harmless_variations_are_taken() {
    for (pointer, value) in [
        ("/workers/0/transports/0/endpoint/port", json!("$PORT")),
        ("/workers/0/transports/0/endpoint/interface", json!("localhost")),
        ("/workers/0/transports/1/endpoint/path", json!("${RUN}/ws.sock")),
        ("/workers/0/transports/1/serializers", json!(["cbor"])),
        (
            "/workers/0/realms/0/roles/0/permissions/0",
            json!({"uri": "*", "call": true}),
        ),
        (
            "/workers/0/realms/0/roles/0/permissions/0",
            json!({"uri": "", "match": "prefix"}),
        ),
        (
            "/workers/0/realms/0/roles/0/permissions/0",
            json!({"uri": "com.*.create.*"}),
        ),
        (
            "/workers/0/realms/0/store/call-queue",
            json!([{"uri": "wamp", "match": "prefix"}, {"uri": "com.a"}, {"uri": "com.", "match": "prefix"}]),
        ),
        ("/workers/0/transports/1/options/auto_ping_interval", json!(0)),
        ("/workers/0/transports/0/endpoint/portrange", json!(false)),
        (
            "/workers/-",
            json!({"type": "websocket-testee", "transport": {
                "type": "websocket", "endpoint": {"type": "tcp", "port": 1},
                "options": {"enable_webstatus": false, "auto_ping_interval": 0}
            }}),
        ),
    ] {
        assert_eq!(
            complaints(pointer, Some(value.clone())),
            Vec::<String>::new(),
            "{pointer} = {value}"
        );
    }
}

#[test]
fn who_wants_passwords_is_not_told_to_let_everybody_in() {
    let auth = "/workers/0/transports/0/websocket/ws/auth";
    let [complaint] = &complaints(auth, Some(json!({"ticket": {}})))[..] else {
        panic!("one complaint")
    };
    assert!(
        complaint.contains("everybody who reaches this transport may join"),
        "{complaint}"
    );
}

#[test]
fn the_built_in_configuration_is_valid_and_without_warnings() {
    let config = load_default().unwrap();
    let listener = &config.router.listeners[0];
    assert_eq!(
        listener.endpoint,
        Endpoint::Tcp {
            address: "127.0.0.1:8080".parse().unwrap(),
            backlog: 1024
        }
    );
    let http = listener.http.as_ref().unwrap();
    assert!(matches!(
        http.route("/ws").unwrap().service,
        Service::WebSocket(_)
    ));
    assert_eq!(http.route("/wamp.js").unwrap().service, Service::Demo);
    assert!(listener.rawsocket.is_some());
}

/// What Crossbar.io's `init` writes, but for what is stated here to come later.
#[test]
fn the_configuration_that_crossbar_writes_is_refused_only_for_what_is_not_built_yet() {
    let text = r#"{
        "version": 2, "controller": {"id": "node1"},
        "workers": [{
            "id": "router1", "type": "router",
            "realms": [{
                "name": "realm1",
                "roles": [{"name": "anonymous", "permissions": [{
                    "uri": "", "match": "prefix",
                    "allow": {"call": true, "register": true, "publish": true, "subscribe": true},
                    "disclose": {"caller": false, "publisher": false}, "cache": true
                }]}],
                "options": {"enable_meta_api": true, "bridge_meta_api": true}
            }],
            "transports": [{
                "id": "web1", "type": "web",
                "endpoint": {"type": "tcp", "interface": "127.0.0.1", "port": 8080, "backlog": 1024},
                "paths": {
                    "/": {"type": "static", "directory": "src", "options": {"enable_directory_listing": true}},
                    "ws": {"type": "websocket", "serializers": ["cbor", "msgpack", "ubjson", "json"],
                        "auth": {"anonymous": {"type": "static", "role": "anonymous"}}},
                    "publish": {"type": "publisher", "realm": "realm1", "role": "anonymous"},
                    "info": {"type": "nodeinfo"}
                }
            }]
        }]
    }"#;
    let report = check_text(text, false).unwrap_err();
    let keys: Vec<String> = report
        .lines()
        .map(|line| line.split(": ").nth(1).unwrap().to_owned())
        .collect();
    let reasons = ["no management realm", "not supported yet", "not there yet"];
    assert!(
        report
            .lines()
            .all(|line| reasons.iter().any(|reason| line.contains(reason))),
        "{report}"
    );
    assert_eq!(
        keys,
        [
            "workers[0].realms[0].options.bridge_meta_api",
            "workers[0].transports[0].paths.publish.type",
            "workers[0].transports[0].paths.info.type",
        ]
    );
}
