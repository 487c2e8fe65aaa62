//! The messages of remote procedure calls.

use crosspoint_core::ids::{RegistrationId, RequestId};
use crosspoint_core::message::{
    Call, CallResult, Cancel, Interrupt, Invocation, Register, Registered, Unregister, Unregistered, Yield,
};

use super::envelope::{Envelope, Refusal};
use super::messages::transparent;
use crate::read::Reader;

impl<'a, R: Reader<'a>> Envelope<'a, R> {
    pub(super) fn register(&mut self) -> Result<Register, Refusal> {
        Ok(Register {
            request: self.id_element("Request", RequestId)?,
            options: self.register_options()?,
            procedure: self.text_element("Procedure")?,
        })
    }

    pub(super) fn registered(&mut self) -> Result<Registered, Refusal> {
        Ok(Registered {
            request: self.id_element("REGISTER.Request", RequestId)?,
            registration: self.id_element("Registration", RegistrationId)?,
        })
    }

    pub(super) fn unregister(&mut self) -> Result<Unregister, Refusal> {
        Ok(Unregister {
            request: self.id_element("Request", RequestId)?,
            registration: self.id_element("REGISTERED.Registration", RegistrationId)?,
            options: self.optional_dict_element("Options")?,
        })
    }

    pub(super) fn unregistered(&mut self) -> Result<Unregistered, Refusal> {
        Ok(Unregistered {
            request: self.id_element_or_zero("UNREGISTER.Request", RequestId)?,
            details: self.optional_dict_element("Details")?,
        })
    }

    pub(super) fn call(&mut self) -> Result<Call, Refusal> {
        let request = self.id_element("Request", RequestId)?;
        let options = self.call_options()?;
        Ok(Call {
            request,
            procedure: self.text_element("Procedure")?,
            payload: self.payload(transparent(&options.rest))?,
            options,
        })
    }

    pub(super) fn cancel(&mut self) -> Result<Cancel, Refusal> {
        Ok(Cancel {
            request: self.id_element("CALL.Request", RequestId)?,
            options: self.cancel_options()?,
        })
    }

    pub(super) fn result(&mut self) -> Result<CallResult, Refusal> {
        let request = self.id_element("CALL.Request", RequestId)?;
        let details = self.result_details()?;
        Ok(CallResult {
            request,
            payload: self.payload(transparent(&details.rest))?,
            details,
        })
    }

    pub(super) fn invocation(&mut self) -> Result<Invocation, Refusal> {
        let request = self.id_element("Request", RequestId)?;
        let registration = self.id_element("REGISTERED.Registration", RegistrationId)?;
        let details = self.invocation_details()?;
        Ok(Invocation {
            request,
            registration,
            payload: self.payload(transparent(&details.rest))?,
            details,
        })
    }

    pub(super) fn interrupt(&mut self) -> Result<Interrupt, Refusal> {
        Ok(Interrupt {
            request: self.id_element("INVOCATION.Request", RequestId)?,
            options: self.dict_element("Options")?,
        })
    }

    pub(super) fn yield_message(&mut self) -> Result<Yield, Refusal> {
        let request = self.id_element("INVOCATION.Request", RequestId)?;
        let options = self.yield_options()?;
        Ok(Yield {
            request,
            payload: self.payload(transparent(&options.rest))?,
            options,
        })
    }
}
