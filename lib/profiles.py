"""Everything a profile may change, in one plain table.

Losses, study designs and metrics never change with the profile.
"""

from lib.errors import SettingError

NAMES = ("smoke", "quick", "paper")
PROFILES = {
    "wrist": {
        "smoke": {
            "image_size": 64,
            "tight_size": 32,
            "width": 4,
            "epochs": 10,
            "batch_size": 8,
            "learning_rate": 1e-2,
            "seeds": 2,
            "phantoms": 40,
            "phantom_size": 128,
        },
        "quick": {
            "image_size": 96,
            "tight_size": 48,
            "width": 8,
            "epochs": 60,
            "batch_size": 8,
            "learning_rate": 5e-3,
            "seeds": 3,
            "phantoms": 160,
            "phantom_size": 256,
        },
        "paper": {
            "image_size": 256,
            "tight_size": 256,
            "width": 64,
            "epochs": 100,
            "batch_size": 8,
            "learning_rate": 1e-4,
            "seeds": 6,  # the fewest with which a paired test over seeds can reach p < 0.05
            "phantoms": 160,
            "phantom_size": 512,
        },
    },
    "humerus": {
        "smoke": {
            "image_size": 64,
            "batch_size": 8,
            "epochs": 5,
            "patience": 5,
            "plateau": 4,
            "fine_epochs": 2,
            "fine_patience": 2,
            "backbone_lr": 3e-3,
            "head_lr": 5e-3,
            "fine_backbone_lr": 1e-4,
            "fine_head_lr": 1e-5,
            "weight_decay": 1e-2,
            "weights": "none",
            "n_folds": 4,
            "folds_run": 2,
            "phantoms": 60,
            "phantom_size": 128,
        },
        "quick": {
            "image_size": 96,
            "batch_size": 8,
            "epochs": 30,
            "patience": 30,
            "plateau": 4,
            "fine_epochs": 4,
            "fine_patience": 4,
            "backbone_lr": 3e-3,
            "head_lr": 5e-3,
            "fine_backbone_lr": 1e-4,
            "fine_head_lr": 1e-5,
            "weight_decay": 1e-2,
            "weights": "imagenet",
            "n_folds": 5,
            "folds_run": 2,
            "phantoms": 180,
            "phantom_size": 256,
        },
        "paper": {
            "image_size": 256,
            "batch_size": 16,
            "epochs": 499,
            "patience": 100,
            "plateau": 10,
            "fine_epochs": 200,
            "fine_patience": 50,
            "backbone_lr": 1e-4,
            "head_lr": 1e-2,
            "fine_backbone_lr": 1e-5,
            "fine_head_lr": 1e-6,
            "weight_decay": 1e-2,
            "weights": "imagenet",  # where they can be had
            "n_folds": 5,
            "folds_run": 5,
            "phantoms": 286,
            "phantom_size": 512,
        },
    },
    "knee": {
        "smoke": {
            "image_size": 32,
            "frame_step": 2,
            "width": "quick",
            "batch_size": 4,
            "epochs": 2,
            "per_evaluation": 4,  # iterations; 50 in the paper
            "learning_rate": 1e-2,
            "weight_decay": 1e-2,
            "warm_up": 1,
            "polynomial": 6,
            "weights": "none",
            "others": ("deeplabv3plus",),
            "phantoms": 200,
            "phantom_size": 64,
        },
        "quick": {
            "image_size": 64,
            "frame_step": 3,
            "width": "quick",  # narrower encoders and decoders: see lib/models/knee_networks.py
            "batch_size": 16,
            "epochs": 8,
            "per_evaluation": 50,
            "learning_rate": 5e-3,
            "weight_decay": 1e-2,
            "warm_up": 20,
            "polynomial": 320,
            "weights": "imagenet",
            "others": ("deeplabv3plus",),  # networks with case split, extra losses and variants
            "phantoms": 1297,
            "phantom_size": 128,
        },
        "paper": {
            "image_size": 512,
            "frame_step": 1,
            "width": "paper",
            "batch_size": 16,
            "epochs": 1000,
            "per_evaluation": 50,
            "learning_rate": 1e-4,
            "weight_decay": 1e-2,
            "warm_up": 1500,
            "polynomial": 40_000,
            "weights": "imagenet",  # where they can be had
            "others": ("fcn_unet", "pspnet", "deeplabv3plus", "upernet", "segformer"),
            "phantoms": 1297,
            "phantom_size": 512,
        },
    },
}


def profile_settings(study: str, profile: str) -> dict:
    """The row of the table, as a copy.

    Raises:
        SettingError: if study or profile is unknown.
    """
    for table, key, what in ((PROFILES, study, "study"), (PROFILES.get(study), profile, "profile")):
        if key not in table:
            raise SettingError(f"{what}: found {key!r}; expected one of {', '.join(table)}.")
    return dict(PROFILES[study][profile])
