//! The mesh without executors: order, counts, and the wake-up protocol between real threads.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use crosspoint_core::ids::{CallKey, PublicationId, RealmId, SessionId, ShardId};
use crosspoint_core::meta::{Query, Question};
use crosspoint_core::options::Receivers;
use crosspoint_core::payload::{Format, Payload};
use crosspoint_core::peer::{Outcome, PeerMessage, Publication, Reply, Token};
use crosspoint_core::time::Time;
use crosspoint_core::value::Dict;

use super::{FLOOR_PART, Mailbox, Mesh, MeshLimits, Postman};
use crate::counters::Counters;

const SMALL: MeshLimits = MeshLimits {
    envelopes: 2,
    bytes: 100_000,
};

fn ack(number: u64) -> PeerMessage {
    PeerMessage::Ack { token: Token(number) }
}

fn reply(bytes: usize) -> PeerMessage {
    PeerMessage::Reply(Box::new(Reply {
        call: CallKey {
            shard: ShardId(1),
            slot: 0,
            generation: 0,
        },
        outcome: Outcome::Result,
        rest: Dict::new(),
        payload: Payload {
            format: Format::Json,
            args: Bytes::from(vec![b'x'; bytes]),
            kwargs: Bytes::new(),
        },
    }))
}

fn postman(me: u16, mesh: &Arc<Mesh>) -> Postman {
    let counters = Arc::new(Counters::new(mesh.shards()));
    Postman::new(ShardId(me), Arc::clone(mesh), counters)
}

/// What the oldest envelope holds.
fn envelope(mailbox: &mut Mailbox) -> Vec<u64> {
    let mut all = Vec::new();
    loop {
        match mailbox.take(|_| {}) {
            Some((_, PeerMessage::Ack { token })) => all.push(token.0),
            other => panic!("{other:?}"),
        }
        if mailbox.is_between_envelopes() {
            return all;
        }
    }
}

fn numbers(mailbox: &mut Mailbox) -> Vec<u64> {
    let mut all = Vec::new();
    while let Some((_, message)) = mailbox.take(|_| {}) {
        let PeerMessage::Ack { token } = message else {
            panic!("{message:?}")
        };
        all.push(token.0);
    }
    all
}

#[test]
fn one_turn_is_one_envelope() {
    let (mesh, mut mailboxes) = Mesh::new(3, MeshLimits::default());
    let mut postman = postman(0, &mesh);
    for number in 0..100 {
        postman.post(ShardId(1), ack(number));
    }
    postman.post(ShardId(2), ack(7));
    assert!(postman.send());
    let mut envelopes = Vec::new();
    while mailboxes[1]
        .take(|envelope| envelopes.push((envelope.from, envelope.messages.len())))
        .is_some()
    {}
    assert_eq!(envelopes, [(ShardId(0), 100)]);
    assert_eq!(numbers(&mut mailboxes[2]), [7]);
}

/// Notes, when its shard is woken, how many envelopes another shard's mailbox holds.
struct Look {
    mesh: Arc<Mesh>,
    seen: AtomicUsize,
}

impl Wake for Look {
    fn wake(self: Arc<Self>) {
        self.seen
            .store(self.mesh.inbox(ShardId(2)).sender.len(), Ordering::Relaxed);
    }
}

#[test]
fn what_is_posted_first_is_sent_first() {
    let (mesh, mut mailboxes) = Mesh::new(3, MeshLimits::default());
    let look = Arc::new(Look {
        mesh: Arc::clone(&mesh),
        seen: AtomicUsize::new(0),
    });
    let waker = Waker::from(Arc::clone(&look));
    assert!(
        mailboxes[1]
            .poll_mail(&mut Context::from_waker(&waker))
            .is_pending()
    );
    let mut postman = postman(0, &mesh);
    postman.post(ShardId(2), ack(1));
    postman.post(ShardId(1), ack(2));
    assert!(postman.send());
    assert_eq!(look.seen.load(Ordering::Relaxed), 1);
}

/// A long turn does not wait for its end, but then nothing of it does.
#[test]
fn a_full_batch_takes_along_what_was_posted_before_it() {
    let (mesh, mut mailboxes) = Mesh::new(3, MeshLimits::default());
    let mut postman = postman(0, &mesh);
    postman.post(ShardId(2), ack(0));
    let mut number = 0;
    while mailboxes[1].is_empty() {
        assert!(mailboxes[2].is_empty() && number < 1000);
        number += 1;
        postman.post(ShardId(1), ack(number));
    }
    assert_eq!(numbers(&mut mailboxes[2]), [0]);
    assert_eq!(numbers(&mut mailboxes[1]).len() as u64, number);
}

#[test]
fn a_mailbox_holds_what_its_shard_handles_in_a_tenth_of_a_second() {
    let (mesh, mut mailboxes) = Mesh::new(2, MeshLimits::default());
    let mut postman = postman(0, &mesh);
    let mailbox = &mut mailboxes[1];
    let (mut now, mut most) = (0, 0);
    for kilobytes in [10, 50, 2000] {
        // Each 5 ms, for long enough that what was before is forgotten.
        for _ in 0..25 {
            now += 5_000_000;
            mailbox.keep_pace(Time(now));
            postman.post(ShardId(1), reply(kilobytes << 10));
            assert!(postman.send());
            while mailbox.take(|_| {}).is_some() {}
        }
        most = mesh.inbox(ShardId(1)).limit.load(Ordering::Relaxed);
        match kilobytes {
            10 => assert_eq!(most, (16 << 20) / FLOOR_PART),
            50 => assert!(((950 << 10)..(1_100 << 10)).contains(&most), "{most}"),
            _ => assert_eq!(most, 16 << 20),
        }
    }
    // Once it is behind with what takes long, those who post to it wait early.
    mailbox.keep_pace(Time(now + 1_000_000_000));
    mailbox.keep_pace(Time(now + 2_000_000_000));
    postman.post(ShardId(1), reply(most / FLOOR_PART));
    postman.send();
    assert!(mesh.over_limit().contains(ShardId(1)));
}

#[test]
fn a_full_mailbox_keeps_the_order() {
    let (mesh, mut mailboxes) = Mesh::new(2, SMALL);
    let counters = Arc::new(Counters::new(2));
    let mut postman = Postman::new(ShardId(0), Arc::clone(&mesh), Arc::clone(&counters));
    let (mut posted, mut seen) = (0, Vec::new());
    // Two envelopes fit; five turns pass for each one that is taken out.
    for turn in 0..50 {
        postman.post(ShardId(1), ack(posted));
        posted += 1;
        postman.send();
        if turn % 5 == 0 {
            seen.extend(envelope(&mut mailboxes[1]));
        }
    }
    assert!(!postman.is_empty());
    assert!(counters.posts[1].overflows.get() > 0);
    while !postman.send() {
        seen.extend(numbers(&mut mailboxes[1]));
    }
    seen.extend(numbers(&mut mailboxes[1]));
    assert_eq!(seen, (0..posted).collect::<Vec<_>>());
    assert_eq!(counters.posts[1].messages.get(), posted);
    assert_eq!(mesh.inbox(ShardId(1)).bytes.load(Ordering::Relaxed), 0);
}

#[test]
fn bytes_over_the_limit_show_until_half_is_gone() {
    let (mesh, mut mailboxes) = Mesh::new(2, SMALL);
    let mut postman = postman(0, &mesh);
    for _ in 0..4 {
        postman.post(ShardId(1), reply(24_000));
        postman.send();
    }
    // What waits at the sender counts too.
    assert!(mesh.over_limit().is_empty());
    postman.post(ShardId(1), reply(24_000));
    postman.send();
    assert!(mesh.over_limit().contains(ShardId(1)));
    for left in (0..5).rev() {
        mailboxes[1].take(|_| {}).unwrap();
        postman.send();
        assert_eq!(!mesh.over_limit().is_empty(), left > 2, "{left} left");
    }
}

#[test]
fn all_that_a_client_can_make_long_counts() {
    let text = |length: usize| Dict::new().with("enc_key", "x".repeat(length));
    let publication = |lists: Option<Receivers>, rest| {
        PeerMessage::Publication(Arc::new(Publication {
            realm: RealmId(0),
            topic: "com.topic".into(),
            publication: PublicationId(1),
            publisher: None,
            trustlevel: None,
            receivers: lists.map(Box::new),
            retain: false,
            rest,
            payload: Payload::EMPTY,
        }))
    };
    let lists = Receivers {
        eligible: Some(vec![SessionId(1); 2000]),
        exclude_authid: Some(vec!["name".into(); 2000]),
        ..Receivers::default()
    };
    let with_text = |message: PeerMessage| match message {
        PeerMessage::Reply(reply) => PeerMessage::Reply(Box::new(Reply {
            rest: text(150_000),
            ..*reply
        })),
        other => other,
    };
    let question = Question {
        from: ShardId(0),
        token: Token(1),
        realm: RealmId(0),
        query: Query::SubscriptionMatch("x".repeat(150_000).into()),
    };
    for message in [
        publication(Some(lists), Dict::new()),
        publication(None, text(150_000)),
        with_text(reply(0)),
        PeerMessage::Ask(Arc::new(question)),
    ] {
        let (mesh, _mailboxes) = Mesh::new(2, SMALL);
        let mut postman = postman(0, &mesh);
        postman.post(ShardId(1), message);
        postman.send();
        assert!(mesh.over_limit().contains(ShardId(1)));
    }
}

#[test]
fn posts_to_a_shard_that_ended_are_counted_and_not_charged() {
    let (mesh, mut mailboxes) = Mesh::new(2, SMALL);
    let counters = Arc::new(Counters::new(2));
    let mut postman = Postman::new(ShardId(0), Arc::clone(&mesh), Arc::clone(&counters));
    mailboxes.pop();
    postman.post(ShardId(1), reply(1_000_000));
    assert!(postman.send());
    assert_eq!(counters.posts[1].lost.get(), 1);
    assert!(mesh.over_limit().is_empty());
}

/// Wakes a thread that waits in [`wait_for_mail`], and notes that it did.
struct Unpark {
    thread: thread::Thread,
    woken: AtomicBool,
}

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.woken.store(true, Ordering::Release);
        self.thread.unpark();
    }
}

/// Sleeps until there is mail, by the waker alone; whether it came within five seconds.
fn wait_for_mail(mailbox: &mut Mailbox, unpark: &Arc<Unpark>) -> bool {
    let waker = Waker::from(Arc::clone(unpark));
    let end = Instant::now() + Duration::from_secs(5);
    while mailbox.poll_mail(&mut Context::from_waker(&waker)) == Poll::Pending {
        while !unpark.woken.swap(false, Ordering::Acquire) {
            if Instant::now() >= end {
                return false;
            }
            thread::park_timeout(Duration::from_secs(1));
        }
    }
    true
}

/// Three senders that pause at random against a receiver that sleeps whenever it can: a wake-up that is lost
/// leaves it asleep for good, since the senders wait for it in the end.
#[test]
fn no_wake_up_is_lost() {
    const SENDERS: u16 = 3;
    const MESSAGES: u64 = 60_000;
    let (mesh, mut mailboxes) = Mesh::new(
        SENDERS + 1,
        MeshLimits {
            envelopes: 64,
            ..SMALL
        },
    );
    let mut mailbox = mailboxes.pop().unwrap();
    let me = mailbox.shard();
    let counters = (0..SENDERS)
        .map(|_| Arc::new(Counters::new(SENDERS + 1)))
        .collect::<Vec<_>>();
    thread::scope(|scope| {
        for (sender, counters) in (0..SENDERS).zip(&counters) {
            let mut postman = Postman::new(ShardId(sender), Arc::clone(&mesh), Arc::clone(counters));
            scope.spawn(move || {
                for number in 0..MESSAGES {
                    postman.post(me, ack(number));
                    // Lets the receiver fall asleep at any point of the next post.
                    for _ in 0..(number * 7919 + u64::from(sender)) % 200 {
                        std::hint::spin_loop();
                    }
                    while !postman.send() {
                        thread::yield_now();
                    }
                }
            });
        }
        let unpark = Arc::new(Unpark {
            thread: thread::current(),
            woken: AtomicBool::new(false),
        });
        let mut next = [0; SENDERS as usize];
        while next.iter().any(|&next| next < MESSAGES) {
            assert!(
                wait_for_mail(&mut mailbox, &unpark),
                "asleep with mail after {next:?}"
            );
            while let Some((from, message)) = mailbox.take(|_| {}) {
                let expected = &mut next[usize::from(from.0)];
                assert!(matches!(message, PeerMessage::Ack { token } if token.0 == *expected));
                *expected += 1;
            }
        }
    });
    let wakes: u64 = counters
        .iter()
        .map(|counters| counters.posts[usize::from(me.0)].wakes.get())
        .sum();
    assert!(
        wakes > 100,
        "the receiver never slept: the test shows nothing ({wakes} wake-ups)"
    );
}
