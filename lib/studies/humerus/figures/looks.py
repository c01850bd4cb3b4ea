"""What the humerus study's methods are called and coloured."""

from lib.figures.looks import MethodStyle, register

# A hue for each loss, darker and with another marker where the boundary loss is added.
METHODS = {
    "bce": MethodStyle("BCE", "#56B4E9", "o"),
    "bce_boundary": MethodStyle("BCE + boundary", "#00507F", "D"),
    "focal": MethodStyle("Focal", "#E8A5CC", "o"),
    "focal_boundary": MethodStyle("Focal + boundary", "#A0407A", "D"),
    "dice": MethodStyle("Dice", "#F2B84B", "o"),
    "dice_boundary": MethodStyle("Dice + boundary", "#B35900", "D"),
    "bce_dice_boundary": MethodStyle("BCE + Dice + boundary", "#009E73", "P"),
    "dice_boundary_ft": MethodStyle("Dice + boundary, fine-tuned", "#D5003C", "*"),
    "dice_boundary_control": MethodStyle("Fine-tuning, control", "#8C8C00", "X"),
    "dice_boundary_swapped": MethodStyle("Fine-tuned, rates swapped", "#7A3B2E", "v"),
    "focal_adaptive": MethodStyle("Focal, adaptive", "#9A8CE0", "o"),
    "focal_adaptive_boundary": MethodStyle("Focal, adaptive + boundary", "#4B2E9E", "D"),
}

register(
    METHODS,
    bones={"humerus": ("Humerus", "#D55E00")},
    words={"focal_adaptive": "Focal, adaptive"},
)
