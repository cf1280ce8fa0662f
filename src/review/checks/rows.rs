use super::super::fields::field::{Group, Observer};
use super::super::finding::{Notes, ReviewCheck};
use super::super::labels::{is_naming, is_of_each};
use super::super::policy::ReleasePolicy;
use super::super::subject::Subject;
use super::super::words::{is_statistic, words};

/// The rows of a table of statistics that is no curve.
const SUMMARY: u64 = 60;
/// The values of a list that needs no look.
const SHORT_LIST: u64 = 10;

/// Rows of tables, and tables and lists that may be one row a person.
struct Rows {
    max_rows: u64,
}

pub(super) fn observer(_: &Subject<'_>, policy: &ReleasePolicy) -> Box<dyn Observer> {
    Box::new(Rows { max_rows: policy.max_rows })
}

impl Observer for Rows {
    fn group(&mut self, group: &Group, notes: &mut Notes<'_>) {
        let place = group.place.trim_end_matches([':', ' ']).to_owned();
        if group.rows > self.max_rows {
            let what = format!("{} rows or values, more than the {} that a table may have", group.rows, self.max_rows);
            notes.stop(ReviewCheck::Rows, place, what);
            return;
        }
        let is_list = group.columns.len() < 2;
        if group.rows == 0 || is_list && group.rows < SHORT_LIST || is_summary(group) {
            return;
        }
        let what = if is_list {
            format!("{} values in a row that have the name of no statistic: they may be one a person", group.rows)
        } else {
            format!(
                "a table of {} rows that is not known to be of statistics: it may have one row a person",
                group.rows
            )
        };
        notes.look(ReviewCheck::Rows, place, what);
    }
}

/// True if every number stands under the name of a statistic, or in the row of one.
fn is_summary(group: &Group) -> bool {
    let is_curve = group.columns.iter().any(|column| is_of_curve(&column.label));
    let is_list = group.columns.len() < 2;
    if is_list && !is_curve && group.columns.iter().any(|column| is_of_each(&column.label)) {
        return false;
    }
    if group.of_statistics {
        return group.rows <= SUMMARY || is_curve;
    }
    let mut numeric = group.columns.iter().enumerate().filter(|(at, column)| {
        // The first column may number the rows.
        column.numbers > 0
            && !(*at == 0 && (column.label.is_empty() || is_naming(&column.label) || column.label == "Unnamed: 0"))
    });
    let has_texts = group.columns.iter().skip(1).any(|column| column.texts > 0 && !is_statistic(&column.label));
    let by_columns = numeric.clone().next().is_some() && numeric.all(|(_, column)| is_statistic(&column.label));
    let (named, of_statistics) = group.row_labels;
    let by_rows = named > 0 && of_statistics * 4 >= named * 3 && named * 4 >= group.rows * 3;
    (by_columns || by_rows) && !has_texts && (group.rows <= SUMMARY || is_curve)
}

/// True if a label is of something of which there are many values whatever the number of people.
fn is_of_curve(label: &str) -> bool {
    const NAMES: [&str; 20] = [
        "fpr",
        "tpr",
        "threshold",
        "thresholds",
        "precision",
        "recall",
        "loss",
        "epoch",
        "bin",
        "bins",
        "density",
        "coef",
        "coefficient",
        "importance",
        "importances",
        "weights",
        "beta",
        "survival",
        "hazard",
        "step",
    ];
    words(label).iter().any(|word| NAMES.contains(&word.as_str()))
}
