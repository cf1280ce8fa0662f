//! The master images that a station accepts.

use super::load::Train;
use crate::error::{Error, ErrorContext, Kind, Result};
use crate::stage::validate::{Master, Validation, compare_with};
use crate::store::{Context, Reference};
use crate::train::Check;
use crate::train::check::CheckId;

/// Holds a train against the master images that are accepted: it has to be one of them, but for the train's own files.
/// Without any, nothing is asked.
///
/// # Errors
/// [`Kind::Decision`] if it is none of them; what went wrong, if one of them cannot be read and no other fits.
pub(in crate::stage) fn ensure_master(
    train: &Train,
    masters: &[Reference],
    context: &Context,
) -> Result<Option<Check>> {
    let (mut unread, mut found) = (None, Vec::new());
    for master in masters {
        let compared = compare_with(train, Master::Image(master), context);
        match compared.at("a master image that this station accepts") {
            Ok(compared) if is_it(&compared) => return Ok(Some(Check::sound(CheckId::Master, "master image"))),
            Ok(compared) => found.extend(compared.require_ok().err().map(|error| error.what().to_owned())),
            Err(error) if error.kind() == Kind::Interrupted => return Err(error),
            Err(error) => unread = unread.or(Some(error)),
        }
    }
    match (masters, unread) {
        ([], _) => Ok(None),
        (_, Some(error)) => Err(error),
        (_, None) => {
            let names: Vec<String> = masters.iter().map(ToString::to_string).collect();
            let what = format!(
                "the train is built on none of the master images that this station accepts: {}",
                names.join(", ")
            );
            let hint = match found.first() {
                Some(first) if masters.len() == 1 => first.clone(),
                _ => "compare the train with the one it should be built on: pht-oci validate".to_owned(),
            };
            Err(Error::new(Kind::Decision, what).in_check(CheckId::Master.name(), "master image").hint(hint))
        }
    }
}

/// The empty image is everybody's base, and no master.
fn is_it(compared: &Validation) -> bool {
    compared.is_valid() && compared.common_layers > 0
}
