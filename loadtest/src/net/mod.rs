//! Many client connections in one thread, on epoll: WAMP's, or those of what a router is compared with.
//!
//! Nothing here blocks. Whatever the kernel has for a connection is read at once; what is to be sent is gathered
//! and written once per turn. A [`Handler`] decides what to do; it acts through [`Io`].

mod conn;
mod dialect;
mod driver;
mod io;
mod timer;
mod tls;

pub(crate) use conn::{ConnId, Stage};
pub(crate) use driver::Driver;
pub(crate) use io::{Identity, Io};
pub(crate) use tls::Trust;

use crosspoint_codec::core::message::Message;

/// What the connections of a [`Driver`] do. Times are in nanoseconds of the run's clock.
pub(crate) trait Handler {
    /// WELCOME has come.
    fn opened(&mut self, io: &mut Io, conn: ConnId, now: u64);

    /// A message of an open session.
    fn message(&mut self, io: &mut Io, conn: ConnId, message: Message, now: u64);

    /// A connection has ended, and not because it was told to.
    fn lost(&mut self, io: &mut Io, conn: ConnId, why: &str);

    /// Called once per turn, and no later than at the time that it returned before.
    fn tick(&mut self, io: &mut Io, now: u64) -> Option<u64>;
}
