//! What must not cost more the more there is of it.

use std::time::Duration;

use crosspoint_core::config::CallQueue;
use crosspoint_core::options::{CancelMode, InvokePolicy, MatchPolicy};
use rustix::time::{ClockId, clock_gettime};

use crate::mesh::Mesh;
use crate::races::{join, owned_by};
use crate::say::{call, cancel, register, register_with};

const FEW: u64 = 1_000;
const MANY: u64 = 8 * FEW;

/// Whether many cost about as much each as few: eight times as many, where each looks at all others, cost 64 times as
/// much. The best of some runs counts, since others use the machine's caches as well.
fn grows_in_proportion(cost: impl Fn(u64) -> Duration) {
    let best = |count| (0..5).map(|_| cost(count)).min().unwrap_or_default();
    let (few, many) = (best(FEW), best(MANY));
    assert!(many < few * 24, "{few:?} for {FEW}, {many:?} for {MANY}");
}

/// What this thread has had of its core, whoever else wants it.
fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

#[test]
fn calls_that_are_held_are_cancelled_one_by_one() {
    grows_in_proportion(|count| {
        let mut mesh = Mesh::new(2);
        let (callee, procedure) = (join(&mut mesh, 0), owned_by(0));
        mesh.tell(callee, register(1, procedure));
        for request in 2..count + 2 {
            mesh.tell(callee, call(request, procedure, "x"));
        }
        let begin = cpu_time();
        for request in (2..count + 2).rev() {
            mesh.tell(callee, cancel(request, Some(CancelMode::Skip)));
        }
        let end = cpu_time() - begin;
        assert_eq!(mesh.heard(callee).len() as u64, count);
        mesh.settle();
        assert_eq!(mesh.heard(callee), ["REGISTERED 1"]);
        end
    });
}

#[test]
fn calls_in_a_queue_are_cancelled_one_by_one() {
    grows_in_proportion(|count| {
        let mut mesh = Mesh::with(1, |config| {
            config.realms[0].calls.queues = vec![CallQueue {
                policy: MatchPolicy::Prefix,
                uri: "com.".into(),
                limit: count as usize,
            }];
        });
        let (caller, callee) = (mesh.join(), mesh.join());
        let register = register_with(1, "com.sum", |options| {
            (options.invoke, options.concurrency) = (Some(InvokePolicy::Single), Some(1));
        });
        mesh.register(callee, register);
        for request in 1..count + 2 {
            mesh.tell(caller, call(request, "com.sum", "x"));
        }
        let begin = cpu_time();
        for request in (2..count + 2).rev() {
            mesh.tell(caller, cancel(request, None));
        }
        let end = cpu_time() - begin;
        assert_eq!(mesh.heard(caller).len() as u64, count);
        assert_eq!(mesh.heard(callee), ["INVOCATION 1 x"]);
        end
    });
}

#[test]
fn registering_again_does_not_copy_the_callees() {
    let mut mesh = Mesh::new(2);
    let (callee, procedure) = (join(&mut mesh, 0), owned_by(0));
    let mut announced = Vec::new();
    for request in 1..=2 {
        let register = register_with(request, procedure, |options| {
            options.invoke = Some(InvokePolicy::RoundRobin);
        });
        mesh.tell(callee, register);
        announced.append(&mut mesh.announced(0, 1));
        mesh.settle();
    }
    assert_eq!(mesh.heard(callee), ["REGISTERED 1", "REGISTERED 2"]);
    let [first, second] = &announced[..] else {
        panic!("{announced:?}");
    };
    assert!(std::sync::Arc::ptr_eq(first, second));
}
