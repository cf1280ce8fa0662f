//! The Python that judges layouts: one process for all questions of a test.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Mutex, PoisonError};

use serde_json::{Value, json};

use crate::peers::test_file;

/// What `layout.py` prints for this command, or its fault. To start Python takes longer than to read an image, so one
/// process does it for the whole test.
pub(crate) fn judge(line: &[&str]) -> Result<String, String> {
    static JUDGE: Mutex<Option<Judge>> = Mutex::new(None);
    let mut judge = JUDGE.lock().unwrap_or_else(PoisonError::into_inner);
    let judge = judge.get_or_insert_with(Judge::start);
    writeln!(judge.questions, "{}", json!(line)).expect("Python listens");
    let mut answer = String::new();
    judge.answers.read_line(&mut answer).expect("Python answers");
    let mut answer: Value = serde_json::from_str(&answer).expect("JSON");
    match answer["printed"].take() {
        Value::String(printed) => Ok(printed),
        _ => Err(answer["fault"].to_string()),
    }
}

/// `layout.py serve`, which ends with the test: there are no more questions then.
struct Judge {
    _process: Child,
    questions: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Judge {
    fn start() -> Self {
        let mut command = Command::new("python3");
        // Nothing but the standard library is needed, and to look for more takes as long as the rest.
        command.arg("-S").arg(test_file("python/layout.py")).arg("serve");
        let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("python3");
        let questions = process.stdin.take().expect("a pipe");
        let answers = BufReader::new(process.stdout.take().expect("a pipe"));
        Judge { _process: process, questions, answers }
    }
}
