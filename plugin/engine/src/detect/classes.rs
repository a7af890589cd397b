//! Values that come again: what all tests of some fields say of one is found out once.
//!
//! The same few users, programs and addresses ask for the same few resources all day. A [`Dimension`] is a group of fields
//! that come together; values of which each test says the same are of one *class*. An event has one class in each
//! dimension, and by these alone most trees are decided; what they decide is kept for the next event with the same
//! classes. (Packet filters do this to look at a header once: recursive flow classification.)
//!
//! What comes again is remembered as [`recent`](crate::recent) says.

use super::compile::{Dimension, Operation, Program};
use super::fields::{AuditField, AuditFields, AuditValue, Few, Found, Reference, Source, View};
use super::gate::Gate;
use crate::buffer::Buffer;
use crate::json::{Raw, mixed};
use crate::recent::{Recent, begin_part, end_part, push_part, split_part};
use crate::record::{Event, Member};
use std::sync::Arc;

/// How many values of a dimension are remembered. A power of two.
const VALUES: usize = 256;

/// How many classes of one dimension are told apart before all is forgotten. Who writes values that fulfil each of its
/// tests or not at will can make two to the power of their number.
const MOST_CLASSES: usize = 255;

/// For how many combinations of classes it is remembered what they decide. A power of two.
const COMBINATIONS: usize = 1024;

/// How many trees and operations may be remembered for all of them together before all is forgotten.
const MOST_REMEMBERED: usize = 64 << 10;

/// From how many tests of a field on it is worth knowing what they say of values that hardly ever come again: most of
/// these are of the class of those that no test is about.
const MANY_TESTS: usize = 64;

/// Fields whose values come together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Together {
    /// What `user` says, and whether its `extra` has a member that is asked for.
    User,
    ImpersonatedUser,
    /// What is asked for, and how that ended.
    Request,
    /// For what kind of thing.
    Kind,
    Namespace,
    /// Hardly ever comes again.
    Name,
    /// Hardly ever comes again.
    RequestUri,
    UserAgent,
    Operator,
    Address,
    /// What [`AuditFields::few`] has.
    Few,
    /// Of commands, those come again that programs run; of those that people do, there are few.
    Exec,
    /// What is known after the rules.
    Findings,
}

impl Together {
    /// With what the values of a field come, if they come again in many events.
    pub(crate) fn of(source: &Source, views: &[View]) -> Option<Self> {
        Some(match source {
            Source::Audit(field) => match field {
                AuditField::Operator => Self::Operator,
                AuditField::SourceIp | AuditField::SourceIps => Self::Address,
                AuditField::OperatorSource
                | AuditField::OperatorType
                | AuditField::SourceScope
                | AuditField::SourceHighRisk
                | AuditField::ResourceClass
                | AuditField::Action
                | AuditField::Outcome
                | AuditField::DryRun => Self::Few,
                AuditField::ExecContainer
                | AuditField::ExecCommand
                | AuditField::ExecStdin
                | AuditField::ExecTty
                | AuditField::ExecPorts
                | AuditField::ExecImage
                | AuditField::ExecCopy => Self::Exec,
                AuditField::Level
                | AuditField::PolicyRule
                | AuditField::Severity
                | AuditField::Rules
                | AuditField::Tags
                | AuditField::Alerts
                | AuditField::AlertRule
                | AuditField::AlertSeverity => Self::Findings,
                AuditField::AlertCount | AuditField::AlertValue | AuditField::Message | AuditField::Error => {
                    return None;
                }
            },
            Source::View(view) => match views.get(*view as usize)? {
                View::Username | View::Uid => Self::User,
                View::ImpersonatedUsername => Self::ImpersonatedUser,
                View::ResponseCode | View::Top(Member::Verb | Member::Stage | Member::Level) => Self::Request,
                View::Top(Member::UserAgent) => Self::UserAgent,
                View::Top(Member::RequestUri) => Self::RequestUri,
                View::Top(_) => return None,
                View::Reference(Reference::Namespace) => Self::Namespace,
                View::Reference(Reference::Name) => Self::Name,
                View::Reference(_) => Self::Kind,
            },
            Source::Groups => Self::User,
            Source::Path(_) | Source::Bare | Source::Keyword => return None,
        })
    }

    /// Whether so many tests are worth putting to each value as a whole.
    pub(crate) fn is_worth(self, tests: usize) -> bool {
        !matches!(self, Self::Name | Self::RequestUri) || tests >= MANY_TESTS
    }
}

/// What is remembered, for one program.
#[derive(Debug)]
pub(crate) struct Classes {
    dimensions: Vec<Known>,
    combinations: Vec<Option<Combination>>,
    /// What values decide that have come together. It goes with the combinations.
    together: Recent<Arc<Decided>>,
    /// How many trees and operations have been remembered for them.
    remembered: usize,
    /// The event's classes, one for each dimension.
    classes: Vec<u16>,
    /// What else [`Combination`] is about: which members the event has.
    members: u16,
    /// Where the combination stands or is to stand.
    place: usize,
    /// Those members, and the event's value in each dimension.
    combined: Buffer,
    /// How these are written down there.
    form: Form,
    /// Room for the values where each is looked at by itself.
    values: Buffer,
}

impl Default for Classes {
    // Out of line: it is long, and wanted where all is forgotten and where values have not come before.
    #[inline(never)]
    fn default() -> Self {
        Self {
            dimensions: Vec::new(),
            combinations: Vec::new(),
            together: Recent::new(COMBINATIONS),
            remembered: 0,
            classes: Vec::new(),
            members: 0,
            place: 0,
            combined: Buffer::default(),
            form: Form::Several,
            values: Buffer::default(),
        }
    }
}

/// What is known of one field's values.
#[derive(Debug)]
struct Known {
    /// The class of each value.
    values: Recent<u16>,
    /// For each class a bit for each of the field's tests.
    classes: Vec<Box<[u64]>>,
}

/// How a value is written down: the same bytes say something else in another form.
#[derive(Debug, Clone, Copy)]
enum Form {
    /// There is no value.
    Absent,
    /// JSON.
    Raw,
    /// The number of a member's value: [`Event::number`].
    Number,
    /// What [`AuditFields::few`] gives.
    Few,
    /// Values of several fields, one after the other.
    Several,
}

/// What a program asks for that follows from numbers where most events have them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AskedByNumber {
    user_agent: bool,
    address: bool,
}

impl AskedByNumber {
    /// What a program's dimensions ask for, if they ask for nothing else.
    pub(crate) fn of(program: &Program) -> Option<Self> {
        let mut asked = Self { user_agent: false, address: false };
        let is_level = |&field: &u32| match program.field(field).map(|field| &field.source) {
            Some(&Source::View(view)) => program.view(view) == Some(View::Top(Member::Level)),
            _ => false,
        };
        for dimension in &program.dimensions {
            match dimension.together {
                Together::User
                | Together::ImpersonatedUser
                | Together::Kind
                | Together::Namespace
                | Together::Operator
                | Together::Few
                | Together::Exec => {}
                Together::UserAgent => asked.user_agent = true,
                Together::Address => asked.address = true,
                Together::Request if !dimension.fields.iter().any(is_level) => {}
                Together::Request | Together::Name | Together::RequestUri | Together::Findings => {
                    return None;
                }
            }
        }
        Some(asked)
    }
}

/// What all values of an event follow from but `stage`, where they have numbers as in most events: without impersonation or
/// a command.
#[inline(always)]
fn numbers(event: &Event<'_>, few: Option<Few>, members: u16, asked: AskedByNumber) -> Option<[u64; 5]> {
    let few = few.filter(|few| !few.has_exec && few.operator == Some(Member::User))?;
    let request = event.request?;
    if event.impersonated_user.is_some() {
        return None;
    }
    let [c1, c2, c3] = match event.raw_response_code() {
        Some(code) => *<&[u8; 3]>::try_from(code.0).ok()?,
        None => [0; 3],
    };
    let code = u32::from_le_bytes([c1, c2, c3, 0]);
    let [values @ .., last] = few.values;
    Some([
        u64::from(members) << 32 | u64::from(last) << 48 | u64::from(code),
        request.into(),
        u64::from_le_bytes(values),
        if asked.user_agent { event.number(Member::UserAgent)? } else { 0 },
        if asked.address { event.number(Member::SourceIps)? } else { 0 },
    ])
}

/// What the classes of an event decide.
#[derive(Debug)]
struct Combination {
    classes: Box<[u16]>,
    members: u16,
    decided: Arc<Decided>,
}

/// What is decided of the trees.
#[derive(Debug)]
pub(crate) struct Decided {
    /// The members that an event of these classes has.
    pub(crate) members: u16,
    /// The trees that hold.
    pub(crate) holding: Box<[u32]>,
    /// Those that depend on what does not come again.
    pub(crate) undecided: Box<[Undecided]>,
    /// What events have to have for the last of those to hold, if that is known, and how many come before them.
    pub(crate) gate: Option<(Gate, usize)>,
}

/// A tree that is not decided.
#[derive(Debug)]
pub(crate) struct Undecided {
    pub(crate) tree: u32,
    /// The operations of it that are left.
    pub(crate) operations: Box<[Operation]>,
    /// The stages in which there is anything to be found out for them, a bit for each: in others, nothing is decided.
    pub(crate) stages: u8,
}

impl Decided {
    /// How many of the undecided trees, from the first, an event may fulfil.
    #[inline(always)]
    pub(crate) fn open(&self, program: &Program, event: &Event<'_>) -> usize {
        match self.gate {
            Some((gate, before)) if !gate.is_open(program, event) => before,
            _ => self.undecided.len(),
        }
    }
}

/// Where the answer to a test stands: the dimension and the bit.
pub(crate) type Place = Option<(u32, u32)>;

impl Classes {
    /// Forgets everything, for another program.
    pub(crate) fn begin(&mut self, program: &Program) {
        *self = Self::default();
        self.dimensions.resize_with(program.dimensions.len(), Known::new);
        self.combinations.resize_with(COMBINATIONS, || None);
    }

    /// What the values of an event decide, if they have come together before. `members` says which members it has.
    pub(crate) fn gather(
        &mut self,
        program: &Program,
        event: &Event<'_>,
        audit: &dyn AuditFields,
        members: u16,
    ) -> Option<Arc<Decided>> {
        self.members = members;
        self.combined.clear();
        match program.asked_by_number.and_then(|asked| numbers(event, audit.few(), members, asked)) {
            Some(numbers) => {
                self.form = Form::Number;
                self.combined.push_numbers(numbers, event.get(Member::Stage).unwrap_or(Raw(b"")).0);
            }
            None => {
                self.form = Form::Several;
                let request = event.request.unwrap_or_default();
                self.combined.push_both(members.to_le_bytes(), &request.to_le_bytes());
                combine(program, event, audit, request != 0, &mut self.combined);
            }
        }
        self.together.get(self.form as u8, self.combined.bytes())
    }

    /// Finds the classes of the event's values. `test` says whether a test holds, or for [`NONE`] whether `user.extra` has
    /// what is asked for.
    pub(crate) fn classify(
        &mut self,
        program: &Program,
        event: &Event<'_>,
        audit: &dyn AuditFields,
        test: &mut dyn FnMut(u32) -> bool,
    ) {
        let mut values = std::mem::take(&mut self.values);
        values.clear();
        combine(program, event, audit, false, &mut values);
        let mut values_left = values.bytes();
        self.classes.clear();
        let mut hash = u64::from(self.members);
        for (at, dimension) in program.dimensions.iter().enumerate() {
            let (value, rest) = split_part(values_left);
            values_left = rest;
            let class = self.class(at, value, dimension, test);
            self.classes.push(class);
            hash = mixed(hash, u64::from(class));
        }
        self.values = values;
        self.place = (hash ^ hash >> 32) as usize & (COMBINATIONS - 1);
    }

    /// What the classes of the last event decide, if that is known.
    pub(crate) fn decided(&mut self) -> Option<Arc<Decided>> {
        // Two combinations that are in each other's way have a place each.
        let decided = [self.place, self.place ^ 1].into_iter().find_map(|place| {
            let combination = self.combinations.get(place)?.as_ref()?;
            let known = combination.members == self.members && combination.classes[..] == self.classes[..];
            known.then(|| Arc::clone(&combination.decided))
        })?;
        self.together.put(self.form as u8, self.combined.bytes(), Arc::clone(&decided));
        Some(decided)
    }

    /// Remembers what the classes of the last event decide.
    pub(crate) fn remember(&mut self, decided: Arc<Decided>) {
        let operations = decided.undecided.iter().map(|undecided| 1 + undecided.operations.len());
        self.remembered += decided.holding.len() + operations.sum::<usize>();
        if self.remembered > MOST_REMEMBERED {
            self.forget_combinations();
        }
        self.together.put(self.form as u8, self.combined.bytes(), Arc::clone(&decided));
        self.combinations.swap(self.place, self.place ^ 1);
        if let Some(combination) = self.combinations.get_mut(self.place) {
            let classes = self.classes.as_slice().into();
            *combination = Some(Combination { classes, members: self.members, decided });
        }
    }

    fn forget_combinations(&mut self) {
        self.combinations.iter_mut().for_each(|combination| *combination = None);
        self.together = Recent::new(COMBINATIONS);
        self.remembered = 0;
    }

    /// Whether a test holds by the classes of the last event, if it is of a field that has any.
    #[inline]
    pub(crate) fn answer(&self, place: Place) -> Option<bool> {
        let (dimension, bit) = place?;
        let class = *self.classes.get(dimension as usize)?;
        let bits = self.dimensions.get(dimension as usize)?.classes.get(usize::from(class))?;
        bits.get(bit as usize / 64).map(|word| word >> (bit % 64) & 1 == 1)
    }

    /// The class of the event's value in a dimension.
    fn class(
        &mut self,
        at: usize,
        value: &[u8],
        dimension: &Dimension,
        test: &mut dyn FnMut(u32) -> bool,
    ) -> u16 {
        let Some(known) = self.dimensions.get_mut(at) else { return 0 };
        if let Some(class) = known.values.get(0, value) {
            return class;
        }
        let mut bits = vec![0u64; dimension.predicates.len().div_ceil(64)].into_boxed_slice();
        for (bit, &predicate) in dimension.predicates.iter().enumerate() {
            if test(predicate)
                && let Some(word) = bits.get_mut(bit / 64)
            {
                *word |= 1 << (bit % 64);
            }
        }
        let known_class = known.classes.iter().position(|class| *class == bits);
        let too_many = known_class.is_none() && known.classes.len() == MOST_CLASSES;
        if too_many {
            *known = Known::new();
        }
        let class = known_class.unwrap_or_else(|| {
            known.classes.push(bits);
            known.classes.len() - 1
        });
        let class = u16::try_from(class).unwrap_or_default();
        known.values.put(0, value, class);
        if too_many {
            self.forget_combinations();
        }
        class
    }
}

impl Known {
    fn new() -> Self {
        Self { values: Recent::new(VALUES), classes: Vec::new() }
    }
}

/// Appends the event's value in each dimension, such that no other values look the same; with `request` without those that
/// follow from [`Event::request`].
#[inline(never)]
fn combine(program: &Program, event: &Event<'_>, audit: &dyn AuditFields, request: bool, out: &mut Buffer) {
    let few = audit.few();
    for dimension in &program.dimensions {
        let follows = match dimension.together {
            Together::User | Together::Kind | Together::Namespace => true,
            Together::Operator => few.is_some_and(|few| few.operator == Some(Member::User)),
            _ => false,
        };
        if !(request && follows) {
            let start = out.len();
            begin_part(out);
            let form = dimension.push_value(program, event, audit, few, out);
            end_part(out, start, form as u8);
        }
    }
}

impl Dimension {
    /// Appends the event's value as it is written.
    #[inline(always)]
    fn push_value(
        &self,
        program: &Program,
        event: &Event<'_>,
        audit: &dyn AuditFields,
        few: Option<Few>,
        out: &mut Buffer,
    ) -> Form {
        let member = match self.together {
            Together::User => Some(Member::User),
            Together::ImpersonatedUser => Some(Member::ImpersonatedUser),
            Together::UserAgent => Some(Member::UserAgent),
            // What follows from a value that has a number.
            Together::Address if few.is_some() => Some(Member::SourceIps),
            Together::Operator => few.and_then(|few| few.operator),
            _ => None,
        };
        if let Some(member) = member {
            if let Some(number) = event.number(member) {
                out.push(&number.to_le_bytes());
                return Form::Number;
            }
            if matches!(self.together, Together::User | Together::ImpersonatedUser | Together::UserAgent) {
                let Some(raw) = event.get(member) else { return Form::Absent };
                out.push(raw.0);
                return Form::Raw;
            }
        }
        match (self.together, few) {
            (Together::Exec, Some(few)) if !few.has_exec => return Form::Absent,
            (Together::Few, Some(few)) => {
                out.push(&few.values);
                return Form::Few;
            }
            _ => {}
        }
        for &field in &self.fields {
            match program.field(field).map(|field| &field.source) {
                Some(Source::Audit(field)) => {
                    audit.values(*field, &mut |value| match value {
                        AuditValue::Text(text) => push_part(out, b't', text),
                        AuditValue::Integer(number) => push_part(out, b'i', &number.to_le_bytes()),
                        AuditValue::Bool(value) => push_part(out, b'b', &[u8::from(value)]),
                    });
                    out.push(b".");
                }
                Some(&Source::View(view)) => match program.view(view).and_then(|view| view.value(event)) {
                    Some(Found::Text(text)) => push_part(out, b't', text.raw()),
                    Some(Found::Raw(raw)) => push_part(out, b'r', raw.0),
                    None => out.push(b"-"),
                },
                _ => {}
            }
        }
        Form::Several
    }
}
