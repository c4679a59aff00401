//! What is shown of a model.

/// Where the edges of a graph go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RankDir {
    /// Downwards.
    #[default]
    TopToBottom,
    /// To the right.
    LeftToRight,
    /// Upwards.
    BottomToTop,
    /// To the left.
    RightToLeft,
}

impl RankDir {
    /// Graphviz's name, such as `TB`.
    pub fn name(self) -> &'static str {
        match self {
            RankDir::TopToBottom => "TB",
            RankDir::LeftToRight => "LR",
            RankDir::BottomToTop => "BT",
            RankDir::RightToLeft => "RL",
        }
    }
}

/// What [`plot_model`](crate::plot_model) and [`model_to_dot`](crate::model_to_dot) show of a model. The defaults are Keras's.
#[derive(Clone, Debug, PartialEq)]
pub struct PlotModel {
    pub(crate) show_shapes: bool,
    pub(crate) show_dtype: bool,
    pub(crate) show_layer_names: Option<bool>,
    pub(crate) rankdir: RankDir,
    pub(crate) expand_nested: bool,
    pub(crate) dpi: u32,
    pub(crate) show_layer_activations: bool,
    pub(crate) show_trainable: bool,
    pub(crate) splines: String,
}

impl Default for PlotModel {
    fn default() -> PlotModel {
        PlotModel {
            show_shapes: false,
            show_dtype: false,
            show_layer_names: None,
            rankdir: RankDir::TopToBottom,
            expand_nested: false,
            dpi: 200,
            show_layer_activations: false,
            show_trainable: false,
            splines: "ortho".to_owned(),
        }
    }
}

impl PlotModel {
    /// Keras's defaults: classes of layers alone; for `model_to_dot` their names, too.
    pub fn new() -> PlotModel {
        PlotModel::default()
    }

    /// Whether shapes of inputs and outputs are shown; not unless said.
    pub fn show_shapes(mut self, show_shapes: bool) -> PlotModel {
        self.show_shapes = show_shapes;
        self
    }

    /// Whether dtypes of outputs are shown; not unless said.
    pub fn show_dtype(mut self, show_dtype: bool) -> PlotModel {
        self.show_dtype = show_dtype;
        self
    }

    /// Whether names of layers are shown; unless said, `model_to_dot` shows them and `plot_model` does not.
    pub fn show_layer_names(mut self, show_layer_names: bool) -> PlotModel {
        self.show_layer_names = Some(show_layer_names);
        self
    }

    /// Where edges go; downwards unless said. Pictures always go downwards.
    pub fn rankdir(mut self, rankdir: RankDir) -> PlotModel {
        self.rankdir = rankdir;
        self
    }

    /// Whether layers of models within the model are shown, too; not unless said.
    pub fn expand_nested(mut self, expand_nested: bool) -> PlotModel {
        self.expand_nested = expand_nested;
        self
    }

    /// How large a PNG is, 100 being one pixel a unit of an SVG; 200 unless said.
    pub fn dpi(mut self, dpi: u32) -> PlotModel {
        self.dpi = dpi;
        self
    }

    /// Whether activation functions of layers are shown; not unless said.
    pub fn show_layer_activations(mut self, show_layer_activations: bool) -> PlotModel {
        self.show_layer_activations = show_layer_activations;
        self
    }

    /// Whether it is shown if layers with weights train; not unless said.
    pub fn show_trainable(mut self, show_trainable: bool) -> PlotModel {
        self.show_trainable = show_trainable;
        self
    }

    /// How Graphviz draws edges: `ortho` unless said, `curved`, `polyline`, `spline` or `line`. Pictures have right angles.
    pub fn splines(mut self, splines: &str) -> PlotModel {
        self.splines = splines.to_owned();
        self
    }
}
