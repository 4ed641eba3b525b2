//! A .NET pattern in the words of our engine, where the two mean different things by the same text.

use std::fmt::Write as _;
use std::iter::Peekable;
use std::str::CharIndices;

use crate::model::letters::is_word;

/// Escapes by letter that .NET knows and that mean the same here.
const SAME: &str = "abBtrvfnewWsSdDAzGk";

/// Translates `pattern`, which is to be searched for in `input`; else why .NET would refuse it.
pub(super) fn translate(pattern: &str, input: &str) -> Result<String, String> {
    let mut translation = Translation {
        pattern,
        rest: pattern.char_indices().peekable(),
        out: String::with_capacity(pattern.len() + 16),
        // .NET's `$` also matches before a line end that ends the text.
        end: if input.ends_with('\n') && !pattern.contains("(?m") { r"(?=\n?\z)" } else { "$" },
    };
    while let Some((at, c)) = translation.rest.next() {
        match c {
            '\\' => translation.escape(false)?,
            '[' => translation.class()?,
            '$' => translation.out.push_str(translation.end),
            '{' if !is_count(&pattern[at..]) => translation.out.push_str(r"\{"),
            '(' => translation.group(at)?,
            c => translation.out.push(c),
        }
    }
    Ok(translation.out)
}

/// `{2}`, `{2,}`, `{2,3}`: how often; any other brace stands for itself.
fn is_count(text: &str) -> bool {
    let Some((inside, _)) = text[1..].split_once('}') else { return false };
    let (least, most) = inside.split_once(',').unwrap_or((inside, ""));
    let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    !least.is_empty() && is_number(least) && is_number(most)
}

struct Translation<'p> {
    pattern: &'p str,
    rest: Peekable<CharIndices<'p>>,
    out: String,
    end: &'static str,
}

impl Translation<'_> {
    /// What follows a backslash.
    fn escape(&mut self, in_class: bool) -> Result<(), String> {
        let (_, c) = self.rest.next().ok_or("it ends in `\\`")?;
        match c {
            'Z' if !in_class => self.out.push_str(r"(?=\n?\z)"),
            'c' => {
                let (_, letter) = self.rest.next().ok_or("`\\c` without a letter")?;
                let upper = letter.to_ascii_uppercase();
                if !('@'..='_').contains(&upper) {
                    return Err(format!("`\\c{letter}` is not a control character"));
                }
                self.code(u32::from(upper) - 64);
            }
            'x' => {
                let code = self.hex(2)?;
                self.code(code);
            }
            'u' => {
                let code = self.hex(4)?;
                char::from_u32(code).ok_or("it holds half of a surrogate pair")?;
                self.code(code);
            }
            '0' => self.code(0),
            'p' | 'P' => {
                self.out.push('\\');
                self.out.push(c);
                // The braces of a category are no count.
                while let Some((_, c)) =
                    self.rest.next_if(|(_, c)| c.is_ascii_alphanumeric() || "{}-_".contains(*c))
                {
                    self.out.push(c);
                    if c == '}' {
                        break;
                    }
                }
            }
            c if c.is_ascii_digit() || SAME.contains(c) => {
                self.out.push('\\');
                self.out.push(c);
            }
            c if c.is_ascii_alphabetic() || c == '_' => return Err(format!("`\\{c}` is not an escape")),
            // `\<` means something else here, and only what is punctuation may be escaped.
            c if c.is_ascii_punctuation() && !matches!(c, '<' | '>') => {
                self.out.push('\\');
                self.out.push(c);
            }
            c => self.code(u32::from(c)),
        }
        Ok(())
    }

    fn code(&mut self, code: u32) {
        // Writing to a String cannot fail.
        let _ = write!(self.out, "\\x{{{code:x}}}");
    }

    fn hex(&mut self, count: usize) -> Result<u32, String> {
        let digits: String = self.rest.by_ref().take(count).map(|(_, c)| c).collect();
        if digits.len() != count || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(format!("`{digits}` is not {count} hexadecimal digits"));
        }
        u32::from_str_radix(&digits, 16).map_err(|error| error.to_string())
    }

    /// A class, after its `[`. Only `-[…]` at its end nests: it takes away.
    fn class(&mut self) -> Result<(), String> {
        let mut depth = 1;
        self.open_class();
        while let Some((_, c)) = self.rest.next() {
            match c {
                '\\' => self.escape(true)?,
                ']' => {
                    self.out.push(']');
                    depth -= 1;
                    if depth == 0 {
                        return Ok(());
                    }
                }
                '-' if self.rest.peek().is_some_and(|(_, next)| *next == '[') => {
                    self.rest.next();
                    self.out.push_str("--");
                    self.open_class();
                    depth += 1;
                }
                '[' | '&' | '~' => {
                    self.out.push('\\');
                    self.out.push(c);
                }
                c => self.out.push(c),
            }
        }
        Err("`[` without `]`".to_owned())
    }

    /// A `]` that comes first stands for itself.
    fn open_class(&mut self) {
        self.out.push('[');
        if self.rest.next_if(|(_, c)| *c == '^').is_some() {
            self.out.push('^');
        }
        if self.rest.next_if(|(_, c)| *c == ']').is_some() {
            self.out.push_str(r"\]");
        }
    }

    /// What follows `(`, where .NET's groups are written otherwise or do not exist.
    fn group(&mut self, at: usize) -> Result<(), String> {
        self.out.push('(');
        let inside = &self.pattern[at + 1..];
        if let Some(comment) = inside.strip_prefix("?#") {
            let end = comment.find(')').ok_or("a comment without `)`")?;
            self.out.pop();
            self.skip("?#".len() + comment[..end].chars().count() + 1);
        } else if let Some(name) = inside.strip_prefix("?'") {
            let end = name.find('\'').ok_or("a group's name without its second quote")?;
            self.out.extend(["?<", &name[..end], ">"]);
            self.skip("?'".len() + name[..end].chars().count() + 1);
        } else if let Some(name) = inside.strip_prefix("?<").filter(|name| !name.starts_with(['=', '!'])) {
            // .NET has groups named by a number and groups that take others off; here they do not exist.
            let end = name.find('>').ok_or("a group's name without `>`")?;
            if !name[..end].chars().all(is_word) || name.starts_with(|c: char| c.is_numeric()) {
                return Err(format!("`{}` cannot be the name of a group", &name[..end]));
            }
        } else if inside.starts_with("?P") || inside.starts_with("?|") || inside.starts_with('*') {
            return Err("its group is of no kind that .NET knows".to_owned());
        }
        Ok(())
    }

    fn skip(&mut self, count: usize) {
        self.rest.by_ref().take(count).for_each(drop);
    }
}
