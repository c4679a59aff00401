//! Layers that only Python has: what to do about a file that names one.

use crate::error::Error;

/// The error for a class that wraps something of Python's; `None` for others.
pub(super) fn refused(class: &str) -> Option<Error> {
    let rebuilt = "rebuild this part of layers and operations of Keras 3 in Python, and save the model again";
    let (what, fix) = match class {
        "TFSMLayer" => {
            ("runs a SavedModel of TensorFlow", "rebuild it of layers of Keras 3, and save the model as .keras")
        }
        "JaxLayer" => ("runs a function of JAX", rebuilt),
        "FlaxLayer" => ("runs a module of Flax", rebuilt),
        "TorchModuleWrapper" => ("runs a module of PyTorch", rebuilt),
        "TFOpLambda" | "SlicingOpLambda" | "ClassMethod" | "InstanceMethod" | "InstanceProperty"
        | "TensorFlowOpLayer" => (
            "calls TensorFlow from a model of Keras 2",
            "use keras.ops in its place in Keras 3, and save the model again",
        ),
        _ => return None,
    };
    Some(Error::unsupported("layer", format!("{class} {what}, which is not there without Python"), fix))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::model::deserialize_layer;

    #[test]
    fn layers_of_python_alone_are_told_with_the_way_out() {
        for class in ["TFSMLayer", "JaxLayer", "FlaxLayer", "TorchModuleWrapper", "TFOpLambda"] {
            let saved = json!({"module": "keras.layers", "class_name": class, "config": {"name": "x"}, "registered_name": null});
            let error = deserialize_layer(&saved).unwrap_err().to_string();
            assert!(error.contains(class) && error.contains("without Python") && error.contains("Keras 3"), "{error}");
        }
    }
}
