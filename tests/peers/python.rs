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
fn train_lib_on_layouts_archives_and_registries_with_pydantic_2() {
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

fn version() -> String {
    let printed = support::pht_oci(&["--version"], &[]).ok();
    String::from_utf8_lossy(&printed.stdout).trim().trim_start_matches("pht-oci ").to_owned()
}
