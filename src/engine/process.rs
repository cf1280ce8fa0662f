//! What a container runs, and as whom: read from the image config, and set by the engine's options or bundle.

use crate::error::{Error, Result};
use crate::json::{Object, Value};

/// The process of a train (OCI image specification, image configuration, `config`).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProcessSpec {
    /// The entry point and the command.
    pub arguments: Vec<String>,
    /// `NAME=VALUE`, as the image sets them.
    pub environment: Vec<String>,
    /// `USER[:GROUP]`, by name or number; empty for root.
    pub user: String,
    /// An absolute path.
    pub work_dir: String,
}

impl ProcessSpec {
    /// The process of an image with this config.
    ///
    /// # Errors
    /// [`Kind::Malformed`](crate::error::Kind::Malformed) if there is no command, or a member is of another type.
    pub fn of(config: &Object) -> Result<Self> {
        let empty = Object::new();
        let config = config.get("config").and_then(Value::as_object).unwrap_or(&empty);
        let arguments = [strings(config, "Entrypoint")?, strings(config, "Cmd")?].concat();
        if arguments.first().is_none_or(String::is_empty) {
            return Err(Error::malformed("the image has no command").hint("build the train with a command"));
        }
        let text = |name| config.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let work_dir = Some(text("WorkingDir")).filter(|dir| !dir.is_empty()).unwrap_or_else(|| "/".to_owned());
        Ok(ProcessSpec { arguments, environment: strings(config, "Env")?, user: text("User"), work_dir })
    }

    /// True if it runs as root, as far as the image config says.
    pub fn is_root(&self) -> bool {
        matches!(self.user.split(':').next(), Some("" | "0" | "root"))
    }
}

fn strings(config: &Object, key: &str) -> Result<Vec<String>> {
    let wrong = || Error::malformed(format!("`{key}` in the image config is not a list of strings"));
    match config.get(key) {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::Array(list)) => {
            list.iter().map(|value| value.as_str().map(str::to_owned).ok_or_else(wrong)).collect()
        }
        Some(_) => Err(wrong()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::json;

    fn process(config: &Value) -> Result<ProcessSpec> {
        ProcessSpec::of(json!({ "config": config }).as_object().expect("an object"))
    }

    #[test]
    fn entry_point_and_command_are_one_line() {
        let found = process(&json!({ "Entrypoint": ["python3"], "Cmd": ["x.py"], "User": "1000:100" })).unwrap();
        assert_eq!(found.arguments, ["python3", "x.py"]);
        assert_eq!(found.work_dir, "/");
        assert!(!found.is_root());
        assert!(process(&json!({ "Cmd": ["x"], "User": "root" })).unwrap().is_root());
    }

    #[test]
    fn an_image_without_a_command_does_not_run() {
        for config in
            [json!({}), json!({ "Cmd": null }), json!({ "Cmd": [""] }), json!({ "Cmd": "x" }), json!({ "Cmd": [1] })]
        {
            assert!(process(&config).is_err(), "{config}");
        }
    }
}
