"""Everything a profile may change, in one plain table: no loss, study design or metric."""

from lib.base.errors import SettingError

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
            "epochs": 27,
            "patience": 27,
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
    "pediatric": {
        "smoke": {
            "image_size": 64,
            "normalisation": "volume",
            "folds": 1,
            "learning": {"steps": 2, "schedule": "linear", "autoencoder_width": 8},
            "autoencoder": {"batch_size": 4, "epochs": 1, "learning_rate": 1e-2},
            "networks": {
                "att_unet": {"width": 8, "batch_size": 4, "epochs": 1, "learning_rate": 5e-3},
                "vgg_unet": {"width": 8, "batch_size": 4, "epochs": 1, "learning_rate": 1e-3},
                "res_unet": {"width": 8, "batch_size": 4, "epochs": 1, "learning_rate": 1e-3},
                "dense_unet": {"width": 8, "batch_size": 4, "epochs": 1, "learning_rate": 1e-3},
            },
            "discriminator_width": 8,
            "discriminator_share": 0.1,  # of the learning rate
            "reading": "mean",
            "selection": "last",
            "weights": "none",
            "phantom_size": (12, 64, 64),
        },
        "quick": {
            "image_size": 64,
            "normalisation": "volume",
            "folds": 1,
            "learning": {"steps": 50, "schedule": "linear", "autoencoder_width": 8},
            "autoencoder": {"batch_size": 8, "epochs": 7, "learning_rate": 5e-3},
            "networks": {
                "att_unet": {"width": 16, "batch_size": 8, "epochs": 7, "learning_rate": 3e-3},
                "vgg_unet": {"width": 16, "batch_size": 8, "epochs": 20, "learning_rate": 2e-3},
                "res_unet": {"width": 16, "batch_size": 8, "epochs": 10, "learning_rate": 3e-3},
                "dense_unet": {"width": 8, "batch_size": 8, "epochs": 6, "learning_rate": 3e-3},
            },
            "discriminator_width": 8,
            "discriminator_share": 0.1,  # of the learning rate
            "reading": "mean",
            "selection": "last",
            "weights": "none",  # published ones are for the paper's widths
            "phantom_size": (24, 96, 96),
        },
        "paper": {
            "image_size": 256,
            "normalisation": "volume",
            "folds": None,  # one for each examination
            "learning": {"steps": None, "schedule": "constant", "autoencoder_width": 32},
            "autoencoder": {"batch_size": 32, "epochs": 10, "learning_rate": 1e-2},
            "networks": {
                "att_unet": {"width": 32, "batch_size": 32, "epochs": 20, "learning_rate": 1e-3},
                "vgg_unet": {"width": 64, "batch_size": 32, "epochs": 10, "learning_rate": 1e-4},
                "res_unet": {"width": 64, "batch_size": 16, "epochs": 10, "learning_rate": 1e-4},
                "dense_unet": {"width": 64, "batch_size": 16, "epochs": 10, "learning_rate": 1e-4},
            },
            "discriminator_width": 32,
            "discriminator_share": 1.0,  # of the learning rate [A]
            "reading": "mean",  # of the shape loss [A]; "sum" as printed
            "selection": "last",  # epoch [A]; "best" by the validation's Dice
            "weights": "imagenet",  # where they can be had
            "phantom_size": 256,
        },
    },
    "hand": {
        "smoke": {
            "image_size": 64,
            "widths": (8, 16, 16, 16, 16, 16, 16),
            "unet_width": 4,
            "segmentation_epochs": 16,  # fewer find no bone at all
            "segmentation_batch": 4,
            "segmentation_lr": 1e-2,
            "segmentation_patience": None,  # as in quick
            "samples": 1,
            "patch_side": 32,
            "encoder": "resnet18",
            "weights": "none",
            "view_sizes": (32, 16),
            "whole_side": 32,
            "batch_size": 16,
            "epochs": 2,
            "steps": 2,  # of an epoch of the pre-training
            "learning_rate": 0.3,
            "probe_epochs": 5,
            "seeds": 1,
            "phantoms": 40,
            "phantom_size": (256, 165),
        },
        "quick": {
            "image_size": 128,
            "widths": (8, 16, 32, 48, 48, 48, 48),
            "unet_width": 8,
            "segmentation_epochs": 76,
            "segmentation_batch": 4,
            "segmentation_lr": 4e-3,
            "segmentation_patience": None,  # the rate falls linearly, the row cap rises late
            "samples": 1,  # of each noise module while it learns
            "patch_side": 96,
            "encoder": "resnet18",
            "weights": "imagenet",  # where they can be had
            "view_sizes": (48, 24),
            "whole_side": 96,  # of a patch as it is classified; crops show theirs up to 2.7x larger
            "batch_size": 64,
            "epochs": 8,
            "steps": 10,
            "learning_rate": 1.0,  # 0.3 hardly moves in so few steps
            "probe_epochs": 30,
            "seeds": 1,
            "phantoms": 240,  # the first 192 have a label
            "phantom_size": (700, 450),
        },
        "paper": {
            "image_size": 512,
            "widths": (32, 64, 128, 192, 192, 192, 192),
            "unet_width": 32,
            "segmentation_epochs": 200,
            "segmentation_batch": 16,
            "segmentation_lr": 1e-3,
            "segmentation_patience": 10,  # epochs before the rate falls and the row cap rises
            "samples": 4,
            "patch_side": 512,
            "encoder": "resnet50",
            "weights": "imagenet",  # [A]
            "view_sizes": (224, 96),
            "whole_side": 224,  # [A]
            "batch_size": 128,
            "epochs": 200,
            "steps": 70,  # about 9000 patches
            "learning_rate": 0.3,
            "probe_epochs": 100,
            "seeds": 3,
            "phantoms": 1346,
            "phantom_size": (1400, 900),
        },
    },
    "loss_transfer": {  # on phantoms of the size that each study has in the same profile
        "smoke": {"image_size": 32, "width": 4, "epochs": 2, "steps": 3, "seeds": 2},
        "quick": {"image_size": 64, "width": 8, "epochs": 10, "steps": 30, "seeds": 5},
        "paper": {"image_size": 256, "width": 32, "epochs": 50, "steps": 100, "seeds": 6},
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
