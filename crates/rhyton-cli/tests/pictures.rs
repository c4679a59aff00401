//! `rhyton plot`: graphs of models as pictures.

mod support;

use rhyton::prelude::*;
use support::Folder;

/// How often each text stands in the SVG.
fn texts(svg: &str) -> Vec<&str> {
    svg.lines().filter(|l| !l.starts_with('<')).collect()
}

#[test]
fn a_stack_is_drawn_with_names_classes_and_shapes() {
    let folder = Folder::new().with_model();
    folder.succeeds(&["plot", "model.keras", "--output", "g.svg"]);
    let svg = String::from_utf8(folder.read("g.svg")).unwrap();
    let texts = texts(&svg);
    for text in ["hidden", "(Dense)", "classes", "(None, 4)", "(None, 5)", "(None, 3)"] {
        assert!(texts.iter().any(|t| t.trim() == text), "{text} in {texts:?}");
    }
    // One arrow; the input of a stack is not drawn.
    assert_eq!(svg.matches("<polygon").count(), 1, "{svg}");
    folder.succeeds(&["plot", "model.keras", "--output", "g.png"]);
    let png = folder.read("g.png");
    assert!(png.starts_with(b"\x89PNG") && png.len() > 2000);
}

#[test]
fn branches_shared_layers_and_models_within_models_are_drawn() {
    let folder = Folder::new();
    let inner = Sequential::new().named("inner").add(Input::new([4])).add(Dense::new(4).name("deep <&>"));
    let (a, b) = (Input::new([4]).name("a"), Input::new([4]).name("b"));
    let shared = Dense::new(4).name("shared");
    let (x, y) = (shared.call(&a), shared.call(&b));
    let x = inner.call(&x);
    let sum = Add::new().name("sum").call([&x, &y]);
    Model::new([&a.symbol(), &b.symbol()], &sum).unwrap().save(folder.path("m.keras")).unwrap();
    folder.succeeds(&["plot", "m.keras", "--output", "g.svg"]);
    let svg = String::from_utf8(folder.read("g.svg")).unwrap();
    let count = |svg: &str, text: &str| texts(svg).iter().filter(|t| t.trim() == text).count();
    assert_eq!(
        [count(&svg, "shared"), count(&svg, "(Sequential)"), count(&svg, "deep &lt;&amp;&gt;")],
        [1, 1, 0],
        "{svg}"
    );
    folder.succeeds(&["plot", "m.keras", "--output", "g.svg", "--expand-nested"]);
    let svg = String::from_utf8(folder.read("g.svg")).unwrap();
    assert_eq!(
        [count(&svg, "inner"), count(&svg, "(Sequential)"), count(&svg, "deep &lt;&amp;&gt;")],
        [1, 0, 1],
        "{svg}"
    );
}

#[test]
fn a_layer_called_on_its_own_result_is_drawn_once_a_call() {
    let folder = Folder::new();
    let input = Input::new([4]);
    let again = Dense::new(4).name("again");
    let output = again.call(again.call(&input));
    Model::new(&input, &output).unwrap().save(folder.path("m.keras")).unwrap();
    folder.succeeds(&["plot", "m.keras", "--output", "g.svg"]);
    let svg = String::from_utf8(folder.read("g.svg")).unwrap();
    assert_eq!(texts(&svg).iter().filter(|t| t.trim() == "again").count(), 2, "{svg}");
}
