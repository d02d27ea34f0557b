//! Tags in normal form.

/// The name with its tags in normal form; `None` if they are none.
#[must_use]
pub const fn normalize(_name: &str) -> Option<String> {
    None
}
