//! What names of columns and keys mean, by their words.

/// The words of a label in lower case: `PatientID`, `patient_id` and `patient-id` are the same two.
pub(super) fn words(label: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let (mut current, mut was_lower) = (String::new(), false);
    for c in label.chars().take(200) {
        if !c.is_alphanumeric() {
            words.extend(Some(std::mem::take(&mut current)).filter(|word| !word.is_empty()));
            was_lower = false;
            continue;
        }
        if c.is_uppercase() && was_lower {
            words.extend(Some(std::mem::take(&mut current)).filter(|word| !word.is_empty()));
        }
        was_lower = c.is_lowercase() || c.is_numeric();
        current.extend(c.to_lowercase());
    }
    words.extend(Some(current).filter(|word| !word.is_empty()));
    words
}

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

/// Words of labels of counts.
const COUNTS: &[&str] = &[
    "n",
    "count",
    "counts",
    "num",
    "freq",
    "frequency",
    "frequencies",
    "size",
    "support",
    "case",
    "cases",
    "event",
    "events",
    "patient",
    "patients",
    "subject",
    "subjects",
    "total",
    "nobs",
    "obs",
    "observations",
    "samples",
    "anzahl",
    "fallzahl",
    "haeufigkeit",
    "häufigkeit",
    "tp",
    "fp",
    "tn",
    "fn",
    "death",
    "deaths",
    "censored",
    "records",
    "participants",
    "controls",
    "hits",
    "occurrences",
    "observed",
];

/// True if a label is that of counts.
pub(super) fn is_count(label: &str) -> bool {
    let words = words(label);
    if words.iter().any(|word| HYPER.contains(&word.as_str())) {
        return false;
    }
    words.iter().any(|word| COUNTS.contains(&word.as_str()))
}

/// Words of settings of an algorithm, which are no statistics of anybody.
const HYPER: &[&str] = &[
    "depth",
    "iter",
    "iterations",
    "leaf",
    "split",
    "splits",
    "estimators",
    "features",
    "jobs",
    "neighbors",
    "components",
    "clusters",
    "folds",
    "seed",
    "epochs",
    "layers",
    "degree",
    "bins",
    "workers",
    "degrees",
    "length",
    "batch",
];

/// True if a label names a least or greatest value.
pub(super) fn is_extreme(label: &str) -> bool {
    let words = words(label);
    if words.iter().any(|word| HYPER.contains(&word.as_str()) || word == "samples") {
        return false;
    }
    const NAMES: &[&str] = &[
        "min", "max", "minimum", "maximum", "lowest", "highest", "youngest", "oldest", "smallest", "largest", "p0",
        "p100", "q0", "q100",
    ];
    let label = label.trim();
    words.iter().any(|word| NAMES.contains(&word.as_str()))
        || matches!(label, "0%" | "100%" | "0.0%" | "100.0%" | "Min." | "Max.")
}

/// Words that make a label that of a statistic over many, or of a model's weights and measures.
const STRONG: &[&str] = &[
    "mean",
    "avg",
    "average",
    "mittelwert",
    "std",
    "sd",
    "stdev",
    "deviation",
    "var",
    "variance",
    "median",
    "quantile",
    "quartile",
    "percentile",
    "iqr",
    "coef",
    "coefs",
    "coefficient",
    "coefficients",
    "intercept",
    "estimate",
    "estimates",
    "beta",
    "betas",
    "se",
    "stderr",
    "pvalue",
    "pval",
    "ci",
    "percent",
    "percentage",
    "pct",
    "prozent",
    "proportion",
    "correlation",
    "corr",
    "covariance",
    "odds",
    "hazard",
    "rmse",
    "mse",
    "mae",
    "r2",
    "rsquared",
    "auc",
    "auroc",
    "auprc",
    "roc",
    "accuracy",
    "acc",
    "precision",
    "recall",
    "sensitivity",
    "specificity",
    "f1",
    "fscore",
    "loss",
    "losses",
    "fpr",
    "tpr",
    "tnr",
    "fnr",
    "ppv",
    "npv",
    "threshold",
    "thresholds",
    "epoch",
    "epochs",
    "brier",
    "logloss",
    "likelihood",
    "aic",
    "bic",
    "deviance",
    "kappa",
    "mcc",
    "eigenvalue",
    "eigenvalues",
    "loading",
    "loadings",
    "importance",
    "importances",
    "explained",
    "statistic",
    "statistics",
    "metric",
    "metrics",
    "chi2",
    "df",
    "dof",
    "stat",
    "cv",
    "auroc",
    "params",
    "hyperparameters",
    "gradient",
];

/// Words that say so only where every word of the label is one of them: a `count` is, a `blood_count` is not.
const WEAK: &[&str] = &[
    "sum",
    "bin",
    "bins",
    "edges",
    "edge",
    "center",
    "weights",
    "score",
    "scores",
    "bias",
    "param",
    "parameter",
    "parameters",
    "density",
    "probability",
    "prob",
    "survival",
    "cumulative",
    "ratio",
    "error",
    "errors",
    "lower",
    "upper",
    "p",
    "t",
    "z",
    "r",
    "val",
    "macro",
    "micro",
    "weighted",
    "fold",
    "train",
    "test",
    "validation",
    "value",
    "of",
    "left",
    "right",
    "step",
    "iteration",
    "per",
    "at",
    "risk",
    "num",
];

/// True if a label is that of a statistic, a weight or a measure of a model.
pub(super) fn is_statistic(label: &str) -> bool {
    let label = label.trim();
    if label.ends_with('%') && label[..label.len() - 1].parse::<f64>().is_ok() || label.starts_with("Pr(") {
        return true;
    }
    let words = words(label);
    let is = |list: &[&str], word: &String| list.contains(&word.as_str());
    let is_weak = |word: &String| is(WEAK, word) || is(STRONG, word) || is(COUNTS, word) || is(HYPER, word);
    let is_vague =
        matches!(&words[..], [word] if matches!(word.as_str(), "value" | "score" | "test" | "train" | "risk"));
    words.iter().any(|word| is(STRONG, word))
        || STRONG.contains(&words.concat().as_str())
        || !words.is_empty() && !is_vague && words.iter().all(is_weak)
        || is_extreme(label)
}

/// True if a label is that of a column whose values name statistics, features or bins.
pub(super) fn is_naming(label: &str) -> bool {
    const NAMES: &[&str] = &[
        "metric",
        "statistic",
        "feature",
        "features",
        "variable",
        "variables",
        "parameter",
        "term",
        "coefficient",
        "measure",
        "step",
        "bin",
        "epoch",
    ];
    words(label).last().is_some_and(|word| NAMES.contains(&word.as_str()))
}

/// A label for a report: shown only if every word of it is one that is known here, for it may be a datum itself.
pub(super) fn known(label: &str) -> Option<&str> {
    let words = words(label);
    let is_known = |word: &String| {
        let word = word.as_str();
        STRONG.contains(&word)
            || WEAK.contains(&word)
            || COUNTS.contains(&word)
            || HYPER.contains(&word)
            || OTHERS.contains(&word)
    };
    (!words.is_empty()
        && label.len() <= 40
        && label.is_ascii()
        && (words.iter().all(is_known) || personal(label).is_some_and(|(name, _)| name == words.concat())))
    .then_some(label)
}

/// Further words that are no datum.
const OTHERS: &[&str] = &[
    "min", "max", "age", "sex", "gender", "group", "model", "results", "result", "data", "train", "test", "class",
    "label", "labels", "index", "table", "values", "summary", "report", "name", "id", "date", "key",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits_labels_into_words() {
        for (label, expected) in [
            ("patient_id", vec!["patient", "id"]),
            ("PatientID", vec!["patient", "id"]),
            ("Std. Error", vec!["std", "error"]),
            ("f1-score", vec!["f1", "score"]),
            ("", vec![]),
        ] {
            assert_eq!(words(label), expected, "{label}");
        }
    }

    #[test]
    fn tells_what_labels_mean() {
        for label in
            ["patient_id", "PatientID", "PATIENT ID", "pat_id", "Geburtsdatum", "MRN", "lab_patient_id", "KVNR"]
        {
            assert!(personal(label).is_some_and(|(_, alone)| alone), "{label}");
        }
        assert_eq!(personal("ZIP code"), Some(("zip", false)));
        for label in ["n_patient_id", "patients", "feature", "age", "grid", "medical", "model_name"] {
            assert_eq!(personal(label), None, "{label}");
        }
        for label in ["n", "N", "count", "n_patients", "support", "Anzahl", "numCases"] {
            assert!(is_count(label), "{label}");
        }
        for label in ["n_estimators", "n_jobs", "accuracy", "mean"] {
            assert!(!is_count(label), "{label}");
        }
        for label in ["min", "age_max", "Minimum", "100%", "Max."] {
            assert!(is_extreme(label), "{label}");
        }
        for label in ["max_depth", "min_samples_leaf", "max_iter", "maxwell"] {
            assert!(!is_extreme(label), "{label}");
        }
        for label in
            ["mean_age", "Std. Error", "25%", "Pr(>|t|)", "auc", "p-value", "rSquared", "n", "t value", "bin_left"]
        {
            assert!(is_statistic(label), "{label}");
        }
        for label in ["age", "bmi", "diagnosis", "height", "name", "weight", "heart_rate", "blood_count", "value"] {
            assert!(!is_statistic(label), "{label}");
        }
        assert_eq!((known("mean"), known("Mueller"), known("patient_id")), (Some("mean"), None, Some("patient_id")));
    }
}
