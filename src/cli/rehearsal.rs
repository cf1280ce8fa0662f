use std::path::PathBuf;

use clap::Args;

use super::container::ContainerOptions;
use super::output::Output;
use super::rehearsal_text::{rehearsal_json, rehearsal_text};
use super::release_options::RuleOptions;
use super::secrets::load_paillier_public;
use crate::engine::{ENGINES, Engine, RunOptions, Volume, engine_named};
use crate::error::{Error, ErrorContext, Result};
use crate::stage::{Execution, Rehearsal, RehearsalRequest, RehearsalStop, rehearse};
use crate::store::{Context, Reference};
use crate::text::{Printable, counted};

/// Try a train before it is sent: its whole route on this machine, on test data, with throw-away keys.
///
/// The train is built (wire 3), and runs at every stop as `run` runs it: without a network, with its files read-only, as
/// the base's user. Shown is what it prints, how long it takes, what it leaves, and what a station would say of that. What
/// fails here fails there: the exit status is 8 if the train fails, and 7 if the rules of a station would stop its results.
/// Nothing stays but the results in --out.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  pht-oci try --base docker://registry.example/master/python:3 \\
    --files ./algorithm --data a=./data/a --data b=./data/b \\
    --cmd python3 /opt/pht_train/main.py
  pht-oci try --base oci:master --files ./algorithm --data a=./a:/srv/data \\
    --engine podman --out ./results")]
pub(super) struct Try {
    /// The master image, or `scratch` for the empty image
    #[arg(long, value_name = "REF")]
    base: String,
    /// The directory with the train's files, or a tar archive of them; what .phtignore in it names is left out
    #[arg(long, value_name = "DIR")]
    files: PathBuf,
    /// A station and its test data, which the train reads at PATH or at /opt/train_data, where TRAIN_DATA_PATH leads; in the
    /// order of the route, and once more for further data of a station. A station without data: `STATION=`
    #[arg(long, value_name = "STATION=DIR[:PATH]", required = true, value_parser = data)]
    data: Vec<Data>,
    /// The query file, stored as `query.json`
    #[arg(long, value_name = "FILE")]
    query: Option<PathBuf>,
    /// The creator's Paillier public key (JSON with `n` and `g`), for encrypted computation
    #[arg(long, value_name = "FILE")]
    paillier_public_key: Option<PathBuf>,
    /// Container engine: podman, docker, runc or charliecloud [default: the first of them that is here]
    #[arg(long, value_name = "ENGINE", value_parser = engine_named)]
    engine: Option<&'static dyn Engine>,
    #[command(flatten)]
    container: ContainerOptions,
    /// A new directory for the results, as their creator would get them
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// The command that runs the train; takes the rest of the line [default: the master image's]
    #[arg(long, value_name = "ARG", num_args = 1.., allow_hyphen_values = true)]
    cmd: Vec<String>,
    #[command(flatten)]
    rules: RuleOptions,
}

/// A station, and data of its.
#[derive(Debug, Clone)]
struct Data {
    station: String,
    volume: Option<Volume>,
}

impl Try {
    pub(super) fn run(&self, context: &Context, output: &mut Output) -> Result<()> {
        let base = if self.base == "scratch" { None } else { Some(Reference::locate(&self.base)?) };
        let paillier_key = self.paillier_public_key.as_deref().map(load_paillier_public).transpose()?;
        let options = self.container.with_volumes(&[]);
        let stops = stops(&self.data)?;
        let engine = match self.engine {
            Some(engine) => engine,
            None => first_engine(&options)?,
        };
        let policy = self.rules.policy(false);
        let announce = |runs: &Execution| output.announce(runs);
        let mut request = RehearsalRequest::new(&self.files, &stops, engine, &options, &policy);
        request.base = base.as_ref();
        (request.query, request.out, request.command) = (self.query.as_deref(), self.out.as_deref(), &self.cmd);
        request.paillier_key = paillier_key.as_deref();
        (request.limit, request.results_limit) = (self.container.timeout.0, self.container.results_limit);
        request.announce = Some(&announce);
        let mut screen = output.screen();
        let rehearsed = rehearse(&request, &mut screen, context);
        screen.end();
        let rehearsal = rehearsed?;
        output.value(&rehearsal_text(output.color(), &rehearsal), &rehearsal_json(&rehearsal))?;
        verdict(rehearsal)
    }
}

/// Whether the train has come to its end, and its results would leave.
fn verdict(rehearsal: Rehearsal) -> Result<()> {
    let stopped = rehearsal.stopped();
    match rehearsal.error {
        Some(error) => Err(error),
        None if stopped > 0 => {
            let what = format!("{} against the rules of a station", counted(stopped, "finding"));
            let hint = "a station lets such results out only if a reviewer gives a reason; pht-oci help review says what \
                        each check looks for";
            Err(Error::decision(what).hint(hint))
        }
        None => Ok(()),
    }
}

/// `STATION=DIR[:PATH]`.
fn data(text: &str) -> Result<Data> {
    const HINT: &str = "write STATION=DIR or STATION=DIR:PATH, as in a=./data/a";
    let wrong = |what: &str| Error::usage(format!("`{}`: {what}", Printable::new(text))).hint(HINT);
    let Some((station, place)) = text.split_once('=') else {
        return Err(wrong("the directory of its data is missing"));
    };
    if station.is_empty() {
        return Err(wrong("the station's id is missing"));
    }
    let volume = match place {
        "" => None,
        _ if place.contains(':') => Some(place.parse::<Volume>().map_err(|error| error.hint(HINT))?),
        _ => Some(Volume::of_data(place)),
    };
    Ok(Data { station: station.to_owned(), volume })
}

/// The stations in the order in which they are first named.
fn stops(all: &[Data]) -> Result<Vec<RehearsalStop>> {
    let mut stops: Vec<RehearsalStop> = Vec::new();
    for Data { station, volume } in all {
        let stop = match stops.iter().position(|stop| stop.station == *station) {
            Some(at) => &mut stops[at],
            None => {
                stops.push(RehearsalStop::new(station.as_str(), Vec::new()));
                let last = stops.len() - 1;
                &mut stops[last]
            }
        };
        let Some(volume) = volume else { continue };
        if let Some(other) = stop.data.iter().find(|other| other.path == volume.path) {
            let what = format!("two directories for {}: {}", volume.path.display(), other.host.display());
            let hint = "give each a path of its own: STATION=DIR:PATH; or each station an id of its own";
            return Err(Error::usage(what).hint(hint).at(format_args!("station {}", Printable::new(station))));
        }
        stop.data.push(volume.clone());
    }
    for stop in &stops {
        for volume in &stop.data {
            let place = format!("data of station {}: {}", Printable::new(&stop.station), volume.host.display());
            volume.host.metadata().map_err(|_| Error::usage("there is no such file or directory")).at(place)?;
        }
    }
    Ok(stops)
}

/// The first engine that is here.
fn first_engine(options: &RunOptions) -> Result<&'static dyn Engine> {
    ENGINES.iter().copied().find(|engine| engine.check(options).is_ok()).ok_or_else(|| {
        let names: Vec<&str> = ENGINES.iter().map(|engine| engine.name()).collect();
        let hint = "install one, for instance podman; with --engine you learn why one cannot be used";
        Error::usage(format!("none of the engines is here that run trains: {}", names.join(", "))).hint(hint)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_name_stations_in_the_order_of_the_route() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path().display();
        let all = |texts: &[String]| -> Result<Vec<RehearsalStop>> {
            stops(&texts.iter().map(|text| data(text)).collect::<Result<Vec<_>>>()?)
        };
        let found = all(&[format!("b={dir}"), format!("a={dir}:/srv"), format!("b={dir}:/more"), "c=".to_owned()]);
        let found = found.unwrap();
        let paths = |stop: &RehearsalStop| -> Vec<String> {
            stop.data.iter().map(|volume| volume.path.display().to_string()).collect()
        };
        assert_eq!(found.iter().map(|stop| stop.station.as_str()).collect::<Vec<_>>(), ["b", "a", "c"]);
        assert_eq!(
            found.iter().map(paths).collect::<Vec<_>>(),
            [vec!["/opt/train_data", "/more"], vec!["/srv"], vec![]]
        );
        for wrong in [vec!["a".to_owned()], vec![format!("={dir}")], vec![format!("a={dir}/absent")]] {
            assert!(all(&wrong).is_err(), "{wrong:?}");
        }
        let twice = all(&[format!("a={dir}"), format!("a={dir}")]).unwrap_err();
        assert!(twice.to_string().contains("two directories for /opt/train_data"), "{twice}");
    }
}
