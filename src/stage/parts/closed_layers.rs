//! The payload and the control layer of a closed train, where their form is signed or fixed (wire 3, section 6).

use super::load::Train;
use super::strict::ensure_listed;
use crate::error::{Error, Result};
use crate::path::shown;
use crate::train::check::CheckId;
use crate::train::{Check, paths};

/// Checks the payload layer of a closed train, entry by entry; nothing where the wire version does not fix its form.
///
/// # Errors
/// [`Kind::Verification`](crate::error::Kind::Verification) for an entry that may not be there.
pub(in crate::stage) fn ensure_payload_form(train: &Train) -> Result<()> {
    let Some(base) = train.config.form().base() else { return Ok(()) };
    train.image.ensure_distributable(base.len())?;
    train.image.ensure_plain_is_stated(base.len())?;
    train.forms.ensure_payload()?;
    ensure_listed(train.tree(), train.config.file_list())
}

/// Checks the control layer of a closed train, entry by entry; as [`ensure_payload_form`].
///
/// # Errors
/// As [`ensure_payload_form`].
pub(in crate::stage) fn ensure_control_form(train: &Train) -> Result<Option<Check>> {
    let Some(base) = train.config.form().base() else { return Ok(None) };
    train.image.ensure_distributable(base.len() + 1)?;
    train.image.ensure_plain_is_stated(base.len() + 1)?;
    train.forms.ensure_control()?;
    let key = train.config.creator().encrypted_key.as_deref().unwrap_or_default();
    let node = train.tree().get(paths::USER_KEY);
    let same = match node.and_then(|node| train.tree().file(node)) {
        Some((size, _)) if size == key.len() as u64 => {
            node.map(|node| train.tree().read(node, size)).transpose()?.as_deref() == Some(key)
        }
        _ => false,
    };
    if !same {
        let what = "differs from the creator's encrypted_key in the train config";
        return Err(Error::verification(what).at(shown(paths::USER_KEY)));
    }
    Ok(Some(Check::sound(CheckId::Control, "control layer")))
}
