"""Real Keras loads the model that `rhyton train` wrote and reproduces its scores on the test data.

first_command.py MODEL.keras TEST.npz SCORES.json
"""

import json
import os
import sys

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np

LEAST_ACCURACY = 0.985

model_file, data_file, scores_file = sys.argv[1:]
with open(scores_file) as f:
    rhyton = json.load(f)
with np.load(data_file) as data:
    x, y = data["x"], data["y"]

model = keras.saving.load_model(model_file)
found = model.evaluate(x, y, verbose=0, return_dict=True)
print(f"{len(x)} test samples; Rhyton {rhyton}; Keras {keras.__version__} {found}")

if set(found) != set(rhyton):
    sys.exit(f"the names differ: Rhyton {sorted(rhyton)}, Keras {sorted(found)}")
if abs(found["accuracy"] - rhyton["accuracy"]) > 0.5 / len(x):
    sys.exit("the accuracies differ: at least one sample is classified otherwise")
if not np.isclose(found["loss"], rhyton["loss"], rtol=1e-4, atol=1e-6):
    sys.exit("the losses differ by more than rounding")
if rhyton["accuracy"] < LEAST_ACCURACY:
    sys.exit(f"the accuracy is below {LEAST_ACCURACY}")
# Training goes on in Keras where Rhyton stopped: the optimizer's state came along.
iterations = int(model.optimizer.iterations.numpy())
if not model.optimizer.built or iterations == 0:
    sys.exit("the optimizer's state did not come along")
print(f"the optimizer's state came along: {iterations} steps")
