//! x
use super::Filtered;
pub(super) fn replace(_i: &str, _o: &[&str]) -> Filtered {
    Ok(None)
}
pub(super) fn is_match(_i: &str, _o: &[&str]) -> Filtered {
    Ok(None)
}
