"""The encoder learnt from labelled patches alone, without crops and pre-training (table 3)."""

from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from lib.engine.supervised import Learning, learn, save_result
from lib.models.view_encoder import Encoder
from lib.studies.hand.patches import PatchData, batches, load
from lib.studies.hand.probe import BEST_F1, augmented, encode, patch_input, results, validation
from lib.studies.hand.trials import SupervisedTrial
from lib.training.loop import Fit, seed_everything

SGD = {"lr": 0.03, "momentum": 0.9, "weight_decay": 1e-4}  # [A]


class Classifier(nn.Module):
    """Encoder and linear layer, learnt together."""

    def __init__(self, trial: SupervisedTrial):
        super().__init__()
        self.encoder = Encoder(trial.encoder, trial.first_weights)
        self.layer = nn.Linear(self.encoder.features, 2)

    def forward(self, x: Tensor) -> Tensor:
        """Patches B x 3 x H x W -> logits B x 2."""
        return self.layer(self.encoder(x)).float()


def train(trial: SupervisedTrial, data_root: str, folder: Path) -> None:
    """One training and its evaluation; not ``Supervised``: the patches come from another trial."""
    data = load(trial, data_root, folder.parent)
    seed_everything(trial.seed)
    model = Classifier(trial)
    history = learn(learning(trial, model, data), model, folder)
    kept = {"history": history, "probe": history[["epoch", "train_loss", "val_f1"]]}
    for name, result in (kept | results(trial, model.encoder, model.layer.cpu(), data)).items():
        save_result(folder / name, result)


def learning(trial: SupervisedTrial, model: Classifier, data: PatchData) -> Learning:
    """SGD with a cosine; the epoch with the best macro-F1 of validation subjects is kept."""
    training = data.labelled()
    size = min(trial.batch_size, len(training.images))
    sgd = torch.optim.SGD(model.parameters(), **SGD)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(sgd, trial.epochs)
    arrays = training.images, data.label[training.rows].astype(np.int64)
    return Learning(
        batches(arrays, size, trial.steps, trial.seed),
        partial(loss_terms, trial),
        Fit(sgd, trial.epochs, trial.seed, trial.device, schedule, **BEST_F1),
        partial(validate, trial, data),
    )


def loss_terms(trial: SupervisedTrial, model: Classifier, batch: tuple, epoch: int) -> dict:
    """Cross-entropy of the patches."""
    del epoch
    images, labels = batch
    with torch.autocast(images.device.type, enabled=False):
        x = augmented(patch_input(images, trial.whole_side))
    return {"loss": cross_entropy(model(x), labels)}


def validate(trial: SupervisedTrial, data: PatchData, model: Classifier, epoch: int) -> dict:
    """Macro-F1 of the validation subjects."""
    del epoch
    held = data.held()
    codes = encode(model.encoder, data.tested.images[held], trial)
    with torch.autocast(trial.device, enabled=False):
        codes = torch.from_numpy(codes).to(trial.device)
        return validation(codes, data.table[held], model.layer)
