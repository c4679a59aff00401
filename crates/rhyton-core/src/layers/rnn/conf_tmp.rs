use crate::prelude::*;
#[test]
fn conformance_tmp() {
    let Ok(root) = std::env::var("CONF_DIR") else { return };
    let mut bad = 0;
    for class in std::env::var("CONF_CASES").unwrap().split_whitespace() {
        let Ok(cases) = std::fs::read_dir(format!("{root}/{class}")) else {
            println!("no {class}");
            continue;
        };
        for case in cases {
            let dir = case.unwrap().path();
            let run = || -> crate::Result<f64> {
                let model = crate::saving::load_model(dir.join("model.keras"))?;
                let inputs = rhyton_formats::npz::read(dir.join("inputs.npz")).unwrap();
                let expected = rhyton_formats::npz::read(dir.join("expected.npz")).unwrap();
                let names = model.input_names();
                let arrays: Vec<Tensor> = if inputs.len() == 1 {
                    vec![inputs[0].1.clone().into()]
                } else {
                    names.iter().map(|n| inputs.iter().find(|(k, _)| k == n).unwrap().1.clone().into()).collect()
                };
                let out = model.apply(arrays, &mut Context::default())?;
                let mut worst = 0f64;
                assert_eq!(out.tensors().len(), expected.len());
                for (t, (_, e)) in out.tensors().iter().zip(&expected) {
                    let a = t.eval()?;
                    assert_eq!(a.shape(), e.shape());
                    for (x, y) in a.to_f64_vec().iter().zip(e.to_f64_vec()) {
                        worst = worst.max((x - y).abs() / (1e-3 + y.abs()));
                    }
                }
                Ok(worst)
            };
            match run() {
                Ok(w) => println!(
                    "{} {} {w:.2e}",
                    if w < 1e-4 {
                        "ok "
                    } else {
                        bad += 1;
                        "BAD"
                    },
                    dir.display()
                ),
                Err(e) => {
                    bad += 1;
                    println!("ERR {} {e}", dir.display())
                }
            }
        }
    }
    assert_eq!(bad, 0);
}
