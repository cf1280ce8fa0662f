use std::fs;

use super::*;
use crate::crypto::testing;
use crate::error::Kind;

fn journal_of(lines: usize) -> (tempfile::TempDir, Journal, &'static PrivateKey) {
    let dir = tempfile::tempdir().unwrap();
    let journal = Journal::new(dir.path().join("journal.intoto.jsonl"));
    let key = testing::key(0);
    for number in 0..lines {
        let predicate = json!({ "act": "run", "number": number as u64 });
        let Value::Object(predicate) = predicate else { panic!("an object") };
        journal.append(("train/1", "ab"), predicate, key).unwrap();
    }
    (dir, journal, key)
}

fn lines(journal: &Journal) -> Vec<String> {
    fs::read_to_string(journal.path()).unwrap().lines().map(str::to_owned).collect()
}

fn write(journal: &Journal, lines: &[String]) {
    fs::write(journal.path(), lines.iter().map(|line| format!("{line}\n")).collect::<String>()).unwrap();
}

#[test]
fn what_was_appended_verifies() {
    let (_dir, journal, key) = journal_of(3);
    let entries = journal.verify(&[key.public_key()]).unwrap();
    let numbers: Vec<_> = entries.iter().map(|entry| entry.get("/number").and_then(Value::as_u64)).collect();
    assert_eq!(numbers, [Some(0), Some(1), Some(2)]);
    let stranger = testing::key(1);
    assert_eq!(journal.verify(&[stranger.public_key()]).unwrap_err().kind(), Kind::Verification);
    assert!(journal.verify(&[stranger.public_key(), key.public_key()]).is_ok());
}

#[test]
fn every_changed_removed_moved_or_repeated_line_is_found() {
    let (_dir, journal, key) = journal_of(4);
    let (whole, keys) = (lines(&journal), [key.public_key()]);
    let mut bad: Vec<Vec<String>> = Vec::new();
    for at in 0..whole.len() {
        let mut removed = whole.clone();
        removed.remove(at);
        bad.push(removed);
        let mut twice = whole.clone();
        twice.insert(at, whole[at].clone());
        bad.push(twice);
        for other in 0..at {
            let mut moved = whole.clone();
            moved.swap(at, other);
            bad.push(moved);
        }
        // A change of any member, and of any byte of the payload.
        for (from, to) in [("payload", "Payload"), ("sig", "gis"), ("in-toto", "in-tota")] {
            let mut changed = whole.clone();
            changed[at] = changed[at].replacen(from, to, 1);
            bad.push(changed);
        }
        for place in (40..whole[at].len() - 2).step_by(97) {
            let mut bytes = whole[at].clone().into_bytes();
            bytes[place] = if bytes[place] == b'A' { b'B' } else { b'A' };
            let mut changed = whole.clone();
            changed[at] = String::from_utf8(bytes).unwrap();
            bad.push(changed);
        }
        // Signed anew by somebody else.
        let stranger = testing::key(1);
        let envelope = Envelope::parse(whole[at].as_bytes()).unwrap();
        let forged = Envelope::sign(IN_TOTO, envelope.unverified().to_vec(), stranger).unwrap();
        let mut changed = whole.clone();
        changed[at] = String::from_utf8(forged.to_json(&key.public_key())).unwrap();
        bad.push(changed);
    }
    bad.push(Vec::new());
    for lines in bad {
        write(&journal, &lines);
        let error = journal.verify(&keys).expect_err(&lines.join("\n"));
        assert!(matches!(error.kind(), Kind::Verification), "{error}");
    }
    write(&journal, &whole);
    journal.verify(&keys).unwrap();
    fs::remove_file(journal.path()).unwrap();
    assert_eq!(journal.entries().unwrap_err().kind(), Kind::Verification);
    assert_eq!(journal.append(("a", "b"), Object::new(), key).unwrap_err().kind(), Kind::Verification);
}

#[test]
fn a_write_that_was_cut_short_is_made_good() {
    let (_dir, journal, key) = journal_of(2);
    let whole = fs::read(journal.path()).unwrap();
    // Half a line.
    fs::write(journal.path(), [&whole[..], b"{\"payloadTy"].concat()).unwrap();
    journal.append(("a", "b"), Object::new(), key).unwrap();
    assert_eq!(journal.verify(&[key.public_key()]).unwrap().len(), 3);
    // The line, and not yet its copy.
    let head = fs::read(journal.head_path()).unwrap();
    journal.append(("a", "b"), Object::new(), key).unwrap();
    fs::write(journal.head_path(), head).unwrap();
    journal.append(("a", "b"), Object::new(), key).unwrap();
    assert_eq!(journal.verify(&[key.public_key()]).unwrap().len(), 5);
}

#[test]
fn many_writers_take_turns() {
    let (_dir, journal, key) = journal_of(0);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| (0..3).for_each(|_| drop(journal.append(("a", "b"), Object::new(), key).unwrap())));
        }
    });
    assert_eq!(journal.verify(&[key.public_key()]).unwrap().len(), 12);
}
