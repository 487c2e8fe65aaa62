//! What is counted, and what is not.

use std::hint::black_box;

/// Calls of an operation before counting, in which tables and buffers grow to their size.
const WARM_UP: u32 = 256;

/// Calls that are counted; what happens once in many calls is shared among them.
pub(crate) const CALLS: u32 = 256;

/// Callgrind's pattern for the name of [`counted_call`], mangled or not. It must fit no other function: counting
/// would stop where that one is called.
pub(crate) const COUNTED: &str = "*counted_call*";

/// Gives `step` what `prepare` made, again and again. Only `step` is counted, with the dropping of its result.
pub(crate) fn run<I, O>(mut prepare: impl FnMut() -> I, mut step: impl FnMut(I) -> O) {
    for _ in 0..WARM_UP {
        let input = prepare();
        drop(black_box(step(black_box(input))));
    }
    for _ in 0..CALLS {
        let input = prepare();
        counted_call(&mut step, black_box(input));
    }
}

/// What is called in here is counted.
#[inline(never)]
fn counted_call<I, O>(step: &mut impl FnMut(I) -> O, input: I) {
    drop(black_box(step(input)));
}
