//! How a message reads: one sentence that says what is wrong, then the facts, in plain text, in HTML and for chats.
//!
//! A [`Story`] is what a message says, as pieces that know which of them are names from outside. Each form writes names
//! literally in its own way, so that no name can be mark-up, a mention or a second line anywhere.

pub mod html;
pub mod line;
pub mod markup;
pub mod name;
pub mod number;
pub mod plain;
pub(crate) mod sentence;
pub mod story;
pub mod style;
pub mod time;

pub use line::{Line, Piece};
pub use story::{Fact, Row, State, Story};
pub use style::Style;
