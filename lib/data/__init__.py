"""From a folder of radiographs and labels to batches of tensors.

problems, images, boxes   read one file, or say what is wrong with it
volume_files, volumes     MR volumes with their grid; joints names their bones
cases, yolo, duplicates   list the cases of a study folder
check, needs              report everything that is wrong with a study folder
manifest                  what identifies the data, and whether they are real
phantom_files, synthetic  phantoms as such a folder
splits                    divide cases by subject
crop, preprocess          the steps before the network
bone_patches, views       patches of single bones, and the crops of them that an encoder compares
augmentation, batches     what happens anew in every epoch
"""
