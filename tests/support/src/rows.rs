//! How much of the long tables is tried: thousands of changes and attacks, each with the program.

/// Every how many of their rows: all in CI, otherwise one in twenty, so that one who works on the program does not wait for
/// minutes; `PHT_ROWS` says another number.
pub fn stride() -> usize {
    let number = std::env::var("PHT_ROWS").ok();
    let number =
        number.map(|text| text.parse().expect("PHT_ROWS is a number: every how many rows of a table are tried"));
    number.unwrap_or(if std::env::var("CI").as_deref() == Ok("true") { 1 } else { 20 })
}

/// The rows that are tried.
pub fn chosen<T>(rows: impl IntoIterator<Item = T>) -> impl Iterator<Item = T> {
    rows.into_iter().step_by(stride())
}
