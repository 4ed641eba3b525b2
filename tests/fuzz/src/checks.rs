//! What must hold for any bytes.
pub fn versions(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let _ = text.parse::<octarm::version::NuGetVersion>();
}
