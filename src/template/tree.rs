//! The names of a set of variables, laid out as a tree of paths.

use std::collections::HashMap;

use super::{
    parser::parse_path,
    symbol::{Step, Symbol, Word},
};

/// Where a path of the tree ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NodeId(usize);

/// The value that a node has of its own.
#[derive(Debug, Clone)]
pub(super) enum Own {
    /// None: it only lies on the way to others.
    Nothing,
    /// The variable of this place in the set.
    Variable(usize),
    /// Its own index: so a loop's variable prints what it stands for.
    Index(Box<str>),
}

#[derive(Debug, Clone)]
struct Node {
    own: Own,
    /// Most nodes have none.
    children: Option<Box<Children>>,
}

#[derive(Debug, Clone, Default)]
struct Children {
    names: HashMap<Box<str>, NodeId>,
    indexes: HashMap<Box<str>, NodeId>,
    /// Those of `indexes`, in the order in which they were made.
    in_order: Vec<NodeId>,
}

/// All paths. The nodes lie in one list, so that no depth of names is too deep.
#[derive(Debug, Clone)]
pub(super) struct Tree {
    nodes: Vec<Node>,
}

impl Tree {
    /// Where all paths begin.
    pub(super) const ROOT: NodeId = NodeId(0);

    /// Lays out names. One that does not begin with a path is left out: no template can refer to it.
    pub(super) fn new<'n>(names: impl ExactSizeIterator<Item = &'n str>) -> Self {
        let mut nodes = Vec::with_capacity(names.len() + 1);
        nodes.push(Node { own: Own::Nothing, children: None });
        let mut tree = Self { nodes };
        for (place, name) in names.enumerate() {
            if let Some(symbol) = parse_path(name) {
                tree.add(&symbol, place);
            }
        }
        tree
    }

    fn add(&mut self, symbol: &Symbol, place: usize) {
        if symbol.has_look_ups() {
            return;
        }
        let mut at = Self::ROOT;
        for step in symbol.steps() {
            at = match step {
                Step::Name { word, .. } => self.name(at, word).unwrap_or_else(|| {
                    let new = self.push(Own::Nothing);
                    self.children(at).names.insert(word.folded.into(), new);
                    new
                }),
                Step::Index { word, .. } => self.index(at, word).unwrap_or_else(|| {
                    let new = self.push(Own::Index(word.text.into()));
                    let children = self.children(at);
                    children.indexes.insert(word.folded.into(), new);
                    children.in_order.push(new);
                    new
                }),
                Step::LookUp { .. } => return,
            };
        }
        self.nodes[at.0].own = Own::Variable(place);
    }

    fn push(&mut self, own: Own) -> NodeId {
        self.nodes.push(Node { own, children: None });
        NodeId(self.nodes.len() - 1)
    }

    fn children(&mut self, node: NodeId) -> &mut Children {
        self.nodes[node.0].children.get_or_insert_default()
    }

    /// The child of this name.
    pub(super) fn name(&self, node: NodeId, word: Word<'_>) -> Option<NodeId> {
        self.nodes[node.0].children.as_ref()?.names.get(word.folded).copied()
    }

    /// The child of this index.
    pub(super) fn index(&self, node: NodeId, word: Word<'_>) -> Option<NodeId> {
        self.nodes[node.0].children.as_ref()?.indexes.get(word.folded).copied()
    }

    /// All indexed children, in the order in which they were made.
    pub(super) fn indexed(&self, node: NodeId) -> &[NodeId] {
        self.nodes[node.0].children.as_ref().map_or(&[], |children| &children.in_order)
    }

    /// What the node holds itself.
    pub(super) fn own(&self, node: NodeId) -> &Own {
        &self.nodes[node.0].own
    }
}
