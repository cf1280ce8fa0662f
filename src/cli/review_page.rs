//! The page about a review, for the person who decides.

use std::io::Read;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use maud::{Markup, html};

use super::page::{page, sentence, shown, write};
use super::review_text::{NEVER_SAFE, size_of};
use crate::crypto::hex;
use crate::error::{IoContext, Result};
use crate::image::rfc3339;
use crate::review::{FileReview, Finding, RULES, ResultKind, Severity, State};
use crate::stage::{Reviewed, ReviewedTrain};
use crate::store::Context;
use crate::text::{counted, quoted, size};

/// The bytes of a text that are shown.
const TEXT: u64 = 32 << 10;
/// The lines of a text, and the rows of a table.
const LINES: usize = 40;
/// The columns of a table.
const COLUMNS: usize = 24;
/// The characters of a line, and of a cell.
const LINE: usize = 400;
/// The largest picture that is in the page, and the most bytes of all of them.
const PICTURE: u64 = 2 << 20;
const PICTURES: u64 = 16 << 20;
/// The files that are shown with their content.
const FILES: usize = 500;

/// Writes the page.
pub(super) fn write_page(reviewed: &Reviewed, file: &Path, context: &Context) -> Result<()> {
    write(file, &review_page(reviewed, &rfc3339(context.now)?)?)
}

fn review_page(reviewed: &Reviewed, time: &str) -> Result<String> {
    let review = &reviewed.review;
    let title = match &reviewed.train {
        Some(train) => format!("Results of the train {} at {}", shown(&train.id), shown(&train.station)),
        None => "Results in a directory".to_owned(),
    };
    let header = html! {
        h1 { (title) }
        p.verdict.(review.verdict().name()) role="status" { (verdict(reviewed)) }
        p { (sentence(NEVER_SAFE)) " " a href="#cannot" { "What the checks cannot find" } "." }
    };
    let mut pictures = PICTURES;
    let mut sections = Vec::new();
    for (at, file) in review.files.iter().enumerate().filter(|(_, file)| file.entry.kind != ResultKind::Directory) {
        sections.push(file_section(reviewed, at, file, &mut pictures)?);
    }
    let main = html! {
        (facts(reviewed, time))
        h2 #findings { "Findings" }
        (findings(reviewed))
        h2 #files { "Files" }
        (overview(reviewed))
        @for section in &sections { (section) }
        (rules(reviewed))
        (next_steps(reviewed))
    };
    Ok(page(&title, &header, &main))
}

fn verdict(reviewed: &Reviewed) -> String {
    let review = &reviewed.review;
    let count = |severity| review.findings.iter().filter(|finding| finding.severity == severity).count() as u64;
    let (stops, looks) = (count(Severity::Stop), count(Severity::Look));
    match review.verdict() {
        Severity::Pass => "Pass: the checks have found nothing".to_owned(),
        Severity::Look => format!("Look: {} to look at", counted(looks, "finding")),
        Severity::Stop => {
            format!("Stop: {} against the rules of the station, and {looks} to look at", counted(stops, "finding"))
        }
    }
}

fn facts(reviewed: &Reviewed, time: &str) -> Markup {
    let review = &reviewed.review;
    let total: u64 = review.files.iter().filter_map(size_of).sum();
    html! {
        dl {
            @if let Some(train) = &reviewed.train { (of_train(train)) }
            dt { "Results" } dd { code { (review.digest) } }
            dt { "Size" } dd { (size(total)) " in " (counted(review.files.iter().filter_map(size_of).count() as u64, "file")) }
            dt { "Compared with" } dd {
                @if review.against.is_empty() { "no data of the station (--against was not given)" }
                @for dir in &review.against { code { (shown(dir)) } " " }
            }
            dt { "Reviewed" } dd { (time) }
        }
    }
}

fn of_train(train: &ReviewedTrain) -> Markup {
    html! {
        dt { "Train" } dd { (shown(&train.id)) " (wire " (train.wire) ")" }
        dt { "Stop" } dd { (train.stop.0 + 1) " of " (train.stop.1) ", " (shown(&train.station)) }
        dt { "Creator" } dd { (shown(&train.creator)) }
        dt { "Creator's key" } dd { code { (train.creator_key) } }
        dt { "Image" } dd { (shown(&train.source)) }
        dt { "Train config" } dd { code { (train.config) } }
    }
}

fn word(severity: Severity) -> Markup {
    html! { span.word.(severity.name()) { (severity.name()) } }
}

fn findings(reviewed: &Reviewed) -> Markup {
    let review = &reviewed.review;
    // What decides comes first.
    let mut sorted: Vec<&Finding> = review.findings.iter().collect();
    sorted.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    let anchor =
        |finding: &Finding| review.files.iter().position(|file| file.path == finding.path && !finding.path.is_empty());
    html! {
        @if review.findings.is_empty() {
            p { "None. " (sentence(NEVER_SAFE)) }
        } @else {
            table.stack {
                thead { tr { th scope="col" { "Verdict" } th scope="col" { "Check" } th scope="col" { "File" } th scope="col" { "Place" } th scope="col" { "What was found" } } }
                tbody {
                    @for finding in sorted {
                        tr {
                            td { (word(finding.severity)) }
                            td data-name="check" { (finding.check.name()) }
                            td data-name="file" {
                                @match anchor(finding) {
                                    Some(at) => { a href=(format!("#file-{at}")) { (shown(&finding.path)) } }
                                    None => "all"
                                }
                            }
                            td data-name="place" { (finding.place.as_deref().map(shown).unwrap_or_default()) }
                            td data-name="found" { (shown(&finding.evidence)) }
                        }
                    }
                }
            }
        }
    }
}

fn overview(reviewed: &Reviewed) -> Markup {
    let review = &reviewed.review;
    let is_known = review.gone.is_some();
    html! {
        @if !is_known {
            p.soft { "What came with the train is not known here, so new and old are not told apart." }
        }
        table.stack {
            thead { tr {
                th scope="col" { "Verdict" } th scope="col" { "File" } th scope="col" { "Type" } th scope="col" { "Size" } th scope="col" { "Since the last stop" }
            } }
            tbody {
                @for (at, file) in review.files.iter().enumerate() {
                    tr {
                        td { (word(file.verdict)) }
                        td data-name="file" {
                            @if file.entry.kind == ResultKind::Directory { (shown(&file.path)) "/" }
                            @else { a href=(format!("#file-{at}")) { (shown(&file.path)) } }
                        }
                        td data-name="type" { (kind_of(file)) }
                        td data-name="size" { (size_of(file).map(size).unwrap_or_default()) }
                        td data-name="since the last stop" { (file.state.map_or("not known", State::name)) }
                    }
                }
                @for gone in review.gone.iter().flatten() {
                    tr { td { } td data-name="file" { (shown(gone)) } td { } td { } td data-name="since the last stop" { "gone" } }
                }
            }
        }
    }
}

fn kind_of(file: &FileReview) -> String {
    let kind = if file.format.is_empty() { file.entry.kind.name() } else { file.format };
    match &file.entry.kind {
        ResultKind::Symlink(target) | ResultKind::Link(target) => format!("{kind} to {}", shown(target)),
        _ => kind.to_owned(),
    }
}

fn file_section(reviewed: &Reviewed, at: usize, file: &FileReview, pictures: &mut u64) -> Result<Markup> {
    let review = &reviewed.review;
    let preview = if at < FILES {
        preview(reviewed, file, pictures)?
    } else {
        html! {}
    };
    let digest = match &file.entry.kind {
        ResultKind::File { digest, .. } => Some(hex::encode(digest)),
        _ => None,
    };
    Ok(html! {
        section.file #(format!("file-{at}")) {
            h3 { (word(file.verdict)) " " (shown(&file.path)) }
            p.soft {
                (kind_of(file)) ", mode " (format!("{:04o}", file.entry.mode))
                @if let Some(bytes) = size_of(file) { ", " (size(bytes)) }
                @if let Some(state) = file.state { ", " (state.name()) }
            }
            @if let Some(digest) = digest { p.soft { "SHA-256 " code { (digest) } } }
            ul {
                @for finding in review.of(&file.path) {
                    li {
                        (word(finding.severity)) " " (finding.check.name())
                        @if let Some(place) = &finding.place { ", " (shown(place)) }
                        ": " (shown(&finding.evidence))
                    }
                }
            }
            (preview)
        }
    })
}

/// The content of a file, or the beginning of it.
fn preview(reviewed: &Reviewed, file: &FileReview, pictures: &mut u64) -> Result<Markup> {
    let Some(bytes) = size_of(file).filter(|bytes| *bytes > 0) else { return Ok(html! {}) };
    if file.state == Some(State::Unchanged) {
        return Ok(html! { p.soft { "As it came with the train; not looked at here." } });
    }
    let most = match file.format {
        "png" | "jpeg" if bytes <= PICTURE && bytes <= *pictures => bytes,
        "csv" | "tsv" | "json" | "jsonl" | "txt" | "html" | "xml" | "svg" | "ipynb" => TEXT,
        _ => return Ok(html! { p.soft { "The content is not shown." } }),
    };
    let path = [reviewed.root, b"/", &file.entry.path].concat();
    let Some(node) = reviewed.tree.get(&path) else { return Ok(html! {}) };
    let mut content = Vec::new();
    reviewed.tree.open(node)?.take(most).read_to_end(&mut content).doing("read the file")?;
    Ok(match file.format {
        "png" | "jpeg" => {
            *pictures = pictures.saturating_sub(bytes);
            let source = format!("data:image/{};base64,{}", file.format, STANDARD.encode(&content));
            html! { p { img src=(source) alt=(format!("The picture {}", shown(&file.path))); } }
        }
        "csv" | "tsv" => table_preview(&content, bytes > most),
        _ => text_preview(&content, bytes > most),
    })
}

fn text_preview(content: &[u8], is_cut: bool) -> Markup {
    let lines: Vec<&[u8]> = content.split(|&byte| byte == b'\n').collect();
    let has_more = is_cut || lines.len() > LINES;
    let text: Vec<String> =
        lines.iter().take(LINES).map(|line| cut(&shown(line.strip_suffix(b"\r").unwrap_or(line)))).collect();
    html! {
        pre tabindex="0" { (text.join("\n")) }
        @if has_more { p.soft { "Only the beginning is shown." } }
    }
}

fn cut(text: &str) -> String {
    if text.chars().count() > LINE { text.chars().take(LINE).chain(['…']).collect() } else { text.to_owned() }
}

fn table_preview(content: &[u8], is_cut: bool) -> Markup {
    let text = String::from_utf8_lossy(content);
    let first = text.lines().next().unwrap_or_default();
    let count = |delimiter: &u8| first.bytes().filter(|byte| byte == delimiter).count();
    let delimiter = b",;\t|".iter().copied().max_by_key(|delimiter| count(delimiter)).unwrap_or(b',');
    let mut reader =
        csv::ReaderBuilder::new().delimiter(delimiter).has_headers(false).flexible(true).from_reader(text.as_bytes());
    let rows: Vec<csv::StringRecord> = reader.records().take(LINES + 1).filter_map(Result::ok).collect();
    let has_more = is_cut || rows.len() > LINES || rows.iter().any(|row| row.len() > COLUMNS);
    html! {
        div.wide tabindex="0" role="region" aria-label="Beginning of the table" {
            table {
                @for row in rows.iter().take(LINES) {
                    tr { @for cell in row.iter().take(COLUMNS) { td { (cut(&shown(cell))) } } }
                }
            }
        }
        @if has_more { p.soft { "Only the beginning is shown." } }
    }
}

fn rules(reviewed: &Reviewed) -> Markup {
    let policy = &reviewed.review.policy;
    html! {
        h2 { "Rules of the station" }
        dl {
            dt { "Least count" } dd { (policy.min_count) @if policy.allow_zeros { ", and zero" } }
            dt { "Largest file" } dd { (size(policy.max_file)) }
            dt { "All files" } dd { (size(policy.max_total)) }
            dt { "Rows of a table" } dd { (policy.max_rows) }
            dt { "Types" } dd { (shown(&policy.types.join(", "))) }
            dt { "Reviewers" } dd { (policy.reviewers) }
        }
        h2 #cannot { "What the checks look for, and what they cannot find" }
        p {
            "No check finds what two tables, two runs or two stations tell together, what a model remembers of single people, or data "
            "hidden in names, order, sizes, times, pixels or digits."
        }
        table.stack {
            thead { tr { th scope="col" { "Check" } th scope="col" { "Looks for" } th scope="col" { "Cannot find" } } }
            tbody {
                @for rule in &RULES {
                    tr { td { (rule.check.name()) } td data-name="looks for" { (rule.finds) } td data-name="cannot find" { (rule.misses) } }
                }
            }
        }
    }
}

fn next_steps(reviewed: &Reviewed) -> Markup {
    html! {
        h2 { "How it goes on" }
        @if let Some(train) = &reviewed.train {
            @let source = shown(&quoted(&train.source));
            @let results = train.results.as_ref().map(|dir| format!(" --results {}", shown(&quoted(dir)))).unwrap_or_default();
            @let named = format!("{source}{results}");
            p { "To let exactly these results out, sign for them; each finding that stops needs a reason:" }
            pre tabindex="0" { "pht-oci approve " (named) " --reviewer-key NAME.pem --out NAME.approval.json --accept 'CHECK:PATH=REASON'" }
            p { "Then, with the approvals:" }
            pre tabindex="0" { "pht-oci release " (source) " DEST" (results) " --private-key STATION.pem --trust DIR --approval NAME.approval.json" }
            p { "Or erase the results; the train stays as it came:" }
            pre tabindex="0" { "pht-oci reject " (named) }
        } @else {
            p { "These files belong to no train, so they cannot be approved as they are." }
        }
    }
}
