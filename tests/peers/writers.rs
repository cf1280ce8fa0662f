//! A table of the tools that write layouts and archives of images, one line for each way of writing: what it writes is
//! read, or refused with what to do.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::Value;
use support::peers::test_file;
use support::tree::sha256;
use support::{Implementation, Peer, Train, TrainSpec, Wire, available, containers, pht_oci, program, utf8};

/// What becomes of what a tool writes.
#[derive(Debug, Clone, Copy)]
enum Outcome {
    /// `same`: it is the image, byte for byte.
    Same,
    /// `read`: it is the same train, in layers that are compressed anew or under another manifest.
    Read,
    /// `refused`: it is refused, in these words, and there is a hint.
    Refused(&'static str),
}

/// A line of the tables: tool, what it needs, the command, where that has written, and what becomes of it.
struct Row {
    tool: &'static str,
    needs: Vec<Peer>,
    line: &'static str,
    place: &'static str,
    outcome: Outcome,
}

/// In the directory there are `in`, a layout with a train as `latest`; `in.tar`, the same in an archive; and `holes`, the
/// same with a sparse file among its blobs. A line that ends with 77 has found no tool here.
const REPACKED: &str = r#"
GNU tar, v7 :: - :: tar --format=v7 -C in -cf out.tar . :: oci-archive:out.tar :: same
GNU tar, oldgnu :: - :: tar --format=oldgnu -C in -cf out.tar . :: oci-archive:out.tar :: same
GNU tar, gnu :: - :: tar --format=gnu -C in -cf out.tar . :: oci-archive:out.tar :: same
GNU tar, ustar :: - :: tar --format=ustar -C in -cf out.tar . :: oci-archive:out.tar :: same
GNU tar, pax :: - :: tar --format=pax -C in -cf out.tar . :: oci-archive:out.tar :: same
GNU tar, pax, with everything :: - :: tar --format=pax --xattrs --acls -C in -cf out.tar . :: out.tar :: same
GNU tar, names without ./ :: - :: cd in && tar -cf ../out.tar * :: out.tar :: same
GNU tar, --sparse without holes :: - :: tar -S -C in -cf out.tar . :: out.tar :: same
GNU tar, --sparse, gnu :: - :: tar -S --format=gnu -C holes -cf out.tar . :: out.tar :: refused: a sparse member
GNU tar, --sparse, oldgnu :: - :: tar -S --format=oldgnu -C holes -cf out.tar . :: out.tar :: refused: a sparse member
GNU tar, --sparse, 0.0 :: - :: tar -S --format=pax --sparse-version=0.0 -C holes -cf out.tar . :: out.tar :: refused: a sparse member
GNU tar, --sparse, 0.1 :: - :: tar -S --format=pax --sparse-version=0.1 -C holes -cf out.tar . :: out.tar :: refused: a sparse member
GNU tar, --sparse, 1.0 :: - :: tar -S --format=pax --sparse-version=1.0 -C holes -cf out.tar . :: out.tar :: refused: a sparse member
GNU tar, holes without --sparse :: - :: tar -C holes -cf out.tar . :: out.tar :: same
GNU tar, absolute names :: - :: tar -P --transform 's,^\./,/,' -C in -cf out.tar . :: oci-archive:out.tar :: refused: is not in its plain form
GNU tar, a member appended again :: - :: cp in.tar out.tar && tar -C in -rf out.tar ./index.json ./blobs :: out.tar :: same
GNU tar, another member appended :: - :: cp in.tar out.tar && cp -r in x && echo >>x/index.json && tar -C x -rf out.tar ./index.json :: oci-archive:out.tar :: refused: occurs twice, and differs
GNU tar, archives joined :: - :: tar -C in -cf out.tar ./blobs && tar -C in -cf more.tar ./oci-layout ./index.json && tar -Af out.tar more.tar :: out.tar :: same
cat of two archives :: - :: tar -C in -cf a.tar ./blobs && cat a.tar in.tar >out.tar :: oci-archive:out.tar :: refused: data after the end
GNU tar, a label :: - :: tar -V label -C in -cf out.tar . :: oci-archive:out.tar :: refused: unknown type
bsdtar, pax :: Bsdtar :: bsdtar --format=pax -C in -cf out.tar . :: out.tar :: same
bsdtar, ustar :: Bsdtar :: bsdtar --format=ustar -C in -cf out.tar . :: out.tar :: same
bsdtar, gnutar :: Bsdtar :: bsdtar --format=gnutar -C in -cf out.tar . :: out.tar :: same
bsdtar, with holes :: Bsdtar :: bsdtar --format=pax -C holes -cf out.tar . :: out.tar :: refused: a sparse member
bsdtar, holes filled :: Bsdtar :: bsdtar --format=pax --no-read-sparse -C holes -cf out.tar . :: out.tar :: same
busybox tar :: Busybox :: busybox tar -C in -cf out.tar . :: out.tar :: same
Python tarfile, ustar :: Python :: python3 -c 'import tarfile; t = tarfile.open("out.tar", "w", format=0); t.add("in", "."); t.close()' :: out.tar :: same
Python tarfile, gnu :: Python :: python3 -c 'import tarfile; t = tarfile.open("out.tar", "w", format=1); t.add("in", ""); t.close()' :: out.tar :: same
Python tarfile, pax :: Python :: python3 -c 'import tarfile; t = tarfile.open("out.tar", "w", format=2); t.add("in", "."); t.close()' :: out.tar :: same
"#;

const COMPRESSED: &str = r#"
gzip :: - :: gzip <in.tar >out.tar.gz :: out.tar.gz :: same
gzip, two members :: - :: (head -c 5000 in.tar | gzip; tail -c +5001 in.tar | gzip) >out.tar.gz :: out.tar.gz :: same
gzip, cut :: - :: gzip <in.tar >out.tar.gz && truncate -s 3000 out.tar.gz :: oci-archive:out.tar.gz :: refused: damaged
gzip, a byte changed :: - :: gzip <in.tar >out.tar.gz && printf X | dd of=out.tar.gz bs=1 seek=2000 conv=notrunc status=none :: oci-archive:out.tar.gz :: refused: 
gzip, padded with zeros :: - :: gzip <in.tar >out.tar.gz && truncate -s +4096 out.tar.gz :: oci-archive:out.tar.gz :: refused: damaged
no compression, padded with zeros :: - :: cp in.tar out.tar && truncate -s +4096 out.tar :: out.tar :: same
no compression, cut :: - :: head -c 3000 in.tar >out.tar :: oci-archive:out.tar :: refused: 
GNU tar -z :: - :: tar -C in -czf out.tar . :: out.tar :: same
pigz :: Pigz :: pigz <in.tar >out.tar.gz :: out.tar.gz :: same
pigz, independent blocks :: Pigz :: pigz -i -b 128 <in.tar >out.tar.gz :: out.tar.gz :: same
pigz, zlib :: Pigz :: pigz -z <in.tar >out.tar.zz :: oci-archive:out.tar.zz :: refused: not a tar archive
zstd :: Zstd :: zstd -q <in.tar >out.tar.zst :: out.tar.zst :: same
zstd, the best of the usual levels :: Zstd :: zstd -q -19 --no-check <in.tar >out.tar.zst :: out.tar.zst :: same
zstd, two frames :: Zstd :: (head -c 5000 in.tar | zstd -q; tail -c +5001 in.tar | zstd -q) >out.tar.zst :: out.tar.zst :: same
zstd, cut :: Zstd :: zstd -q <in.tar >out.tar.zst && truncate -s 3000 out.tar.zst :: oci-archive:out.tar.zst :: refused: damaged
zstd --long=25 :: Zstd :: zstd -q --long=25 <in.tar >out.tar.zst :: out.tar.zst :: same
zstd --long :: Zstd :: zstd -q --long <in.tar >out.tar.zst :: oci-archive:out.tar.zst :: refused: its Zstandard window is larger than 32 MiB
zstd --ultra :: Zstd :: zstd -q --ultra -22 <in.tar >out.tar.zst :: oci-archive:out.tar.zst :: refused: its Zstandard window is larger than 32 MiB
pzstd :: Zstd :: pzstd -q -p 2 -o out.tar.zst in.tar :: out.tar.zst :: same
xz :: - :: command -v xz >/dev/null || exit 77; xz -0 <in.tar >out.tar.xz :: oci-archive:out.tar.xz :: refused: compressed by xz
bzip2 :: - :: command -v bzip2 >/dev/null || exit 77; bzip2 <in.tar >out.tar.bz2 :: oci-archive:out.tar.bz2 :: refused: compressed by bzip2
lz4 :: - :: command -v lz4 >/dev/null || exit 77; lz4 -q <in.tar >out.tar.lz4 :: oci-archive:out.tar.lz4 :: refused: compressed by lz4
lzma :: Python :: python3 -c 'import lzma, sys; sys.stdout.buffer.write(lzma.compress(open("in.tar", "rb").read(), lzma.FORMAT_ALONE, preset=0))' >out.tar.lzma :: oci-archive:out.tar.lzma :: refused: compressed by lzma
compress, by bsdtar :: Bsdtar :: bsdtar -C in -cZf out.tar.Z . :: oci-archive:out.tar.Z :: refused: compressed by compress
zip, by bsdtar :: Bsdtar :: bsdtar --format=zip -C in -cf out.zip index.json oci-layout blobs :: oci-archive:out.zip :: refused: compressed by zip
7-Zip, by bsdtar :: Bsdtar :: bsdtar --format=7zip -C in -cf out.7z . :: oci-archive:out.7z :: refused: compressed by 7-Zip
cpio, by bsdtar :: Bsdtar :: bsdtar --format=newc -C in -cf out.cpio . :: oci-archive:out.cpio :: refused: not a tar archive
"#;

const IMAGE_TOOLS: &str = r#"
skopeo, oci :: Skopeo :: $SKOPEO oci:in:latest oci:out:latest :: oci:out:latest :: read
skopeo, oci, without a tag :: Skopeo :: $SKOPEO oci:in:latest oci:out :: oci:out :: read
skopeo, oci, zstd :: Skopeo :: $SKOPEO --dest-compress-format zstd oci:in:latest oci:out:latest :: oci:out:latest :: read
skopeo, oci-archive :: Skopeo :: $SKOPEO oci:in:latest oci-archive:out.tar:latest :: out.tar :: read
skopeo, docker-archive :: Skopeo :: $SKOPEO oci:in:latest docker-archive:out.tar:localhost/train:latest :: out.tar :: read
skopeo, docker-archive, no name, by its place :: Skopeo :: $SKOPEO oci:in:latest docker-archive:out.tar :: docker-archive:out.tar:@0 :: read
skopeo, docker-archive, two names :: Skopeo :: $SKOPEO --additional-tag localhost/train:2 oci:in:latest docker-archive:out.tar:localhost/train:1 :: out.tar :: read
skopeo, dir :: Skopeo :: $SKOPEO oci:in:latest dir:out :: out :: same
skopeo, dir, Docker's schema :: Skopeo :: $SKOPEO --format v2s2 oci:in:latest dir:out :: dir:out :: read
umoci init :: Umoci :: umoci init --layout out && $PHT_OCI -q copy oci:in:latest oci:out:latest :: oci:out :: same
umoci tag :: Umoci :: cp -r in out && umoci tag --image out:latest second && umoci tag --image out:latest v1 :: oci:out :: same
umoci rm :: Umoci :: cp -r in out && umoci tag --image out:latest second && umoci rm --image out:latest && umoci gc --layout out :: oci:out :: same
"#;

/// In the storage there are `localhost/train:latest` and `localhost/train:second`, the same image.
const ENGINES: &str = r#"
podman save :: Podman :: podman save -q -o out.tar localhost/train:latest :: out.tar :: read
podman save, oci-archive :: Podman :: podman save -q --format oci-archive -o out.tar localhost/train:latest :: out.tar :: read
podman save, oci-dir :: Podman :: podman save -q --format oci-dir -o out localhost/train:latest :: oci:out :: read
podman save, docker-dir :: Podman :: podman save -q --format docker-dir -o out localhost/train:latest :: dir:out :: read
podman save, two names :: Podman :: podman save -q -m -o out.tar localhost/train:latest localhost/train:second :: out.tar :: read
podman save, compressed by pigz :: Podman,Pigz :: podman save -q localhost/train:latest | pigz >out.tar.gz :: out.tar.gz :: read
buildah push, oci :: Podman,Buildah :: buildah push -q localhost/train:latest oci:out:latest :: oci:out:latest :: read
buildah push, oci, zstd :: Podman,Buildah :: buildah push -q --compression-format zstd localhost/train:latest oci:out:latest :: oci:out:latest :: read
buildah push, oci-archive :: Podman,Buildah :: buildah push -q localhost/train:latest oci-archive:out.tar:latest :: out.tar :: read
buildah push, docker-archive :: Podman,Buildah :: buildah push -q localhost/train:latest docker-archive:out.tar:localhost/train:latest :: out.tar :: read
buildah push, dir, Docker's schema :: Podman,Buildah :: buildah push -q --format docker localhost/train:latest dir:out :: dir:out :: read
"#;

const DOCKER: &str = r#"
docker save :: Docker :: docker save -o out.tar $NAME :: out.tar :: read
docker save, compressed :: Docker :: docker save $NAME | gzip >out.tar.gz :: out.tar.gz :: read
docker buildx, oci :: Docker :: docker buildx version >/dev/null 2>&1 || exit 77; echo "FROM $NAME" | docker buildx build -q -o type=oci,dest=out.tar - :: out.tar :: read
"#;

/// In the registries there is `$AT`, pushed by this program.
const FERRO: &str = r#"
skopeo from ferro, oci :: Ferro,Skopeo :: $SKOPEO --src-tls-verify=false $AT oci:out:latest :: oci:out:latest :: read
skopeo from ferro, oci-archive :: Ferro,Skopeo :: $SKOPEO --src-tls-verify=false $AT oci-archive:out.tar:latest :: out.tar :: read
skopeo from ferro, dir :: Ferro,Skopeo :: $SKOPEO --src-tls-verify=false $AT dir:out :: dir:out :: same
skopeo from ferro, docker-archive :: Ferro,Skopeo :: $SKOPEO --src-tls-verify=false $AT docker-archive:out.tar:localhost/train:latest :: out.tar :: read
copy from ferro :: Ferro :: $PHT_OCI -q copy $AT oci:out:latest --src-tls-verify false :: oci:out:latest :: same
"#;

const PULP: &str = r#"
skopeo from Pulp, oci :: Pulp,Skopeo :: $SKOPEO --src-tls-verify=false --src-creds $PHT_PULP_LOGIN $AT oci:out:latest :: oci:out:latest :: read
skopeo from Pulp, oci-archive :: Pulp,Skopeo :: $SKOPEO --src-tls-verify=false --src-creds $PHT_PULP_LOGIN $AT oci-archive:out.tar:latest :: out.tar :: read
copy from Pulp :: Pulp :: $PHT_OCI -q copy $AT oci:out:latest --src-tls-verify false --src-creds $PHT_PULP_LOGIN :: oci:out:latest :: same
Pulp's own export :: Pulp,Python :: python3 $EXPORT $PHT_PULP $PHT_PULP_LOGIN $PHT_PULP_EXPORTS $NAME out.tar :: oci-archive:out.tar :: refused: not an OCI archive
"#;

/// The directory that the lines run in, and what they may use.
struct Place {
    train: Train,
    variables: Vec<(&'static str, String)>,
    digest: Value,
    id: Value,
}

fn inspect(dir: &Path, place: &str) -> support::Outcome {
    let (transport, path) = ["oci:", "dir:", "oci-archive:", "docker-archive:"]
        .iter()
        .find_map(|transport| Some((*transport, place.strip_prefix(transport)?)))
        .unwrap_or(("", place));
    pht_oci(&["inspect", &format!("{transport}{}/{path}", dir.display()), "--format", "json"], &[])
}

impl Place {
    fn new() -> Self {
        let train = Train::build(Implementation::Ours, Wire::V3, &TrainSpec::default()).unwrap();
        train.layout.tag("0", "latest");
        let dir = train.dir.path();
        let alone = train.layout.only("latest", dir.join("in"));
        support::tree::copy(&alone.dir, &dir.join("holes"));
        let zeros = vec![0; 1 << 20];
        let hole = File::create(dir.join("holes/blobs/sha256").join(sha256(&zeros))).unwrap();
        hole.set_len(zeros.len() as u64).unwrap();
        hole.write_all_at(b"", 0).unwrap();
        let found = inspect(dir, "oci:in").ok().json();
        let variables =
            vec![("PHT_OCI", program().to_owned()), ("SKOPEO", "skopeo --insecure-policy copy -q".to_owned())];
        let place = Place { digest: found["digest"].clone(), id: found["id"].clone(), train, variables };
        place.shell("tar -C in -cf in.tar .").unwrap();
        place
    }

    /// Puts the train into the registry whose address is in a variable, under a name of its own.
    fn push(&mut self, registry: &str, options: &str) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_nanos();
        let (host, name) = (std::env::var(registry).expect("a registry"), format!("w{now}/train"));
        let export = test_file("python/pulp_export.py");
        self.variables.push(("AT", format!("docker://{host}/{name}:latest")));
        self.variables.extend([("NAME", name), ("EXPORT", utf8(&export).to_owned())]);
        let line = format!("$PHT_OCI -q copy oci:in:latest $AT --dest-tls-verify false {options}");
        self.shell(&line).unwrap_or_else(|error| panic!("{error}"));
    }

    /// Whether there was the tool that the line calls.
    fn shell(&self, line: &str) -> Result<bool, String> {
        let mut command = Command::new("bash");
        command.args(["-ec", &format!("set -o pipefail; {line}")]).current_dir(self.train.dir.path());
        let variables = self.variables.iter().map(|(name, value)| (name, value));
        let output = command.envs(variables).stdin(Stdio::null()).output().expect("a shell");
        match output.status.code() {
            Some(0) => Ok(true),
            Some(77) => Ok(false),
            _ => Err(format!("{line}: {}", String::from_utf8_lossy(&output.stderr).trim())),
        }
    }

    fn look(&self, place: &str, expected: Outcome) -> Result<(), String> {
        let found = inspect(self.train.dir.path(), place);
        match expected {
            Outcome::Same | Outcome::Read => {
                let found = found.expect(0)?.json();
                let is_it = if matches!(expected, Outcome::Same) {
                    found["digest"] == self.digest
                } else {
                    found["id"] == self.id
                };
                if is_it { Ok(()) } else { Err(format!("another image: {found}")) }
            }
            Outcome::Refused(words) => {
                let message = found.expect(5)?.stderr;
                let error: Value = serde_json::from_str(&message).map_err(|error| format!("{error}: {message}"))?;
                let hint = error["error"]["hint"].as_str().unwrap_or_default();
                let is_said = error["error"]["message"].as_str().is_some_and(|text| text.contains(words));
                if is_said && !hint.is_empty() { Ok(()) } else { Err(message) }
            }
        }
    }
}

fn peer(name: &str) -> Peer {
    let known = [
        Peer::Skopeo,
        Peer::Umoci,
        Peer::Buildah,
        Peer::Podman,
        Peer::Docker,
        Peer::Zstd,
        Peer::Pigz,
        Peer::Busybox,
        Peer::Bsdtar,
        Peer::Python,
        Peer::Ferro,
        Peer::Pulp,
    ];
    known.into_iter().find(|peer| format!("{peer:?}") == name).unwrap_or_else(|| panic!("no peer {name}"))
}

fn rows(table: &'static str) -> impl Iterator<Item = Row> {
    table.trim().lines().map(|text| {
        let cells: Vec<&str> = text.split(" :: ").collect();
        let [tool, needs, line, place, outcome] = cells[..] else { panic!("not five cells: {text}") };
        let outcome = match outcome {
            "same" => Outcome::Same,
            "read" => Outcome::Read,
            refused => Outcome::Refused(refused.strip_prefix("refused:").expect("an outcome").trim()),
        };
        let needs = needs.split(',').filter(|name| *name != "-").map(peer).collect();
        Row { tool, needs, line, place, outcome }
    })
}

/// Tries every row whose peers are here.
#[track_caller]
fn check(test: &str, table: &'static str, prepare: impl FnOnce(&mut Place)) {
    let is_here = |row: &Row| row.needs.is_empty() || available(&format!("{test}: {}", row.tool), &row.needs);
    let here: Vec<Row> = rows(table).filter(is_here).collect();
    if here.is_empty() {
        return;
    }
    let mut place = Place::new();
    prepare(&mut place);
    let mut wrong = Vec::new();
    for Row { tool, line, place: at, outcome, .. } in here {
        place.shell("rm -rf out out.* x more.tar a.tar").expect("nothing is in the way");
        match place.shell(line) {
            Err(error) => wrong.push(format!("{tool}: {error}")),
            Ok(false) => eprintln!("left out: {test}: {tool} is not here"),
            Ok(true) => wrong.extend(place.look(at, outcome).err().map(|error| format!("{tool}: {error}"))),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn archives_packed_anew() {
    check("writers::archives_packed_anew", REPACKED, |_| ());
}

#[test]
fn archives_compressed() {
    check("writers::archives_compressed", COMPRESSED, |_| ());
}

#[test]
fn image_tools() {
    check("writers::image_tools", IMAGE_TOOLS, |_| ());
}

#[test]
fn podman_and_buildah() {
    check("writers::podman_and_buildah", ENGINES, |place| {
        let dir = place.train.dir.path().join("containers");
        fs::create_dir(&dir).expect("a new directory");
        place.variables.extend(containers::configure(&dir));
        for name in ["latest", "second"] {
            let line = format!("$SKOPEO oci:in:latest containers-storage:localhost/train:{name}");
            place.shell(&line).unwrap_or_else(|error| panic!("{error}"));
        }
    });
}

#[test]
fn ferro() {
    check("writers::ferro", FERRO, |place| place.push("PHT_FERRO", ""));
}

#[test]
fn pulp() {
    check("writers::pulp", PULP, |place| place.push("PHT_PULP", "--dest-creds $PHT_PULP_LOGIN"));
}

#[test]
fn docker() {
    let name = format!("localhost/pht-oci-test/writers-{}:latest", std::process::id());
    check("writers::docker", DOCKER, |place| {
        place.variables.push(("NAME", name.clone()));
        place
            .shell("$SKOPEO --dest-daemon-host \"$DOCKER_HOST\" oci:in:latest docker-daemon:$NAME")
            .expect("Docker takes it");
    });
    if available("writers::docker", &[Peer::Docker]) {
        support::run("docker", &["rmi", "-f", &name]).expect("the image goes");
    }
}
