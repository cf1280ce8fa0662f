use super::super::finding::{Notes, ReviewCheck};
use super::super::format::{Format, find};
use super::super::pickle::read;
use super::super::subject::Subject;
use crate::text::Printable;

/// The bytes of arrays and series that belong to no model: a thousand numbers.
const MAX_LOOSE: u64 = 8 << 10;
/// The imports that a finding names.
const NAMED: usize = 5;

/// What a pickle imports and carries: frames, arrays, models that keep their training data, and whatever is no data.
pub(super) fn check(subject: &Subject<'_>, notes: &mut Notes<'_>) {
    if subject.format == Format::Numpy && has_objects(subject.bytes) {
        notes.stop(ReviewCheck::Pickle, "", "an array of objects, which is a pickle in itself");
    }
    if subject.format != Format::Pickle {
        return;
    }
    let facts = read(subject.bytes, &mut |_| {});
    if let Some(fault) = facts.fault {
        notes.stop(ReviewCheck::Pickle, "", format!("a pickle that cannot be read to its end: {fault}"));
    }
    let foreign: Vec<String> =
        facts.imports.keys().filter(|name| !is_data(name)).map(|name| Printable::new(name).to_string()).collect();
    if !foreign.is_empty() {
        let more = if foreign.len() > NAMED { ", and more" } else { "" };
        let names = foreign[..foreign.len().min(NAMED)].join(", ");
        notes.stop(ReviewCheck::Pickle, "", format!("calls what is no data and no model: {names}{more}"));
    }
    let has = |test: fn(&str) -> bool| facts.imports.keys().any(|name| test(name));
    if has(is_frame) {
        notes.stop(ReviewCheck::Pickle, "", format!("a data frame, with {} bytes of numbers", facts.buffers));
    }
    for keeper in facts.imports.keys().filter(|name| keeps_data(name)) {
        let name = keeper.rsplit('.').next().unwrap_or_default();
        let what = format!("{}: keeps rows of the data that it was trained on", Printable::new(name));
        notes.stop(ReviewCheck::Pickle, "", what);
    }
    if facts.buffers > MAX_LOOSE && !has(is_model) && !has(is_frame) {
        let what = format!("{} bytes of arrays or series that belong to no model", facts.buffers);
        notes.stop(ReviewCheck::Pickle, "", what);
    }
    if facts.has_persistent_ids && !has(|name| name.starts_with("torch.")) {
        notes.stop(ReviewCheck::Pickle, "", "refers to objects outside of it");
    }
    if facts.fault.is_none() && foreign.is_empty() {
        let (numbers, buffers, imports) = (facts.numbers, facts.buffers, facts.imports.len());
        let what = format!("{imports} different imports, {numbers} numbers, {buffers} bytes in arrays");
        notes.look(ReviewCheck::Pickle, "", what);
    }
}

/// True if the head of an array of NumPy says that it is of objects.
fn has_objects(bytes: &[u8]) -> bool {
    let head = &bytes[..bytes.len().min(4096)];
    [&b"'|O'"[..], b"'O'", b"'<O", b"|O8"].iter().any(|objects| find(head, objects).is_some())
}

/// Names outside of models that make data, and nothing else.
const DATA: [&str; 34] = [
    "builtins.list",
    "builtins.dict",
    "builtins.set",
    "builtins.frozenset",
    "builtins.tuple",
    "builtins.int",
    "builtins.float",
    "builtins.complex",
    "builtins.bytearray",
    "builtins.bytes",
    "builtins.str",
    "builtins.bool",
    "builtins.slice",
    "builtins.range",
    "builtins.object",
    "builtins.type",
    "__builtin__.list",
    "__builtin__.dict",
    "__builtin__.set",
    "__builtin__.object",
    "__builtin__.bytearray",
    "__builtin__.slice",
    "copyreg._reconstructor",
    "copy_reg._reconstructor",
    "_codecs.encode",
    "collections.OrderedDict",
    "collections.defaultdict",
    "collections.Counter",
    "collections.deque",
    "decimal.Decimal",
    "fractions.Fraction",
    "datetime.datetime",
    "datetime.date",
    "datetime.timedelta",
];

/// True if a name is that of data or of a model: what calls it can do nothing else.
fn is_data(name: &str) -> bool {
    if DATA.contains(&name)
        || is_array(name)
        || matches!(name, "datetime.timezone" | "datetime.time" | "pathlib.PosixPath" | "uuid.UUID")
    {
        return true;
    }
    let (module, last) = name.rsplit_once('.').unwrap_or_default();
    let is_class = last.trim_start_matches('_').starts_with(|c: char| c.is_ascii_uppercase());
    let below = |top: &str| module == top || module.strip_prefix(top).is_some_and(|rest| rest.starts_with('.'));
    if below("pandas.core") {
        let evaluates = below("pandas.core.computation");
        return !evaluates
            && (is_class || matches!(last, "new_block" | "_new_Index" | "_new_DatetimeIndex" | "_unpickle_block"));
    }
    if below("pandas._libs") || below("pandas.arrays") {
        return is_class
            || matches!(last, "_unpickle_block" | "__pyx_unpickle_BlockManager" | "__pyx_unpickle_Enum")
            || last.starts_with("_nat_unpickle")
            || last.starts_with("__pyx_unpickle");
    }
    if below("sklearn") || below("xgboost") || below("lightgbm") || below("catboost") || below("statsmodels") {
        return is_class || last == "newObj" || last.starts_with("__pyx_unpickle") || matches!(last, "csr_matrix");
    }
    if below("scipy.sparse") || below("scipy.stats") || below("scipy.interpolate") {
        return is_class
            || last.ends_with("_matrix")
            || last.ends_with("_array")
            || last.ends_with("_gen")
            || last.ends_with("_frozen");
    }
    if below("torch") {
        return is_class && !below("torch.package")
            || last.starts_with("_rebuild_") && module == "torch._utils"
            || matches!(name, "torch.device" | "torch.Size");
    }
    matches!(
        name,
        "joblib.numpy_pickle.NumpyArrayWrapper"
            | "joblib.numpy_pickle.NDArrayWrapper"
            | "joblib.numpy_pickle.ZNDArrayWrapper"
    )
}

/// Names of NumPy that make arrays and generators of random numbers.
fn is_array(name: &str) -> bool {
    const NAMES: [&str; 16] = [
        "_reconstruct",
        "scalar",
        "ndarray",
        "dtype",
        "_frombuffer",
        "matrix",
        "MaskedArray",
        "_mareconstruct",
        "RandomState",
        "Generator",
        "__randomstate_ctor",
        "__generator_ctor",
        "__bit_generator_ctor",
        "MT19937",
        "PCG64",
        "SeedSequence",
    ];
    let Some((module, last)) = name.rsplit_once('.') else { return false };
    let of_numpy = module == "numpy" || module.starts_with("numpy.");
    let is_generator = module.starts_with("numpy.random") && last.starts_with("__pyx_unpickle_");
    of_numpy && (NAMES.contains(&last) || module == "numpy.dtypes" || is_generator)
}

fn is_frame(name: &str) -> bool {
    matches!(
        name,
        "pandas.core.frame.DataFrame"
            | "geopandas.geodataframe.GeoDataFrame"
            | "polars.dataframe.frame.DataFrame"
            | "pandas.DataFrame"
    )
}

fn is_model(name: &str) -> bool {
    ["sklearn.", "xgboost.", "lightgbm.", "catboost.", "torch."].iter().any(|top| name.starts_with(top))
}

/// Models that keep rows of what they were trained on, or a value for each of them.
fn keeps_data(name: &str) -> bool {
    const NAMES: [&str; 32] = [
        "KNeighborsClassifier",
        "KNeighborsRegressor",
        "KNeighborsTransformer",
        "RadiusNeighborsClassifier",
        "RadiusNeighborsRegressor",
        "NearestNeighbors",
        "LocalOutlierFactor",
        "KNNImputer",
        "KDTree",
        "KDTree64",
        "BallTree",
        "BallTree64",
        "cKDTree",
        "SVC",
        "SVR",
        "NuSVC",
        "NuSVR",
        "OneClassSVM",
        "KernelRidge",
        "KernelPCA",
        "KernelDensity",
        "GaussianProcessClassifier",
        "GaussianProcessRegressor",
        "LabelPropagation",
        "LabelSpreading",
        "DBSCAN",
        "OPTICS",
        "HDBSCAN",
        "Isomap",
        "TSNE",
        "AffinityPropagation",
        "IsotonicRegression",
    ];
    let last = name.rsplit('.').next().unwrap_or_default();
    NAMES.contains(&last) || name.starts_with("statsmodels.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_is_data_and_all_else_is_not() {
        for name in [
            "collections.OrderedDict",
            "numpy._core.multiarray._reconstruct",
            "pandas.core.series.Series",
            "pandas._libs.internals._unpickle_block",
            "sklearn.linear_model._logistic.LogisticRegression",
            "sklearn.tree._tree.Tree",
            "torch._utils._rebuild_tensor_v2",
            "torch.FloatStorage",
        ] {
            assert!(is_data(name), "{name}");
        }
        for name in [
            "os.system",
            "posix.system",
            "builtins.eval",
            "builtins.getattr",
            "__builtin__.exec",
            "subprocess.Popen",
            "numpy.load",
            "numpy.testing._private.utils.runstring",
            "pandas.core.computation.eval.eval",
            "pandas.io.pickle.read_pickle",
            "sklearn.utils._testing.assert_run_python_script",
            "joblib.load",
            "torch.load",
            "torch.hub.load",
            "__main__.Train",
            "(a computed name)",
            "functools.partial",
            "",
        ] {
            assert!(!is_data(name), "{name}");
        }
    }
}
