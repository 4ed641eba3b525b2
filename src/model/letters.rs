//! Which characters .NET counts as letters, digits and parts of words: package ids and names of variables were defined
//! by its functions.
//!
//! .NET looks at UTF-16 units one by one, so no character outside the Basic Multilingual Plane is a letter there.

use unicode_properties::{GeneralCategory, GeneralCategoryGroup, UnicodeGeneralCategory};

/// `char.IsLetterOrDigit`: letters of every script, and decimal digits.
pub fn is_letter_or_digit(c: char) -> bool {
    if c.is_ascii() {
        return c.is_ascii_alphanumeric();
    }
    is_one_unit(c)
        && (c.general_category_group() == GeneralCategoryGroup::Letter
            || c.general_category() == GeneralCategory::DecimalNumber)
}

/// `\w` of .NET's regular expressions: also marks that take no room of their own, and what connects, as `_` does.
pub fn is_word(c: char) -> bool {
    if c.is_ascii() {
        return c.is_ascii_alphanumeric() || c == '_';
    }
    is_letter_or_digit(c)
        || is_one_unit(c)
            && matches!(
                c.general_category(),
                GeneralCategory::NonspacingMark | GeneralCategory::ConnectorPunctuation
            )
}

fn is_one_unit(c: char) -> bool {
    c.len_utf16() == 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_and_words_are_those_of_dot_net() {
        for (c, letter, word) in [
            ('a', true, true),
            ('9', true, true),
            ('_', false, true),
            ('-', false, false),
            ('é', true, true),
            ('ß', true, true),
            ('語', true, true),
            ('\u{663}', true, true),
            ('\u{301}', false, true),
            ('\u{203f}', false, true),
            // A sign of a vowel that takes room, a half, a Roman numeral, a letter of the second plane.
            ('\u{93f}', false, false),
            ('½', false, false),
            ('Ⅷ', false, false),
            ('\u{10348}', false, false),
            (' ', false, false),
        ] {
            assert_eq!((is_letter_or_digit(c), is_word(c)), (letter, word), "{c:?}");
        }
    }
}
