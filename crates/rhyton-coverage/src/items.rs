//! Functions, traits and methods that no table of `rhyton` has, by Keras's names. The compiler refuses what does not exist.

/// Items by path, each imported so that the compiler looks for it.
macro_rules! items {
    ($($keras:literal => $first:ident $(:: $rest:ident)+;)*) => {
        $(
            #[allow(unused_imports, reason = "imported only to be looked for")]
            use $first $(:: $rest)+ as _;
        )*
        const ITEMS: &[(&str, &str)] = &[$(($keras, concat!(stringify!($first) $(, "::", stringify!($rest))+))),*];
    };
}

/// Methods, each with a use of it that the compiler checks and nothing runs.
macro_rules! methods {
    ($($keras:literal => $written:literal, $with:expr;)*) => {
        const METHODS: &[(&str, &str)] = &[$(($keras, $written)),*];

        #[allow(dead_code, reason = "checked by the compiler, never called")]
        fn exist() {
            $(let _ = $with;)*
        }
    };
}

items! {
    "keras.Model" => rhyton::model::Model;
    "keras.Sequential" => rhyton::model::Sequential;
    "keras.Layer" => rhyton::layers::Layer;
    "keras.Loss" => rhyton::losses::Loss;
    "keras.Metric" => rhyton::metrics::Metric;
    "keras.Optimizer" => rhyton::optimizers::Optimizer;
    "keras.Initializer" => rhyton::initializers::Initializer;
    "keras.Regularizer" => rhyton::regularizers::Regularizer;
    "keras.Operation" => rhyton::ops::Operation;
    "keras.KerasTensor" => rhyton::Tensor;
    "keras.Variable" => rhyton::Variable;
    "keras.DTypePolicy" => rhyton::DTypePolicy;
    "keras.FloatDTypePolicy" => rhyton::DTypePolicy;
    "keras.Function" => rhyton::model::FunctionalGraph;
    "keras.remat" => rhyton::ops::remat;
    "keras.RematScope" => rhyton::layers::RematScope;
    "keras.name_scope" => rhyton::NameScope;
    "keras.__version__" => rhyton::saving::KERAS_VERSION;
    "keras.version" => rhyton::saving::KERAS_VERSION;
    "keras.layers.Input" => rhyton::layers::Input;
    "keras.models.model_from_json" => rhyton::saving::model_from_json;
    "keras.layers.serialize" => rhyton::model::serialize_layer;
    "keras.layers.deserialize" => rhyton::model::deserialize_layer;
    "keras.layers.Wrapper" => rhyton::layers::Layer;

    "keras.callbacks.Callback" => rhyton::callbacks::Callback;
    "keras.callbacks.CallbackList" => rhyton::callbacks::List;
    "keras.callbacks.History" => rhyton::callbacks::History;
    "keras.callbacks.LambdaCallback" => rhyton::callbacks::LambdaCallback;
    "keras.callbacks.LearningRateScheduler" => rhyton::callbacks::LearningRateScheduler;
    "keras.callbacks.ProgbarLogger" => rhyton::callbacks::ProgressBar;
    "keras.constraints.Constraint" => rhyton::constraints::Constraint;
    "keras.optimizers.schedules.LearningRateSchedule" => rhyton::optimizers::schedules::LearningRateSchedule;

    "keras.losses.binary_crossentropy" => rhyton::losses::binary_crossentropy;
    "keras.losses.binary_focal_crossentropy" => rhyton::losses::binary_focal_crossentropy;
    "keras.losses.categorical_crossentropy" => rhyton::losses::categorical_crossentropy;
    "keras.losses.categorical_focal_crossentropy" => rhyton::losses::categorical_focal_crossentropy;
    "keras.losses.categorical_generalized_cross_entropy" => rhyton::losses::categorical_generalized_cross_entropy;
    "keras.losses.categorical_hinge" => rhyton::losses::categorical_hinge;
    "keras.losses.circle" => rhyton::losses::circle;
    "keras.losses.cosine_similarity" => rhyton::losses::cosine_similarity;
    "keras.losses.ctc" => rhyton::losses::ctc;
    "keras.losses.dice" => rhyton::losses::dice;
    "keras.losses.hinge" => rhyton::losses::hinge;
    "keras.losses.huber" => rhyton::losses::huber;
    "keras.losses.kl_divergence" => rhyton::losses::kl_divergence;
    "keras.losses.log_cosh" => rhyton::losses::log_cosh;
    "keras.losses.mean_absolute_error" => rhyton::losses::mean_absolute_error;
    "keras.losses.mean_absolute_percentage_error" => rhyton::losses::mean_absolute_percentage_error;
    "keras.losses.mean_squared_error" => rhyton::losses::mean_squared_error;
    "keras.losses.mean_squared_logarithmic_error" => rhyton::losses::mean_squared_logarithmic_error;
    "keras.losses.poisson" => rhyton::losses::poisson;
    "keras.losses.sparse_categorical_crossentropy" => rhyton::losses::sparse_categorical_crossentropy;
    "keras.losses.squared_hinge" => rhyton::losses::squared_hinge;
    "keras.losses.tversky" => rhyton::losses::tversky;
    "keras.metrics.binary_accuracy" => rhyton::metrics::binary_accuracy;
    "keras.metrics.categorical_accuracy" => rhyton::metrics::categorical_accuracy;
    "keras.metrics.concordance_correlation" => rhyton::metrics::concordance_correlation;
    "keras.metrics.pearson_correlation" => rhyton::metrics::pearson_correlation;
    "keras.metrics.sparse_categorical_accuracy" => rhyton::metrics::sparse_categorical_accuracy;
    "keras.metrics.sparse_top_k_categorical_accuracy" => rhyton::metrics::sparse_top_k_categorical_accuracy;
    "keras.metrics.top_k_categorical_accuracy" => rhyton::metrics::top_k_categorical_accuracy;

    "keras.activations.threshold" => rhyton::ops::threshold;

    "keras.random.beta" => rhyton::random::beta;
    "keras.random.binomial" => rhyton::random::binomial;
    "keras.random.categorical" => rhyton::random::categorical;
    "keras.random.dropout" => rhyton::random::dropout;
    "keras.random.gamma" => rhyton::random::gamma;
    "keras.random.normal" => rhyton::random::normal;
    "keras.random.randint" => rhyton::random::randint;
    "keras.random.SeedGenerator" => rhyton::random::SeedGenerator;
    "keras.random.shuffle" => rhyton::random::shuffle;
    "keras.random.truncated_normal" => rhyton::random::truncated_normal;
    "keras.random.uniform" => rhyton::random::uniform;
    "keras.utils.set_random_seed" => rhyton::random::set_random_seed;

    "keras.backend.get_uid" => rhyton::backend::get_uid;
    "keras.backend.result_type" => rhyton::backend::result_type;
    "keras.utils.clear_session" => rhyton::utils::clear_session;
    "keras.config.epsilon" => rhyton::config::epsilon;
    "keras.config.set_epsilon" => rhyton::config::set_epsilon;
    "keras.saving.serialize_keras_object" => rhyton::saving::serialize_keras_object;
    "keras.saving.deserialize_keras_object" => rhyton::saving::deserialize_keras_object;
    "keras.saving.get_custom_objects" => rhyton::saving::get_custom_objects;
    "keras.saving.get_registered_name" => rhyton::saving::get_registered_name;
    "keras.saving.get_registered_object" => rhyton::saving::get_registered_object;
    "keras.saving.register_keras_serializable" => rhyton::saving::register_keras_serializable;
    "keras.models.clone_model" => rhyton::model::clone_model;
    "keras.optimizers.OptimizerMap" => rhyton::optimizers::OptimizerMap;
    "keras.dtype_policies.DTypePolicyMap" => rhyton::DTypePolicyMap;
    "keras.utils.FeatureSpace" => rhyton::layers::FeatureSpace;
    "keras.utils.to_categorical" => rhyton::utils::to_categorical;
    "keras.utils.normalize" => rhyton::utils::normalize;
    "keras.utils.pad_sequences" => rhyton::utils::pad_sequences;
    "keras.utils.split_dataset" => rhyton::utils::split_dataset;
    "keras.utils.get_source_inputs" => rhyton::utils::get_source_inputs;
    "keras.utils.pack_x_y_sample_weight" => rhyton::utils::pack_x_y_sample_weight;
    "keras.utils.unpack_x_y_sample_weight" => rhyton::utils::unpack_x_y_sample_weight;
    "keras.utils.standardize_dtype" => rhyton::utils::standardize_dtype;
    "keras.utils.is_keras_tensor" => rhyton::utils::is_keras_tensor;
    "keras.utils.array_to_img" => rhyton::data::image::array_to_img;
    "keras.utils.img_to_array" => rhyton::data::image::img_to_array;
    "keras.utils.load_img" => rhyton::data::image::load_img;
    "keras.utils.save_img" => rhyton::data::image::save_img;
    "keras.utils.model_to_dot" => rhyton::plot::model_to_dot;
    "keras.utils.plot_model" => rhyton::plot::plot_model;
    "keras.utils.Config" => rhyton::utils::Config;
    "keras.preprocessing.image.smart_resize" => rhyton::preprocessing::image::smart_resize;
    "keras.utils.Progbar" => rhyton::utils::Progbar;
    "keras.utils.bounding_boxes.affine_transform" => rhyton::bounding_boxes::affine_transform;
    "keras.utils.bounding_boxes.clip_to_image_size" => rhyton::bounding_boxes::clip_to_image_size;
    "keras.utils.bounding_boxes.compute_ciou" => rhyton::bounding_boxes::compute_ciou;
    "keras.utils.bounding_boxes.compute_iou" => rhyton::bounding_boxes::compute_iou;
    "keras.utils.bounding_boxes.convert_format" => rhyton::bounding_boxes::convert_format;
    "keras.utils.bounding_boxes.crop" => rhyton::bounding_boxes::crop;
    "keras.utils.bounding_boxes.decode_deltas_to_boxes" => rhyton::bounding_boxes::decode_deltas_to_boxes;
    "keras.utils.bounding_boxes.encode_box_to_deltas" => rhyton::bounding_boxes::encode_box_to_deltas;
    "keras.utils.bounding_boxes.pad" => rhyton::bounding_boxes::pad;
    "keras.tree.is_nested" => rhyton::tree::is_nested;
    "keras.tree.flatten_with_path" => rhyton::tree::flatten_with_path;
    "keras.tree.map_structure_up_to" => rhyton::tree::map_structure_up_to;
    "keras.tree.pack_sequence_as" => rhyton::tree::pack_sequence_as;
    "keras.tree.assert_same_structure" => rhyton::tree::assert_same_structure;
    "keras.tree.assert_same_paths" => rhyton::tree::assert_same_paths;
    "keras.tree.lists_to_tuples" => rhyton::tree::lists_to_tuples;
    "keras.tree.map_shape_structure" => rhyton::tree::map_shape_structure;
    "keras.tree.MAP_TO_NONE" => rhyton::tree::Visit::MapToNone;
    "keras.tree.traverse" => rhyton::tree::traverse;
    "keras.config.backend" => rhyton::config::backend;
    "keras.config.image_data_format" => rhyton::config::image_data_format;
    "keras.config.set_image_data_format" => rhyton::config::set_image_data_format;
    "keras.config.max_epochs" => rhyton::config::max_epochs;
    "keras.config.set_max_epochs" => rhyton::config::set_max_epochs;
    "keras.config.max_steps_per_epoch" => rhyton::config::max_steps_per_epoch;
    "keras.config.set_max_steps_per_epoch" => rhyton::config::set_max_steps_per_epoch;
    "keras.config.is_interactive_logging_enabled" => rhyton::config::is_interactive_logging_enabled;
    "keras.config.enable_interactive_logging" => rhyton::config::enable_interactive_logging;
    "keras.config.disable_interactive_logging" => rhyton::config::disable_interactive_logging;
    "keras.config.is_flash_attention_enabled" => rhyton::config::is_flash_attention_enabled;
    "keras.config.enable_flash_attention" => rhyton::config::enable_flash_attention;
    "keras.config.disable_flash_attention" => rhyton::config::disable_flash_attention;
    "keras.ops.jvp" => rhyton::ops::jvp;
    "keras.ops.unique" => rhyton::ops::unique;
    "keras.ops.vectorize" => rhyton::ops::vectorize;
    "keras.ops.convert_to_numpy" => rhyton::ops::convert_to_numpy;
    "keras.ops.is_tensor" => rhyton::ops::is_tensor;
    "keras.ops.cdist" => rhyton::ops::cdist;
    "keras.ops.polar" => rhyton::ops::polar;
    "keras.ops.view_as_complex" => rhyton::ops::view_as_complex;
    "keras.ops.view_as_real" => rhyton::ops::view_as_real;
    "keras.ops.image.extract_patches_3d" => rhyton::ops::image::extract_patches_3d;
    "keras.saving.KerasFileEditor" => rhyton::saving::KerasFileEditor;
    "keras.saving.CustomObjectScope" => rhyton::saving::CustomObjectScope;
    "keras.saving.load_model" => rhyton::saving::load_model;

    "keras.ops.adaptive_average_pool" => rhyton::ops::adaptive_average_pool;
    "keras.ops.adaptive_max_pool" => rhyton::ops::adaptive_max_pool;
    "keras.ops.allclose" => rhyton::ops::allclose;
    "keras.ops.arange" => rhyton::ops::arange;
    "keras.ops.associative_scan" => rhyton::ops::associative_scan;
    "keras.ops.average_pool" => rhyton::ops::average_pool;
    "keras.ops.bartlett" => rhyton::ops::bartlett;
    "keras.ops.batch_normalization" => rhyton::ops::batch_normalization;
    "keras.ops.blackman" => rhyton::ops::blackman;
    "keras.ops.cond" => rhyton::ops::cond;
    "keras.ops.convert_to_tensor" => rhyton::ops::convert_to_tensor;
    "keras.ops.custom_gradient" => rhyton::ops::custom_gradient;
    "keras.ops.depth_to_space" => rhyton::ops::depth_to_space;
    "keras.ops.dtype" => rhyton::ops::dtype;
    "keras.ops.empty" => rhyton::ops::empty;
    "keras.ops.empty_like" => rhyton::ops::empty_like;
    "keras.ops.eye" => rhyton::ops::eye;
    "keras.ops.fft" => rhyton::ops::fft;
    "keras.ops.fft2" => rhyton::ops::fft2;
    "keras.ops.fori_loop" => rhyton::ops::fori_loop;
    "keras.ops.full" => rhyton::ops::full;
    "keras.ops.geomspace" => rhyton::ops::geomspace;
    "keras.ops.hamming" => rhyton::ops::hamming;
    "keras.ops.hanning" => rhyton::ops::hanning;
    "keras.ops.identity" => rhyton::ops::identity;
    "keras.ops.ifft2" => rhyton::ops::ifft2;
    "keras.ops.irfft" => rhyton::ops::irfft;
    "keras.ops.isin" => rhyton::ops::isin;
    "keras.ops.istft" => rhyton::ops::istft;
    "keras.ops.kaiser" => rhyton::ops::kaiser;
    "keras.ops.map" => rhyton::ops::map;
    "keras.ops.max_pool" => rhyton::ops::max_pool;
    "keras.ops.ndim" => rhyton::ops::ndim;
    "keras.ops.nonzero" => rhyton::ops::nonzero;
    "keras.ops.ones" => rhyton::ops::ones;
    "keras.ops.psnr" => rhyton::ops::psnr;
    "keras.ops.rfft" => rhyton::ops::rfft;
    "keras.ops.rms_normalization" => rhyton::ops::rms_normalization;
    "keras.ops.layer_normalization" => rhyton::ops::layer_normalization;
    "keras.ops.saturate_cast" => rhyton::ops::saturate_cast;
    "keras.ops.scan" => rhyton::ops::scan;
    "keras.ops.searchsorted" => rhyton::ops::searchsorted;
    "keras.ops.shape" => rhyton::ops::shape;
    "keras.ops.size" => rhyton::ops::size;
    "keras.ops.space_to_depth" => rhyton::ops::space_to_depth;
    "keras.ops.stft" => rhyton::ops::stft;
    "keras.ops.stop_gradient" => rhyton::ops::stop_gradient;
    "keras.ops.svd" => rhyton::ops::svd;
    "keras.ops.switch" => rhyton::ops::switch;
    "keras.ops.tri" => rhyton::ops::tri;
    "keras.ops.unstack" => rhyton::ops::unstack;
    "keras.ops.vectorized_map" => rhyton::ops::vectorized_map;
    "keras.ops.while_loop" => rhyton::ops::while_loop;
    "keras.ops.zeros" => rhyton::ops::zeros;
}

use rhyton::prelude::*;

methods! {
    "keras.saving.load_weights" => "rhyton::model::Model::load_weights", |m: &Model| m.load_weights("");
    "keras.saving.save_model" => "rhyton::model::Model::save", |m: &Model| m.save("");
    "keras.saving.save_weights" => "rhyton::model::Model::save_weights", |m: &Model| m.save_weights("");
    "keras.dtype_policies.deserialize" => "rhyton::DTypePolicy::from_json", DTypePolicy::from_json;
    "keras.dtype_policies.serialize" => "rhyton::DTypePolicy::to_json", DTypePolicy::to_json;
    "keras.dtype_policies.get" => "str::parse::<rhyton::DTypePolicy>", str::parse::<DTypePolicy>;
    "keras.config.dtype_policy" => "rhyton::DTypePolicy::global", DTypePolicy::global;
    "keras.config.set_dtype_policy" => "rhyton::DTypePolicy::set_global", DTypePolicy::set_global;
    "keras.config.floatx" => "rhyton::DTypePolicy::global", DTypePolicy::global;
    "keras.config.set_floatx" => "rhyton::DTypePolicy::set_global", DTypePolicy::set_global;
    "keras.backend.is_float_dtype" => "rhyton::DType::is_float", DType::is_float;
    "keras.backend.is_int_dtype" => "rhyton::DType::is_int", DType::is_int;
    "keras.activations.get" => "str::parse::<rhyton::activations::Activation>", str::parse::<Activation>;
    "keras.losses.deserialize" => "rhyton::losses::LossRef::from_json", LossRef::from_json;
    "keras.losses.serialize" => "rhyton::losses::LossRef::to_json", LossRef::to_json;
    "keras.losses.get" => "str::parse::<rhyton::losses::LossRef>", str::parse::<LossRef>;
    "keras.metrics.deserialize" => "rhyton::metrics::MetricRef::from_json", MetricRef::from_json;
    "keras.metrics.serialize" => "rhyton::metrics::MetricRef::to_json", MetricRef::to_json;
    "keras.metrics.get" => "str::parse::<rhyton::metrics::MetricRef>", str::parse::<MetricRef>;
    "keras.optimizers.deserialize" => "rhyton::optimizers::OptimizerRef::from_json", OptimizerRef::from_json;
    "keras.optimizers.serialize" => "rhyton::optimizers::OptimizerRef::to_json", OptimizerRef::to_json;
    "keras.optimizers.get" => "str::parse::<rhyton::optimizers::OptimizerRef>", str::parse::<OptimizerRef>;
    "keras.initializers.deserialize" => "serde_json::from_value::<rhyton::initializers::InitializerRef>", serde_json::from_value::<InitializerRef>;
    "keras.initializers.serialize" => "serde_json::to_value::<rhyton::initializers::InitializerRef>", serde_json::to_value::<InitializerRef>;
    "keras.initializers.get" => "str::parse::<rhyton::initializers::InitializerRef>", str::parse::<InitializerRef>;
    "keras.regularizers.deserialize" => "serde_json::from_value::<rhyton::regularizers::RegularizerRef>", serde_json::from_value::<RegularizerRef>;
    "keras.regularizers.serialize" => "serde_json::to_value::<rhyton::regularizers::RegularizerRef>", serde_json::to_value::<RegularizerRef>;
    "keras.regularizers.get" => "str::parse::<rhyton::regularizers::RegularizerRef>", str::parse::<RegularizerRef>;
    "keras.constraints.deserialize" => "serde_json::from_value::<rhyton::constraints::ConstraintRef>", serde_json::from_value::<ConstraintRef>;
    "keras.constraints.serialize" => "serde_json::to_value::<rhyton::constraints::ConstraintRef>", serde_json::to_value::<ConstraintRef>;
    "keras.constraints.get" => "str::parse::<rhyton::constraints::ConstraintRef>", str::parse::<ConstraintRef>;
    "keras.activations.deserialize" => "serde_json::from_value::<rhyton::activations::Activation>",
        serde_json::from_value::<Activation>;
    "keras.activations.serialize" => "serde_json::to_value::<rhyton::activations::Activation>",
        serde_json::to_value::<Activation>;
    "keras.optimizers.schedules.deserialize" => "rhyton::optimizers::schedules::ScheduleRef::from_json",
        rhyton::optimizers::schedules::ScheduleRef::from_json;
    "keras.optimizers.schedules.serialize" => "serde_json::to_value::<rhyton::optimizers::schedules::ScheduleRef>",
        serde_json::to_value::<rhyton::optimizers::schedules::ScheduleRef>;
    "keras.layers.add" => "rhyton::layers::Add::new().call", Add::new;
    "keras.layers.average" => "rhyton::layers::Average::new().call", Average::new;
    "keras.layers.concatenate" => "rhyton::layers::Concatenate::new().call", Concatenate::new;
    "keras.layers.dot" => "rhyton::layers::Dot::new(axes).call", |axes: i64| Dot::new(axes);
    "keras.layers.maximum" => "rhyton::layers::Maximum::new().call", Maximum::new;
    "keras.layers.minimum" => "rhyton::layers::Minimum::new().call", Minimum::new;
    "keras.layers.multiply" => "rhyton::layers::Multiply::new().call", Multiply::new;
    "keras.layers.subtract" => "rhyton::layers::Subtract::new().call", Subtract::new;
    "keras.tree.flatten" => "rhyton::Nest::tensors", Nest::tensors;
    "keras.tree.map_structure" => "rhyton::Nest::map", |n: &Nest| n.map(&mut |t| Ok(t.clone()));
}

/// All of them.
pub static ALL: std::sync::LazyLock<Vec<(&str, &str)>> =
    std::sync::LazyLock::new(|| ITEMS.iter().chain(METHODS).copied().collect());
