//! Files that are missing, damaged, or made to do damage.

mod support;

use std::io::{Cursor, Read, Write};

use rhyton::prelude::*;
use support::{Folder, features};
use zip::write::SimpleFileOptions;
use zip::{ZipArchive, ZipWriter};

#[test]
fn missing_files_are_named() {
    let folder = Folder::new().with_model();
    for arguments in [
        &["summary", "none.keras"] as &[&str],
        &["plot", "none.keras", "--output", "g.svg"],
        &["weights", "none.weights.h5"],
        &["convert", "none.keras", "out.keras"],
        &["evaluate", "model.keras", "--data", "none.npz"],
        &["fit", "model.keras", "--data", "none.npz"],
        &["predict", "model.keras", "--inputs", "none.npy", "--output", "p.npy"],
        &["train", "none"],
    ] {
        let error = folder.fails(arguments);
        assert!(error.contains("none"), "{error}");
    }
    assert_eq!(folder.names(), ["model.keras"]);
}

#[test]
fn damaged_files_are_named_once_with_what_is_wrong() {
    let folder = Folder::new().with_model().with_data();
    rhyton::formats::npy::write(folder.path("x.npy"), &features(50, 4)).unwrap();
    rhyton::saving::load_model(folder.path("model.keras")).unwrap().save(folder.path("w.weights.h5")).unwrap();
    let files = ["model.keras", "data.npz", "x.npy", "w.weights.h5"];
    let whole = files.map(|name| folder.read(name));
    for (name, bytes) in files.iter().zip(&whole) {
        let cut = [Vec::new(), bytes[..bytes.len() / 2].to_vec(), bytes[..bytes.len() - 1].to_vec(), vec![b'?'; 999]];
        for damaged in cut {
            let bad = format!("bad.{}", name.split_once('.').unwrap().1);
            folder.write(&bad, damaged);
            let error = match *name {
                "model.keras" => folder.fails(&["summary", &bad]),
                "data.npz" => folder.fails(&["evaluate", "model.keras", "--data", &bad]),
                "x.npy" => folder.fails(&["predict", "model.keras", "--inputs", &bad, "--output", "p.npy"]),
                _ => folder.fails(&["weights", &bad]),
            };
            assert_eq!(error.matches(&bad).count(), 1, "{error}");
            assert!(error.contains(';'), "{error} says not what to do");
        }
    }
}

#[test]
fn a_flipped_bit_never_ends_in_a_panic() {
    let folder = Folder::new().with_model().with_data();
    let (model, data) = (folder.read("model.keras"), folder.read("data.npz"));
    for i in 0..40 {
        for (name, bytes) in [("bad.keras", &model), ("bad.npz", &data)] {
            let mut bytes = bytes.clone();
            let at = (i * 2_654_435_761usize) % bytes.len();
            bytes[at] ^= 1 << (i % 8);
            folder.write(name, bytes);
        }
        for arguments in [&["summary", "bad.keras"] as &[&str], &["evaluate", "model.keras", "--data", "bad.npz"]] {
            let outcome = folder.run(arguments);
            assert!(matches!(outcome.code, Some(0 | 1)), "{i}: {:?} {}", outcome.code, outcome.err);
        }
    }
}

/// The members of an archive, changed.
fn remade(archive: &[u8], change: impl Fn(&str, Vec<u8>) -> Option<Vec<u8>>, more: &[(&str, &[u8])]) -> Vec<u8> {
    let mut archive = ZipArchive::new(Cursor::new(archive)).unwrap();
    let mut out = ZipWriter::new(Cursor::new(Vec::new()));
    for i in 0..archive.len() {
        let mut member = archive.by_index(i).unwrap();
        let (name, mut bytes) = (member.name().unwrap().to_string(), Vec::new());
        member.read_to_end(&mut bytes).unwrap();
        if let Some(bytes) = change(&name, bytes) {
            out.start_file(name, SimpleFileOptions::default()).unwrap();
            out.write_all(&bytes).unwrap();
        }
    }
    for (name, bytes) in more {
        out.start_file(*name, SimpleFileOptions::default()).unwrap();
        out.write_all(bytes).unwrap();
    }
    out.finish().unwrap().into_inner()
}

#[test]
fn configurations_that_make_no_model_are_errors() {
    let folder = Folder::new().with_model();
    let whole = folder.read("model.keras");
    let config = |from: &str, to: &str| {
        remade(
            &whole,
            |name, bytes| {
                Some(match name {
                    "config.json" => {
                        let text = String::from_utf8(bytes).unwrap();
                        assert!(text.contains(from), "{text}");
                        text.replacen(from, to, 1).into_bytes()
                    }
                    _ => bytes,
                })
            },
            &[],
        )
    };
    let nested = [b"{\"a\":".repeat(100_000), b"1".to_vec(), b"}".repeat(100_000)].concat();
    for (bytes, told) in [
        (config("\"Dense\"", "\"Densest\""), "did you mean Dense"),
        (config("\"Dense\"", "\"Lambda\""), "never run"),
        (config("\"relu\"", "\"relux\""), "relux"),
        (config("\"units\":5", "\"units\":-5"), "-5"),
        (config("\"units\":5", "\"units\":9"), "do not multiply"),
        (config("\"units\":5", "\"units\":99999999999999"), "memory"),
        (config("\"Adam\"", "\"Adamm\""), "did you mean Adam"),
        (
            remade(&whole, |name, b| if name == "config.json" { Some(b"{\"a\":".to_vec()) } else { Some(b) }, &[]),
            "config.json",
        ),
        (
            remade(&whole, |name, b| if name == "config.json" { Some(nested.clone()) } else { Some(b) }, &[]),
            "config.json",
        ),
        (remade(&whole, |name, b| if name == "config.json" { None } else { Some(b) }, &[]), "no config.json"),
        (remade(&whole, |name, b| if name == "model.weights.h5" { None } else { Some(b) }, &[]), "no model.weights.h5"),
    ] {
        folder.write("bad.keras", bytes);
        let error = folder.fails(&["summary", "bad.keras"]);
        assert!(error.contains(told) && error.contains("bad.keras"), "{told}: {error}");
    }
}

#[test]
fn archives_that_lead_out_of_themselves_or_lie_about_sizes_are_refused() {
    let folder = Folder::new().with_model().with_data();
    let model = folder.read("model.keras");
    let escaping = [("assets/../../evil", b"x" as &[u8])];
    folder.write("bad.keras", remade(&model, |_, bytes| Some(bytes), &escaping));
    assert!(folder.fails(&["summary", "bad.keras"]).contains("leads out of the archive"));
    // The sizes in the directory: 4 GB each.
    let mut data = folder.read("data.npz");
    for at in (0..data.len() - 4).filter(|&at| data[at..at + 4] == *b"PK\x01\x02").collect::<Vec<_>>() {
        data[at + 20..at + 28].fill(0xf0);
    }
    folder.write("bad.npz", data);
    assert!(folder.fails(&["evaluate", "model.keras", "--data", "bad.npz"]).contains("bad.npz"));
    // An array that declares more than there is.
    let header = format!("{:<117}\n", "{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999, 4), }");
    folder.write("huge.npy", [b"\x93NUMPY\x01\x00\x76\x00", header.as_bytes()].concat());
    let error = folder.fails(&["predict", "model.keras", "--inputs", "huge.npy", "--output", "p.npy"]);
    assert!(error.contains("1599999999984 bytes"), "{error}");
}

#[test]
fn files_that_are_no_models_are_told_so() {
    let folder = Folder::new().with_model().with_data();
    rhyton::saving::load_model(folder.path("model.keras")).unwrap().save(folder.path("w.weights.h5")).unwrap();
    assert!(folder.fails(&["summary", "w.weights.h5"]).contains("weights without a model"));
    assert!(folder.fails(&["summary", "data.npz"]).contains(".keras"));
    assert!(folder.fails(&["summary", "."]).contains(".keras"));
    folder.write("photo.png", b"no picture");
    Sequential::new().add(Input::new([8, 8, 3])).add(Flatten::new()).save(folder.path("images.keras")).unwrap();
    let error = folder.fails(&["predict", "images.keras", "--inputs", "photo.png", "--output", "p.npz"]);
    assert!(error.contains("photo.png") && error.contains("not a readable image"), "{error}");
}
