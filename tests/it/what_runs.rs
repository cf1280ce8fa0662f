//! What `inspect` and pre-run show of how a train runs, before it does.

use serde_json::{Value, json};
use support::vectors::Signed;
use support::{Wire, pht_oci};

fn inspect(train: &Signed, tag: &str) -> Value {
    pht_oci(&["inspect", &train.layout.at(tag), "--format", "json"], &[]).ok().json()["runs"].clone()
}

fn strange() -> Value {
    json!({
        "Entrypoint": ["/bin/sh", "-c"], "Cmd": ["cp /data/* /opt/pht_results/\u{202e}"], "User": "0:0", "WorkingDir": "/data",
        "Env": ["PATH=/bin", "LD_PRELOAD=/opt/pht_results/x.so"],
    })
}

/// The statement, whatever the image config says: that is what runs.
#[test]
fn wire_3_shows_what_the_creator_signed() {
    let train = Signed::new(Wire::V3);
    let statement = train.layout.train_config(train.tag);
    let signed = &statement["image"];
    let honest = inspect(&train, train.tag);
    assert_eq!(honest["signed"], true);
    assert_eq!(
        honest["platform"],
        format!("{}/{}", signed["os"].as_str().unwrap(), signed["architecture"].as_str().unwrap())
    );
    let list = |name: &str| signed["config"].get(name).cloned().unwrap_or(json!([]));
    assert_eq!((&honest["entrypoint"], &honest["command"]), (&list("Entrypoint"), &list("Cmd")));
    let names = |list: Value| -> Vec<String> {
        let entries = list.as_array().expect("a list").clone();
        let mut names: Vec<String> =
            entries.iter().map(|entry| entry.as_str().unwrap().split('=').next().unwrap().to_owned()).collect();
        names.sort();
        names
    };
    assert_eq!(honest["env"], json!(names(list("Env"))));
    let base = statement["base_layers"].as_array().expect("a list");
    assert_eq!(honest["base"]["layers"], base.len());
    if let [only] = &base[..] {
        assert_eq!(honest["base"]["chain_id"], only["diff_id"]);
    }
    train.layout.merge_config(train.tag, "strange", &strange());
    assert_eq!(inspect(&train, "strange"), honest);
    let text = String::from_utf8(pht_oci(&["inspect", &train.layout.at("strange")], &[]).ok().stdout).unwrap();
    assert!(!text.contains("/data") && !text.contains("no signature covers"), "{text}");
}

/// The image config, with every character visible, and the note that nobody has signed it.
#[test]
fn older_wires_show_the_image_config_and_say_that_it_is_unsigned() {
    for wire in Wire::ALL {
        let train = Signed::new(wire);
        train.layout.merge_config(train.tag, "strange", &strange());
        let alone = train.layout.only("strange", train.dir.path().join("alone")).at("strange");
        let runs = pht_oci(&["inspect", &alone, "--format", "json"], &[]).ok().json()["runs"].clone();
        assert_eq!(runs["signed"], false);
        assert_eq!((&runs["user"], &runs["working_dir"]), (&json!("0:0"), &json!("/data")));
        assert_eq!(runs["env"], json!(["LD_PRELOAD", "PATH"]));
        assert_eq!(runs["env_changed"], Value::Null, "{wire:?}: there is no base to compare with");
        let text = pht_oci(&["inspect", &alone], &[]).ok().stdout;
        let text = String::from_utf8(text).unwrap();
        for part in [
            r#"["/bin/sh","-c"]"#,
            r#"["cp /data/* /opt/pht_results/\u{202e}"]"#,
            "0:0, in /data",
            "LD_PRELOAD, PATH (how the base has it is not known here)",
            "no signature covers how the image runs, nor its base, in this wire version (image-config, base)",
        ] {
            assert!(text.contains(part), "{wire:?}: {part} is not in\n{text}");
        }
        // Values may be secrets of whoever made the image.
        assert!(!text.contains("x.so"), "{text}");
    }
}

#[test]
fn pre_run_shows_it_and_names_variables_that_the_base_has_otherwise() {
    for wire in Wire::OURS {
        let train = Signed::new(wire);
        let tag = if wire == Wire::V3 { train.tag } else { "strange" };
        if wire == Wire::V3 {
            train.layout.tag("0", "base");
        } else {
            train.layout.merge_config(train.tag, "strange", &strange());
            train.layout.tag("0-built", "base");
        }
        let line = ["pre-run", &train.layout.at(tag), &train.layout.at("opened"), "--private-key", &train.station];
        let report = pht_oci(&[&line[..], &["--format", "json"]].concat(), &[]).ok().json();
        let runs = &report["runs"];
        if wire == Wire::V3 {
            assert_eq!(runs["env_changed"], json!([]));
            assert_eq!((&runs["signed"], runs), (&json!(true), &inspect(&train, tag)));
        } else {
            let changed = runs["env_changed"].as_array().expect("the base is known");
            assert!(changed.contains(&json!("LD_PRELOAD")), "{runs}");
            assert!(runs["base"]["layers"].as_u64() > Some(0) && runs["base"]["chain_id"].is_string(), "{runs}");
            let text = String::from_utf8(pht_oci(&line, &[]).ok().stdout).unwrap();
            assert!(text.contains("not as the base has it: ") && text.contains("LD_PRELOAD"), "{text}");
            assert!(text.contains("cp /data/*") && text.contains("no signature covers"), "{text}");
        }
        // Nothing runs after post-run.
        let opened = train.layout.at("opened");
        let line = ["post-run", &opened, &train.layout.at("closed"), "--private-key", &train.station];
        let report = pht_oci(&[&line[..], &["--format", "json"]].concat(), &[]).ok().json();
        assert!(report.get("runs").is_none(), "{report}");
    }
}
