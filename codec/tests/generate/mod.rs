//! Strategies for messages, values and bytes.

use bytes::Bytes;
use bytestring::ByteString;
use crosspoint_codec::core::ids::{
    ID_MAX, PublicationId, RegistrationId, RequestId, SessionId, SubscriptionId,
};
use crosspoint_codec::core::message::{
    Abort, Authenticate, Call, CallResult, Cancel, Challenge, Error, Event, EventReceived, Goodbye, Hello,
    Interrupt, Invocation, Message, Publish, Published, Register, Registered, RequestKind, Subscribe,
    Subscribed, Unregister, Unregistered, Unsubscribe, Unsubscribed, Welcome, Yield,
};
use crosspoint_codec::core::options::{
    CallOptions, CancelMode, CancelOptions, EventDetails, InvocationDetails, InvokePolicy, MatchPolicy,
    PublishOptions, Receivers, RegisterOptions, ResultDetails, SubscribeOptions, YieldOptions,
};
use crosspoint_codec::core::payload::{Format, Payload};
use crosspoint_codec::core::value::{Dict, Value};
use crosspoint_codec::transcode;
use proptest::collection::{btree_map, vec};
use proptest::option::of;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::Value as Json;

/// Serializers that carry everything that a message can have.
pub(crate) fn format() -> impl Strategy<Value = Format> {
    select(Format::OF_PAYLOADS.to_vec())
}

pub(crate) fn any_format() -> impl Strategy<Value = Format> {
    select(Format::ALL.to_vec())
}

/// Bytes, with a preference for those that mean something in one of the serializers.
pub(crate) fn raw_bytes() -> impl Strategy<Value = Bytes> {
    let meaningful = select(
        b"[]{},:\"\\u0 $#NSUiILlmMhdDHCBZT\x01\x02\x04\x08\x0c\x90\x91\x93\x80\xa1\xc0\xc4\xd4\xdc\xdd\x81\x83\x9f\xbf\xff\x5f\x7f\xf7".to_vec(),
    );
    vec(prop_oneof![any::<u8>(), meaningful], 0..64).prop_map(Bytes::from)
}

/// A value of MessagePack in lists and dictionaries, some of which are keys.
pub(crate) fn any_keys() -> impl Strategy<Value = Vec<u8>> {
    let leaf = select(vec![
        &[0_u8][..],
        &[0xc0],
        &[0xc2],
        b"\xa1\"",
        b"\xa1\x01",
        b"\xc4\x01\xff",
        b"\xca\x00\x80\x00\x00",
    ]);
    let wrapped = |inner: Vec<u8>, how: u8| match how {
        0 => [&[0x91][..], &inner].concat(),
        1 => [&[0x81, 0][..], &inner].concat(),
        _ => [&[0x81][..], &inner, &[0]].concat(),
    };
    (leaf, vec(0..3_u8, 0..40)).prop_map(move |(leaf, hows)| hows.into_iter().fold(leaf.to_vec(), wrapped))
}

fn id() -> impl Strategy<Value = u64> {
    prop_oneof![1..=300u64, 1..=ID_MAX, Just(ID_MAX)]
}

/// Text that does not begin with NUL, which JSON could not tell from a byte string.
fn text() -> impl Strategy<Value = ByteString> {
    prop_oneof![
        "[a-z]{1,6}(\\.[a-z]{1,6}){0,3}",
        "[^\\x00]\\PC{0,20}",
        "[^\\x00][\\x00-\\x20\"\\\\é😀a]{0,20}",
        Just(String::new()),
    ]
    .prop_map(ByteString::from)
}

/// Keys that have no meaning.
fn key() -> impl Strategy<Value = ByteString> {
    prop_oneof!["x_[a-z]{1,8}", "_[a-z\"\\\\é\\x00]{3,30}"].prop_map(ByteString::from)
}

fn float() -> impl Strategy<Value = f64> {
    prop_oneof![
        any::<f64>().prop_filter("JSON has no others", |value| value.is_finite()),
        any::<i32>().prop_map(f64::from),
    ]
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::Int),
        (-200..200i64).prop_map(Value::Int),
        any::<u64>().prop_map(Value::from),
        float().prop_map(Value::Float),
        text().prop_map(Value::Str),
        vec(any::<u8>(), 0..40).prop_map(|bytes| Value::Bytes(bytes.into())),
    ];
    leaf.prop_recursive(4, 40, 20, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..20).prop_map(Value::List),
            btree_map(key(), inner, 0..20).prop_map(|map| Dict(map.into_iter().collect()).into()),
        ]
    })
}

/// Entries without nulls, which would be absent.
fn dict() -> BoxedStrategy<Dict> {
    let value = value().prop_filter("null is absent", |value| *value != Value::Null);
    prop_oneof![
        3 => Just(Dict::new()),
        1 => btree_map(key(), value, 0..20).prop_map(|map| Dict(map.into_iter().collect())),
    ]
    .boxed()
}

/// Any JSON that serde_json and WAMP understand alike.
pub(crate) fn json_value() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        any::<i64>().prop_map(Json::from),
        any::<u64>().prop_map(Json::from),
        // serde_json rounds some floats wrongly when it reads them, but none of these.
        any::<i32>().prop_map(|eighths| Json::from(f64::from(eighths) / 8.0)),
        text().prop_map(|text| Json::from(&*text)),
    ];
    leaf.prop_recursive(5, 60, 20, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..20).prop_map(Json::from),
            btree_map(text().prop_map(|text| text.to_string()), inner, 0..20)
                .prop_map(|map| Json::Object(map.into_iter().collect())),
        ]
    })
}

/// What serde_json reads.
pub(crate) fn to_json_model(bytes: &[u8]) -> Json {
    serde_json::from_slice(bytes).unwrap()
}

/// A payload in any form, as the decoder would make it.
fn payload() -> BoxedStrategy<Payload> {
    let list = vec(json_value(), 0..4).prop_map(Json::from);
    let map =
        btree_map("\\PC{0,5}", json_value(), 0..4).prop_map(|map| Json::Object(map.into_iter().collect()));
    (list, map, format())
        .prop_map(|(args, kwargs, format)| {
            let encoded = |value: &Json, empty: bool| match empty {
                true => Bytes::new(),
                false => serde_json::to_vec(value).unwrap().into(),
            };
            let payload = Payload {
                format: Format::Json,
                args: encoded(&args, args == Json::Array(vec![])),
                kwargs: encoded(&kwargs, kwargs.as_object().unwrap().is_empty()),
            };
            transcode(&payload, format)
        })
        .boxed()
}

fn flag() -> impl Strategy<Value = Option<bool>> {
    of(any::<bool>())
}

fn session() -> impl Strategy<Value = SessionId> {
    id().prop_map(SessionId)
}

fn receivers() -> impl Strategy<Value = Option<Box<Receivers>>> {
    let sessions = || of(vec(session(), 0..20));
    let names = || of(vec(text(), 0..20));
    (sessions(), names(), names(), sessions(), names(), names()).prop_map(
        |(eligible, eligible_authid, eligible_authrole, exclude, exclude_authid, exclude_authrole)| {
            let receivers = Receivers {
                eligible,
                eligible_authid,
                eligible_authrole,
                exclude,
                exclude_authid,
                exclude_authrole,
            };
            (receivers != Receivers::default()).then(|| Box::new(receivers))
        },
    )
}

fn match_policy() -> impl Strategy<Value = Option<MatchPolicy>> {
    of(select(vec![
        MatchPolicy::Exact,
        MatchPolicy::Prefix,
        MatchPolicy::Wildcard,
    ]))
}

fn publish() -> BoxedStrategy<Publish> {
    let options = (any::<bool>(), flag(), flag(), any::<bool>(), receivers(), dict()).prop_map(
        |(acknowledge, exclude_me, disclose_me, retain, receivers, rest)| PublishOptions {
            acknowledge,
            exclude_me,
            disclose_me,
            retain,
            receivers,
            rest,
        },
    );
    (id(), options, text(), payload())
        .prop_map(|(request, options, topic, payload)| Publish {
            request: RequestId(request),
            options,
            topic,
            payload,
        })
        .boxed()
}

fn subscribe() -> BoxedStrategy<Subscribe> {
    (id(), match_policy(), any::<bool>(), dict(), text())
        .prop_map(|(request, match_policy, get_retained, rest, topic)| Subscribe {
            request: RequestId(request),
            options: SubscribeOptions {
                match_policy,
                get_retained,
                rest,
            },
            topic,
        })
        .boxed()
}

fn event() -> BoxedStrategy<Event> {
    let disclosed = (of(session()), of(text()), of(text()));
    let details = (disclosed, of(text()), of(any::<u64>()), any::<bool>(), dict()).prop_map(
        |((publisher, publisher_authid, publisher_authrole), topic, trustlevel, retained, rest)| {
            EventDetails {
                publisher,
                publisher_authid,
                publisher_authrole,
                topic,
                trustlevel,
                retained,
                rest,
            }
        },
    );
    (id(), id(), details, payload())
        .prop_map(|(subscription, publication, details, payload)| Event {
            subscription: SubscriptionId(subscription),
            publication: PublicationId(publication),
            details,
            payload,
        })
        .boxed()
}

fn call() -> BoxedStrategy<Call> {
    let options = (of(any::<u64>()), any::<bool>(), any::<bool>(), flag(), dict()).prop_map(
        |(timeout, receive_progress, progress, disclose_me, rest)| CallOptions {
            timeout,
            receive_progress,
            progress,
            disclose_me,
            rest,
        },
    );
    (id(), options, text(), payload())
        .prop_map(|(request, options, procedure, payload)| Call {
            request: RequestId(request),
            options,
            procedure,
            payload,
        })
        .boxed()
}

fn register() -> BoxedStrategy<Register> {
    let invoke = select(vec![
        InvokePolicy::Single,
        InvokePolicy::RoundRobin,
        InvokePolicy::Random,
        InvokePolicy::First,
        InvokePolicy::Last,
        InvokePolicy::Load,
        InvokePolicy::Sticky,
    ]);
    let options = (
        match_policy(),
        of(invoke),
        flag(),
        flag(),
        any::<bool>(),
        of(1..=u64::MAX),
        of(any::<u64>()),
        dict(),
    )
        .prop_map(
            |(
                match_policy,
                invoke,
                disclose_caller,
                forward_timeout,
                force_reregister,
                concurrency,
                timeout,
                rest,
            )| {
                RegisterOptions {
                    match_policy,
                    invoke,
                    disclose_caller,
                    forward_timeout,
                    force_reregister,
                    concurrency,
                    timeout,
                    rest,
                }
            },
        );
    (id(), options, text())
        .prop_map(|(request, options, procedure)| Register {
            request: RequestId(request),
            options,
            procedure,
        })
        .boxed()
}

fn invocation() -> BoxedStrategy<Invocation> {
    let disclosed = (of(session()), of(text()), of(text()));
    let numbers = (of(any::<u64>()), of(any::<u64>()));
    let details = (
        disclosed,
        of(text()),
        numbers,
        any::<bool>(),
        any::<bool>(),
        dict(),
    )
        .prop_map(
            |(disclosed, procedure, (trustlevel, timeout), receive_progress, progress, rest)| {
                let (caller, caller_authid, caller_authrole) = disclosed;
                InvocationDetails {
                    caller,
                    caller_authid,
                    caller_authrole,
                    procedure,
                    trustlevel,
                    timeout,
                    receive_progress,
                    progress,
                    rest,
                }
            },
        );
    (id(), id(), details, payload())
        .prop_map(|(request, registration, details, payload)| Invocation {
            request: RequestId(request),
            registration: RegistrationId(registration),
            details,
            payload,
        })
        .boxed()
}

fn error() -> BoxedStrategy<Error> {
    let kind = select(vec![
        RequestKind::Publish,
        RequestKind::Subscribe,
        RequestKind::Unsubscribe,
        RequestKind::Call,
        RequestKind::Register,
        RequestKind::Unregister,
        RequestKind::Invocation,
    ]);
    (kind, id(), dict(), text(), payload())
        .prop_map(|(kind, request, details, error, payload)| Error {
            kind,
            request: RequestId(request),
            details,
            error,
            payload,
        })
        .boxed()
}

/// The messages of a session's life.
fn session_message() -> BoxedStrategy<Message> {
    prop_oneof![
        (text(), dict()).prop_map(|(realm, details)| Message::Hello(Hello { realm, details })),
        (session(), dict()).prop_map(|(session, details)| Message::Welcome(Welcome { session, details })),
        (dict(), text(), payload()).prop_map(|(details, reason, payload)| Message::Abort(Abort {
            details,
            reason,
            payload
        })),
        (text(), dict()).prop_map(|(method, extra)| Message::Challenge(Challenge { method, extra })),
        (text(), dict())
            .prop_map(|(signature, extra)| Message::Authenticate(Authenticate { signature, extra })),
        (dict(), text()).prop_map(|(details, reason)| Message::Goodbye(Goodbye { details, reason })),
        error().prop_map(Message::Error),
    ]
    .boxed()
}

fn pubsub_message() -> BoxedStrategy<Message> {
    let request = || id().prop_map(RequestId);
    let publication = || id().prop_map(PublicationId);
    let subscription = || id().prop_map(SubscriptionId);
    prop_oneof![
        3 => publish().prop_map(Message::Publish),
        1 => (request(), publication())
            .prop_map(|(request, publication)| Message::Published(Published { request, publication })),
        1 => subscribe().prop_map(Message::Subscribe),
        1 => (request(), subscription())
            .prop_map(|(request, subscription)| Message::Subscribed(Subscribed { request, subscription })),
        1 => (request(), subscription(), of(dict())).prop_map(|(request, subscription, options)| {
            Message::Unsubscribe(Unsubscribe { request, subscription, options })
        }),
        1 => (0..=ID_MAX, of(dict())).prop_map(|(request, details)| {
            Message::Unsubscribed(Unsubscribed { request: RequestId(request), details })
        }),
        3 => event().prop_map(Message::Event),
        1 => publication().prop_map(|publication| Message::EventReceived(EventReceived { publication })),
    ]
    .boxed()
}

fn rpc_message() -> BoxedStrategy<Message> {
    let request = || id().prop_map(RequestId);
    let registration = || id().prop_map(RegistrationId);
    let mode = select(vec![CancelMode::Skip, CancelMode::Kill, CancelMode::KillNoWait]);
    prop_oneof![
        1 => register().prop_map(Message::Register),
        1 => (request(), registration())
            .prop_map(|(request, registration)| Message::Registered(Registered { request, registration })),
        1 => (request(), registration(), of(dict())).prop_map(|(request, registration, options)| {
            Message::Unregister(Unregister { request, registration, options })
        }),
        1 => (0..=ID_MAX, of(dict())).prop_map(|(request, details)| {
            Message::Unregistered(Unregistered { request: RequestId(request), details })
        }),
        3 => call().prop_map(Message::Call),
        1 => (request(), of(mode), dict()).prop_map(|(request, mode, rest)| {
            Message::Cancel(Cancel { request, options: CancelOptions { mode, rest } })
        }),
        3 => (request(), any::<bool>(), dict(), payload()).prop_map(|(request, progress, rest, payload)| {
            Message::Result(CallResult { request, details: ResultDetails { progress, rest }, payload })
        }),
        3 => invocation().prop_map(Message::Invocation),
        1 => (request(), dict())
            .prop_map(|(request, options)| Message::Interrupt(Interrupt { request, options })),
        3 => (request(), any::<bool>(), dict(), payload()).prop_map(|(request, progress, rest, payload)| {
            Message::Yield(Yield { request, options: YieldOptions { progress, rest }, payload })
        }),
    ]
    .boxed()
}

/// Any message, as the decoder would make it.
pub(crate) fn message() -> BoxedStrategy<Message> {
    prop_oneof![session_message(), pubsub_message(), rpc_message()].boxed()
}
