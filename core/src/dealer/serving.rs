//! What one session serves as a callee, and what it has asked to serve.

use ahash::{HashMap, RandomState};
use smallvec::SmallVec;

use super::Incarnation;
use crate::ids::RegistrationId;
use crate::options::MatchPolicy;
use crate::pattern::PatternMap;
use crate::peer::{Key, Token};

/// The registrations of one session; nothing of most.
#[derive(Debug, Default)]
pub(crate) struct Serving(Option<Box<Inner>>);

#[derive(Debug)]
struct Inner {
    held: HashMap<RegistrationId, Registration>,
    /// Set while REGISTERs wait for their grant.
    asked: Option<Box<Asked>>,
    /// Of the URIs of all of both.
    uri_bytes: usize,
    /// How many of both are for wildcards.
    wildcards: usize,
}

/// The REGISTERs that wait for their grant.
#[derive(Debug)]
struct Asked {
    by_key: PatternMap<SmallVec<[Token; 1]>>,
    count: usize,
}

/// A registration that a session has.
#[derive(Clone, Debug)]
pub(crate) struct Registration {
    pub(crate) key: Key,
    pub(crate) incarnation: Incarnation,
}

impl Serving {
    /// How many registrations there are and are asked for.
    pub(crate) fn len(&self) -> usize {
        let asked = self.asked().map_or(0, |asked| asked.count);
        self.0.as_ref().map_or(0, |inner| inner.held.len()) + asked
    }

    /// Bytes of the URIs of all that are there and are asked for.
    pub(crate) fn uri_bytes(&self) -> usize {
        self.0.as_ref().map_or(0, |inner| inner.uri_bytes)
    }

    /// How many of them are wildcards.
    pub(crate) fn wildcards(&self) -> usize {
        self.0.as_ref().map_or(0, |inner| inner.wildcards)
    }

    pub(crate) fn get(&self, id: RegistrationId) -> Option<&Registration> {
        self.0.as_ref()?.held.get(&id)
    }

    /// Takes note of a REGISTER that waits for its grant.
    pub(super) fn ask(&mut self, key: &Key, token: Token, hasher: &RandomState) {
        let inner = self.inner(hasher);
        inner.uri_bytes += key.uri.len();
        inner.wildcards += wildcards(key);
        let asked = inner.asked.get_or_insert_with(|| {
            Box::new(Asked {
                by_key: PatternMap::new(hasher.clone()),
                count: 0,
            })
        });
        asked.count += 1;
        match asked.by_key.get_mut(key.policy, &key.uri) {
            Some(tokens) => tokens.push(token),
            None => {
                let tokens = SmallVec::from_buf([token]);
                asked.by_key.insert(key.policy, key.uri.clone(), tokens);
            }
        }
    }

    /// A REGISTER is granted or refused.
    pub(super) fn end_asking(&mut self, key: &Key, token: Token) {
        let Some(inner) = &mut self.0 else {
            return;
        };
        let Some(asked) = &mut inner.asked else {
            return;
        };
        let Some(tokens) = asked.by_key.get_mut(key.policy, &key.uri) else {
            return;
        };
        let before = tokens.len();
        tokens.retain(|other| *other != token);
        let gone = before - tokens.len();
        if tokens.is_empty() {
            asked.by_key.remove(key.policy, &key.uri);
        }
        asked.count -= gone;
        inner.uri_bytes -= gone * key.uri.len();
        inner.wildcards -= gone * wildcards(key);
        if asked.count == 0 {
            inner.asked = None;
        }
    }

    /// The REGISTERs for exactly this key that wait for their grant.
    pub(super) fn asked_for(&self, key: &Key) -> &[Token] {
        let tokens = self
            .asked()
            .and_then(|asked| asked.by_key.get(key.policy, &key.uri));
        tokens.map_or(&[], |tokens| tokens)
    }

    /// All REGISTERs that wait for their grant.
    pub(super) fn all_asked(&self) -> impl Iterator<Item = Token> {
        let all = self.asked().into_iter().flat_map(|asked| asked.by_key.iter());
        all.flat_map(|found| found.value.iter().copied())
    }

    /// Whether a registration that would get calls of this procedure waits for its grant.
    pub(super) fn waits_for(&self, procedure: &str) -> bool {
        self.asked()
            .is_some_and(|asked| asked.by_key.best(procedure).is_some())
    }

    /// The session has a registration.
    pub(super) fn insert(&mut self, id: RegistrationId, registration: Registration, hasher: &RandomState) {
        let inner = self.inner(hasher);
        inner.uri_bytes += registration.key.uri.len();
        inner.wildcards += wildcards(&registration.key);
        if let Some(before) = inner.held.insert(id, registration) {
            inner.uri_bytes -= before.key.uri.len();
            inner.wildcards -= wildcards(&before.key);
        }
    }

    /// The session does not have a registration any more.
    pub(super) fn remove(&mut self, id: RegistrationId) -> Option<Registration> {
        let inner = self.0.as_mut()?;
        let registration = inner.held.remove(&id)?;
        inner.uri_bytes -= registration.key.uri.len();
        inner.wildcards -= wildcards(&registration.key);
        Some(registration)
    }

    /// All registrations by id: in an order that is the same in each run.
    pub(super) fn into_sorted(self) -> Vec<(RegistrationId, Registration)> {
        let mut all: Vec<_> = self.0.into_iter().flat_map(|inner| inner.held).collect();
        all.sort_unstable_by_key(|(id, _)| *id);
        all
    }

    fn asked(&self) -> Option<&Asked> {
        self.0.as_ref()?.asked.as_deref()
    }

    fn inner(&mut self, hasher: &RandomState) -> &mut Inner {
        self.0.get_or_insert_with(|| {
            Box::new(Inner {
                held: HashMap::with_hasher(hasher.clone()),
                asked: None,
                uri_bytes: 0,
                wildcards: 0,
            })
        })
    }
}

/// For how many wildcards a key counts.
fn wildcards(key: &Key) -> usize {
    usize::from(key.policy == MatchPolicy::Wildcard)
}
