//! The Python packages under `scripts/python`: their own tests, the reference's tests against our `train_lib`, and what is
//! installed from their wheels.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use support::peers::test_file;
use support::{Peer, available, project, utf8};

const PACKAGES: [&str; 2] = ["pht-oci", "pht-oci-train-lib"];

fn package(name: &str) -> PathBuf {
    project().join("scripts/python").join(name)
}

/// The Python of a virtual environment that `scripts/setup-python.sh` has made.
fn python(environment: &str) -> String {
    let home = std::env::var("PHT_PYTHON_HOME").expect("PHT_PYTHON_HOME is set where the packages are");
    format!("{home}/{environment}/bin/python")
}

/// A run of Python with both packages and this build of the program.
fn command(environment: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(python(environment));
    let path = std::env::join_paths(PACKAGES.map(package)).expect("paths without a colon");
    command.args(arguments).env("PYTHONPATH", path).env("PYTHONDONTWRITEBYTECODE", "1");
    command.env("PHT_OCI_BIN", support::program()).stdin(Stdio::null());
    command
}

/// What it printed, and whether it went well.
fn outcome(mut command: Command) -> (bool, String) {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let message = [output.stdout, output.stderr].map(|out| String::from_utf8_lossy(&out).into_owned()).concat();
    (output.status.success(), message)
}

#[track_caller]
fn well(command: Command) -> String {
    let line = format!("{command:?}");
    let (done, message) = outcome(command);
    assert!(done, "{line}\n{message}");
    message
}

/// The tests of a package; the number of those that ran.
#[track_caller]
fn own_tests(environment: &str, name: &str, tests: &[&str]) -> usize {
    let mut command = command(environment, &["-m", "unittest"]);
    command.args(tests).current_dir(package(name));
    let message = well(command);
    let ran = message.lines().find_map(|line| line.strip_prefix("Ran ")?.split(' ').next()?.parse().ok());
    ran.unwrap_or_else(|| panic!("{message}"))
}

const ALL: [&str; 5] = ["discover", "-t", ".", "-s", "tests"];

#[test]
fn the_packages_are_typed_throughout() {
    if !available("python::typed", &[Peer::PythonPackages]) {
        return;
    }
    let cache = tempfile::tempdir().unwrap();
    for name in PACKAGES {
        let mut check = command("venv", &["-m", "mypy", "--cache-dir", utf8(cache.path())]);
        check.current_dir(package(name)).env("MYPYPATH", package("pht-oci"));
        assert!(well(check).contains("Success"));
    }
    // The checker checks.
    let wrong = cache.path().join("wrong.py");
    std::fs::write(&wrong, "import pht_oci\nnumber: int = pht_oci.inspect('x').next\n").unwrap();
    let mut check = command("venv", &["-m", "mypy", "--strict", "--cache-dir", utf8(cache.path()), utf8(&wrong)]);
    check.env("MYPYPATH", package("pht-oci")).current_dir(cache.path());
    let (done, message) = outcome(check);
    assert!(!done && message.contains("Found 1 error"), "{message}");
}

#[test]
fn every_function_and_every_exception_of_the_package() {
    if available("python::pht_oci", &[Peer::PythonPackages]) {
        assert!(own_tests("venv", "pht-oci", &ALL) >= 20);
    }
}

#[test]
fn train_lib_on_layouts_and_archives_with_pydantic_2() {
    if available("python::train_lib", &[Peer::PythonPackages]) {
        assert!(own_tests("venv", "pht-oci-train-lib", &ALL) >= 40);
    }
}

#[test]
fn train_lib_with_pydantic_1() {
    if available("python::train_lib, pydantic 1", &[Peer::PythonPackages]) {
        assert!(own_tests("venv-pydantic-1", "pht-oci-train-lib", &ALL) >= 40);
    }
}

#[test]
fn train_lib_on_images_of_daemons() {
    if available("python::daemons", &[Peer::PythonPackages, Peer::Docker, Peer::Podman]) {
        assert_eq!(own_tests("venv", "pht-oci-train-lib", &["tests.daemon"]), 3);
    }
}

/// The reference's own tests in these files, unchanged but for the name of the master image and `pull=True`.
fn tests_of_the_reference(files: &[&str], variables: &[(&str, &str)]) -> (bool, String) {
    let home = std::env::var("PHT_REFERENCE_HOME").expect("PHT_REFERENCE_HOME is set where the reference is");
    let tests = Path::new(&home).join("lib/2.0.5/train_lib/tests");
    let runner = test_file("python/reference_tests/run.py");
    let mut command = command("venv", &[utf8(&runner), utf8(&tests)]);
    command.args(files).args(["--", "-q", "-W", "ignore"]).envs(variables.iter().copied());
    outcome(command)
}

#[test]
fn the_references_tests_of_protocol_and_master_images_pass_against_train_lib() {
    if !available("python::reference", &[Peer::PythonPackages, Peer::Reference, Peer::Busybox]) {
        return;
    }
    let files = ["test_security_protocol.py", "test_validate_master_image.py"];
    let (done, message) = tests_of_the_reference(&files, &[]);
    assert!(done && message.contains("11 passed"), "{message}");
}

#[test]
fn the_references_tests_of_sums_and_files_pass_against_train_lib() {
    if !available("python::reference, sums", &[Peer::PythonPackages, Peer::Reference]) {
        return;
    }
    let files = ["test_homomorphic_addition.py", "test_security_functions.py"];
    let (done, message) = tests_of_the_reference(&files, &[("TRAIN_LIB_ALLOW_SHORT_PAILLIER_KEYS", "1")]);
    assert!(done && message.contains("12 passed"), "{message}");
    // Its keys of a few bits are refused where nobody has allowed them.
    let (done, message) = tests_of_the_reference(&files, &[]);
    assert!(
        !done && message.contains("1 failed, 11 passed") && message.contains("ask for one of at least 2048"),
        "{message}"
    );
}

#[test]
fn the_packages_have_the_programs_version() {
    for name in PACKAGES {
        let text = std::fs::read_to_string(package(name).join("pyproject.toml")).unwrap();
        let expected = format!("\nversion = \"{}\"\n", version());
        assert!(text.contains(&expected), "{name}: no line{expected}");
    }
}

/// The program with its wheel, installed as pip installs it: below a directory of its own, and found from there.
#[test]
fn a_wheel_brings_the_program_along() {
    if !available("python::wheel", &[Peer::PythonPackages]) {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let (first, second, there) = (dir.path().join("1"), dir.path().join("2"), dir.path().join("there"));
    let wheel = project().join("scripts/python/wheel.py");
    let made: Vec<Vec<String>> = [&first, &second]
        .into_iter()
        .map(|out| {
            let printed = well(command("venv", &[utf8(&wheel), support::program(), utf8(out)]));
            printed.lines().map(str::to_owned).collect()
        })
        .collect();
    for (one, other) in made[0].iter().zip(&made[1]) {
        assert!(std::fs::read(one).unwrap() == std::fs::read(other).unwrap(), "{one} differs from {other}");
    }
    assert_eq!(made[0].len(), 2);
    let mut pip =
        command("venv", &["-m", "pip", "install", "--quiet", "--no-index", "--no-deps", "--target", utf8(&there)]);
    pip.args(&made[0]);
    well(pip);

    let installed = there.join("bin/pht-oci");
    let printed = support::run(&installed, &["--version"]).unwrap();
    assert_eq!(String::from_utf8_lossy(&printed).trim(), format!("pht-oci {}", version()));
    let text = "import pht_oci, train_lib.security.protocol as p; print(pht_oci.find_pht_oci_bin(), p.__file__)";
    for (arguments, expected) in [
        (&["-c", text][..], format!("{} {}", utf8(&installed), utf8(&there.join("train_lib/security/protocol.py")))),
        (&["-m", "pht_oci", "--version"], format!("pht-oci {}", version())),
    ] {
        let mut command = command("venv", arguments);
        command.env_remove("PHT_OCI_BIN").env("PYTHONPATH", &there).env("PATH", "/nowhere");
        assert_eq!(well(command).trim(), expected);
    }
}

/// What `scripts/package.sh` makes of the release, twice the same: each has the very binary in it, and it runs.
#[test]
fn every_package_has_the_released_binary_in_it() {
    if !available("python::packages", &[Peer::Release, Peer::PythonPackages]) {
        return;
    }
    let (binary, dir) = (support::released().expect("a release"), tempfile::tempdir().unwrap());
    let sums: Vec<Vec<u8>> = ["1", "2"]
        .map(|name| {
            let out = dir.path().join(name);
            support::run(project().join("scripts/package.sh"), &[utf8(&binary), utf8(&out)]).unwrap()
        })
        .into();
    assert_eq!(sums[0], sums[1], "made twice, and not the same");

    let (out, there) = (dir.path().join("1"), dir.path().join("there"));
    let file = |ending: &str| {
        let mut files = out.read_dir().unwrap().map(|entry| entry.unwrap().path());
        files.find(|path| utf8(path).ends_with(ending)).unwrap_or_else(|| panic!("nothing ends in {ending}"))
    };
    let mut check = Command::new("sha256sum");
    check.args(["--check", "--strict", "SHA256SUMS"]).current_dir(&out);
    well(check);
    for dir in ["tar", "deb", "whl"] {
        std::fs::create_dir_all(there.join(dir)).unwrap();
    }
    support::run("tar", &["-xzf", utf8(&file(".tar.gz")), "-C", utf8(&there.join("tar")), "--strip-components=1"])
        .unwrap();
    support::run("dpkg-deb", &["-x", utf8(&file(".deb")), utf8(&there.join("deb"))]).unwrap();
    let wheel = file("_x86_64.whl");
    assert!(utf8(&wheel).contains("manylinux_2_17_x86_64.manylinux2014_x86_64.musllinux_1_1_x86_64"));
    well(command("venv", &["-m", "zipfile", "-e", utf8(&wheel), utf8(&there.join("whl"))]));
    let released = std::fs::read(&binary).unwrap();
    let scripts = format!("whl/pht_oci-{}.data/scripts/pht-oci", version());
    for place in ["tar/pht-oci", "deb/usr/bin/pht-oci", &scripts] {
        assert!(std::fs::read(there.join(place)).unwrap() == released, "{place} is another binary");
    }
    for page in ["tar/man/man1/pht-oci-run.1", "deb/usr/share/man/man1/pht-oci-run.1.gz"] {
        assert!(there.join(page).exists(), "{page}");
    }
    let sbom: serde_json::Value = serde_json::from_slice(&std::fs::read(file(".cdx.json")).unwrap()).unwrap();
    assert_eq!((&sbom["bomFormat"], &sbom["specVersion"]), (&"CycloneDX".into(), &"1.5".into()));
    let names: Vec<_> = sbom["components"].as_array().unwrap().iter().map(|crate_| &crate_["name"]).collect();
    assert!(names.contains(&&"rsa".into()) && !names.contains(&&"proptest".into()), "{names:?}");
}

/// Each package on a system without Rust and compiler: it is installed as README says, and makes the journey of the demo.
#[test]
fn a_bare_debian_makes_the_journey_with_every_package() {
    let peers = [Peer::Release, Peer::PythonPackages, Peer::Mmdebstrap, Peer::Podman];
    if !available("python::bare_debian", &peers) {
        return;
    }
    let (binary, dir) = (support::released().expect("a release"), tempfile::tempdir().unwrap());
    let dist = utf8(dir.path());
    support::run(project().join("scripts/package.sh"), &[utf8(&binary), dist]).unwrap();
    let mut journeys = Command::new(project().join("scripts/bare-debian.sh"));
    journeys.arg(dist).envs(support::containers::configure(dir.path())).stdin(Stdio::null());
    let told = well(journeys);
    for package in ["Debian package", "tarball", "wheel", "image"] {
        assert!(
            told.lines().any(|line| line.starts_with(&format!("{package}: ")) && line.contains("journey took")),
            "{told}"
        );
    }
}

/// Images of two processors under one name; each platform gets its own.
#[test]
fn one_image_is_for_all_processors() {
    if !available("python::image_index", &[Peer::Release, Peer::Python, Peer::Skopeo]) {
        return;
    }
    let (binary, dir) = (support::released().expect("a release"), tempfile::tempdir().unwrap());
    let at = |name: &str| utf8(&dir.path().join(name)).to_owned();
    let image = format!("{}-image.tar", utf8(&binary));
    // The same image for another processor, as far as its config says.
    let other = format!("oci:{}:latest", at("other"));
    support::run("skopeo", &["copy", &format!("oci-archive:{image}"), &other]).unwrap();
    support::run("python3", &["-I", utf8(&test_file("python/as_arm64.py")), &at("other")]).unwrap();
    support::run("skopeo", &["copy", &other, &format!("oci-archive:{}:latest", at("other.tar"))]).unwrap();
    let script = project().join("scripts/image-index.py");
    for out in ["one.tar", "two.tar"] {
        support::run(&script, &[&at(out), &image, &at("other.tar")]).unwrap();
    }
    assert!(std::fs::read(at("one.tar")).unwrap() == std::fs::read(at("two.tar")).unwrap());
    for (platform, architecture) in [("linux/amd64", "amd64"), ("linux/arm64", "arm64")] {
        let to = format!("oci:{}", at(architecture));
        support::pht_oci(&["copy", &at("one.tar"), &to, "--platform", platform], &[]).ok();
        let config = support::run("skopeo", &["inspect", "--config", &to]).unwrap();
        let config: serde_json::Value = serde_json::from_slice(&config).unwrap();
        assert_eq!(config["architecture"], architecture);
    }
    support::run(&script, &[&at("three.tar"), &image, &image]).expect_err("two images for one platform");
}

/// The crate as it would be published has all that building takes, and nothing of the tests.
#[test]
fn the_crate_is_complete() {
    let mut list = Command::new("cargo");
    list.args(["package", "--list", "--allow-dirty", "--offline"]).current_dir(project());
    let output = list.output().expect("cargo starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let listed = String::from_utf8(output.stdout).unwrap();
    let listed: std::collections::BTreeSet<&str> = listed.lines().collect();
    let tracked = support::run("git", &["-C", utf8(project()), "ls-files", "src"]).unwrap();
    let tracked = String::from_utf8(tracked).unwrap();
    for file in tracked.lines().filter(|file| project().join(file).exists()) {
        assert!(listed.contains(file), "{file} is not in the crate");
    }
    assert!(!listed.iter().any(|file| file.starts_with("tests/") || file.starts_with("testdata/")), "{listed:?}");
}

fn version() -> String {
    let printed = support::pht_oci(&["--version"], &[]).ok();
    String::from_utf8_lossy(&printed.stdout).trim().trim_start_matches("pht-oci ").to_owned()
}
