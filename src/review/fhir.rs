//! What is known of FHIR (HL7 FHIR R4).

/// The types of resources that are about a person, and of collections of resources.
pub(super) const ABOUT_PEOPLE: [&str; 16] = [
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
