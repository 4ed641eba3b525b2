//! The names of a set of variables, laid out as a tree of paths.

use std::{
    collections::HashMap,
    hash::{BuildHasher as _, RandomState},
    ops::Range,
};

use hashbrown::HashTable;

use super::{
    parser::parse_path,
    symbol::{Step, Symbol, Word},
};

/// Where a path of the tree ends. Half a word: in a large set it is the room that costs time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct NodeId(u32);

/// The value that a node has of its own.
#[derive(Debug, Clone, Copy)]
pub(super) enum Own {
    /// None: it only lies on the way to others.
    Nothing,
    /// The variable of this place in the set.
    Variable(usize),
    /// Its own index: so a loop's variable prints what it stands for.
    Index,
}

#[derive(Debug, Clone)]
struct Node {
    parent: NodeId,
    is_index: bool,
    own: Own,
    text: Span,
}

/// Where the text of a node lies: as it compares, and as it was written when that is ever asked for.
#[derive(Debug, Clone, Copy, Default)]
struct Span {
    start: u32,
    written: u32,
    end: u32,
}

/// All paths. The nodes lie in one list, so that no depth of names is too deep; one table finds the children of all
/// and one text holds what they are called.
#[derive(Debug, Clone)]
pub(super) struct Tree {
    nodes: Vec<Node>,
    children: HashTable<NodeId>,
    /// The children with an index, in the order in which they were made. Most nodes have none.
    indexed: HashMap<NodeId, Vec<NodeId>>,
    texts: String,
    hasher: RandomState,
}

impl Tree {
    /// Where all paths begin.
    pub(super) const ROOT: NodeId = NodeId(0);

    /// Lays out names. One that does not begin with a path is left out: no template can refer to it.
    pub(super) fn new<'n>(names: impl ExactSizeIterator<Item = &'n str>) -> Self {
        let mut nodes = Vec::with_capacity(names.len() + 1);
        let text = Span::default();
        nodes.push(Node { parent: Self::ROOT, is_index: false, own: Own::Nothing, text });
        let children = HashTable::with_capacity(names.len());
        let (indexed, texts) = (HashMap::new(), String::new());
        let mut tree = Self { nodes, children, indexed, texts, hasher: RandomState::new() };
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
            let next = match step {
                Step::Name { word, .. } => self.name(at, word).or_else(|| self.push(at, false, word)),
                Step::Index { word, .. } => self.index(at, word).or_else(|| self.push(at, true, word)),
                Step::LookUp { .. } => None,
            };
            let Some(next) = next else { return };
            at = next;
        }
        self.nodes[at.place()].own = Own::Variable(place);
    }

    /// None when there is no number left, long after memory.
    fn push(&mut self, parent: NodeId, is_index: bool, word: Word<'_>) -> Option<NodeId> {
        let new = NodeId(u32::try_from(self.nodes.len()).ok()?);
        let text = self.keep(word, is_index)?;
        let own = if is_index { Own::Index } else { Own::Nothing };
        self.nodes.push(Node { parent, is_index, own, text });
        if is_index {
            self.indexed.entry(parent).or_default().push(new);
        }
        let Self { nodes, children, texts, hasher, .. } = self;
        let hash = |node: &NodeId| {
            let node = &nodes[node.place()];
            hasher.hash_one((node.parent, node.is_index, &texts[node.text.folded()]))
        };
        children.insert_unique(hash(&new), new, hash);
        Some(new)
    }

    fn keep(&mut self, word: Word<'_>, is_index: bool) -> Option<Span> {
        let end = |texts: &String| u32::try_from(texts.len()).ok();
        let start = end(&self.texts)?;
        self.texts.push_str(word.folded);
        let written = end(&self.texts)?;
        if is_index {
            self.texts.push_str(word.text);
        }
        Some(Span { start, written, end: end(&self.texts)? })
    }

    fn find(&self, parent: NodeId, is_index: bool, folded: &str) -> Option<NodeId> {
        let is_it = |node: &NodeId| {
            let node = &self.nodes[node.place()];
            node.parent == parent && node.is_index == is_index && self.texts[node.text.folded()] == *folded
        };
        self.children.find(self.hasher.hash_one((parent, is_index, folded)), is_it).copied()
    }

    /// The child of this name.
    pub(super) fn name(&self, node: NodeId, word: Word<'_>) -> Option<NodeId> {
        self.find(node, false, word.folded)
    }

    /// The child of this index.
    pub(super) fn index(&self, node: NodeId, word: Word<'_>) -> Option<NodeId> {
        self.find(node, true, word.folded)
    }

    /// All indexed children, in the order in which they were made.
    pub(super) fn indexed(&self, node: NodeId) -> &[NodeId] {
        self.indexed.get(&node).map_or(&[], Vec::as_slice)
    }

    /// What the node holds itself.
    pub(super) fn own(&self, node: NodeId) -> Own {
        self.nodes[node.place()].own
    }

    /// The index of a node as it was first written.
    pub(super) fn written(&self, node: NodeId) -> &str {
        &self.texts[self.nodes[node.place()].text.written()]
    }
}

impl NodeId {
    fn place(self) -> usize {
        self.0 as usize
    }
}

impl Span {
    fn folded(self) -> Range<usize> {
        self.start as usize..self.written as usize
    }

    fn written(self) -> Range<usize> {
        self.written as usize..self.end as usize
    }
}
