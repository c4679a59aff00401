//! TFRecord and event files of TensorFlow read, and written event files against golden bytes.

use std::path::PathBuf;

use rhyton_formats::tfevents::{self, EventWriter, Scalar};
use rhyton_formats::tfrecord;

fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(name)
}

fn scalar(wall_time: f64, step: i64, tag: &str, value: f32) -> Scalar {
    Scalar { wall_time, step, tag: tag.into(), value }
}

#[test]
fn tensorflows_records_are_read() {
    let records = tfrecord::read(fixture("records.tfrecord")).unwrap();
    assert_eq!(records, [vec![], b"horn".to_vec(), (0..=255).collect()]);
}

#[test]
fn tensorflows_events_are_read() {
    let expected = [
        scalar(1.7e9, 0, "loss", 1.0),
        scalar(1.7e9, 0, "accuracy", 0.0),
        scalar(1.7e9 + 1.0, 1, "loss", 0.5),
        scalar(1.7e9 + 1.0, 1, "accuracy", 0.25),
        scalar(1.7e9 + 2.0, 2, "loss", 1.0 / 3.0),
        scalar(1.7e9 + 2.0, 2, "accuracy", 0.5),
        scalar(1.7e9, 300, "epoch_loss", 0.25),
    ];
    assert_eq!(tfevents::read(fixture("scalars.tfevents")).unwrap(), expected);
}

#[test]
fn the_bytes_are_tensorflows() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("scalars.tfevents");
    let mut writer = EventWriter::create(&path, 1.7e9).unwrap();
    for step in 0..3u8 {
        let (loss, accuracy) = (1.0 / (f32::from(step) + 1.0), f32::from(step) / 4.0);
        writer.scalars(1.7e9 + f64::from(step), step.into(), &[("loss", loss), ("accuracy", accuracy)]).unwrap();
    }
    writer.sync().unwrap();
    let written = std::fs::read(&path).unwrap();
    // TensorFlow's file goes on with an event of another kind.
    assert_eq!(written, std::fs::read(fixture("scalars.tfevents")).unwrap()[..written.len()]);
}

#[test]
fn written_events_read_back() {
    let kept = std::env::var_os("RHYTON_WRITE").map(PathBuf::from);
    let temporary = tempfile::tempdir().unwrap();
    let path = kept.as_deref().unwrap_or(temporary.path()).join("scalars.tfevents");
    let mut writer = EventWriter::create(&path, 1.7e9).unwrap();
    writer.scalars(1.7e9, 0, &[("loss", 1.0), ("accuracy", 0.25)]).unwrap();
    writer.scalars(1.7e9, 300, &[("loss", 0.5)]).unwrap();
    assert_eq!(tfevents::read(&path).unwrap()[2], scalar(1.7e9, 300, "loss", 0.5));
}
