//! The mesh: one queue for each ordered pair of shards. What one shard posts to another arrives in order; what
//! arrives of which pair next is the scheduler's choice. A [`Fault`] breaks this on purpose.

use std::collections::{BTreeSet, VecDeque};

use crosspoint_core::ids::ShardId;
use crosspoint_core::peer::{Grant, PeerMessage, Token};
use fastrand::Rng;

use crate::plan::Fault;

/// One message in a mailbox, with its sender and receiver.
pub(crate) type Delivery = (ShardId, ShardId, PeerMessage);

/// All mailboxes.
pub(crate) struct Mail {
    shards: u16,
    /// By sender, then receiver.
    pairs: Vec<VecDeque<PeerMessage>>,
    slow: Vec<bool>,
    waiting: usize,
    fault: Option<Fault>,
    /// Acknowledgements that [`Fault::EarlyAcks`] sent ahead: who gives them to whom for what.
    sent_ahead: BTreeSet<(ShardId, ShardId, Token)>,
    rng: Rng,
}

impl Mail {
    /// Of 100 mailboxes `slow` are often left waiting.
    pub(crate) fn new(shards: u16, slow: u32, fault: Option<Fault>, mut rng: Rng) -> Self {
        let count = usize::from(shards) * usize::from(shards);
        Self {
            shards,
            pairs: (0..count).map(|_| VecDeque::new()).collect(),
            slow: (0..count).map(|_| rng.u32(..100) < slow).collect(),
            waiting: 0,
            fault,
            sent_ahead: BTreeSet::new(),
            rng,
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.waiting == 0
    }

    pub(crate) fn post(&mut self, from: ShardId, to: ShardId, message: PeerMessage) {
        if self.fault == Some(Fault::EarlyAcks) {
            if let PeerMessage::Ack { token } = message
                && self.sent_ahead.remove(&(from, to, token))
            {
                return;
            }
            if let Some(grant) = grant_of(&message).filter(|grant| grant.to != to) {
                self.sent_ahead.insert((to, grant.to, grant.token));
                self.push(to, grant.to, PeerMessage::Ack { token: grant.token });
            }
        }
        match (self.fault, &message) {
            (Some(Fault::LosePublications), PeerMessage::Publication(_))
            | (Some(Fault::LoseRecords), PeerMessage::Record(_))
            | (Some(Fault::LoseReplies), PeerMessage::Reply(_))
            | (Some(Fault::LoseCancels), PeerMessage::Cancel { .. })
                if self.rng.u32(..4) == 0 =>
            {
                return;
            }
            (Some(Fault::RepeatPublications), PeerMessage::Publication(_)) if self.rng.u32(..4) == 0 => {
                self.push(from, to, message.clone());
            }
            _ => {}
        }
        self.push(from, to, message);
    }

    fn push(&mut self, from: ShardId, to: ShardId, message: PeerMessage) {
        let pair = usize::from(from.0) * usize::from(self.shards) + usize::from(to.0);
        self.pairs[pair].push_back(message);
        self.waiting += 1;
    }

    /// The next message of a mailbox drawn at random; none if that one is slow and `patient` is not set.
    pub(crate) fn take(&mut self, rng: &mut Rng, patient: bool) -> Option<Delivery> {
        let count = self.pairs.len();
        let start = rng.usize(..count);
        if self.is_empty() {
            return None;
        }
        let pair = (start..count)
            .chain(0..start)
            .find(|pair| !self.pairs[*pair].is_empty())?;
        if self.slow[pair] && !patient && rng.u32(..8) > 0 {
            return None;
        }
        let queue = &mut self.pairs[pair];
        let place = match self.fault {
            Some(Fault::ReorderWithinPair) => self.rng.usize(..queue.len()),
            _ => 0,
        };
        let message = queue.remove(place)?;
        self.waiting -= 1;
        let shards = usize::from(self.shards);
        let shard = |place: usize| ShardId(place as u16);
        Some((shard(pair / shards), shard(pair % shards), message))
    }
}

/// Who waits for all shards to know an announcement.
fn grant_of(message: &PeerMessage) -> Option<Grant> {
    match message {
        PeerMessage::Interest(interest) => interest.grant.map(|grant| grant.grant),
        PeerMessage::Procedure { grant, .. } => *grant,
        _ => None,
    }
}
