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
pub(super) struct Place<'v> {
    at: At<'v>,
    /// Whether it was taken out of a sensitive value.
    is_secret: bool,
}

#[derive(Clone)]
enum At<'v> {
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
    /// Of the variables.
    pub(super) fn node(node: NodeId) -> Self {
        Self { at: At::Node(node), is_secret: false }
    }

    /// A text, and whether it was taken out of a sensitive value.
    pub(super) fn text(text: impl Into<Cow<'v, str>>, is_secret: bool) -> Self {
        Self { at: At::Text(text.into()), is_secret }
    }

    /// What is within a variable's value that is JSON.
    pub(super) fn inner(json: &'v Json, is_secret: bool) -> Self {
        match json {
            Json::Array(_) | Json::Object(_) => Self { at: At::Json(json), is_secret },
            scalar => Self::text(scalar.text(), is_secret),
        }
    }

    /// A property that a loop has come to.
    pub(super) fn property(name: String, value: String, is_secret: bool) -> Self {
        Self { at: At::Property(Arc::new((name, value))), is_secret }
    }

    /// Where the first name of a path leads from here.
    pub(super) fn first(word: Word<'_>, context: &Context<'_, 'v>, tree: &Tree) -> Option<Self> {
        let Some((_, round)) = &context.around else { return tree.name(Tree::ROOT, word).map(Self::node) };
        if *word.folded == *round.name {
            return Some(round.item.clone());
        }
        let each = Each { index: round.index, is_last: round.is_last, level: 1 };
        (word.folded == EACH[0]).then_some(Self { at: At::Each(each), is_secret: false })
    }

    /// Where a name leads from here.
    pub(super) fn name(&self, word: Word<'_>, tree: &Tree) -> Option<Self> {
        let known = |text: &'static str| Some(Self::text(text, false));
        match &self.at {
            At::Node(node) => tree.name(*node, word).map(Self::node),
            At::Text(_) | At::Json(_) => None,
            At::Property(property) => match word.folded {
                "KEY" => Some(Self::text(property.0.clone(), self.is_secret)),
                "VALUE" => Some(Self::text(property.1.clone(), self.is_secret)),
                _ => None,
            },
            At::Each(each) => match (EACH.get(each.level), word.folded) {
                (Some(expected), found) => {
                    let next = Each { level: each.level + 1, ..*each };
                    (*expected == found).then_some(Self { at: At::Each(next), is_secret: false })
                }
                (None, "INDEX") => Some(Self::text(each.index.to_string(), false)),
                (None, "FIRST") => known(if each.index == 0 { "True" } else { "False" }),
                (None, "LAST") => known(if each.is_last { "True" } else { "False" }),
                (None, _) => None,
            },
        }
    }

    /// Where an index leads from here; `*` leads to the first.
    pub(super) fn index(&self, word: Word<'_>, tree: &Tree) -> Option<Self> {
        let At::Node(node) = self.at else { return None };
        let first = if word.text == "*" { tree.indexed(node).first().copied() } else { None };
        first.or_else(|| tree.index(node, word)).map(Self::node)
    }

    /// What stands below it by indexes.
    pub(super) fn indexed<'t>(&self, tree: &'t Tree) -> &'t [NodeId] {
        match self.at {
            At::Node(node) => tree.indexed(node),
            _ => &[],
        }
    }

    /// Its value when that is JSON which nothing can change.
    pub(super) fn json(&self, tree: &Tree, variables: &'v Variables) -> Option<&'v Json> {
        match self.at {
            At::Json(json) => Some(json),
            At::Node(node) => match tree.own(node) {
                Own::Variable(place) => variables.json(place),
                Own::Nothing | Own::Index => None,
            },
            At::Text(_) | At::Property(_) | At::Each(_) => None,
        }
    }

    /// Whether its value must not be shown, not even the tokens in it: they may be part of a password.
    pub(super) fn is_sensitive(&self, tree: &Tree, variables: &Variables) -> bool {
        self.is_secret
            || matches!(self.at, At::Node(node)
                if matches!(tree.own(node), Own::Variable(place) if variables.is_sensitive(place)))
    }

    /// The value of its own.
    pub(super) fn value(&self, tree: &'v Tree) -> Value<'v> {
        match &self.at {
            At::Node(node) => match tree.own(*node) {
                Own::Nothing => Value::Nothing,
                Own::Variable(place) => Value::Variable(place),
                Own::Index => Value::Text(Cow::Borrowed(tree.written(*node))),
            },
            At::Text(text) => Value::Text(text.clone()),
            At::Json(json) => Value::Text(json.text().into()),
            At::Property(property) => Value::Text(property.0.clone().into()),
            At::Each(_) => Value::Nothing,
        }
    }
}
