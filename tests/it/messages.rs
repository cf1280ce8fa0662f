//! Every text that a person may read is collected from the sources, held against the rules at the head of `src/error.rs`,
//! and listed in `tests/golden/messages.txt` for an editor. After a change: `BLESS=1 cargo test --test it messages`.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use proc_macro2::{Delimiter, TokenStream, TokenTree};

/// A string literal in the sources.
struct Text {
    file: String,
    text: String,
    /// The literal is in the arguments of a macro, such as `format!`.
    in_macro: bool,
}

impl Text {
    /// At least two words of prose, in one line; the rest is data, or the text of the help.
    fn is_message(&self) -> bool {
        let is_word = |word: &str| word.len() > 1 && word.chars().all(|c| c.is_ascii_lowercase() || "',:;".contains(c));
        let words = self.text.split(' ').filter(|word| is_word(word)).count();
        words > 1 && !self.text.trim_end_matches('\n').contains('\n')
    }

    fn faults(&self) -> Vec<&'static str> {
        let text = self.text.as_str();
        let words: Vec<&str> = text.split([' ', ',', ';', ':', '.']).collect();
        let begins_with_name = words[0].chars().filter(|c| c.is_uppercase()).count() > 1;
        let names_nothing = |word: &&str| matches!(*word, "it" | "this" | "that");
        let first = &words[..words.len().min(3)];
        let is_option =
            |word: &str| word.strip_prefix("--").is_some_and(|name| name.starts_with(|c: char| c.is_lowercase()));
        let named_by_code = !self.file.starts_with("src/cli/") && text.split([' ', '`', '(', '=']).any(is_option);
        // A page that is read as a whole is prose, in sentences; so is what a check means.
        let is_page = self.file.ends_with("_page.rs") || self.file.ends_with("check_words.rs");
        let shows_braces = !self.in_macro && text.contains(['{', '}']) && !text.contains("{\"");
        let rules = [
            ("begins in upper case", !is_page && text.starts_with(|c: char| c.is_uppercase()) && !begins_with_name),
            ("ends with a period", !is_page && text.trim_end().ends_with('.') && !text.ends_with("...")),
            ("does not name its object", text.split(' ').count() < 4 && first.iter().any(names_nothing)),
            ("begins with `it`", text.starts_with("it ") || text.starts_with("cannot") && first.contains(&"it")),
            ("speaks of us", words.iter().any(|word| matches!(*word, "we" | "us" | "our" | "ours" | "I" | "my"))),
            ("shows braces", shows_braces),
            ("names an option outside of src/cli", named_by_code),
            ("has two blanks in a row", text.trim_start().contains("  ")),
        ];
        rules.into_iter().filter(|(_, broken)| *broken).map(|(rule, _)| rule).collect()
    }
}

/// The source files, without those of tests.
fn sources(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap();
        if matches!(name, "tests" | "testing" | "known_answers" | "openssl") || name.ends_with("_tests") {
            continue;
        }
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|end| end == "rs") {
            found.push(path);
        }
    }
}

/// Collects the literals of a file; attributes (documentation too) and items under `#[cfg(test)]` are left out.
fn collect(tokens: TokenStream, file: &str, in_macro: bool, found: &mut Vec<Text>) {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    let is = |at: usize, c: char| matches!(tokens.get(at), Some(TokenTree::Punct(punct)) if punct.as_char() == c);
    let mut at = 0;
    while at < tokens.len() {
        match &tokens[at] {
            TokenTree::Punct(punct) if punct.as_char() == '#' => {
                at += if is(at + 1, '!') { 2 } else { 1 };
                let test =
                    tokens.get(at).is_some_and(|attribute| attribute.to_string().replace(' ', "") == "[cfg(test)]");
                if test {
                    at += tokens[at..].iter().position(ends_item).unwrap_or(0);
                }
            }
            TokenTree::Group(group) => {
                // `name!(...)`: the tokens before are a name and an exclamation mark.
                let called = at >= 2 && is(at - 1, '!') && matches!(tokens[at - 2], TokenTree::Ident(_));
                collect(group.stream(), file, in_macro || called, found);
            }
            TokenTree::Literal(literal) => {
                if let Some(text) = text_of(&literal.to_string()) {
                    found.push(Text { file: file.to_owned(), text, in_macro });
                }
            }
            _ => {}
        }
        at += 1;
    }
}

fn ends_item(token: &TokenTree) -> bool {
    match token {
        TokenTree::Punct(punct) => punct.as_char() == ';',
        TokenTree::Group(group) => group.delimiter() == Delimiter::Brace,
        _ => false,
    }
}

/// The text of a string literal.
fn text_of(literal: &str) -> Option<String> {
    if let Some(raw) = literal.strip_prefix('r') {
        return raw.trim_matches('#').strip_prefix('"')?.strip_suffix('"').map(str::to_owned);
    }
    let mut rest = literal.strip_prefix('"')?.strip_suffix('"')?.chars().peekable();
    let mut text = String::new();
    while let Some(c) = rest.next() {
        match (c, if c == '\\' { rest.next() } else { None }) {
            ('\\', Some('n')) => text.push('\n'),
            ('\\', Some('\n')) => while rest.next_if(|c| c.is_whitespace()).is_some() {},
            ('\\', Some(other)) => text.push(other),
            _ => text.push(c),
        }
    }
    Some(text)
}

fn messages() -> Vec<Text> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (mut files, mut found) = (Vec::new(), Vec::new());
    sources(&root.join("src"), &mut files);
    for path in files {
        let name = path.strip_prefix(root).unwrap().display().to_string();
        collect(fs::read_to_string(&path).unwrap().parse().unwrap(), &name, false, &mut found);
    }
    found.retain(Text::is_message);
    assert!(found.len() > 400, "only {} messages were found", found.len());
    found
}

#[test]
fn messages_keep_the_rules() {
    let broken: Vec<String> = messages()
        .iter()
        .flat_map(|one| one.faults().into_iter().map(|rule| format!("{}: {rule}: {}", one.file, one.text.trim())))
        .collect();
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn every_message_is_listed_for_an_editor() {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/messages.txt");
    let texts: BTreeSet<String> = messages().iter().map(|one| one.text.trim().to_owned()).collect();
    let text: String = texts.iter().map(|text| format!("{text}\n")).collect();
    if std::env::var_os("BLESS").is_some() {
        fs::write(&golden, &text).unwrap();
    }
    let listed = fs::read_to_string(&golden).unwrap_or_default();
    let added = texts.iter().filter(|text| !listed.lines().any(|line| line == *text)).map(|text| format!("+ {text}"));
    let gone = listed.lines().filter(|line| !texts.contains(*line)).map(|line| format!("- {line}"));
    let changes: Vec<String> = added.chain(gone).collect();
    assert!(changes.is_empty(), "read these, then run with BLESS=1:\n{}", changes.join("\n"));
}

#[test]
fn rules_are_seen_to_be_broken() {
    let broken =
        |text: &str| Text { file: "src/store/x.rs".to_owned(), text: text.to_owned(), in_macro: false }.faults();
    for text in [
        "The blob is absent",
        "the blob is absent.",
        "cannot read it",
        "look at it",
        "it is absent",
        "the registry sends us away",
        "the blob {digest} is absent",
        "name the station with --station",
    ] {
        assert!(!broken(text).is_empty(), "{text}");
    }
    for text in
        ["cannot read the key file", "RSA key with invalid parameters", "the copy is damaged; fetch the image again"]
    {
        assert!(broken(text).is_empty(), "{text}: {:?}", broken(text));
    }
}
