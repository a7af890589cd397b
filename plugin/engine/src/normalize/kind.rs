//! What follows from the kind of a request alone, whichever object it is about: it is worked out once.

use super::classify::{Action, ResourceClass, Subresource, Verb};
use super::message::{is_word, singular};
use super::{OperatorType, Settings};
use crate::record::{ByRequest, Event, Member, ObjectRef};

/// What follows from who wants what done to which kind of thing, in which namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Kind {
    pub(super) verb: Verb,
    pub(super) subresource: Subresource,
    pub(super) class: ResourceClass,
    pub(super) action: Action,
    /// The kind of operator that the authenticated user is.
    pub(super) user_type: OperatorType,
    /// Whether several people share the user's account.
    pub(super) is_shared: bool,
    pub(super) words: Words,
}

/// What the line for a person may take as it stands in the event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Words {
    /// The name of the authenticated user.
    pub(super) user: bool,
    /// `subresource`
    pub(super) subresource: bool,
    /// `namespace`
    pub(super) namespace: bool,
    /// `resource`: so many of its bytes, and then a y if that is so, are its singular.
    pub(super) resource: Option<(u16, bool)>,
}

impl Kind {
    fn of(event: &Event<'_>, settings: &Settings) -> Self {
        let verb = Verb::of(event.text(Member::Verb).unwrap_or_default());
        let reference = event.object_ref.unwrap_or_default();
        let subresource = Subresource::of(reference.subresource);
        let (group, resource) = (reference.api_group.decode(), reference.resource.decode());
        let user = event.user.username.decode();
        Self {
            verb,
            subresource,
            class: match event.object_ref {
                None => ResourceClass::NonResource,
                Some(_) => ResourceClass::of(&group, &resource),
            },
            action: Action::of(verb, &group, &resource, subresource),
            user_type: OperatorType::of(&user),
            is_shared: settings.shared_accounts.iter().any(|account| account.as_bytes() == &*user),
            words: Words::of(event, &reference),
        }
    }
}

impl Words {
    fn of(event: &Event<'_>, reference: &ObjectRef<'_>) -> Self {
        let plural = reference.resource.raw();
        let (stem, ending) = singular(plural);
        let length = u16::try_from(stem.len()).ok().filter(|&length| length > 0 && is_word(plural));
        Self {
            user: is_word(event.user.username.raw()),
            subresource: is_word(reference.subresource.raw()),
            namespace: is_word(reference.namespace.raw()),
            resource: length.map(|length| (length, !ending.is_empty())),
        }
    }
}

/// What follows from kinds of request that have come before, for one [`Settings`].
pub(super) type Kinds = ByRequest<Kind>;

impl Kinds {
    /// What follows from the kind of an event's request.
    pub(super) fn of(&mut self, event: &Event<'_>, settings: &Settings) -> Kind {
        let Some(number) = event.request else { return Kind::of(event, settings) };
        if let Some(kind) = self.get(number) {
            return *kind;
        }
        let kind = Kind::of(event, settings);
        self.put(number, kind);
        kind
    }
}
