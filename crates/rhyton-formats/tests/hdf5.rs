//! HDF5 files of h5py and Keras read, and written files read back.

use std::path::PathBuf;

use rhyton_formats::Error;
use rhyton_formats::hdf5::{H5File, H5Writer, Kind, Value};
use rhyton_formats::keras_archive::{KerasArchive, WEIGHTS};
use rhyton_ir::{Array, DType, bf16};

fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(name)
}

/// 0, 1, 2, …; for `bool` whether the index is odd. As in `fixtures/make.py`.
fn ramp(dtype: DType, shape: &[usize]) -> Array {
    let len: usize = shape.iter().product();
    let values: Vec<f64> = (0..len).map(|i| if dtype == DType::Bool { i % 2 } else { i } as f64).collect();
    Array::new(shape, values).cast(dtype)
}

fn strings(shape: &[usize], values: &[&str]) -> Value {
    Value::Strings { shape: shape.to_vec(), values: values.iter().map(|&v| v.to_owned()).collect() }
}

/// The same content in the structures that h5py writes by default and in the latest ones.
fn both() -> [H5File; 2] {
    ["earliest.h5", "latest.h5"].map(|name| H5File::open(fixture(name)).unwrap())
}

#[test]
fn every_dtype_is_read() {
    for file in both() {
        for dtype in DType::ALL {
            let dataset = file.dataset(&format!("types/{dtype}")).unwrap();
            assert_eq!(dataset.dtype(), Some(dtype));
            assert_eq!(dataset.array().unwrap(), ramp(dtype, &[2, 3]), "{dtype}");
        }
    }
}

#[test]
fn every_layout_is_read() {
    let big = ramp(DType::F32, &[10, 7]);
    for file in both() {
        let read = |name: &str| file.dataset(&format!("layouts/{name}")).unwrap().value().unwrap();
        for name in ["chunked", "gzip_shuffle", "checked", "growing", "growing_both", "growing_second"] {
            assert_eq!(read(name), Value::from(&big), "{name}");
        }
        assert_eq!(read("compact"), ramp(DType::F32, &[2, 3]).into());
        assert_eq!(read("scalar"), 2.5f32.into());
        assert_eq!(read("no_elements"), Array::zeros(DType::F32, [0, 3]).into());
        assert_eq!(read("null"), Value::Null);
        assert_eq!(read("big_endian"), ramp(DType::F64, &[2, 3]).into());
        assert_eq!(read("big_endian_int"), ramp(DType::I16, &[2, 3]).into());
        assert_eq!(read("never_written"), Array::full(DType::F32, [4], 1.5).into());
        let mut expected = vec![9; 64];
        (0..4).for_each(|row| expected[row * 8..row * 8 + 4].fill(1));
        assert_eq!(read("partly_written"), Array::new([8, 8], expected).into());
        assert_eq!(read("many_chunks"), ramp(DType::I32, &[200]).into());
    }
}

#[test]
fn chunk_indexes_of_several_pages_are_read() {
    let file = H5File::open(fixture("many_chunks.h5")).unwrap();
    let read = |name: &str| file.dataset(name).unwrap().array().unwrap();
    assert_eq!(read("fixed"), ramp(DType::I16, &[1100]));
    assert_eq!(read("growing"), ramp(DType::I16, &[1100]));
    assert_eq!(read("growing_both"), ramp(DType::I16, &[200, 2]));
    assert_eq!(read("implicit"), ramp(DType::I16, &[5, 7]));
    let sparse = read("sparse").to_f64_vec();
    let written: Vec<usize> = (0..sparse.len()).filter(|&i| sparse[i] != 0.0).collect();
    assert_eq!(written, [0, 131_000, 131_100, 132_500, 134_000, 136_500, 139_999]);
}

#[test]
fn strings_are_read() {
    for file in both() {
        let read = |name: &str| file.dataset(&format!("strings/{name}")).unwrap().value().unwrap();
        assert_eq!(read("variable"), strings(&[3], &["one", "κέρας", ""]));
        assert_eq!(read("fixed"), strings(&[1, 2], &["ab", "c"]));
        assert_eq!(read("scalar").as_str(), Some("alone"));
        assert_eq!(read("unset"), strings(&[2], &["", ""]));
    }
}

#[test]
fn attributes_are_read() {
    for file in both() {
        let root = file.root().unwrap();
        let read = |name: &str| root.attribute(name).unwrap().unwrap();
        assert_eq!(read("text").as_str(), Some("κέρας"));
        assert_eq!(read("bytes").as_str(), Some("tensorflow"));
        assert_eq!(read("fixed_list"), strings(&[2], &["kernel", "bias"]));
        assert_eq!(read("variable_list"), strings(&[3], &["dense", "κέρας", ""]));
        assert_eq!(read("int"), 7i64.into());
        assert_eq!(read("float"), 0.5f32.into());
        assert_eq!(read("vector"), ramp(DType::I64, &[3]).into());
        assert_eq!(read("flag"), true.into());
        assert_eq!(read("empty"), Value::Null);
        assert_eq!(root.attribute("none").unwrap(), None);
    }
}

#[test]
fn links_lead_where_they_should() {
    for file in both() {
        assert_eq!(file.dataset("soft").unwrap().array().unwrap(), ramp(DType::F32, &[2, 3]));
        assert_eq!(file.dataset("hard").unwrap().array().unwrap(), ramp(DType::I32, &[2, 3]));
        let keys = file.group("many").unwrap().keys().unwrap();
        assert_eq!((keys.len(), keys[0].as_str(), keys[39].as_str()), (40, "group_000", "group_039"));
        for i in [0, 20, 39] {
            assert_eq!(file.dataset(&format!("many/group_{i:03}/0")).unwrap().value().unwrap(), (i).into());
        }
        // The cycle can be walked by hand, and the list of all datasets ends.
        assert_eq!(file.kind("many/group_000/up/group_000/up/group_001").unwrap(), Some(Kind::Group));
        let datasets = file.datasets().unwrap();
        assert_eq!(datasets.iter().filter(|path| path.starts_with("many/")).count(), 40);
        assert!(datasets.contains(&"hard".to_owned()) && datasets.contains(&"types/int32".to_owned()));
    }
}

#[test]
fn ordered_groups_and_many_attributes_are_read() {
    let file = H5File::open(fixture("ordered.h5")).unwrap();
    assert_eq!(file.root().unwrap().keys().unwrap(), ["a", "m", "z"]);
    assert_eq!(file.root().unwrap().attribute("attribute_05").unwrap(), Some(14i64.into()));
    let file = H5File::open(fixture("many_attributes.h5")).unwrap();
    let root = file.root().unwrap();
    assert_eq!(root.attribute_names().unwrap().len(), 20);
    assert_eq!(root.attribute("attribute_19").unwrap().unwrap().as_str(), Some("value 19"));
    let file = H5File::open(fixture("large_attribute.h5")).unwrap();
    let large = file.root().unwrap().attribute("large").unwrap().unwrap();
    assert_eq!(large.as_str().map(str::len), Some(6000));
}

#[test]
fn user_blocks_and_other_superblocks_are_read() {
    for name in ["user_block.h5", "superblock2.h5"] {
        let file = H5File::open(fixture(name)).unwrap();
        assert_eq!(file.dataset("g/x").unwrap().array().unwrap(), ramp(DType::F32, &[2, 3]), "{name}");
    }
    let file = H5File::open(fixture("superblock2.h5")).unwrap();
    let names = file.group("g").unwrap().attribute("names").unwrap().unwrap();
    assert_eq!(names, strings(&[2], &["kernel", "bias"]));
}

#[test]
fn trees_of_several_levels_are_read() {
    for name in ["many_links_earliest.h5", "many_links_latest.h5"] {
        let file = H5File::open(fixture(name)).unwrap();
        let many = file.group("many").unwrap();
        let expected: Vec<String> = (0..600).map(|i| format!("link_{i:03}")).collect();
        assert_eq!(many.keys().unwrap(), expected, "{name}");
        for link in ["link_000", "link_299", "link_599"] {
            assert_eq!(many.dataset(link).unwrap().value().unwrap(), 7i32.into());
        }
    }
}

#[test]
fn filters_are_undone_in_their_order_and_others_are_named() {
    let file = H5File::open(fixture("filters.h5")).unwrap();
    let read = |name: &str| file.dataset(name).unwrap().array();
    let big = ramp(DType::F32, &[9, 5]);
    for name in ["all", "shuffled", "checked"] {
        assert_eq!(read(name).unwrap(), big, "{name}");
    }
    assert_eq!(read("big_endian").unwrap(), ramp(DType::F64, &[9, 5]));
    assert_eq!(read("half").unwrap(), ramp(DType::F16, &[9, 5]));
    assert_eq!(read("flags").unwrap(), ramp(DType::Bool, &[9, 5]));
    let shrunk: Vec<f32> = (0..5).flat_map(|row| [row * 5, row * 5 + 1]).map(|v| v as f32).collect();
    assert_eq!(read("shrunk").unwrap(), Array::new([5, 2], shrunk));
    let grown: Vec<f32> =
        (0..9).flat_map(|r| (0..7).map(move |c| if c < 5 { (r * 5 + c) as f32 } else { 2.5 })).collect();
    assert_eq!(read("grown").unwrap(), Array::new([9, 7], grown));
    for (name, filter) in [("lzf", "LZF"), ("scaled", "scale-offset")] {
        let error = read(name).unwrap_err();
        assert!(matches!(error, Error::Unsupported { .. }) && error.to_string().contains(filter), "{error}");
    }
}

#[test]
fn what_is_not_read_is_named_and_does_not_hinder_the_rest() {
    let file = H5File::open(fixture("kinds.h5")).unwrap();
    let read = |name: &str| file.dataset(name).unwrap().value();
    assert_eq!(read("ascii").unwrap(), strings(&[2], &["ab", "c"]));
    assert_eq!(read("texts").unwrap(), strings(&[3], &["a".repeat(50).as_str(), "", "κέρας"]));
    for (name, kind) in [
        ("pair", "compound"),
        ("complex", "compound"),
        ("reference", "references"),
        ("sequences", "sequences of variable length"),
    ] {
        let error = read(name).unwrap_err();
        assert!(matches!(error, Error::Unsupported { .. }) && error.to_string().contains(kind), "{error}");
    }
    let root = file.root().unwrap();
    let attribute = |name: &str| root.attribute(name).unwrap().unwrap();
    assert_eq!(attribute("bytes"), strings(&[2], &["kernel:0", "bias:0"]));
    assert_eq!(attribute("object"), strings(&[2], &["kernel", "bias"]));
    assert_eq!(attribute("half"), Array::scalar(rhyton_ir::f16::from_f32(0.5)).into());
    assert_eq!(attribute("flags"), Array::new([2], vec![true, false]).into());
    assert_eq!(attribute("big_endian"), Array::new([2], vec![1i64, 2]).into());
    assert_eq!(attribute("none").as_strings(), Some(&[][..]));
    assert!(file.dataset("broken_link").unwrap_err().to_string().contains("no such dataset"));
    assert!(file.dataset("elsewhere").unwrap_err().to_string().contains("a link to another file"));
}

#[test]
fn a_missing_path_names_what_there_is() {
    let file = H5File::open(fixture("earliest.h5")).unwrap();
    let error = file.dataset("types/float8").unwrap_err();
    assert!(matches!(error, Error::NotFound { .. }));
    assert!(
        error.to_string().ends_with(
            "/types/float8: there is no such dataset; /types has bfloat16, bool, float16, \
        float32, float64, int16, int32, int64, int8, uint16, uint32, uint64, … (13 in all)"
        ),
        "{error}"
    );
    assert!(file.dataset("types").unwrap_err().to_string().contains("this is a group, not a dataset"));
    assert!(file.group("types/int8").is_err());
    assert_eq!(file.kind("nowhere/at/all").unwrap(), None);
}

#[test]
fn keras_archives_and_weights_are_read() {
    let path = fixture("model.keras");
    let archive = KerasArchive::read(&path).unwrap();
    assert!(archive.metadata.starts_with(b"{\"keras_version\": \"3.15.1\""));
    assert!(archive.config.starts_with(b"{\"module\": \"keras\", \"class_name\": \"Sequential\""));
    let weights = H5File::from_member(archive.weights, &path, WEIGHTS).unwrap();
    assert_eq!(weights.dataset("layers/dense/vars/0").unwrap().array().unwrap(), ramp(DType::F32, &[3, 2]));
    assert_eq!(
        weights.group("layers/dense/vars").unwrap().attribute("name").unwrap().unwrap().as_str(),
        Some("hidden")
    );
    let error = weights.dataset("layers/dense/vars/7").unwrap_err().to_string();
    assert!(error.contains("model.keras, model.weights.h5, /layers/dense/vars/7: "), "{error}");

    let half = H5File::open(fixture("bfloat16.weights.h5")).unwrap();
    let kernel = half.dataset("layers/dense/vars/0").unwrap();
    assert_eq!(kernel.array().unwrap(), ramp(DType::BF16, &[3, 2]));
    assert_eq!(kernel.attribute("dtype").unwrap().unwrap().as_str(), Some("bfloat16"));

    let legacy = H5File::open(fixture("legacy.h5")).unwrap();
    assert!(legacy.root().unwrap().attribute("model_config").unwrap().unwrap().as_str().unwrap().starts_with('{'));
    let group = legacy.group("model_weights").unwrap();
    let names = |group: &rhyton_formats::hdf5::Group, name| {
        group.attribute(name).unwrap().unwrap().as_strings().unwrap().to_vec()
    };
    assert_eq!(names(&group, "layer_names"), ["hidden", "dense"]);
    let hidden = group.group("hidden").unwrap();
    for name in names(&hidden, "weight_names") {
        assert_eq!(hidden.dataset(&name).unwrap().dtype(), Some(DType::F32));
    }
    assert!(names(&group.group("top_level_model_weights").unwrap(), "weight_names").is_empty());
}

/// Reads everything that can be read.
fn read_all(bytes: Vec<u8>) -> Result<(), Error> {
    let file = H5File::from_bytes(bytes)?;
    let root = file.root()?;
    for name in root.attribute_names()? {
        root.attribute(&name)?;
    }
    for path in file.datasets()? {
        let dataset = file.dataset(&path)?;
        for name in dataset.attribute_names()? {
            dataset.attribute(&name)?;
        }
        dataset.value()?;
    }
    Ok(())
}

fn damage_everywhere(bytes: &[u8]) {
    read_all(bytes.to_vec()).unwrap();
    for end in 0..bytes.len() {
        let _ = read_all(bytes[..end].to_vec());
    }
    for at in 0..bytes.len() {
        for flip in [0x01, 0x80, 0xff] {
            let mut bytes = bytes.to_vec();
            bytes[at] ^= flip;
            let _ = read_all(bytes);
        }
    }
}

#[test]
fn damage_to_the_default_structures_never_panics() {
    damage_everywhere(&std::fs::read(fixture("small_earliest.h5")).unwrap());
}

#[test]
fn damage_to_the_latest_structures_never_panics() {
    damage_everywhere(&std::fs::read(fixture("small_latest.h5")).unwrap());
}

#[test]
fn damage_to_dense_storage_never_panics() {
    damage_everywhere(&std::fs::read(fixture("ordered.h5")).unwrap());
}

#[test]
fn damage_to_written_files_never_panics() {
    damage_everywhere(&written().to_bytes().unwrap());
}

fn written() -> H5Writer {
    let mut writer = H5Writer::new();
    for dtype in DType::ALL {
        writer.dataset(&format!("types/{dtype}"), ramp(dtype, &[2, 3])).unwrap();
    }
    writer.dataset("scalar", 2.5f64).unwrap();
    writer.dataset("empty", Array::zeros(DType::F32, [0, 3])).unwrap();
    writer.dataset("null", Value::Null).unwrap();
    writer.dataset("strings", strings(&[2, 2], &["one", "κέρας", "", "x"])).unwrap();
    writer.group("vars").unwrap();
    writer.attribute("vars", "name", "hidden").unwrap();
    writer.attribute("/", "layer_names", &["dense", "dense_1"][..]).unwrap();
    writer.attribute("/", "steps", 7i64).unwrap();
    writer.attribute("types/int32", "flag", true).unwrap();
    writer
}

#[test]
fn written_files_read_back() {
    let file = H5File::from_bytes(written().to_bytes().unwrap()).unwrap();
    for dtype in DType::ALL {
        assert_eq!(file.dataset(&format!("types/{dtype}")).unwrap().array().unwrap(), ramp(dtype, &[2, 3]));
    }
    let read = |path: &str| file.dataset(path).unwrap().value().unwrap();
    assert_eq!(read("scalar"), 2.5f64.into());
    assert_eq!(read("empty"), Array::zeros(DType::F32, [0, 3]).into());
    assert_eq!(read("null"), Value::Null);
    assert_eq!(read("strings"), strings(&[2, 2], &["one", "κέρας", "", "x"]));
    let root = file.root().unwrap();
    assert_eq!(root.attribute("layer_names").unwrap(), Some(strings(&[2], &["dense", "dense_1"])));
    assert_eq!(root.attribute("steps").unwrap(), Some(7i64.into()));
    assert_eq!(file.dataset("types/int32").unwrap().attribute("flag").unwrap(), Some(true.into()));
    let half = file.dataset("types/bfloat16").unwrap();
    assert_eq!(half.attribute("dtype").unwrap().unwrap().as_str(), Some("bfloat16"));
    assert_eq!(half.array().unwrap().as_slice::<bf16>().unwrap()[2], bf16::from_f32(2.0));
    assert_eq!(file.kind("vars").unwrap(), Some(Kind::Group));
    assert!(file.group("vars").unwrap().keys().unwrap().is_empty());
}

/// Where files are written: `RHYTON_WRITE`, for `fixtures/check.py`, or a temporary directory.
fn output() -> (tempfile::TempDir, PathBuf) {
    let temporary = tempfile::tempdir().unwrap();
    let path = std::env::var_os("RHYTON_WRITE").map_or_else(|| temporary.path().to_owned(), PathBuf::from);
    (temporary, path)
}

/// The same groups, datasets and attributes, written by this crate.
fn copy(file: &H5File) -> H5Writer {
    fn copy_group(group: &rhyton_formats::hdf5::Group, writer: &mut H5Writer) {
        writer.group(group.path()).unwrap();
        for name in group.attribute_names().unwrap() {
            writer.attribute(group.path(), &name, group.attribute(&name).unwrap().unwrap()).unwrap();
        }
        for key in group.keys().unwrap() {
            match group.kind(&key).unwrap().unwrap() {
                Kind::Group => copy_group(&group.group(&key).unwrap(), writer),
                Kind::Dataset => {
                    let dataset = group.dataset(&key).unwrap();
                    writer.dataset(dataset.path(), dataset.value().unwrap()).unwrap();
                }
            }
        }
    }
    let mut writer = H5Writer::new();
    copy_group(&file.root().unwrap(), &mut writer);
    writer
}

#[test]
fn keras_files_copied_are_equal() {
    let (_temporary, directory) = output();
    let mut archive = KerasArchive::read(fixture("model.keras")).unwrap();
    let original = H5File::from_bytes(archive.weights.clone()).unwrap();
    archive.weights = copy(&original).to_bytes().unwrap();
    archive.write(directory.join("model.keras")).unwrap();
    let copied = H5File::from_bytes(KerasArchive::read(directory.join("model.keras")).unwrap().weights).unwrap();
    assert_eq!(copied.datasets().unwrap(), original.datasets().unwrap());
    for path in original.datasets().unwrap() {
        assert_eq!(copied.dataset(&path).unwrap().value().unwrap(), original.dataset(&path).unwrap().value().unwrap());
    }
    for name in ["bfloat16.weights.h5", "legacy.h5"] {
        copy(&H5File::open(fixture(name)).unwrap()).write(directory.join(name)).unwrap();
    }
}

#[test]
fn written_bytes_stay_the_same() {
    // `fixtures/check.py` shows that h5py and Keras read this file; RHYTON_BLESS=1 writes it anew.
    let bytes = written().to_bytes().unwrap();
    let path = fixture("written.h5");
    if std::env::var_os("RHYTON_BLESS").is_some() {
        std::fs::write(&path, &bytes).unwrap();
    }
    assert!(bytes == std::fs::read(&path).unwrap(), "the bytes of a written file changed");
}

#[test]
fn thousands_of_groups_read_back() {
    let mut writer = H5Writer::new();
    for i in 0..2000 {
        writer.dataset(&format!("layers/dense_{i}/vars/0"), i).unwrap();
    }
    let (_temporary, directory) = output();
    let path = directory.join("many.weights.h5");
    writer.write(&path).unwrap();
    let file = H5File::open(&path).unwrap();
    for i in 0..2000 {
        assert_eq!(file.dataset(&format!("layers/dense_{i}/vars/0")).unwrap().value().unwrap(), i.into());
    }
}
