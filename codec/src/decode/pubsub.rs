//! The messages of publish and subscribe.

use crosspoint_core::ids::{PublicationId, RequestId, SubscriptionId};
use crosspoint_core::message::{
    Event, EventReceived, Publish, Published, Subscribe, Subscribed, Unsubscribe, Unsubscribed,
};

use super::envelope::{Envelope, Refusal};
use super::messages::transparent;
use crate::read::Reader;

impl<'a, R: Reader<'a>> Envelope<'a, R> {
    pub(super) fn publish(&mut self) -> Result<Publish, Refusal> {
        let request = self.id_element("Request", RequestId)?;
        let options = self.publish_options()?;
        Ok(Publish {
            request,
            topic: self.text_element("Topic")?,
            payload: self.payload(transparent(&options.rest))?,
            options,
        })
    }

    pub(super) fn published(&mut self) -> Result<Published, Refusal> {
        Ok(Published {
            request: self.id_element("PUBLISH.Request", RequestId)?,
            publication: self.id_element("Publication", PublicationId)?,
        })
    }

    pub(super) fn subscribe(&mut self) -> Result<Subscribe, Refusal> {
        Ok(Subscribe {
            request: self.id_element("Request", RequestId)?,
            options: self.subscribe_options()?,
            topic: self.text_element("Topic")?,
        })
    }

    pub(super) fn subscribed(&mut self) -> Result<Subscribed, Refusal> {
        Ok(Subscribed {
            request: self.id_element("SUBSCRIBE.Request", RequestId)?,
            subscription: self.id_element("Subscription", SubscriptionId)?,
        })
    }

    pub(super) fn unsubscribe(&mut self) -> Result<Unsubscribe, Refusal> {
        Ok(Unsubscribe {
            request: self.id_element("Request", RequestId)?,
            subscription: self.id_element("SUBSCRIBED.Subscription", SubscriptionId)?,
            options: self.optional_dict_element("Options")?,
        })
    }

    pub(super) fn unsubscribed(&mut self) -> Result<Unsubscribed, Refusal> {
        Ok(Unsubscribed {
            request: self.id_element_or_zero("UNSUBSCRIBE.Request", RequestId)?,
            details: self.optional_dict_element("Details")?,
        })
    }

    pub(super) fn event(&mut self) -> Result<Event, Refusal> {
        let subscription = self.id_element("SUBSCRIBED.Subscription", SubscriptionId)?;
        let publication = self.id_element("PUBLISHED.Publication", PublicationId)?;
        let details = self.event_details()?;
        Ok(Event {
            subscription,
            publication,
            payload: self.payload(transparent(&details.rest))?,
            details,
        })
    }

    pub(super) fn event_received(&mut self) -> Result<EventReceived, Refusal> {
        Ok(EventReceived {
            publication: self.id_element("PUBLISHED.Publication", PublicationId)?,
        })
    }
}
