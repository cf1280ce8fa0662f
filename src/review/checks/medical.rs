use super::super::fields::field::{Field, FieldKind, Observer};
use super::super::finding::{Notes, ReviewCheck};
use super::super::format::Format;
use super::super::policy::ReleasePolicy;
use super::super::subject::Subject;

/// Images, signals and sequences of patients.
pub(super) fn check(subject: &Subject<'_>, notes: &mut Notes<'_>) {
    if let Format::Medical(name) = subject.format {
        notes.stop(ReviewCheck::Medical, "", format!("{name}: an image, a signal or a sequence of a patient"));
    }
}

/// FHIR resources, which are JSON.
struct Fhir;

pub(super) fn observer(_: &Subject<'_>, _: &ReleasePolicy) -> Box<dyn Observer> {
    Box::new(Fhir)
}

impl Observer for Fhir {
    fn field(&mut self, field: &Field<'_>, notes: &mut Notes<'_>) {
        const ABOUT_PEOPLE: [&str; 16] = [
            "Patient",
            "Observation",
            "Condition",
            "Encounter",
            "Procedure",
            "MedicationStatement",
            "MedicationRequest",
            "DiagnosticReport",
            "Specimen",
            "Immunization",
            "AllergyIntolerance",
            "ImagingStudy",
            "Person",
            "RelatedPerson",
            "Bundle",
            "QuestionnaireResponse",
        ];
        if field.kind == FieldKind::Text && field.label == "resourceType" && ABOUT_PEOPLE.contains(&field.text) {
            notes.stop(ReviewCheck::Medical, (field.place)(), "a FHIR resource about a person, or a bundle of such");
        }
    }
}
