//! Results do not depend on the number of threads.

mod support;

use support::Folder;

#[test]
fn training_and_prediction_give_the_same_bits_on_one_thread_and_on_two() {
    for model in ["mlp", "cnn"] {
        let folder = Folder::new();
        folder.succeeds(&["data", "export", "digits", "test.npz", "--split", "test"]);
        for threads in ["1", "2", "3"] {
            let (run, weights) = (format!("run{threads}"), format!("w{threads}.npz"));
            let train = ["train", "--model", model, "--epochs", "1", "--seed", "7", "--quiet", "--output", &run];
            folder.succeeds(&[&train, &["--threads", threads] as &[&str]].concat());
            let saved = format!("{run}/model.keras");
            folder.succeeds(&["weights", &saved, "--output", &weights]);
            let predictions = format!("p{threads}.npz");
            let predict =
                ["predict", "run1/model.keras", "--inputs", "test.npz", "--output", &predictions, "--threads", threads];
            folder.succeeds(&predict);
        }
        for threads in ["2", "3"] {
            assert!(
                folder.read("w1.npz") == folder.read(&format!("w{threads}.npz")),
                "{model}, {threads} threads: weights"
            );
            assert!(
                folder.read("p1.npz") == folder.read(&format!("p{threads}.npz")),
                "{model}, {threads} threads: predictions"
            );
        }
        let seeded = ["train", "--model", model, "--epochs", "1", "--seed", "8", "--quiet", "--output", "other"];
        folder.succeeds(&seeded);
        folder.succeeds(&["weights", "other/model.keras", "--output", "other.npz"]);
        assert!(folder.read("w1.npz") != folder.read("other.npz"), "another seed gives other weights");
    }
}
