//! Volumes that an image declares: a commit of the container leaves out what is in them, and they may lie where the train's
//! files are.

use serde_json::json;

use support::Wire;
use support::stage::StageFixture;

#[test]
fn no_volume_hides_the_results_of_an_opened_train() {
    for wire in Wire::ALL {
        let fixture = StageFixture::new(wire);
        let volumes = json!({
            "/opt/pht_results": {}, "opt/./pht_results/": {}, "/opt": {}, "/": {}, "/opt/pht_train/lib": {},
            "/srv/../opt/pht_results": {}, "/data": {},
        });
        fixture.layout.merge_config("latest", "latest", &json!({ "Volumes": volumes }));
        let report = fixture.stage("pre-run", &["latest"], &["--format", "json"]).ok().json();
        let opened = fixture.layout.image("latest");
        assert!(opened["config"]["config"].get("Volumes").is_none(), "wire {wire:?}");
        let notes = report["notes"].to_string();
        assert!(notes.contains("opt/./pht_results/") && notes.contains("/data"), "{report}");
        fixture.write("latest", "latest");
        fixture.stage("post-run", &["latest"], &[]).ok();
        fixture.check_closed("latest");
    }
}

#[test]
fn an_image_whose_volumes_all_hide_the_train_declares_none() {
    let fixture = StageFixture::new(Wire::V2_0);
    fixture.layout.merge_config("latest", "latest", &json!({ "Volumes": { "/opt": {} } }));
    fixture.stage("pre-run", &["latest"], &[]).ok();
    let config = fixture.layout.image("latest")["config"]["config"].clone();
    assert!(config.get("Volumes").is_none_or(serde_json::Value::is_null), "{config}");
}
