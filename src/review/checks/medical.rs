use super::super::fhir;
use super::super::fields::field::{Field, FieldKind, Observer};
use super::super::finding::{Notes, ReviewCheck};
use super::super::format::Format;
use super::super::policy::ReleasePolicy;
use super::super::subject::Subject;

/// Images, signals and sequences of patients.
pub(super) fn check(subject: &Subject<'_>, notes: &mut Notes<'_>) {
    if let Format::Medical(name) = subject.format {
        notes.stop(ReviewCheck::Medical, "", format!("{name}: an image, a signal or a sequence of a patient"));
        return;
    }
    // Messages stand in logs, too, behind what a log says.
    let message = subject.text.and_then(|text| text.lines().position(|line| line.contains("MSH|^~\\&|")));
    if let Some(line) = message {
        notes.stop(ReviewCheck::Medical, format!("line {}", line + 1), "a message of HL7 version 2");
    }
}

/// FHIR resources, and DICOM as JSON (DICOM PS3.18, annex F).
struct Documents;

pub(super) fn observer(_: &Subject<'_>, _: &ReleasePolicy) -> Box<dyn Observer> {
    Box::new(Documents)
}

impl Observer for Documents {
    fn field(&mut self, field: &Field<'_>, notes: &mut Notes<'_>) {
        if field.kind == FieldKind::Text && field.label == "resourceType" && fhir::ABOUT_PEOPLE.contains(&field.text) {
            notes.stop(ReviewCheck::Medical, (field.place)(), "a FHIR resource about a person, or a bundle of such");
        }
        // Name, ID and date of birth of the patient, UIDs of study, series and image.
        const DICOM: [&str; 6] = ["00100010", "00100020", "00100030", "0020000D", "0020000E", "00080018"];
        if field.kind == FieldKind::Name && DICOM.contains(&field.text) {
            notes.stop(ReviewCheck::Medical, (field.place)(), "a DICOM header as JSON");
        }
    }
}
