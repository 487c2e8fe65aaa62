//! Messages in FlatBuffers, by the schema that autobahn publishes: a table for each message, with a field for each
//! element, option and detail that the schema knows. What it has no field for is not carried. Arguments and
//! keyword arguments are byte vectors with CBOR inside.
//!
//! The union that says of which type a message is has numbers of its own in the schema, one after the other, but
//! autobahn, the one implementation that there is, writes the message codes there. So does this one.
//!
//! Buffers are read and written here by hand, since the crate of FlatBuffers' own makers gives access to tables
//! without generated code only to unsafe code. Reading checks every offset when it is followed, and how much all
//! of them lead to: a few bytes cannot refer to the same long text again and again.

mod build;
mod decode;
pub(crate) mod encode;
mod fields;
mod payload;
mod roles;
mod schema;
mod table;
#[cfg(test)]
mod tests;

pub(crate) use decode::decode;
