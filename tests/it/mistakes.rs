//! Mistakes of a creator: each is told at `build`, by a message that names the thing and says what to do.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use support::stage::StageFixture;
use support::tree::{differences, snapshot};
use support::wire3::Wire3Fixture;
use support::{Edit, Layout, Outcome, Peer, Wire, available, pht_oci, utf8};

/// What a row of the table changes before the build.
struct Attempt<'a> {
    fixture: &'a Wire3Fixture,
    dir: String,
    options: Vec<(&'static str, String)>,
    command: Vec<String>,
}

impl Attempt<'_> {
    fn path(&self, name: &str) -> String {
        format!("{}/{name}", self.dir)
    }

    fn write(&self, name: &str, text: impl AsRef<[u8]>) -> String {
        let path = self.path(name);
        fs::create_dir_all(Path::new(&path).parent().expect("below a directory")).expect("a new directory");
        fs::write(&path, text).expect("a new file");
        path
    }

    fn set(&mut self, option: &'static str, value: impl Into<String>) {
        self.options.retain(|(name, _)| *name != option);
        self.options.push((option, value.into()));
    }

    fn drop(&mut self, option: &str) {
        self.options.retain(|(name, _)| *name != option);
    }

    fn route(&mut self, route: &Value) {
        let path = self.write("route.json", route.to_string());
        self.set("--route", path);
    }

    fn stop(&self, station: &str, key: &str) -> Value {
        json!({ "station": station, "public_key_file": self.fixture.path(&format!("{key}.pub.pem")) })
    }

    /// A master image that runs otherwise.
    fn base(&mut self, config: &Value) {
        self.fixture.base.merge_config("base", "other", config);
        self.set("--base", self.fixture.base.at("other"));
    }

    fn cmd(&mut self, command: &[&str]) {
        self.command = command.iter().map(|word| (*word).to_owned()).collect();
    }

    fn build(&self, to: &str) -> Outcome {
        let mut line = vec!["build".to_owned(), to.to_owned()];
        line.extend(self.options.iter().flat_map(|(name, value)| [(*name).to_owned(), value.clone()]));
        if !self.command.is_empty() {
            line.push("--cmd".to_owned());
            line.extend(self.command.iter().cloned());
        }
        pht_oci(&line, &[])
    }
}

/// A mistake: its name; the exit status, 0 for a warning; what the message names; what it says to do; the mistake itself.
type Mistake = (&'static str, i32, &'static str, &'static str, fn(&mut Attempt<'_>));

const ROUTE: [Mistake; 13] = [
    ("one key for two stations", 0, "hospital_b", "keys of their own", |a| {
        let route = json!([a.stop("hospital_a", "station_1"), a.stop("hospital_b", "station_1")]);
        a.route(&route);
    }),
    ("the creator's key for a station", 0, "hospital_a", "key of its own", |a| {
        let route = json!([a.stop("hospital_a", "creator")]);
        a.route(&route);
    }),
    ("a station twice", 2, "hospital_a", "twice", |a| {
        let route = json!([a.stop("hospital_a", "station_1"), a.stop("hospital_a", "station_2")]);
        a.route(&route);
    }),
    ("an id that is a path", 0, "../x", "choose one of letters", |a| {
        let route = json!([a.stop("../x", "station_1")]);
        a.route(&route);
    }),
    ("an id that a terminal would act on", 0, "\\u{1b}", "choose one of letters", |a| {
        let route = json!([a.stop("a\u{1b}[2J", "station_1")]);
        a.route(&route);
    }),
    ("an id with a blank at its end", 0, "hospital ", "choose one of letters", |a| {
        let route = json!([a.stop("hospital ", "station_1")]);
        a.route(&route);
    }),
    ("a creator who cannot be pinned", 0, "a/b", "choose one of letters", |a| a.set("--creator", "a/b")),
    ("no station", 2, "no station", "", |a| a.route(&json!([]))),
    ("a private key on the route", 2, "station_1.pem", "public", |a| {
        let key = a.fixture.path("station_1.pem");
        a.route(&json!([{ "station": "hospital_a", "public_key_file": key }]));
    }),
    ("a key that is not there", 2, "nowhere.pem", "", |a| {
        a.route(&json!([{ "station": "hospital_a", "public_key_file": "nowhere.pem" }]));
    }),
    ("an unknown field", 2, "stations", "public_key_file", |a| {
        let key = a.fixture.path("station_1.pub.pem");
        a.route(&json!([{ "stations": "hospital_a", "public_key_file": key }]));
    }),
    ("a network that is none", 2, "nowhere", "tue", |a| {
        let key = a.fixture.path("station_1.pub.pem");
        a.route(&json!([{ "station": "hospital_a", "eco_system": "nowhere", "public_key_file": key }]));
    }),
    ("a route that is not there", 2, "route.json", "", |a| {
        let path = a.path("no/route.json");
        a.set("--route", path);
    }),
];

const KEYS: [Mistake; 8] = [
    ("a public key to sign with", 4, "creator.pub.pem", "", |a| {
        let key = a.fixture.path("creator.pub.pem");
        a.set("--creator-key", key);
    }),
    ("a private key for who is away", 2, "creator.pem", "public key", |a| {
        a.drop("--creator-key");
        let key = a.fixture.path("creator.pem");
        a.set("--creator-public-key", key);
    }),
    ("no key of the creator", 2, "--creator-key", "", |a| a.drop("--creator-key")),
    ("a signature that is no hexadecimal", 2, "--creator-signature", "creator's program", |a| {
        a.drop("--creator-key");
        let key = a.fixture.path("creator.pub.pem");
        a.set("--creator-public-key", key);
        a.set("--creator-signature", "xyz");
    }),
    ("a signature of something else", 3, "alice", "have the creator sign", |a| {
        a.drop("--creator-key");
        let key = a.fixture.path("creator.pub.pem");
        a.set("--creator-public-key", key);
        a.set("--creator-signature", "00".repeat(256));
    }),
    ("a short session id", 2, "--session-id", "128", |a| a.set("--session-id", "00")),
    ("no key in the key file", 4, "empty.pem", "", |a| {
        let key = a.write("empty.pem", "");
        a.set("--builder-key", key);
    }),
    ("an RSA key as Paillier key", 4, "creator.pub.pem", "`n` and `g`", |a| {
        let key = a.fixture.path("creator.pub.pem");
        a.set("--paillier-public-key", key);
    }),
];

const FILES: [Mistake; 16] = [
    ("no such directory", 2, "nowhere", "give the directory", |a| a.set("--files", "nowhere")),
    ("nothing in it", 2, "empty", "give the directory", |a| {
        fs::create_dir_all(a.path("empty")).expect("a new directory");
        let dir = a.path("empty");
        a.set("--files", dir);
    }),
    ("a file that is no archive", 2, "notes.txt", "", |a| {
        let file = a.write("notes.txt", "hello");
        a.set("--files", file);
    }),
    ("a link", 2, "opt/pht_train/link", ".phtignore", |a| {
        std::os::unix::fs::symlink("main.py", a.path("files/link")).expect("a new link");
    }),
    ("a repository", 0, "/opt/pht_train/.git", ".phtignore", |a| drop(a.write("files/.git/HEAD", "ref"))),
    ("what Python leaves", 0, "__pycache__", ".phtignore", |a| drop(a.write("files/lib/__pycache__/a.pyc", "x"))),
    ("passwords", 0, "/opt/pht_train/.env", ".phtignore", |a| drop(a.write("files/.env", "PASSWORD=x"))),
    ("somebody's key", 0, "id.pem", ".phtignore", |a| {
        let key = fs::read(a.fixture.path("stranger.pem")).expect("a key");
        a.write("files/id.pem", key);
    }),
    ("an SSH key", 0, "id_rsa", ".phtignore", |a| {
        a.write("files/id_rsa", "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n");
    }),
    ("the creator's own key", 2, "alice.pem", "keep it elsewhere", |a| {
        let key = fs::read(a.fixture.path("creator.pem")).expect("a key");
        a.write("files/alice.pem", key);
    }),
    ("the query twice", 2, "query.json", "once", |a| {
        a.write("files/query.json", "{}");
        let query = a.write("query.json", "{}");
        a.set("--query", query);
    }),
    ("no query there", 2, "none.json", "", |a| {
        let query = a.path("none.json");
        a.set("--query", query);
    }),
    ("a query that is no JSON", 0, "query.json", "FHIR", |a| drop(a.write("files/query.json", "SELECT"))),
    ("a list without a file", 2, "main.py", "", |a| {
        let list = a.write("list.txt", "lib.py\n");
        a.write("files/lib.py", "");
        a.set("--file-list", list);
    }),
    ("a list with another", 2, "other.py", "", |a| {
        let list = a.write("list.txt", "main.py\nother.py\n");
        a.set("--file-list", list);
    }),
    ("a line that is no pattern", 2, "line 2", ".gitignore", |a| drop(a.write("files/.phtignore", "*.csv\n../x\n"))),
];

const BASE: [Mistake; 9] = [
    ("a base that is a train", 2, "is a train", "master image", |a| {
        a.fixture.build("base-train", "other");
        let train = a.fixture.layout.at("base-train");
        a.set("--base", train);
    }),
    ("no base there", 2, "nowhere", "", |a| a.set("--base", "oci:nowhere")),
    ("a tag that is not there", 2, "none", "there are", |a| {
        let base = a.fixture.base.at("none");
        a.set("--base", base);
    }),
    ("a base that no station can reach", 0, "oci:", "say where it is", |a| a.drop("--master")),
    ("a master that is a path", 2, "oci:./master", "docker://HOST/REPO", |a| a.set("--master", "oci:./master")),
    ("volumes that hide the train", 2, "/opt/pht_results", "without this volume", |a| {
        a.base(&json!({ "Volumes": { "/opt/pht_results": {} } }));
    }),
    ("volumes that hide the train behind a link", 2, "/srv/lnk/pht_results", "without this volume", |a| {
        let dir = a.path("links");
        fs::create_dir_all(&dir).expect("a new directory");
        std::os::unix::fs::symlink("../opt", format!("{dir}/lnk")).expect("a new link");
        a.fixture.base.append("base", "linked", &[Edit::Diff("srv", Path::new(&dir))]);
        a.fixture.base.merge_config("linked", "other", &json!({ "Volumes": { "/srv/lnk/pht_results": {} } }));
        a.set("--base", a.fixture.base.at("other"));
    }),
    ("volumes elsewhere", 0, "/data", "/opt/pht_results", |a| {
        a.base(&json!({ "Volumes": { "/data": {} } }));
    }),
    ("a user who cannot write", 0, "1000", "runs as root", |a| a.base(&json!({ "User": "1000" }))),
];

const COMMAND: [Mistake; 5] = [
    ("no command at all", 0, "no command", "no engine", |a| a.cmd(&[])),
    ("a shell", 0, "`sh`", "one of its own", |a| {
        a.base(&json!({ "Cmd": ["/bin/sh"] }));
        a.cmd(&[]);
    }),
    ("a file that is not there", 2, "/opt/pht_train/mian.py", "/opt/pht_train/main.py", |a| {
        a.cmd(&["python", "/opt/pht_train/mian.py"]);
    }),
    ("a file that is looked for elsewhere", 0, "`main.py`", "/opt/pht_train/main.py", |a| {
        a.cmd(&["python", "main.py"])
    }),
    ("an option behind the command", 0, "--wire", "--cmd last", |a| {
        a.cmd(&["python", "/opt/pht_train/main.py", "--wire", "2.0"]);
    }),
];

const DESTINATION: [Mistake; 5] = [
    ("a wire that is none", 2, "9.9", "2.0", |a| a.set("--wire", "9.9")),
    ("an empty id", 2, "train's id", "", |a| a.set("--id", "")),
    ("an empty name", 2, "creator's id", "", |a| a.set("--creator", "")),
    ("a statement in the way", 2, "statement.json", "new file", |a| {
        let there = a.write("statement.json", "");
        a.set("--statement", there);
    }),
    ("an option that is none", 2, "--wires", "", |a| a.set("--wires", "3")),
];

#[test]
fn fifty_mistakes_are_told_at_build() {
    if !available("mistakes::fifty_mistakes", &[Peer::Python]) {
        return;
    }
    let fixture = Wire3Fixture::prepare();
    let tables = [&ROUTE[..], &KEYS, &FILES, &BASE, &COMMAND, &DESTINATION];
    let mistakes: Vec<&Mistake> = tables.into_iter().flatten().collect();
    assert!(mistakes.len() >= 50, "{}", mistakes.len());
    let mut faults = Vec::new();
    for (number, &&(name, status, names, advice, change)) in mistakes.iter().enumerate() {
        let mut attempt = Attempt {
            fixture: &fixture,
            dir: fixture.path(&format!("{number}")),
            options: Vec::new(),
            command: Vec::new(),
        };
        attempt.write("files/main.py", "print(1)\n");
        let files = attempt.path("files");
        for (option, value) in [
            ("--base", fixture.base.at("base")),
            ("--master", "registry.example/master/python:3".to_owned()),
            ("--files", files),
            ("--creator", "alice".to_owned()),
            ("--creator-key", fixture.key("creator")),
            ("--builder-key", fixture.key("builder")),
        ] {
            attempt.set(option, value);
        }
        let route = json!([attempt.stop("hospital_a", "station_1")]);
        attempt.route(&route);
        attempt.cmd(&["python", "/opt/pht_train/main.py"]);
        change(&mut attempt);
        let to = attempt.path("train");
        let before = snapshot(Path::new(&attempt.dir));
        let outcome = match attempt.build(&to).expect(status) {
            Ok(outcome) => outcome,
            Err(message) => {
                faults.push(format!("{name}: {message}"));
                continue;
            }
        };
        let text = String::from_utf8_lossy(&outcome.stdout).into_owned() + &outcome.stderr;
        let lines: Vec<&str> = text.lines().filter(|line| line.contains("warning") || status != 0).collect();
        let told = lines.join("\n");
        if !told.contains(names) || !told.contains(advice) {
            faults.push(format!("{name}: `{names}` and `{advice}` are not both in: {told}"));
        }
        let changes = differences(&before, &snapshot(Path::new(&attempt.dir)), true);
        if status != 0 && !changes.is_empty() {
            faults.push(format!("{name}: refused, but left: {changes:?}"));
        }
    }
    assert!(faults.is_empty(), "{} of {}:\n{}", faults.len(), mistakes.len(), faults.join("\n"));
}

/// A careful creator is told nothing.
#[test]
fn a_careful_creator_gets_no_warning() {
    if !available("mistakes::a_careful_creator", &[Peer::Python]) {
        return;
    }
    let fixture = Wire3Fixture::prepare();
    let route = fixture.path("careful.json");
    let key = fixture.path("station_1.pub.pem");
    fs::write(&route, json!([{ "station": "hospital_a", "public_key_file": key }]).to_string()).expect("a new file");
    let files = Path::new(&fixture.path("careful")).to_owned();
    for (name, text) in [
        ("main.py", "print(1)\n"),
        ("lib/a.py", ""),
        ("query.json", "{}"),
        (".phtignore", "# what is none of the train's\n.git/\n.env\n*.pyc\n__pycache__/\n/link\n"),
        (".git/HEAD", "ref"),
        (".env", "PASSWORD=x"),
        ("lib/__pycache__/a.pyc", "x"),
    ] {
        fs::create_dir_all(files.join(name).parent().expect("a parent")).expect("a new directory");
        fs::write(files.join(name), text).expect("a new file");
    }
    std::os::unix::fs::symlink("main.py", files.join("link")).expect("a new link");
    let (creator, builder, base) = (fixture.key("creator"), fixture.key("builder"), fixture.base.at("base"));
    let digest = "a".repeat(64);
    for (tag, master, address, master_tag) in [
        (
            "one",
            "docker://registry.example/master/python:3".to_owned(),
            "registry.example/master/python".to_owned(),
            json!("3"),
        ),
        (
            "two",
            format!("registry.example/m@sha256:{digest}"),
            format!("registry.example/m@sha256:{digest}"),
            Value::Null,
        ),
    ] {
        let to = fixture.layout.at(tag);
        let line = ["build", &to, "--base", &base, "--master", &master, "--files", utf8(&files), "--route", &route];
        let keys = ["--creator", "alice", "--creator-key", &creator, "--builder-key", &builder, "--format", "json"];
        let command = ["--cmd", "python", "/opt/pht_train/main.py"];
        let report = pht_oci(&[&line[..], &keys, &command].concat(), &[]).ok().json();
        assert_eq!(report["warnings"], json!([]), "{report}");
        assert!(report["notes"].to_string().contains("left out by .phtignore: 4 paths"), "{report}");
        let config = fixture.layout.train_config(tag);
        assert_eq!(config["file_list"], json!(["lib/a.py", "main.py", "query.json"]));
        assert_eq!((&config["source"]["address"], &config["source"]["tag"]), (&json!(address), &master_tag));
    }
}

/// A stop is signed although nothing has run at it, or nothing was written; but that is said, and who wants it refused can
/// have that.
#[test]
fn signing_for_nothing_is_said() {
    if !available("mistakes::signing_for_nothing", &[Peer::Python]) {
        return;
    }
    let fixture = StageFixture::new(Wire::V2_0);
    let warnings = |outcome: Outcome| outcome.json()["warnings"].to_string();
    let post_run = |options: &[&str]| {
        let line = [&["--format", "json"], options].concat();
        warnings(fixture.stage("post-run", &["opened", "closed"], &line).ok())
    };
    fixture.stage("pre-run", &["latest", "opened"], &[]).ok();
    assert!(post_run(&[]).contains("nothing has run in the image"));
    let none = fixture.vectors.dir.path().join("none");
    fs::create_dir(&none).expect("a directory");
    assert!(post_run(&["--results", utf8(&none)]).contains("the train has left nothing"));
    let line = ["--results", utf8(&none), "--require-results"];
    let refused = fixture.stage("post-run", &["opened", "demanding"], &line).refused(3);
    assert!(refused.stderr.contains("the train has left nothing"), "{}", refused.stderr);
    assert!(!fixture.layout.tags().contains(&json!("demanding")));
    fixture.write("opened", "opened");
    let said = post_run(&["--require-results"]);
    assert!(!said.contains("nothing"), "{said}");

    let archive = fixture.vectors.dir.path().join("train.tar");
    let (to, key) = (format!("oci-archive:{}", utf8(&archive)), fixture.vectors.key("station_2"));
    pht_oci(&["copy", &fixture.layout.at("latest"), &to], &[]).ok();
    // An archive is what travels: it is opened where it is only if it is named twice.
    let before = fs::read(&archive).expect("an archive");
    let refused = pht_oci(&["pre-run", utf8(&archive), "--private-key", &key], &[]).refused(2);
    assert!(refused.stderr.contains("would put plaintext into the archive"), "{}", refused.stderr);
    assert!(refused.stderr.contains(" oci:./work:latest --private-key"), "{}", refused.stderr);
    assert!(fs::read(&archive).expect("an archive") == before, "the archive has changed");
    let line = ["pre-run", utf8(&archive), utf8(&archive), "--private-key", &key, "--format", "json"];
    let said = warnings(pht_oci(&line, &[]).ok());
    assert!(said.contains("holds the opened train in plaintext now"), "{said}");
}

/// What pre-run in place has put aside is the way back, and stays as it is.
#[test]
fn what_is_put_aside_is_not_worked_on() {
    if !available("mistakes::what_is_put_aside_is_not_worked_on", &[Peer::Python]) {
        return;
    }
    let fixture = StageFixture::new(Wire::V2_0);
    let digest = |tag: &str| fixture.layout.image(tag)["descriptor"]["digest"].clone();
    let before = digest("latest");
    fixture.stage("pre-run", &["latest"], &[]).ok();
    for stage in ["pre-run", "post-run"] {
        let refused = fixture.stage(stage, &["latest-encrypted"], &[]).refused(2);
        let says = "`latest-encrypted` is what pre-run has put aside of `latest`";
        assert!(refused.stderr.contains(says), "{stage}: {}", refused.stderr);
        fixture.stage(stage, &["latest-encrypted", "latest-encrypted"], &[]).refused(2);
    }
    assert_eq!(digest("latest-encrypted"), before);
    // To another place it is opened as any other.
    fixture.stage("pre-run", &["latest-encrypted", "elsewhere"], &[]).ok();
    pht_oci(&["reject", &fixture.layout.at("latest")], &[]).ok();
    assert_eq!(digest("latest"), before);
}

/// Without a journal nobody refuses to close a stop twice; but that another closing goes is said.
#[test]
fn that_a_signed_stop_is_replaced_is_said() {
    if !available("mistakes::that_a_signed_stop_is_replaced_is_said", &[Peer::Python]) {
        return;
    }
    let fixture = StageFixture::new(Wire::V2_0);
    fixture.stage("pre-run", &["latest", "opened"], &[]).ok();
    fixture.write("opened", "opened");
    let said =
        || fixture.stage("post-run", &["opened", "closed"], &["--format", "json"]).ok().json()["warnings"].to_string();
    assert!(!said().contains("is replaced"));
    assert!(said().contains("`closed` held the train as this stop has signed it: it is replaced"));
}

/// A new place whose name has a colon would be another than who wrote it thinks.
#[test]
fn a_new_place_ends_before_no_colon() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let base = Layout::new(dir.path().join("base"));
    base.make_base("plain", true);
    let at = |name: &str| format!("{}/{name}", utf8(dir.path()));
    for odd in
        ["oci:{}:47:latest", "{}:47:latest", "oci-archive:{}:47.tar", "oci-archive:{}:47:latest", "oci:{}:47.tar"]
    {
        let odd = odd.replace("{}", &at("day-21"));
        let refused = pht_oci(&["copy", &base.at("plain"), &odd], &[]).refused(2);
        assert!(refused.stderr.contains("a path ends at its first colon"), "{odd}: {}", refused.stderr);
        assert!(!dir.path().join("day-21").exists(), "{odd}: something was made");
    }
    for plain in ["oci:{}-1:latest", "oci:{}-1:47:latest", "oci:{}-2:host.example/repo:1", "docker-archive:{}-3:repo:1"]
    {
        pht_oci(&["copy", &base.at("plain"), &plain.replace("{}", &at("day"))], &[]).ok();
    }
    // A name that is there already is no question.
    fs::create_dir(at("day-21:47")).expect("a new directory");
    pht_oci(&["copy", &base.at("plain"), &format!("{}:latest", at("day-21:47"))], &[]).ok();
    assert!(dir.path().join("day-21:47/index.json").exists());
}
