//! From entries to records: the table of open exchanges, and the recipe that makes a finished one into a line. The pipeline
//! runs them as entries arrive, recovery with those of a dead process.

mod recipe;
mod streams;
mod table;

pub use recipe::{Context, Recipe};
pub use streams::Streams;
pub use table::{Applied, Ending, Finished, Open, Table};
