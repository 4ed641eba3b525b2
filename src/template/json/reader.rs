//! Reading lenient JSON.

use std::collections::HashMap;

use super::Json;
use crate::model::letters::is_letter_or_digit;

/// How deep arrays and objects may stand in each other; deeper is not read as JSON.
const MAX_DEPTH: usize = 64;

/// Reads a text that holds one value and nothing else.
pub(super) fn read(text: &str) -> Option<Json> {
    let mut reader = Reader { text, at: 0, depth: 0 };
    reader.blanks()?;
    let value = reader.value()?;
    reader.blanks()?;
    reader.rest().is_empty().then_some(value)
}

struct Reader<'t> {
    text: &'t str,
    at: usize,
    depth: usize,
}

impl<'t> Reader<'t> {
    fn rest(&self) -> &'t str {
        &self.text[self.at..]
    }

    fn next(&mut self) -> Option<char> {
        let c = self.rest().chars().next()?;
        self.at += c.len_utf8();
        Some(c)
    }

    fn eat(&mut self, c: char) -> bool {
        let is_there = self.rest().starts_with(c);
        self.at += if is_there { c.len_utf8() } else { 0 };
        is_there
    }

    /// Blanks and comments; none when a comment has no end.
    fn blanks(&mut self) -> Option<()> {
        loop {
            let rest = self.rest();
            let text = rest.trim_start();
            self.at += rest.len() - text.len();
            let length = if text.starts_with("//") {
                text.find(['\n', '\r']).unwrap_or(text.len())
            } else if let Some(comment) = text.strip_prefix("/*") {
                comment.find("*/")? + 4
            } else {
                return Some(());
            };
            self.at += length;
        }
    }

    fn value(&mut self) -> Option<Json> {
        match self.rest().chars().next()? {
            '{' => self.inside(Self::object),
            '[' => self.inside(Self::array),
            '"' | '\'' => Some(Json::Text(self.quoted()?)),
            _ => self.scalar(),
        }
    }

    fn inside(&mut self, read: fn(&mut Self) -> Option<Json>) -> Option<Json> {
        if self.depth == MAX_DEPTH {
            return None;
        }
        self.depth += 1;
        self.next()?;
        let value = read(self)?;
        self.depth -= 1;
        Some(value)
    }

    fn array(&mut self) -> Option<Json> {
        let mut items = Vec::new();
        loop {
            self.blanks()?;
            if self.eat(']') {
                return Some(Json::Array(items));
            }
            // Nothing between two commas is an element that is not defined.
            let is_there = !self.rest().starts_with(',');
            items.push(if is_there { self.value()? } else { Json::Null });
            self.blanks()?;
            if !self.eat(',') && !self.rest().starts_with(']') {
                return None;
            }
        }
    }

    fn object(&mut self) -> Option<Json> {
        let mut properties: Vec<(String, Json)> = Vec::new();
        let mut places: HashMap<String, usize> = HashMap::new();
        loop {
            self.blanks()?;
            if self.eat('}') {
                return Some(Json::Object(properties));
            }
            let name = self.name()?;
            self.blanks()?;
            if !self.eat(':') {
                return None;
            }
            self.blanks()?;
            let value = self.value()?;
            if let Some(place) = places.get(&name) {
                properties[*place].1 = value;
            } else {
                places.insert(name.clone(), properties.len());
                properties.push((name, value));
            }
            self.blanks()?;
            if !self.eat(',') && !self.rest().starts_with('}') {
                return None;
            }
        }
    }

    fn name(&mut self) -> Option<String> {
        if self.rest().starts_with(['"', '\'']) {
            return self.quoted();
        }
        let rest = self.rest();
        let length =
            rest.find(|c: char| !(is_letter_or_digit(c) || c == '_' || c == '$')).unwrap_or(rest.len());
        self.at += length;
        (length > 0).then(|| rest[..length].to_owned())
    }

    fn quoted(&mut self) -> Option<String> {
        let quote = self.next()?;
        let mut text = String::new();
        loop {
            let rest = self.rest();
            let plain = rest.find([quote, '\\'])?;
            text.push_str(&rest[..plain]);
            self.at += plain;
            if self.next()? == quote {
                return Some(text);
            }
            text.push(match self.next()? {
                'b' => '\u{8}',
                't' => '\t',
                'n' => '\n',
                'f' => '\u{c}',
                'r' => '\r',
                'u' => self.unicode()?,
                c @ ('\\' | '"' | '\'' | '/') => c,
                _ => return None,
            });
        }
    }

    /// The character of `\uXXXX`, or of two of them; half a pair has none of its own.
    fn unicode(&mut self) -> Option<char> {
        let high = self.unit()?;
        if !(0xD800..0xDC00).contains(&high) {
            return Some(char::from_u32(high).unwrap_or(char::REPLACEMENT_CHARACTER));
        }
        let before = self.at;
        if self.rest().starts_with("\\u") {
            self.at += 2;
            let low = self.unit()?;
            if (0xDC00..0xE000).contains(&low) {
                return char::from_u32(0x1_0000 + ((high - 0xD800) << 10) + (low - 0xDC00));
            }
            self.at = before;
        }
        Some(char::REPLACEMENT_CHARACTER)
    }

    fn unit(&mut self) -> Option<u32> {
        let digits = self.rest().get(..4).filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()))?;
        self.at += 4;
        u32::from_str_radix(digits, 16).ok()
    }

    /// A number or a word.
    fn scalar(&mut self) -> Option<Json> {
        let rest = self.rest();
        let is_part = |c: char| is_letter_or_digit(c) || "+-._$".contains(c);
        let length = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
        let text = &rest[..length];
        self.at += length;
        Some(match text {
            "null" | "undefined" => Json::Null,
            "true" => Json::Bool(true),
            "false" => Json::Bool(false),
            "NaN" => Json::Float(f64::NAN),
            "Infinity" => Json::Float(f64::INFINITY),
            "-Infinity" => Json::Float(f64::NEG_INFINITY),
            _ => number(text)?,
        })
    }
}

fn number(text: &str) -> Option<Json> {
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    if let Some(digits) = unsigned.strip_prefix("0x").or_else(|| unsigned.strip_prefix("0X")) {
        let number = i64::from_str_radix(digits, 16).ok().filter(|_| unsigned == text)?;
        return Some(Json::Integer(number.to_string()));
    }
    if !unsigned.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        return None;
    }
    if unsigned.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(Json::Integer(text.to_owned()));
    }
    text.parse().ok().map(Json::Float)
}
