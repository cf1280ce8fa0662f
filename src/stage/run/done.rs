//! A run whose work is done already: its destination has the train as this very stop has signed it.

use crate::error::Result;
use crate::image::{ImageReport, Target, open_image};
use crate::stage::parts::load::{Depth, Train};
use crate::stage::parts::publish::what_is_there;
use crate::stage::parts::report::Report;
use crate::stage::parts::request::StageRequest;
use crate::stage::verify::verify;
use crate::store::Context;
use crate::text::Printable;
use crate::train::Stop;

/// The report that nothing is to be done, if `target` has the train that came as this stop has signed it, and it holds. To
/// run it once more would put a second signed result of one stop into the world, though the first may have gone on. Of what
/// is in a registry nothing is asked.
///
/// # Errors
/// [`Kind::Key`](crate::error::Kind::Key) if the station is not on the route of the train that `came`.
pub(super) fn done_there(
    request: &StageRequest<'_>,
    came: &Train,
    target: &Target,
    context: &Context,
) -> Result<Option<Report>> {
    if target.in_place || target.reference.is_shared() {
        return Ok(None);
    }
    let place = target.reference.with_tag(Some(target.tag.clone()));
    let Ok(image) = open_image(&place, context) else { return Ok(None) };
    let digest_after = Some(image.descriptor().digest().to_string());
    let Ok(there) = Train::load(image, &context.temporary, Depth::Config) else { return Ok(None) };
    let stop = came.stop_of(&request.station)?;
    if there.config.hash() != came.config.hash()
        || !is_next_state(came.config.route().stops(), there.config.route().stops(), stop)
    {
        return Ok(None);
    }
    // Whoever can write there must not have us believe it.
    let Ok(found) = verify(&place, request.policy, context) else { return Ok(None) };
    let checks = found.checks.clone();
    if found.enforce(request.policy).is_err() {
        return Ok(None);
    }
    let time = there.config.form().time_of(Some(stop.index)).map(|time| format!(", {}", Printable::new(time)));
    let what = format!(
        "nothing has run: `{}` has the train already as {} has signed it{}",
        Printable::new(&target.tag),
        stop.subject(),
        time.unwrap_or_default()
    );
    Ok(Some(Report {
        stage: "run",
        station: Some(stop.station.to_string()),
        wire: Some(came.config.wire().name()),
        image: ImageReport {
            source: came.name(),
            destination: target.shown(),
            digest_before: Some(came.image.descriptor().digest().to_string()),
            digest_after,
            ..ImageReport::default()
        },
        checks,
        warnings: vec![what],
        ..Report::default()
    }))
}

/// What is to be said of a train that the closed one will replace in `target`, if there is one.
///
/// # Errors
/// As [`done_there`].
pub(super) fn replaced_by(
    request: &StageRequest<'_>,
    came: &Train,
    target: &Target,
    context: &Context,
) -> Result<Option<String>> {
    let there = what_is_there(target, came, came.stop_of(&request.station)?, context);
    Ok(there.map(|what| format!("`{}` has {what}: the closed train will replace it", Printable::new(&target.tag))))
}

/// True if the route `after` is the one `before` with the signature of this stop, and nothing else.
fn is_next_state(before: &[Stop], after: &[Stop], acting: &Stop) -> bool {
    before.len() == after.len()
        && before.iter().zip(after).all(|(before, after)| match before.index == acting.index {
            true => before.signature.is_none() && after.signature.is_some(),
            false => before.signature == after.signature,
        })
}
