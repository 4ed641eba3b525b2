//! A replacement as .NET writes it: `$1`, `${name}`, `$&`, `$$`.

use fancy_regex::{Captures, Regex};

use super::super::{MAX_LENGTH, too_long};

enum Piece<'r> {
    Text(&'r str),
    /// A group by its place in the pattern; 0 is the whole match.
    Group(usize),
    /// The last group that there is.
    LastGroup,
    Before,
    After,
    Input,
}

/// A replacement, taken apart once for all matches.
pub(super) struct Replacement<'r> {
    pieces: Vec<Piece<'r>>,
}

impl<'r> Replacement<'r> {
    /// What names no group of `regex` stands for itself.
    pub(super) fn parse(text: &'r str, regex: &Regex) -> Self {
        let groups = Groups::of(regex);
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some(at) = rest.find('$') {
            pieces.push(Piece::Text(&rest[..at]));
            rest = &rest[at..];
            let (piece, length) = reference(rest, &groups).unwrap_or((Piece::Text("$"), 1));
            pieces.push(piece);
            rest = &rest[length..];
        }
        pieces.push(Piece::Text(rest));
        Self { pieces }
    }

    pub(super) fn append(
        &self,
        found: &Captures<'_, str>,
        input: &str,
        out: &mut String,
    ) -> Result<(), String> {
        let group = |place: usize| found.get(place).map_or("", |group| group.as_str());
        let (start, end) = found.get(0).map_or((0, 0), |whole| (whole.start(), whole.end()));
        for piece in &self.pieces {
            out.push_str(match piece {
                Piece::Text(text) => text,
                Piece::Group(place) => group(*place),
                Piece::LastGroup => group(found.len() - 1),
                Piece::Before => &input[..start],
                Piece::After => &input[end..],
                Piece::Input => input,
            });
            if out.len() > MAX_LENGTH {
                return Err(too_long());
            }
        }
        Ok(())
    }
}

/// The groups of a pattern by .NET's numbers: those without a name first, then the named ones.
struct Groups {
    numbered: Vec<usize>,
    named: Vec<(String, usize)>,
}

impl Groups {
    fn of(regex: &Regex) -> Self {
        let mut numbered = Vec::new();
        let mut named: Vec<(String, usize)> = Vec::new();
        for (place, name) in regex.capture_names().enumerate() {
            match name {
                None => numbered.push(place),
                Some(name) => named.push((name.to_owned(), place)),
            }
        }
        numbered.extend(named.iter().map(|(_, place)| *place));
        Self { numbered, named }
    }

    fn find(&self, reference: &str) -> Option<usize> {
        if reference.bytes().all(|byte| byte.is_ascii_digit()) {
            return self.numbered.get(reference.parse::<usize>().ok()?).copied();
        }
        self.named.iter().find(|(name, _)| name == reference).map(|(_, place)| *place)
    }
}

/// What the `$` at the start of `text` refers to, and how long it is written.
fn reference<'r>(text: &str, groups: &Groups) -> Option<(Piece<'r>, usize)> {
    let after = &text[1..];
    if let Some(inside) = after.strip_prefix('{') {
        let (name, _) = inside.split_once('}')?;
        return Some((Piece::Group(groups.find(name)?), name.len() + 3));
    }
    let digits = after.bytes().take_while(u8::is_ascii_digit).count();
    if digits > 0 {
        return Some((Piece::Group(groups.find(&after[..digits])?), digits + 1));
    }
    let piece = match after.chars().next()? {
        '$' => Piece::Text("$"),
        '&' => Piece::Group(0),
        '+' => Piece::LastGroup,
        '`' => Piece::Before,
        '\'' => Piece::After,
        '_' => Piece::Input,
        _ => return None,
    };
    Some((piece, 2))
}
