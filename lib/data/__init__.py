"""From a folder of images and labels to batches of tensors; knows no study.

problems, images, boxes   read one file, or say what is wrong with it
volume_files, volumes     volumes with their grid, as slices and back
cases, yolo, duplicates   list the cases of a study folder
manifest                  what identifies the data, and whether they are real
phantom_files             a phantom as files of such a folder
splits                    divide cases by subject
crop, preprocess          the steps before the network
bone_patches, views       patches of single bones, and random crops of them for an encoder
augmentation, batches     what is drawn anew in every epoch
"""
