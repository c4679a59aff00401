//! The settings of `rhyton_core::config` act. One test, for they are of the whole process.

use rhyton_core::layers::DataFormat;
use rhyton_core::prelude::*;
use rhyton_core::{config, utils};

#[test]
fn settings_act_on_what_is_made_after_them() {
    config::set_floatx(DType::F16).unwrap();
    assert_eq!(ops::ones([2], None).dtype(), DType::F16);
    assert_eq!(ops::mean(&Tensor::new([2], vec![1i32, 2]), Axes::All, false).dtype(), DType::F16);
    let x = Tensor::new([1, 2], vec![1.0f32, 2.0]);
    assert_eq!(Dense::new(1).call(&x).dtype(), DType::F16);
    assert!(config::set_floatx(DType::I32).unwrap_err().to_string().contains("int32"));
    config::set_dtype_policy(DTypePolicy::mixed(DType::BF16));
    assert_eq!(Dense::new(1).call(&x).dtype(), DType::BF16);
    config::disable_flash_attention();
    assert_eq!(config::is_flash_attention_enabled(), Some(false));
    config::set_floatx(DType::F32).unwrap();
    utils::clear_session();
    assert_eq!(Dense::new(1).call(&x).dtype(), DType::F32);
    assert_eq!(config::is_flash_attention_enabled(), None);

    config::set_image_data_format(DataFormat::ChannelsFirst);
    let image = Tensor::from(Array::zeros(DType::F32, [1, 3, 5, 4]));
    assert_eq!(MaxPooling2D::new(2).call(&image).shape().to_string(), "[1,3,2,2]");
    config::set_image_data_format(DataFormat::ChannelsLast);
    assert_eq!(MaxPooling2D::new(2).call(&image).shape().to_string(), "[1,1,2,4]");

    let model = Sequential::new().add(Input::new([2])).add(Dense::new(1));
    model.compile(SGD::new(0.1), "mse", [] as [&str; 0]).unwrap();
    let data = Data::new(Array::zeros(DType::F32, [6, 2]), Array::zeros(DType::F32, [6, 1]));
    config::set_max_epochs(Some(2));
    config::set_max_steps_per_epoch(Some(1));
    let history = model.fit(&data, Fit::new().epochs(5).batch_size(2).verbose(0)).unwrap();
    assert_eq!(history.history["loss"].len(), 2);
    assert_eq!(model.optimizer().unwrap().iterations().array().unwrap().to_f64_vec(), [2.0]);
    assert_eq!(model.predict_with(&data, Predict::new().batch_size(2)).unwrap()[0].shape(), [2, 1]);
    config::set_max_epochs(None);
    config::set_max_steps_per_epoch(None);
    assert_eq!(model.predict_with(&data, Predict::new().batch_size(2)).unwrap()[0].shape(), [6, 1]);

    assert!(config::is_interactive_logging_enabled());
    config::disable_interactive_logging();
    assert!(!config::is_interactive_logging_enabled());
    config::enable_interactive_logging();
}
