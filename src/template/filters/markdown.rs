//! x
pub(super) fn to_html(_i: &str, _o: &[&str]) -> Option<String> {
    None
}
