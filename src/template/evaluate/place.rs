//! Where a step of a path can lead: into the variables, to an item of a loop, or to what a loop says of its round.

use std::{borrow::Cow, sync::Arc};

use super::{
    super::{
        json::Json,
        symbol::Word,
        tree::{NodeId, Own, Tree},
        variables::Variables,
    },
    Context,
};

/// One round of a loop.
pub(super) struct Round<'v> {
    /// The loop's variable, as names compare.
    pub(super) name: Box<str>,
    pub(super) item: Place<'v>,
    pub(super) index: usize,
    pub(super) is_last: bool,
}

/// What is known of a round: `Octopus.Template.Each.Index`, `.First` and `.Last`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Each {
    index: usize,
    is_last: bool,
    /// How many of the names before the last were gone through.
    level: usize,
}

const EACH: [&str; 3] = ["OCTOPUS", "TEMPLATE", "EACH"];

/// A place that a path leads to.
#[derive(Clone)]
pub(super) enum Place<'v> {
    /// Of the variables.
    Node(NodeId),
    /// A text.
    Text(Cow<'v, str>),
    /// An array or an object within a variable's value.
    Json(&'v Json),
    /// A property of a JSON object: its name, with `.Key` and `.Value`.
    Property(Arc<(String, String)>),
    /// On the way to what is known of a round.
    Each(Each),
}

/// The value of a place, not yet evaluated.
pub(super) enum Value<'v> {
    Nothing,
    /// That of the variable at this place of the set.
    Variable(usize),
    Text(Cow<'v, str>),
}

impl<'v> Place<'v> {
    pub(super) fn of(text: impl Into<Cow<'v, str>>) -> Self {
        Self::Text(text.into())
    }

    /// Where the first name of a path leads from here.
    pub(super) fn first(word: Word<'_>, context: &Context<'_, 'v>, tree: &Tree) -> Option<Self> {
        let Some((_, round)) = &context.around else { return tree.name(Tree::ROOT, word).map(Self::Node) };
        if *word.folded == *round.name {
            return Some(round.item.clone());
        }
        let each = Each { index: round.index, is_last: round.is_last, level: 1 };
        (word.folded == EACH[0]).then_some(Self::Each(each))
    }

    /// Where a name leads from here.
    pub(super) fn name(&self, word: Word<'_>, tree: &Tree) -> Option<Self> {
        match self {
            Self::Node(node) => tree.name(*node, word).map(Self::Node),
            Self::Text(_) | Self::Json(_) => None,
            Self::Property(property) => match word.folded {
                "KEY" => Some(Self::of(property.0.clone())),
                "VALUE" => Some(Self::of(property.1.clone())),
                _ => None,
            },
            Self::Each(each) => match (EACH.get(each.level), word.folded) {
                (Some(expected), found) => {
                    (*expected == found).then_some(Self::Each(Each { level: each.level + 1, ..*each }))
                }
                (None, "INDEX") => Some(Self::of(each.index.to_string())),
                (None, "FIRST") => Some(Self::of(if each.index == 0 { "True" } else { "False" })),
                (None, "LAST") => Some(Self::of(if each.is_last { "True" } else { "False" })),
                (None, _) => None,
            },
        }
    }

    /// Where an index leads from here; `*` leads to the first.
    pub(super) fn index(&self, word: Word<'_>, tree: &Tree) -> Option<Self> {
        let Self::Node(node) = self else { return None };
        let first = if word.text == "*" { tree.indexed(*node).first().copied() } else { None };
        first.or_else(|| tree.index(*node, word)).map(Self::Node)
    }

    /// Its value when that is JSON which nothing can change.
    pub(super) fn json(&self, tree: &Tree, variables: &'v Variables) -> Option<&'v Json> {
        match self {
            Self::Json(json) => Some(json),
            Self::Node(node) => match tree.own(*node) {
                Own::Variable(place) => variables.json(*place),
                Own::Nothing | Own::Index(_) => None,
            },
            Self::Text(_) | Self::Property(_) | Self::Each(_) => None,
        }
    }

    /// Whether its value must not be shown, not even the tokens in it: they may be part of a password.
    pub(super) fn is_sensitive(&self, tree: &Tree, variables: &Variables) -> bool {
        matches!(self, Self::Node(node) if matches!(tree.own(*node), Own::Variable(place) if variables.is_sensitive(*place)))
    }

    /// The value of its own.
    pub(super) fn value(&self, tree: &'v Tree) -> Value<'v> {
        match self {
            Self::Node(node) => match tree.own(*node) {
                Own::Nothing => Value::Nothing,
                Own::Variable(place) => Value::Variable(*place),
                Own::Index(index) => Value::Text(Cow::Borrowed(index)),
            },
            Self::Text(text) => Value::Text(text.clone()),
            Self::Json(json) => Value::Text(json.text().into()),
            Self::Property(property) => Value::Text(property.0.clone().into()),
            Self::Each(_) => Value::Nothing,
        }
    }
}
