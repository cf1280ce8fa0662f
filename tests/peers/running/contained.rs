//! A train that tries what it may not is contained by each engine.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::json;
use support::tree::snapshot;
use support::{Peer, Wire, available};

use super::fixture::RunFixture;
use super::ordinary::Ordinary;

/// Tries one thing after another; whatever succeeds is said.
const HOSTILE: &str = r#"#!/bin/sh
try() { what="$1"; shift; "$@" >/dev/null 2>&1 && echo "SUCCEEDED: $what"; }
try 'network' busybox wget -T 2 -O /dev/null http://192.0.2.1/
try 'mount' busybox mount -t tmpfs none /tmp
try 'remount of the code' busybox mount -o remount,rw /opt/pht_train
try 'device node' busybox mknod /opt/pht_results/disk b 8 0
try 'device node elsewhere' busybox mknod /tmp/disk b 8 0
try 'new namespaces' busybox unshare -m true
try 'new user namespace' busybox unshare -U true
try 'host name' busybox hostname other
try 'clock' sh -c 'busybox date -s 2001-01-01; [ "$(busybox date +%Y)" = 2001 ]'
try 'writing the code' sh -c 'echo x >> /opt/pht_train/entrypoint.sh'
try 'removing the code' rm /opt/pht_train/entrypoint.sh
try 'writing the config' sh -c 'echo x >> /opt/train_config.json'
try 'replacing the config' mv /opt/train_config.json /opt/other
try 'kernel settings' sh -c 'echo 1 > /proc/sys/kernel/panic'
try 'kernel log' busybox dmesg
try 'writing the data' sh -c 'echo x >> /data/patients'
try 'control groups' mkdir /sys/fs/cgroup/pids/escape
cp /bin/busybox /opt/pht_results/shell && chmod 6755 /opt/pht_results/shell
while read key value rest; do
  case "$key" in
  CapEff:) echo "capabilities $value" ;;
  NoNewPrivs:) echo "no new privileges $value" ;;
  Seccomp:) echo "seccomp $value" ;;
  esac
done < /proc/self/status
[ -z "$http_proxy$HTTPS_PROXY" ] || echo 'SUCCEEDED: proxy'
# Outlives its parent.
(sleep 300; echo late > /opt/pht_results/late) >/dev/null 2>&1 &
echo done > /opt/pht_results/count
"#;

fn contained(test: &str, engine: &'static str, peer: Peer) {
    if !available(test, &[Peer::Python, Peer::Busybox, peer]) {
        return;
    }
    let mut fixture = RunFixture::with(engine, Wire::V3, HOSTILE, &json!({ "Volumes": { "/data/own": {} } }));
    fixture.variables.extend([("http_proxy", "http://p:1".to_owned()), ("HTTPS_PROXY", "http://p:1".to_owned())]);
    let data = format!("{}:/data", fixture.train.dir.path().join("data").display());
    fixture.run(0, &["--volume", &data]).ok();
    let log = fs::read_to_string(fixture.log()).expect("a log");
    assert!(!log.contains("SUCCEEDED"), "{engine}: {log}");
    let value = |name: &str| log.lines().find_map(|line| line.strip_prefix(name)).map(str::trim).unwrap_or_default();
    let capabilities = u64::from_str_radix(value("capabilities"), 16).expect("a bit mask");
    // chown, dac_override, fowner, fsetid, kill, setgid, setuid, setpcap, net_bind_service, sys_chroot, setfcap
    assert_eq!(capabilities & !0x8004_05fb, 0, "{engine}: {log}");
    assert_eq!((value("no new privileges"), value("seccomp")), ("1", "2"), "{engine}: {log}");
    fixture.check_nothing_left();
    assert_eq!(fixture.result("count"), "done\n");
}

#[test]
fn podman_contains_a_train_that_tries_everything() {
    contained("running::contained::podman_contains_a_train_that_tries_everything", "podman", Peer::Podman);
}

#[test]
fn docker_contains_a_train_that_tries_everything() {
    contained("running::contained::docker_contains_a_train_that_tries_everything", "docker", Peer::Docker);
}

#[test]
fn runc_contains_a_train_that_tries_everything() {
    contained("running::contained::runc_contains_a_train_that_tries_everything", "runc", Peer::Runc);
}

/// A file system that is mounted until this is dropped.
struct Mounted(PathBuf);

impl Mounted {
    fn at(place: PathBuf) -> Self {
        fs::create_dir(&place).expect("a new directory");
        let status = Command::new("mount").args(["-t", "tmpfs", "none"]).arg(&place).status();
        assert!(status.expect("mount starts").success(), "nothing can be mounted");
        Mounted(place)
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

/// What a train can only read, it can only read with all that is mounted below it; and without it, as it may.
fn reads_only(test: &str, engine: &'static str, peer: Peer) {
    const WRITE: &str = "#!/bin/sh\nfor place in data data/below data/below/more own/below; do\n\
                         echo x > /$place/written && echo \"SUCCEEDED: /$place\"; cat /$place/there; done\n\
                         echo done > /opt/pht_results/count\n";
    if !available(test, &[Peer::Python, Peer::Busybox, peer]) {
        return;
    }
    let fixture = RunFixture::with(engine, Wire::V3, WRITE, &json!({}));
    let data = fixture.train.dir.path().join("data");
    let below = Mounted::at(data.join("below"));
    let more = Mounted::at(data.join("below/more"));
    for place in [&data, &below.0, &more.0] {
        fs::write(place.join("there"), "is there\n").expect("a new file");
    }
    let (only, own) = (format!("{}:/data", data.display()), format!("{}:/own:rw", data.display()));
    fixture.run(0, &["--volume", &only, "--volume", &own]).ok();
    let log = fs::read_to_string(fixture.log()).expect("a log");
    let written: Vec<&str> = log.lines().filter(|line| line.contains("SUCCEEDED")).collect();
    assert_eq!(written, ["SUCCEEDED: /own/below"], "{engine}: {log}");
    assert_eq!(log.matches("is there\n").count(), 4, "{engine}: {log}");
    fixture.check_nothing_left();
}

#[test]
fn podman_reads_only_what_is_mounted_below_a_volume() {
    reads_only("running::contained::podman_reads_only_what_is_mounted_below_a_volume", "podman", Peer::Podman);
}

#[test]
fn docker_reads_only_what_is_mounted_below_a_volume() {
    reads_only("running::contained::docker_reads_only_what_is_mounted_below_a_volume", "docker", Peer::Docker);
}

#[test]
fn runc_reads_only_what_is_mounted_below_a_volume() {
    reads_only("running::contained::runc_reads_only_what_is_mounted_below_a_volume", "runc", Peer::Runc);
}

/// Charliecloud shows the machine's `/dev`: nothing that a train leaves there stays, and it sees no terminal of anybody.
#[test]
fn charliecloud_shares_no_memory_and_no_terminals() {
    const LEAVE: &str = "#!/bin/sh\necho 'a patient' > /dev/shm/pht-left && echo 'has memory'\n\
                         [ -z \"$(ls /dev/shm | grep -v pht-left)\" ] || echo 'SUCCEEDED: memory of others'\n\
                         [ -z \"$(ls /dev/pts | grep -v ptmx)\" ] || echo 'SUCCEEDED: terminals'\n\
                         [ \"$(cat /data/given)\" = others ] && echo 'has data'\n\
                         while read -r what at kind how rest; do case \"$at\" in\n\
                         /opt/pht_results) case \"$how\" in *nosuid*nodev*) ;; *) echo \"SUCCEEDED: $how\" ;; esac ;;\n\
                         esac; done < /proc/self/mounts\n\
                         echo done > /opt/pht_results/count\n";
    let test = "running::contained::charliecloud_shares_no_memory_and_no_terminals";
    if !available(test, &[Peer::Python, Peer::Busybox, Peer::Charliecloud, Peer::Namespaces]) {
        return;
    }
    let fixture = RunFixture::with("charliecloud", Wire::V3, LEAVE, &json!({}));
    let user = Ordinary::new(&fixture);
    let others = Path::new("/dev/shm/pht-oci-test-of-others");
    fs::write(others, "others").expect("shared memory");
    // What is there itself is for the train if it is given it; but not the train.
    let volume = format!("{}:/data/given", others.display());
    let mut elsewhere = fixture.line(0, &["--volume", &volume]);
    elsewhere.insert(2, "oci:/dev/shm/pht-oci-test-of-runs:latest".to_owned());
    let (ran, refusal) = user.run(&fixture, &elsewhere);
    let (ended_well, message) = user.run(&fixture, &fixture.line(0, &["--volume", &volume]));
    fs::remove_file(others).expect("it is there");
    assert!(!ran && refusal.contains("has memory of its own") && refusal.contains("--tmpdir"), "{refusal}");
    assert!(!Path::new("/dev/shm/pht-oci-test-of-runs").exists(), "something was left");
    assert!(ended_well, "{message}");
    let log = fs::read_to_string(fixture.log()).expect("a log");
    assert!(log.contains("has memory") && log.contains("has data") && !log.contains("SUCCEEDED"), "{log}");
    assert!(!Path::new("/dev/shm/pht-left").exists(), "the train has left something");
}

/// A base whose user is not root reads its data, and writes its results, and files that it could not touch otherwise, too.
fn other_user(test: &str, engine: &'static str, peer: Peer, rootless: bool) {
    const TWICE: &str = "#!/bin/sh\nread uid rest < /proc/self/loginuid\necho \"$(busybox id -u)\" >> /opt/pht_results/who\n\
                         mkdir -p /opt/pht_results/sub && echo x >> /opt/pht_results/sub/x\n\
                         cat \"$TRAIN_DATA_PATH/sub/one\" >> /opt/pht_results/data\n\
                         umask 077; mkdir -p /opt/pht_results/own && echo y >> /opt/pht_results/own/y\n";
    // As careful as a station is with its data.
    const FETCH: &str = "umask 077; mkdir \"$PHT_DATA/sub\"; echo 'a patient' > \"$PHT_DATA/sub/one\"";
    let peers: &[Peer] = if rootless { &[Peer::Namespaces, Peer::FurtherUsers] } else { &[] };
    if !available(test, &[&[Peer::Python, Peer::Busybox, peer], peers].concat()) {
        return;
    }
    let fixture = RunFixture::with(engine, Wire::V3, TWICE, &json!({ "User": "1000:1000" }));
    let user = rootless.then(|| {
        // Where there are none, nobody can be given one; and it is said who has some.
        let (alone, before) = (Ordinary::with_further_users(&fixture, 0), snapshot(&fixture.layout.dir));
        for (other, said) in [(engine, "podman without root has no further users"), ("runc", "can run as root only")] {
            let mut line = fixture.line(0, &[]);
            line[3] = other.to_owned();
            let (ended_well, message) = alone.run(&fixture, &line);
            assert!(!ended_well && message.contains(said) && message.contains("charliecloud"), "{message}");
        }
        assert!(snapshot(&fixture.layout.dir) == before, "a refusal has changed the layout");
        Ordinary::with_further_users(&fixture, 65_536)
    });
    for stop in 0..2 {
        match &user {
            None => drop(fixture.run(stop, &["--prepare", FETCH]).ok()),
            Some(user) => {
                let (ended_well, message) = user.run(&fixture, &fixture.line(stop, &["--prepare", FETCH]));
                assert!(ended_well, "{message}");
            }
        }
        match rootless {
            // Another user's Podman has other containers.
            true => fixture.check_places(),
            false => fixture.check_nothing_left(),
        }
    }
    assert_eq!(fixture.result("own/y"), "y\ny\n", "{engine}");
    assert_eq!(fixture.result("data"), "a patient\na patient\n", "{engine}");
    assert_eq!(fixture.result("who"), "1000\n1000\n", "{engine}");
    assert_eq!(fixture.result("sub/x"), "x\nx\n", "{engine}");
}

#[test]
fn podman_runs_other_users() {
    other_user("running::contained::podman_runs_other_users", "podman", Peer::Podman, false);
}

#[test]
fn docker_runs_other_users() {
    other_user("running::contained::docker_runs_other_users", "docker", Peer::Docker, false);
}

#[test]
fn runc_runs_other_users() {
    other_user("running::contained::runc_runs_other_users", "runc", Peer::Runc, false);
}

#[test]
fn rootless_podman_runs_other_users() {
    other_user("running::contained::rootless_podman_runs_other_users", "podman", Peer::Podman, true);
}
