//! Copies of publications that are kept.

use bytestring::ByteString;

use super::filter;
use crate::detached::{dict, dict_cost, payload, text};
use crate::options::Receivers;
use crate::peer::Publication;

/// The same publication in memory of its own, its lists of receivers [sorted](filter::sort).
pub(crate) fn detached(publication: &Publication) -> Publication {
    Publication {
        realm: publication.realm,
        topic: text(&publication.topic),
        publication: publication.publication,
        publisher: publication.publisher.clone(),
        trustlevel: publication.trustlevel,
        receivers: publication
            .receivers
            .as_deref()
            .map(|lists| Box::new(receivers(lists))),
        retain: publication.retain,
        rest: dict(&publication.rest),
        payload: payload(&publication.payload),
    }
}

/// Bytes that a publication holds, about.
pub(crate) fn cost(publication: &Publication) -> usize {
    /// The publication itself, its entries in the indexes, its strings' and lists' own headers.
    const FIXED: usize = 384;
    let lists = publication.receivers.as_deref().map_or(0, |lists| {
        let ids = |list: &Option<Vec<_>>| list.as_ref().map_or(0, |list| 8 * list.len());
        let names = |list: &Option<Vec<ByteString>>| {
            list.iter()
                .flatten()
                .map(|name| size_of::<ByteString>() + name.len())
                .sum::<usize>()
        };
        size_of::<Receivers>()
            + ids(&lists.eligible)
            + ids(&lists.exclude)
            + names(&lists.eligible_authid)
            + names(&lists.eligible_authrole)
            + names(&lists.exclude_authid)
            + names(&lists.exclude_authrole)
    });
    FIXED + 2 * publication.topic.len() + publication.payload.len() + lists + dict_cost(&publication.rest)
}

fn receivers(lists: &Receivers) -> Receivers {
    let names = |list: &Option<Vec<ByteString>>| list.as_ref().map(|list| list.iter().map(text).collect());
    let mut copy = Receivers {
        eligible: lists.eligible.clone(),
        eligible_authid: names(&lists.eligible_authid),
        eligible_authrole: names(&lists.eligible_authrole),
        exclude: lists.exclude.clone(),
        exclude_authid: names(&lists.exclude_authid),
        exclude_authrole: names(&lists.exclude_authrole),
    };
    filter::sort(&mut copy);
    copy
}
