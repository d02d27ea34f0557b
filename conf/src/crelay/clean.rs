//! Cleaning of names.

/// Writes the cleaned name to `out`.
pub fn clean_name(name: &str, _allowed: &str, out: &mut String) {
    out.push_str(name);
}
