//! Archives between the program and the engines: what they save it opens, what it closes they load.

use super::engine::{Engine, Kind};
use support::{Implementation, Peer, Train, TrainSpec, Wire, available, pht_oci, utf8};

const NAME: &str = "localhost/pht-oci-archive/train:latest";

/// A train goes into an engine, is saved, pre-run from that archive to another, loaded and run there.
fn travels(kind: Kind, wire: Wire, form: &[&str], transport: &str) {
    let train = Train::build(Implementation::Ours, wire, &TrainSpec::default()).unwrap();
    let mut engine = Engine::new(kind);
    let (file, opened) = (train.dir.path().join("in.tar"), train.dir.path().join("opened.tar"));
    let image = engine.load(&train.layout, "0");
    engine.save(&image, form, &file);
    let station = train.station_id(0);
    let key = train.key(&station);
    let source = utf8(&file);
    let destination = format!("{transport}:{}:{NAME}", opened.display());
    // Told by content, and by name.
    for source in [source.to_owned(), format!("{transport}:{source}")] {
        let _ = std::fs::remove_file(&opened);
        pht_oci(&["pre-run", &source, &destination, "--private-key", &key], &[]).ok();
    }
    engine.load_archive(&opened, NAME);
    let printed = engine.print(NAME, &["/bin/cat", "/opt/pht_train/lib/helper.py"]);
    assert!(printed.starts_with(b"print('help')\n"), "{kind:?} {wire:?} {transport}");
}

#[test]
fn docker_saves_and_loads() {
    if available("docker_saves_and_loads", &[Peer::Docker, Peer::Busybox, Peer::Python]) {
        for wire in [Wire::V2_0, Wire::V3] {
            travels(Kind::Docker, wire, &[], "docker-archive");
        }
    }
}

#[test]
fn podman_saves_and_loads() {
    if available("podman_saves_and_loads", &[Peer::Podman, Peer::Busybox, Peer::Python]) {
        travels(Kind::Podman, Wire::V2_0, &["--format", "docker-archive"], "docker-archive");
        travels(Kind::Podman, Wire::V3, &["--format", "docker-archive"], "docker-archive");
        travels(Kind::Podman, Wire::V3, &["--format", "oci-archive"], "oci-archive");
    }
}
