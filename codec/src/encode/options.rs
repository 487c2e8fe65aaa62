//! Options and details of each message. What is absent is not written; `rest` comes last, in its order.

use bytestring::ByteString;
use crosspoint_core::ids::SessionId;
use crosspoint_core::options::{
    CallOptions, CancelOptions, EventDetails, InvocationDetails, PublishOptions, Receivers, RegisterOptions,
    ResultDetails, SubscribeOptions, YieldOptions,
};
use crosspoint_core::value::Dict;

use crate::write::{Open, Writer};

/// A dictionary that is being written.
struct Entries<'w, W: Writer> {
    writer: &'w mut W,
    open: Open,
    count: usize,
}

impl<'w, W: Writer> Entries<'w, W> {
    fn begin(writer: &'w mut W) -> Self {
        let open = writer.begin_map();
        Self {
            writer,
            open,
            count: 0,
        }
    }

    fn key(&mut self, key: &str) -> &mut W {
        self.count += 1;
        self.writer.key(key);
        self.writer
    }

    /// An entry that is absent where it is false.
    fn flag(&mut self, key: &str, value: bool) {
        if value {
            self.key(key).bool(true);
        }
    }

    fn bool(&mut self, key: &str, value: Option<bool>) {
        if let Some(value) = value {
            self.key(key).bool(value);
        }
    }

    fn uint(&mut self, key: &str, value: Option<u64>) {
        if let Some(value) = value {
            self.key(key).uint(value);
        }
    }

    fn text(&mut self, key: &str, value: Option<&str>) {
        if let Some(value) = value {
            self.key(key).str(value);
        }
    }

    fn list<T>(&mut self, key: &str, list: Option<&Vec<T>>, item: impl Fn(&mut W, &T)) {
        if let Some(list) = list {
            let writer = self.key(key);
            let open = writer.begin_list();
            for value in list {
                item(writer, value);
            }
            writer.end_list(open, list.len());
        }
    }

    fn end(mut self, rest: &Dict) {
        for (key, value) in &rest.0 {
            self.key(key).value(value);
        }
        self.writer.end_map(self.open, self.count);
    }
}

pub(super) fn publish<W: Writer>(writer: &mut W, options: &PublishOptions) {
    let mut entries = Entries::begin(writer);
    entries.flag("acknowledge", options.acknowledge);
    entries.bool("exclude_me", options.exclude_me);
    entries.bool("disclose_me", options.disclose_me);
    entries.flag("retain", options.retain);
    if let Some(lists) = &options.receivers {
        receivers(&mut entries, lists);
    }
    entries.end(&options.rest);
}

fn receivers<W: Writer>(entries: &mut Entries<'_, W>, lists: &Receivers) {
    let id = |writer: &mut W, session: &SessionId| writer.uint(session.0);
    let text = |writer: &mut W, text: &ByteString| writer.str(text);
    entries.list("eligible", lists.eligible.as_ref(), id);
    entries.list("eligible_authid", lists.eligible_authid.as_ref(), text);
    entries.list("eligible_authrole", lists.eligible_authrole.as_ref(), text);
    entries.list("exclude", lists.exclude.as_ref(), id);
    entries.list("exclude_authid", lists.exclude_authid.as_ref(), text);
    entries.list("exclude_authrole", lists.exclude_authrole.as_ref(), text);
}

pub(super) fn subscribe<W: Writer>(writer: &mut W, options: &SubscribeOptions) {
    let mut entries = Entries::begin(writer);
    entries.text("match", options.match_policy.map(|policy| policy.name()));
    entries.flag("get_retained", options.get_retained);
    entries.end(&options.rest);
}

pub(super) fn event<W: Writer>(writer: &mut W, details: &EventDetails) {
    let mut entries = Entries::begin(writer);
    entries.uint("publisher", details.publisher.map(|session| session.0));
    entries.text("publisher_authid", details.publisher_authid.as_deref());
    entries.text("publisher_authrole", details.publisher_authrole.as_deref());
    entries.text("topic", details.topic.as_deref());
    entries.uint("trustlevel", details.trustlevel);
    entries.flag("retained", details.retained);
    entries.end(&details.rest);
}

pub(super) fn call<W: Writer>(writer: &mut W, options: &CallOptions) {
    let mut entries = Entries::begin(writer);
    entries.uint("timeout", options.timeout);
    entries.flag("receive_progress", options.receive_progress);
    entries.flag("progress", options.progress);
    entries.bool("disclose_me", options.disclose_me);
    entries.end(&options.rest);
}

pub(super) fn cancel<W: Writer>(writer: &mut W, options: &CancelOptions) {
    let mut entries = Entries::begin(writer);
    entries.text("mode", options.mode.map(|mode| mode.name()));
    entries.end(&options.rest);
}

pub(super) fn result<W: Writer>(writer: &mut W, details: &ResultDetails) {
    let mut entries = Entries::begin(writer);
    entries.flag("progress", details.progress);
    entries.end(&details.rest);
}

pub(super) fn register<W: Writer>(writer: &mut W, options: &RegisterOptions) {
    let mut entries = Entries::begin(writer);
    entries.text("match", options.match_policy.map(|policy| policy.name()));
    entries.text("invoke", options.invoke.map(|policy| policy.name()));
    entries.bool("disclose_caller", options.disclose_caller);
    entries.bool("forward_timeout", options.forward_timeout);
    entries.flag("force_reregister", options.force_reregister);
    entries.uint("concurrency", options.concurrency);
    entries.uint("timeout", options.timeout);
    entries.end(&options.rest);
}

pub(super) fn invocation<W: Writer>(writer: &mut W, details: &InvocationDetails) {
    let mut entries = Entries::begin(writer);
    entries.uint("caller", details.caller.map(|session| session.0));
    entries.text("caller_authid", details.caller_authid.as_deref());
    entries.text("caller_authrole", details.caller_authrole.as_deref());
    entries.text("procedure", details.procedure.as_deref());
    entries.uint("trustlevel", details.trustlevel);
    entries.uint("timeout", details.timeout);
    entries.flag("receive_progress", details.receive_progress);
    entries.flag("progress", details.progress);
    entries.end(&details.rest);
}

pub(super) fn yielding<W: Writer>(writer: &mut W, options: &YieldOptions) {
    let mut entries = Entries::begin(writer);
    entries.flag("progress", options.progress);
    entries.end(&options.rest);
}
