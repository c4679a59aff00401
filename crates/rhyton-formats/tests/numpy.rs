//! Files of NumPy read, and written files read back.

use std::path::PathBuf;

use rhyton_formats::Error;
use rhyton_formats::npy::{self, NpyValue};
use rhyton_formats::npz::{self, Compression};
use rhyton_ir::{Array, DType};

fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(name)
}

fn ramp(dtype: DType, shape: &[usize]) -> Array {
    let len: usize = shape.iter().product();
    let values: Vec<f64> = (0..len).map(|i| if dtype == DType::Bool { i % 2 } else { i } as f64).collect();
    Array::new(shape, values).cast(dtype)
}

#[test]
fn savez_is_read() {
    let values = npz::read_values(fixture("stored.npz")).unwrap();
    let array = |name: &str| match &values.iter().find(|(n, _)| n == name).unwrap().1 {
        NpyValue::Array(array) => array.clone(),
        NpyValue::Strings { .. } => panic!("{name} holds strings"),
    };
    let strings = |name: &str| match &values.iter().find(|(n, _)| n == name).unwrap().1 {
        NpyValue::Strings { shape, values } => (shape.clone(), values.clone()),
        NpyValue::Array(_) => panic!("{name} holds numbers"),
    };
    let names: Vec<&str> = values.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names[..13], DType::ALL.map(DType::name));
    for dtype in DType::ALL {
        assert_eq!(array(dtype.name()), ramp(dtype, &[2, 3]));
    }
    assert_eq!(array("big_endian"), ramp(DType::I32, &[2, 3]));
    assert_eq!(array("big_endian_f16"), ramp(DType::F16, &[2, 3]));
    assert_eq!(array("fortran"), ramp(DType::F32, &[2, 3, 4]));
    assert_eq!(array("scalar"), Array::scalar(2.5f64));
    assert_eq!(array("empty"), Array::zeros(DType::F32, [0, 3]));
    assert_eq!(strings("unicode"), (vec![2, 2], ["horn", "κέρας", "", "a"].map(str::to_owned).to_vec()));
    assert_eq!(strings("unicode_big_endian"), (vec![2], ["horn", "κέρας"].map(str::to_owned).to_vec()));
    assert_eq!(strings("bytes"), (vec![2], ["ab", "c"].map(str::to_owned).to_vec()));
    assert!(matches!(npz::read(fixture("stored.npz")), Err(Error::Unsupported { .. })));
}

#[test]
fn savez_compressed_is_read() {
    let arrays = npz::read(fixture("deflated.npz")).unwrap();
    let expected = [("a".to_owned(), ramp(DType::F32, &[20, 30])), ("b".to_owned(), ramp(DType::I64, &[2, 3]))];
    assert_eq!(arrays, expected);
}

#[test]
fn header_versions_are_read() {
    for version in 1..=3 {
        let value = npy::read(fixture(&format!("version{version}.npy"))).unwrap();
        assert_eq!(value, NpyValue::Array(ramp(DType::F32, &[2, 3])));
    }
}

#[test]
fn written_files_read_back() {
    let kept = std::env::var_os("RHYTON_WRITE").map(PathBuf::from);
    let temporary = tempfile::tempdir().unwrap();
    let directory = kept.as_deref().unwrap_or(temporary.path());
    let arrays: Vec<(String, Array)> = DType::ALL.map(|d| (d.name().to_owned(), ramp(d, &[2, 3]))).to_vec();
    let borrowed: Vec<(&str, &Array)> = arrays.iter().map(|(name, array)| (name.as_str(), array)).collect();
    for (name, compression) in [("stored.npz", Compression::Stored), ("deflated.npz", Compression::Deflated)] {
        npz::write_with(directory.join(name), &borrowed, compression).unwrap();
        assert_eq!(npz::read(directory.join(name)).unwrap(), arrays);
    }
    let path = temporary.path().join("one.npy");
    npy::write(&path, &arrays[0].1).unwrap();
    assert_eq!(npy::read(&path).unwrap(), NpyValue::Array(arrays[0].1.clone()));
}

#[test]
fn missing_files_are_named() {
    let error = npz::read("no/such.npz").unwrap_err();
    assert!(error.to_string().starts_with("cannot open no/such.npz: "), "{error}");
}
