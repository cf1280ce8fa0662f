//! The names of columns that hold what names a person.

use super::words::words;

/// Names of columns that hold what names one person, without what separates their words.
const PERSONAL: &[&str] = &[
    "patientid",
    "patid",
    "patientno",
    "patientnumber",
    "patientnr",
    "patnr",
    "patientennummer",
    "patientenid",
    "patientnummer",
    "patientkey",
    "patientuuid",
    "patientidentifier",
    "patienthash",
    "pseudonym",
    "pseudonymid",
    "psn",
    "idat",
    "fallnr",
    "fallnummer",
    "fallid",
    "falnr",
    "caseid",
    "caseno",
    "casenumber",
    "aufnahmenummer",
    "aufnahmenr",
    "mrn",
    "medicalrecordnumber",
    "recordid",
    "medrecno",
    "hospitalnumber",
    "hospitalno",
    "nhsnumber",
    "nhsno",
    "ssn",
    "socialsecuritynumber",
    "kvnr",
    "kvnummer",
    "versichertennummer",
    "versichertennr",
    "versnr",
    "krankenversichertennummer",
    "insurancenumber",
    "insuranceid",
    "subjectid",
    "subjid",
    "usubjid",
    "participantid",
    "personid",
    "personnumber",
    "personnummer",
    "individualid",
    "memberid",
    "encounterid",
    "visitid",
    "hadmid",
    "stayid",
    "icustayid",
    "admissionid",
    "accessionnumber",
    "studyinstanceuid",
    "sopinstanceuid",
    "seriesinstanceuid",
    "sampleid",
    "specimenid",
    "donorid",
    "birthdate",
    "dateofbirth",
    "dob",
    "birthday",
    "birthdatetime",
    "geburtsdatum",
    "gebdatum",
    "gebdat",
    "geburtstag",
    "firstname",
    "lastname",
    "surname",
    "familyname",
    "givenname",
    "fullname",
    "vorname",
    "nachname",
    "familienname",
    "patientname",
    "patname",
    "email",
    "emailaddress",
    "phone",
    "phonenumber",
    "telefon",
    "telephone",
    "street",
    "strasse",
    "straße",
    "homeaddress",
    "iban",
];

/// Names of columns that single out a person together with others.
const QUASI: &[&str] = &[
    "zip",
    "zipcode",
    "plz",
    "postleitzahl",
    "postcode",
    "postalcode",
    "address",
    "adresse",
    "wohnort",
    "admissiondate",
    "aufnahmedatum",
    "dischargedate",
    "entlassdatum",
    "deathdate",
    "dateofdeath",
    "sterbedatum",
];

/// What a label says of a person, if anything: the name from the list, and whether it suffices alone.
pub(super) fn personal(label: &str) -> Option<(&'static str, bool)> {
    let words = words(label);
    let joined = words.concat();
    let at_an_end = |name: &str| {
        joined == name
            || words.len() > 1 && {
                let ends = (1..words.len()).any(|from| words[from..].concat() == name);
                ends || (1..words.len()).any(|until| words[..until].concat() == name)
            }
    };
    let found = |list: &'static [&'static str]| list.iter().find(|name| at_an_end(name)).copied();
    // `n_patient_id` and the like count the identifiers; they are none.
    if words
        .first()
        .is_some_and(|word| matches!(word.as_str(), "n" | "num" | "number" | "count" | "nunique" | "unique"))
    {
        return None;
    }
    found(PERSONAL).map(|name| (name, true)).or_else(|| found(QUASI).map(|name| (name, false)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_names_of_what_names_a_person() {
        for label in
            ["patient_id", "PatientID", "PATIENT ID", "pat_id", "Geburtsdatum", "MRN", "lab_patient_id", "KVNR"]
        {
            assert!(personal(label).is_some_and(|(_, alone)| alone), "{label}");
        }
        assert_eq!(personal("ZIP code"), Some(("zip", false)));
        for label in ["n_patient_id", "patients", "feature", "age", "grid", "medical", "model_name"] {
            assert_eq!(personal(label), None, "{label}");
        }
    }
}
