//! Options and details of each message. An entry without a field of its own is kept in `rest`.

use crosspoint_core::options::{
    CallOptions, CancelMode, CancelOptions, EventDetails, InvocationDetails, InvokePolicy, MatchPolicy,
    PublishOptions, Receivers, RegisterOptions, ResultDetails, SubscribeOptions, YieldOptions,
};

use super::envelope::{Envelope, Refusal};
use crate::read::Reader;

const MATCH: &str = "\"exact\", \"prefix\" or \"wildcard\"";
const INVOKE: &str = "\"single\", \"roundrobin\", \"random\", \"first\", \"last\", \"load\" or \"sticky\"";
const MODE: &str = "\"skip\", \"kill\" or \"killnowait\"";
const MILLISECONDS: &str = "a number of milliseconds, an integer of at least 0";
const TRUSTLEVEL: &str = "an integer of at least 0";
const CONCURRENCY: &str = "an integer of at least 1";

/// The lists of a publication, which few have.
fn receivers(options: &mut PublishOptions) -> &mut Receivers {
    options.receivers.get_or_insert_default()
}

impl<'a, R: Reader<'a>> Envelope<'a, R> {
    pub(super) fn publish_options(&mut self) -> Result<PublishOptions, Refusal> {
        let mut options = PublishOptions::default();
        let mut entries = self.entries("Options")?;
        while let Some((key, value)) = self.entry(&mut entries)? {
            match &*key {
                "acknowledge" => options.acknowledge = self.bool(value)?,
                "exclude_me" => options.exclude_me = Some(self.bool(value)?),
                "disclose_me" => options.disclose_me = Some(self.bool(value)?),
                "retain" => options.retain = self.bool(value)?,
                "eligible" => receivers(&mut options).eligible = Some(self.sessions(value)?),
                "eligible_authid" => receivers(&mut options).eligible_authid = Some(self.texts(value)?),
                "eligible_authrole" => receivers(&mut options).eligible_authrole = Some(self.texts(value)?),
                "exclude" => receivers(&mut options).exclude = Some(self.sessions(value)?),
                "exclude_authid" => receivers(&mut options).exclude_authid = Some(self.texts(value)?),
                "exclude_authrole" => receivers(&mut options).exclude_authrole = Some(self.texts(value)?),
                _ => self.rest(key, value, &mut options.rest)?,
            }
        }
        Ok(options)
    }

    pub(super) fn subscribe_options(&mut self) -> Result<SubscribeOptions, Refusal> {
        let mut options = SubscribeOptions::default();
        let mut entries = self.entries("Options")?;
        while let Some((key, value)) = self.entry(&mut entries)? {
            match &*key {
                "match" => {
                    options.match_policy = Some(self.one_of(value, MatchPolicy::from_name, MATCH)?);
                }
                "get_retained" => options.get_retained = self.bool(value)?,
                _ => self.rest(key, value, &mut options.rest)?,
            }
        }
        Ok(options)
    }

    pub(super) fn event_details(&mut self) -> Result<EventDetails, Refusal> {
        let mut details = EventDetails::default();
        let mut entries = self.entries("Details")?;
        while let Some((key, value)) = self.entry(&mut entries)? {
            match &*key {
                "publisher" => details.publisher = Some(self.session(value)?),
                "publisher_authid" => details.publisher_authid = Some(self.text(value)?),
                "publisher_authrole" => details.publisher_authrole = Some(self.text(value)?),
                "topic" => details.topic = Some(self.text(value)?),
                "trustlevel" => details.trustlevel = Some(self.integer(value, 0, TRUSTLEVEL)?),
                "retained" => details.retained = self.bool(value)?,
                _ => self.rest(key, value, &mut details.rest)?,
            }
        }
        Ok(details)
    }

    pub(super) fn call_options(&mut self) -> Result<CallOptions, Refusal> {
        let mut options = CallOptions::default();
        let mut entries = self.entries("Options")?;
        while let Some((key, value)) = self.entry(&mut entries)? {
            match &*key {
                "timeout" => options.timeout = Some(self.integer(value, 0, MILLISECONDS)?),
                "receive_progress" => options.receive_progress = self.bool(value)?,
                "progress" => options.progress = self.bool(value)?,
                "disclose_me" => options.disclose_me = Some(self.bool(value)?),
                _ => self.rest(key, value, &mut options.rest)?,
            }
        }
        Ok(options)
    }

    pub(super) fn cancel_options(&mut self) -> Result<CancelOptions, Refusal> {
        let mut options = CancelOptions::default();
        let mut entries = self.entries("Options")?;
        while let Some((key, value)) = self.entry(&mut entries)? {
            match &*key {
                "mode" => options.mode = Some(self.one_of(value, CancelMode::from_name, MODE)?),
                _ => self.rest(key, value, &mut options.rest)?,
            }
        }
        Ok(options)
    }

    pub(super) fn result_details(&mut self) -> Result<ResultDetails, Refusal> {
        let mut details = ResultDetails::default();
        let mut entries = self.entries("Details")?;
        while let Some((key, value)) = self.entry(&mut entries)? {
            match &*key {
                "progress" => details.progress = self.bool(value)?,
                _ => self.rest(key, value, &mut details.rest)?,
            }
        }
        Ok(details)
    }

    pub(super) fn register_options(&mut self) -> Result<RegisterOptions, Refusal> {
        let mut options = RegisterOptions::default();
        let mut entries = self.entries("Options")?;
        while let Some((key, value)) = self.entry(&mut entries)? {
            match &*key {
                "match" => {
                    options.match_policy = Some(self.one_of(value, MatchPolicy::from_name, MATCH)?);
                }
                "invoke" => options.invoke = Some(self.one_of(value, InvokePolicy::from_name, INVOKE)?),
                "disclose_caller" => options.disclose_caller = Some(self.bool(value)?),
                "forward_timeout" => options.forward_timeout = Some(self.bool(value)?),
                "force_reregister" => options.force_reregister = self.bool(value)?,
                "concurrency" => options.concurrency = Some(self.integer(value, 1, CONCURRENCY)?),
                "timeout" => options.timeout = Some(self.integer(value, 0, MILLISECONDS)?),
                _ => self.rest(key, value, &mut options.rest)?,
            }
        }
        Ok(options)
    }

    pub(super) fn invocation_details(&mut self) -> Result<InvocationDetails, Refusal> {
        let mut details = InvocationDetails::default();
        let mut entries = self.entries("Details")?;
        while let Some((key, value)) = self.entry(&mut entries)? {
            match &*key {
                "caller" => details.caller = Some(self.session(value)?),
                "caller_authid" => details.caller_authid = Some(self.text(value)?),
                "caller_authrole" => details.caller_authrole = Some(self.text(value)?),
                "procedure" => details.procedure = Some(self.text(value)?),
                "trustlevel" => details.trustlevel = Some(self.integer(value, 0, TRUSTLEVEL)?),
                "timeout" => details.timeout = Some(self.integer(value, 0, MILLISECONDS)?),
                "receive_progress" => details.receive_progress = self.bool(value)?,
                "progress" => details.progress = self.bool(value)?,
                _ => self.rest(key, value, &mut details.rest)?,
            }
        }
        Ok(details)
    }

    pub(super) fn yield_options(&mut self) -> Result<YieldOptions, Refusal> {
        let mut options = YieldOptions::default();
        let mut entries = self.entries("Options")?;
        while let Some((key, value)) = self.entry(&mut entries)? {
            match &*key {
                "progress" => options.progress = self.bool(value)?,
                _ => self.rest(key, value, &mut options.rest)?,
            }
        }
        Ok(options)
    }
}
