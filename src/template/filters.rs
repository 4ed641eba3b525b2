//! The filters of the variable language, `#{Name | Filter option}`.

use jiff::ZonedDateTime;

/// How many bytes a filter takes.
const MAX_LENGTH: usize = 4 * 1024 * 1024;

/// Applies the filter called `name`, in any letter case. Nothing comes of an unknown filter, of no input, or of
/// options that it cannot use.
pub(super) fn apply(
    name: &str,
    input: Option<&str>,
    options: &[String],
    _now: &ZonedDateTime,
) -> Result<Option<String>, String> {
    let Some(input) = input.filter(|_| options.is_empty()) else { return Ok(None) };
    if input.len() > MAX_LENGTH {
        return Err(format!("the text that `{name}` is to change is over {MAX_LENGTH} bytes"));
    }
    Ok(match name.to_ascii_lowercase().as_str() {
        "toupper" => Some(input.to_uppercase()),
        "tolower" => Some(input.to_lowercase()),
        _ => None,
    })
}
