//! Layers that ordinary tools write: they are read, and as umoci unpacks them.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::{Command, Stdio};

use support::{Peer, available};

use super::view::{differences, on_disk, ours};
use crate::overlay::layout::{self, Form};

/// A tool, and what makes it write an archive of the directory `tree` to its standard output.
const ARCHIVERS: [(&str, &str); 18] = [
    ("GNU tar, v7", "tar --format=v7 -C short -c ."),
    ("GNU tar, oldgnu", "tar --format=oldgnu -C tree -c ."),
    ("GNU tar, gnu", "tar --format=gnu -C tree -c ."),
    ("GNU tar, gnu with times", "tar --format=gnu --mtime=@-86400 --atime-preserve -C tree -c ."),
    ("GNU tar, large owners", "tar --format=gnu --owner=:3000000 --group=:4000000000 -C tree -c ."),
    ("GNU tar, ustar", "tar --format=ustar --exclude=./soft-long -C tree -c ."),
    ("GNU tar, pax", "tar --format=pax -C tree -c ."),
    ("GNU tar, pax with attributes and large owners", "tar --xattrs --owner=:3000000 --format=pax -C tree -c ."),
    (
        "GNU tar, as mmdebstrap calls it",
        "tar --sort=name --numeric-owner --xattrs --format=pax -C tree -c --exclude=./x .",
    ),
    ("GNU tar, names without ./", "cd tree && tar -c *"),
    ("GNU tar, absolute names", "tar -P --transform=s,^tree,/tree, -c tree"),
    ("bsdtar, pax", "bsdtar --format=pax -C tree -cf - ."),
    ("bsdtar, ustar", "bsdtar --format=ustar --exclude soft-long -C tree -cf - ."),
    ("bsdtar, gnutar", "bsdtar --format=gnutar -C tree -cf - ."),
    ("busybox tar", "busybox tar -C tree -c ."),
    ("Python, ustar", "python3 python.py 0"),
    ("Python, gnu", "python3 python.py 1"),
    ("Python, pax", "python3 python.py 2"),
];
/// The formats of Python's `tarfile` by number.
const PYTHON: &str = "import sys, tarfile
with tarfile.open(fileobj=sys.stdout.buffer, mode='w|', format=int(sys.argv[1])) as out:
    out.add('tree', '.', filter=lambda m: None if sys.argv[1] == '0' and m.name.endswith('soft-long') else m)
";

fn make_trees(dir: &Path) {
    fs::create_dir(dir.join("short")).expect("a directory");
    fs::write(dir.join("short/file"), "contents").expect("a file");
    fs::write(dir.join("python.py"), PYTHON).expect("a file");
    let tree = dir.join("tree");
    let deep = tree.join("a-directory-with-a-rather-long-name-as-only-programs-make-them").join("d".repeat(60));
    fs::create_dir_all(&deep).expect("directories");
    let write = |path: &Path, contents: &[u8], mode: u32| {
        fs::write(path, contents).expect("a file");
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("a mode");
    };
    write(&deep.join("deep"), &[9; 1500], 0o600);
    write(&tree.join("empty"), b"", 0o644);
    write(&tree.join("set-user-id"), b"#!/bin/sh\n", 0o4755);
    write(&tree.join("größe ü"), &[1; 512], 0o640);
    fs::create_dir(tree.join("sticky")).expect("a directory");
    fs::set_permissions(tree.join("sticky"), fs::Permissions::from_mode(0o1777)).expect("a mode");
    fs::hard_link(tree.join("set-user-id"), tree.join("hard")).expect("a hard link");
    symlink("sticky/elsewhere", tree.join("soft")).expect("a link");
    symlink("/t".repeat(60), tree.join("soft-long")).expect("a link");
    std::os::unix::fs::chown(tree.join("empty"), Some(1000), Some(65534)).expect("an owner");
    // Where the file system has attributes.
    let _ = rustix::fs::setxattr(tree.join("empty"), "user.note", b"binary\0\n", rustix::fs::XattrFlags::empty());
}

fn run(dir: &Path, line: &str) -> Vec<u8> {
    let output = Command::new("sh").args(["-c", line]).current_dir(dir).stdin(Stdio::null()).output().expect("a shell");
    assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// What is not read as umoci unpacks it.
fn read(what: &str, layout: &Path, wrong: &mut Vec<String>) {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let bundle = dir.path().join("bundle");
    run(dir.path(), &format!("umoci unpack --image {}:latest {}", layout.display(), bundle.display()));
    match ours(layout, dir.path()) {
        Err(error) => wrong.push(format!("{what}: {error}")),
        Ok(here) => {
            assert!(!here.is_empty(), "{what}: nothing is in it");
            let differ = differences(&here, &on_disk(&bundle.join("rootfs")));
            wrong.extend(differ.into_iter().map(|line| format!("{what}: {line}")));
        }
    }
}

#[test]
fn layers_of_archivers_are_read() {
    let peers = [Peer::Umoci, Peer::Root, Peer::Bsdtar, Peer::Busybox, Peer::Python];
    if !available("differential::layers_of_archivers_are_read", &peers) {
        return;
    }
    let dir = tempfile::tempdir().expect("a temporary directory");
    make_trees(dir.path());
    let mut wrong = Vec::new();
    for (at, (what, line)) in ARCHIVERS.iter().enumerate() {
        let place = dir.path().join(at.to_string());
        layout::write(&place, &[(run(dir.path(), line), Form::Gzip)]);
        read(what, &place, &mut wrong);
    }
    // Sparse files are known, and said to be some.
    let holes = "truncate -s 4M holes && printf x >>holes && tar --format=pax -S -c holes";
    for line in [holes, "tar --format=gnu -S -c holes", "bsdtar --format=pax -cf - holes"] {
        let place = dir.path().join("holes-image");
        let _ = fs::remove_dir_all(&place);
        layout::write(&place, &[(run(dir.path(), line), Form::Gzip)]);
        let error = ours(&place, dir.path()).expect_err("a sparse file");
        assert!(error.what().contains("a sparse file"), "{line}: {error}");
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What writes layers in Go: umoci, buildah and skopeo, each from the layers of the one before.
#[test]
fn layers_of_image_tools_are_read() {
    let peers = [Peer::Umoci, Peer::Root, Peer::Buildah, Peer::Skopeo];
    if !available("differential::layers_of_image_tools_are_read", &peers) {
        return;
    }
    let dir = tempfile::tempdir().expect("a temporary directory");
    make_trees(dir.path());
    let mut wrong = Vec::new();
    layout::write(&dir.path().join("a"), &[(run(dir.path(), "tar -C tree -c ."), Form::Gzip)]);
    let steps = [
        ("umoci insert", "a", "umoci insert --image a:latest short /inserted"),
        ("umoci insert, opaque", "a", "umoci insert --opaque --image a:latest short /inserted"),
        (
            "umoci repack",
            "a",
            "umoci unpack --image a:latest b && rm b/rootfs/soft && echo new >b/rootfs/sticky/new && umoci repack --image a:latest b",
        ),
        ("skopeo, zstd", "z", "skopeo copy -q --dest-compress-format zstd oci:a:latest oci:z:latest"),
        (
            "buildah",
            "c",
            "export STORAGE_DRIVER=vfs; B=\"buildah --root $PWD/root --runroot $PWD/runroot\"
             C=$($B from oci:a:latest) && $B copy -q $C tree /copied && $B config --cmd true $C \
             && $B commit -q $C oci:c:latest",
        ),
    ];
    for (what, name, line) in steps {
        run(dir.path(), line);
        // umoci 0.4 knows no zstd, so the layers are unpacked as they were before.
        if name == "z" {
            ours(&dir.path().join(name), dir.path())
                .map(drop)
                .unwrap_or_else(|error| wrong.push(format!("{what}: {error}")));
        } else {
            read(what, &dir.path().join(name), &mut wrong);
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Something of every kind that a build changes: files new, changed and gone, links, modes, directories.
const BUILD: &str = "FROM BASE
COPY tree /copied
RUN rm /etc/os-release && mkdir -p /new/deep && echo one >/new/deep/file && ln /new/deep/file /new/hard \\
 && ln -s deep/file /new/soft && chmod 1777 /new && chmod 4755 /new/deep/file && rm -r /copied/sticky && mkdir /copied/sticky
RUN echo two >/new/deep/file && mv /copied/empty /copied/moved && touch /tmp/last
";

/// A base that has a shell, and what is built on it, in the directory.
fn prepare_build(dir: &Path, name: &str) {
    make_trees(dir);
    support::Layout::new(dir.join("base")).make_base("latest", true);
    fs::write(dir.join("Dockerfile"), BUILD.replace("BASE", name)).expect("a file");
}

/// What podman builds, from a file, and commits, from a container.
#[test]
fn what_podman_builds_is_read() {
    let peers = [Peer::Umoci, Peer::Root, Peer::Podman, Peer::Runc, Peer::Skopeo, Peer::Busybox];
    if !available("differential::what_podman_builds_is_read", &peers) {
        return;
    }
    let dir = tempfile::tempdir().expect("a temporary directory");
    prepare_build(dir.path(), "localhost/base");
    let storage = dir.path().join("containers");
    fs::create_dir(&storage).expect("a directory");
    let set: String = support::containers::configure(&storage)
        .iter()
        .map(|(name, value)| format!("export {name}={value}; "))
        .collect();
    let copy = "skopeo --insecure-policy copy -q";
    let steps = [
        (
            "podman build",
            format!(
                "{copy} oci:base:latest containers-storage:localhost/base && podman --runtime runc build -q --isolation chroot -t localhost/built . && {copy} containers-storage:localhost/built oci:built:latest"
            ),
            "built",
        ),
        (
            "podman build --squash",
            format!(
                "podman --runtime runc build -q --isolation chroot --squash -t localhost/squashed . && {copy} containers-storage:localhost/squashed oci:squashed:latest"
            ),
            "squashed",
        ),
        (
            "podman commit",
            format!(
                "C=$(podman create localhost/built true) && podman cp tree/. $C:/copied && podman commit -q $C localhost/committed && {copy} containers-storage:localhost/committed oci:committed:latest"
            ),
            "committed",
        ),
    ];
    let mut wrong = Vec::new();
    for (what, line, name) in steps {
        run(dir.path(), &(set.clone() + &line));
        read(what, &dir.path().join(name), &mut wrong);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What Docker builds and commits.
#[test]
fn what_docker_builds_is_read() {
    let peers = [Peer::Umoci, Peer::Root, Peer::Docker, Peer::Skopeo, Peer::Busybox];
    if !available("differential::what_docker_builds_is_read", &peers) {
        return;
    }
    let dir = tempfile::tempdir().expect("a temporary directory");
    let name = |what: &str| format!("localhost/pht-oci-test/{what}-{}", std::process::id());
    let (base, built, committed) = (name("base"), name("built"), name("committed"));
    prepare_build(dir.path(), &base);
    let copy = "skopeo --insecure-policy copy -q --src-daemon-host $DOCKER_HOST --dest-daemon-host $DOCKER_HOST";
    let steps = [
        (
            "docker build",
            format!(
                "{copy} oci:base:latest docker-daemon:{base}:latest && docker build -q --network none -t {built} . && {copy} docker-daemon:{built}:latest oci:built:latest"
            ),
            "built",
        ),
        (
            "docker commit",
            format!(
                "C=$(docker create {built} true) && docker cp tree/. $C:/copied && docker commit $C {committed} && docker rm $C && {copy} docker-daemon:{committed}:latest oci:committed:latest"
            ),
            "committed",
        ),
    ];
    let mut wrong = Vec::new();
    for (what, line, name) in steps {
        run(dir.path(), &line);
        read(what, &dir.path().join(name), &mut wrong);
    }
    run(dir.path(), &format!("docker rmi -f {committed} {built} {base}"));
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A Debian as debootstrap leaves it, before its packages are set up.
#[test]
fn what_debootstrap_unpacks_is_read() {
    let peers = [Peer::Umoci, Peer::Root, Peer::Debootstrap];
    if !available("differential::what_debootstrap_unpacks_is_read", &peers) {
        return;
    }
    let dir = tempfile::tempdir().expect("a temporary directory");
    let line = "debootstrap --foreign --variant=minbase stable root >&2 && tar --numeric-owner -C root -c .";
    layout::write(&dir.path().join("debian"), &[(run(dir.path(), line), Form::Gzip)]);
    let mut wrong = Vec::new();
    read("debootstrap", &dir.path().join("debian"), &mut wrong);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A small Debian, as it is made for images.
#[test]
fn a_debian_is_read() {
    if !available("differential::a_debian_is_read", &[Peer::Umoci, Peer::Root, Peer::Mmdebstrap]) {
        return;
    }
    let dir = tempfile::tempdir().expect("a temporary directory");
    let line = "mmdebstrap --variant=extract --include=dash,base-files,coreutils --aptopt='Acquire::Check-Valid-Until false' stable -";
    layout::write(&dir.path().join("debian"), &[(run(dir.path(), line), Form::Gzip)]);
    let mut wrong = Vec::new();
    read("mmdebstrap", &dir.path().join("debian"), &mut wrong);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
