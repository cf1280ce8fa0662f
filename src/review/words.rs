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

/// Words of labels of counts.
pub(super) const COUNTS: &[&str] = &[
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
    "sum",
    "summe",
    "effectif",
    "effectifs",
    "nombre",
    "nb",
    "anz",
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
pub(super) const HYPER: &[&str] = &[
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
        "min",
        "max",
        "minimum",
        "maximum",
        "lowest",
        "highest",
        "youngest",
        "oldest",
        "smallest",
        "largest",
        "p0",
        "p100",
        "q0",
        "q100",
        "range",
        "span",
        "spannweite",
        "minimal",
        "maximal",
        "jüngste",
        "jüngster",
        "älteste",
        "ältester",
        "earliest",
        "latest",
        "outlier",
        "outliers",
        "flier",
        "fliers",
        "whislo",
        "whishi",
        "p99",
        "p999",
        "p01",
        "p001",
    ];
    let label = label.trim();
    // The outermost hundredths are those of few.
    let hundredth = label.strip_suffix('%').or_else(|| label.strip_prefix(['p', 'P']));
    let hundredth = hundredth.and_then(|number| number.parse::<f64>().ok());
    if hundredth.is_some_and(|hundredth| !(1.0..99.0).contains(&hundredth) && hundredth <= 100.0) {
        return true;
    }
    words.iter().any(|word| NAMES.contains(&word.as_str()))
        || matches!(label, "0%" | "100%" | "0.0%" | "100.0%" | "Min." | "Max.")
}

/// Words that make a label that of a statistic over many, or of a model's weights and measures.
pub(super) const STRONG: &[&str] = &[
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
pub(super) const WEAK: &[&str] = &[
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

/// True if what stands below a label is of that statistic, as in `"mean": {"age": 44.2}`: not where it is the name of a
/// container only, as in `"metrics": [...]`.
pub(super) fn hands_down(label: &str) -> bool {
    const CONTAINERS: [&str; 12] = [
        "statistic",
        "statistics",
        "stat",
        "metric",
        "metrics",
        "params",
        "parameters",
        "hyperparameters",
        "train",
        "test",
        "validation",
        "values",
    ];
    is_statistic(label) && !words(label).iter().all(|word| CONTAINERS.contains(&word.as_str()))
}

/// True for a line that names a statistic, a count, or a setting: what numbers it has belong to it.
pub(super) fn names_a_statistic(line: &str) -> bool {
    const VAGUE: [&str; 5] = ["of", "at", "per", "left", "right"];
    let is_known = |word: &String| {
        let word = word.as_str();
        // A letter alone is a sex as well.
        word.len() > 1
            && !VAGUE.contains(&word)
            && (STRONG.contains(&word) || COUNTS.contains(&word) || WEAK.contains(&word) || HYPER.contains(&word))
    };
    words(line).iter().any(is_known) || line.contains("Pr(") || line.contains("t value") || line.contains("p-value")
}

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
    }
}
