//! The reference carries trains that were rebased.

use std::path::Path;

use support::peers::reference;
use support::rebasing::{new_master, results};
use support::{Implementation, Peer, Train, TrainSpec, Wire, available, pht_oci};

/// Trains that the reference built and carries, rebased by us before every station but the last.
#[test]
fn the_reference_carries_a_rebased_train() {
    if !available("rebasing::the_reference_carries", &[Peer::Reference, Peer::Python, Peer::Busybox]) {
        return;
    }
    for wire in Wire::ALL {
        let train = Train::build(Implementation::Reference, wire, &TrainSpec::default())
            .unwrap_or_else(|message| panic!("{message}"));
        new_master(&train);
        let (layout, mut latest) = (&train.layout, "0".to_owned());
        for stop in 0..3 {
            let to = (stop + 1).to_string();
            if stop < 2 {
                let (from, master) = (layout.at(&latest), if stop == 0 { "newer" } else { "base" });
                latest = format!("{latest}-new");
                let line = ["rebase", &from, &layout.at(&latest), "--base", &train.base.at(master)];
                pht_oci(&line, &[]).ok();
                // By its convention the tag `base` is what the reference puts a later state on.
                layout.tag(&latest, "base");
                assert!(layout.view(&latest, "usr").is_empty() == (master == "base"), "{wire:?}: on {master}");
            }
            let written: &Path = &results(&train, stop);
            // A run by the reference, or pre-run and post-run by different programs.
            match stop {
                0 => train
                    .stop(Implementation::Reference, &latest, &to, stop, written)
                    .unwrap_or_else(|message| panic!("{message}")),
                _ => {
                    let (pre, ran) = (format!("{to}-pre"), format!("{to}-ran"));
                    train.ours("pre-run", &latest, &pre, stop).unwrap_or_else(|message| panic!("{message}"));
                    train.put(&pre, &ran, 0, written);
                    let station = train.station_id(stop);
                    let options = ["--station", &station, "--key", &train.key(&station)];
                    let line = [wire.reference(), "post", layout.path(), &ran, &to];
                    reference(&[&line, &options[..]].concat()).unwrap_or_else(|message| panic!("{message}"));
                }
            }
            latest = to;
            train.check_results(&latest, written, false).unwrap_or_else(|message| panic!("{wire:?}: {message}"));
        }
        pht_oci(&["verify", &layout.at(&latest)], &[]).ok();
    }
}
