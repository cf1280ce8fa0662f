/// A whole number of what its last letter says, if that is among these units with their factors; else of ones.
pub(super) fn quantity(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let found = units.iter().find_map(|(unit, factor)| Some((text.strip_suffix(unit)?, *factor)));
    let (number, factor) = found.unwrap_or((text, 1));
    number.parse::<u64>().ok()?.checked_mul(factor)
}

/// A whole number, written in digits alone.
pub(super) fn number(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| "not a whole number; write it in digits, as in 10".to_owned())
}

/// The same of things in memory.
pub(super) fn count(text: &str) -> Result<usize, String> {
    number(text).and_then(|number| usize::try_from(number).map_err(|_| "more than this machine can count".to_owned()))
}
